/* The parts of the runner. */
#ifndef CONFORMANCE_RUNNER_H
#define CONFORMANCE_RUNNER_H

#include "play.h"

struct runner {
    struct setup setup;
    struct cases cases;
    struct test_case **chosen; /* those that concern the peer, in their order */
    size_t n;
    struct play play;
    size_t run[100], failed[100]; /* by section */
};

void runner_play(struct runner *r, const struct test_case *t);
/* Be the server of a program that runs all chosen cases: argv, ended by NULL,
 * in which @URL@ is replaced.  Whether it asked for all. */
bool runner_serve(struct runner *r, const char *listen, char **argv);

/* TLS for either role; files is the prefix of those that cert_make made. */
SSL_CTX *cert_context(const char *files, bool server);
bool cert_make(const char *files);

#endif
