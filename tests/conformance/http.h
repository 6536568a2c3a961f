/* The opening handshake, RFC 6455 section 4, for both roles. */
#ifndef CONFORMANCE_HTTP_H
#define CONFORMANCE_HTTP_H

#include "wire.h"

enum { HEAD_MAX = 16384, KEY_TEXT = 25 };

/* A head that came, terminated. */
struct head {
    char text[HEAD_MAX];
    size_t len;
    char *field[128][2]; /* name, value */
    size_t n;
    const char *first; /* the request's or status line */
};

/* False when the wire ends before the head does. */
bool head_read(struct wire *w, struct head *h);
/* The value of the only field of that name; NULL for none.  *twice is set when
 * there is more than one. */
const char *head_field(const struct head *h, const char *name, bool *twice);

/* As the client: ask, with offer as Sec-WebSocket-Extensions unless NULL ... */
void http_ask(struct bytes *out, const char *path, const char *offer,
              char key[KEY_TEXT]);
/* ... and look at the answer: NULL, or what is wrong.  *agreed is the value of
 * Sec-WebSocket-Extensions, or NULL. */
const char *http_check_answer(const struct head *h, const char *key,
                              const char **agreed);

/* As the server: NULL, or what is wrong with a request ... */
const char *http_check_request(const struct head *h, const char **key,
                               const char **offer);
/* ... and its answer. */
void http_answer(struct bytes *out, const char *key, const char *agreed);
/* The value of Sec-WebSocket-Accept for a key. */
void http_accept(const char *key, char out[29]);

#endif
