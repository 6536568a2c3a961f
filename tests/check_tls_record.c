/* The record machine: every cell of tls_record.def, everything that a peer may
 * put into a record, and what is said in answer. */
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "net/tls_record.h"
#include "support/rig.h"

enum { OPEN, OWING, ENDED, FAILED }; /* as in tls_record.def */

enum { ROOM = SONIC__TLS_CONTENT + 1024 };

/* One end, and a peer that seals anything. */
static struct world {
    struct sonic__tls_record r;
    struct sonic__tls_keys peer_out, peer_in;
    uint8_t wire[ROOM], buf[ROOM];
    struct sonic__tls_content got;
} w;

static void
begin(struct sonic__tls_keys *k, uint8_t secret, bool seals)
{
    uint8_t s[SONIC__TLS_SECRET_MAX];

    memset(s, secret, sizeof s);
    ck_assert_int_eq(
        sonic__tls_keys_begin(k, sonic__tls_suite(0x1301), s, seals, 0), 0);
}

static void
w_close(void)
{
    sonic__tls_record_fini(&w.r);
    sonic__tls_keys_end(&w.peer_out);
    sonic__tls_keys_end(&w.peer_in);
}

static void
w_open(bool client)
{
    w_close();
    memset(&w, 0, sizeof w);
    begin(&w.peer_out, 1, true);
    begin(&w.r.in, 1, false);
    begin(&w.r.out, 2, true);
    begin(&w.peer_in, 2, false);
    sonic__tls_record_init(&w.r, client);
}

/* The peer's record with these n bytes and `zeros` behind the type. */
static size_t
seal(unsigned type, const void *p, size_t n, size_t zeros)
{
    static uint8_t inner[2 * ROOM];
    size_t size = sonic__tls_sealed_size(n + zeros);
    struct iovec v = {inner, n + zeros}, to[2] = {{w.wire, size}, {NULL, 0}};
    struct sonic__tls_from from = {&v, 0};

    memset(inner, 0, n + zeros + 1);
    if (n > 0)
        memcpy(inner, p, n);
    inner[n] = (uint8_t)type; /* the last byte is sealed as the type */
    ck_assert_int_eq(sonic__tls_keys_seal(&w.peer_out, zeros > 0 ? 0 : type,
                                          &from, n + zeros, to),
                     0);
    return size;
}

static int
open_wire(size_t size)
{
    return sonic__tls_record_open(&w.r, w.wire, size, w.buf, sizeof w.buf,
                                  &w.got);
}

static int
hear(unsigned type, const void *p, size_t n)
{
    return open_wire(seal(type, p, n, 0));
}

static int
hear_handshake(const char *bytes, size_t n)
{
    return hear(SONIC__TLS_HANDSHAKE, bytes, n);
}

#define UPDATE "\x18\0\0\1\0"
#define ASK "\x18\0\0\1\1"

static int
hear_ask(void)
{
    return hear_handshake(ASK, 5);
}

/* The note is one record of this type with these bytes; it is sent. */
static void
check_note(unsigned type, const char *bytes, size_t n)
{
    uint8_t got[64], last;

    ck_assert_uint_eq(w.r.n_note, sonic__tls_sealed_size(n));
    ck_assert_int_eq(
        sonic__tls_keys_open(&w.peer_in, w.r.note, w.r.n_note, got, &last), 0);
    ck_assert_uint_eq(last, type);
    ck_assert_mem_eq(got, bytes, n);
    w.r.n_note = 0;
}

/* …and the peer takes to our new keys. */
static void
check_paid(void)
{
    check_note(SONIC__TLS_HANDSHAKE, UPDATE, 5);
    ck_assert_int_eq(sonic__tls_keys_update(&w.peer_in, false), 0);
    ck_assert_mem_eq(w.peer_in.secret, w.r.out.secret, 32);
    ck_assert_uint_eq(w.r.out.seq, 0);
}

static void
check_refused(int result, enum sonic__tls_alert alert)
{
    char fatal[2] = {2, (char)alert};

    ck_assert_int_eq(result, SONIC_ETLS_PROTOCOL);
    ck_assert_uint_eq(w.r.state, FAILED);
    ck_assert_ptr_nonnull(w.r.why);
    check_note(SONIC__TLS_ALERT, fatal, 2);
    ck_assert_int_eq(hear(SONIC__TLS_DATA, "x", 1), SONIC_ETLS_PROTOCOL);
    ck_assert_int_eq(sonic__tls_record_write(&w.r), SONIC_ETLS_PROTOCOL);
    ck_assert_int_eq(sonic__tls_record_close(&w.r), SONIC_ETLS_PROTOCOL);
    ck_assert_uint_eq(w.r.n_note, 0);
}

/* ---- the cells -------------------------------------------------------- */

static void
into(unsigned state)
{
    w_open(false);
    if (state == OWING) {
        ck_assert_int_eq(hear_ask(), 0);
        ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
    }
    if (state == ENDED)
        ck_assert_int_eq(hear(SONIC__TLS_ALERT, "\1\0", 2), SONIC_EOF);
    ck_assert_uint_eq(w.r.state, state);
    ck_assert_uint_eq(w.r.n_note, 0);
}

/* Both sides go on from here. */
static void
check_alive(unsigned state)
{
    ck_assert_uint_eq(w.r.state, state);
    ck_assert_uint_eq(w.r.n_note, 0);
    ck_assert_int_eq(hear(SONIC__TLS_DATA, "more", 4), 1);
    ck_assert_uint_eq(w.got.len, 4);
    ck_assert_mem_eq(w.got.at, "more", 4);
    ck_assert_uint_eq(w.r.state, state);
}

START_TEST(cells_of_reading)
{
    unsigned s = (unsigned)_i; /* OPEN and OWING */

    into(s);
    ck_assert_int_eq(hear(SONIC__TLS_DATA, "data", 4), 1);
    ck_assert_uint_eq(w.got.len, 4);
    ck_assert_mem_eq(w.got.at, "data", 4);
    check_alive(s);
    ck_assert_int_eq(hear(SONIC__TLS_DATA, "", 0), 0);
    check_alive(s);
    ck_assert_int_eq(hear_handshake("\x18\0", 2), 0);
    ck_assert_int_eq(hear_handshake("\0\1\0", 3), 0);
    ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
    check_alive(s);
    ck_assert_int_eq(hear_handshake(UPDATE, 5), 0);
    ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
    check_alive(s);
    ck_assert_int_eq(hear(SONIC__TLS_ALERT, "\1\x5a", 2), 0);
    check_alive(s);
    ck_assert_int_eq(hear_ask(), 0);
    ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
    check_alive(OWING);

    into(s);
    ck_assert_int_eq(hear(SONIC__TLS_ALERT, "\1\0", 2), SONIC_EOF);
    ck_assert_uint_eq(w.r.state, ENDED);
    if (s == OWING)
        check_paid();
    ck_assert_uint_eq(w.r.n_note, 0);
    into(s);
    ck_assert_int_eq(hear(SONIC__TLS_ALERT, "\2\x28", 2), SONIC_ETLS_ALERT);
    ck_assert_uint_eq(w.r.state, FAILED);
    ck_assert_uint_eq(w.r.alert, 40);
    ck_assert_uint_eq(w.r.n_note, 0);
    into(s);
    check_refused(hear(SONIC__TLS_HANDSHAKE, "", 0),
                  SONIC__TLS_UNEXPECTED_MESSAGE);
}
END_TEST

START_TEST(cells_of_sending)
{
    static const unsigned after[] = {OPEN, OPEN, ENDED};
    unsigned s = (unsigned)_i; /* all but FAILED */

    into(s);
    w.r.out.seq = w.peer_in.seq = 3;
    ck_assert_int_eq(sonic__tls_record_write(&w.r), 0);
    ck_assert_uint_eq(w.r.state, after[s]);
    ck_assert_uint_eq(w.r.in.seq, s == ENDED); /* the keys of before */
    if (s == OWING) {
        check_paid();
    } else {
        ck_assert_uint_eq(w.r.n_note, 0);
        ck_assert_uint_eq(w.r.out.seq, 3);
    }
    into(s);
    w.r.limit = 3;
    w.r.out.seq = w.peer_in.seq = 3;
    ck_assert_int_eq(sonic__tls_record_write(&w.r), 0);
    ck_assert_uint_eq(w.r.state, after[s]);
    check_paid();
    ck_assert_int_eq(sonic__tls_record_write(&w.r), 0);
    ck_assert_uint_eq(w.r.n_note, 0);
    into(s);
    ck_assert_int_eq(sonic__tls_record_close(&w.r), 0);
    ck_assert_uint_eq(w.r.state, s);
    check_note(SONIC__TLS_ALERT, "\1\0", 2);
    ck_assert_uint_eq(w.r.out.seq, 1);
}
END_TEST

START_TEST(one_answer_for_several)
{
    into(OPEN);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(hear_ask(), 0);
        ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
    }
    ck_assert_int_eq(sonic__tls_record_write(&w.r), 0);
    check_paid();
    ck_assert_int_eq(sonic__tls_record_write(&w.r), 0);
    ck_assert_uint_eq(w.r.n_note, 0);
    check_alive(OPEN);
}
END_TEST

/* ---- what is wrong ---------------------------------------------------- */

START_TEST(wrong_contents)
{
    static const struct {
        unsigned type;
        const char *bytes;
        size_t n;
        enum sonic__tls_alert alert;
    } table[] = {
        {0, "", 0, SONIC__TLS_UNEXPECTED_MESSAGE}, /* zeros only */
        {0, "\0\0\0\0", 4, SONIC__TLS_UNEXPECTED_MESSAGE},
        {20, "\1", 1, SONIC__TLS_UNEXPECTED_MESSAGE},
        {19, "\1", 1, SONIC__TLS_UNEXPECTED_MESSAGE},
        {24, "\1", 1, SONIC__TLS_UNEXPECTED_MESSAGE}, /* heartbeat */
        {255, "\1", 1, SONIC__TLS_UNEXPECTED_MESSAGE},
        {21, "", 0, SONIC__TLS_DECODE_ERROR},
        {21, "\1", 1, SONIC__TLS_DECODE_ERROR},
        {21, "\1\0\1", 3, SONIC__TLS_DECODE_ERROR},
        {21, "\1\0\1\0", 4, SONIC__TLS_DECODE_ERROR},
        {22, "", 0, SONIC__TLS_UNEXPECTED_MESSAGE},
        {22, UPDATE UPDATE, 10, SONIC__TLS_UNEXPECTED_MESSAGE},
        {22, UPDATE "\x18", 6, SONIC__TLS_UNEXPECTED_MESSAGE},
        {22, "\x18\0\0\1\2", 5, SONIC__TLS_ILLEGAL_PARAMETER},
        {22, "\x18\0\0\1\xff", 5, SONIC__TLS_ILLEGAL_PARAMETER},
        {22, "\x18\0\0\0", 4, SONIC__TLS_DECODE_ERROR},
        {22, "\x18\0\0\2\0\0", 6, SONIC__TLS_DECODE_ERROR},
        {22, "\x18\1\0\1\0", 5, SONIC__TLS_DECODE_ERROR},
        {22, "\x18\0\1\1\0", 5, SONIC__TLS_DECODE_ERROR},
        {22, "\0\0\0\0", 4, SONIC__TLS_UNEXPECTED_MESSAGE},   /* HelloRequest */
        {22, "\1\0\0\1\0", 5, SONIC__TLS_UNEXPECTED_MESSAGE}, /* ClientHello */
        {22, "\4\0\0\1\0", 5, SONIC__TLS_UNEXPECTED_MESSAGE}, /* a ticket */
        {22, "\x0d\0\0\1\0", 5, SONIC__TLS_UNEXPECTED_MESSAGE},
        {22, "\x14\0\0\1\0", 5, SONIC__TLS_UNEXPECTED_MESSAGE},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        w_open(false);
        check_refused(hear(table[i].type, table[i].bytes, table[i].n),
                      table[i].alert);
    }
}
END_TEST

/* Refused as soon as it can be told, whatever else there is of it. */
START_TEST(wrong_heads)
{
    for (unsigned type = 0; type < 256; type++)
        for (size_t n = 1; n < 40; n++) {
            w_open(false);
            ck_assert_uint_eq(
                seal(SONIC__TLS_DATA, "eighteen bytes ...", 18, 0), 40);
            w.wire[0] = (uint8_t)type;
            if (type == SONIC__TLS_DATA) {
                ck_assert_uint_eq(sonic__tls_record_size(w.wire, n),
                                  n < 5 ? 5 : 40);
                continue;
            }
            ck_assert_uint_eq(sonic__tls_record_size(w.wire, n), n);
            check_refused(open_wire(n), SONIC__TLS_UNEXPECTED_MESSAGE);
        }
    for (unsigned version = 0; version <= 0xffff; version += 0x101 / 2)
        for (size_t n = 2; n < 7; n++) {
            w_open(false);
            seal(SONIC__TLS_DATA, "x", 1, 0);
            w.wire[1] = (uint8_t)(version >> 8);
            w.wire[2] = (uint8_t)version;
            if (version >> 8 == 3 && (n == 2 || (version & 255) == 3))
                continue;
            ck_assert_uint_eq(sonic__tls_record_size(w.wire, n), n);
            check_refused(open_wire(n), SONIC__TLS_DECODE_ERROR);
        }
}
END_TEST

START_TEST(lengths)
{
    uint8_t big[SONIC__TLS_CONTENT + 1] = {7};

    for (unsigned len = 0; len <= 0xffff; len++) {
        uint8_t head[6] = {23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len, 1};

        ck_assert_uint_eq(sonic__tls_record_size(head, 6),
                          len > 16384 + 256 ? 6 : 5 + len);
    }
    for (unsigned len = 16640; len < 16643; len++) {
        w_open(false);
        memcpy(w.wire, "\x17\3\3", 3);
        w.wire[3] = (uint8_t)(len >> 8);
        w.wire[4] = (uint8_t)len;
        check_refused(open_wire(len > 16640 ? 5 : 5 + len),
                      len > 16640 ? SONIC__TLS_RECORD_OVERFLOW
                                  : SONIC__TLS_BAD_RECORD_MAC);
    }
    for (size_t len = 0; len < 17; len++) { /* too short to be authentic */
        w_open(false);
        memcpy(w.wire, "\x17\3\3\0", 4);
        w.wire[4] = (uint8_t)len;
        check_refused(open_wire(5 + len), SONIC__TLS_BAD_RECORD_MAC);
    }
    w_open(false);
    ck_assert_int_eq(hear(SONIC__TLS_DATA, big, SONIC__TLS_CONTENT), 1);
    ck_assert_uint_eq(w.got.len, SONIC__TLS_CONTENT);
    check_refused(hear(SONIC__TLS_DATA, big, SONIC__TLS_CONTENT + 1),
                  SONIC__TLS_RECORD_OVERFLOW);
    w_open(false); /* zeros count as well: 5.4 */
    ck_assert_int_eq(open_wire(seal(SONIC__TLS_DATA, big, 1, 16383)), 1);
    check_refused(open_wire(seal(SONIC__TLS_DATA, big, 1, 16384)),
                  SONIC__TLS_RECORD_OVERFLOW);
    w_open(false); /* agreed on: RFC 6066 section 4 */
    w.r.content = 512;
    ck_assert_int_eq(open_wire(seal(SONIC__TLS_DATA, big, 512, 500)), 1);
    check_refused(hear(SONIC__TLS_DATA, big, 513), SONIC__TLS_RECORD_OVERFLOW);
}
END_TEST

START_TEST(not_authentic)
{
    size_t size;

    w_open(false);
    size = seal(SONIC__TLS_DATA, "precious", 8, 0);
    for (size_t at = 5; at < size; at++) {
        w_open(false);
        seal(SONIC__TLS_DATA, "precious", 8, 0);
        w.wire[at] ^= 1;
        check_refused(open_wire(size), SONIC__TLS_BAD_RECORD_MAC);
    }
    w_open(false); /* twice the same */
    seal(SONIC__TLS_DATA, "precious", 8, 0);
    memcpy(w.wire + 100, w.wire, size);
    ck_assert_int_eq(open_wire(size), 1);
    memcpy(w.wire, w.wire + 100, size);
    check_refused(open_wire(size), SONIC__TLS_BAD_RECORD_MAC);
    w_open(false); /* under the keys of before */
    ck_assert_int_eq(hear_handshake(UPDATE, 5), 0);
    check_refused(hear(SONIC__TLS_DATA, "x", 1), SONIC__TLS_BAD_RECORD_MAC);
}
END_TEST

/* ---- messages in pieces ----------------------------------------------- */

/* RFC 8446 section 5.1: in any pieces, and nothing between them. */
START_TEST(key_update_in_pieces)
{
    static const char ask[] = ASK;

    for (size_t a = 1; a < 5; a++)
        for (size_t b = a; b < 5; b++) {
            w_open(false);
            ck_assert_int_eq(hear_handshake(ask, a), 0);
            if (b > a)
                ck_assert_int_eq(hear_handshake(ask + a, b - a), 0);
            ck_assert_uint_eq(w.r.state, OPEN);
            ck_assert_int_eq(hear_handshake(ask + b, 5 - b), 0);
            ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
            check_alive(OWING);
        }
    for (size_t a = 1; a < 5; a++)
        for (unsigned type = SONIC__TLS_ALERT; type <= SONIC__TLS_DATA;
             type += 2) {
            w_open(false);
            ck_assert_int_eq(hear_handshake(ask, a), 0);
            check_refused(hear(type, "\1\0", 2), SONIC__TLS_UNEXPECTED_MESSAGE);
        }
}
END_TEST

/* A client is sent tickets: together, cut, and with a KeyUpdate behind. */
START_TEST(tickets)
{
    static char many[1000];
    size_t n = 0;

    for (size_t len = 0; len < 20; len += 3) {
        many[n] = 4;
        many[n + 3] = (char)len;
        n += 4 + len;
    }
    memcpy(many + n, ASK, 5);
    n += 5;
    for (size_t a = 1; a < n; a++) {
        w_open(true);
        ck_assert_int_eq(hear_handshake(many, a), 0);
        ck_assert_int_eq(hear_handshake(many + a, n - a), 0);
        ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
        check_alive(OWING);
    }
    w_open(true); /* nothing between the pieces */
    ck_assert_int_eq(hear_handshake("\4\0\0\3\0\0", 6), 0);
    check_refused(hear(SONIC__TLS_DATA, "x", 1), SONIC__TLS_UNEXPECTED_MESSAGE);
    w_open(true);
    check_refused(hear_handshake("\4\3\0\0", 4), SONIC__TLS_DECODE_ERROR);
    w_open(true); /* we have not offered post-handshake authentication */
    check_refused(hear_handshake("\x0d\0\0\1\0", 5),
                  SONIC__TLS_UNEXPECTED_MESSAGE);
}
END_TEST

/* ---- much of nothing -------------------------------------------------- */

static void
hear_useless(unsigned kind)
{
    if (kind == 0)
        ck_assert_int_eq(hear(SONIC__TLS_DATA, "", 0), 0);
    else if (kind == 1)
        ck_assert_int_eq(hear(SONIC__TLS_ALERT, "\1\x5a", 2), 0);
    else
        ck_assert_int_eq(hear_handshake(kind == 2 ? UPDATE : ASK, 5), 0);
    if (kind >= 2)
        ck_assert_int_eq(sonic__tls_keys_update(&w.peer_out, true), 0);
}

START_TEST(not_too_many)
{
    unsigned kind = (unsigned)_i;

    w_open(false);
    for (int again = 0; again < 3; again++) {
        for (int i = 0; i < SONIC__TLS_USELESS; i++)
            hear_useless(kind);
        if (again == 0) /* data either way begins anew */
            ck_assert_int_eq(hear(SONIC__TLS_DATA, "x", 1), 1);
        if (again == 1)
            ck_assert_int_eq(sonic__tls_record_write(&w.r), 0);
        if (again == 1 && kind == 3)
            check_paid();
    }
    check_refused(hear(SONIC__TLS_DATA, "", 0), SONIC__TLS_UNEXPECTED_MESSAGE);
}
END_TEST

/* ---- padding, and room ------------------------------------------------ */

START_TEST(any_padding_any_room)
{
    static uint8_t content[600];

    rig_fill(content, sizeof content, 9);
    for (size_t n = 1; n < 40; n++)
        content[n - 1] = n % 3 == 0 ? 0 : 5; /* zeros of its own */
    for (size_t n = 0; n < sizeof content; n += n < 40 ? 1 : 111)
        for (size_t zeros = 0; zeros < 300; zeros += zeros < 20 ? 1 : 77)
            for (size_t less = 0; less <= n + zeros + 2; less += 1 + n / 4) {
                size_t size, room = n + zeros + 2 - less;

                w_open(false);
                size = seal(SONIC__TLS_DATA, content, n, zeros);
                w.buf[room] = 0xa5;
                ck_assert_int_eq(sonic__tls_record_open(&w.r, w.wire, size,
                                                        w.buf, room, &w.got),
                                 n > 0);
                ck_assert_uint_eq(w.buf[room], 0xa5);
                ck_assert_uint_eq(w.got.len, n);
                ck_assert_ptr_eq(w.got.at, less <= 2 ? w.buf : w.wire + 5);
                ck_assert(n == 0 || memcmp(w.got.at, content, n) == 0);
            }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls_record");
    TCase *tc = tcase_create("tls_record");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, cells_of_reading, OPEN, OWING + 1);
    tcase_add_loop_test(tc, cells_of_sending, OPEN, ENDED + 1);
    tcase_add_test(tc, one_answer_for_several);
    tcase_add_test(tc, wrong_contents);
    tcase_add_test(tc, wrong_heads);
    tcase_add_test(tc, lengths);
    tcase_add_test(tc, not_authentic);
    tcase_add_test(tc, key_update_in_pieces);
    tcase_add_test(tc, tickets);
    tcase_add_loop_test(tc, not_too_many, 0, 4);
    tcase_add_test(tc, any_padding_any_room);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
