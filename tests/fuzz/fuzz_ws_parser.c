/* The WebSocket parser against the plain reference: any stream, cut in any
 * way, gives the log that RFC 6455 asks for.
 *
 * Input: four bytes of settings, then what the peer sends.
 *   0  bit 0 server, 1 RSV1 in use, 2 UTF-8 not checked, 3 pause at every
 *      delivery, 4-5 delivery, 6-7 which of the processor's ways
 *   1  the limit, as a power of two
 *   2  pieces: 0 byte by byte, 255 in one, else up to so many bytes each
 *   3  seed of the sizes of the pieces */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/ws_drive.h"
#include "../support/ws_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTINGS = 4, BYTE_BY_BYTE_MAX = 4096 };

static void
settle(struct sonic__ws_rules *rules, const uint8_t *settings)
{
    size_t simd = settings[0] >> 6;

    memset(rules, 0, sizeof *rules);
    while (sonic__ws_simd_at(simd) == NULL)
        simd--;
    rules->simd = sonic__ws_simd_at(simd);
    rules->expect.mask = settings[0] & 1 ? 0x80 : 0;
    rules->expect.rsv = settings[0] & 2 ? 0x40 : 0;
    rules->utf8 = !(settings[0] & 4);
    rules->max_message =
        settings[1] < 63 ? UINT64_C(1) << settings[1] : UINT64_MAX;
}

static void
fail(const struct ws_log *expected, const struct ws_log *got)
{
    fprintf(stderr, "expected:\n%sgot:\n%s", ws_log_text(expected),
            ws_log_text(got));
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_log expected = {NULL, 0, 0};
    struct sonic__ws_rules rules;
    enum sonic__ws_delivery delivery;
    struct ws_drive d;
    size_t piece;
    uint32_t seed;
    bool ok = true;

    if (size < SETTINGS)
        return 0;
    settle(&rules, data);
    delivery = (enum sonic__ws_delivery)((data[0] >> 4 & 3) % 3);
    piece = data[2] == 255 ? size : data[2];
    if (piece == 0 && size > BYTE_BY_BYTE_MAX)
        piece = 64;
    seed = data[3];

    ws_drive_init(&d, &rules, delivery);
    d.pause = data[0] & 8;
    data += SETTINGS;
    size -= SETTINGS;
    ws_reference(&rules, delivery, data, size, &expected);
    for (size_t at = 0; ok && at < size;) {
        size_t n = 1;

        seed = seed * 1664525u + 1013904223u;
        if (piece > 0)
            n = piece < size ? 1 + (seed >> 8) % piece : size;
        if (n > size - at)
            n = size - at;
        ok = ws_drive_feed(&d, data + at, n);
        at += n;
    }
    if (!ok || strcmp(ws_log_text(&expected), ws_log_text(&d.log)) != 0)
        fail(&expected, &d.log);
    ws_log_free(&expected);
    ws_drive_free(&d);
    return 0;
}
