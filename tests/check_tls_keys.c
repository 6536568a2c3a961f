/* Keys and records of TLS 1.3: the trace of RFC 8448 section 3, all suites
 * there and back, and everything that is not authentic. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "net/tls_keys.h"
#include "support/rig.h"

/* ---- RFC 8448 --------------------------------------------------------- */

#define CLIENT_SECRET                                                          \
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define SERVER_SECRET                                                          \
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"

/* What the server sends first under its application key. */
#define TICKET                                                                 \
    "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec9000000"         \
    "00262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c09a2be785a"         \
    "bc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827"         \
    "db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529"         \
    "513e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea61764"         \
    "6fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934a"         \
    "e4d3570008002a000400000400"
#define TICKET_SEALED                                                          \
    "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d4"         \
    "1d6af8f6b580dcf3d11d63c758db289a015940252f55713e061dc13e078891a3"         \
    "8efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e0"         \
    "9c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406"         \
    "f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c8651"         \
    "9d86cbeeac87aac347d143f9605d64f650db4d023e70e952ca49fe5137121c74"         \
    "bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf159"         \
    "85684f"
#define FIFTY                                                                  \
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"         \
    "202122232425262728292a2b2c2d2e2f3031"

static const struct said {
    const char *content, *sealed;
    enum sonic__tls_type type;
} client_said[] =
    {
        {FIFTY,
         "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f"
         "2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae6"
         "3aeebb21694915e4",
         SONIC__TLS_DATA},
        {"0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3",
         SONIC__TLS_ALERT},
},
  server_said[] = {
      {TICKET, TICKET_SEALED, SONIC__TLS_HANDSHAKE},
      {FIFTY,
       "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e3"
       "0efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540d"
       "d032e167c2955d",
       SONIC__TLS_DATA},
      {"0100", "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9",
       SONIC__TLS_ALERT},
};

static size_t
from_hex(const char *hex, uint8_t *to)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        to[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static struct sonic__tls_keys
keys(unsigned suite, const char *secret, bool seals)
{
    struct sonic__tls_keys k = {0};
    uint8_t bytes[SONIC__TLS_SECRET_MAX];

    from_hex(secret, bytes);
    ck_assert_int_eq(
        sonic__tls_keys_begin(&k, sonic__tls_suite(suite), bytes, seals, 0), 0);
    return k;
}

START_TEST(secrets_give_keys)
{
    static const struct {
        const char *secret, *key, *iv;
    } table[] = {
        {CLIENT_SECRET, "17422dda596ed5d9acd890e3c63f5051",
         "5b78923dee08579033e523d9"},
        {SERVER_SECRET, "9f02283b6c9c07efc26bb9f2ac92e356",
         "cf782b88dd83549aadf1e984"},
    };

    for (size_t i = 0; i < 2; i++) {
        struct sonic__tls_traffic t;
        uint8_t secret[32], key[16], iv[12];

        from_hex(table[i].secret, secret);
        from_hex(table[i].key, key);
        from_hex(table[i].iv, iv);
        ck_assert_int_eq(
            sonic__tls_keys_derive(sonic__tls_suite(0x1301), secret, &t), 0);
        ck_assert_mem_eq(t.key, key, 16);
        ck_assert_mem_eq(t.iv, iv, 12);
    }
}
END_TEST

/* Not in the RFC: the generation after it. */
START_TEST(secrets_are_updated)
{
    static const char *const table[][2] = {
        {CLIENT_SECRET,
         "fcdfcc72725aaee48bf64e4fd8b749cdbdbab39d90da0b26e2245ca6ea167207"},
        {SERVER_SECRET,
         "51921b8aa3001976eb401d0a4319a8516416a6c56001a357e5d162031e84f916"},
    };

    for (size_t i = 0; i < 2; i++) {
        struct sonic__tls_keys k = keys(0x1301, table[i][0], true);
        uint8_t next[32];

        k.seq = 5;
        from_hex(table[i][1], next);
        ck_assert_int_eq(sonic__tls_keys_update(&k, true), 0);
        ck_assert_mem_eq(k.secret, next, 32);
        ck_assert_uint_eq(k.seq, 0);
        sonic__tls_keys_end(&k);
    }
}
END_TEST

static void
check_trace(const char *secret, const struct said *said, size_t n)
{
    struct sonic__tls_keys out = keys(0x1301, secret, true),
                           in = keys(0x1301, secret, false);

    for (size_t i = 0; i < n; i++) {
        uint8_t content[256], sealed[256], got[256];
        size_t len = from_hex(said[i].content, content),
               size = from_hex(said[i].sealed, sealed);
        struct iovec v = {content, len};
        struct sonic__tls_from from = {&v, 0};

        ck_assert_uint_eq(sonic__tls_sealed_size(len), size);
        ck_assert_int_eq(
            sonic__tls_keys_seal(&out, said[i].type, &from, len,
                                 (struct iovec[2]){{got, size}, {NULL, 0}}),
            0);
        ck_assert_mem_eq(got, sealed, size);
        ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, size, got, NULL), 0);
        ck_assert_mem_eq(got, content, len);
        ck_assert_uint_eq(got[len], said[i].type);
    }
    sonic__tls_keys_end(&out);
    sonic__tls_keys_end(&in);
}

START_TEST(records_of_the_trace)
{
    check_trace(CLIENT_SECRET, client_said,
                sizeof client_said / sizeof *client_said);
    check_trace(SERVER_SECRET, server_said,
                sizeof server_said / sizeof *server_said);
}
END_TEST

/* ---- all suites ------------------------------------------------------- */

#define SECRET_48                                                              \
    SERVER_SECRET "00112233445566778899aabbccddeeff" /* for SHA-384 */

enum { ROOM = SONIC__TLS_CONTENT + 64 };

static uint8_t plain[ROOM], sealed[2 * ROOM], opened[ROOM];

/* Whatever the parts that it comes in and the two that it goes to. */
static void
there_and_back(struct sonic__tls_keys *out, struct sonic__tls_keys *in,
               size_t n, size_t part, size_t first)
{
    size_t size = sonic__tls_sealed_size(n), m = 0, gap = 100;
    struct iovec parts[64], to[2] = {{sealed, size}, {NULL, 0}};
    struct sonic__tls_from from = {parts, 0};
    uint8_t last;

    for (size_t at = 0; at < n; m += 2) { /* with empty ones between */
        size_t k = n - at < part || m > 60 ? n - at : part;

        parts[m] = (struct iovec){NULL, 0};
        parts[m + 1] = (struct iovec){plain + at, k};
        at += k;
    }
    if (first > 0) {
        to[0].iov_len = first;
        to[1] = (struct iovec){sealed + first + gap, size - first};
    }
    memset(sealed, 0xa5, sizeof sealed);
    ck_assert_int_eq(sonic__tls_keys_seal(out, SONIC__TLS_DATA, &from, n, to),
                     0);
    if (first > 0) {
        for (size_t i = 0; i < gap; i++)
            ck_assert_uint_eq(sealed[first + i], 0xa5);
        memmove(sealed + first, sealed + first + gap, size - first);
    } else {
        ck_assert_uint_eq(sealed[size], 0xa5); /* not a byte more */
    }
    opened[n] = 0x5a;
    ck_assert_int_eq(sonic__tls_keys_open(in, sealed, size, opened, &last), 0);
    ck_assert_mem_eq(opened, plain, n);
    ck_assert_uint_eq(opened[n], 0x5a);
    ck_assert_uint_eq(last, SONIC__TLS_DATA);
}

START_TEST(any_parts)
{
    static const size_t sizes[] = {0,   1,   15,  16,   17,
                                   511, 512, 513, 1000, 16384},
                        part[] = {1, 7, 16, 300, 20000};
    struct sonic__tls_keys out = keys((unsigned)_i, SECRET_48, true),
                           in = keys((unsigned)_i, SECRET_48, false);

    rig_fill(plain, sizeof plain, 3);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof part / sizeof *part; j++) {
            size_t n = sizes[i];

            there_and_back(&out, &in, n, part[j], 0);
            if (n == 0)
                continue;
            there_and_back(&out, &in, n, part[j], SONIC__TLS_HEAD);
            there_and_back(&out, &in, n, part[j], SONIC__TLS_HEAD + n / 2);
            there_and_back(&out, &in, n, part[j], SONIC__TLS_HEAD + n);
        }
    ck_assert_uint_eq(out.seq, in.seq);
    ck_assert_int_eq(sonic__tls_keys_update(&out, true), 0);
    ck_assert_int_eq(sonic__tls_keys_update(&in, false), 0);
    there_and_back(&out, &in, 100, 100, 0);
    out.seq = in.seq = UINT64_C(0x0102030405060708);
    there_and_back(&out, &in, 100, 100, 0);
    sonic__tls_keys_end(&out);
    sonic__tls_keys_end(&in);
}
END_TEST

/* Where it stands: the way of a reader with little room. */
START_TEST(in_place)
{
    struct sonic__tls_keys out = keys((unsigned)_i, SECRET_48, true),
                           in = keys((unsigned)_i, SECRET_48, false);

    rig_fill(plain, sizeof plain, 3);
    for (size_t n = 0; n <= SONIC__TLS_CONTENT; n += n < 70 ? 1 : 997) {
        size_t size = sonic__tls_sealed_size(n);
        struct iovec v = {plain, n};
        struct sonic__tls_from from = {&v, 0};
        uint8_t *here = sealed + SONIC__TLS_HEAD;

        ck_assert_int_eq(
            sonic__tls_keys_seal(&out, SONIC__TLS_DATA, &from, n,
                                 (struct iovec[2]){{sealed, size}, {NULL, 0}}),
            0);
        ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, size, here, NULL),
                         0);
        ck_assert_mem_eq(here, plain, n);
        ck_assert_uint_eq(here[n], SONIC__TLS_DATA);
    }
    sonic__tls_keys_end(&out);
    sonic__tls_keys_end(&in);
}
END_TEST

/* A bit of any byte, the length, the number of the record, the key. */
START_TEST(what_is_not_authentic)
{
    struct sonic__tls_keys out = keys((unsigned)_i, SECRET_48, true),
                           in = keys((unsigned)_i, SECRET_48, false);
    struct iovec v = {plain, 40};
    struct sonic__tls_from from = {&v, 0};
    size_t size = sonic__tls_sealed_size(40);
    static const uint8_t zeros[64];

    ck_assert_int_eq(
        sonic__tls_keys_seal(&out, SONIC__TLS_DATA, &from, 40,
                             (struct iovec[2]){{sealed, size}, {NULL, 0}}),
        0);
    for (size_t i = 0; i < size; i++) {
        in.seq = 0;
        sealed[i] ^= (uint8_t)(1u << i % 8);
        memset(opened, 1, 64);
        ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, size, opened, NULL),
                         SONIC_ETLS_PROTOCOL);
        ck_assert_mem_eq(opened, zeros, 41); /* nothing of it is shown */
        sealed[i] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t n = 0; n < size; n++) {
        in.seq = 0;
        ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, n, opened, NULL),
                         SONIC_ETLS_PROTOCOL);
    }
    in.seq = 1;
    ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, size, opened, NULL),
                     SONIC_ETLS_PROTOCOL);
    ck_assert_int_eq(sonic__tls_keys_update(&in, false), 0);
    ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, size, opened, NULL),
                     SONIC_ETLS_PROTOCOL);
    sonic__tls_keys_end(&in);
    in = keys((unsigned)_i, SECRET_48, false);
    ck_assert_int_eq(sonic__tls_keys_open(&in, sealed, size, opened, NULL), 0);
    sonic__tls_keys_end(&in);
    sonic__tls_keys_end(&out);
}
END_TEST

/* ---- the rest --------------------------------------------------------- */

START_TEST(other_suites_are_unknown)
{
    for (unsigned id = 0; id <= 0xffff; id++)
        ck_assert_int_eq(sonic__tls_suite(id) != NULL,
                         id >= 0x1301 && id <= 0x1303);
}
END_TEST

START_TEST(nothing_secret_is_left)
{
    struct sonic__tls_keys k = keys(0x1302, SECRET_48, true);
    static const struct sonic__tls_keys none;

    sonic__tls_keys_end(&k);
    ck_assert_mem_eq(&k, &none, sizeof k);
    sonic__tls_keys_end(&k);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls_keys");
    TCase *tc = tcase_create("tls_keys");

    tcase_add_test(tc, secrets_give_keys);
    tcase_add_test(tc, secrets_are_updated);
    tcase_add_test(tc, records_of_the_trace);
    tcase_add_loop_test(tc, any_parts, 0x1301, 0x1304);
    tcase_add_loop_test(tc, in_place, 0x1301, 0x1304);
    tcase_add_loop_test(tc, what_is_not_authentic, 0x1301, 0x1304);
    tcase_add_test(tc, other_suites_are_unknown);
    tcase_add_test(tc, nothing_secret_is_left);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
