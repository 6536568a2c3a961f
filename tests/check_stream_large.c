/* Buffers larger than the first size, for streams that need them again. */
#include "support/rig.h"

#include <stdlib.h>
#include <unistd.h>

enum { SMALL = RIG_SMALL, LARGE = 4 * SMALL, HUGE = 1 << 20 };

/* A stream, and what a lend of it showed: a sequence. */
struct reader {
    struct rig *rig;
    sonic_stream *stream;
    int peer;
    size_t at; /* place in the sequence of the first byte not consumed */
    bool keep; /* consume nothing */
    unsigned calls;
    const uint8_t *in;
};

static void
on_bytes(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct reader *r = ud;

    ck_assert_int_eq(err, 0);
    ck_assert(rig_same(data, len, r->at));
    r->calls++;
    r->in = data;
    if (r->keep)
        return;
    sonic_stream_consume(s, len);
    r->at += len;
}

/* Over a socket whose bytes are there when they are sent (unix). */
static struct reader
open_reader(struct rig *rig)
{
    struct reader r = {.rig = rig};
    int fd[2];

    rig_pair(fd);
    r.stream = rig_adopt(rig, fd[0]);
    r.peer = fd[1];
    return r;
}

static void
put(const struct reader *r, size_t n)
{
    size_t at = r->at + sonic_stream_buffered(r->stream);
    uint8_t *p = malloc(n);

    rig_fill(p, n, at);
    rig_put(r->peer, p, n);
    free(p);
}

/* Send n bytes and have them lent with the rest before them.  Returns in how
 * many receives they came. */
static uint64_t
take(struct reader *r, size_t n, size_t want)
{
    uint64_t reads = rig_stats(r->rig).reads;
    unsigned calls = r->calls;

    put(r, n);
    n += sonic_stream_buffered(r->stream);
    sonic_stream_lend(r->stream, n, want, on_bytes, r);
    RIG_UNTIL(r->rig, r->calls > calls);
    return rig_stats(r->rig).reads - reads;
}

/* Who needed a large buffer gets it at once the next time, and nothing is
 * moved; who needs it no longer does not. */
START_TEST(as_large_as_the_last_one)
{
    struct rig rig;
    struct reader r;
    const uint8_t *small, *large;

    rig_open_small(&rig, _i);
    r = open_reader(&rig);
    ck_assert_uint_eq(take(&r, 10, 0), 1);
    small = r.in;
    ck_assert_uint_eq(take(&r, LARGE, LARGE), 2);
    large = r.in;
    ck_assert_ptr_ne(large, small);
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(take(&r, LARGE, i % 2 ? LARGE : 0), 1);
        ck_assert_ptr_eq(r.in, large);
    }
    (void)take(&r, 10, 0);
    ck_assert_ptr_eq(r.in, large);
    for (int i = 0; i < 10; i++) {
        (void)take(&r, i % 2 ? 10 : SMALL, 0);
        ck_assert_ptr_eq(r.in, small);
    }
    ck_assert_uint_eq(rig_stats(&rig).buffers, 2);
    ck_assert_uint_eq(rig_stats(&rig).buffers_lent, 0);
    close(r.peer);
    rig_close(&rig);
}
END_TEST

/* The same where the loop finds the bytes for a lend that waits. */
START_TEST(as_large_by_an_event)
{
    struct rig rig;
    struct reader r;
    const uint8_t *large;

    rig_open_small(&rig, _i);
    r = open_reader(&rig);
    (void)take(&r, LARGE, LARGE);
    large = r.in;
    for (unsigned i = 2; i < 10; i++) {
        sonic_stream_lend(r.stream, 1, 0, on_bytes, &r);
        rig_settle(&rig);
        put(&r, LARGE);
        RIG_UNTIL(&rig, r.calls == i);
        ck_assert_uint_eq(r.at, i * LARGE);
        ck_assert_ptr_eq(r.in, large);
    }
    close(r.peer);
    rig_close(&rig);
}
END_TEST

/* It is each stream's own affair. */
START_TEST(others_begin_small)
{
    struct rig rig;
    struct reader r, other;
    const uint8_t *large;

    rig_open_small(&rig, _i);
    r = open_reader(&rig);
    other = open_reader(&rig);
    (void)take(&r, LARGE, 0);
    large = r.in;
    for (int i = 0; i < 10; i++) {
        (void)take(&other, SMALL, 0);
        ck_assert_ptr_ne(other.in, large);
        (void)take(&r, LARGE, 0);
        ck_assert_ptr_eq(r.in, large);
    }
    close(r.peer);
    close(other.peer);
    rig_close(&rig);
}
END_TEST

/* What was, or will be, needed is made for bytes that have come only: a stream
 * whose small buffer is not full gets a large one if there is one to spare. */
START_TEST(nothing_is_made_for_a_promise)
{
    struct rig rig;
    struct reader r[2];
    const uint8_t *large;

    rig_open_small(&rig, _i);
    for (int i = 0; i < 2; i++) {
        r[i] = open_reader(&rig);
        (void)take(&r[i], LARGE, LARGE);
        r[i].keep = true;
    }
    large = r[1].in;
    ck_assert_ptr_eq(r[0].in, large);
    ck_assert_uint_eq(rig_stats(&rig).buffers, 2); /* small and large */
    for (int i = 0; i < 2; i++)
        (void)take(&r[i], SMALL / 2, 0);
    ck_assert_ptr_eq(r[0].in, large);
    ck_assert_ptr_ne(r[1].in, large);
    ck_assert_uint_eq(rig_stats(&rig).buffers, 2);
    (void)take(&r[1], 10, HUGE); /* it has room */
    ck_assert_uint_eq(rig_stats(&rig).buffers, 2);

    sonic_stream_consume(r[0].stream, SMALL / 2); /* large is spare */
    (void)take(&r[1], 10, HUGE);
    ck_assert_ptr_ne(r[1].in, large);
    (void)take(&r[1], 10, LARGE);
    ck_assert_ptr_eq(r[1].in, large);
    ck_assert_uint_eq(rig_stats(&rig).buffers, 2);
    for (int i = 0; i < 2; i++)
        close(r[i].peer);
    rig_close(&rig);
}
END_TEST

/* A read into the caller's memory comes between. */
START_TEST(after_another_read)
{
    struct rig rig;
    struct reader r;
    struct outcome o = {0};
    uint8_t buf[LARGE];

    rig_open_small(&rig, _i);
    r = open_reader(&rig);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(take(&r, LARGE, LARGE), 2);
        ck_assert_uint_eq(take(&r, LARGE, LARGE), 1);
        sonic_stream_async_read_all(r.stream, buf, sizeof buf, on_outcome, &o);
        if (i % 2 == 0)
            sonic_stream_cancel(r.stream, SONIC_READING);
        else
            put(&r, sizeof buf);
        RIG_UNTIL(&rig, o.calls > i);
        ck_assert_uint_eq(o.n, i % 2 == 0 ? 0 : sizeof buf);
        r.at += o.n;
    }
    close(r.peer);
    rig_close(&rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_large");
    TCase *tc = tcase_create("large");

    rig_add(tc, as_large_as_the_last_one);
    rig_add(tc, as_large_by_an_event);
    rig_add(tc, others_begin_small);
    rig_add(tc, nothing_is_made_for_a_promise);
    rig_add(tc, after_another_read);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
