/* What `sonicio demo` trusts: the check of its messages finds every kind of
 * damage that there is. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"

enum { FEED = 7, SIZE = 67, MANY = 5 };

static unsigned char message[MANY][SIZE];
static struct feed_check c;

static void
setup(void)
{
    for (unsigned i = 0; i < MANY; i++)
        feed_write(message[i], SIZE, FEED, i, 1000 + i);
    memset(&c, 0, sizeof c);
    c.feed = FEED;
    c.size = SIZE;
}

/* Every message is given a copy of its own, so that reading past its end shows
 * under a sanitizer. */
static int64_t
read_one(const unsigned char *data, size_t len)
{
    unsigned char *copy = malloc(len > 0 ? len : 1);
    int64_t sent;

    memcpy(copy, data, len);
    sent = feed_read(&c, copy, len);
    free(copy);
    return sent;
}

static void
is(uint64_t good, uint64_t lost, uint64_t reordered, uint64_t corrupt)
{
    ck_assert_uint_eq(c.good, good);
    ck_assert_uint_eq(c.lost, lost);
    ck_assert_uint_eq(c.reordered, reordered);
    ck_assert_uint_eq(c.corrupt, corrupt);
}

START_TEST(all_in_order_is_good)
{
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_int_eq(read_one(message[i], SIZE), 1000 + i);
    feed_finish(&c, MANY);
    is(MANY, 0, 0, 0);
}
END_TEST

START_TEST(sizes_from_the_least_to_the_greatest_are_good)
{
    static const size_t sizes[] = {FEED_MIN, FEED_MIN + 1, FEED_MIN + 7, 1024,
                                   FEED_MAX};
    unsigned char *big = malloc(FEED_MAX);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        c.size = sizes[i];
        feed_write(big, c.size, FEED, i, 5);
        ck_assert_int_eq(read_one(big, c.size), 5);
    }
    is(5, 0, 0, 0);
    free(big);
}
END_TEST

START_TEST(a_gap_is_a_loss)
{
    read_one(message[0], SIZE);
    read_one(message[3], SIZE);
    is(2, 2, 0, 0);
    feed_finish(&c, 4);
    is(2, 2, 0, 0);
}
END_TEST

START_TEST(what_is_missing_at_the_end_is_lost)
{
    read_one(message[0], SIZE);
    feed_finish(&c, MANY);
    is(1, MANY - 1, 0, 0);
}
END_TEST

START_TEST(a_late_message_is_reordered)
{
    read_one(message[0], SIZE);
    read_one(message[2], SIZE);
    read_one(message[1], SIZE);
    read_one(message[3], SIZE);
    feed_finish(&c, 4);
    is(3, 1, 1, 0);
}
END_TEST

START_TEST(a_second_copy_is_reordered)
{
    read_one(message[0], SIZE);
    read_one(message[0], SIZE);
    is(1, 0, 1, 0);
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    for (unsigned bit = 0; bit < SIZE * 8; bit++) {
        c.next = 0;
        message[0][bit / 8] ^= (unsigned char)(1 << bit % 8);
        ck_assert_int_eq(read_one(message[0], SIZE), -1);
        ck_assert_uint_eq(c.next, 1);
        message[0][bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    is(0, 0, 0, SIZE * 8);
    read_one(message[1], SIZE);
    is(1, 0, 0, SIZE * 8);
}
END_TEST

START_TEST(every_other_length_is_found)
{
    unsigned char longer[SIZE + 8] = {0};

    memcpy(longer, message[0], SIZE);
    for (size_t n = 0; n <= sizeof longer; n++)
        if (n != SIZE)
            ck_assert_int_eq(read_one(longer, n), -1);
    is(0, 0, 0, sizeof longer);
}
END_TEST

START_TEST(parts_of_two_messages_are_found)
{
    unsigned char spliced[SIZE];

    for (size_t at = 16; at < SIZE; at += 8) {
        memcpy(spliced, message[0], at);
        memcpy(spliced + at, message[1] + at, SIZE - at);
        c.next = 0;
        ck_assert_int_eq(read_one(spliced, SIZE), -1);
    }
    /* Two words swapped. */
    memcpy(spliced, message[0], SIZE);
    memcpy(spliced + 24, message[0] + 32, 8);
    memcpy(spliced + 32, message[0] + 24, 8);
    ck_assert_int_eq(read_one(spliced, SIZE), -1);
}
END_TEST

START_TEST(a_message_of_another_feed_is_found)
{
    feed_write(message[0], SIZE, FEED + 1, 0, 1000);
    ck_assert_int_eq(read_one(message[0], SIZE), -1);
    is(0, 0, 0, 1);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("feed");
    TCase *tc = tcase_create("check");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, all_in_order_is_good);
    tcase_add_test(tc, sizes_from_the_least_to_the_greatest_are_good);
    tcase_add_test(tc, a_gap_is_a_loss);
    tcase_add_test(tc, what_is_missing_at_the_end_is_lost);
    tcase_add_test(tc, a_late_message_is_reordered);
    tcase_add_test(tc, a_second_copy_is_reordered);
    tcase_add_test(tc, every_flipped_bit_is_found);
    tcase_add_test(tc, every_other_length_is_found);
    tcase_add_test(tc, parts_of_two_messages_are_found);
    tcase_add_test(tc, a_message_of_another_feed_is_found);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
