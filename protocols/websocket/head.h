/* head.h - the head of an HTTP/1.1 message, request or response, read as it
 * arrives.  RFC 9112 sections 2 to 5, without what it lets a recipient repair:
 * a bare LF, a folded line or white space before a colon end the attempt.
 *
 * The head lies contiguous in a window of the caller, from its first byte.
 * The machine keeps positions in that window, never bytes: the window may
 * move between calls as long as its contents stay.
 */
#ifndef SONICIO_WEBSOCKET_HEAD_H
#define SONICIO_WEBSOCKET_HEAD_H

#include <sonicio/error.h>
#include <sonicio/fsm.h>

enum {
    SONIC__HTTP_HEAD_BYTES = 16384,     /* limit unless the caller says */
    SONIC__HTTP_HEAD_BYTES_MAX = 65535, /* the highest limit there can be */
    SONIC__HTTP_HEAD_FIELDS = 100,      /* header lines, the usual limit */
    SONIC__HTTP_METHOD_MAX = 32,        /* bytes */
    SONIC__HTTP_TARGET_MAX = 8192       /* bytes; RFC 9110 4.1 asks for 8000 */
};

enum sonic__http_role { SONIC__HTTP_REQUEST, SONIC__HTTP_RESPONSE };

/* A piece of the window, in bytes from its start. */
struct sonic__http_span {
    uint16_t off, len;
};

struct sonic__http_field {
    struct sonic__http_span name, value; /* value without outer white space */
};

/* Everything below `fields` is readable once feed returned a size; `answer`
 * and `why` once it returned an error. */
struct sonic__http_head {
    const sonic_fsm_tracer *tracer;   /* NULL, or the caller's after init */
    struct sonic__http_field *fields; /* the caller's, max_fields of them */
    uint16_t n_fields, max_fields;

    struct sonic__http_span method, target; /* of a request */
    struct sonic__http_span reason;         /* of a response; may be empty */
    uint16_t status;                        /* of a response: 100..999 */
    uint8_t major, minor;                   /* HTTP-version */

    uint16_t answer; /* the status a server answers the error with */
    const char *why; /* the error in words; constant */

    uint16_t limit, seen, start; /* bytes: most, looked at, element's first */
    uint8_t state;
    int verdict;   /* what feed returned, once that is final */
    uint32_t work; /* bytes touched: the tests' proof of linear work */
};

/* sonic__http_head_init - await a head
 *
 *   limit   most bytes of the head, its last CRLF included; 0 means
 *           SONIC__HTTP_HEAD_BYTES; brought into the range 64 to _MAX
 *   fields  room for max_fields header lines; must live as long as h is used
 */
void sonic__http_head_init(struct sonic__http_head *h,
                           enum sonic__http_role role, size_t limit,
                           struct sonic__http_field *fields,
                           uint16_t max_fields);

/* sonic__http_head_feed - look at what has arrived since the last call
 *
 *   window, len  all bytes from the head's first one.  Never less than in the
 *                call before.  May hold more than the head.
 *
 * Returns the size of the head (> 0) when it is complete, 0 when more is
 * needed, SONIC_EWS_HEAD when it is malformed, SONIC_EWS_HEAD_TOOBIG when a
 * limit is passed.  Further calls repeat a size or an error. */
SONIC_MUST_CHECK int sonic__http_head_feed(struct sonic__http_head *h,
                                           const char *window, size_t len);

extern const sonic_fsm sonic__http_head_fsm;

/* The reason that a machine's row gives; NULL when there is no such row. */
const char *sonic__ws_row_why(const sonic_fsm *fsm, unsigned state,
                              unsigned event);

#endif
