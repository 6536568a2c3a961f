/* Lengths that have broken others, in every form, cut everywhere. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "support/ws_drive.h"

static const uint64_t lengths[] = {
    0,
    1,
    124,
    125,
    126,
    127,
    128,
    65534,
    65535,
    65536,
    65537,
    (UINT64_C(1) << 31) - 1,
    UINT64_C(1) << 31,
    (UINT64_C(1) << 31) + 1,
    (UINT64_C(1) << 32) - 1,
    UINT64_C(1) << 32,
    (UINT64_C(1) << 32) + 1,
    (UINT64_C(1) << 63) - 1,
    UINT64_C(1) << 63,
    (UINT64_C(1) << 63) + 1,
    UINT64_MAX - 10,
    UINT64_MAX - 1,
    UINT64_MAX,
};
enum { LENGTHS = sizeof lengths / sizeof *lengths, PAYLOAD = 3 };

static const uint64_t limits[] = {125,     1 << 16,    1 << 20,
                                  1 << 30, UINT64_MAX, INT64_MAX};
enum { LIMITS = sizeof limits / sizeof *limits };

/* One header, as long as its form says, and PAYLOAD bytes. */
struct input {
    uint8_t bytes[2 + 8 + 4 + PAYLOAD];
    size_t header, n;
    size_t form; /* bytes of extended length */
    uint64_t len, limit;
};

static void
make(struct input *in, bool masked, uint8_t head, size_t form, uint64_t len)
{
    static const uint8_t len7[9] = {[2] = 126, [8] = 127};

    memset(in, 0, sizeof *in);
    in->form = form;
    in->len = form == 2 ? len & 0xffff : len;
    in->bytes[0] = head;
    in->bytes[1] = form == 0 ? (uint8_t)len : len7[form];
    for (size_t i = 0; i < form; i++)
        in->bytes[2 + i] = (uint8_t)(len >> 8 * (form - 1 - i));
    in->header = 2 + form;
    if (masked) {
        in->bytes[1] |= 0x80;
        in->header += 4; /* a key of zeros */
    }
    memset(in->bytes + in->header, 'a', PAYLOAD);
    in->n = in->header + PAYLOAD;
}

/* What section 5.2 and the limit say of it. */
static int
verdict(const struct input *in)
{
    if (in->form == 2 && in->len < 126)
        return SONIC_EWS_LENGTH;
    if (in->form == 8 && (in->len < 65536 || in->len > INT64_MAX))
        return SONIC_EWS_LENGTH;
    if (in->len > in->limit || in->len > PTRDIFF_MAX) /* memory has no more */
        return SONIC_EWS_TOOBIG;
    return 0;
}

static void
try(const struct input *in, bool masked, enum sonic__ws_delivery delivery,
    const size_t *cut, size_t cuts)
{
    const struct sonic__ws_rules rules = {
        .simd = sonic__ws_simd_best(),
        .max_message = in->limit,
        .expect = {.mask = masked ? 0x80 : 0},
        .utf8 = true,
    };
    struct ws_drive d;
    int err = verdict(in);

    ws_drive_init(&d, &rules, delivery);
    if (!ws_drive_pieces(&d, in->bytes, in->n, cut, cuts))
        ck_abort_msg("%s", ws_log_text(&d.log));
    if (err != 0) {
        if (strcmp(ws_log_text(&d.log), err == SONIC_EWS_LENGTH
                                            ? "SONIC_EWS_LENGTH\n"
                                            : "SONIC_EWS_TOOBIG\n") != 0)
            ck_abort_msg("%llu in form %zu, limit %llu: %s",
                         (unsigned long long)in->len, in->form,
                         (unsigned long long)in->limit, ws_log_text(&d.log));
    } else if (in->len > PAYLOAD) {
        /* under way: what has come is there, and not a byte more */
        if (ws_log_text(&d.log)[0] != '\0' ||
            d.parser.frame.len != in->len - PAYLOAD ||
            d.len != (delivery == SONIC__WS_CHUNKS ? 0 : PAYLOAD) ||
            d.largest > in->n)
            ck_abort_msg("%llu in form %zu: %s", (unsigned long long)in->len,
                         in->form, ws_log_text(&d.log));
    }
    ws_drive_free(&d);
}

static void
try_all_cuts(const struct input *in, bool masked)
{
    for (int i = 0; i < 3; i++) {
        enum sonic__ws_delivery delivery = (enum sonic__ws_delivery)i;
        size_t cut[sizeof in->bytes];

        for (cut[0] = 0; cut[0] <= in->n; cut[0]++)
            for (cut[1] = cut[0]; cut[1] <= in->n; cut[1]++)
                try(in, masked, delivery, cut, 2);
        for (size_t k = 0; k < in->n; k++)
            cut[k] = k;
        try(in, masked, delivery, cut, in->n);
    }
}

/* Each length in each form that can hold it, first and continued, for both
 * roles and every limit; nothing is allocated for what is only claimed (the
 * window never holds more than what was fed). */
START_TEST(every_length_at_every_split)
{
    bool masked = _i & 1;
    uint64_t limit = limits[_i >> 1];

    for (size_t k = 0; k < LENGTHS; k++)
        for (size_t form = 0; form <= 8; form = form == 0 ? 2 : form + 6) {
            struct input in;

            if ((form == 0 && lengths[k] > 125) ||
                (form == 2 && lengths[k] > 65535))
                continue;
            make(&in, masked, k & 1 ? 0x81 : 0x02, form, lengths[k]);
            in.limit = limit;
            if (form == 0 && in.len < PAYLOAD)
                in.n = in.header + (size_t)in.len;
            try_all_cuts(&in, masked);
        }
}
END_TEST

/* In a message under way each length adds to what has come. */
START_TEST(every_length_as_a_second_fragment)
{
    const struct sonic__ws_rules rules = {
        .simd = sonic__ws_simd_best(),
        .max_message = UINT64_MAX,
    };

    for (size_t k = 0; k < LENGTHS; k++) {
        struct ws_drive d;
        struct input in;
        uint8_t first[] = {0x02, 0x03, 'a', 'b', 'c'};
        int err;

        make(&in, false, 0x00, 8, lengths[k]);
        in.limit = (uint64_t)PTRDIFF_MAX - 3; /* of what memory can hold */
        err = verdict(&in);
        for (size_t cut = 0; cut <= in.n; cut++) {
            ws_drive_init(&d, &rules, SONIC__WS_WHOLE);
            ck_assert(ws_drive_feed(&d, first, sizeof first));
            ck_assert(ws_drive_pieces(&d, in.bytes, in.n, &cut, 1));
            if (err == 0)
                ck_assert_str_eq(ws_log_text(&d.log), "");
            else
                ck_assert_int_eq(strncmp(ws_log_text(&d.log),
                                         sonic_errname(err),
                                         strlen(sonic_errname(err))),
                                 0);
            ck_assert_uint_eq(d.len, err != 0 ? 0 : 3 + PAYLOAD);
            ws_drive_free(&d);
        }
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_lengths");
    TCase *t = tcase_create("rfc6455 5.2");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, every_length_at_every_split, 0, 2 * LIMITS);
    tcase_add_test(t, every_length_as_a_second_fragment);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
