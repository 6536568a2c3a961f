#include "websocket/proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "websocket/out.h"

typedef int fsm_act(struct sonic__proxy *p);
static fsm_act act_connect, act_say, act_wait, act_none, act_refuse, act_deny,
    act_malform;

#define FSM_NAME "ws-proxy"
#define FSM_DEF "websocket/proxy.def"
#define FSM_INFO sonic__proxy_fsm
#define FSM_SPARSE
#include <sonicio/fsm_build.h>

enum { HOST_MAX = 253, SOCKS = 5, LOGIN_VERSION = 1 };
enum { NO_AUTHENTICATION = 0, USER_PASSWORD = 2, NO_METHOD = 0xff };
enum { TO_IPV4 = 1, TO_NAME = 3, TO_IPV6 = 4 };

/* What a refusal means to the caller.  RFC 1928 6; RFC 9110 15 */
static const struct refusal {
    uint16_t status;
    int err;
    const char *why;
} socks_refusals[] =
    {
        {1, -EIO, "1928 6: general SOCKS server failure"},
        {2, -EACCES, "1928 6: not allowed by the proxy's rules"},
        {3, -ENETUNREACH, "1928 6: network unreachable"},
        {4, -EHOSTUNREACH, "1928 6: host unreachable"},
        {5, -ECONNREFUSED, "1928 6: connection refused"},
        {6, -ETIMEDOUT, "1928 6: TTL expired"},
        {7, -EOPNOTSUPP, "1928 6: command not supported"},
        {8, -EAFNOSUPPORT, "1928 6: address type not supported"},
        {0, -EPROTO, "1928 6: an unknown reply code"},
},
  http_refusals[] = {
      {401, -EACCES, "9110 15.5.2: credentials are wanted"},
      {403, -EACCES, "9110 15.5.4: forbidden"},
      {405, -EOPNOTSUPP, "9110 15.5.6: CONNECT is not supported"},
      {407, -EACCES, "9110 15.5.8: the proxy wants credentials"},
      {408, -ETIMEDOUT, "9110 15.5.9: the proxy timed out"},
      {501, -EOPNOTSUPP, "9110 15.6.2: CONNECT is not supported"},
      {502, -EHOSTUNREACH, "9110 15.6.3: bad gateway"},
      {503, -EHOSTUNREACH, "9110 15.6.4: service unavailable"},
      {504, -ETIMEDOUT, "9110 15.6.5: gateway timeout"},
      {0, -ECONNREFUSED, "9110 9.3.6: the proxy refuses the tunnel"},
};

/* What a caller may not set in a CONNECT. */
static const char *const connect_own[] = {
    "Host",       "Content-Length", "Transfer-Encoding",
    "Connection", "Upgrade",        NULL,
};

/* What the library sets unless the caller does. */
static const char *const connect_default[] = {"Proxy-Authorization",
                                              "User-Agent", NULL};

/* ---- what we say ---- */

static void
put_byte(struct sonic__out *o, unsigned v)
{
    char c = (char)v;

    sonic__out_bytes(o, &c, 1);
}

static void
put_counted(struct sonic__out *o, const char *text)
{
    put_byte(o, (unsigned)strlen(text));
    sonic__out_text(o, text);
}

static void
put_connect(struct sonic__out *o, const struct sonic__proxy_options *to)
{
    const struct sonic__out_headers f = {to->headers, to->n_headers};
    bool v6 = strchr(to->host, ':') != NULL;
    char authority[HOST_MAX + sizeof "[]:65535"];
    char login[2 * SONIC__PROXY_CREDENTIAL_MAX + sizeof ":"];
    char basic[sizeof "Basic " + sizeof login * 4 / 3 + 4];
    int n;

    (void)snprintf(authority, sizeof authority, "%s%s%s:%u", v6 ? "[" : "",
                   to->host, v6 ? "]" : "", (unsigned)to->port);
    sonic__out_text(o, "CONNECT ");
    sonic__out_visible(o, authority);
    sonic__out_text(o, " HTTP/1.1\r\n");
    sonic__out_field(o, "Host", authority);
    if (to->user != NULL) {
        n = snprintf(login, sizeof login, "%s:%s", to->user,
                     to->password != NULL ? to->password : "");
        memcpy(basic, "Basic ", 6);
        (void)sonic__out_base64(basic + 6, login, (size_t)n);
    }
    sonic__out_default(o, f, "Proxy-Authorization",
                       to->user != NULL ? basic : NULL);
    sonic__out_default(o, f, "User-Agent", "sonicio/" SONIC_VERSION);
    sonic__out_rest(o, f, connect_default);
    sonic__out_text(o, "\r\n");
}

static void
put_greeting(struct sonic__out *o, const struct sonic__proxy_options *to)
{
    put_byte(o, SOCKS);
    put_byte(o, to->user != NULL ? 2 : 1);
    put_byte(o, NO_AUTHENTICATION);
    if (to->user != NULL)
        put_byte(o, USER_PASSWORD);
}

static void
put_login(struct sonic__out *o, const struct sonic__proxy_options *to)
{
    put_byte(o, LOGIN_VERSION);
    put_counted(o, to->user);
    put_counted(o, to->password);
}

/* A name goes to the proxy as a name: it resolves, not we. */
static void
put_request(struct sonic__out *o, const struct sonic__proxy_options *to)
{
    char addr[sizeof(struct in6_addr)];

    put_byte(o, SOCKS);
    put_byte(o, 1); /* CONNECT */
    put_byte(o, 0);
    if (inet_pton(AF_INET, to->host, addr) == 1) {
        put_byte(o, TO_IPV4);
        sonic__out_bytes(o, addr, 4);
    } else if (inet_pton(AF_INET6, to->host, addr) == 1) {
        put_byte(o, TO_IPV6);
        sonic__out_bytes(o, addr, 16);
    } else {
        put_byte(o, TO_NAME);
        put_counted(o, to->host);
    }
    put_byte(o, to->port >> 8);
    put_byte(o, to->port & 0xff);
}

int
sonic__proxy_say(struct sonic__proxy *p, char *buf, size_t cap)
{
    static void (*const put[FSM_STATES])(
        struct sonic__out *, const struct sonic__proxy_options *) = {
        [S_CONNECT] = put_connect,
        [S_GREETING] = put_greeting,
        [S_LOGIN] = put_login,
        [S_REQUEST] = put_request,
    };
    struct sonic__out o = {.buf = buf, .cap = cap};
    int n;

    if (p->verdict < 0 || !p->due)
        return p->verdict;
    put[p->state](&o, p->options);
    n = sonic__out_end(&o);
    if (n > 0 && (size_t)n <= cap)
        p->due = false;
    return n;
}

/* ---- what the proxy says ---- */

/* The functions here read the answer that is due, and not past it.  They
 * return its size with the event, or 0 when more is needed. */

static int
read_http(struct sonic__proxy *p, const char *window, size_t len,
          enum fsm_event *e)
{
    int n = sonic__http_head_feed(&p->head, window, len);

    p->status = p->head.status;
    if (n < 0 || p->status == 101)
        *e = E_BAD;
    else if (p->status < 200)
        *e = E_INTERIM;
    else
        *e = p->status <= 299 ? E_YES : E_NO;
    return n < 0 ? 1 : n;
}

/* The two answers of two bytes: a method, a status. */
static enum fsm_event
read_short(const struct sonic__proxy *p, const uint8_t *b)
{
    if (p->state == S_LOGIN)
        return b[0] != LOGIN_VERSION ? E_BAD : b[1] == 0 ? E_YES : E_NO;
    if (b[0] != SOCKS)
        return E_BAD;
    if (b[1] == NO_AUTHENTICATION)
        return E_YES;
    if (b[1] == USER_PASSWORD && p->options->user != NULL)
        return E_PASSWORD;
    return b[1] == NO_METHOD ? E_NO : E_BAD;
}

/* The reply, which carries an address that we have no use for. */
static int
read_reply(struct sonic__proxy *p, const uint8_t *b, size_t len,
           enum fsm_event *e)
{
    size_t size;

    *e = E_BAD;
    if (b[0] != SOCKS)
        return 2;
    p->status = b[1];
    *e = E_NO;
    if (b[1] != 0)
        return 2; /* the rest may never come: they close */
    *e = E_YES;
    if (len < 5)
        return 0;
    switch (b[3]) {
    case TO_IPV4:
        size = 10;
        break;
    case TO_IPV6:
        size = 22;
        break;
    case TO_NAME:
        size = 7u + b[4];
        break;
    default:
        *e = E_BAD;
        return 4;
    }
    return len < size ? 0 : (int)size;
}

static int
classify(struct sonic__proxy *p, const char *window, size_t len,
         enum fsm_event *e)
{
    const uint8_t *b = (const uint8_t *)window;

    if (p->state == S_CONNECT)
        return read_http(p, window, len, e);
    if (len < 2)
        return 0;
    if (p->state == S_REQUEST)
        return read_reply(p, b, len, e);
    *e = read_short(p, b);
    return 2;
}

int
sonic__proxy_feed(struct sonic__proxy *p, const char *window, size_t len)
{
    uint8_t from = p->state;
    const struct fsm_cell *c;
    enum fsm_event e;
    int size;

    if (fsm_final[p->state])
        return p->verdict;
    size = classify(p, window, len, &e);
    if (size == 0)
        return 0;
    c = fsm_step(&p->state, e, p->tracer);
    assert(c->act != NULL);
    p->why = sonic__ws_row_why(&FSM_INFO, from, (unsigned)e);
    p->verdict = c->act(p);
    return p->verdict < 0 ? p->verdict : size;
}

bool
sonic__proxy_is_open(const struct sonic__proxy *p)
{
    return p->state == S_OPEN;
}

/* ---- beginning ---- */

static int
check_host(const char *host)
{
    unsigned char v6[sizeof(struct in6_addr)];
    size_t len = host == NULL ? 0 : strlen(host);

    if (len == 0 || len > HOST_MAX || strchr(host, '%') != NULL)
        return -EINVAL;
    for (const char *p = host; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || strchr("/?#@\\[]", *p) != NULL)
            return SONIC_EWS_HEADER;
    if (strchr(host, ':') != NULL && inet_pton(AF_INET6, host, v6) != 1)
        return -EINVAL;
    return 0;
}

static int
check_credential(const char *text, size_t least)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len < least || len > SONIC__PROXY_CREDENTIAL_MAX)
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            return SONIC_EWS_HEADER;
    return 0;
}

static int
check_options(const struct sonic__proxy_options *to)
{
    const struct sonic__out_headers f = {to->headers, to->n_headers};
    bool http = to->kind == SONIC__PROXY_HTTP;
    int err = check_host(to->host);

    if (err == 0 && (to->port == 0 || (to->user == NULL && to->password)))
        err = -EINVAL;
    if (err == 0 && to->user != NULL)
        err = check_credential(to->user, http ? 0 : 1);
    if (err == 0 && to->user != NULL)
        err = check_credential(to->password, http ? 0 : 1);
    if (err == 0 && http && to->user != NULL && strchr(to->user, ':') != NULL)
        err = SONIC_EWS_HEADER;
    if (err == 0 && http)
        err = sonic__out_check(f, connect_own);
    return err;
}

int
sonic__proxy_init(struct sonic__proxy *p,
                  const struct sonic__proxy_options *options,
                  struct sonic__http_field *fields, uint16_t max_fields)
{
    enum fsm_event e = options->kind == SONIC__PROXY_HTTP ? E_HTTP : E_SOCKS;

    memset(p, 0, sizeof *p);
    p->options = options;
    p->fields = fields;
    p->max_fields = max_fields;
    p->state = S_START;
    p->verdict = check_options(options);
    if (p->verdict < 0)
        e = E_BAD;
    p->why = sonic__ws_row_why(&FSM_INFO, S_START, (unsigned)e);
    return fsm_step(&p->state, e, NULL)->act(p);
}

/* ---- actions ---- */

static int
act_connect(struct sonic__proxy *p)
{
    p->due = true;
    return act_wait(p);
}

static int
act_say(struct sonic__proxy *p)
{
    p->due = true;
    return 0;
}

static int
act_wait(struct sonic__proxy *p)
{
    sonic__http_head_init(&p->head, SONIC__HTTP_RESPONSE, 0, p->fields,
                          p->max_fields);
    return 0;
}

/* Nothing to do: the verdict is what it was, 0 or that on the options. */
static int
act_none(struct sonic__proxy *p)
{
    return p->verdict;
}

static int
act_refuse(struct sonic__proxy *p)
{
    const struct refusal *r =
        p->options->kind == SONIC__PROXY_HTTP ? http_refusals : socks_refusals;

    while (r->status != 0 && r->status != p->status)
        r++;
    p->why = r->why;
    return r->err;
}

static int
act_deny(struct sonic__proxy *p)
{
    (void)p;
    return -EACCES;
}

static int
act_malform(struct sonic__proxy *p)
{
    if (p->head.verdict >= 0)
        return -EPROTO;
    p->why = p->head.why;
    return p->head.verdict;
}
