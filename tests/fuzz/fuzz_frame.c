/* Any format, then any bytes.  What the library finds is what the contract
 * says, the same however the bytes are cut, and what it writes it reads.
 *
 * The input: 16 bytes that make a format, then what is received. */
#include <stdlib.h>
#include <string.h>

#include "frame/scan.h"
#include "../support/frame_formats.h"

enum { SETTINGS = 16, MAX_FRAMES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static int32_t
number(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
                     (uint32_t)p[2] << 8 | p[3]);
}

/* Small settings are likely, any is possible. */
static void
make_format(sonic_frame_format *f, const uint8_t *p)
{
    *f = (sonic_frame_format)SONIC_FRAME_FORMAT_INIT;
    f->length = p[0] % 12 - 2;
    f->varint_max = p[1] % 14 - 1;
    f->order = (enum sonic_frame_order)(p[2] % 3);
    f->counts = (enum sonic_frame_counts)(p[2] / 3 % 4);
    f->non_minimal = (enum sonic_switch)(p[2] / 12 % 4 - 1);
    f->offset = p[3] < 250 ? p[3] % 16 : p[3] * 2u - 500 + 250;
    f->adjust = p[4] & 1 ? number(p + 4) : (int8_t)p[7];
    f->strip = p[8] & 1 ? number(p + 8) : (int8_t)p[11];
    f->max_body = p[12] & 1 ? (uint64_t)(uint32_t)number(p + 12) << (p[12] % 33)
                            : (uint64_t)p[13] << 8 | p[14];
}

/* All frames there are, by the reference.  Returns why it stopped. */
static int
find_all(const sonic_frame_format *f, const uint8_t *data, size_t len,
         sonic_frame found[MAX_FRAMES], size_t *n)
{
    size_t at = 0;
    int err = 0;

    for (*n = 0; *n < MAX_FRAMES; ++*n) {
        err = frame_reference(f, data + at, len - at, &found[*n]);
        if (err < 0)
            break;
        at += found[*n].total;
    }
    return err;
}

/* The same, by the scanner, in a window that grows by `piece` bytes. */
static void
scan_all(const sonic_frame_codec *c, const uint8_t *data, size_t len,
         size_t piece, const sonic_frame *found, size_t n, int want)
{
    struct sonic__frame_scan s;
    size_t at = 0, end = 0, i = 0;
    sonic_frame f;
    int err = 0;

    sonic__frame_scan_reset(&s);
    while (i < n || (n < MAX_FRAMES && err == 0)) {
        err = sonic__frame_scan(&s, c, data + at, end - at, NULL, &f);
        if (err == SONIC_ENEEDMORE && end < len) {
            must(f.need > end - at); /* no endless loop */
            end = len - end < piece ? len : end + piece;
            err = 0;
            continue;
        }
        if (err < 0)
            break;
        must(i < n && memcmp(&f, &found[i], sizeof f) == 0);
        at += f.total;
        i++;
    }
    must(i == n && (n == MAX_FRAMES || err == want));
}

/* A header that is written is read back. */
static void
write_and_read(const sonic_frame_codec *c, uint64_t body)
{
    uint8_t head[SONIC_FRAME_HEADER_MAX];
    int n = sonic_frame_encode_header(c, body, head, sizeof head);
    sonic_frame f;
    int err;

    if (n < 0) {
        must(n == SONIC_EFRAME_LENGTH || n == SONIC_EFRAME_TOOBIG);
        return;
    }
    memset(head, 0, c->offset);
    must(n == sonic_frame_header_size(c, body));
    err = sonic_frame_decode(c, head, (size_t)n, &f);
    must(err == (body == 0 ? 0 : SONIC_ENEEDMORE));
    must(f.header == (size_t)n && f.total == (size_t)n + body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonic_frame found[MAX_FRAMES];
    sonic_frame_format format;
    sonic_frame_codec codec;
    size_t n;
    int err;

    if (size < SETTINGS)
        return 0;
    make_format(&format, data);
    err = sonic_frame_codec_init(&codec, &format);
    must(err == 0 || err == SONIC_EOPTION);
    if (err < 0)
        return 0;
    data += SETTINGS;
    size -= SETTINGS;
    err = find_all(&format, data, size, found, &n);
    scan_all(&codec, data, size, size, found, n, err);
    scan_all(&codec, data, size, 1, found, n, err);
    scan_all(&codec, data, size, 3, found, n, err);
    for (size_t i = 0; i + 8 <= size; i++) {
        uint64_t body;

        memcpy(&body, data + i, 8);
        write_and_read(&codec, body >> (body & 63));
    }
    return 0;
}
