/* Every way to mask against the loop of RFC 6455 section 5.3. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/mask.h"

enum { DENSE = 300, LONGEST = 1400, GUARD = 64, ROOM = LONGEST + 3 * GUARD };

static const uint8_t key_bytes[4] = {0x11, 0x22, 0x44, 0x78};

/* The key as it is on the wire, n bytes further on. */
static uint32_t
key_at(size_t n)
{
    uint8_t k[4];
    uint32_t key;

    for (size_t i = 0; i < 4; i++)
        k[i] = key_bytes[(n + i) % 4];
    memcpy(&key, k, 4);
    return key;
}

START_TEST(key_rotates_with_the_place)
{
    for (size_t n = 0; n < 20; n++)
        for (size_t k = 0; k < 9; k++)
            ck_assert_uint_eq(sonic__ws_key_rotate(key_at(n), k),
                              key_at(n + k));
}
END_TEST

/* Every length up to DENSE, then some. */
static size_t
longer(size_t n, size_t step)
{
    return n + (n < DENSE ? step : 13);
}

static void
fill(uint8_t *room, unsigned seed)
{
    for (size_t i = 0; i < ROOM; i++)
        room[i] = (uint8_t)(i * 37 + (i >> 3) * 11 + seed);
}

/* dst = GUARD + align; src = dst + distance. */
static void
compare(const struct sonic__ws_simd *simd, size_t n, size_t align,
        size_t distance, size_t phase)
{
    static _Alignas(64) uint8_t expected[ROOM], got[ROOM], again[ROOM];
    size_t dst = GUARD / 2 + align, src = dst + distance;

    fill(expected, (unsigned)n);
    memcpy(got, expected, ROOM);
    memcpy(again, expected, ROOM);
    for (size_t i = 0; i < n; i++)
        expected[dst + i] = expected[src + i] ^ key_bytes[(phase + i) % 4];
    simd->mask(got + dst, got + src, n, key_at(phase));
    (void)simd->mask_ascii(again + dst, again + src, n, key_at(phase));
    /* all of the room: nothing before or behind it was touched */
    if (memcmp(got, expected, ROOM) != 0 || memcmp(again, expected, ROOM) != 0)
        ck_abort_msg("%s: %zu bytes, %zu aligned, moved by %zu, phase %zu",
                     simd->name, n, align, distance, phase);
}

START_TEST(equal_to_the_byte_loop)
{
    const struct sonic__ws_simd *simd = sonic__ws_simd_at((size_t)_i);
    size_t step = getenv("SONIC_TEST_SLOW") != NULL ? 7 : 1;

    if (simd == NULL)
        return; /* not on this processor */
    for (size_t n = 0; n <= LONGEST; n = longer(n, step)) {
        for (size_t align = 0; align < GUARD / 2; align++)
            for (size_t phase = 0; phase < 4; phase++)
                compare(simd, n, align, 0, phase);
        for (size_t distance = 1; distance <= 40; distance++)
            compare(simd, n, distance % 5, distance, distance % 4);
    }
}
END_TEST

/* What does it without a call where it is short. */
START_TEST(in_line)
{
    for (size_t n = 0; n <= DENSE; n++)
        for (size_t phase = 0; phase < 4; phase++) {
            uint8_t data[DENSE + 1];

            for (size_t i = 0; i < sizeof data; i++)
                data[i] = (uint8_t)(i * 3);
            sonic__ws_mask(sonic__ws_simd_at(0), data, data, n, key_at(phase));
            for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(data[i], (uint8_t)(i * 3) ^
                                               key_bytes[(phase + i) % 4]);
            ck_assert_uint_eq(data[n], (uint8_t)(n * 3));
        }
}
END_TEST

START_TEST(disjoint)
{
    const struct sonic__ws_simd *simd;
    uint8_t src[LONGEST], dst[LONGEST + 1];

    for (size_t s = 0; (simd = sonic__ws_simd_at(s)) != NULL; s++)
        for (size_t n = 0; n <= LONGEST; n = longer(n, 1)) {
            for (size_t i = 0; i < n; i++)
                src[i] = (uint8_t)(i * 3);
            memset(dst, 0xee, sizeof dst);
            simd->mask(dst, src, n, key_at(0));
            for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(dst[i], src[i] ^ key_bytes[i % 4]);
            ck_assert_uint_eq(dst[n], 0xee);
        }
}
END_TEST

/* It says ASCII when all is, and not when any one byte is not. */
START_TEST(ascii_is_told)
{
    const struct sonic__ws_simd *simd = sonic__ws_simd_at((size_t)_i);
    uint8_t data[LONGEST];

    if (simd == NULL)
        return;
    for (size_t n = 0; n <= LONGEST; n = longer(n, 1))
        for (size_t at = 0; at <= n; at++) {
            bool ascii;

            for (size_t i = 0; i < n; i++)
                data[i] = (uint8_t)((i == at ? 0x80 : 'a') ^ key_bytes[i % 4]);
            ascii = simd->mask_ascii(data, data, n, key_at(0));
            ck_assert_msg(ascii == (at == n), "%s: byte %zu of %zu", simd->name,
                          at, n);
        }
}
END_TEST

START_TEST(best_is_the_last_known)
{
    const struct sonic__ws_simd *last = NULL, *simd;

    for (size_t i = 0; (simd = sonic__ws_simd_at(i)) != NULL; i++)
        last = simd;
    ck_assert_ptr_eq(sonic__ws_simd_best(), last);
    ck_assert_str_eq(sonic__ws_simd_at(0)->name, "portable");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_mask");
    TCase *t = tcase_create("rfc6455 5.3");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, key_rotates_with_the_place);
    tcase_add_loop_test(t, equal_to_the_byte_loop, 0, 4);
    tcase_add_test(t, in_line);
    tcase_add_test(t, disjoint);
    tcase_add_loop_test(t, ascii_is_told, 0, 4);
    tcase_add_test(t, best_is_the_last_known);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
