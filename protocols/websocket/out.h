/* out.h - write a head into memory of the caller, and into no byte beyond
 *
 * What does not fit is counted and dropped, as snprintf(3) does.  What may
 * not be sent is an error that sticks: the writer is asked once, at the end.
 */
#ifndef SONICIO_WEBSOCKET_OUT_H
#define SONICIO_WEBSOCKET_OUT_H

#include "websocket/handshake.h"

enum { SONIC__OUT_MAX = 1 << 20 }; /* bytes; a larger head is nobody's wish */

struct sonic__out {
    char *buf;
    size_t cap, len; /* len counts what did not fit, too */
    int err;         /* 0, or the first error */
};

void sonic__out_bytes(struct sonic__out *o, const char *p, size_t len);

/* Text of our own. */
void sonic__out_text(struct sonic__out *o, const char *text);

/* Text of the caller that must be visible ASCII without spaces: a target, an
 * authority.  NULL and anything else is SONIC_EWS_HEADER, here and below. */
void sonic__out_visible(struct sonic__out *o, const char *text);

/* Text of the caller that must be fit for a field value. */
void sonic__out_value(struct sonic__out *o, const char *text);

/* "Name: value" and CRLF, of our own. */
void sonic__out_field(struct sonic__out *o, const char *name,
                      const char *value);

/* The same for a checked header of the caller. */
void sonic__out_header(struct sonic__out *o, const struct sonic_ws_header *f);

/* The number of bytes, or the error; SONIC_ETOOBIG above SONIC__OUT_MAX. */
int sonic__out_end(const struct sonic__out *o);

/* Is name one of names, which ends with NULL?  Without case. */
bool sonic__out_is_one_of(const char *name, const char *const *names);

/* ---- the headers of a caller ---- */

struct sonic__out_headers {
    const struct sonic_ws_header *list;
    size_t n;
};

/* SONIC_EWS_HEADER when one may not be sent at all, or has one of the names
 * in `ours`, which ends with NULL; else 0. */
SONIC_MUST_CHECK int sonic__out_check(struct sonic__out_headers f,
                                      const char *const *ours);

/* The one of that name that holds, which is the last; or NULL. */
const struct sonic_ws_header *sonic__out_last(struct sonic__out_headers f,
                                              const char *name);

/* The caller's header of that name, else our own value, else nothing. */
void sonic__out_default(struct sonic__out *o, struct sonic__out_headers f,
                        const char *name, const char *value);

/* Those that hold, except the names that sonic__out_default has written. */
void sonic__out_rest(struct sonic__out *o, struct sonic__out_headers f,
                     const char *const *except);

/* Base64 of len bytes, terminated: out has room for (len + 2) / 3 * 4 + 1.
 * Returns the length of the text. */
size_t sonic__out_base64(char *out, const void *p, size_t len);

#endif
