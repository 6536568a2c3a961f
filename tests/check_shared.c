/* Bytes that many streams send: <sonicio/shared.h>. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

enum { LONG = 1000, SHORT = 100, MANY = 20 };

/* n bytes of the sequence, from i on. */
static sonic_shared *
make(struct rig *r, size_t n, size_t i)
{
    sonic_shared *m;

    ck_assert_int_eq(sonic_shared_new(r->io, n, &m), 0);
    ck_assert_uint_eq(sonic_shared_len(m), n);
    ck_assert_uint_eq(sonic_shared_holders(m), 1);
    ck_assert_uint_eq((uintptr_t)sonic_shared_data(m) % 8, 0);
    rig_fill(sonic_shared_data(m), n, i);
    return m;
}

static void
expect(int fd, size_t n, size_t i)
{
    uint8_t *got = malloc(n);

    ck_assert_ptr_nonnull(got);
    rig_get(fd, got, n);
    ck_assert(rig_same(got, n, i));
    free(got);
}

START_TEST(arrives_and_is_let_go)
{
    static const size_t sizes[] = {1, SHORT, LONG, 32000, 32768, 100000};
    struct rig r;
    sonic_stream *s;
    sonic_shared *m;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k];

        m = make(&r, n, k);
        ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, n), 0);
        ck_assert_uint_eq(sonic_stream_queued(s), n);
        ck_assert_uint_eq(sonic_shared_holders(m), 2);
        rig_settle(&r);
        expect(peer, n, k);
        rig_settle(&r);
        ck_assert_uint_eq(sonic_stream_queued(s), 0);
        ck_assert_uint_eq(sonic_shared_holders(m), 1);
        ck_assert_ptr_eq(sonic_shared_hold(m), m);
        ck_assert_uint_eq(sonic_shared_holders(m), 2);
        sonic_shared_free(m);
        sonic_shared_free(m);
    }
    sonic_shared_free(NULL);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Parts of it, in their place among all other kinds of write. */
START_TEST(keeps_its_place)
{
    struct rig r;
    struct outcome w = {0};
    uint8_t data[3 * LONG];
    sonic_shared *m;
    sonic_stream *s;
    uint8_t *room;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_fill(data, sizeof data, 0);
    m = make(&r, 3 * LONG, 0);
    ck_assert_int_eq(sonic_stream_send(s, data, 100), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 100, 900), 0);
    sonic_stream_async_write(s, data + 1000, 500, on_outcome, &w);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 1500, 10), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 1510, 390), 0);
    room = sonic_stream_reserve(s, 100);
    ck_assert_ptr_nonnull(room);
    memcpy(room, data + 1900, 100);
    ck_assert_int_eq(sonic_stream_commit(s, 100), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 2000, 1000), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 3000, 0), 0);
    sonic_shared_free(m);
    rig_settle(&r);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_sendmsg), 1);
    expect(peer, 3000, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* What waits is a reference: a change is seen.  A few bytes behind others are
 * a copy; alone they are not. */
START_TEST(refers_where_it_pays)
{
    struct rig r;
    sonic_shared *m;
    sonic_stream *s;
    size_t stuffed;
    uint8_t got[3];
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    m = make(&r, LONG, 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, 1), 0);
    ck_assert_uint_eq(sonic_shared_holders(m), 2);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, 1), 0);
    ck_assert_uint_eq(sonic_shared_holders(m), 2);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), 0);
    ck_assert_uint_eq(sonic_shared_holders(m), 3);
    rig_settle(&r);
    sonic_shared_data(m)[0] = 77;
    rig_take(&r, peer, 0, stuffed);
    rig_settle(&r);
    rig_get(peer, got, 3);
    ck_assert_uint_eq(got[0], 77);
    ck_assert_uint_ne(got[1], 77);
    ck_assert_uint_eq(got[2], 77);
    ck_assert_uint_eq(sonic_shared_holders(m), 1);
    sonic_shared_free(m);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Streams that end in every way while it waits. */
START_TEST(streams_die_with_it)
{
    struct rig r;
    sonic_stream *s[MANY];
    size_t stuffed[MANY], gone = 0;
    sonic_shared *m;
    int peer[MANY];

    rig_open(&r, _i);
    m = make(&r, LONG, 5);
    for (int i = 0; i < MANY; i++) {
        s[i] = rig_full_stream(&r, &peer[i], &stuffed[i]);
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(sonic_stream_send_shared(s[i], m, 0, LONG), 0);
    }
    ck_assert_uint_eq(sonic_shared_holders(m), 1 + 3 * MANY);
    rig_settle(&r);
    for (int i = 0; i < MANY; i++) {
        switch (i % 5) {
        case 0:
            sonic_stream_close(s[i]);
            break;
        case 1:
            sonic_stream_free(s[i]);
            break;
        case 2:
            sonic_stream_reset(s[i]);
            break;
        case 3:
            close(peer[i]);
            peer[i] = -1;
            break;
        default:
            continue;
        }
        gone++;
    }
    rig_settle(&r);
    /* one that is closed keeps what it had until it is freed */
    ck_assert_uint_le(sonic_shared_holders(m), 1 + 3 * (MANY - gone / 4));
    for (int i = 0; i < MANY; i++)
        if (i % 5 != 4 && i % 5 != 1)
            sonic_stream_free(s[i]);
    rig_settle(&r);
    ck_assert_uint_eq(sonic_shared_holders(m), 1 + 3 * (MANY - gone));
    sonic_shared_free(m); /* the others go on with it */
    for (int i = 4; i < MANY; i += 5) {
        rig_take(&r, peer[i], 0, stuffed[i]);
        rig_settle(&r);
        for (int k = 0; k < 3; k++)
            expect(peer[i], LONG, 5);
    }
    for (int i = 0; i < MANY; i++)
        if (peer[i] >= 0)
            close(peer[i]);
    rig_close(&r);
}
END_TEST

START_TEST(marks_hold)
{
    struct rig r;
    struct outcome d = {0};
    sonic_shared *m;
    sonic_stream *s;
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    m = make(&r, LONG, 0);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1000, 2000, 3500), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), 1);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), SONIC_EQUEUE);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, 501), SONIC_EQUEUE);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, 500), 1);
    ck_assert_uint_eq(sonic_stream_queued(s), 3500);
    ck_assert_uint_eq(sonic_shared_holders(m), 5);
    sonic_stream_async_drain(s, on_outcome, &d);
    rig_settle(&r);
    ck_assert_uint_eq(d.calls, 0);
    rig_take(&r, peer, 0, stuffed);
    rig_settle(&r);
    ck_assert_uint_eq(d.calls, 1);
    ck_assert_uint_eq(sonic_shared_holders(m), 1);
    sonic_shared_free(m);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(refusals_hold_nothing)
{
    struct rig r, other;
    sonic_shared *m, *foreign, *none;
    sonic_stream *s, *fresh;
    int peer;

    rig_open(&other, _i);
    foreign = make(&other, LONG, 0);
    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    m = make(&r, LONG, 0);
    ck_assert_int_eq(sonic_shared_new(r.io, SIZE_MAX, &none), SONIC_ETOOBIG);
    ck_assert_int_eq(sonic_shared_new(r.io, (size_t)1 << 31, &none),
                     SONIC_ETOOBIG);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG + 1), -EINVAL);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 1, LONG), -EINVAL);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, LONG + 1, 0), -EINVAL);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 1, SIZE_MAX), -EINVAL);
    ck_assert_int_eq(sonic_stream_send_shared(s, foreign, 0, 1), -EINVAL);
    ck_assert_int_eq(sonic_stream_new(r.io, &fresh), 0);
    ck_assert_int_eq(sonic_stream_send_shared(fresh, m, 0, LONG), -ENOTCONN);
    ck_assert_int_eq(sonic_stream_shutdown(s), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), -EPIPE);
    sonic_stream_close(s);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, 0, LONG), SONIC_ECLOSED);
    ck_assert_uint_eq(sonic_shared_holders(m), 1);
    ck_assert_uint_eq(sonic_shared_holders(foreign), 1);
    sonic_io_close(r.io);
    ck_assert_int_eq(sonic_shared_new(r.io, 1, &none), SONIC_ECLOSED);
    close(peer);
    rig_close(&r); /* m goes with it */
    rig_close(&other);
}
END_TEST

/* ---- memory ----------------------------------------------------------- */

START_TEST(nothing_is_allocated)
{
    struct rig r;
    sonic_stream *s[MANY];
    unsigned long allocs = 0;
    int peer[MANY];

    rig_open(&r, _i);
    for (int i = 0; i < MANY; i++)
        s[i] = rig_stream(&r, &peer[i]);
    for (int round = 0; round < 50; round++) {
        sonic_shared *m = make(&r, LONG, (size_t)round);

        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(sonic_stream_send_shared(s[i], m, 0, LONG), 0);
        sonic_shared_free(m);
        rig_settle(&r);
        for (int i = 0; i < MANY; i++)
            expect(peer[i], LONG, (size_t)round);
        rig_settle(&r);
        if (round == 1)
            allocs = r.hook.allocs;
    }
    ck_assert_uint_eq(r.hook.allocs, allocs);
    for (int i = 0; i < MANY; i++)
        close(peer[i]);
    rig_close(&r);
}
END_TEST

/* Each allocation fails once: nothing is queued, or all of it. */
START_TEST(memory_runs_out)
{
    bool failed = true;

    for (unsigned long nth = 1; failed; nth++) {
        struct rig r;
        sonic_stream *s;
        sonic_shared *m = NULL;
        int peer, err;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        hook_mem_fail_nth(&r.hook, nth);
        err = sonic_shared_new(r.io, 40000, &m);
        if (err == 0) {
            rig_fill(sonic_shared_data(m), 40000, 0);
            err = sonic_stream_send_shared(s, m, 0, 40000);
        }
        failed = r.hook.mem_failed;
        hook_mem_fail_nth(&r.hook, 0);
        ck_assert_int_eq(err, failed ? -ENOMEM : 0);
        ck_assert_uint_eq(sonic_stream_queued(s), failed ? 0 : 40000);
        if (m != NULL)
            ck_assert_uint_eq(sonic_shared_holders(m), failed ? 1 : 2);
        sonic_shared_free(m);
        rig_settle(&r);
        if (!failed)
            expect(peer, 40000, 0);
        ck_assert_uint_lt(nth, 20);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* ---- in a stream's own dispatch, and above TLS's floor ---------------- */

static void
answer(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    sonic_shared *m = ud;

    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(sonic_stream_send(s, data, len), 0);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, len, SHORT), 0);
    ck_assert_uint_eq(sonic_shared_holders(m), 1); /* into the cork */
    ck_assert_int_eq(sonic_stream_send_shared(s, m, len + SHORT, LONG), 0);
    ck_assert_uint_eq(sonic_shared_holders(m), 2);
    ck_assert_int_eq(sonic_stream_send_shared(s, m, len + SHORT + LONG, SHORT),
                     0);
    sonic_stream_consume(s, len);
}

START_TEST(behind_the_cork)
{
    struct rig r;
    uint8_t ask[10];
    sonic_shared *m;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    m = make(&r, 10 + 2 * SHORT + LONG, 0);
    rig_fill(ask, 10, 0);
    rig_put(peer, ask, 10);
    sonic_stream_lend(s, 10, 0, answer, m);
    sonic_io_run(r.io);
    expect(peer, 10 + 2 * SHORT + LONG, 0);
    sonic_shared_free(m);
    close(peer);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("shared");
    TCase *tc = tcase_create("shared");

    rig_add(tc, arrives_and_is_let_go);
    rig_add(tc, keeps_its_place);
    rig_add(tc, refers_where_it_pays);
    rig_add(tc, streams_die_with_it);
    rig_add(tc, marks_hold);
    rig_add(tc, refusals_hold_nothing);
    rig_add(tc, nothing_is_allocated);
    rig_add(tc, memory_runs_out);
    rig_add(tc, behind_the_cork);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
