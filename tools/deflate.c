#include "deflate.h"

#include <stdlib.h>
#include <string.h>

void
deflate_off(sonic_ws_deflate_options *o)
{
    *o = (sonic_ws_deflate_options)SONIC_WS_DEFLATE_OPTIONS_INIT;
    o->on = SONIC_OFF;
}

static void
set_takeover(sonic_ws_deflate_options *o, enum sonic_switch on)
{
    o->takeover = on;
    o->peer_takeover = on;
}

/* NAME=N with N in [low, high]; negative when it is something else. */
static long
number(const char *word, size_t len, const char *name, long low, long high)
{
    size_t n = strlen(name);
    char *end;
    long v;

    if (len <= n || strncmp(word, name, n) != 0 || word[n] < '0' ||
        word[n] > '9')
        return -1;
    v = strtol(word + n, &end, 10);
    return end == word + len && v >= low && v <= high ? v : -1;
}

static bool
take(sonic_ws_deflate_options *o, const char *word, size_t len)
{
    long v;

    if (len == 6 && strncmp(word, "shared", 6) == 0)
        set_takeover(o, SONIC_OFF);
    else if (len == 8 && strncmp(word, "takeover", 8) == 0)
        set_takeover(o, SONIC_ON);
    else if ((v = number(word, len, "level=", 1, 9)) > 0)
        o->level = (int)v;
    else if ((v = number(word, len, "memory=", 1, 9)) > 0)
        o->memory_level = (int)v;
    else if ((v = number(word, len, "window=", 8, 15)) > 0)
        o->window_bits = o->peer_window_bits = (int)v;
    else if ((v = number(word, len, "threshold=", 1, 1 << 30)) > 0)
        o->threshold = (size_t)v;
    else
        return false;
    return true;
}

void
deflate_on(struct args *a, sonic_ws_deflate_options *o)
{
    const char *word = a->value;

    deflate_off(o);
    set_takeover(o, SONIC_OFF);
    o->on = SONIC_ON;
    if (!sonic_ws_can_deflate()) {
        args_wrong(a, "--deflate: this build has no permessage-deflate");
        return;
    }
    while (word != NULL) {
        size_t len = strcspn(word, ",");

        if (!take(o, word, len)) {
            args_wrong(a,
                       "--deflate: '%.*s' is no setting, or out of its range",
                       (int)len, word);
            return;
        }
        word = word[len] == ',' ? word + len + 1 : NULL;
    }
}
