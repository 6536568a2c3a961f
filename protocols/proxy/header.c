/* The header of the PROXY protocol: see header.def.  It is short and comes
 * whole, so it is read from its beginning each time that more has come. */
#include <sonicio/proxy_header.h>

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

enum {
    LINE_MAX_ = 107, /* bytes of version 1, CRLF included: 2.1 */
    WORD_MAX = 47,   /* of a field of it */
    FIXED = 16,      /* bytes of version 2 before the addresses */
    UNIX_PATH = 108  /* bytes of one there */
};

struct scan {
    const uint8_t *p;
    size_t len, at, n; /* a field, or a part, is p[at .. at + n) */
    size_t behind;     /* bytes that end it */
    sa_family_t family;
    bool failed;
    sonic_proxy_header *out;
};

typedef void fsm_act(struct scan *s);
static fsm_act act_sign, act_family, act_local, act_source, act_target,
    act_source_port, act_target_port, act_skip, act_fixed, act_block, act_fail,
    act_impossible;

#define FSM_NAME "proxy-header"
#define FSM_DEF "proxy/header.def"
#define FSM_INFO sonic__proxy_header_fsm
#include <sonicio/fsm_build.h>

static const uint8_t text_sign[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t binary_sign[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum { MORE = -1 }; /* bytes are needed to tell */

/* ---- what comes ------------------------------------------------------- */

static int
signature(struct scan *s)
{
    static const struct {
        const uint8_t *sign;
        size_t n;
        int event;
    } v[] = {{text_sign, sizeof text_sign, E_TEXT},
             {binary_sign, sizeof binary_sign, E_BINARY}};

    for (int i = 0; i < 2; i++) {
        size_t n = s->len < v[i].n ? s->len : v[i].n;

        if (memcmp(s->p, v[i].sign, n) != 0)
            continue;
        s->n = v[i].n;
        return n == v[i].n ? v[i].event : MORE;
    }
    return E_WRONG;
}

/* A field of the line up to a space or, the last one, CRLF.  E_FIELD, E_END,
 * E_WRONG, MORE. */
static int
word(struct scan *s, bool last)
{
    size_t end = s->at;

    while (end < s->len && s->p[end] != ' ' && s->p[end] != '\r')
        if (end++ == LINE_MAX_ || end - s->at > WORD_MAX)
            return E_WRONG;
    s->n = end - s->at;
    s->behind = last ? 2 : 1;
    if (end == s->len)
        return MORE;
    if (s->n == 0 || (s->p[end] == '\r') != last)
        return E_WRONG;
    if (!last)
        return E_FIELD;
    if (end + 2 > LINE_MAX_)
        return E_WRONG;
    if (end + 1 == s->len)
        return MORE;
    return s->p[end + 1] == '\n' ? E_END : E_WRONG;
}

static bool
word_is(const struct scan *s, const char *text)
{
    return s->n == strlen(text) && memcmp(s->p + s->at, text, s->n) == 0;
}

static int
protocol(struct scan *s)
{
    static const char unknown[] = "UNKNOWN";
    size_t left = s->len - s->at, n = sizeof unknown - 1;
    int e;

    if (left > 0 && s->p[s->at] == 'U') {
        s->n = n;
        s->behind = 0;
        if (memcmp(s->p + s->at, unknown, left < n ? left : n) != 0)
            return E_WRONG;
        if (left <= n)
            return MORE;
        return s->p[s->at + n] == ' ' || s->p[s->at + n] == '\r' ? E_UNKNOWN
                                                                 : E_WRONG;
    }
    e = word(s, false);
    if (e != E_FIELD)
        return e == MORE && s->n > 4 ? E_WRONG : e;
    return word_is(s, "TCP4") || word_is(s, "TCP6") ? E_KNOWN : E_WRONG;
}

/* Into any: struct in_addr or in6_addr. */
static bool
address_of(const struct scan *s, void *any)
{
    char text[WORD_MAX + 1];

    memcpy(text, s->p + s->at, s->n);
    text[s->n] = '\0';
    return strlen(text) == s->n && inet_pton(s->family, text, any) == 1;
}

static int
address(struct scan *s)
{
    struct in6_addr any;
    int e = word(s, false);

    return e == E_FIELD && !address_of(s, &any) ? E_WRONG : e;
}

/* -1: it is none. */
static int
port_of(const struct scan *s)
{
    const uint8_t *p = s->p + s->at;
    int v = 0;

    if (s->n > 5 || (s->n > 1 && p[0] == '0'))
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = 10 * v + (p[i] - '0');
    }
    return v > UINT16_MAX ? -1 : v;
}

static int
port(struct scan *s, bool last)
{
    int e = word(s, last);

    return (e == E_FIELD || e == E_END) && port_of(s) < 0 ? E_WRONG : e;
}

/* Up to CRLF, whatever it is. */
static int
rest(struct scan *s)
{
    size_t end = s->at;

    while (end + 1 < s->len && (s->p[end] != '\r' || s->p[end + 1] != '\n'))
        end++;
    s->n = end - s->at;
    s->behind = 2;
    if (end + 2 > LINE_MAX_)
        return E_WRONG;
    return end + 1 < s->len ? E_END : MORE;
}

/* Bytes of addresses, by family and transport; -1: not of a stream. */
static int
block_size(uint8_t family)
{
    switch (family) {
    case 0x00: /* UNSPEC */
        return 0;
    case 0x11: /* TCP over IPv4 */
        return 12;
    case 0x21: /* TCP over IPv6 */
        return 36;
    case 0x31: /* a unix stream */
        return 2 * UNIX_PATH;
    default:
        return -1;
    }
}

static size_t
length(const uint8_t *fixed)
{
    return (size_t)fixed[14] << 8 | fixed[15];
}

static int
fixed(struct scan *s)
{
    const uint8_t *p = s->p;
    int size;

    s->n = FIXED - s->at;
    s->behind = 0;
    if (s->len > 12 && p[12] != 0x20 && p[12] != 0x21)
        return E_WRONG; /* version 2; LOCAL or PROXY */
    if (s->len < FIXED)
        return MORE;
    if (length(p) > SONIC_PROXY_HEADER_MAX - FIXED)
        return E_WRONG;
    size = p[12] == 0x20 ? 0 : block_size(p[13]);
    return size < 0 || length(p) < (size_t)size ? E_WRONG : E_FIELD;
}

/* Of LOCAL everything is passed over; else TLVs fill what is left. */
static int
block(struct scan *s)
{
    const uint8_t *p = s->p + FIXED, *end = p + length(s->p);

    s->n = length(s->p);
    if (s->len < FIXED + s->n)
        return MORE;
    if (s->p[12] == 0x20 || s->p[13] == 0)
        return E_END;
    for (p += block_size(s->p[13]); p < end; p += 3 + (p[1] << 8 | p[2]))
        if (end - p < 3 || end - p < 3 + (p[1] << 8 | p[2]))
            return E_WRONG;
    return E_END;
}

static int
classify(struct scan *s, uint8_t state)
{
    switch (state) {
    case S_SIGNATURE:
        return signature(s);
    case S_PROTOCOL:
        return protocol(s);
    case S_SOURCE:
    case S_TARGET:
        return address(s);
    case S_SOURCE_PORT:
        return port(s, false);
    case S_TARGET_PORT:
        return port(s, true);
    case S_REST:
        return rest(s);
    case S_FIXED:
        return fixed(s);
    default:
        return block(s);
    }
}

/* ---- what is done with it --------------------------------------------- */

static void
advance(struct scan *s)
{
    s->at += s->n + s->behind;
    s->behind = 0;
}

static void
act_sign(struct scan *s)
{
    s->out->version = s->n == sizeof text_sign ? 1 : 2;
    advance(s);
}

static void
act_family(struct scan *s)
{
    s->family = s->p[s->at + 3] == '4' ? AF_INET : AF_INET6;
    advance(s);
}

static void
act_local(struct scan *s)
{
    s->out->local = true;
    advance(s);
}

static struct sockaddr_in *
in4(sonic_address *a)
{
    return (void *)&a->storage;
}

static struct sockaddr_in6 *
in6(sonic_address *a)
{
    return (void *)&a->storage;
}

/* An address without a port, from n bytes in network order. */
static void
set_host(sonic_address *a, sa_family_t family, const void *host)
{
    a->storage.ss_family = family;
    if (family == AF_INET) {
        a->len = sizeof(struct sockaddr_in);
        memcpy(&in4(a)->sin_addr, host, 4);
    } else {
        a->len = sizeof(struct sockaddr_in6);
        memcpy(&in6(a)->sin6_addr, host, 16);
    }
}

static void
set_port(sonic_address *a, in_port_t port)
{
    if (a->storage.ss_family == AF_INET)
        in4(a)->sin_port = port;
    else
        in6(a)->sin6_port = port;
}

static void
set_text(struct scan *s, sonic_address *a)
{
    struct in6_addr any;

    (void)address_of(s, &any); /* it is one: see address() */
    set_host(a, s->family, &any);
    advance(s);
}

static void
act_source(struct scan *s)
{
    set_text(s, &s->out->source);
}

static void
act_target(struct scan *s)
{
    set_text(s, &s->out->target);
}

static void
act_source_port(struct scan *s)
{
    set_port(&s->out->source, htons((uint16_t)port_of(s)));
    advance(s);
}

static void
act_target_port(struct scan *s)
{
    set_port(&s->out->target, htons((uint16_t)port_of(s)));
    advance(s);
}

static void
act_skip(struct scan *s)
{
    advance(s);
}

static void
act_fixed(struct scan *s)
{
    s->out->local = s->p[12] == 0x20 || s->p[13] == 0;
    advance(s);
}

static void
set_path(sonic_address *a, const uint8_t *path)
{
    struct sockaddr_un *un = (void *)&a->storage;

    a->storage.ss_family = AF_UNIX;
    memcpy(un->sun_path, path, UNIX_PATH);
    un->sun_path[UNIX_PATH - 1] = '\0';
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                         strlen(un->sun_path) + 1);
}

static void
act_block(struct scan *s)
{
    const uint8_t *p = s->p + FIXED;
    sonic_address *from = &s->out->source, *to = &s->out->target;
    size_t host = s->p[13] == 0x11 ? 4 : 16;
    sa_family_t family = host == 4 ? AF_INET : AF_INET6;
    in_port_t ports[2];

    advance(s);
    if (s->out->local)
        return;
    if (s->p[13] == 0x31) {
        set_path(from, p);
        set_path(to, p + UNIX_PATH);
        return;
    }
    memcpy(ports, p + 2 * host, sizeof ports);
    set_host(from, family, p);
    set_host(to, family, p + host);
    set_port(from, ports[0]);
    set_port(to, ports[1]);
}

static void
act_fail(struct scan *s)
{
    s->failed = true;
}

static void
act_impossible(struct scan *s)
{
    (void)s;
    assert(false && "header.def: a cell that cannot happen");
}

int
sonic_proxy_header_parse(const void *data, size_t len, sonic_proxy_header *out)
{
    struct scan s = {.p = data, .len = len, .out = out};
    uint8_t state = S_SIGNATURE;

    memset(out, 0, sizeof *out);
    while (state != S_DONE) {
        int e = classify(&s, state);

        if (e == MORE)
            return 0;
        fsm_step(&state, (enum fsm_event)e, NULL)->act(&s);
        assert(s.failed == (state == S_FAILED));
        if (s.failed)
            return SONIC_EPROXY_HEADER;
    }
    return (int)s.at;
}
