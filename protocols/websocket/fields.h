/* fields.h - look things up in a complete head: fields, lists, extensions
 *
 * Nothing is copied: a str points into the window (or into whatever else it
 * was made of) and lives as long as that.
 */
#ifndef SONICIO_WEBSOCKET_FIELDS_H
#define SONICIO_WEBSOCKET_FIELDS_H

#include "websocket/head.h"

struct sonic__http_str {
    const char *ptr; /* not terminated; NULL when there is no such thing */
    size_t len;      /* bytes */
};

static inline struct sonic__http_str
sonic__http_str_at(const char *window, struct sonic__http_span s)
{
    return (struct sonic__http_str){window + s.off, s.len};
}

/* Equal, byte by byte; equal but for the case of ASCII letters. */
bool sonic__http_str_is(struct sonic__http_str s, const char *text);
bool sonic__http_str_is_nocase(struct sonic__http_str s, const char *text);

/* A token of RFC 9110 5.6.2: one tchar or more. */
bool sonic__http_is_token(struct sonic__http_str s);
/* May be sent as a field value: no control byte but HT.  RFC 9110 5.5 */
bool sonic__http_is_value(struct sonic__http_str s);

/* sonic__http_find - the first field of that name at index `from` or later
 *
 * Names compare without case.  Returns its index or -1. */
int sonic__http_find(const struct sonic__http_head *h, const char *window,
                     const char *name, unsigned from);

/* sonic__http_count - how many lines have that name; *value is the first's */
unsigned sonic__http_count(const struct sonic__http_head *h, const char *window,
                           const char *name, struct sonic__http_str *value);

/* A comma-separated list in progress.  RFC 9110 5.6.1 */
struct sonic__http_list {
    const char *at, *end;
};

/* sonic__http_list_next - the next element, without outer white space
 *
 * Empty elements are skipped; a comma in a quoted string is part of it.
 * Each byte is looked at once over the whole list (twice for trailing white
 * space).  Returns 1 with the element, 0 at the end, SONIC_EWS_HEAD when a
 * quoted string does not end. */
int sonic__http_list_next(struct sonic__http_list *l,
                          struct sonic__http_str *element);

/* The elements of every field of one name, which are one list (RFC 9110 5.3).
 * All members are private; begin with sonic__http_each_begin. */
struct sonic__http_each {
    const struct sonic__http_head *head;
    const char *window, *name;
    struct sonic__http_list list;
    unsigned next;
};

void sonic__http_each_begin(struct sonic__http_each *e,
                            const struct sonic__http_head *h,
                            const char *window, const char *name);
/* As sonic__http_list_next. */
int sonic__http_each_next(struct sonic__http_each *e,
                          struct sonic__http_str *element);

/* sonic__http_has_token - is the token an element of the named list?
 *
 * Without case.  1, 0, or SONIC_EWS_HEAD when the list is malformed. */
int sonic__http_has_token(const struct sonic__http_head *h, const char *window,
                          const char *name, const char *token);

/* One extension of Sec-WebSocket-Extensions, and its parameters in progress.
 * RFC 6455 9.1 */
struct sonic__ws_extension {
    struct sonic__http_str name;
    const char *at, *end; /* private: the parameters not yet read */
};

struct sonic__ws_param {
    struct sonic__http_str name;
    struct sonic__http_str value; /* ptr is NULL when there is no "=" */
    bool quoted; /* value is the inside of a quoted string, escapes left in */
};

/* sonic__ws_extension_parse - take a list element apart
 *
 * Returns 0 with the name, or SONIC_EWS_EXTENSION when any part of the
 * element, its parameters included, is not as RFC 6455 9.1 has it. */
SONIC_MUST_CHECK int sonic__ws_extension_parse(struct sonic__http_str element,
                                               struct sonic__ws_extension *x);

/* Returns true with the next parameter, false at the end. */
bool sonic__ws_param_next(struct sonic__ws_extension *x,
                          struct sonic__ws_param *p);

#endif
