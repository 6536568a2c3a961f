/* What a dispatch sends: the cork, references, lending again. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

enum { BIG = 100 * 1024 };

/* What the lend callbacks of a test share. */
struct dispatch {
    struct rig *r;
    sonic_stream *other;
    void (*first)(sonic_stream *s, uint8_t *data, size_t len,
                  struct dispatch *d);
    unsigned calls;
    int err;
    size_t len;
};

static void
on_lent(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct dispatch *d = ud;

    d->calls++;
    d->err = err;
    d->len = len;
    if (err == 0 && d->calls == 1)
        d->first(s, data, len, d);
}

/* Have `first` run as the callback of a lend that shows n bytes. */
static sonic_stream *
dispatch(struct rig *r, int *peer, struct dispatch *d, size_t n)
{
    sonic_stream *s = rig_stream(r, peer);
    uint8_t *p = malloc(n);

    d->r = r;
    rig_fill(p, n, 0);
    rig_put(*peer, p, n);
    free(p);
    sonic_stream_lend(s, n, n, on_lent, d);
    RIG_UNTIL(r, d->calls > 0);
    return s;
}

static void
expect(int peer, const char *text)
{
    char got[64];

    rig_get(peer, got, strlen(text));
    ck_assert_mem_eq(got, text, strlen(text));
}

static void
put(sonic_stream *s, const char *text)
{
    sonic_cork *c = sonic_io_cork(sonic_stream_io(s));
    size_t n = strlen(text);

    ck_assert_ptr_eq(c->stream, s);
    ck_assert_uint_ge((size_t)(c->end - c->at), n);
    memcpy(c->at, text, n);
    c->at += n;
}

/* ---- the cork --------------------------------------------------------- */

static void
small_ones(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    uint8_t *p;

    (void)data, (void)len, (void)d;
    put(s, "one ");
    ck_assert_int_eq(sonic_stream_send(s, "two ", 4), 0);
    put(s, "three ");
    p = sonic_stream_reserve(s, 100);
    ck_assert_ptr_nonnull(p);
    memcpy(p, "four ", 5);
    ck_assert_int_eq(sonic_stream_commit(s, 5), 0);
    ck_assert_int_eq(sonic_stream_send_framed(s, "fi", 2, "ve", 2), 0);
    ck_assert_uint_eq(sonic_stream_queued(s), 23);
    sonic_stream_consume(s, SIZE_MAX);
}

START_TEST(small_ones_leave_together)
{
    struct rig r;
    struct dispatch d = {.first = small_ones};
    int peer;

    rig_open(&r, _i);
    dispatch(&r, &peer, &d, 10);
    expect(peer, "one two three four five");
    ck_assert_uint_eq(rig_stats(&r).writes, 1);
    ck_assert_uint_eq(rig_stats(&r).bytes_out, 23);
    ck_assert_ptr_null(sonic_io_cork(r.io)->stream); /* outside: no room */
    close(peer);
    rig_close(&r);
}
END_TEST

static void
in_order(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    static char big[BIG];

    (void)d;
    memset(big, 'B', sizeof big);
    put(s, "a");
    ck_assert(sonic_stream_refer(s, data, 2));
    put(s, "b");
    ck_assert_int_eq(sonic_stream_send(s, data + 2, 600), 0); /* refers */
    ck_assert_int_eq(sonic_stream_send(s, data, len), 0);     /* refers */
    ck_assert_int_eq(sonic_stream_send(s, "c", 1), 0);
    ck_assert_uint_eq(sonic_stream_queued(s), 605 + len);
    ck_assert_int_ge(sonic_stream_send(s, big, sizeof big), 0);
    ck_assert_ptr_null(sonic_io_cork(d->r->io)->stream);
    ck_assert_int_ge(sonic_stream_send(s, "d", 1), 0);
    ck_assert(!sonic_stream_refer(s, data, 1)); /* the cork is closed */
    sonic_stream_consume(s, SIZE_MAX);
}

START_TEST(all_in_the_order_of_the_calls)
{
    struct rig r;
    struct dispatch d = {.first = in_order};
    uint8_t *want = malloc(20000), *got = malloc(20000 + BIG);
    size_t n = 0;
    int peer;

    rig_open(&r, _i);
    dispatch(&r, &peer, &d, 10000);
    want[n++] = 'a';
    rig_fill(want + n, 2, 0);
    want[n += 2] = 'b';
    rig_fill(want + ++n, 600, 2);
    rig_fill(want + (n += 600), 10000, 0);
    want[n += 10000] = 'c';
    n++;
    rig_get(peer, got, n + BIG + 1);
    ck_assert_mem_eq(got, want, n);
    for (size_t i = 0; i < BIG; i++)
        ck_assert_uint_eq(got[n + i], 'B');
    ck_assert_uint_eq(got[n + BIG], 'd');
    free(want);
    free(got);
    close(peer);
    rig_close(&r);
}
END_TEST

static void
refer_all(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    (void)d;
    put(s, "<");
    for (size_t i = 0; i < len; i += 1000)
        ck_assert(
            sonic_stream_refer(s, data + i, len - i < 1000 ? len - i : 1000));
    put(s, ">");
    sonic_stream_consume(s, SIZE_MAX);
}

/* The peer does not read: what was referred to has to be kept. */
START_TEST(the_system_takes_a_part)
{
    struct rig r;
    struct dispatch d = {.first = refer_all};
    sonic_stream *s;
    int fd[2], small = 4096;
    char end;

    rig_open(&r, _i);
    rig_pair(fd);
    ck_assert_int_eq(
        setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    s = rig_adopt(&r, fd[0]);
    d.r = &r;
    sonic_stream_lend(s, 50000, 50000, on_lent, &d);
    for (size_t i = 0; i < 50000; i += 1000) {
        uint8_t part[1000];

        rig_fill(part, sizeof part, i);
        rig_put(fd[1], part, sizeof part);
        rig_settle(&r);
    }
    RIG_UNTIL(&r, d.calls > 0);
    ck_assert_uint_gt(sonic_stream_queued(s), 0);
    expect(fd[1], "<");
    rig_take(&r, fd[1], 0, 50000);
    RIG_UNTIL(&r, sonic_stream_queued(s) == 0);
    rig_get(fd[1], &end, 1);
    ck_assert_int_eq(end, '>');
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

static void
refuse(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    static const char foreign[600];

    ck_assert(!sonic_stream_refer(s, foreign, sizeof foreign));
    ck_assert(!sonic_stream_refer(d->other, data, len));
    ck_assert(!sonic_stream_refer(s, data, 300000)); /* more than it takes */
    ck_assert_uint_eq(sonic_io_cork(d->r->io)->ref_room, 0);
    for (unsigned i = 0; sonic_stream_refer(s, data, 1); i++)
        ck_assert_uint_lt(i, 100); /* there is an end to it */
    ck_assert_int_eq(sonic_stream_send(s, "!", 1), 0);
    sonic_stream_consume(s, SIZE_MAX);
}

START_TEST(only_lent_memory_is_referred_to)
{
    struct rig r;
    struct dispatch d = {.first = refuse};
    sonic_stream *s;
    int peer, other;
    uint8_t byte, first;
    unsigned n = 0;

    rig_open(&r, _i);
    d.other = rig_stream(&r, &other);
    s = dispatch(&r, &peer, &d, 700);
    ck_assert(!sonic_stream_refer(s, &byte, 1)); /* no callback */
    rig_fill(&first, 1, 0);
    for (rig_get(peer, &byte, 1); byte == first; n++)
        rig_get(peer, &byte, 1);
    ck_assert_uint_eq(byte, '!');
    ck_assert_uint_gt(n, 10);
    close(peer);
    close(other);
    rig_close(&r);
}
END_TEST

static void
refer_on(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    sonic_cork *c = sonic_io_cork(sonic_stream_io(s));

    (void)d;
    ck_assert_uint_eq(c->ref_room, 0);
    ck_assert(sonic_stream_refer(s, data, 10));
    ck_assert(sonic_stream_refer(s, data + 10, 600));
    ck_assert_ptr_eq(c->ref_end, data + 610);
    ck_assert_ptr_eq(c->ref_at, c->at);
    ck_assert_uint_ge(c->ref_room, len - 610);
    c->ref_end += len - 610;
    c->ref_room -= len - 610;
    ck_assert_uint_eq(sonic_stream_queued(s), len);
    sonic_stream_consume(s, SIZE_MAX);
}

START_TEST(what_follows_is_the_same_piece)
{
    struct rig r;
    struct dispatch d = {.first = refer_on};
    uint8_t got[2000];
    int peer;

    rig_open(&r, _i);
    dispatch(&r, &peer, &d, sizeof got);
    rig_get(peer, got, sizeof got);
    ck_assert(rig_same(got, sizeof got, 0));
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_send), 1);
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_sendmsg), 0);
    ck_assert_uint_eq(sonic_io_cork(r.io)->ref_room, 0); /* no more */
    close(peer);
    rig_close(&r);
}
END_TEST

static void
close_it(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    (void)d;
    put(s, "bye");
    ck_assert(sonic_stream_refer(s, data, len));
    sonic_stream_close(s);
    ck_assert_int_eq(sonic_stream_send(s, "x", 1), SONIC_ECLOSED);
}

START_TEST(closing_offers_what_the_cork_holds)
{
    struct rig r;
    struct dispatch d = {.first = close_it};
    uint8_t got[10];
    int peer;

    rig_open(&r, _i);
    dispatch(&r, &peer, &d, sizeof got);
    expect(peer, "bye");
    rig_get(peer, got, sizeof got);
    ck_assert(rig_same(got, sizeof got, 0));
    rig_get_end(peer);
    close(peer);
    rig_close(&r);
}
END_TEST

static void
set_marks(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    (void)data, (void)len, (void)d;
    put(s, "12345678");
    ck_assert_int_eq(sonic_stream_set_marks(s, 1, 4, 10), 0);
    ck_assert_int_eq(sonic_stream_send(s, "abc", 3), SONIC_EQUEUE);
    ck_assert_int_eq(sonic_stream_send(s, "de", 2), 1); /* above the mark */
    sonic_stream_consume(s, SIZE_MAX);
}

START_TEST(marks_count_what_the_cork_holds)
{
    struct rig r;
    struct dispatch d = {.first = set_marks};
    int peer;

    rig_open(&r, _i);
    dispatch(&r, &peer, &d, 1);
    expect(peer, "12345678de");
    close(peer);
    rig_close(&r);
}
END_TEST

static void
send_on_both(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    (void)data, (void)len;
    put(s, "mine");
    ck_assert_int_eq(sonic_stream_send(d->other, "yours", 5), 0);
    put(s, "!");
    sonic_stream_consume(s, SIZE_MAX);
}

START_TEST(another_stream_has_its_own_queue)
{
    struct rig r;
    struct dispatch d = {.first = send_on_both};
    int peer, other;

    rig_open(&r, _i);
    d.other = rig_stream(&r, &other);
    dispatch(&r, &peer, &d, 1);
    RIG_UNTIL(&r, sonic_stream_queued(d.other) == 0);
    expect(peer, "mine!");
    expect(other, "yours");
    close(peer);
    close(other);
    rig_close(&r);
}
END_TEST

/* ---- lending again ---------------------------------------------------- */

struct again {
    unsigned calls;
    size_t at, step;
    bool by_cork;
    int err;
};

static void
on_again(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct again *a = ud;
    size_t n = a->step < len ? a->step : len;

    a->calls++;
    a->err = err;
    if (err < 0)
        return;
    ck_assert(rig_same(data, len, a->at));
    a->at += a->by_cork ? len : n;
    if (a->by_cork)
        sonic_io_cork(sonic_stream_io(s))->again = true;
    else
        sonic_stream_lend_again(s, n);
}

static void
lend_again(int index, struct again *a)
{
    struct rig r;
    sonic_stream *s;
    uint8_t part[100];
    int peer;

    rig_open(&r, index);
    s = rig_stream(&r, &peer);
    sonic_stream_lend(s, 1, 0, on_again, a);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1);
    for (size_t i = 0; i < 20; i++) {
        rig_fill(part, sizeof part, i * sizeof part);
        rig_put(peer, part, sizeof part);
        RIG_UNTIL(&r, a->at == (i + 1) * sizeof part);
        ck_assert_uint_eq(sonic_io_pending(r.io), 1);
        ck_assert_uint_eq(sonic_stream_buffered(s), 0);
        ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    }
    close(peer);
    RIG_UNTIL(&r, a->err != 0);
    ck_assert_int_eq(a->err, SONIC_EOF);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    rig_close(&r);
}

START_TEST(again_consumes_and_goes_on)
{
    struct again all = {.step = SIZE_MAX}, some = {.step = 7},
                 cork = {.by_cork = true};

    lend_again(_i, &all);
    lend_again(_i, &cork);
    lend_again(_i, &some);
    ck_assert_uint_ge(some.calls, 20 * 15); /* what is left is lent again */
}
END_TEST

static void
close_again(sonic_stream *s, uint8_t *data, size_t len, struct dispatch *d)
{
    (void)data, (void)len;
    sonic_stream_close(s);
    sonic_io_cork(d->r->io)->again = true;
}

START_TEST(again_on_a_closed_stream_is_cancelled)
{
    struct rig r;
    struct dispatch d = {.first = close_again};
    int peer;

    rig_open(&r, _i);
    dispatch(&r, &peer, &d, 1);
    RIG_UNTIL(&r, d.calls == 2);
    ck_assert_int_lt(d.err, 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    close(peer);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_cork");
    TCase *tc = tcase_create("cork");

    rig_add(tc, small_ones_leave_together);
    rig_add(tc, all_in_the_order_of_the_calls);
    rig_add(tc, the_system_takes_a_part);
    rig_add(tc, only_lent_memory_is_referred_to);
    rig_add(tc, what_follows_is_the_same_piece);
    rig_add(tc, closing_offers_what_the_cork_holds);
    rig_add(tc, marks_count_what_the_cork_holds);
    rig_add(tc, another_stream_has_its_own_queue);
    suite_add_tcase(suite, tc);
    tc = tcase_create("again");
    rig_add(tc, again_consumes_and_goes_on);
    rig_add(tc, again_on_a_closed_stream_is_cancelled);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
