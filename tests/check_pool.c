/* The io's pool: mirrored buffers by size class, blocks by size. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer/pool.h"
#include "support/rig.h"

enum { BASE = 64 * 1024 };

struct pool_rig {
    struct hook h;
    struct sonic__pool p;
};

static void
open_pool(struct pool_rig *r, size_t limit)
{
    memset(r, 0, sizeof *r);
    hook_init(&r->h);
    r->p.sys = &r->h.sys;
    r->p.mem = r->h.mem;
    r->p.base_size = BASE;
    r->p.limit = limit;
}

static void
close_pool(struct pool_rig *r)
{
    ck_assert_uint_eq(r->p.lent, 0);
    sonic__pool_free(&r->p);
    ck_assert_uint_eq(hook_leaked(&r->h), 0);
}

static struct sonic_mirror *
lend(struct pool_rig *r, size_t min_size)
{
    struct sonic_mirror *m;

    ck_assert_int_eq(sonic__pool_lend(&r->p, min_size, &m), 0);
    ck_assert_uint_ge(m->size, min_size);
    ck_assert_uint_eq(m->used, 0);
    ck_assert_uint_eq(m->pins, 0);
    return m;
}

/* ---- buffers ---------------------------------------------------------- */

/* The last that came back goes out first: it is the warm one. */
START_TEST(last_in_first_out)
{
    struct pool_rig r;
    struct sonic_mirror *a, *b;
    unsigned long calls;

    open_pool(&r, SIZE_MAX);
    a = lend(&r, 0);
    b = lend(&r, 1);
    ck_assert_ptr_ne(a, b);
    ck_assert_uint_eq(r.p.count, 2);
    ck_assert_uint_eq(r.p.lent, 2);
    ck_assert_uint_eq(r.p.bytes, 2 * BASE);
    sonic__pool_return(&r.p, a);
    sonic__pool_return(&r.p, b);
    calls = hook_all_calls(&r.h);
    for (int i = 0; i < 100; i++) {
        ck_assert_ptr_eq(lend(&r, BASE), b);
        b->head = 7;
        b->used = 100;
        sonic__pool_return(&r.p, b);
    }
    ck_assert_uint_eq(hook_all_calls(&r.h), calls); /* kept, not remade */
    close_pool(&r);
}
END_TEST

START_TEST(size_classes)
{
    struct pool_rig r;
    struct sonic_mirror *m;

    open_pool(&r, SIZE_MAX);
    for (unsigned order = 0; order < 6; order++) {
        size_t size = (size_t)BASE << order;

        m = lend(&r, size);
        ck_assert_uint_eq(m->size, size);
        ck_assert_uint_eq(m->order, order);
        sonic__pool_return(&r.p, m);
        ck_assert_ptr_eq(lend(&r, size / 2 + 1), m); /* the same class */
        sonic__pool_return(&r.p, m);
    }
    ck_assert_int_eq(sonic__pool_lend(&r.p, ((size_t)BASE << 19) + 1, &m),
                     SONIC_ETOOBIG);
    ck_assert_int_eq(sonic__pool_lend(&r.p, SIZE_MAX, &m), SONIC_ETOOBIG);
    close_pool(&r);
}
END_TEST

/* The limit counts what is lent and what is spare; spare ones make room. */
START_TEST(limit)
{
    struct pool_rig r;
    struct sonic_mirror *m[4], *big, *none;

    open_pool(&r, 4 * BASE);
    for (int i = 0; i < 4; i++)
        m[i] = lend(&r, 0);
    ck_assert_int_eq(sonic__pool_lend(&r.p, 0, &none), -ENOMEM);
    sonic__pool_return(&r.p, m[0]);
    ck_assert_int_eq(sonic__pool_lend(&r.p, 2 * BASE, &none), -ENOMEM);
    sonic__pool_return(&r.p, m[1]);
    big = lend(&r, 2 * BASE);
    ck_assert_uint_eq(r.p.bytes, 4 * BASE);
    ck_assert_uint_eq(r.p.count, 3);
    ck_assert_int_eq(sonic__pool_lend(&r.p, 0, &none), -ENOMEM);
    sonic__pool_return(&r.p, big);
    m[0] = lend(&r, 0);
    ck_assert_uint_eq(r.p.bytes, 3 * BASE); /* the big one has gone */
    for (int i = 0; i < 4; i++)
        if (i != 1)
            sonic__pool_return(&r.p, m[i]);
    close_pool(&r);
}
END_TEST

/* No more than 64 MiB of spare ones stay mapped. */
START_TEST(spare_ones_are_few)
{
    struct pool_rig r;
    struct sonic_mirror *m[5];

    open_pool(&r, SIZE_MAX);
    for (int i = 0; i < 5; i++)
        m[i] = lend(&r, 16 << 20);
    for (int i = 0; i < 5; i++)
        sonic__pool_return(&r.p, m[i]);
    ck_assert_uint_eq(r.p.large_bytes, 64 << 20);
    ck_assert_uint_eq(r.p.bytes, 64 << 20);
    ck_assert_uint_eq(r.p.count, 4);
    close_pool(&r);
}
END_TEST

enum { MIB = 1 << 20, AT_ONCE = 40 };

static void
lend_and_return(struct pool_rig *r, int n, size_t size)
{
    struct sonic_mirror *m[AT_ONCE];

    for (int i = 0; i < n; i++)
        m[i] = lend(r, size);
    for (int i = 0; i < n; i++)
        sonic__pool_return(&r->p, m[i]);
}

/* Large ones that were spare all the time since the last trim go; of two that
 * one is in use now and then, that one stays. */
START_TEST(idle_ones_go)
{
    struct pool_rig r;
    struct sonic_mirror *warm;

    open_pool(&r, SIZE_MAX);
    lend_and_return(&r, 2, 16 * MIB);
    lend_and_return(&r, 3, MIB);
    ck_assert(sonic__pool_trim(&r.p));
    ck_assert_uint_eq(r.p.bytes, 35 * MIB);
    for (int i = 0; i < 5; i++) {
        warm = r.p.spare[8];
        lend_and_return(&r, 1, 16 * MIB);
        ck_assert(sonic__pool_trim(&r.p));
        ck_assert_uint_eq(r.p.bytes, 16 * MIB);
        ck_assert_ptr_eq(r.p.spare[8], warm);
    }
    ck_assert(!sonic__pool_trim(&r.p)); /* nobody used it since */
    ck_assert_uint_eq(r.p.bytes, 0);
    ck_assert_uint_eq(r.p.large_bytes, 0);
    close_pool(&r);
}
END_TEST

/* Of the usual size 1 MiB stays, and as many as are in use at a time. */
START_TEST(usual_ones_stay)
{
    struct pool_rig r;
    unsigned long calls;

    open_pool(&r, SIZE_MAX);
    lend_and_return(&r, AT_ONCE, 0);
    ck_assert(sonic__pool_trim(&r.p));
    calls = hook_all_calls(&r.h);
    for (int i = 0; i < 5; i++) {
        lend_and_return(&r, AT_ONCE - MIB / BASE, 0);
        ck_assert(sonic__pool_trim(&r.p));
        ck_assert_uint_eq(r.p.bytes, AT_ONCE * BASE);
    }
    ck_assert_uint_eq(hook_all_calls(&r.h), calls);
    ck_assert(!sonic__pool_trim(&r.p));
    ck_assert_uint_eq(r.p.bytes, MIB);
    ck_assert_uint_eq(r.p.spare_bytes, MIB);
    ck_assert(!sonic__pool_trim(&r.p));
    ck_assert_uint_eq(r.p.bytes, MIB);
    close_pool(&r);
}
END_TEST

/* The loop does it, and it is no work that keeps a loop running. */
START_TEST(the_loop_lets_go)
{
    static const int64_t ms = 1000000;
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_io_stats stats;
    sonic_mirror *m[8];
    sonic_io *io;

    opt.backend = _i == 0 ? SONIC_BACKEND_EPOLL : SONIC_BACKEND_POLL;
    opt.buffer_idle = -1;
    ck_assert_int_eq(sonic_io_new(&io, &opt), SONIC_EOPTION);
    opt.buffer_idle = 5 * ms;
    ck_assert_int_eq(sonic_io_new(&io, &opt), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++)
            ck_assert_int_eq(sonic_io_borrow(io, i < 2 ? 16 * MIB : 1, &m[i]),
                             0);
        for (int i = 0; i < 8; i++)
            sonic_io_give_back(io, m[i]);
        sonic_io_get_stats(io, &stats);
        ck_assert_uint_gt(stats.buffer_bytes, 32 * MIB);
        ck_assert_int_ge(sonic_io_run(io), 0); /* which returns */
        sonic_io_work_begin(io);
        for (int i = 0; i < 100 && stats.buffer_bytes > MIB; i++) {
            ck_assert_int_eq(sonic_io_run_for(io, 20 * ms), -ETIMEDOUT);
            sonic_io_get_stats(io, &stats);
        }
        sonic_io_work_end(io);
        ck_assert_uint_eq(stats.buffer_bytes, MIB);
    }
    ck_assert_int_eq(sonic_io_next_deadline(io), INT64_MAX);
    sonic_io_free(io);
}
END_TEST

/* What a write queue points into stays, whatever its reader does. */
START_TEST(pinned)
{
    struct pool_rig r;
    struct sonic_mirror *m, *other;

    open_pool(&r, SIZE_MAX);
    m = lend(&r, 0);
    memcpy(m->base, "keep", 4);
    m->pins = 2;
    sonic__pool_return(&r.p, m);
    ck_assert_uint_eq(r.p.lent, 1);
    other = lend(&r, 0);
    ck_assert_ptr_ne(other, m);
    sonic__pool_unpin(&r.p, m);
    ck_assert_uint_eq(r.p.lent, 2);
    ck_assert_mem_eq(m->base, "keep", 4);
    sonic__pool_unpin(&r.p, m);
    ck_assert_uint_eq(r.p.lent, 1);
    ck_assert_ptr_eq(lend(&r, 0), m);
    ck_assert(!m->orphan);
    m->pins = 1; /* unpinned while it is still lent: it stays lent */
    sonic__pool_unpin(&r.p, m);
    ck_assert_uint_eq(r.p.lent, 2);
    sonic__pool_return(&r.p, m);
    sonic__pool_return(&r.p, other);
    close_pool(&r);
}
END_TEST

START_TEST(lending_fails)
{
    for (unsigned long n = 1;; n++) {
        struct pool_rig r;
        struct sonic_mirror *m;
        int err;

        open_pool(&r, SIZE_MAX);
        r.p.prefault = SONIC_ON;
        hook_fail_nth(&r.h, n);
        err = sonic__pool_lend(&r.p, 0, &m);
        if (err < 0) {
            ck_assert_uint_eq(r.p.count + r.p.lent + r.p.bytes, 0);
            ck_assert_int_eq(sonic__pool_lend(&r.p, 0, &m), 0);
        }
        sonic__pool_return(&r.p, m);
        close_pool(&r);
        if (r.h.failed == HOOK_N)
            break;
    }
}
END_TEST

/* ---- blocks ----------------------------------------------------------- */

START_TEST(block_classes)
{
    static const struct {
        size_t asked, room;
    } row[] = {{0, 0},       {1, 512},      {512, 512},     {513, 2048},
               {8192, 8192}, {8193, 32768}, {32768, 32768}, {32769, 32769}};
    struct pool_rig r;

    open_pool(&r, SIZE_MAX);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sonic__block *b = sonic__block_new(&r.p, row[i].asked), *again;

        ck_assert_uint_eq(sonic__block_room(b), row[i].room);
        /* used, and dirty when it comes back */
        b->len = b->cap;
        b->err = -EIO;
        b->n_prefix = 3;
        b->total = 99;
        b->cb = on_outcome;
        b->next = b;
        sonic__block_free(&r.p, b);
        again = sonic__block_new(&r.p, row[i].asked);
        if (row[i].asked <= SONIC__BLOCK_LARGEST)
            ck_assert_ptr_eq(again, b);
        ck_assert_uint_eq(sonic__block_room(again), row[i].room);
        ck_assert(again->len == 0 && again->err == 0 && again->total == 0 &&
                  again->n_prefix == 0 && again->next == NULL &&
                  again->cb == NULL && again->pin == NULL);
        sonic__block_free(&r.p, again);
    }
    close_pool(&r);
}
END_TEST

START_TEST(spare_blocks_are_few)
{
    enum { MANY = 1000 };
    struct sonic__block *b[MANY];
    struct pool_rig r;

    open_pool(&r, SIZE_MAX);
    for (int i = 0; i < MANY; i++)
        ck_assert_ptr_nonnull(b[i] = sonic__block_new(&r.p, 8192));
    for (int i = 0; i < MANY; i++)
        sonic__block_free(&r.p, b[i]);
    ck_assert_uint_le(hook_leaked(&r.h), 2 << 20);
    ck_assert_uint_ge(hook_leaked(&r.h), 1 << 20);
    hook_mem_fail_nth(&r.h, 1);
    ck_assert_ptr_null(sonic__block_new(&r.p, 512));
    if (SIZE_MAX > UINT32_MAX)
        ck_assert_ptr_null(sonic__block_new(&r.p, (size_t)UINT32_MAX + 1));
    close_pool(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tc = tcase_create("buffers");

    tcase_add_test(tc, last_in_first_out);
    tcase_add_test(tc, size_classes);
    tcase_add_test(tc, limit);
    tcase_add_test(tc, spare_ones_are_few);
    tcase_add_test(tc, idle_ones_go);
    tcase_add_test(tc, usual_ones_stay);
    tcase_add_loop_test(tc, the_loop_lets_go, 0, 2);
    tcase_add_test(tc, pinned);
    tcase_add_test(tc, lending_fails);
    suite_add_tcase(suite, tc);
    tc = tcase_create("blocks");
    tcase_add_test(tc, block_classes);
    tcase_add_test(tc, spare_blocks_are_few);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
