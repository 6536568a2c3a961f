/* talk.h - a conversation between the standard streams and a WebSocket */
#ifndef SONICIO_TOOLS_TALK_H
#define SONICIO_TOOLS_TALK_H

#include <sonicio/websocket.h>

#include "common.h"
#include "secure.h"

enum { TALK_LIST = 64 }; /* headers, subprotocols */

struct talk_options {
    const char *url;
    sonic_ws_options ws;
    sonic_ws_deflate_options deflate;
    sonic_ws_header headers[TALK_LIST];
    const char *subprotocols[TALK_LIST];
    uint64_t count; /* 0: any number */
    int64_t wait;   /* after the end of the input; negative: for the count */
    bool binary, quiet;
    struct secure_options tls;
};

/* Talk until it is over: the exit status. */
int talk(const struct talk_options *opt);

/* talk_show.c: what people see.  On a terminal the control characters of a
 * text are shown, not obeyed.  After each of these flush_output. */
void show_text(const char *data, size_t len);
void show_raw(const void *data, size_t len);
void show_dump(const void *data, size_t len);
/* Closed in good order, with a code that is no complaint. */
bool went_well(const sonic_ws_close_record *why);
/* What is wrong with a certificate that was taken all the same. */
void show_doubt(const sonic_stream *stream, const struct talk_options *opt);
/* How it ended, one line on stderr; what went wrong even when quiet. */
void show_close(const sonic_ws_close_record *why,
                const struct talk_options *opt);

#endif
