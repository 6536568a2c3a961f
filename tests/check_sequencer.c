/* The sequencer: its contract case by case, and random histories, dense and
 * sparse and across the end of the numbers, against a plain list. */
#include <sonicio/sequencer.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "buffer/bitset.h"
#include "support/chance.h"
#include "support/hook.h"

static sonic_sequencer *
make(size_t span, size_t max_items, size_t max_bytes)
{
    sonic_sequencer_options o = SONIC_SEQUENCER_OPTIONS_INIT;
    sonic_sequencer *s;

    o.span = span;
    o.max_items = max_items;
    o.max_bytes = max_bytes;
    ck_assert_int_eq(sonic_sequencer_new(&o, &s), 0);
    ck_assert_uint_eq(sonic_sequencer_items(s), 0);
    return s;
}

static int
push(sonic_sequencer *s, uint64_t seq, const char *text)
{
    sonic_sequenced i = {seq, (void *)(uintptr_t)text, strlen(text), seq * 3};

    return sonic_sequencer_push(s, &i);
}

static void
pops(sonic_sequencer *s, uint64_t seq, const char *text)
{
    sonic_sequenced i;

    ck_assert_int_eq(sonic_sequencer_pop(s, seq, &i), 0);
    ck_assert_uint_eq(i.seq, seq);
    ck_assert_uint_eq(i.len, strlen(text));
    ck_assert_mem_eq(i.data, text, i.len);
    ck_assert_uint_eq(i.tag, seq * 3);
}

static void
gap_is(const sonic_sequencer *s, uint64_t from, uint64_t first, uint64_t last)
{
    uint64_t a, b;

    ck_assert(sonic_sequencer_gap(s, from, &a, &b));
    ck_assert_uint_eq(a, first);
    ck_assert_uint_eq(b, last);
}

static void
no_gap(const sonic_sequencer *s, uint64_t from)
{
    uint64_t a = 7, b = 8;

    ck_assert(!sonic_sequencer_gap(s, from, &a, &b));
    ck_assert_uint_eq(a, 7);
    ck_assert_uint_eq(b, 8);
}

/* ---- the contract ----------------------------------------------------- */

START_TEST(pushed_in_disorder_popped_in_reverse)
{
    sonic_sequencer *s = make(0, 0, 0);

    ck_assert_int_eq(push(s, 2, "two"), 0);
    ck_assert_int_eq(push(s, 1, "one"), 0);
    ck_assert_int_eq(push(s, 4, "four"), 0);
    ck_assert_int_eq(push(s, 3, "three"), 0);
    ck_assert_int_eq(push(s, 5, "five"), 0);
    ck_assert_uint_eq(sonic_sequencer_items(s), 5);
    ck_assert_uint_eq(sonic_sequencer_bytes(s), 19);
    pops(s, 5, "five");
    pops(s, 4, "four");
    pops(s, 3, "three");
    pops(s, 2, "two");
    pops(s, 1, "one");
    ck_assert_uint_eq(sonic_sequencer_items(s), 0);
    ck_assert_uint_eq(sonic_sequencer_bytes(s), 0);
    sonic_sequencer_free(s);
}
END_TEST

START_TEST(what_is_missing_or_there_twice)
{
    sonic_sequencer *s = make(0, 0, 0);
    sonic_sequenced i;

    ck_assert_int_eq(sonic_sequencer_pop(s, 0, NULL), -ENOENT);
    ck_assert_int_eq(sonic_sequencer_pop_first(s, NULL), -ENOENT);
    ck_assert_int_eq(sonic_sequencer_peek(s, 0, &i), -ENOENT);
    ck_assert_int_eq(push(s, 7, "a"), 0);
    ck_assert_int_eq(push(s, 7, "b"), -EEXIST);
    ck_assert_int_eq(sonic_sequencer_pop(s, 6, NULL), -ENOENT);
    ck_assert_int_eq(sonic_sequencer_pop(s, 8, NULL), -ENOENT);
    /* the same place of the ring */
    ck_assert_int_eq(sonic_sequencer_pop(s, 7 + 65536, NULL), -ENOENT);
    ck_assert(!sonic_sequencer_has(s, UINT64_C(7) - 65536));
    ck_assert_int_eq(sonic_sequencer_peek(s, 7, &i), 0);
    ck_assert_ptr_eq(i.data, "a");
    ck_assert_int_eq(sonic_sequencer_pop(s, 7, NULL), 0);
    ck_assert_int_eq(sonic_sequencer_pop(s, 7, NULL), -ENOENT);
    ck_assert_int_eq(push(s, 7, "again"), 0);
    sonic_sequencer_free(s);
}
END_TEST

START_TEST(limits)
{
    sonic_sequencer *s = make(64, 3, 10);
    uint64_t a, b;

    ck_assert_int_eq(push(s, 1, "12345678901"), -ENOBUFS);
    ck_assert(!sonic_sequencer_bounds(s, &a, &b));
    ck_assert_int_eq(push(s, 1, "1234567890"), 0);
    ck_assert_double_eq(sonic_sequencer_percent(s), 100);
    ck_assert_int_eq(push(s, 2, "1"), -ENOBUFS);
    ck_assert_int_eq(push(s, 2, ""), 0);
    ck_assert_int_eq(push(s, 1, "1"), -EEXIST);
    ck_assert_int_eq(sonic_sequencer_pop(s, 1, NULL), 0);
    ck_assert_int_eq(push(s, 66, "x"), -ERANGE); /* 2 .. 66 are 65 numbers */
    ck_assert_int_eq(push(s, 65, "x"), 0);
    ck_assert_int_eq(push(s, 1, "x"), -ERANGE);
    ck_assert_int_eq(push(s, 3, "x"), 0);
    ck_assert_int_eq(push(s, 4, "x"), -ENOBUFS); /* three items */
    ck_assert_double_eq(sonic_sequencer_percent(s), 100);
    ck_assert(sonic_sequencer_bounds(s, &a, &b));
    ck_assert_uint_eq(a, 2);
    ck_assert_uint_eq(b, 65);
    sonic_sequencer_reset(s);
    ck_assert_uint_eq(sonic_sequencer_items(s), 0);
    ck_assert_double_eq(sonic_sequencer_percent(s), 0);
    ck_assert_int_eq(push(s, UINT64_C(1) << 60, "far"), 0);
    sonic_sequencer_free(s);
}
END_TEST

START_TEST(ranges)
{
    sonic_sequencer *s = make(0, 0, 0);
    sonic_sequenced out[8];

    for (uint64_t q = 10; q < 20; q++)
        if (q != 15)
            ck_assert_int_eq(push(s, q, "x"), 0);
    ck_assert_uint_eq(sonic_sequencer_pop_range(s, 9, 8, out), 0);
    ck_assert_uint_eq(sonic_sequencer_pop_range(s, 10, 0, out), 0);
    ck_assert_uint_eq(sonic_sequencer_pop_range(s, 11, 2, out), 2);
    ck_assert_uint_eq(out[0].seq, 11);
    ck_assert_uint_eq(out[1].seq, 12);
    /* stops at the first that is missing, and loses none behind it */
    ck_assert_uint_eq(sonic_sequencer_pop_range(s, 13, 8, out), 2);
    ck_assert_uint_eq(out[1].seq, 14);
    ck_assert_uint_eq(sonic_sequencer_items(s), 5);
    ck_assert_uint_eq(sonic_sequencer_pop_range(s, 15, 8, out), 0);
    ck_assert_int_eq(sonic_sequencer_pop_first(s, &out[0]), 0);
    ck_assert_uint_eq(out[0].seq, 10);
    ck_assert_uint_eq(sonic_sequencer_pop_range(s, 16, 8, out), 4);
    ck_assert_uint_eq(out[3].seq, 19);
    ck_assert_uint_eq(sonic_sequencer_items(s), 0);
    sonic_sequencer_free(s);
}
END_TEST

START_TEST(gaps)
{
    sonic_sequencer *s = make(64, 0, 0);

    no_gap(s, 0);
    ck_assert_int_eq(push(s, 10, "x"), 0);
    gap_is(s, 3, 3, 9);
    gap_is(s, 9, 9, 9);
    no_gap(s, 10);
    no_gap(s, 11);
    gap_is(s, 10 - (UINT64_C(1) << 62), 10 - (UINT64_C(1) << 62), 9);
    ck_assert_int_eq(push(s, 11, "x"), 0);
    ck_assert_int_eq(push(s, 14, "x"), 0);
    ck_assert_int_eq(push(s, 16, "x"), 0);
    gap_is(s, 10, 12, 13);
    gap_is(s, 13, 13, 13);
    gap_is(s, 14, 15, 15);
    no_gap(s, 16);
    no_gap(s, 17);
    ck_assert_int_eq(sonic_sequencer_pop(s, 10, NULL), 0);
    gap_is(s, 10, 10, 10); /* popped is missing: from is for the caller */
    sonic_sequencer_reset(s);
    for (uint64_t q = 100; q < 164; q++) /* not one place is free */
        ck_assert_int_eq(push(s, q, "x"), 0);
    no_gap(s, 100);
    no_gap(s, 163);
    gap_is(s, 99, 99, 99);
    sonic_sequencer_free(s);
}
END_TEST

START_TEST(missing_up_to_a_number)
{
    sonic_sequencer *s = make(64, 0, 0);
    uint64_t a, b;

    ck_assert(sonic_sequencer_missing(s, 5, 9, &a, &b)); /* nothing is held */
    ck_assert(a == 5 && b == 9);
    ck_assert(!sonic_sequencer_missing(s, 10, 9, &a, &b));
    ck_assert_int_eq(push(s, 7, "x"), 0);
    ck_assert_int_eq(push(s, 8, "x"), 0);
    ck_assert(sonic_sequencer_missing(s, 5, 12, &a, &b));
    ck_assert(a == 5 && b == 6);
    ck_assert(sonic_sequencer_missing(s, 7, 12, &a, &b)); /* beyond them */
    ck_assert(a == 9 && b == 12);
    ck_assert(sonic_sequencer_missing(s, 10, 10, &a, &b));
    ck_assert(a == 10 && b == 10);
    ck_assert(sonic_sequencer_missing(s, 2, 3, &a, &b)); /* before them */
    ck_assert(a == 2 && b == 3);
    ck_assert(!sonic_sequencer_missing(s, 7, 8, &a, &b));
    ck_assert(!sonic_sequencer_missing(s, 8, 7, &a, &b));
    ck_assert_int_eq(push(s, 10, "x"), 0);
    ck_assert(sonic_sequencer_missing(s, 7, 12, &a, &b));
    ck_assert(a == 9 && b == 9);
    sonic_sequencer_free(s);
}
END_TEST

/* 0 follows 2^64 - 1. */
START_TEST(numbers_start_over)
{
    sonic_sequencer *s = make(64, 0, 0);
    uint64_t a, b;

    ck_assert_int_eq(push(s, UINT64_MAX, "last"), 0);
    ck_assert_int_eq(push(s, 1, "second"), 0);
    ck_assert_int_eq(push(s, UINT64_MAX - 2, "x"), 0);
    ck_assert_int_eq(push(s, UINT64_C(1) << 63, "x"), -ERANGE);
    ck_assert(sonic_sequencer_bounds(s, &a, &b));
    ck_assert_uint_eq(a, UINT64_MAX - 2);
    ck_assert_uint_eq(b, 1);
    gap_is(s, UINT64_MAX - 10, UINT64_MAX - 10, UINT64_MAX - 3);
    gap_is(s, UINT64_MAX - 2, UINT64_MAX - 1, UINT64_MAX - 1);
    gap_is(s, UINT64_MAX, 0, 0);
    no_gap(s, 1);
    no_gap(s, 2);
    ck_assert_int_eq(push(s, 0, "first"), 0);
    pops(s, UINT64_MAX, "last");
    pops(s, 0, "first");
    pops(s, 1, "second");
    sonic_sequencer_free(s);
}
END_TEST

START_TEST(made_and_freed)
{
    sonic_sequencer_options o = SONIC_SEQUENCER_OPTIONS_INIT;
    sonic_sequencer *s;
    struct hook h;
    unsigned long n;

    hook_init(&h);
    o.mem = &h.mem;
    o.span = ((size_t)1 << 24) + 1;
    ck_assert_int_eq(sonic_sequencer_new(&o, &s), SONIC_EOPTION);
    o.span = 100; /* becomes 128 */
    o.max_items = 129;
    ck_assert_int_eq(sonic_sequencer_new(&o, &s), SONIC_EOPTION);
    o.max_items = 128;
    for (n = 1;; n++) {
        hook_mem_fail_nth(&h, n);
        if (sonic_sequencer_new(&o, &s) == 0)
            break;
        ck_assert_uint_eq(hook_leaked(&h), 0);
    }
    ck_assert_uint_eq(n, 5);
    n = h.allocs;
    for (uint64_t q = 0; q < 100000; q++) { /* no id that could run out */
        ck_assert_int_eq(push(s, q * 77, "x"), 0);
        ck_assert_int_eq(sonic_sequencer_pop_first(s, NULL), 0);
    }
    ck_assert_uint_eq(h.allocs, n);
    sonic_sequencer_free(s);
    sonic_sequencer_free(NULL);
    ck_assert_uint_eq(hook_leaked(&h), 0);
}
END_TEST

/* ---- against a model -------------------------------------------------- */

enum { SPAN = 256 };

/* Numbers as distances from `origin`, so that the model needs no modulus. */
struct model {
    sonic_sequencer *s;
    uint64_t origin;
    bool held[4 * SPAN];
    size_t items, bytes;
    struct chance c;
};

static size_t
length_of(uint64_t seq)
{
    return (size_t)(seq % 7);
}

static size_t
first_held(const struct model *m, size_t from)
{
    while (from < 4 * SPAN && !m->held[from])
        from++;
    return from;
}

static size_t
last_held(const struct model *m)
{
    size_t i = 4 * SPAN;

    while (i > 0 && !m->held[i - 1])
        i--;
    return i - 1;
}

static void
model_push(struct model *m, size_t at)
{
    sonic_sequenced item = {m->origin + at, &m->held[at],
                            length_of(m->origin + at), at};
    size_t lo = first_held(m, 0), hi = lo == 4 * SPAN ? 0 : last_held(m);
    int expected = 0;

    if (lo == 4 * SPAN)
        lo = hi = at;
    lo = at < lo ? at : lo;
    hi = at > hi ? at : hi;
    if (m->held[at])
        expected = -EEXIST;
    else if (m->items == 100 || m->bytes + item.len > 250)
        expected = -ENOBUFS;
    else if (hi - lo >= SPAN)
        expected = -ERANGE;
    must(sonic_sequencer_push(m->s, &item) == expected);
    if (expected == 0) {
        m->held[at] = true;
        m->items++;
        m->bytes += item.len;
    }
}

static void
gone(struct model *m, const sonic_sequenced *item, size_t at)
{
    must(item->seq == m->origin + at && item->tag == at);
    must(item->data == &m->held[at] && item->len == length_of(item->seq));
    must(m->held[at]);
    m->held[at] = false;
    m->items--;
    m->bytes -= item->len;
}

static void
model_pop(struct model *m, size_t at)
{
    sonic_sequenced out[40];
    size_t n;

    switch (chance_below(&m->c, 4)) {
    case 0:
        n = sonic_sequencer_pop_range(m->s, m->origin + at, 40, out);
        must(n == 40 || at + n == 4 * SPAN || !m->held[at + n]);
        for (size_t i = 0; i < n; i++)
            gone(m, &out[i], at + i);
        break;
    case 1:
        n = first_held(m, 0);
        must(sonic_sequencer_pop_first(m->s, out) ==
             (n == 4 * SPAN ? -ENOENT : 0));
        if (n < 4 * SPAN)
            gone(m, out, n);
        break;
    default:
        must(sonic_sequencer_pop(m->s, m->origin + at, out) ==
             (m->held[at] ? 0 : -ENOENT));
        if (m->held[at])
            gone(m, out, at);
        break;
    }
}

static void
model_look(const struct model *m, size_t from)
{
    uint64_t a, b, expected = m->origin + from;
    size_t hi;

    must(sonic_sequencer_items(m->s) == m->items);
    must(sonic_sequencer_bytes(m->s) == m->bytes);
    must(sonic_sequencer_bounds(m->s, &a, &b) == (m->items > 0));
    if (m->items == 0) {
        must(!sonic_sequencer_gap(m->s, m->origin + from, &a, &b));
        return;
    }
    hi = last_held(m);
    must(a == m->origin + first_held(m, 0) && b == m->origin + hi);
    must(sonic_sequencer_has(m->s, m->origin + from) == m->held[from]);
    while (sonic_sequencer_gap(m->s, expected, &a, &b)) {
        for (uint64_t q = expected; q != a; q++)
            must(m->held[q - m->origin]);
        for (uint64_t q = a; q != b + 1; q++)
            must(!m->held[q - m->origin]);
        must(m->held[b + 1 - m->origin]);
        expected = b + 1;
    }
    for (size_t i = (size_t)(expected - m->origin); i <= hi; i++)
        must(m->held[i]);
}

START_TEST(like_the_model)
{
    static const uint64_t origins[] = {0, 1000003, UINT64_MAX - 2 * SPAN};
    sonic_sequencer_options o = SONIC_SEQUENCER_OPTIONS_INIT;
    struct model m;

    o.span = SPAN;
    o.max_items = 100;
    o.max_bytes = 250;
    memset(&m, 0, sizeof m);
    m.c = chance_open(20261125 + (uint64_t)_i);
    m.origin = origins[_i % 3];
    ck_assert_int_eq(sonic_sequencer_new(&o, &m.s), 0);
    for (int i = 0; i < 60000; i++) {
        size_t center = (size_t)(i / 20) % (3 * SPAN); /* moves on */
        size_t reach = i / 5000 % 2 == 0 ? SPAN / 4 : SPAN;
        size_t at = center + chance_below(&m.c, reach);

        if (chance_below(&m.c, i / 3000 % 2 == 0 ? 3 : 2) > 0)
            model_push(&m, at);
        else
            model_pop(&m, at);
        model_look(&m, chance_below(&m.c, 4 * SPAN));
    }
    sonic_sequencer_free(m.s);
}
END_TEST

/* The set below it, over several levels. */
START_TEST(sets)
{
    static const size_t sizes[] = {1, 63, 64, 65, 4096, 4097, 300000};
    struct chance c = chance_open(5);
    const size_t size = sizes[_i];
    struct hook h;
    struct sonic__bitset b;
    bool *in = calloc(size, sizeof *in);

    hook_init(&h);
    ck_assert_int_eq(sonic__bitset_init(&b, size, &h.mem), 0);
    for (int i = 0; i < 3000; i++) {
        size_t k = chance_below(&c, size), n;

        in[k] = chance_below(&c, 3) > 0;
        if (in[k])
            sonic__bitset_add(&b, k);
        else
            sonic__bitset_remove(&b, k);
        must(sonic__bitset_has(&b, k) == in[k]);
        k = chance_below(&c, size);
        for (n = k; n < size && !in[n]; n++)
            ;
        must(sonic__bitset_next(&b, k) == (n < size ? n : SONIC__BITSET_NONE));
        for (n = k + 1; n > 0 && !in[n - 1]; n--)
            ;
        must(sonic__bitset_prev(&b, k) == (n > 0 ? n - 1 : SONIC__BITSET_NONE));
    }
    sonic__bitset_clear(&b);
    must(sonic__bitset_next(&b, 0) == SONIC__BITSET_NONE);
    must(sonic__bitset_prev(&b, size - 1) == SONIC__BITSET_NONE);
    sonic__bitset_fini(&b, &h.mem);
    ck_assert_uint_eq(hook_leaked(&h), 0);
    ck_assert_int_eq(sonic__bitset_init(&b, SIZE_MAX, &h.mem), -ENOMEM);
    free(in);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("sequencer");
    TCase *contract = tcase_create("contract"), *model = tcase_create("model");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(contract, pushed_in_disorder_popped_in_reverse);
    tcase_add_test(contract, what_is_missing_or_there_twice);
    tcase_add_test(contract, limits);
    tcase_add_test(contract, ranges);
    tcase_add_test(contract, gaps);
    tcase_add_test(contract, missing_up_to_a_number);
    tcase_add_test(contract, numbers_start_over);
    tcase_add_test(contract, made_and_freed);
    tcase_set_timeout(model, 60);
    tcase_add_loop_test(model, like_the_model, 0, 6);
    tcase_add_loop_test(model, sets, 0, 7);
    suite_add_tcase(s, contract);
    suite_add_tcase(s, model);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
