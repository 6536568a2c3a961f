/* The bip buffer: Sonic's rules, one by one; every short history of a small
 * buffer, and long random ones of others, against a model. */
#include <sonicio/bip.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/chance.h"
#include "support/hook.h"

static sonic_bip *
make(size_t bytes)
{
    sonic_bip *b;

    ck_assert_int_eq(sonic_bip_new(bytes, NULL, &b), 0);
    ck_assert_uint_eq(sonic_bip_size(b), bytes);
    ck_assert(sonic_bip_empty(b));
    return b;
}

/* Claim n and expect `got` of them; returns where. */
static uint8_t *
claim(sonic_bip *b, size_t n, size_t expected)
{
    size_t got = 99;
    uint8_t *p = sonic_bip_claim(b, n, &got);

    ck_assert_uint_eq(got, expected);
    if (expected > 0) {
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq(sonic_bip_claimed(b), expected);
    }
    return p;
}

static uint8_t *
commit(sonic_bip *b, size_t n, size_t expected)
{
    size_t len = 99;
    uint8_t *p = sonic_bip_commit(b, n, &len);

    ck_assert_uint_eq(len, expected);
    ck_assert_uint_eq(sonic_bip_claimed(b), 0);
    ck_assert_int_eq(p == NULL, expected == 0);
    return p;
}

static void
head_is(const sonic_bip *b, const uint8_t *p, size_t n)
{
    size_t len = 99;

    ck_assert_ptr_eq(sonic_bip_head(b, &len), p);
    ck_assert_uint_eq(len, n);
}

/* ---- the rules -------------------------------------------------------- */

START_TEST(claims_are_cut)
{
    sonic_bip *b = make(8);
    uint8_t *p = claim(b, 3, 3);

    ck_assert_ptr_eq(claim(b, 8, 8), p);
    ck_assert_ptr_eq(claim(b, 1024, 8), p);
    ck_assert_ptr_eq(claim(b, SIZE_MAX, 8), p); /* what was a negative size */
    head_is(b, NULL, 0);                        /* only claimed */
    ck_assert(!sonic_bip_empty(b));
    ck_assert_uint_eq(sonic_bip_committed(b), 0);
    sonic_bip_free(b);
}
END_TEST

START_TEST(commit_returns_the_chunk)
{
    sonic_bip *b = make(8);
    uint8_t *p = claim(b, 4, 4);

    memcpy(p, "abcd", 4);
    ck_assert_ptr_eq(commit(b, 2, 2), p);
    head_is(b, p, 2);
    ck_assert_ptr_eq(claim(b, 4, 4), p + 2);
    ck_assert_ptr_eq(commit(b, SIZE_MAX, 4), p + 2); /* cut to the claim */
    head_is(b, p, 6);
    ck_assert_ptr_null(commit(b, 4, 0)); /* the claim is over */
    ck_assert_int_eq(memcmp(p, "ab", 2), 0);
    sonic_bip_free(b);
}
END_TEST

START_TEST(commit_0_abandons)
{
    sonic_bip *b = make(8);

    claim(b, 4, 4);
    commit(b, 0, 0);
    ck_assert(sonic_bip_empty(b));
    commit(b, 4, 0);
    ck_assert(sonic_bip_empty(b));
    claim(b, 0, 0);
    commit(b, 4, 0);
    ck_assert(sonic_bip_empty(b));
    sonic_bip_free(b);
}
END_TEST

START_TEST(wraps_when_committed)
{
    sonic_bip *b = make(4);
    uint8_t *p = claim(b, 4, 4);

    commit(b, 4, 4);
    ck_assert_ptr_null(claim(b, 1, 0)); /* full */
    ck_assert_uint_eq(sonic_bip_consume(b, 2), 2);
    head_is(b, p + 2, 2);
    ck_assert_ptr_eq(claim(b, 4, 2), p); /* at the front */
    ck_assert(!sonic_bip_wrapped(b));
    ck_assert_ptr_eq(commit(b, 2, 2), p);
    ck_assert(sonic_bip_wrapped(b));
    ck_assert_uint_eq(sonic_bip_committed(b), 4);
    head_is(b, p + 2, 2);
    ck_assert_ptr_null(claim(b, 1, 0));
    ck_assert_uint_eq(sonic_bip_consume(b, 2), 2);
    ck_assert(!sonic_bip_wrapped(b));
    head_is(b, p, 2);
    ck_assert_uint_eq(sonic_bip_consume(b, SIZE_MAX), 2);
    ck_assert(sonic_bip_empty(b));
    ck_assert_uint_eq(sonic_bip_consume(b, 1), 0);
    claim(b, 4, 4); /* all the room is one piece again */
    sonic_bip_free(b);
}
END_TEST

START_TEST(the_larger_side_and_of_equals_the_one_after)
{
    sonic_bip *b = make(8);
    uint8_t *p = claim(b, 6, 6);

    commit(b, 6, 6);
    sonic_bip_consume(b, 2); /* 2 before, 2 after */
    ck_assert_ptr_eq(claim(b, 8, 2), p + 6);
    sonic_bip_consume(b, 1); /* 3 before, 2 after */
    ck_assert_ptr_eq(claim(b, 8, 3), p);
    ck_assert_ptr_eq(commit(b, 1, 1), p);
    ck_assert_ptr_eq(claim(b, 8, 2), p + 1); /* the gap, not what is after */
    commit(b, 2, 2);
    ck_assert_ptr_null(claim(b, 8, 0));
    sonic_bip_free(b);
}
END_TEST

START_TEST(consume_past_the_head_spares_the_wrapped)
{
    sonic_bip *b = make(4);
    uint8_t *p = claim(b, 4, 4);

    commit(b, 4, 4);
    sonic_bip_consume(b, 3);
    claim(b, 3, 3);
    commit(b, 3, 3);
    ck_assert_uint_eq(sonic_bip_consume(b, 3), 1);
    head_is(b, p, 3);
    sonic_bip_free(b);
}
END_TEST

START_TEST(reset_drops_all)
{
    sonic_bip *b = make(4);
    uint8_t *p = claim(b, 4, 4);

    memcpy(p, "wxyz", 4);
    commit(b, 4, 4);
    sonic_bip_prefault(b);
    ck_assert_int_eq(memcmp(p, "wxyz", 4), 0);
    sonic_bip_consume(b, 2);
    claim(b, 2, 2);
    commit(b, 1, 1);
    claim(b, 1, 1);
    sonic_bip_reset(b);
    ck_assert(sonic_bip_empty(b));
    ck_assert(!sonic_bip_wrapped(b));
    head_is(b, NULL, 0);
    ck_assert_ptr_eq(claim(b, 4, 4), p);
    sonic_bip_free(b);
}
END_TEST

START_TEST(made_and_freed)
{
    sonic_bip_options opt = SONIC_BIP_OPTIONS_INIT;
    struct hook h;
    sonic_bip *b;
    unsigned long n;

    hook_init(&h);
    opt.mem = &h.mem;
    opt.prefault = SONIC_ON;
    ck_assert_int_eq(sonic_bip_new(0, &opt, &b), SONIC_EOPTION);
    for (n = 1;; n++) {
        hook_mem_fail_nth(&h, n);
        if (sonic_bip_new(10000, &opt, &b) == 0)
            break;
        ck_assert_uint_eq(hook_leaked(&h), 0);
    }
    ck_assert_uint_eq(n, 3);
    n = h.allocs;
    for (size_t i = 0, got; i < 10000; i++) {
        sonic_bip_claim(b, 1 + i % 300, &got);
        sonic_bip_commit(b, got, &got);
        sonic_bip_consume(b, i % 350);
    }
    ck_assert_uint_eq(h.allocs, n); /* nothing in the steady state */
    sonic_bip_free(b);
    sonic_bip_free(NULL);
    ck_assert_uint_eq(hook_leaked(&h), 0);
}
END_TEST

/* ---- against a model -------------------------------------------------- */

/* The model: the bytes that were committed and not consumed, as numbers, and
 * where each of them lies.  A claim may never touch one of these. */
struct model {
    sonic_bip *b;
    const uint8_t *base;
    size_t size;
    struct {
        const uint8_t *at;
        uint8_t value;
    } queue[256];
    size_t n;
    uint8_t next;
    uint8_t *claim;
    size_t claimed;
};

static void
look(const struct model *m)
{
    size_t len, at = 0;
    const uint8_t *p = sonic_bip_head(m->b, &len);

    must(sonic_bip_committed(m->b) == m->n);
    must(sonic_bip_claimed(m->b) == m->claimed);
    must((sonic_bip_empty(m->b)) == (m->n == 0 && m->claimed == 0));
    must((len == 0) == (m->n == 0));
    must((sonic_bip_wrapped(m->b)) == (len < m->n));
    for (; at < len; at++) {
        must(p + at == (m->queue[at].at));
        must(p[at] == m->queue[at].value);
    }
    for (; at < m->n; at++) /* the wrapped chunk begins at the front */
        must(m->queue[at].at == (m->base + (at - len)));
}

static void
do_claim(struct model *m, size_t n)
{
    const uint8_t *lo = m->base + m->size, *hi = m->base;
    size_t before, after, room, got;
    uint8_t *p;

    for (size_t i = 0; i < m->n; i++) {
        lo = m->queue[i].at < lo ? m->queue[i].at : lo;
        hi = m->queue[i].at + 1 > hi ? m->queue[i].at + 1 : hi;
    }
    before = m->n == 0 ? 0 : (size_t)(lo - m->base);
    after = m->n == 0 ? m->size : (size_t)(m->base + m->size - hi);
    room = before > after ? before : after;
    if (sonic_bip_wrapped(m->b)) /* the gap: what is free in the middle */
        room = (size_t)(m->queue[0].at - m->queue[m->n - 1].at) - 1;
    p = sonic_bip_claim(m->b, n, &got);
    must(got == (n < room ? n : room));
    must((p == NULL) == (room == 0));
    if (p == NULL)
        return; /* an older claim stands, as it does with Sonic */
    if (before <= after && !sonic_bip_wrapped(m->b))
        must(p == (m->n == 0 ? m->base : hi));
    for (size_t i = 0; i < m->n; i++)
        must(m->queue[i].at < p || m->queue[i].at >= p + got);
    for (size_t i = 0; i < got; i++)
        p[i] = 0xee;
    m->claim = p;
    m->claimed = got;
}

static void
do_commit(struct model *m, size_t n)
{
    size_t want = n < m->claimed ? n : m->claimed, len;
    const uint8_t *p;

    for (size_t i = 0; i < want; i++)
        m->claim[i] = m->next++;
    p = sonic_bip_commit(m->b, n, &len);
    must(len == want);
    must(p == (want == 0 ? NULL : m->claim));
    for (size_t i = 0; i < want; i++, m->n++) {
        m->queue[m->n].at = m->claim + i;
        m->queue[m->n].value = m->claim[i];
    }
    m->claimed = 0;
}

static void
do_consume(struct model *m, size_t n)
{
    size_t len;

    sonic_bip_head(m->b, &len);
    if (n > len)
        n = len;
    must(sonic_bip_consume(m->b, n) == n);
    memmove(m->queue, m->queue + n, (m->n - n) * sizeof *m->queue);
    m->n -= n;
}

static void
begin(struct model *m, size_t size)
{
    size_t got;

    memset(m, 0, sizeof *m);
    m->b = make(size);
    m->size = size;
    m->base = sonic_bip_claim(m->b, 1, &got);
    sonic_bip_reset(m->b);
}

/* Every history of five steps of a buffer of `size` bytes, each step any
 * operation with any useful argument. */
START_TEST(every_short_history)
{
    size_t size = (size_t)_i, kinds = 3 * (size + 2), total = 1;
    struct model m;

    for (int i = 0; i < 5; i++)
        total *= kinds;
    begin(&m, size);
    for (size_t history = 0; history < total; history++) {
        size_t rest = history;

        sonic_bip_reset(m.b);
        m.n = m.claimed = 0;
        for (int i = 0; i < 5; i++, rest /= kinds) {
            size_t what = rest % kinds, n = what / 3;

            if (what % 3 == 0)
                do_claim(&m, n);
            else if (what % 3 == 1)
                do_commit(&m, n);
            else
                do_consume(&m, n);
            look(&m);
        }
    }
    sonic_bip_free(m.b);
}
END_TEST

START_TEST(long_random_histories)
{
    static const size_t sizes[] = {1, 2, 7, 64, 200};
    struct chance c = chance_open(20261125);
    struct model m;

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        begin(&m, sizes[s]);
        for (int i = 0; i < 20000; i++) {
            size_t n = chance_below(&c, chance_below(&c, 3) ? m.size + 1 : 5);

            switch (chance_below(&c, 3)) {
            case 0:
                do_claim(&m, n);
                break;
            case 1:
                do_commit(&m, n);
                break;
            default:
                do_consume(&m, n);
                break;
            }
            look(&m);
        }
        sonic_bip_free(m.b);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("bip");
    TCase *rules = tcase_create("rules"), *model = tcase_create("model");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(rules, claims_are_cut);
    tcase_add_test(rules, commit_returns_the_chunk);
    tcase_add_test(rules, commit_0_abandons);
    tcase_add_test(rules, wraps_when_committed);
    tcase_add_test(rules, the_larger_side_and_of_equals_the_one_after);
    tcase_add_test(rules, consume_past_the_head_spares_the_wrapped);
    tcase_add_test(rules, reset_drops_all);
    tcase_add_test(rules, made_and_freed);
    tcase_set_timeout(model, 60);
    tcase_add_loop_test(model, every_short_history, 1, 6);
    tcase_add_test(model, long_random_histories);
    suite_add_tcase(s, rules);
    suite_add_tcase(s, model);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
