/* What the parser does with its window: what it keeps, how much, for how
 * long; pauses; limits; deliveries that change. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "support/ws_drive.h"
#include "support/ws_script.h"

enum { SERVER = true, CLIENT = false };

static struct sonic__ws_rules
rules_for(bool server, uint64_t max_message)
{
    return (struct sonic__ws_rules){
        .simd = sonic__ws_simd_best(),
        .max_message = max_message,
        .expect = {.mask = server ? 0x80 : 0},
        .utf8 = true,
    };
}

static void
start(struct ws_drive *d, bool server, enum sonic__ws_delivery delivery)
{
    struct sonic__ws_rules rules = rules_for(server, 1 << 20);

    ws_drive_init(d, &rules, delivery);
}

static void
feed(struct ws_drive *d, const char *script)
{
    static uint8_t bytes[1 << 17];
    size_t n =
        ws_script(script, d->rules.expect.mask != 0, bytes, sizeof bytes);

    ck_assert_msg(ws_drive_feed(d, bytes, n), "%s", ws_log_text(&d->log));
}

static void
finish(struct ws_drive *d, const char *log)
{
    ck_assert_str_eq(ws_log_text(&d->log), log);
    ws_drive_free(d);
}

/* The bytes of a split header are kept in the parser: an idle connection
 * holds no window. */
START_TEST(a_split_header_leaves_the_window_empty)
{
    struct ws_drive d;
    uint8_t bytes[400];
    size_t n = ws_script("b*300", SERVER, bytes, sizeof bytes);

    start(&d, SERVER, SONIC__WS_WHOLE);
    ck_assert(sonic__ws_parser_idle(&d.parser));
    for (size_t i = 0; i < 8; i++) {
        ck_assert(ws_drive_feed(&d, bytes + i, 1));
        ck_assert_uint_eq(d.len, 0);
        ck_assert(!sonic__ws_parser_idle(&d.parser));
    }
    for (size_t i = 8; i < n; i++) {
        ck_assert_uint_eq(d.len, i - 8);
        ck_assert(ws_drive_feed(&d, bytes + i, 1));
    }
    ck_assert_uint_eq(d.len, 0);
    ck_assert(sonic__ws_parser_idle(&d.parser));
    ws_drive_free(&d);
}
END_TEST

START_TEST(nothing_is_a_window_too)
{
    const struct sonic__ws_rules rules = rules_for(CLIENT, 100);
    const struct sonic__ws_sink none = {NULL, NULL, NULL, NULL};
    struct sonic__ws_progress done = {1, 1, 1, true};
    struct sonic__ws_parser p;

    sonic__ws_parser_init(&p, SONIC__WS_WHOLE);
    ck_assert_int_eq(sonic__ws_parse(&p, &rules, &none, NULL, NULL, 0, &done),
                     0);
    ck_assert_uint_eq(done.consumed, 0);
    ck_assert_uint_eq(done.trimmed, 0);
    ck_assert_uint_eq(done.want, 0);
}
END_TEST

static bool
any_control(uint8_t opcode, uint8_t *data, size_t n, void *ud)
{
    (void)opcode;
    (void)data;
    (void)n;
    (void)ud;
    return true;
}

/* want, after these bytes to a client: what the window must hold. */
static const struct wanted {
    const char *script;
    enum sonic__ws_delivery delivery;
    size_t kept, want;
} wanteds[] = {
    {"", SONIC__WS_WHOLE, 0, 0},
    {"=82", SONIC__WS_WHOLE, 0, 0},
    {"=827e", SONIC__WS_WHOLE, 0, 0},
    {"=827e0200", SONIC__WS_WHOLE, 0, 512},
    {"=827e0200 =6162", SONIC__WS_WHOLE, 2, 512},
    {"=827e0200 =6162", SONIC__WS_FRAMES, 2, 512},
    {"=827e0200 =6162", SONIC__WS_CHUNKS, 0, 0},
    {"b+abc", SONIC__WS_WHOLE, 3, 0},
    {"b+abc", SONIC__WS_FRAMES, 0, 0},
    {"b+abc =0005 =61", SONIC__WS_WHOLE, 4, 8},
    {"b+abc =0005 =61", SONIC__WS_FRAMES, 1, 5},
    {"b+abc =8905 =6162", SONIC__WS_WHOLE, 5, 8},
    {"b+abc =8905", SONIC__WS_WHOLE, 3, 8},
    {"b+abc =8905 =6162", SONIC__WS_CHUNKS, 2, 5},
    {"b+abc =8905 =6162", SONIC__WS_FRAMES, 2, 5},
    {"=8905 =61", SONIC__WS_WHOLE, 1, 5},
    {"b+abc =89", SONIC__WS_WHOLE, 3, 0},
    {"=827f000000003fffffff =61", SONIC__WS_CHUNKS, 0, 0},
};
enum { WANTEDS = sizeof wanteds / sizeof *wanteds };

static bool
any_chunk(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    (void)flags;
    return any_control(opcode, data, n, ud);
}

static bool
any_frame(bool fin, uint8_t rsv, uint8_t opcode, uint8_t *data, size_t n,
          void *ud)
{
    (void)fin;
    (void)rsv;
    return any_control(opcode, data, n, ud);
}

START_TEST(want_and_what_is_kept)
{
    static const struct sonic__ws_sink sink = {any_chunk, any_chunk, any_frame,
                                               any_control};
    const struct wanted *w = &wanteds[_i];
    const struct sonic__ws_rules rules = rules_for(CLIENT, UINT64_MAX);
    struct sonic__ws_progress done;
    struct sonic__ws_parser p;
    uint8_t bytes[100];
    size_t n = ws_script(w->script, CLIENT, bytes, sizeof bytes);

    sonic__ws_parser_init(&p, w->delivery);
    ck_assert_int_eq(sonic__ws_parse(&p, &rules, &sink, NULL, bytes, n, &done),
                     0);
    ck_assert_uint_eq(n - done.consumed - done.trimmed, w->kept);
    ck_assert_uint_eq(done.want, w->want);
}
END_TEST

/* A header may claim what it likes: nothing is kept but what has come. */
START_TEST(a_huge_claim_costs_nothing)
{
    static const char *const claims[] = {
        "=827f0000000040000000", /* 1 GiB */
        "=027f000000007fffffff",
        "=827f7fffffffffffffff",
    };
    const size_t n = PTRDIFF_MAX > INT32_MAX ? 3 : 2; /* that memory has */
    struct sonic__ws_rules rules = rules_for(CLIENT, UINT64_MAX);
    struct ws_drive d;

    for (size_t i = 0; i < n; i++)
        for (int delivery = 0; delivery < 3; delivery++) {
            ws_drive_init(&d, &rules, (enum sonic__ws_delivery)delivery);
            feed(&d, claims[i]);
            ck_assert_uint_eq(d.len, 0);
            feed(&d, "=616263");
            ck_assert_uint_le(d.len, 3);
            finish(&d, "");
        }
    rules.max_message = (UINT64_C(1) << 30) - 1;
    ws_drive_init(&d, &rules, SONIC__WS_WHOLE);
    feed(&d, claims[0]);
    finish(&d, "SONIC_EWS_TOOBIG\n");
}
END_TEST

START_TEST(the_sum_of_fragments_does_not_overflow)
{
    static const uint64_t sums[] = {UINT64_MAX, UINT64_MAX - 1,
                                    (uint64_t)PTRDIFF_MAX,
                                    (uint64_t)PTRDIFF_MAX + 1};

    for (size_t i = 0; i < 4; i++) {
        struct sonic__ws_rules rules = rules_for(CLIENT, UINT64_MAX);
        struct ws_drive d;

        ws_drive_init(&d, &rules, SONIC__WS_CHUNKS);
        feed(&d, "b+a");
        d.parser.seen = sums[i];
        feed(&d, "cab");
        finish(&d, "SONIC_EWS_TOOBIG\n");
    }
}
END_TEST

/* The limit may be changed at any time, below what has been taken in too. */
START_TEST(the_limit_is_lowered_in_a_message)
{
    struct ws_drive d;

    start(&d, SERVER, SONIC__WS_WHOLE);
    feed(&d, "b+abcdef");
    d.rules.max_message = 3;
    feed(&d, "c");
    finish(&d, "SONIC_EWS_TOOBIG\n");

    start(&d, SERVER, SONIC__WS_WHOLE);
    feed(&d, "b+ab");
    d.rules.max_message = 3;
    feed(&d, "cc babcd");
    finish(&d, "m2/0 3 abc\nSONIC_EWS_TOOBIG\n");
}
END_TEST

/* A limit counts each message anew, whatever the delivery. */
START_TEST(the_limit_is_for_one_message)
{
    for (int delivery = 0; delivery < 3; delivery++) {
        struct ws_drive d;

        start(&d, CLIENT, (enum sonic__ws_delivery)delivery);
        d.rules.max_message = 4;
        for (int i = 0; i < 10; i++)
            feed(&d, "b+ab c+c cd tabcd");
        ck_assert_int_eq(d.err, 0);
        feed(&d, "b+ab c+c cde");
        ck_assert_int_eq(d.err, SONIC_EWS_TOOBIG);
        ws_drive_free(&d);
    }
}
END_TEST

enum { MANY = 10000000, READ = 16384, LARGE_READ = 1 << 20, MAX_TAIL = 139 };

static unsigned long
many(void)
{
    return getenv("SONIC_TEST_SLOW") != NULL ? MANY / 50 : MANY;
}

/* Feed MANY times the frames of the script, `read` bytes at a time. */
static void
feed_many(struct ws_drive *d, const char *script, size_t read)
{
    static uint8_t bytes[LARGE_READ];
    uint8_t one[200];
    size_t n = ws_script(script, d->rules.expect.mask != 0, one, sizeof one);
    size_t at = 0;

    for (unsigned long i = 0; i < many(); i++) {
        if (at + n > read) {
            ck_assert(ws_drive_feed(d, bytes, at));
            at = 0;
        }
        memcpy(bytes + at, one, n);
        at += n;
    }
    ck_assert(ws_drive_feed(d, bytes, at));
}

/* Assembled payload stays, and a read on top of it: no header, no control
 * frame, no gap. */
START_TEST(ten_million_fragments)
{
    struct ws_drive d;

    start(&d, SERVER, SONIC__WS_WHOLE);
    d.rules.max_message = MANY + 1;
    feed(&d, "b+");
    feed_many(&d, "c+a", LARGE_READ);
    ck_assert_uint_eq(d.len, many());
    ck_assert_uint_le(d.largest, many() + LARGE_READ + MAX_TAIL);
    feed(&d, "cz");
    ck_assert_uint_eq(d.len, 0);
    ck_assert(strncmp(ws_log_text(&d.log), "m2/0 ", 5) == 0);
    ck_assert_uint_eq(strtoul(ws_log_text(&d.log) + 5, NULL, 10), many() + 1);
    ws_drive_free(&d);
}
END_TEST

START_TEST(ten_million_empty_fragments)
{
    struct ws_drive d;

    start(&d, SERVER, SONIC__WS_WHOLE);
    feed(&d, "t+hello");
    feed_many(&d, "c+", READ);
    ck_assert_uint_le(d.largest, 5 + READ + MAX_TAIL);
    feed(&d, "c");
    finish(&d, "m1/0 5 hello\n");
}
END_TEST

START_TEST(ten_million_fragments_in_chunks)
{
    struct ws_drive d;

    start(&d, CLIENT, SONIC__WS_CHUNKS);
    feed(&d, "b+");
    feed_many(&d, "c+a", READ);
    ck_assert_uint_le(d.largest, READ + MAX_TAIL);
    ck_assert_uint_eq(d.len, 0);
    ws_drive_free(&d);
}
END_TEST

START_TEST(many_pings_in_a_message)
{
    struct ws_drive d;
    uint8_t ping[140];
    size_t n = ws_script("p*125", SERVER, ping, sizeof ping);

    start(&d, SERVER, SONIC__WS_WHOLE);
    feed(&d, "t+hello");
    for (unsigned long i = 0; i < many() / 1000; i++)
        for (size_t at = 0; at < n; at += 48) {
            size_t part = n - at < 48 ? n - at : 48;

            ck_assert(ws_drive_feed(&d, ping + at, part));
            d.log.n = 0; /* 10^4 are not worth keeping */
        }
    ck_assert_uint_eq(d.len, 5);
    ck_assert_uint_le(d.largest, 5 + 125 + 48);
    feed(&d, "c");
    finish(&d, "m1/0 5 hello\n");
}
END_TEST

struct pauser {
    struct ws_log log;
    int pauses;
};

static bool
pause_control(uint8_t opcode, uint8_t *data, size_t n, void *ud)
{
    struct pauser *p = ud;

    ws_log_line(&p->log, 'c', opcode, 0, data, n);
    p->pauses++;
    return false;
}

static bool
note_message(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    struct pauser *p = ud;

    ws_log_line(&p->log, 'm', opcode, flags, data, n);
    return true;
}

/* Pausing again and again in front of a long tail must not move the tail each
 * time: the gap stays until it has become worth it. */
START_TEST(a_pause_does_not_move_a_long_tail)
{
    enum { PINGS = 400, TAIL = 3000 };
    static const struct sonic__ws_sink sink = {.on_message = note_message,
                                               .on_control = pause_control};
    const struct sonic__ws_rules rules = rules_for(SERVER, 10000);
    static uint8_t window[20000];
    struct pauser pauser = {{NULL, 0, 0}, 0};
    struct sonic__ws_progress done;
    struct sonic__ws_parser p;
    size_t at = 0, len, moved = 0;
    int r;

    len = ws_script("b+abc", SERVER, window, sizeof window);
    for (int i = 0; i < PINGS; i++)
        len += ws_script("p1234", SERVER, window + len, sizeof window - len);
    len += ws_script("c*3000", SERVER, window + len, sizeof window - len);
    sonic__ws_parser_init(&p, SONIC__WS_WHOLE);
    do {
        r = sonic__ws_parse(&p, &rules, &sink, &pauser, window + at, len,
                            &done);
        ck_assert_int_ge(r, 0);
        if (done.trimmed > 0)
            moved += len - done.consumed - done.trimmed;
        at += done.consumed;
        len -= done.consumed + done.trimmed;
    } while (r == 1);
    ck_assert_int_eq(pauser.pauses, PINGS);
    ck_assert_uint_eq(len, 0);
    /* Each byte moved has been paid for by a byte taken in. */
    ck_assert_uint_le(moved, PINGS * 10 + TAIL + 20);
    ck_assert_ptr_nonnull(strstr(ws_log_text(&pauser.log), "m2/0 3003 "));
    ws_log_free(&pauser.log);
}
END_TEST

/* The sink of these tests changes the delivery at each delivery. */
struct changer {
    struct sonic__ws_parser parser;
    struct ws_log log;
    enum sonic__ws_delivery next;
};

static bool
change(struct changer *c)
{
    sonic__ws_parser_deliver(&c->parser, c->next);
    c->next = (enum sonic__ws_delivery)((c->next + 1) % 3);
    return true;
}

static bool
change_message(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    struct changer *c = ud;

    ws_log_line(&c->log, 'm', opcode, flags, data, n);
    return change(c);
}

static bool
change_chunk(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    struct changer *c = ud;

    ws_log_line(&c->log, 'k', opcode, flags, data, n);
    return flags & SONIC__WS_LAST ? change(c) : true;
}

static bool
change_frame(bool fin, uint8_t rsv, uint8_t opcode, uint8_t *data, size_t n,
             void *ud)
{
    struct changer *c = ud;

    ws_log_line(&c->log, fin ? 'F' : 'f', opcode, rsv, data, n);
    return opcode & 8 ? true : change(c);
}

static bool
change_control(uint8_t opcode, uint8_t *data, size_t n, void *ud)
{
    struct changer *c = ud;

    ws_log_line(&c->log, 'c', opcode, 0, data, n);
    return true;
}

/* From the next message on: never in the middle of one. */
START_TEST(delivery_changes_between_messages)
{
    static const struct sonic__ws_sink sink = {change_message, change_chunk,
                                               change_frame, change_control};
    const struct sonic__ws_rules rules = rules_for(CLIENT, 100);
    struct changer c = {.next = SONIC__WS_CHUNKS};
    struct sonic__ws_progress done;
    uint8_t bytes[100];
    size_t n = ws_script("ta p1 t+b p2 cc p3 t+d p4 c+e cf p5 tg th", CLIENT,
                         bytes, sizeof bytes);

    sonic__ws_parser_init(&c.parser, SONIC__WS_WHOLE);
    ck_assert_int_eq(
        sonic__ws_parse(&c.parser, &rules, &sink, &c, bytes, n, &done), 0);
    ck_assert_uint_eq(done.consumed, n);
    ck_assert_str_eq(ws_log_text(&c.log),
                     "m1/0 1 a\n"   /* whole, then chunks */
                     "c9/0 1 1\n"   /*                    */
                     "k1/1 1 b\n"   /*                    */
                     "c9/0 1 2\n"   /*                    */
                     "k1/2 1 c\n"   /* then frames        */
                     "F9/0 1 3\n"   /*                    */
                     "f1/0 1 d\n"   /* asks for whole ... */
                     "F9/0 1 4\n"   /*                    */
                     "f0/0 1 e\n"   /* for chunks ...     */
                     "F0/0 1 f\n"   /* for frames         */
                     "F9/0 1 5\n"   /*                    */
                     "F1/0 1 g\n"   /* then whole         */
                     "m1/0 1 h\n"); /*                    */
    ws_log_free(&c.log);
}
END_TEST

/* 7692 6.: the flag is the message's, and what is compressed is not text. */
START_TEST(compressed_is_told_and_not_checked)
{
    for (int cut = 0; cut < 2; cut++) {
        struct ws_drive d;

        start(&d, SERVER, SONIC__WS_WHOLE);
        d.rules.expect.rsv = 0x40;
        if (cut) {
            feed(&d, "=c1");
            feed(&d, "=81 =00000000 =ff");
            feed(&d, "rt+%fe cx");
        } else {
            feed(&d, "rt%ff rt+%fe cx");
        }
        feed(&d, "rbz tok t%ff");
        finish(&d, "m1/4 1 %ff\nm1/4 2 %fex\nm2/4 1 z\nm1/0 2 ok\n"
                   "SONIC_EWS_UTF8\n");
    }
}
END_TEST

START_TEST(text_is_not_checked_when_not_asked)
{
    struct ws_drive d;

    start(&d, SERVER, SONIC__WS_WHOLE);
    d.rules.utf8 = false;
    feed(&d, "t%ff t+%c3 cx");
    finish(&d, "m1/0 1 %ff\nm1/0 2 %c3x\n");
}
END_TEST

/* What comes whole and quick takes another way than what comes slowly; a
 * tracer sends all of it the slow way, and sees it. */
static void
count(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
      void *ud)
{
    unsigned *steps = ud;

    (void)from;
    (void)event;
    (void)to;
    *steps += fsm == &sonic__ws_message_fsm;
}

START_TEST(a_tracer_sees_every_message)
{
    unsigned steps = 0;
    const sonic_fsm_tracer tracer = {count, &steps};
    struct ws_drive d;

    start(&d, SERVER, SONIC__WS_WHOLE);
    d.rules.tracer = &tracer;
    feed(&d, "ta bb tc p");
    ck_assert_uint_eq(steps, 7);
    finish(&d, "m1/0 1 a\nm2/0 1 b\nm1/0 1 c\nc9/0 0 \n");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_window");
    TCase *t = tcase_create("window");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, a_split_header_leaves_the_window_empty);
    tcase_add_test(t, nothing_is_a_window_too);
    tcase_add_loop_test(t, want_and_what_is_kept, 0, WANTEDS);
    tcase_add_test(t, a_huge_claim_costs_nothing);
    tcase_add_test(t, the_sum_of_fragments_does_not_overflow);
    tcase_add_test(t, the_limit_is_lowered_in_a_message);
    tcase_add_test(t, the_limit_is_for_one_message);
    tcase_add_test(t, ten_million_fragments);
    tcase_add_test(t, ten_million_empty_fragments);
    tcase_add_test(t, ten_million_fragments_in_chunks);
    tcase_add_test(t, many_pings_in_a_message);
    tcase_add_test(t, a_pause_does_not_move_a_long_tail);
    tcase_add_test(t, delivery_changes_between_messages);
    tcase_add_test(t, compressed_is_told_and_not_checked);
    tcase_add_test(t, text_is_not_checked_when_not_asked);
    tcase_add_test(t, a_tracer_sees_every_message);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
