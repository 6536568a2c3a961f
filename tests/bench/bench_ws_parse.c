/* bench_ws_parse - the cost of the protocol alone: frames in memory, through
 * sonic__ws_parse, to a callback that counts; and frames built for sending.
 *
 *   bench_ws_parse                 every case, ns per message
 *   bench_ws_parse CASE MESSAGES   one case, for callgrind: what two runs
 *                                  differ in, divided by the messages they
 *                                  differ in, is instructions per message
 * Parsing unmasks in place, so a case is parsed over and over: the work does
 * not depend on what the payload says, except that text has to be text.  Where
 * payload moves down over its header, headers are written anew each time, which
 * is counted too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "websocket/parser.h"

enum { BATCH = 16, LARGEST = 65536 };

/* must: instructions, or ns to build, that this is not to cost more than. */
static const struct bench {
    const char *name;
    size_t size;
    bool masked;
    uint8_t opcode;
    bool build;
    unsigned must;
} benches[] = {
    {"32 B masked binary", 32, true, SONIC__WS_BINARY, false, 90},
    {"32 B masked text", 32, true, SONIC__WS_TEXT, false, 90},
    {"32 B unmasked binary", 32, false, SONIC__WS_BINARY, false, 65},
    {"32 B unmasked text", 32, false, SONIC__WS_TEXT, false, 0},
    {"1 KiB masked binary", 1024, true, SONIC__WS_BINARY, false, 280},
    {"1 KiB masked text", 1024, true, SONIC__WS_TEXT, false, 280},
    {"1 KiB unmasked text", 1024, false, SONIC__WS_TEXT, false, 0},
    {"64 KiB masked binary", LARGEST, true, SONIC__WS_BINARY, false, 12500},
    {"64 KiB masked text", LARGEST, true, SONIC__WS_TEXT, false, 12500},
    {"build 32 B masked", 32, true, SONIC__WS_BINARY, true, 12},
    {"build 1 KiB masked", 1024, true, SONIC__WS_BINARY, true, 20},
    {"build 64 KiB masked", LARGEST, true, SONIC__WS_BINARY, true, 900},
};

static struct sonic__ws_parser parser;
static struct sonic__ws_rules rules;
static uint8_t window[BATCH * (LARGEST + SONIC__WS_HEADER_MAX)];
static uint8_t header[8]; /* of each, where it is masked and medium */
static uint64_t messages, bytes;

static bool
on_message(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    (void)opcode;
    (void)flags;
    (void)data;
    (void)ud;
    messages++;
    bytes += n;
    return true;
}

static const struct sonic__ws_sink sink = {.on_message = on_message};

/* Lay out BATCH frames.  A key of zeros leaves text what it is. */
static size_t
fill(const struct bench *b)
{
    static const uint32_t key;
    uint8_t *p = window;

    for (int i = 0; i < BATCH; i++) {
        p += sonic__ws_frame_encode(p, true, 0, b->opcode, b->size,
                                    b->masked ? &key : NULL);
        memset(p, 'a', b->size);
        p += b->size;
    }
    memcpy(header, window, sizeof header);
    return (size_t)(p - window);
}

/* The payloads are all alike, and stay so where they are moved. */
static void
renew_headers(const struct bench *b)
{
    for (int i = 0; i < BATCH; i++)
        memcpy(window + (size_t)i * (sizeof header + b->size), header,
               sizeof header);
}

static void
parse(const struct bench *b, size_t len)
{
    struct sonic__ws_progress done;

    if (sonic__ws_parse(&parser, &rules, &sink, NULL, window, len, &done) !=
            0 ||
        done.consumed != len) {
        fprintf(stderr, "bench_ws_parse: parse failed\n");
        exit(EXIT_FAILURE);
    }
    if (b->masked && b->size >= 126 && b->size <= UINT16_MAX)
        renew_headers(b);
}

/* Headers, and payload from elsewhere masked into place behind them. */
static void
build(const struct bench *b)
{
    static const uint8_t payload[LARGEST];
    static uint32_t key = 0x12345678;
    uint8_t *p = window;

    for (int i = 0; i < BATCH; i++) {
        key = key * 1664525u + 1013904223u;
        p += sonic__ws_frame_encode(p, true, 0, b->opcode, b->size, &key);
        rules.simd->mask(p, payload, b->size, key);
        p += b->size;
    }
}

static void
run(const struct bench *b, size_t len)
{
    if (b->build)
        build(b);
    else
        parse(b, len);
}

static void
setup(const struct bench *b)
{
    sonic__ws_parser_init(&parser, SONIC__WS_WHOLE);
    rules = (struct sonic__ws_rules){
        .simd = sonic__ws_simd_best(),
        .max_message = 1 << 20,
        .expect = {.mask = b->masked ? 0x80 : 0},
        .utf8 = true,
    };
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of many short runs: the machine is shared. */
static double
ns_per_message(const struct bench *b)
{
    size_t len = fill(b), rounds = 4 + (1u << 20) / len;
    double best = 1e18;

    for (int i = 0; i < 50; i++) {
        double t = now();

        for (size_t k = 0; k < rounds; k++)
            run(b, len);
        t = (now() - t) / ((double)rounds * BATCH);
        if (t < best)
            best = t;
    }
    return best;
}

int
main(int argc, char **argv)
{
    size_t count = sizeof benches / sizeof *benches;

    if (argc == 3) {
        size_t which = strtoul(argv[1], NULL, 10);
        size_t n = strtoul(argv[2], NULL, 10), len;

        if (which >= count)
            return EXIT_FAILURE;
        setup(&benches[which]);
        len = fill(&benches[which]);
        for (; n >= BATCH; n -= BATCH)
            run(&benches[which], len);
        return EXIT_SUCCESS;
    }
    printf("WebSocket protocol alone, %s\n", sonic__ws_simd_best()->name);
    for (size_t i = 0; i < count; i++) {
        const struct bench *b = &benches[i];

        setup(b);
        printf("  %-22s %9.1f ns", b->name, ns_per_message(b));
        if (b->must > 0)
            printf("   must: %u %s", b->must, b->build ? "ns" : "instructions");
        putchar('\n');
    }
    return EXIT_SUCCESS;
}
