/* soup.h - sonicio soup: a SoupBinTCP server and client */
#ifndef SONICIO_TOOLS_SOUP_H
#define SONICIO_TOOLS_SOUP_H

#include <sonicio/soup.h>

#include "common.h"

struct soup_options {
    const char *address, *user, *password, *session;
    uint64_t count; /* 0: all */
    double rate;
    size_t size;
    uint64_t drop_after; /* 0: never */
    uint64_t first;
    bool recent;
    uint64_t retries;
    int64_t heartbeat, silence; /* 0: the defaults */
    bool json, quiet;
    const char *dump;
};

int soup_failed(const char *what, int err);

/* Each returns an exit status. */
int soup_serve(const struct soup_options *o);
int soup_connect(const struct soup_options *o);

#endif
