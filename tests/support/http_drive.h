/* http_drive.h - drive sonic__http_head_feed as a stream would, and compare
 * what it says with tests/support/http_reference.c. */
#ifndef SONICIO_TESTS_HTTP_DRIVE_H
#define SONICIO_TESTS_HTTP_DRIVE_H

#include "http_reference.h"

enum { HTTP_DRIVE_FIELDS = 10000 };

/* One machine and the window that grows under it.  The window is a fresh
 * block of just the right size each time, so that memory checkers see a byte
 * too far, and a pointer kept. */
struct http_drive {
    struct sonic__http_head h;
    enum sonic__http_role role;
    const char *input;
    char *window;
    size_t len;
};

/* What the machine is asked to read, and under which limits. */
struct http_input {
    enum sonic__http_role role;
    size_t limit;    /* bytes */
    unsigned fields; /* header lines */
    const char *text;
    size_t n;
};

/* Both machines write into the same fields: use one drive at a time. */
void http_drive_init(struct http_drive *d, const struct http_input *in);
/* Feed the first len bytes of the input. */
int http_drive_to(struct http_drive *d, size_t len);
void http_drive_end(struct http_drive *d);

/* These fail the test that runs, naming `what`.
 *
 * The machine said of what it saw what the reference says of the input: */
void http_agree(const struct http_drive *d, const struct http_reference *r,
                const char *what);
/* ... of the input in one piece; returns the verdict: */
int http_agree_whole(const struct http_input *in, unsigned *answer,
                     const char *what);
/* ... byte by byte, at the very byte that decides: */
void http_agree_bytewise(const struct http_input *in, const char *what);

#endif
