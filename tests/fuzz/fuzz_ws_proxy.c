/* What a proxy answers, of HTTP or SOCKS5: however it is cut, the outcome is
 * the same, nothing behind the last answer is taken, and an error is one of
 * the contract's.
 *
 * Input: a byte of settings (bit 0: SOCKS5, bit 1: with credentials, bits 2..3:
 * kind of host), then all that the proxy sends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 16, SAYS = 600 };

/* What became of an answer. */
struct outcome {
    int verdict; /* 0, or the error */
    size_t taken;
    bool open;
    uint16_t status;
    unsigned said;
};

static void
need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_ws_proxy: %s\n", what);
        abort();
    }
}

static bool
is_listed(int err)
{
    static const int errors[] = {
        -EACCES,    -ECONNREFUSED,  -ENETUNREACH,         -EHOSTUNREACH,
        -ETIMEDOUT, -EOPNOTSUPP,    -EAFNOSUPPORT,        -EIO,
        -EPROTO,    SONIC_EWS_HEAD, SONIC_EWS_HEAD_TOOBIG};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == err)
            return true;
    return false;
}

static void
say(struct sonic__proxy *p, struct outcome *o)
{
    char text[SAYS];
    int n = sonic__proxy_say(p, text, sizeof text);

    need(n >= 0 && n <= SAYS, "it has too much to say, or cannot");
    o->said += (unsigned)n;
}

/* Bytes come `piece` at a time; each window is a block of exactly its size. */
static void
talk(const struct sonic__proxy_options *to, const uint8_t *data, size_t size,
     size_t piece, struct outcome *o)
{
    struct sonic__http_field fields[FIELDS];
    struct sonic__proxy p;
    size_t have = 0;

    memset(o, 0, sizeof *o);
    need(sonic__proxy_init(&p, to, fields, FIELDS) == 0, "cannot begin");
    say(&p, o);
    for (unsigned i = 0; o->verdict == 0 && !sonic__proxy_is_open(&p);) {
        size_t len = have - o->taken;
        char *window = malloc(len > 0 ? len : 1);
        int n;

        need(window != NULL, "out of memory");
        if (len > 0)
            memcpy(window, data + o->taken, len);
        n = sonic__proxy_feed(&p, window, len);
        free(window);
        if (n > 0) {
            need((size_t)n <= len && i++ < size, "it takes what is not there");
            o->taken += (size_t)n;
            say(&p, o);
        } else if (n < 0) {
            o->verdict = n;
        } else if (have == size) {
            break;
        } else {
            have = size - have < piece ? size : have + piece;
        }
    }
    o->open = sonic__proxy_is_open(&p);
    o->status = p.status;
    need(o->verdict == 0 || is_listed(o->verdict), "an error not listed");
    need(o->verdict == 0 || p.why != NULL, "an error without a reason");
    need(o->verdict == 0 || !o->open, "open, and failed");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"far.example", "192.0.2.1",
                                        "2001:db8::1", "x"};
    struct sonic__proxy_options to = {.port = 443};
    struct outcome whole, cut;

    if (size == 0)
        return 0;
    to.kind = data[0] & 1 ? SONIC__PROXY_SOCKS5 : SONIC__PROXY_HTTP;
    to.host = hosts[data[0] >> 2 & 3];
    if (data[0] & 2) {
        to.user = "me";
        to.password = "secret";
    }
    data++;
    size--;
    talk(&to, data, size, size + 1, &whole);
    for (size_t piece = 1; piece < 8 && size < 2000; piece += 3) {
        talk(&to, data, size, piece, &cut);
        need(cut.verdict == whole.verdict && cut.taken == whole.taken &&
                 cut.open == whole.open && cut.status == whole.status &&
                 cut.said == whole.said,
             "another outcome in pieces");
    }
    return 0;
}
