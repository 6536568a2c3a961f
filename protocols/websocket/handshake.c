#include "websocket/handshake.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "websocket/out.h"

static const char version_13[] = "13";
static const char user_agent[] = "sonicio/" SONIC_VERSION;

/* What a caller may not set in a request: the handshake's own, what would
 * announce a body, what only a subprotocol list or an offer may say. */
static const char *const request_own[] = {
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

/* What the library sets unless the caller does. */
static const char *const request_default[] = {"Host", "Origin", "User-Agent",
                                              NULL};

void
sonic__ws_key(char key[SONIC__WS_KEY + 1], const uint8_t nonce[SONIC__WS_NONCE])
{
    (void)sonic__out_base64(key, nonce, SONIC__WS_NONCE);
}

int
sonic__ws_accept(char accept[SONIC__WS_ACCEPT + 1],
                 const char key[SONIC__WS_KEY])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[SONIC__WS_KEY + sizeof guid - 1];
    unsigned char sha1[20];

    memcpy(text, key, SONIC__WS_KEY);
    memcpy(text + SONIC__WS_KEY, guid, sizeof guid - 1);
    if (EVP_Digest(text, sizeof text, sha1, NULL, EVP_sha1(), NULL) != 1)
        return -ENOSYS;
    (void)sonic__out_base64(accept, sha1, sizeof sha1);
    return 0;
}

static int
check_subprotocols(const struct sonic__ws_request *r)
{
    for (size_t i = 0; i < r->n_subprotocols; i++) {
        const char *p = r->subprotocols[i];

        if (p == NULL ||
            !sonic__http_is_token((struct sonic__http_str){p, strlen(p)}))
            return SONIC_EWS_HEADER;
        for (size_t j = 0; j < i; j++)
            if (strcmp(p, r->subprotocols[j]) == 0)
                return SONIC_EWS_HEADER;
    }
    return 0;
}

static void
put_subprotocols(struct sonic__out *o, const struct sonic__ws_request *r)
{
    for (size_t i = 0; i < r->n_subprotocols; i++) {
        sonic__out_text(o, i == 0 ? "Sec-WebSocket-Protocol: " : ", ");
        sonic__out_text(o, r->subprotocols[i]);
    }
    if (r->n_subprotocols > 0)
        sonic__out_text(o, "\r\n");
}

int
sonic__ws_request_build(const struct sonic__ws_request *r, char *buf,
                        size_t cap)
{
    struct sonic__out o = {.buf = buf, .cap = cap};
    const char *resource = r->resource != NULL ? r->resource : "";
    const struct sonic__out_headers f = {r->headers, r->n_headers};
    char key[SONIC__WS_KEY + 1];
    int err = sonic__out_check(f, request_own);

    if (err == 0)
        err = check_subprotocols(r);
    if (err == 0 && r->authority == NULL && sonic__out_last(f, "Host") == NULL)
        err = SONIC_EWS_HEADER;
    if (err != 0)
        return err;
    sonic__out_text(&o, resource[0] == '/' ? "GET " : "GET /");
    sonic__out_visible(&o, resource);
    sonic__out_text(&o, " HTTP/1.1\r\n");
    sonic__out_default(&o, f, "Host", r->authority);
    sonic__ws_key(key, r->nonce);
    sonic__out_text(&o, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    sonic__out_field(&o, "Sec-WebSocket-Key", key);
    sonic__out_field(&o, "Sec-WebSocket-Version", version_13);
    put_subprotocols(&o, r);
    if (r->extensions != NULL)
        sonic__out_field(&o, "Sec-WebSocket-Extensions", r->extensions);
    sonic__out_default(&o, f, "Origin", r->origin);
    sonic__out_default(&o, f, "User-Agent", user_agent);
    sonic__out_rest(&o, f, request_default);
    sonic__out_text(&o, "\r\n");
    return sonic__out_end(&o);
}

/* ---- the server's answer ---- */

struct check {
    const struct sonic__http_head *head;
    const char *window;
    const struct sonic__ws_request *asked;
    struct sonic__ws_answer *answer;
};

static int
refuse(const struct check *c, int err, const char *why)
{
    c->answer->why = why;
    return err;
}

/* RFC 6455 4.1, items 2 and 3 of what the client validates. */
static int
check_upgrade(const struct check *c)
{
    struct sonic__http_str v;

    if (sonic__http_count(c->head, c->window, "Upgrade", &v) != 1 ||
        !sonic__http_str_is_nocase(v, "websocket"))
        return refuse(c, SONIC_EWS_UPGRADE, "4.1: Upgrade is not websocket");
    if (sonic__http_has_token(c->head, c->window, "Connection", "upgrade") != 1)
        return refuse(c, SONIC_EWS_UPGRADE, "4.1: Connection lacks Upgrade");
    return 0;
}

static int
check_accept(const struct check *c)
{
    char key[SONIC__WS_KEY + 1], accept[SONIC__WS_ACCEPT + 1];
    struct sonic__http_str v;
    int err;

    sonic__ws_key(key, c->asked->nonce);
    if ((err = sonic__ws_accept(accept, key)) < 0)
        return refuse(c, err, "libcrypto gives no SHA-1");
    if (sonic__http_count(c->head, c->window, "Sec-WebSocket-Accept", &v) !=
            1 ||
        !sonic__http_str_is(v, accept))
        return refuse(c, SONIC_EWS_ACCEPT,
                      "4.1: Sec-WebSocket-Accept does not fit the key");
    return 0;
}

static int
check_subprotocol(const struct check *c)
{
    struct sonic__http_str v;
    unsigned n =
        sonic__http_count(c->head, c->window, "Sec-WebSocket-Protocol", &v);

    if (n == 0)
        return 0;
    for (size_t i = 0; n == 1 && i < c->asked->n_subprotocols; i++)
        if (sonic__http_str_is(v, c->asked->subprotocols[i])) {
            c->answer->subprotocol = v;
            return 0;
        }
    return refuse(c, SONIC_EWS_SUBPROTOCOL,
                  n == 1 ? "4.1: the subprotocol was not offered"
                         : "11.3.4: two Sec-WebSocket-Protocol");
}

/* Does our offer name that extension?  The offer is ours, so well formed. */
static bool
was_offered(const char *offer, struct sonic__http_str name)
{
    struct sonic__http_list l = {offer, offer};
    struct sonic__http_str element;
    struct sonic__ws_extension x;

    if (offer == NULL)
        return false;
    l.end = offer + strlen(offer);
    while (sonic__http_list_next(&l, &element) > 0)
        if (sonic__ws_extension_parse(element, &x) == 0 &&
            x.name.len == name.len &&
            memcmp(x.name.ptr, name.ptr, name.len) == 0)
            return true;
    return false;
}

static int
check_extensions(const struct check *c)
{
    struct sonic__http_each e;
    struct sonic__http_str element;
    struct sonic__ws_extension x;
    int got;

    sonic__http_each_begin(&e, c->head, c->window, "Sec-WebSocket-Extensions");
    while ((got = sonic__http_each_next(&e, &element)) > 0) {
        if ((got = sonic__ws_extension_parse(element, &x)) < 0)
            break;
        if (!was_offered(c->asked->extensions, x.name))
            return refuse(c, SONIC_EWS_EXTENSION,
                          "4.1: the extension was not offered");
    }
    return got < 0 ? refuse(c, SONIC_EWS_EXTENSION, "9.1: malformed extension")
                   : 0;
}

/* A 101 ends with its head (RFC 9112 6.3); one that says otherwise is read
 * otherwise by somebody on the way. */
static int
check_bodiless(const struct check *c)
{
    struct sonic__http_str v;
    unsigned n = sonic__http_count(c->head, c->window, "Content-Length", &v);

    if (n > 1 || (n == 1 && !sonic__http_str_is(v, "0")) ||
        sonic__http_find(c->head, c->window, "Transfer-Encoding", 0) >= 0)
        return refuse(c, SONIC_EWS_HEAD, "9110 8.6: a 101 with a body");
    return 0;
}

int
sonic__ws_response_check(const struct sonic__http_head *h, const char *window,
                         const struct sonic__ws_request *asked,
                         struct sonic__ws_answer *answer)
{
    const struct check c = {h, window, asked, answer};
    int err;

    *answer = (struct sonic__ws_answer){{NULL, 0}, NULL};
    if (h->status != 101)
        return refuse(&c, SONIC_EWS_STATUS, "4.1: the status is not 101");
    if (h->major != 1 || h->minor < 1)
        return refuse(&c, SONIC_EWS_METHOD, "4.1: the answer is not HTTP/1.1");
    if ((err = check_bodiless(&c)) < 0 || (err = check_upgrade(&c)) < 0 ||
        (err = check_accept(&c)) < 0 || (err = check_subprotocol(&c)) < 0)
        return err;
    return check_extensions(&c);
}
