/* The byte buffer's operations on streams. */
#include <sonicio/bytes.h>

#include <string.h>
#include <unistd.h>

#include "support/rig.h"

struct told {
    unsigned calls;
    int err;
    size_t n;
    bool free_it;
    bool again;
    sonic_stream *stream;
};

static void
on_bytes(sonic_bytes *b, int err, size_t n, void *ud)
{
    struct told *t = ud;

    t->calls++;
    t->err = err;
    t->n = n;
    if (t->again && err == 0) {
        sonic_bytes_commit(b, n);
        sonic_bytes_async_read_from(b, t->stream, 0, on_bytes, t);
    }
    if (t->free_it)
        sonic_bytes_free(b);
}

static sonic_bytes *
make(struct rig *r, size_t capacity)
{
    sonic_bytes_options o = SONIC_BYTES_OPTIONS_INIT;
    sonic_bytes *b;

    o.sys = &r->hook.sys;
    o.mem = &r->hook.mem;
    o.capacity = capacity;
    ck_assert_int_eq(sonic_bytes_new(&o, &b), 0);
    return b;
}

START_TEST(reads_into_the_write_area)
{
    struct rig r;
    struct told t = {0};
    sonic_stream *s;
    sonic_bytes *b;
    size_t len;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    b = make(&r, 1000);
    sonic_bytes_async_read_from(b, s, 0, on_bytes, &t);
    rig_put(peer, "hello", 5);
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_int_eq(t.err, 0);
    ck_assert_uint_eq(t.n, 5);
    ck_assert_uint_eq(sonic_bytes_read_len(b), 0); /* the user commits */
    ck_assert_uint_eq(sonic_bytes_write_len(b), 5);
    ck_assert_uint_eq(sonic_bytes_commit(b, 5), 5);
    ck_assert_mem_eq(sonic_bytes_data(b, &len), "hello", 5);

    rig_put(peer, "world", 5);
    sonic_bytes_async_read_from(b, s, 2, on_bytes, &t); /* at most two */
    RIG_UNTIL(&r, t.calls == 2);
    ck_assert_uint_eq(t.n, 2);
    ck_assert_int_eq(sonic_bytes_read_from(b, s, 0, &len), 0);
    ck_assert_uint_eq(len, 3);
    sonic_bytes_commit(b, 5);
    ck_assert_mem_eq(sonic_bytes_data(b, &len), "helloworld", 10);

    close(peer);
    sonic_bytes_async_read_from(b, s, 0, on_bytes, &t);
    RIG_UNTIL(&r, t.calls == 3);
    ck_assert_int_eq(t.err, SONIC_EOF);
    ck_assert_int_eq(sonic_bytes_read_from(b, s, 0, NULL), SONIC_EOF);
    sonic_bytes_free(b);
    rig_close(&r);
}
END_TEST

/* The room of a read under way is nobody else's; all else goes on. */
START_TEST(a_read_under_way_is_left_alone)
{
    struct rig r;
    struct told t = {0}, second = {0};
    sonic_stream *s;
    sonic_bytes *b;
    sonic_slot slot;
    size_t len;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    b = make(&r, 100);
    ck_assert_int_eq(sonic_bytes_write_string(b, "abcdef"), 0);
    sonic_bytes_commit(b, 4);
    sonic_bytes_async_read_from(b, s, 0, on_bytes, &t);
    rig_settle(&r);
    ck_assert_uint_eq(t.calls, 0);
    ck_assert_int_eq(sonic_bytes_write_byte(b, 'x'), -EBUSY);
    ck_assert_int_eq(sonic_bytes_write(b, "x", 1), -EBUSY);
    ck_assert_ptr_null(sonic_bytes_claim_fixed(b, 1));
    ck_assert_uint_eq(sonic_bytes_claim(b, NULL, NULL), 0);
    ck_assert_uint_eq(sonic_bytes_shrink_by(b, 1), 0);
    ck_assert_uint_eq(sonic_bytes_shrink_to(b, 0), 0);
    ck_assert_int_eq(sonic_bytes_reset(b), -EBUSY);
    sonic_bytes_async_read_from(b, s, 0, on_bytes, &second);
    ck_assert_uint_eq(second.calls, 1);
    ck_assert_int_eq(second.err, -EBUSY);
    ck_assert_int_eq(sonic_bytes_read_from(b, s, 0, NULL), -EBUSY);
    ck_assert_int_eq(sonic_bytes_save(b, 2, &slot), 0);
    sonic_bytes_commit(b, 2);
    ck_assert_uint_eq(sonic_bytes_consume(b, 4), 4);
    sonic_bytes_discard(b, slot); /* all is empty, but for the read */
    rig_put(peer, "ghi", 3);
    RIG_UNTIL(&r, t.calls == 1);
    sonic_bytes_commit(b, 3);
    ck_assert_mem_eq(sonic_bytes_data(b, &len), "ghi", 3);
    ck_assert_uint_eq(sonic_bytes_reserved(b), 97);
    sonic_bytes_free(b);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(no_room)
{
    struct rig r;
    struct told t = {0};
    sonic_stream *s;
    sonic_bytes *b;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    b = make(&r, 4);
    ck_assert_int_eq(sonic_bytes_write_string(b, "full"), 0);
    ck_assert_int_eq(sonic_bytes_read_from(b, s, 0, NULL), -ENOBUFS);
    t.free_it = true;
    sonic_bytes_async_read_from(b, s, 0, on_bytes, &t);
    ck_assert_uint_eq(t.calls, 1);
    ck_assert_int_eq(t.err, -ENOBUFS);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(writes_the_read_area)
{
    struct rig r;
    struct told t = {0};
    sonic_stream *s;
    sonic_bytes *b;
    char got[16];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    b = make(&r, 100);
    sonic_bytes_async_write_to(b, s, on_bytes, &t); /* nothing to write */
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_int_eq(t.err, 0);
    ck_assert_uint_eq(t.n, 0);
    ck_assert_int_eq(sonic_bytes_write_string(b, "hello, world"), 0);
    sonic_bytes_commit(b, 5);
    sonic_bytes_async_write_to(b, s, on_bytes, &t);
    RIG_UNTIL(&r, t.calls == 2);
    ck_assert_uint_eq(t.n, 5);
    ck_assert_uint_eq(sonic_bytes_read_len(b), 0); /* consumed */
    ck_assert_uint_eq(sonic_bytes_write_len(b), 7);
    sonic_bytes_commit(b, 7);
    ck_assert_int_eq(sonic_bytes_write_to(b, s, NULL), 0);
    ck_assert_uint_eq(sonic_bytes_read_len(b), 0);
    rig_get(peer, got, 12);
    ck_assert_mem_eq(got, "hello, world", 12);
    sonic_bytes_free(b);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(a_write_under_way_keeps_its_bytes)
{
    struct rig r;
    struct told t = {0}, second = {0};
    sonic_stream *s;
    sonic_bytes *b;
    sonic_slot slot;
    size_t stuffed, len;
    char c;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    b = make(&r, 100);
    ck_assert_int_eq(sonic_bytes_write_string(b, "abc"), 0);
    sonic_bytes_commit(b, 3);
    sonic_bytes_async_write_to(b, s, on_bytes, &t);
    rig_settle(&r);
    ck_assert_uint_eq(t.calls, 0);
    ck_assert_uint_eq(sonic_bytes_consume(b, 1), 0);
    ck_assert_int_eq(sonic_bytes_read(b, &c, 1), -EBUSY);
    ck_assert_int_eq(sonic_bytes_save(b, 1, &slot), -EBUSY);
    ck_assert_int_eq(sonic_bytes_reset(b), -EBUSY);
    sonic_bytes_async_write_to(b, s, on_bytes, &second);
    ck_assert_int_eq(second.err, -EBUSY);
    ck_assert_uint_eq(second.calls, 1);
    ck_assert_int_eq(sonic_bytes_write_to(b, s, &len), -EBUSY);
    ck_assert_int_eq(sonic_bytes_write_string(b, "def"), 0);
    sonic_bytes_commit(b, 3);
    rig_take(&r, peer, 0, stuffed);
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_uint_eq(t.n, 3);
    ck_assert_mem_eq(sonic_bytes_data(b, &len), "def", 3);
    ck_assert_uint_eq(len, 3);
    sonic_bytes_free(b);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Freed while both are under way: both complete, then the memory goes. */
START_TEST(freed_meanwhile)
{
    struct rig r;
    struct told reading = {0}, writing = {0};
    sonic_stream *s;
    sonic_bytes *b;
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    b = make(&r, 100);
    ck_assert_int_eq(sonic_bytes_write_string(b, "abc"), 0);
    sonic_bytes_commit(b, 3);
    sonic_bytes_async_read_from(b, s, 0, on_bytes, &reading);
    sonic_bytes_async_write_to(b, s, on_bytes, &writing);
    rig_settle(&r);
    sonic_bytes_free(b);
    sonic_stream_free(s);
    RIG_UNTIL(&r, reading.calls + writing.calls == 2);
    ck_assert_int_eq(reading.err, -ECANCELED);
    ck_assert_int_eq(writing.err, -ECANCELED);
    close(peer);
    rig_close(&r); /* and nothing is left */
}
END_TEST

START_TEST(freed_in_its_callback)
{
    struct rig r;
    struct told t = {.free_it = true};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_bytes_async_read_from(make(&r, 100), s, 0, on_bytes, &t);
    rig_put(peer, "x", 1);
    RIG_UNTIL(&r, t.calls == 1);
    t = (struct told){.again = true, .stream = s, .free_it = true};
    sonic_bytes_async_read_from(make(&r, 100), s, 0, on_bytes, &t);
    rig_put(peer, "x", 1);
    RIG_UNTIL(&r, t.calls == 1); /* freed, with another read under way */
    t.free_it = t.again = false;
    rig_put(peer, "x", 1);
    RIG_UNTIL(&r, t.calls == 2);
    ck_assert_int_eq(t.err, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A steady stream of reads allocates nothing. */
START_TEST(nothing_is_allocated)
{
    struct rig r;
    sonic_stream *s;
    sonic_bytes *b;
    unsigned long allocs = 0;
    char block[700];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    b = make(&r, 10000);
    for (size_t i = 0; i < 200; i++) {
        size_t n;

        rig_fill(block, sizeof block, i * sizeof block);
        rig_put(peer, block, sizeof block);
        for (size_t got = 0; got < sizeof block; got += n)
            ck_assert_int_eq(sonic_bytes_read_from(b, s, 0, &n), 0);
        sonic_bytes_commit(b, sizeof block);
        ck_assert(rig_same(sonic_bytes_data(b, &n), n, i * sizeof block));
        ck_assert_int_eq(sonic_bytes_write_to(b, s, &n), 0);
        ck_assert_uint_eq(n, sizeof block);
        rig_get(peer, block, sizeof block);
        ck_assert(rig_same(block, sizeof block, i * sizeof block));
        if (i == 10)
            allocs = r.hook.allocs;
    }
    ck_assert_uint_eq(r.hook.allocs, allocs);
    sonic_bytes_free(b);
    close(peer);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("bytes_stream");
    TCase *tc = tcase_create("bytes and streams");

    rig_add(tc, reads_into_the_write_area);
    rig_add(tc, a_read_under_way_is_left_alone);
    rig_add(tc, no_room);
    rig_add(tc, writes_the_read_area);
    rig_add(tc, a_write_under_way_keeps_its_bytes);
    rig_add(tc, freed_meanwhile);
    rig_add(tc, freed_in_its_callback);
    rig_add(tc, nothing_is_allocated);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
