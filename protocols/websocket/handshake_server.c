#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "websocket/chars.h"
#include "websocket/out.h"

/* What a caller may not set in an answer. */
static const char *const response_own[] = {
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
    NULL,
};

struct check {
    const struct sonic__http_head *head;
    const char *window;
    struct sonic__ws_asked *asked;
};

static int
refuse(const struct check *c, unsigned status, int err, const char *why)
{
    c->asked->status = (uint16_t)status;
    c->asked->why = why;
    return err;
}

static int
check_line(const struct check *c)
{
    struct sonic__http_str target =
        sonic__http_str_at(c->window, c->head->target);

    if (c->head->major != 1 || c->head->minor < 1)
        return refuse(c, 505, SONIC_EWS_METHOD, "4.1: not HTTP/1.1");
    if (!sonic__http_str_is(sonic__http_str_at(c->window, c->head->method),
                            "GET"))
        return refuse(c, 405, SONIC_EWS_METHOD, "4.1: the method is not GET");
    if (target.ptr[0] != '/')
        return refuse(c, 400, SONIC_EWS_HEAD,
                      "9112 3.2.1: the target does not begin with /");
    if (memchr(target.ptr, '#', target.len) != NULL)
        return refuse(c, 400, SONIC_EWS_HEAD, "3: a fragment in the target");
    c->asked->target = target;
    return 0;
}

/* Could it be HOST or HOST:PORT?  What routes by it looks closer. */
static bool
is_authority(struct sonic__http_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' ||
            strchr("/?#@\\", s.ptr[i]) != NULL)
            return false;
    return s.len > 0;
}

static int
check_host(const struct check *c)
{
    if (sonic__http_count(c->head, c->window, "Host", &c->asked->host) != 1)
        return refuse(c, 400, SONIC_EWS_HEAD, "9112 3.2: not exactly one Host");
    if (!is_authority(c->asked->host))
        return refuse(c, 400, SONIC_EWS_HEAD, "9112 3.2: Host is no authority");
    if (sonic__http_count(c->head, c->window, "Origin", &c->asked->origin) > 1)
        return refuse(c, 400, SONIC_EWS_HEAD, "6454 7.3: two Origin");
    return 0;
}

/* Bytes behind the head are frames to us and a body to a proxy that believes
 * these fields: so nobody may send them. */
static int
check_bodiless(const struct check *c)
{
    struct sonic__http_str v;
    unsigned n = sonic__http_count(c->head, c->window, "Content-Length", &v);

    if (n > 1 || (n == 1 && !sonic__http_str_is(v, "0")) ||
        sonic__http_find(c->head, c->window, "Transfer-Encoding", 0) >= 0)
        return refuse(c, 400, SONIC_EWS_HEAD, "an upgrade with a body");
    return 0;
}

static int
check_upgrade(const struct check *c)
{
    int has = sonic__http_has_token(c->head, c->window, "Upgrade", "websocket");

    if (has < 0)
        return refuse(c, 400, SONIC_EWS_HEAD, "9110 7.8: malformed Upgrade");
    if (has == 0)
        return refuse(c, 426, SONIC_EWS_UPGRADE,
                      "4.2.1: no upgrade to websocket asked for");
    has = sonic__http_has_token(c->head, c->window, "Connection", "upgrade");
    if (has < 0)
        return refuse(c, 400, SONIC_EWS_HEAD,
                      "9110 7.6.1: malformed Connection");
    if (has == 0)
        return refuse(c, 400, SONIC_EWS_UPGRADE,
                      "4.2.1: Connection lacks Upgrade");
    return 0;
}

/* The text of 16 bytes: 22 digits of base64, the last of which carries 4 bits
 * that we do not look at, and "==". */
static bool
is_key(struct sonic__http_str s)
{
    if (s.len != SONIC__WS_KEY || s.ptr[22] != '=' || s.ptr[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = s.ptr[i], l = sonic__http_lower(c);

        if ((l < 'a' || l > 'z') && (c < '0' || c > '9') && c != '+' &&
            c != '/')
            return false;
    }
    return true;
}

static int
check_key(const struct check *c)
{
    struct sonic__http_str v;
    unsigned n =
        sonic__http_count(c->head, c->window, "Sec-WebSocket-Version", &v);

    if (n > 1)
        return refuse(c, 400, SONIC_EWS_VERSION,
                      "11.3.5: two Sec-WebSocket-Version");
    if (n == 0 || !sonic__http_str_is(v, "13"))
        return refuse(c, 426, SONIC_EWS_VERSION,
                      "4.2.1: Sec-WebSocket-Version is not 13");
    n = sonic__http_count(c->head, c->window, "Sec-WebSocket-Key",
                          &c->asked->key);
    if (n != 1 || !is_key(c->asked->key))
        return refuse(c, 400, SONIC_EWS_KEY,
                      "4.2.1: not one Sec-WebSocket-Key of 16 bytes");
    return 0;
}

static int
check_offers(const struct check *c)
{
    struct sonic__http_each e;
    struct sonic__http_str element;
    struct sonic__ws_extension x;
    int got;

    sonic__http_each_begin(&e, c->head, c->window, "Sec-WebSocket-Protocol");
    while ((got = sonic__http_each_next(&e, &element)) > 0)
        if (!sonic__http_is_token(element))
            break;
    if (got != 0)
        return refuse(c, 400, SONIC_EWS_SUBPROTOCOL,
                      "4.1: a subprotocol is not a token");
    sonic__http_each_begin(&e, c->head, c->window, "Sec-WebSocket-Extensions");
    while ((got = sonic__http_each_next(&e, &element)) > 0)
        if (sonic__ws_extension_parse(element, &x) < 0)
            break;
    if (got != 0)
        return refuse(c, 400, SONIC_EWS_EXTENSION, "9.1: malformed extension");
    return 0;
}

int
sonic__ws_request_check(const struct sonic__http_head *h, const char *window,
                        struct sonic__ws_asked *asked)
{
    const struct check c = {h, window, asked};
    int err;

    *asked = (struct sonic__ws_asked){.status = 101};
    if ((err = check_line(&c)) < 0 || (err = check_host(&c)) < 0 ||
        (err = check_bodiless(&c)) < 0 || (err = check_upgrade(&c)) < 0 ||
        (err = check_key(&c)) < 0)
        return err;
    return check_offers(&c);
}

int
sonic__ws_subprotocol_choose(const struct sonic__http_head *h,
                             const char *window, const char *const *ours,
                             size_t n_ours)
{
    for (size_t i = 0; i < n_ours; i++) {
        struct sonic__http_each e;
        struct sonic__http_str element;

        sonic__http_each_begin(&e, h, window, "Sec-WebSocket-Protocol");
        while (sonic__http_each_next(&e, &element) > 0)
            if (sonic__http_str_is(element, ours[i]))
                return (int)i;
    }
    return -1;
}

/* ---- answers ---- */

int
sonic__ws_response_build(const struct sonic__ws_response *r, char *buf,
                         size_t cap)
{
    struct sonic__out o = {.buf = buf, .cap = cap};
    char accept[SONIC__WS_ACCEPT + 1];
    int err = sonic__out_check(
        (struct sonic__out_headers){r->headers, r->n_headers}, response_own);

    if (err == 0 && !is_key(r->key))
        err = SONIC_EWS_KEY;
    if (err == 0 && r->subprotocol != NULL &&
        !sonic__http_is_token(
            (struct sonic__http_str){r->subprotocol, strlen(r->subprotocol)}))
        err = SONIC_EWS_HEADER;
    if (err == 0)
        err = sonic__ws_accept(accept, r->key.ptr);
    if (err != 0)
        return err;
    sonic__out_text(&o, "HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    sonic__out_field(&o, "Sec-WebSocket-Accept", accept);
    if (r->subprotocol != NULL)
        sonic__out_field(&o, "Sec-WebSocket-Protocol", r->subprotocol);
    if (r->extensions != NULL)
        sonic__out_field(&o, "Sec-WebSocket-Extensions", r->extensions);
    for (size_t i = 0; i < r->n_headers; i++)
        sonic__out_header(&o, &r->headers[i]);
    sonic__out_text(&o, "\r\n");
    return sonic__out_end(&o);
}

/* The usual phrase of a status.  RFC 9110 15, RFC 6585 */
static const char *
phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } known[] = {
        {301, "Moved Permanently"},
        {302, "Found"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {414, "URI Too Long"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].text;
    return "Refused";
}

/* What the status owes to the client.  RFC 9110 15.5.6, 15.5.22; RFC 6455
 * 4.2.2 */
static void
put_due(struct sonic__out *o, unsigned status)
{
    if (status == 426) {
        sonic__out_text(o, "Upgrade: websocket\r\n"
                           "Connection: Upgrade, close\r\n"
                           "Sec-WebSocket-Version: 13\r\n");
        return;
    }
    sonic__out_text(o, "Connection: close\r\n");
    if (status == 405)
        sonic__out_text(o, "Allow: GET\r\n");
}

int
sonic__ws_rejection_build(const struct sonic__ws_rejection *r, char *buf,
                          size_t cap)
{
    struct sonic__out o = {.buf = buf, .cap = cap};
    const char *reason = r->reason != NULL ? r->reason : phrase(r->status);
    const char *body = r->body != NULL ? r->body : reason;
    const struct sonic__out_headers f = {r->headers, r->n_headers};
    char line[24];
    int err;

    if (r->status < 200 || r->status > 599 || r->status == 204 ||
        r->status == 205 || r->status == 304)
        return -EINVAL;
    err = sonic__out_check(f, response_own);
    if (err != 0)
        return err;
    (void)snprintf(line, sizeof line, "HTTP/1.1 %u ", r->status);
    sonic__out_text(&o, line);
    sonic__out_value(&o, reason);
    sonic__out_text(&o, "\r\n");
    put_due(&o, r->status);
    if (sonic__out_last(f, "Content-Type") == NULL)
        sonic__out_field(&o, "Content-Type", "text/plain; charset=utf-8");
    (void)snprintf(line, sizeof line, "%zu", strlen(body));
    sonic__out_field(&o, "Content-Length", line);
    for (size_t i = 0; i < r->n_headers; i++)
        sonic__out_header(&o, &r->headers[i]);
    sonic__out_text(&o, "\r\n");
    sonic__out_text(&o, body);
    return sonic__out_end(&o);
}
