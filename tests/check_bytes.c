/* The byte buffer without streams: each operation, and random histories
 * against a model that keeps each byte by its number. */
#include <sonicio/bytes.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/chance.h"
#include "support/hook.h"

static sonic_bytes *
make(size_t capacity, unsigned max_slots)
{
    sonic_bytes_options o = SONIC_BYTES_OPTIONS_INIT;
    sonic_bytes *b;

    o.capacity = capacity;
    o.max_slots = max_slots;
    ck_assert_int_eq(sonic_bytes_new(&o, &b), 0);
    return b;
}

static void
put(sonic_bytes *b, const char *text)
{
    ck_assert_int_eq(sonic_bytes_write_string(b, text), 0);
    sonic_bytes_commit(b, strlen(text));
}

static void
data_is(const sonic_bytes *b, const char *text)
{
    size_t len;
    const uint8_t *p = sonic_bytes_data(b, &len);

    ck_assert_uint_eq(len, strlen(text));
    ck_assert_uint_eq(sonic_bytes_read_len(b), len);
    if (len == 0)
        ck_assert_ptr_null(p);
    else
        ck_assert_mem_eq(p, text, len);
}

static sonic_slot
save(sonic_bytes *b, size_t n, size_t expected)
{
    sonic_slot s;

    ck_assert_int_eq(sonic_bytes_save(b, n, &s), 0);
    ck_assert_uint_eq(s.len, expected);
    return s;
}

static void
slot_is(const sonic_bytes *b, sonic_slot s, const char *text)
{
    const uint8_t *p = sonic_bytes_saved(b, s);

    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(s.len, strlen(text));
    ck_assert_mem_eq(p, text, s.len);
}

/* ---- operations ------------------------------------------------------- */

START_TEST(areas)
{
    sonic_bytes *b = make(512, 0);

    ck_assert_uint_eq(sonic_bytes_capacity(b), 512);
    ck_assert_uint_eq(sonic_bytes_reserved(b), 512);
    ck_assert_int_eq(sonic_bytes_write(b, "hello", 5), 0);
    ck_assert_int_eq(sonic_bytes_write_byte(b, '!'), 0);
    ck_assert_int_eq(sonic_bytes_write(b, NULL, 0), 0);
    ck_assert_uint_eq(sonic_bytes_write_len(b), 6);
    data_is(b, ""); /* not committed */
    ck_assert_uint_eq(sonic_bytes_commit(b, 2), 2);
    data_is(b, "he");
    ck_assert_uint_eq(sonic_bytes_commit(b, SIZE_MAX), 4); /* cut */
    data_is(b, "hello!");
    ck_assert_uint_eq(sonic_bytes_commit(b, 1), 0);
    ck_assert_uint_eq(sonic_bytes_consume(b, 2), 2);
    data_is(b, "llo!");
    ck_assert_uint_eq(sonic_bytes_consume(b, SIZE_MAX), 4); /* cut */
    data_is(b, "");
    ck_assert_uint_eq(sonic_bytes_reserved(b), 512);
    ck_assert_int_eq(sonic_bytes_reserve(b, 512), 0);
    ck_assert_int_eq(sonic_bytes_reserve(b, 513), -ENOBUFS);
    sonic_bytes_free(b);
}
END_TEST

START_TEST(prepare_read)
{
    sonic_bytes *b = make(512, 0);

    ck_assert_int_eq(sonic_bytes_write_string(b, "hello"), 0);
    ck_assert_int_eq(sonic_bytes_prepare_read(b, 3), 0);
    data_is(b, "hel");
    ck_assert_int_eq(sonic_bytes_prepare_read(b, 2), 0);
    data_is(b, "hel");
    ck_assert_int_eq(sonic_bytes_prepare_read(b, 10), SONIC_ENEEDMORE);
    data_is(b, "hel"); /* nothing was committed */
    ck_assert_int_eq(sonic_bytes_prepare_read(b, 5), 0);
    data_is(b, "hello");
    sonic_bytes_free(b);
}
END_TEST

static size_t
half(uint8_t *room, size_t len, void *ud)
{
    *(size_t *)ud = len;
    memset(room, 'x', len / 2);
    return len / 2;
}

static size_t
everything(uint8_t *room, size_t len, void *ud)
{
    *(size_t *)ud = len;
    memset(room, 'y', len);
    return len;
}

static size_t
too_much(uint8_t *room, size_t len, void *ud)
{
    (void)room;
    (void)ud;
    return len + 1;
}

START_TEST(claims)
{
    sonic_bytes *b = make(512, 0);
    size_t seen;
    uint8_t *p;

    ck_assert_uint_eq(sonic_bytes_claim(b, too_much, NULL), 0);
    ck_assert_uint_eq(sonic_bytes_claim(b, half, &seen), 256);
    ck_assert_uint_eq(seen, 512);
    ck_assert_uint_eq(sonic_bytes_claim(b, everything, &seen), 256);
    ck_assert_uint_eq(seen, 256);
    ck_assert_uint_eq(sonic_bytes_claim(b, everything, &seen), 0);
    ck_assert_uint_eq(seen, 0);
    ck_assert_uint_eq(sonic_bytes_write_len(b), 512);
    ck_assert_int_eq(sonic_bytes_write_byte(b, 1), -ENOBUFS);
    ck_assert_ptr_null(sonic_bytes_claim_fixed(b, 1));
    ck_assert_uint_eq(sonic_bytes_shrink_by(b, 12), 12);
    ck_assert_uint_eq(sonic_bytes_shrink_to(b, 600), 0);
    ck_assert_uint_eq(sonic_bytes_shrink_to(b, 400), 100);
    ck_assert_int_eq(sonic_bytes_write(b, "y", SIZE_MAX), -ENOBUFS);
    ck_assert_uint_eq(sonic_bytes_write_len(b), 400); /* all or nothing */
    p = sonic_bytes_claim_fixed(b, 112);
    ck_assert_ptr_nonnull(p);
    memset(p, 'z', 112);
    ck_assert_ptr_null(sonic_bytes_claim_fixed(b, SIZE_MAX));
    sonic_bytes_commit(b, 412);
    /* what was committed is not shrunk */
    ck_assert_uint_eq(sonic_bytes_shrink_by(b, SIZE_MAX), 100);
    p = sonic_bytes_data(b, &seen);
    ck_assert_uint_eq(seen, 412);
    ck_assert(p[255] == 'x' && p[399] == 'y' && p[400] == 'z');
    sonic_bytes_free(b);
}
END_TEST

START_TEST(reading)
{
    sonic_bytes *b = make(512, 0);
    char out[8] = "";

    ck_assert_int_eq(sonic_bytes_read(b, out, 0), 0);
    ck_assert_int_eq(sonic_bytes_read(b, out, 1), SONIC_ENEEDMORE);
    put(b, "abcdef");
    save(b, 1, 1);
    ck_assert_int_eq(sonic_bytes_read(b, out, 2), 2);
    ck_assert_str_eq(out, "bc");
    ck_assert_int_eq(sonic_bytes_read_byte(b), 'd');
    ck_assert_int_eq(sonic_bytes_read(b, out, 8), 2);
    ck_assert_str_eq(out, "ef");
    /* with bytes saved, and none to read */
    ck_assert_int_eq(sonic_bytes_read(b, out, 8), SONIC_ENEEDMORE);
    ck_assert_int_eq(sonic_bytes_read_byte(b), SONIC_ENEEDMORE);
    put(b, "\xff");
    ck_assert_int_eq(sonic_bytes_read_byte(b), 255);
    sonic_bytes_free(b);
}
END_TEST

START_TEST(saving)
{
    sonic_bytes *b = make(512, 0);
    sonic_slot a, c, none, walk = {0, 0};

    none = save(b, 5, 0); /* the read area is empty */
    ck_assert_ptr_null(sonic_bytes_saved(b, none));
    ck_assert_uint_eq(sonic_bytes_discard(b, none), 0);
    put(b, "one-two-three");
    a = save(b, 3, 3);
    ck_assert_uint_eq(sonic_bytes_consume(b, 1), 1);
    c = save(b, 3, 3);
    ck_assert_uint_eq(sonic_bytes_consume(b, 1), 1);
    data_is(b, "three");
    slot_is(b, a, "one");
    slot_is(b, c, "two");
    ck_assert_uint_eq(sonic_bytes_save_len(b), 6);
    ck_assert_uint_eq(sonic_bytes_slots(b), 2);
    ck_assert(sonic_bytes_next_saved(b, &walk));
    slot_is(b, walk, "one");
    ck_assert(sonic_bytes_next_saved(b, &walk));
    slot_is(b, walk, "two");
    ck_assert(!sonic_bytes_next_saved(b, &walk));
    ck_assert_uint_eq(sonic_bytes_discard(b, a), 3);
    ck_assert_uint_eq(sonic_bytes_discard(b, a), 0); /* only once */
    ck_assert_ptr_null(sonic_bytes_saved(b, a));
    walk = a;
    ck_assert(sonic_bytes_next_saved(b, &walk)); /* on from one that is gone */
    slot_is(b, walk, "two");
    slot_is(b, c, "two");
    data_is(b, "three");
    ck_assert_uint_eq(sonic_bytes_discard(b, c), 3);
    data_is(b, "three");
    c = save(b, SIZE_MAX, 5);
    slot_is(b, c, "three");
    data_is(b, "");
    sonic_bytes_discard_all(b);
    ck_assert_uint_eq(sonic_bytes_save_len(b), 0);
    ck_assert_uint_eq(sonic_bytes_reserved(b), 512);
    ck_assert_ptr_null(sonic_bytes_saved(b, c));
    sonic_bytes_free(b);
}
END_TEST

/* Five slots, discarded in each of the 120 orders. */
START_TEST(discards_in_any_order)
{
    static const char *const text[] = {"a", "bb", "ccc", "dddd", "eeeee"};
    sonic_bytes *b = make(64, 0);

    for (int order = 0; order < 120; order++) {
        sonic_slot slot[5];
        bool left[5] = {true, true, true, true, true};
        int rest = order;

        for (int i = 0; i < 5; i++) {
            put(b, text[i]);
            slot[i] = save(b, 9, strlen(text[i]));
        }
        put(b, "rest");
        for (int n = 5; n > 0; rest /= n, n--) {
            int skip = rest % n, k = 0;

            while (!left[k] || skip-- > 0)
                k++;
            ck_assert_uint_eq(sonic_bytes_discard(b, slot[k]), strlen(text[k]));
            left[k] = false;
            for (int i = 0; i < 5; i++)
                if (left[i])
                    slot_is(b, slot[i], text[i]);
                else
                    ck_assert_ptr_null(sonic_bytes_saved(b, slot[i]));
            data_is(b, "rest");
        }
        ck_assert_uint_eq(sonic_bytes_consume(b, 4), 4);
        ck_assert_uint_eq(sonic_bytes_reserved(b), 64);
    }
    sonic_bytes_free(b);
}
END_TEST

START_TEST(slots_that_are_not)
{
    sonic_bytes *b = make(512, 2);
    sonic_slot s, more;

    put(b, "abcd");
    s = save(b, 1, 1);
    ck_assert_ptr_null(sonic_bytes_saved(b, (sonic_slot){s.id, 2}));
    ck_assert_ptr_null(sonic_bytes_saved(b, (sonic_slot){s.id + 1, 1}));
    ck_assert_ptr_null(sonic_bytes_saved(b, (sonic_slot){s.id - 1, 1}));
    ck_assert_uint_eq(
        sonic_bytes_discard(b, (sonic_slot){UINT64_MAX, SIZE_MAX}), 0);
    more = save(b, 1, 1);
    ck_assert_int_eq(sonic_bytes_save(b, 1, &s), -ENOBUFS);
    ck_assert_uint_eq(s.len, 0);
    data_is(b, "cd");
    sonic_bytes_discard(b, more);
    /* one in front of it is still there */
    ck_assert_int_eq(sonic_bytes_save(b, 1, &s), -ENOBUFS);
    sonic_bytes_discard_all(b);
    save(b, 1, 1);
    ck_assert_ptr_null(sonic_bytes_saved(b, more));
    sonic_bytes_free(b);
}
END_TEST

/* The room behind a slot is limited until it goes, and never moves it. */
START_TEST(a_slot_holds_its_place)
{
    sonic_bytes *b = make(16, 0);
    const uint8_t *where;
    sonic_slot s;

    put(b, "keep");
    s = save(b, 4, 4);
    where = sonic_bytes_saved(b, s);
    put(b, "0123456789ab");
    ck_assert_int_eq(sonic_bytes_write_byte(b, 'c'), -ENOBUFS);
    ck_assert_uint_eq(sonic_bytes_consume(b, 12), 12);
    ck_assert_uint_eq(sonic_bytes_reserved(b), 0);
    ck_assert_ptr_eq(sonic_bytes_saved(b, s), where);
    slot_is(b, s, "keep");
    sonic_bytes_discard(b, s);
    ck_assert_uint_eq(sonic_bytes_reserved(b), 16);
    sonic_bytes_free(b);
}
END_TEST

START_TEST(made_and_freed)
{
    sonic_bytes_options o = SONIC_BYTES_OPTIONS_INIT;
    sonic_bytes *b;
    sonic_slot slot[100];
    struct hook h;
    unsigned long n;

    hook_init(&h);
    o.sys = &h.sys;
    o.mem = &h.mem;
    o.capacity = ((size_t)1 << 40) + 1;
    ck_assert_int_eq(sonic_bytes_new(&o, &b), SONIC_EOPTION);
    o.capacity = 0;
    o.max_slots = (1 << 24) + 1;
    ck_assert_int_eq(sonic_bytes_new(&o, &b), SONIC_EOPTION);
    o.max_slots = 0;
    o.prefault = SONIC_ON;
    for (n = 1;; n++) {
        hook_mem_fail_nth(&h, n);
        if (sonic_bytes_new(&o, &b) == 0)
            break;
        ck_assert_uint_eq(hook_leaked(&h), 0);
    }
    ck_assert_uint_eq(n, 3);
    sonic_bytes_free(b);
    hook_mem_fail_nth(&h, 0);
    hook_fail(&h, HOOK_memfd_create, -EMFILE, 1);
    ck_assert_int_eq(sonic_bytes_new(&o, &b), -EMFILE);
    ck_assert_uint_eq(hook_leaked(&h), 0);
    o.prefault = SONIC_OFF;
    ck_assert_int_eq(sonic_bytes_new(&o, &b), 0);
    ck_assert_int_eq(sonic_bytes_prefault(b), 0);
    hook_fail(&h, HOOK_madvise, -EFAULT, 1);
    ck_assert_int_eq(sonic_bytes_prefault(b), -ENOMEM);
    put(b, "abc");
    hook_fail(&h, HOOK_madvise, -EINVAL, 1); /* an old kernel */
    ck_assert_int_eq(sonic_bytes_prefault(b), 0);
    data_is(b, "abc");
    hook_mem_fail_nth(&h, 1);
    ck_assert_int_eq(sonic_bytes_save(b, 1, &slot[0]), -ENOMEM);
    data_is(b, "abc");
    for (int round = 0; round < 1000; round++) {
        if (round == 1)
            n = h.allocs; /* nothing from here on */
        for (int i = 0; i < 100; i++) {
            put(b, "xyz");
            ck_assert_int_eq(sonic_bytes_save(b, 3, &slot[i]), 0);
        }
        for (int i = 0; i < 100; i++)
            ck_assert_uint_eq(sonic_bytes_discard(b, slot[i ^ 1]), 3);
    }
    ck_assert_uint_eq(h.allocs, n);
    ck_assert_int_eq(sonic_bytes_reset(b), 0);
    data_is(b, "");
    ck_assert_uint_eq(sonic_bytes_slots(b), 0);
    sonic_bytes_free(b);
    sonic_bytes_free(NULL);
    ck_assert_uint_eq(hook_leaked(&h), 0);
    ck_assert_int_eq(sonic_bytes_new(NULL, &b), 0);
    ck_assert_uint_eq(sonic_bytes_capacity(b), 1 << 20);
    sonic_bytes_free(b);
}
END_TEST

/* ---- against a model -------------------------------------------------- */

enum { SLOTS = 20 };

/* Bytes are numbered as they are written; byte i has the value i * 7 + i / 256.
 * The areas are then three numbers. */
struct model {
    struct chance c;
    sonic_bytes *b;
    size_t capacity;
    uint64_t data, work, end;
    struct {
        sonic_slot slot;
        uint64_t from;
        const uint8_t *where;
    } saved[SLOTS];
};

static uint8_t
value(uint64_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static uint64_t
oldest(const struct model *m)
{
    uint64_t least = m->data;

    for (int i = 0; i < SLOTS; i++)
        if (m->saved[i].slot.len > 0 && m->saved[i].from < least)
            least = m->saved[i].from;
    return least;
}

static void
same(const uint8_t *p, uint64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must(p[i] == value(from + i));
}

static void
model_look(const struct model *m)
{
    size_t len, save_len = 0, n = 0;
    const uint8_t *p = sonic_bytes_data(m->b, &len);

    must(len == m->work - m->data);
    must(sonic_bytes_write_len(m->b) == m->end - m->work);
    must(sonic_bytes_reserved(m->b) ==
         m->capacity - (size_t)(m->end - oldest(m)));
    same(p, m->data, len);
    for (int i = 0; i < SLOTS; i++)
        if (m->saved[i].slot.len > 0) {
            must(sonic_bytes_saved(m->b, m->saved[i].slot) ==
                 m->saved[i].where); /* it has not moved */
            same(m->saved[i].where, m->saved[i].from, m->saved[i].slot.len);
            save_len += m->saved[i].slot.len;
            n++;
        }
    must(sonic_bytes_save_len(m->b) == save_len);
    must(sonic_bytes_slots(m->b) == n);
}

static void
model_write(struct model *m, size_t n)
{
    uint8_t *p = sonic_bytes_claim_fixed(m->b, n);

    must((p != NULL) == (n <= m->capacity - (size_t)(m->end - oldest(m))));
    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = value(m->end++);
}

static void
model_save(struct model *m, size_t n)
{
    size_t i = chance_below(&m->c, SLOTS);

    if (m->saved[i].slot.len > 0) {
        sonic_slot s = m->saved[i].slot;

        must(sonic_bytes_discard(m->b, s) == s.len);
        must(sonic_bytes_discard(m->b, s) == 0);
        m->saved[i].slot.len = 0;
        return;
    }
    must(sonic_bytes_save(m->b, n, &m->saved[i].slot) == 0);
    n = n < m->work - m->data ? n : (size_t)(m->work - m->data);
    must(m->saved[i].slot.len == n);
    m->saved[i].from = m->data;
    m->saved[i].where = sonic_bytes_saved(m->b, m->saved[i].slot);
    m->data += n;
}

START_TEST(like_the_model)
{
    static const size_t sizes[] = {1, 100, 4096, 5000, 20000};
    struct model m;

    memset(&m, 0, sizeof m);
    m.c = chance_open(20261125);
    m.capacity = sizes[_i];
    m.b = make(m.capacity, 0);
    for (int i = 0; i < 20000; i++) {
        size_t n = chance_below(&m.c, m.capacity / (1 + (size_t)i % 9) + 2), k;

        switch (chance_below(&m.c, 7)) {
        case 0:
        case 1:
            model_write(&m, n);
            break;
        case 2:
        case 3:
            k = n < m.end - m.work ? n : (size_t)(m.end - m.work);
            must(sonic_bytes_commit(m.b, n) == k);
            m.work += k;
            break;
        case 4:
            k = n < m.work - m.data ? n : (size_t)(m.work - m.data);
            must(sonic_bytes_consume(m.b, n) == k);
            m.data += k;
            break;
        case 5:
            model_save(&m, n / 4);
            break;
        default:
            k = n < m.end - m.work ? n : (size_t)(m.end - m.work);
            must(sonic_bytes_shrink_by(m.b, n) == k);
            m.end -= k;
            break;
        }
        model_look(&m);
    }
    sonic_bytes_free(m.b);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("bytes");
    TCase *plain = tcase_create("operations"), *model = tcase_create("model");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(plain, areas);
    tcase_add_test(plain, prepare_read);
    tcase_add_test(plain, claims);
    tcase_add_test(plain, reading);
    tcase_add_test(plain, saving);
    tcase_add_test(plain, discards_in_any_order);
    tcase_add_test(plain, slots_that_are_not);
    tcase_add_test(plain, a_slot_holds_its_place);
    tcase_add_test(plain, made_and_freed);
    tcase_set_timeout(model, 60);
    tcase_add_loop_test(model, like_the_model, 0, 5);
    suite_add_tcase(s, plain);
    suite_add_tcase(s, model);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
