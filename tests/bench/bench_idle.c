/* bench_idle - memory of a connection that is open and silent: many of them,
 * after one echoed message each, and how far the server's resident memory
 * grew.  Some are opened before the first look, so that what a server makes
 * once is not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/kit.h"
#include "bench/load.h"
#include "bench/peer.h"
#include "net/stream.h"
#include "websocket/session.h"

enum { WANTED = 10000, WANTED_QUICK = 3000, FIRST = 100, SPARE = 64 };

/* How many can be open at once, in a process. */
static size_t
affordable(size_t wanted)
{
    size_t most = kit_descriptors(); /* the servers' too */

    if (most >= wanted + FIRST + SPARE)
        return wanted;
    printf("  at most %zu descriptors here, so fewer than %zu connections\n",
           most, wanted);
    if (most < 2 * (FIRST + SPARE))
        kit_die("too few descriptors");
    return most - FIRST - SPARE;
}

static void
open_some(const struct load *l, int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fds[i] = load_connect(l);
        load_once(l, fds[i]);
    }
}

static double
per_connection(bool raw, int *fds, size_t n)
{
    struct peer p = peer_start(&(struct peer_options){.raw = raw});
    struct load l = {.port = p.port, .raw = raw, .size = 32, .depth = 1};
    double before, after;

    open_some(&l, fds, FIRST);
    before = kit_resident(p.pid);
    open_some(&l, fds + FIRST, n);
    after = kit_resident(p.pid);
    for (size_t i = 0; i < FIRST + n; i++)
        close(fds[i]);
    peer_stop(&p);
    return (after - before) / (double)n;
}

static void
size_of(const char *what, size_t bytes)
{
    kit_row(&(struct kit_row){.what = what, .measured = (double)bytes});
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);
    char what[64];
    size_t n;
    double floor;
    int *fds;

    kit_title("Memory of an idle connection", "bytes");
    n = affordable(quick ? WANTED_QUICK : WANTED);
    fds = malloc((n + FIRST) * sizeof *fds);
    if (fds == NULL)
        kit_die("malloc");
    kit_pin(1);
    floor = per_connection(true, fds, n);
    snprintf(what, sizeof what, "resident, %zu connections", n);
    kit_row(&(struct kit_row){.what = what,
                              .measured = per_connection(false, fds, n),
                              .floor = floor,
                              .must = 256,
                              .rule = KIT_AT_MOST});
    size_of("of these: struct sonic_ws", sizeof(struct sonic_ws));
    size_of("of these: struct sonic_stream", sizeof(struct sonic_stream));
    size_of("of these: struct sonic__slot", sizeof(struct sonic__slot));
    free(fds);
    return 0;
}
