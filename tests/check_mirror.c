/* The mirrored buffer. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer/mirror.h"
#include "support/rig.h"

static size_t page;

static sonic_mirror *
make(size_t min_size)
{
    sonic_mirror *m;

    ck_assert_int_eq(sonic_mirror_new(min_size, NULL, &m), 0);
    return m;
}

/* Queue n bytes of the sequence from i on; how many fitted. */
static size_t
push(sonic_mirror *m, size_t n, size_t i)
{
    size_t got;
    uint8_t *p = sonic_mirror_claim(m, n, &got);

    ck_assert_uint_le(got, n);
    if (p == NULL) {
        ck_assert_uint_eq(got, 0);
        return 0;
    }
    rig_fill(p, got, i);
    ck_assert_uint_eq(sonic_mirror_commit(m, got), got);
    return got;
}

/* What is queued is the sequence from i on. */
static void
check_queued(const sonic_mirror *m, size_t n, size_t i)
{
    size_t len;
    const uint8_t *p = sonic_mirror_head(m, &len);

    ck_assert_uint_eq(len, n);
    ck_assert_uint_eq(sonic_mirror_used(m), n);
    ck_assert_uint_eq(sonic_mirror_room(m), sonic_mirror_size(m) - n);
    if (n == 0)
        ck_assert_ptr_null(p);
    else
        ck_assert(rig_same(p, n, i));
}

/* ---- sizes ------------------------------------------------------------ */

START_TEST(sizes)
{
    static const struct {
        int pages, more, size;
    } row[] = {{0, 1, 1}, {1, -1, 1}, {1, 0, 1},  {1, 1, 2},
               {2, 1, 3}, {7, 0, 7},  {16, 1, 17}};
    sonic_mirror *m = NULL;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        m = make((size_t)row[i].pages * page + (size_t)row[i].more);
        ck_assert_uint_eq(sonic_mirror_size(m), (size_t)row[i].size * page);
        ck_assert(!sonic_mirror_huge(m));
        check_queued(m, 0, 0);
        sonic_mirror_free(m);
    }
    ck_assert_int_eq(sonic_mirror_new(0, NULL, &m), SONIC_EOPTION);
    ck_assert_int_eq(sonic_mirror_new(SIZE_MAX, NULL, &m), -ENOMEM);
    ck_assert_int_eq(sonic_mirror_new(SIZE_MAX / 2, NULL, &m), -ENOMEM);
    ck_assert_int_eq(sonic_mirror_new(SIZE_MAX / 4, NULL, &m), -ENOMEM);
    sonic_mirror_free(NULL);
}
END_TEST

/* Far more than there is: only what is touched exists. */
START_TEST(a_terabyte)
{
#if SIZE_MAX > UINT32_MAX
    sonic_mirror *m;
    size_t size = (size_t)1 << 40, got;
    int err = sonic_mirror_new(size, NULL, &m);

    if (err == -ENOMEM && rig_slow())
        return; /* an emulator's address space */
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(sonic_mirror_size(m), size);
    push(m, 3 * page, 0);
    check_queued(m, 3 * page, 0);
    sonic_mirror_commit(m, size);
    sonic_mirror_consume(m, size - 5);
    ck_assert_ptr_nonnull(sonic_mirror_head(m, &got));
    sonic_mirror_consume(m, 5);
    sonic_mirror_free(m);
#endif
}
END_TEST

/* ---- the mirror ------------------------------------------------------- */

START_TEST(both_halves_are_one)
{
    for (size_t pages = 1; pages <= 5; pages++) {
        sonic_mirror *m = make(pages * page);
        size_t n = sonic_mirror_size(m);

        rig_fill(m->base, n, 7);
        ck_assert(rig_same(m->base + n, n, 7));
        rig_fill(m->base + n, n, 77);
        ck_assert(rig_same(m->base, n, 77));
        sonic_mirror_free(m);
    }
}
END_TEST

/* Three pages, no power of two: round and round, in odd steps. */
START_TEST(wraps_at_three_pages)
{
    sonic_mirror *m = make(3 * page);
    size_t in = 0, out = 0, step = page + 123;

    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(push(m, step, in), step);
        in += step;
        ck_assert_uint_eq(push(m, page / 2, in), page / 2);
        in += page / 2;
        check_queued(m, in - out, out);
        ck_assert_uint_eq(sonic_mirror_consume(m, in - out - 17),
                          in - out - 17);
        out = in - 17;
        check_queued(m, 17, out);
    }
    sonic_mirror_free(m);
}
END_TEST

START_TEST(clamped)
{
    sonic_mirror *m = make(page);
    size_t got;

    ck_assert_ptr_nonnull(sonic_mirror_claim(m, 10, &got));
    ck_assert_uint_eq(got, 10);
    ck_assert_ptr_nonnull(sonic_mirror_claim(m, SIZE_MAX, &got));
    ck_assert_uint_eq(got, page);
    ck_assert_uint_eq(sonic_mirror_commit(m, 0), 0);
    ck_assert_uint_eq(sonic_mirror_commit(m, SIZE_MAX), page);
    ck_assert_ptr_null(sonic_mirror_claim(m, 1, &got));
    ck_assert_uint_eq(got, 0);
    ck_assert_uint_eq(sonic_mirror_commit(m, 1), 0);
    ck_assert_uint_eq(sonic_mirror_trim(m, 6), 6);
    ck_assert_uint_eq(sonic_mirror_used(m), page - 6);
    ck_assert_uint_eq(sonic_mirror_consume(m, 4), 4);
    ck_assert_uint_eq(sonic_mirror_room(m), 10);
    ck_assert_uint_eq(sonic_mirror_trim(m, SIZE_MAX), page - 10);
    ck_assert_uint_eq(sonic_mirror_consume(m, 1), 0);
    ck_assert_uint_eq(push(m, 5, 0), 5);
    ck_assert_uint_eq(sonic_mirror_consume(m, SIZE_MAX), 5);
    push(m, 5, 0);
    sonic_mirror_reset(m);
    check_queued(m, 0, 0);
    sonic_mirror_free(m);
}
END_TEST

static uint64_t state;

static size_t
below(size_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % n;
}

/* Random claims, commits, trims and consumes; the model is two counters. */
START_TEST(like_the_model)
{
    int rounds = rig_slow() ? 2000 : 20000;

    state = 20261123;
    for (size_t pages = 1; pages <= 5; pages += 2) {
        sonic_mirror *m = make(pages * page);
        size_t size = sonic_mirror_size(m), in = 0, out = 0, n;

        for (int i = 0; i < rounds; i++) {
            size_t most = below(4) ? 2000 : size + 100, asked = below(most);

            switch (below(4)) {
            case 0:
            case 1:
                n = push(m, asked, in);
                ck_assert_uint_eq(
                    n, asked < size - (in - out) ? asked : size - (in - out));
                in += n;
                break;
            case 2:
                out += sonic_mirror_consume(m, asked);
                break;
            default:
                in -= sonic_mirror_trim(m, asked / 16);
                break;
            }
            ck_assert_uint_le(out, in);
            check_queued(m, in - out, out);
        }
        sonic_mirror_free(m);
    }
}
END_TEST

/* ---- growing ---------------------------------------------------------- */

START_TEST(grow_keeps_what_is_queued)
{
    sonic_mirror *m = make(3 * page);
    size_t n = 3 * page - 100;

    push(m, 2 * page, 0);
    sonic_mirror_consume(m, 2 * page);
    push(m, 1, 0); /* so that the head is not at the start */
    sonic_mirror_consume(m, 0);
    push(m, n - 1, 1); /* wraps */
    ck_assert_int_eq(sonic_mirror_grow(m, 1), 0);
    ck_assert_uint_eq(sonic_mirror_size(m), 3 * page);
    ck_assert_int_eq(sonic_mirror_grow(m, 3 * page + 1), 0);
    ck_assert_uint_eq(sonic_mirror_size(m), 4 * page);
    check_queued(m, n, 0);
    push(m, page + 100, n);
    check_queued(m, 4 * page, 0);
    ck_assert_int_eq(sonic_mirror_grow(m, SIZE_MAX / 2), -ENOMEM);
    check_queued(m, 4 * page, 0);
    sonic_mirror_free(m);
}
END_TEST

/* ---- isolation -------------------------------------------------------- */

enum { AT_ONCE = 64 };

static void *
use_one(void *arg)
{
    size_t id = (size_t)(uintptr_t)arg, got;
    sonic_mirror *m = make((1 + id % 4) * page);

    memset(sonic_mirror_claim(m, SIZE_MAX, &got), (int)id,
           sonic_mirror_size(m));
    return m;
}

START_TEST(made_at_the_same_time)
{
    sonic_mirror *m[AT_ONCE];
    pthread_t id[AT_ONCE];

    for (uintptr_t i = 0; i < AT_ONCE; i++)
        ck_assert_int_eq(pthread_create(&id[i], NULL, use_one, (void *)i), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        void *made;

        pthread_join(id[i], &made);
        m[i] = made;
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        ck_assert_uint_eq(sonic_mirror_size(m[i]), (1 + i % 4) * page);
        for (size_t k = 0; k < 2 * sonic_mirror_size(m[i]); k++)
            if (m[i]->base[k] != i)
                ck_abort_msg("%zu: byte %zu is %u", i, k, m[i]->base[k]);
        sonic_mirror_free(m[i]);
    }
}
END_TEST

/* ---- shortage --------------------------------------------------------- */

/* Each call fails in turn; with prefault and huge pages too, which fall back
 * where they may. */
START_TEST(each_call_fails)
{
    for (int kind = 0; kind < 4; kind++) {
        sonic_mirror_options o = SONIC_MIRROR_OPTIONS_INIT;
        bool failed = true;

        o.prefault = kind & 1 ? SONIC_ON : SONIC_OFF;
        o.huge_pages = kind & 2 ? SONIC_ON : SONIC_DEFAULT;
        for (unsigned long n = 1; failed; n++) {
            unsigned fds = rig_open_fds();
            sonic_mirror *m;
            struct hook h;
            int err;

            hook_init(&h);
            o.sys = &h.sys;
            o.mem = &h.mem;
            hook_fail_nth(&h, n);
            err = sonic_mirror_new(3 * page, &o, &m);
            failed = h.failed != HOOK_N;
            if (err == 0)
                sonic_mirror_free(m);
            else
                ck_assert_msg(err == -ENOMEM || err == -ENFILE, "%s: %d",
                              hook_name(h.failed), err);
            ck_assert_uint_eq(hook_leaked(&h), 0);
            ck_assert_uint_eq(rig_open_fds(), fds);
            ck_assert_uint_lt(n, 50);
        }
    }
}
END_TEST

START_TEST(no_memory)
{
    sonic_mirror_options o = SONIC_MIRROR_OPTIONS_INIT;
    sonic_mirror *m;
    struct hook h;

    hook_init(&h);
    o.sys = &h.sys;
    o.mem = &h.mem;
    hook_mem_fail_nth(&h, 1);
    ck_assert_int_eq(sonic_mirror_new(page, &o, &m), -ENOMEM);
    o.prefault = SONIC_ON;
    hook_fail(&h, HOOK_madvise, -EFAULT, 1); /* what the kernel says */
    ck_assert_int_eq(sonic_mirror_new(page, &o, &m), -ENOMEM);
    hook_fail(&h, HOOK_madvise, -EINVAL, 1); /* a kernel that cannot */
    ck_assert_int_eq(sonic_mirror_new(page, &o, &m), 0);
    sonic_mirror_free(m);
    ck_assert_uint_eq(hook_leaked(&h), 0);
}
END_TEST

/* A buffer that could not grow is what it was. */
START_TEST(grow_fails)
{
    sonic_mirror_options o = SONIC_MIRROR_OPTIONS_INIT;
    struct hook h;
    sonic_mirror *m;

    hook_init(&h);
    o.sys = &h.sys;
    o.mem = &h.mem;
    o.prefault = SONIC_ON;
    ck_assert_int_eq(sonic_mirror_new(3 * page, &o, &m), 0);
    push(m, 2 * page, 0);
    for (unsigned long n = 1;; n++) {
        size_t size = sonic_mirror_size(m);

        hook_fail_nth(&h, n);
        if (sonic_mirror_grow(m, size + 1) < 0)
            ck_assert_uint_eq(sonic_mirror_size(m), size);
        check_queued(m, 2 * page, 0);
        if (h.failed == HOOK_N)
            break;
    }
    sonic_mirror_free(m);
    ck_assert_uint_eq(hook_leaked(&h), 0);
}
END_TEST

/* Where there are huge pages they are used, else small ones; either way the
 * buffer works, and says what it is also after it could not grow. */
START_TEST(huge_pages)
{
    sonic_mirror_options o = SONIC_MIRROR_OPTIONS_INIT;
    struct hook h;
    sonic_mirror *m;
    bool huge;

    hook_init(&h);
    o.sys = &h.sys;
    o.huge_pages = SONIC_ON;
    o.prefault = SONIC_ON;
    ck_assert_int_eq(sonic_mirror_new(5000, &o, &m), 0);
    huge = sonic_mirror_huge(m);
    ck_assert_uint_eq(sonic_mirror_size(m) % (huge ? 2u << 20 : page), 0);
    push(m, 5000, 0);
    hook_fail(&h, HOOK_memfd_create, -EMFILE, 2);
    ck_assert_int_eq(sonic_mirror_grow(m, sonic_mirror_size(m) + 1), -EMFILE);
    ck_assert(sonic_mirror_huge(m) == huge);
    check_queued(m, 5000, 0);
    sonic_mirror_free(m);
    ck_assert_uint_eq(hook_leaked(&h), 0);
}
END_TEST

/* The same by a seam that pretends to have them. */
static int
no_huge_flag(const char *name, unsigned flags, void *ud)
{
    (void)ud;
    return sonic_sys_kernel()->memfd_create(name, flags & ~MFD_HUGETLB, NULL);
}

START_TEST(pretended_huge_pages)
{
    sonic_mirror_options o = SONIC_MIRROR_OPTIONS_INIT;
    sonic_sys pretend = *sonic_sys_kernel();
    struct hook h;
    sonic_mirror *m;

    pretend.memfd_create = no_huge_flag;
    hook_init(&h);
    h.below = &pretend;
    o.sys = &h.sys;
    o.huge_pages = SONIC_ON;
    ck_assert_int_eq(sonic_mirror_new(5000, &o, &m), 0);
    ck_assert(sonic_mirror_huge(m));
    ck_assert_uint_eq(sonic_mirror_size(m), 2u << 20);
    ck_assert_uint_eq((uintptr_t)m->base % (2u << 20), 0);
    push(m, 5000, 0);
    hook_fail(&h, HOOK_memfd_create, -EMFILE, 2);
    ck_assert_int_eq(sonic_mirror_grow(m, 3u << 20), -EMFILE);
    ck_assert(sonic_mirror_huge(m));
    hook_fail(&h, HOOK_memfd_create, -EMFILE, 1);
    ck_assert_int_eq(sonic_mirror_grow(m, (2u << 20) + 1), 0);
    ck_assert(!sonic_mirror_huge(m));
    ck_assert_uint_eq(sonic_mirror_size(m), (2u << 20) + page);
    check_queued(m, 5000, 0);
    sonic_mirror_free(m);
    ck_assert_uint_eq(hook_leaked(&h), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mirror");
    TCase *tc = tcase_create("buffer");

    page = (size_t)sysconf(_SC_PAGESIZE);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, a_terabyte);
    tcase_add_test(tc, both_halves_are_one);
    tcase_add_test(tc, wraps_at_three_pages);
    tcase_add_test(tc, clamped);
    tcase_add_test(tc, like_the_model);
    tcase_add_test(tc, grow_keeps_what_is_queued);
    tcase_add_test(tc, made_at_the_same_time);
    suite_add_tcase(suite, tc);
    tc = tcase_create("shortage");
    tcase_add_test(tc, each_call_fails);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, grow_fails);
    tcase_add_test(tc, huge_pages);
    tcase_add_test(tc, pretended_huge_pages);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
