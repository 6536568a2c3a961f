/* The header of the PROXY protocol: <sonicio/proxy_header.h>. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

#define V2 "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define A4 "\xc0\x00\x02\x01\xc0\x00\x02\x02\x01\xbb\x00\x50" /* 443, 80 */
#define A6                                                                     \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                               \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x01\xbb\x00\x50"

/* A header, what it says, or NULL: it is none. */
static const struct good {
    const char *bytes;
    size_t n;
    const char *source, *target; /* "": local */
} good[] = {
#define B(text) text, sizeof(text) - 1
    {B("PROXY TCP4 192.0.2.1 192.0.2.2 443 80\r\n"), "192.0.2.1:443",
     "192.0.2.2:80"},
    {B("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"),
     "255.255.255.255:65535", "0.0.0.0:0"},
    {B("PROXY TCP6 2001:db8::1 2001:db8::2 443 80\r\n"), "[2001:db8::1]:443",
     "[2001:db8::2]:80"},
    {B("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {B("PROXY UNKNOWN\r\n"), "", ""},
    {B("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "", ""}, /* the longest there is: 107 bytes */
    {B("PROXY UNKNOWN what ever\r\n"), "", ""},
    {B(V2 "\x21\x11\x00\x0c" A4), "192.0.2.1:443", "192.0.2.2:80"},
    {B(V2 "\x21\x21\x00\x24" A6), "[2001:db8::1]:443", "[2001:db8::2]:80"},
    {B(V2 "\x21\x11\x00\x15" A4 "\x04\x00\x02zz\x01\x00\x01h"), "192.0.2.1:443",
     "192.0.2.2:80"},
    {B(V2 "\x20\x00\x00\x00"), "", ""},
    {B(V2 "\x20\x11\x00\x0c" A4), "", ""},
    {B(V2 "\x20\x77\x00\x03zzz"), "", ""},
    {B(V2 "\x21\x00\x00\x00"), "", ""},
    {B(V2 "\x21\x00\x00\x02zz"), "", ""},
};
enum { GOOD = sizeof good / sizeof *good };

static const struct {
    const char *bytes;
    size_t n;
} bad[] = {
    {B("GET / HTTP/1.1\r\n")},
    {B("\x16\x03\x01")},
    {B("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n")},
    {B("PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n")},
    {B("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP44 ")},
    {B("PROXY UNKNOWNS\r\n")},
    {B("PROXY UNKNOW \r\n")},
    {B("PROXY TCP4\r\n")},
    {B("PROXY TCP4 1.2.3.4\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\rX")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n"
       "                                                    "
       "                                                    ")},
    {B("PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP4 ::1 1.2.3.4 1 1\r\n")},
    {B("PROXY TCP4 1.2.3.4 ::1 1 1\r\n")},
    {B("PROXY TCP6 1.2.3.4 ::1 1 1\r\n")},
    {B("PROXY TCP6 ::1%lo ::1 1 1\r\n")},
    {B("PROXY TCP6 [::1] ::1 1 1\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1 +1\r\n")},
    {B("PROXY TCP4 1.2.3.4 1.2.3.4 1 123456\r\n")},
    {B("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n")},
    {B("PROXY UNKNOWN 0fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n")},
    {B("\x0d\x0a\x0d\x0b")},
    {B(V2 "\x11")},                       /* version 1 */
    {B(V2 "\x31")},                       /* version 3 */
    {B(V2 "\x22")},                       /* no such command */
    {B(V2 "\x21\x12\x00\x0c" A4)},        /* UDP */
    {B(V2 "\x21\x41\x00\x0c" A4)},        /* no such family */
    {B(V2 "\x21\x11\x00\x0b" A4)},        /* too short */
    {B(V2 "\x21\x21\x00\x23" A6)},        /* too short */
    {B(V2 "\x21\x31\x00\xd7")},           /* too short */
    {B(V2 "\x21\x11\x07\xf1")},           /* too long */
    {B(V2 "\x21\x11\xff\xff")},           /* too long */
    {B(V2 "\x21\x11\x00\x0d" A4 "\x01")}, /* half a TLV */
    {B(V2 "\x21\x11\x00\x0e" A4 "\x01\x00")},
    {B(V2 "\x21\x11\x00\x0f" A4 "\x01\x00\x01")},
};
enum { BAD = sizeof bad / sizeof *bad };

/* In memory of just that size, so that a byte too far is seen. */
static int
parse(const char *bytes, size_t n, sonic_proxy_header *h)
{
    char *copy = malloc(n > 0 ? n : 1);
    int took;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    took = sonic_proxy_header_parse(copy, n, h);
    free(copy);
    return took;
}

static void
expect_address(const sonic_address *a, const char *want)
{
    char text[SONIC_ADDRESS_TEXT] = "";

    if (a->len > 0)
        sonic_address_format(a, text, sizeof text);
    ck_assert_str_eq(text, want);
}

/* Whole, cut at every byte, and with bytes behind it that are not its. */
START_TEST(right_ones)
{
    const struct good *g = &good[_i];
    char more[400];
    sonic_proxy_header h;

    for (size_t n = 0; n < g->n; n++)
        ck_assert_int_eq(parse(g->bytes, n, &h), 0);
    ck_assert_int_eq(parse(g->bytes, g->n, &h), (int)g->n);
    ck_assert_uint_eq(h.version, g->bytes[0] == 'P' ? 1 : 2);
    ck_assert_int_eq(h.local, *g->source == '\0');
    expect_address(&h.source, g->source);
    expect_address(&h.target, g->target);
    memset(more, '\r', sizeof more);
    memcpy(more, g->bytes, g->n);
    ck_assert_int_eq(parse(more, sizeof more, &h), (int)g->n);
}
END_TEST

START_TEST(a_unix_socket)
{
    char bytes[16 + 216] = V2 "\x21\x31\x00\xd8";
    const struct sockaddr_storage *a;
    sonic_proxy_header h;

    memset(bytes + 16, 'a', 108); /* not even terminated */
    strcpy(bytes + 16 + 108, "/run/x");
    ck_assert_int_eq(parse(bytes, sizeof bytes, &h), sizeof bytes);
    ck_assert(!h.local);
    a = &h.source.storage;
    ck_assert_int_eq(a->ss_family, AF_UNIX);
    ck_assert_uint_le(h.source.len, sizeof *a);
    expect_address(&h.target, "unix:/run/x");
}
END_TEST

/* At once or at the last byte, but never later; and no prefix is one. */
START_TEST(wrong_ones)
{
    sonic_proxy_header h;

    for (size_t n = 0; n < bad[_i].n; n++)
        ck_assert_int_le(parse(bad[_i].bytes, n, &h), 0);
    ck_assert_int_eq(parse(bad[_i].bytes, bad[_i].n, &h), SONIC_EPROXY_HEADER);
}
END_TEST

/* Every byte of every right one changed to every other: an answer, and never
 * more bytes than there are. */
START_TEST(any_byte)
{
    const struct good *g = &good[_i];
    char bytes[400];
    sonic_proxy_header h;

    for (size_t at = 0; at < g->n; at++)
        for (int v = 0; v < 256; v++) {
            int took;

            memcpy(bytes, g->bytes, g->n);
            bytes[at] = (char)v;
            took = parse(bytes, g->n, &h);
            ck_assert_int_le(took, (int)g->n);
            ck_assert_int_ge(took, SONIC_EPROXY_HEADER);
        }
}
END_TEST

START_TEST(networks)
{
    static const struct {
        const char *network, *address;
        int holds;
    } v[] = {
        {"10.0.0.0/8", "10.255.0.1:1", 1},
        {"10.0.0.0/8", "11.0.0.1:1", 0},
        {"10.0.0.0/9", "10.127.0.1:1", 1},
        {"10.0.0.0/9", "10.128.0.1:1", 0},
        {"0.0.0.0/0", "1.2.3.4:1", 1},
        {"0.0.0.0/0", "[::1]:1", 0},
        {"::/0", "[::1]:1", 1},
        {"::/0", "1.2.3.4:1", 0},
        {"192.0.2.7", "192.0.2.7:80", 1},
        {"192.0.2.7/32", "192.0.2.7:80", 1},
        {"192.0.2.7", "192.0.2.6:80", 0},
        {"192.0.2.0/24", "[::ffff:192.0.2.9]:80", 1},
        {"::ffff:0:0/96", "[::ffff:192.0.2.9]:80", 0},
        {"fd00::/8", "[fdff::1]:1", 1},
        {"fd00::/8", "[fe00::1]:1", 0},
        {"fd00::/7", "[fc00::1]:1", 1},
        {"::1", "[::1]:1", 1},
        {"::1/128", "[::2]:1", 0},
        {"unix", "unix:/tmp/x", 1},
        {"unix", "1.2.3.4:1", 0},
        {"0.0.0.0/0", "unix:/tmp/x", 0},
    };
    static const char *const wrong[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.0/8x",
        "::/129",
        "localhost",
        "unix:",
        "10.0.0.0/8/8",
        "[::1]",
        "::1%lo",
        "10.0.0.0/99999999999999999999",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
    };
    sonic_address a;

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        ck_assert_int_eq(sonic_address_parse(v[i].address, &a), 0);
        ck_assert_msg(sonic_network_holds(v[i].network, &a) == v[i].holds,
                      "%s in %s", v[i].address, v[i].network);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(sonic_network_holds(wrong[i], &a) == SONIC_EADDRESS, "%s",
                      wrong[i]);
}
END_TEST

/* ---- off a stream ----------------------------------------------------- */

static struct {
    unsigned calls;
    int err;
    char source[SONIC_ADDRESS_TEXT];
} got;

static void
on_header(sonic_stream *s, int err, const sonic_proxy_header *h, void *ud)
{
    (void)s;
    ck_assert_ptr_eq(ud, &got);
    ck_assert_int_eq(h == NULL, err < 0);
    got.calls++;
    got.err = err;
    if (h != NULL)
        sonic_address_format(&h->source, got.source, sizeof got.source);
}

static sonic_stream *
begin(struct rig *r, int i, int *peer, int64_t timeout)
{
    sonic_stream *s;

    memset(&got, 0, sizeof got);
    rig_open(r, i);
    s = rig_stream(r, peer);
    sonic_proxy_header_async_read(s, timeout, on_header, &got);
    return s;
}

/* A byte at a time; what follows is there to be read. */
START_TEST(off_a_stream)
{
    const struct good *g = &good[0];
    struct rig r;
    sonic_stream *s;
    char rest[4];
    int peer;

    s = begin(&r, _i, &peer, 0);
    for (size_t i = 0; i + 1 < g->n; i++) {
        rig_put(peer, g->bytes + i, 1);
        rig_settle(&r);
        ck_assert_uint_eq(got.calls, 0);
    }
    rig_put(peer, "\nrest", 5);
    RIG_UNTIL(&r, got.calls == 1);
    ck_assert_int_eq(got.err, 0);
    ck_assert_str_eq(got.source, g->source);
    ck_assert_int_eq(sonic_stream_read_all(s, rest, 4, NULL), 0);
    ck_assert_mem_eq(rest, "rest", 4);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(off_a_stream_in_vain)
{
    struct rig r;
    sonic_stream *s;
    int peer;

    begin(&r, _i, &peer, 0);
    rig_put(peer, "GET ", 4);
    RIG_UNTIL(&r, got.calls == 1);
    ck_assert_int_eq(got.err, SONIC_EPROXY_HEADER);
    close(peer);
    rig_close(&r);

    begin(&r, _i, &peer, 0);
    rig_put(peer, "PROXY", 5);
    close(peer);
    RIG_UNTIL(&r, got.calls == 1);
    ck_assert_int_eq(got.err, SONIC_EOF);
    rig_close(&r);

    begin(&r, _i, &peer, MS); /* and nothing comes */
    rig_put(peer, "PROXY", 5);
    RIG_UNTIL(&r, got.calls == 1);
    ck_assert_int_eq(got.err, -ETIMEDOUT);
    close(peer);
    rig_close(&r);

    s = begin(&r, _i, &peer, 0);
    sonic_proxy_header_async_read(s, 0, on_header, &got);
    ck_assert_int_eq(got.err, -EBUSY);
    sonic_stream_free(s);
    RIG_UNTIL(&r, got.calls == 2);
    ck_assert_int_eq(got.err, -ECANCELED);
    close(peer);
    rig_close(&r);

    begin(&r, _i, &peer, 0); /* the io goes */
    close(peer);
    rig_close(&r);
    ck_assert_uint_eq(got.calls, 1);
}
END_TEST

START_TEST(memory_runs_out)
{
    bool failed = true;

    for (unsigned long nth = 1; failed; nth++) {
        struct rig r;
        sonic_stream *s;
        int peer;

        memset(&got, 0, sizeof got);
        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        hook_mem_fail_nth(&r.hook, nth);
        rig_put(peer, good[0].bytes, good[0].n);
        sonic_proxy_header_async_read(s, 0, on_header, &got);
        RIG_UNTIL(&r, got.calls == 1);
        failed = r.hook.mem_failed;
        hook_mem_fail_nth(&r.hook, 0);
        ck_assert_int_eq(got.err, failed ? -ENOMEM : 0);
        ck_assert_uint_lt(nth, 20);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("proxy_header");
    TCase *tc = tcase_create("header");

    tcase_add_loop_test(tc, right_ones, 0, GOOD);
    tcase_add_test(tc, a_unix_socket);
    tcase_add_loop_test(tc, wrong_ones, 0, BAD);
    tcase_add_loop_test(tc, any_byte, 0, GOOD);
    tcase_add_test(tc, networks);
    rig_add(tc, off_a_stream);
    rig_add(tc, off_a_stream_in_vain);
    rig_add(tc, memory_runs_out);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
