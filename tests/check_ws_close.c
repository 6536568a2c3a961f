/* Close payloads: RFC 6455 sections 5.5.1 and 7.4, and the codes registered
 * with IANA since. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "websocket/close.h"
#include "websocket/frame.h"

/* From the text of 7.4.1, 7.4.2 and the registry. */
static bool
may_be_sent(unsigned code)
{
    switch (code) {
    case 1000: /* normal closure */
    case 1001: /* going away */
    case 1002: /* protocol error */
    case 1003: /* unsupported data */
    case 1007: /* invalid payload data */
    case 1008: /* policy violation */
    case 1009: /* message too big */
    case 1010: /* mandatory extension */
    case 1011: /* internal error */
    case 1012: /* registry: service restart */
    case 1013: /* registry: try again later */
    case 1014: /* registry: bad gateway */
        return true;
    default: /* libraries and frameworks, private use */
        return code >= 3000 && code <= 4999;
    }
}

START_TEST(every_code)
{
    for (unsigned v = 0; v <= UINT16_MAX; v++) {
        uint8_t sent[SONIC__WS_CONTROL_MAX];
        uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
        const uint8_t *reason = b;
        uint16_t code = 0;
        size_t n = 99;
        int err = may_be_sent(v) ? 0 : SONIC_EWS_CLOSE;

        if (sonic__ws_close_code_ok((uint16_t)v) != may_be_sent(v) ||
            sonic__ws_close_parse(b, 2, &code, &reason, &n) != err ||
            code != v || reason != NULL || n != 0)
            ck_abort_msg("parse %u", v);
        if (sonic__ws_close_encode(sent, (uint16_t)v, NULL, 0) !=
            (err == 0 ? 2 : err))
            ck_abort_msg("encode %u", v);
        if (err == 0 && memcmp(sent, b, 2) != 0)
            ck_abort_msg("encoded %u", v);
    }
}
END_TEST

START_TEST(empty_is_1005_and_one_byte_is_wrong)
{
    const uint8_t b[1] = {3};
    const uint8_t *reason = b;
    uint16_t code = 0;
    size_t n = 99;

    ck_assert_int_eq(sonic__ws_close_parse(NULL, 0, &code, &reason, &n), 0);
    ck_assert_uint_eq(code, 1005);
    ck_assert_ptr_null(reason);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(sonic__ws_close_parse(b, 1, &code, &reason, &n),
                     SONIC_EWS_CLOSE);
    ck_assert_uint_eq(code, 1005);
}
END_TEST

START_TEST(reasons_of_every_length)
{
    for (size_t n = 0; n <= SONIC__WS_REASON_MAX + 2; n++) {
        uint8_t text[SONIC__WS_REASON_MAX + 2], sent[SONIC__WS_CONTROL_MAX + 1];
        const uint8_t *reason;
        size_t len;
        uint16_t code;
        int r;

        memset(text, 'r', sizeof text);
        memset(sent, 0xee, sizeof sent);
        r = sonic__ws_close_encode(sent, 4321, text, n);
        if (n > SONIC__WS_REASON_MAX) {
            ck_assert_int_eq(r, SONIC_EWS_CLOSE);
            ck_assert_uint_eq(sent[0], 0xee);
            continue;
        }
        ck_assert_int_eq(r, (int)n + 2);
        ck_assert_uint_eq(sent[r], 0xee);
        ck_assert_int_eq(
            sonic__ws_close_parse(sent, (size_t)r, &code, &reason, &len), 0);
        ck_assert_uint_eq(code, 4321);
        ck_assert_uint_eq(len, n);
        if (n > 0)
            ck_assert_mem_eq(reason, text, n);
    }
}
END_TEST

START_TEST(a_reason_is_utf8)
{
    static const struct {
        const char *text;
        int err;
    } reasons[] = {
        {"gr\xc3\xbc\xc3\x9f", 0},
        {"\xf0\x9f\x98\x80", 0},
        {"\xff", SONIC_EWS_UTF8},
        {"cut \xc3", SONIC_EWS_UTF8},
        {"\xed\xa0\x80", SONIC_EWS_UTF8},
        {"ok\xc0\x80", SONIC_EWS_UTF8},
        {"\xf4\x90\x80\x80", SONIC_EWS_UTF8},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        size_t n = strlen(reasons[i].text), len;
        uint8_t b[20] = {0x03, 0xe8}, sent[SONIC__WS_CONTROL_MAX];
        const uint8_t *reason;
        uint16_t code;
        int r;

        memcpy(b + 2, reasons[i].text, n);
        ck_assert_int_eq(sonic__ws_close_parse(b, n + 2, &code, &reason, &len),
                         reasons[i].err);
        ck_assert_uint_eq(code, 1000);
        r = sonic__ws_close_encode(sent, 1000, b + 2, n);
        ck_assert_int_eq(r, reasons[i].err == 0 ? (int)n + 2 : reasons[i].err);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_close");
    TCase *t = tcase_create("rfc6455 7.4");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, every_code);
    tcase_add_test(t, empty_is_1005_and_one_byte_is_wrong);
    tcase_add_test(t, reasons_of_every_length);
    tcase_add_test(t, a_reason_is_utf8);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
