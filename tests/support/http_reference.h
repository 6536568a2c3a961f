/* http_reference.h - the head of an HTTP/1.1 message once more, written to be
 * obvious: the whole input at once, one element after the other, no table. */
#ifndef SONICIO_TESTS_HTTP_REFERENCE_H
#define SONICIO_TESTS_HTTP_REFERENCE_H

#include "websocket/head.h"

struct http_reference {
    int verdict; /* as sonic__http_head_feed */
    size_t at;   /* bytes that it took to say so; 0 with a verdict of 0 */
    unsigned answer;
    char text[1 << 18]; /* what was read, one element a line */
    size_t n;
};

/* Judge in[0..n). */
void http_reference(struct http_reference *r, enum sonic__http_role role,
                    size_t limit, unsigned max_fields, const char *in,
                    size_t n);

/* Write down in the same form what h has read from window. */
size_t http_describe(const struct sonic__http_head *h,
                     enum sonic__http_role role, const char *window, char *out,
                     size_t cap);

#endif
