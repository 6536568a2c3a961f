/* The scanner: the table, the way around it, and every way to cut the input
 * find the same frames. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "frame/scan.h"
#include "support/frame_formats.h"

#define V SONIC_FRAME_VARINT
#define SZ .size = sizeof(sonic_frame_format)

/* ---- the table and the way around it ---------------------------------- */

/* Scan a header as if its bytes came one at a time, by the table. */
static int
scan_bytewise(const sonic_frame_codec *c, const uint8_t *data, size_t len,
              sonic_frame *out)
{
    struct sonic__frame_scan s;
    int err = SONIC_ENEEDMORE;

    sonic__frame_scan_reset(&s);
    for (size_t n = 0; n <= len && err == SONIC_ENEEDMORE; n++)
        err = sonic__frame_scan_table(&s, c, data, n, NULL, out);
    return err;
}

/* All four must say the same of data[0..len): the reference, the public
 * function, the table in one go, the table byte by byte. */
static void
compare(const sonic_frame_format *f, const sonic_frame_codec *c,
        const uint8_t *data, size_t len)
{
    struct sonic__frame_scan s;
    sonic_frame want, got, table, bytes;
    int err = frame_reference(f, data, len, &want);
    int fast = sonic_frame_decode(c, data, len, &got), slow, slower;

    sonic__frame_scan_reset(&s);
    slow = sonic__frame_scan_table(&s, c, data, len, NULL, &table);
    slower = scan_bytewise(c, data, len, &bytes);
    if (fast != err || slow != err || slower != err ||
        memcmp(&got, &want, sizeof got) != 0 ||
        memcmp(&table, &want, sizeof want) != 0 ||
        memcmp(&bytes, &want, sizeof want) != 0) {
        for (size_t i = 0; i < len; i++)
            fprintf(stderr, "%02x ", data[i]);
        ck_abort_msg("reference %d, fast %d, table %d, bytewise %d", err, fast,
                     slow, slower);
    }
}

/* Every header of 1 and 2 bytes; of longer ones, all that are made of bytes
 * at which something changes. */
static const uint8_t edges[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xff};

static void
all_bytes(const sonic_frame_format *f, const sonic_frame_codec *c,
          uint8_t *data, size_t len)
{
    for (unsigned v = 0; v < 65536; v++) {
        data[f->offset] = (uint8_t)v;
        data[f->offset + 1] = (uint8_t)(v >> 8);
        compare(f, c, data, f->offset + len);
    }
}

static void
edge_bytes(const sonic_frame_format *f, const sonic_frame_codec *c,
           uint8_t *data, size_t at, size_t len)
{
    if (at == len) {
        compare(f, c, data, f->offset + len);
        return;
    }
    for (size_t i = 0; i < sizeof edges; i++) {
        data[f->offset + at] = edges[i];
        edge_bytes(f, c, data, at + 1, len);
    }
}

START_TEST(table_and_short_cut_are_equal_for_every_header)
{
    const sonic_frame_format *f = &frame_formats[_i];
    sonic_frame_codec c = frame_codec(f);
    uint8_t data[SONIC_FRAME_HEADER_MAX + 4] = {0};
    size_t most = f->length == 8 || f->length == V ? 6 : 5;

    for (size_t len = 0; len <= 2; len++)
        all_bytes(f, &c, data, len);
    for (size_t len = 3; len <= most; len++)
        edge_bytes(f, &c, data, 0, len);
    for (size_t len = 0; len < f->offset; len++)
        compare(f, &c, data, len);
}
END_TEST

/* The last bytes of the longest fields: all edges behind a run of one byte. */
START_TEST(table_and_short_cut_are_equal_for_long_fields)
{
    const sonic_frame_format *f = &frame_formats[_i];
    sonic_frame_codec c = frame_codec(f);

    for (size_t i = 0; i < sizeof edges; i++) {
        uint8_t data[SONIC_FRAME_HEADER_MAX + 4];

        memset(data, edges[i], sizeof data);
        for (size_t len = 7; len <= 11; len++) {
            for (unsigned v = 0; v < 2401; v++) {
                unsigned w = v;

                for (size_t k = 1; k <= 4; k++, w /= 7)
                    data[f->offset + len - k] = edges[w % 7];
                compare(f, &c, data, f->offset + len);
            }
        }
    }
}
END_TEST

/* ---- splits ----------------------------------------------------------- */

struct log {
    char text[4096];
    size_t len;
};

static void
note(struct log *l, const uint8_t *p, size_t n)
{
    l->len +=
        (size_t)snprintf(l->text + l->len, sizeof l->text - l->len, "%zu:", n);
    for (size_t i = 0; i < n && l->len < sizeof l->text - 3; i++)
        l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len,
                                   "%02x", p[i]);
    l->text[l->len++] = '\n';
}

/* Take what of the window is whole; returns how much that is. */
static size_t
take(struct sonic__frame_scan *s, const sonic_frame_codec *c,
     const uint8_t *data, size_t len, struct log *l, int *err)
{
    sonic_frame f;
    size_t at = 0;

    while ((*err = sonic__frame_scan(s, c, data + at, len - at, NULL, &f)) ==
           0) {
        note(l, data + at + f.offset, f.len);
        at += f.total;
    }
    return at;
}

/* The stream comes in three pieces; the window is as small as it can be. */
static void
feed(const sonic_frame_codec *c, const uint8_t *data, const size_t cuts[4],
     struct log *l)
{
    struct sonic__frame_scan s;
    size_t begin = 0;
    int err = 0;

    sonic__frame_scan_reset(&s);
    l->len = 0;
    for (int i = 1; i < 4; i++) {
        size_t n = cuts[i] - begin;
        uint8_t *window = malloc(n + 1); /* exact, and elsewhere each time */

        memcpy(window, data + begin, n);
        begin += take(&s, c, window, n, l, &err);
        free(window);
        if (err != SONIC_ENEEDMORE)
            break;
    }
    l->len +=
        (size_t)snprintf(l->text + l->len, sizeof l->text - l->len,
                         "%s, %zu left", sonic_errname(err), cuts[3] - begin);
}

/* Some frames, one after the other. */
static size_t
write_frames(const sonic_frame_codec *c, uint8_t *data)
{
    static const size_t bodies[] = {3, 0, 1, 7, 0, 12, 2};
    size_t len = 0;

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        int n = sonic_frame_encode_header(c, bodies[i], data + len, 64);

        if (n < 0)
            continue;
        memset(data + len, 0xee, c->offset);
        for (size_t k = 0; k < bodies[i]; k++)
            data[len + (size_t)n + k] = (uint8_t)(i << 4 | k);
        len += (size_t)n + bodies[i];
    }
    return len;
}

START_TEST(any_split_gives_the_same_frames)
{
    const sonic_frame_format *f = &frame_formats[_i];
    sonic_frame_codec c = frame_codec(f);
    static uint8_t data[4096];
    static struct log whole, got;
    size_t len;

    if (f->offset > 16 || f->adjust > 12 || f->strip > 16)
        return; /* long ones: nothing new but length */
    len = write_frames(&c, data);
    memset(data + len, 0xff, 12); /* garbage ends it */
    len += 12;
    feed(&c, data, (size_t[]){0, len, len, len}, &whole);
    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            feed(&c, data, (size_t[]){0, a, b, len}, &got);
            if (got.len != whole.len ||
                memcmp(got.text, whole.text, got.len) != 0)
                ck_abort_msg("cut at %zu and %zu:\n%.*s\nbut whole:\n%.*s", a,
                             b, (int)got.len, got.text, (int)whole.len,
                             whole.text);
        }
}
END_TEST

/* ---- golden traces ---------------------------------------------------- */

static void
on_step(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
        void *ud)
{
    struct log *l = ud;

    l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len,
                               "%s %s %s\n", fsm->states[from],
                               fsm->events[event], fsm->states[to]);
}

static const struct {
    sonic_frame_format format;
    size_t n;
    uint8_t bytes[16];
    const char *trace;
} traces[] = {
    {{SZ},
     6,
     {0, 0, 0, 2, 'h', 'i'},
     "PREFIX FIXED LENGTH\nLENGTH DONE BODY\nBODY WHOLE PREFIX\n"
     "PREFIX FIXED LENGTH\nSONIC_ENEEDMORE\n"},
    {{SZ, .length = 1, .offset = 2},
     7,
     {'a', 'b', 1, 'x', 'c', 'd', 0},
     "PREFIX FIXED LENGTH\nLENGTH DONE BODY\nBODY WHOLE PREFIX\n"
     "PREFIX FIXED LENGTH\nLENGTH DONE BODY\nBODY WHOLE PREFIX\n"
     "SONIC_ENEEDMORE\n"},
    {{SZ, .length = V},
     2,
     {0x80, 0x01},
     "PREFIX GROUPS VARINT\nVARINT MORE VARINT\nVARINT DONE BODY\n"
     "SONIC_ENEEDMORE\n"},
    {{SZ, .length = V},
     2,
     {0x80, 0x00},
     "PREFIX GROUPS VARINT\nVARINT MORE VARINT\nVARINT MALFORMED FAILED\n"
     "SONIC_EFRAME_LENGTH\n"},
    {{SZ, .length = V, .max_body = 100},
     1,
     {101},
     "PREFIX GROUPS VARINT\nVARINT LONG FAILED\nSONIC_EFRAME_TOOBIG\n"},
    {{SZ, .length = 1, .max_body = 100},
     1,
     {101},
     "PREFIX FIXED LENGTH\nLENGTH LONG FAILED\nSONIC_EFRAME_TOOBIG\n"},
    {{SZ, .length = 2, .counts = SONIC_FRAME_EVERYTHING},
     2,
     {0, 1},
     "PREFIX FIXED LENGTH\nLENGTH MALFORMED FAILED\nSONIC_EFRAME_LENGTH\n"},
};

START_TEST(golden_traces)
{
    sonic_frame_codec c = frame_codec(&traces[_i].format);
    struct log l = {.len = 0};
    sonic_fsm_tracer tracer = {on_step, &l};
    struct sonic__frame_scan s;
    sonic_frame f;
    size_t at = 0;
    int err;

    sonic__frame_scan_reset(&s);
    while ((err = sonic__frame_scan(&s, &c, traces[_i].bytes + at,
                                    traces[_i].n - at, &tracer, &f)) == 0)
        at += f.total;
    snprintf(l.text + l.len, sizeof l.text - l.len, "%s\n", sonic_errname(err));
    ck_assert_str_eq(l.text, traces[_i].trace);
    if (err != SONIC_ENEEDMORE) /* failed is failed */
        ck_assert_int_eq(
            sonic__frame_scan(&s, &c, traces[_i].bytes, traces[_i].n, NULL, &f),
            SONIC_ESTATE);
}
END_TEST

/* A partial header is not stepped over twice. */
START_TEST(steps_are_taken_once)
{
    sonic_frame_codec c = frame_codec(&(sonic_frame_format){SZ, .length = V});
    static const uint8_t data[] = {0x81, 0x01};
    struct log l = {.len = 0};
    sonic_fsm_tracer tracer = {on_step, &l};
    struct sonic__frame_scan s;
    sonic_frame f;

    sonic__frame_scan_reset(&s);
    for (int again = 0; again < 3; again++)
        for (size_t n = 0; n <= 2; n++)
            if (n >= s.have)
                ck_assert_int_eq(
                    sonic__frame_scan(&s, &c, data, n, &tracer, &f),
                    SONIC_ENEEDMORE);
    ck_assert_str_eq(l.text, "PREFIX GROUPS VARINT\nVARINT MORE VARINT\n"
                             "VARINT DONE BODY\n");
    ck_assert_uint_eq(f.need, 131);
}
END_TEST

START_TEST(every_row_is_taken)
{
    const sonic_fsm *m = &sonic__frame_scan_fsm;

    for (unsigned i = 0; i < m->n_rows; i++) {
        const sonic_fsm_row *r = &m->rows[i];

        ck_assert_msg(m->hits[r->state * m->n_events + r->event] > 0,
                      "%s %s was never taken", m->states[r->state],
                      m->events[r->event]);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame scan");
    TCase *tc = tcase_create("scan");
    SRunner *sr = srunner_create(s);
    int failed, all = (int)frame_formats_n;

    /* One process: the last test looks at the counters of the others. */
    srunner_set_fork_status(sr, CK_NOFORK);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, table_and_short_cut_are_equal_for_every_header, 0,
                        all);
    tcase_add_loop_test(tc, table_and_short_cut_are_equal_for_long_fields, 0,
                        all);
    tcase_add_loop_test(tc, any_split_gives_the_same_frames, 0, all);
    tcase_add_loop_test(tc, golden_traces, 0,
                        (int)(sizeof traces / sizeof traces[0]));
    tcase_add_test(tc, steps_are_taken_once);
    tcase_add_test(tc, every_row_is_taken);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
