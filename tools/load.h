/* load.h - load on an echo server, and what it answers */
#ifndef SONICIO_TOOLS_LOAD_H
#define SONICIO_TOOLS_LOAD_H

#include "common.h"
#include "link.h"
#include "secure.h"

struct load_options {
    enum link_proto proto;
    const char *where; /* URL (WS) or address */
    unsigned connections;
    unsigned depth;   /* messages under way on each connection */
    size_t size;      /* bytes of each */
    double rate;      /* messages a second on all together; 0: as fast as
                         the answers come */
    int64_t warmup;   /* time that is not measured ... */
    int64_t duration; /* ... and time that is */
    enum run_mode mode;
    enum sonic_backend backend;
    bool text;
    sonic_ws_deflate_options deflate; /* on: messages are of JSON */
    struct secure_options tls;
};

struct load_result {
    sonic_histogram *latency; /* made by the caller, empty */
    const char *backend;
    int64_t elapsed;     /* the time that was measured */
    uint64_t messages;   /* answers in that time */
    uint64_t answered;   /* from the first on, the warm-up's too */
    uint64_t unanswered; /* sent, and no answer when we gave up */
    uint64_t wrong;      /* answers of another length */
    char why[256];       /* what went wrong, in words; empty: nothing */
};

/* Run it: 0, or an error with why. */
int load_run(const struct load_options *opt, struct load_result *result);

#endif
