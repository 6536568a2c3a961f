/* url.h - the parts of <sonicio/url.h> that other URLs have, too
 *
 * Each returns NULL, or why not: one sentence, constant.
 */
#ifndef SONICIO_WEBSOCKET_URL_H
#define SONICIO_WEBSOCKET_URL_H

#include <sonicio/url.h>

/* A stretch of text, [at, end). */
struct sonic__url_cut {
    const char *at, *end;
};

/* Is every byte visible ASCII, and the text at most SONIC_URL_MAX long? */
const char *sonic__url_check_text(const char *text);

/* HOST[:PORT]: fills in kind, host, port and authority. */
const char *sonic__url_authority(struct sonic__url_cut in,
                                 uint16_t default_port, sonic_url *u);

/* Decode %xx into out, which takes at most max bytes and the end; too_long is
 * what to say when that is not enough. */
const char *sonic__url_decode(struct sonic__url_cut in, char *out, size_t max,
                              const char *too_long);

/* What follows the scheme ("ws:") in text, without case; NULL when it has
 * another. */
const char *sonic__url_after(const char *text, const char *scheme);

#endif
