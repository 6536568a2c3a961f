/* bench_serve - a server to be looked at from outside, and its load
 *
 *   bench_serve raw|ws DEPTH SIZE binary|text MESSAGES
 * serves one connection until MESSAGES were echoed, prints how many really
 * were, and ends.  The client is another process image, which valgrind does
 * not follow: run.sh counts the server's instructions so.
 *   bench_serve load PORT raw|ws DEPTH SIZE binary|text MESSAGES
 * is that client. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/kit.h"
#include "bench/load.h"
#include "bench/peer.h"

enum { SECONDS = 300 }; /* then something hangs */

/* argv points at raw|ws */
static int
run_load(const char *port, char **argv)
{
    struct load l = {
        .port = (uint16_t)strtoul(port, NULL, 10),
        .raw = strcmp(argv[0], "raw") == 0,
        .connections = 1,
        .depth = (unsigned)strtoul(argv[1], NULL, 10),
        .size = strtoul(argv[2], NULL, 10),
        .text = strcmp(argv[3], "text") == 0,
        .messages = strtoul(argv[4], NULL, 10),
    };
    uint64_t answered;

    if (l.depth == 0 || l.messages == 0)
        kit_die("depth and messages are positive");
    alarm(SECONDS);
    load_run(&l, &answered);
    printf("%ju\n", (uintmax_t)answered);
    return EXIT_SUCCESS;
}

static void
start_load(uint16_t port, void *ud)
{
    char **argv = ud, number[8];
    pid_t pid;

    snprintf(number, sizeof number, "%u", port);
    pid = fork();
    if (pid < 0)
        kit_die("fork");
    if (pid > 0)
        return;
    unsetenv("GLIBC_TUNABLES"); /* they are for valgrind */
    execl(argv[0], argv[0], "load", number, argv[1], argv[2], argv[3], argv[4],
          argv[5], (char *)NULL);
    _exit(127);
}

int
main(int argc, char **argv)
{
    int status;

    if (argc == 8 && strcmp(argv[1], "load") == 0)
        return run_load(argv[2], argv + 3);
    if (argc != 6) {
        fprintf(stderr, "usage: %s raw|ws DEPTH SIZE binary|text MESSAGES\n",
                argv[0]);
        return EXIT_FAILURE;
    }
    alarm(SECONDS);
    peer_serve(&(struct peer_options){.raw = strcmp(argv[1], "raw") == 0,
                                      .brief = true},
               start_load, argv);
    if (wait(&status) < 0 || status != 0)
        kit_die("the client failed");
    return EXIT_SUCCESS;
}
