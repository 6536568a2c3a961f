/* handshake.h - the opening handshake.  RFC 6455 section 4.
 *
 * Heads are built into memory of the caller, in the manner of snprintf(3): a
 * build function returns the size of the whole head, and wrote all of it when
 * that is at most cap; nothing is terminated.  buf may be NULL when cap is 0.
 * The same input gives the same bytes.
 *
 * Heads are checked where they lie, after sonic__http_head_feed returned a
 * size; every str in a result points into that window.
 */
#ifndef SONICIO_WEBSOCKET_HANDSHAKE_H
#define SONICIO_WEBSOCKET_HANDSHAKE_H

#include <sonicio/websocket.h>

#include "websocket/fields.h"

enum {
    SONIC__WS_NONCE = 16, /* random bytes of a key */
    SONIC__WS_KEY = 24,   /* the key as text */
    SONIC__WS_ACCEPT = 28 /* the answer to it, as text */
};

/* sonic__ws_key, sonic__ws_accept - the key of 16 random bytes; its answer
 *
 * Both terminate what they write.  accept returns 0, or -ENOSYS when
 * libcrypto has no SHA-1 to give (a policy may forbid it). */
void sonic__ws_key(char key[SONIC__WS_KEY + 1],
                   const uint8_t nonce[SONIC__WS_NONCE]);
SONIC_MUST_CHECK int sonic__ws_accept(char accept[SONIC__WS_ACCEPT + 1],
                                      const char key[SONIC__WS_KEY]);

/* ---- client ---- */

/* What the client asks for; all pointers are borrowed. */
struct sonic__ws_request {
    const char *authority; /* for Host: sonic_url.authority */
    const char *resource;  /* sonic_url.resource; NULL is "/" */
    uint8_t nonce[SONIC__WS_NONCE];
    const char *origin;              /* NULL: none */
    const char *const *subprotocols; /* by preference */
    size_t n_subprotocols;
    const char *extensions; /* the offer's field value; NULL: none */
    const struct sonic_ws_header *headers;
    size_t n_headers;
};

/* sonic__ws_request_build - the client's head
 *
 * A header of the caller replaces an earlier one of that name, without case,
 * and the library's own Host, Origin and User-Agent.
 *
 * ERRORS
 *   SONIC_EWS_HEADER  a byte that may not be sent, or an empty name; a header
 *                     that is the handshake's own (Upgrade, Connection,
 *                     Sec-WebSocket-*) or that announces a body; a
 *                     subprotocol that is no token or is there twice
 *   SONIC_ETOOBIG     the head passes 1 MiB */
SONIC_MUST_CHECK int sonic__ws_request_build(const struct sonic__ws_request *r,
                                             char *buf, size_t cap);

/* An interim answer (100, 102, 103 ...): consume its head, await another.
 * RFC 9110 15.2 */
static inline bool
sonic__ws_response_is_interim(const struct sonic__http_head *h)
{
    return h->status < 200 && h->status != 101;
}

/* What the server said. */
struct sonic__ws_answer {
    struct sonic__http_str subprotocol; /* the chosen one; ptr NULL: none */
    const char *why;                    /* an error in words; constant */
};

/* sonic__ws_response_check - did the server agree?
 *
 *   asked  what sonic__ws_request_build was given: nonce, subprotocols and
 *          extensions are compared
 *
 * A subprotocol that was offered and not chosen is no error: answer has none.
 * Extensions are among those offered; read them with sonic__http_each_begin
 * on "Sec-WebSocket-Extensions".
 *
 * ERRORS
 *   SONIC_EWS_STATUS       not 101: see h->status and h->reason
 *   SONIC_EWS_METHOD       not HTTP/1.1
 *   SONIC_EWS_HEAD         a body is announced, a list is malformed
 *   SONIC_EWS_UPGRADE, _ACCEPT, _SUBPROTOCOL, _EXTENSION
 *   -ENOSYS                see sonic__ws_accept */
SONIC_MUST_CHECK int
sonic__ws_response_check(const struct sonic__http_head *h, const char *window,
                         const struct sonic__ws_request *asked,
                         struct sonic__ws_answer *answer);

/* ---- server ---- */

/* What the client asked for, or why it is refused. */
struct sonic__ws_asked {
    struct sonic__http_str target; /* path and query, begins with '/' */
    struct sonic__http_str host;   /* the Host field */
    struct sonic__http_str origin; /* ptr NULL: none was sent */
    struct sonic__http_str key;    /* SONIC__WS_KEY bytes */
    uint16_t status;               /* to refuse with; 101 when all is well */
    const char *why;               /* an error in words; constant */
};

/* sonic__ws_request_check - may this request be upgraded?
 *
 * Offered subprotocols and extensions are checked for form; read them with
 * sonic__ws_subprotocol_choose, and sonic__http_each_begin on
 * "Sec-WebSocket-Extensions" with sonic__ws_extension_parse.
 *
 * ERRORS, with asked->status
 *   SONIC_EWS_METHOD       505: not HTTP/1.1; 405: not GET
 *   SONIC_EWS_HEAD         400: not an origin-form target, Host not there
 *                          once, Origin twice, a body, a malformed list
 *   SONIC_EWS_UPGRADE      426: no upgrade to websocket; 400: Connection
 *   SONIC_EWS_KEY          400
 *   SONIC_EWS_VERSION      426: not 13; 400: there twice
 *   SONIC_EWS_SUBPROTOCOL, SONIC_EWS_EXTENSION   400: malformed offer */
SONIC_MUST_CHECK int sonic__ws_request_check(const struct sonic__http_head *h,
                                             const char *window,
                                             struct sonic__ws_asked *asked);

/* sonic__ws_subprotocol_choose - the first of ours that the client offers
 *
 * Returns its index in ours, or -1. */
int sonic__ws_subprotocol_choose(const struct sonic__http_head *h,
                                 const char *window, const char *const *ours,
                                 size_t n_ours);

/* The server's consent. */
struct sonic__ws_response {
    struct sonic__http_str key; /* sonic__ws_asked.key */
    const char *subprotocol;    /* NULL: none */
    const char *extensions;     /* field value; NULL: none */
    const struct sonic_ws_header *headers;
    size_t n_headers;
};

/* sonic__ws_response_build - the 101
 *
 * Headers are sent in the order given, none replaces another.  Errors as
 * sonic__ws_request_build, and -ENOSYS of sonic__ws_accept. */
SONIC_MUST_CHECK int
sonic__ws_response_build(const struct sonic__ws_response *r, char *buf,
                         size_t cap);

/* A refusal. */
struct sonic__ws_rejection {
    unsigned status;    /* 200..599 */
    const char *reason; /* phrase of the status line; NULL: the usual one */
    const char *body;   /* text/plain in UTF-8; NULL: the reason */
    const struct sonic_ws_header *headers;
    size_t n_headers;
};

/* sonic__ws_rejection_build - a whole response, body included, that closes
 *
 * Adds what the status demands: Allow to 405, Upgrade and
 * Sec-WebSocket-Version to 426.  Errors as sonic__ws_request_build, and
 * -EINVAL for a status out of range or without a body (204, 205, 304). */
SONIC_MUST_CHECK int
sonic__ws_rejection_build(const struct sonic__ws_rejection *r, char *buf,
                          size_t cap);

#endif
