/* runner - an independent WebSocket peer that plays cases and judges
 *
 * usage: runner [OPTION...] server ADDRESS CASES...
 *        runner [OPTION...] client LISTEN CASES... -- PROGRAM ARGUMENT...
 *        runner cert PREFIX
 *
 * The first plays the client to a server that echoes; the second the server to
 * a program that asks for the cases as Autobahn's clients do: /getCaseCount,
 * /runCase?case=N&agent=NAME, /updateReports?agent=NAME, and echoes; @URL@ in
 * an argument is what to connect to.  The third makes PREFIX.crt and .key.
 *
 *   --full         all of it, in minutes
 *   --deflate      the peer knows permessage-deflate
 *   --tls PREFIX   over TLS, with that certificate
 *   --step         over a unix socket, each piece is read by itself
 *   --case PREFIX  only cases whose number begins so
 *   --slow N       wait N times longer than 10 s
 *   --hasty        wait for 200 ms only
 *
 * A line for each section, and for each failure what happened.  Exit status 0:
 * all went well. */
#include "runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
usage(void)
{
    fprintf(stderr,
            "usage: runner [--full] [--deflate] [--tls PREFIX] [--step]\n"
            "              [--case PREFIX] [--slow N] [--hasty]\n"
            "              server ADDRESS CASES... |\n"
            "              client LISTEN CASES... -- PROGRAM ARGUMENT...\n"
            "       runner cert PREFIX\n");
    return 2;
}

void
runner_play(struct runner *r, const struct test_case *t)
{
    r->run[t->section]++;
    if (!play_case(&r->play, t))
        r->failed[t->section]++;
}

static int
summary(const struct runner *r, bool complete)
{
    size_t run = 0, failed = 0;
    const struct masks *m = &r->play.masks;

    for (size_t i = 0; i < 100; i++) {
        if (r->run[i] == 0)
            continue;
        run += r->run[i];
        failed += r->failed[i];
        printf("%2zu %-28s %5zu cases, %zu failed\n", i,
               r->cases.section[i] != NULL ? r->cases.section[i] : "",
               r->run[i], r->failed[i]);
    }
    if (m->frames > 0)
        printf("%lu masks, %lu twice in a row, %lu zero\n", m->frames,
               m->repeats, m->zeros);
    if (m->repeats > 2 || m->zeros > 2) {
        printf("FAIL: masks are not random (RFC 6455 10.3)\n");
        failed++;
    }
    if (!complete) {
        printf("FAIL: only %zu of %zu cases were asked for\n", run, r->n);
        failed++;
    }
    printf("%zu cases, %zu failed\n", run, failed);
    return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
choose(struct runner *r, const char *prefix)
{
    r->chosen = must_alloc((r->cases.n + 1) * sizeof(*r->chosen));
    for (size_t i = 0; i < r->cases.n; i++) {
        struct test_case *t = &r->cases.list[i];

        if (play_concerns(&r->setup, t) &&
            strncmp(t->id, prefix, strlen(prefix)) == 0)
            r->chosen[r->n++] = t;
    }
}

/* Returns how many arguments the option took; 0: it is none. */
static int
take_option(struct runner *r, char **arg, const char **tls, const char **prefix)
{
    static const char *const flags[] = {"--full", "--deflate", "--step",
                                        "--hasty"};
    bool hasty = false;
    bool *const flag[] = {&r->setup.full, &r->setup.deflate, &r->setup.step,
                          &hasty};

    for (size_t i = 0; i < 4; i++)
        if (strcmp(arg[0], flags[i]) == 0) {
            *flag[i] = true;
            if (hasty)
                r->setup.patience = INT64_C(200000000);
            return 1;
        }
    if (arg[1] == NULL)
        return 0;
    if (strcmp(arg[0], "--tls") == 0)
        *tls = arg[1];
    else if (strcmp(arg[0], "--case") == 0)
        *prefix = arg[1];
    else if (strcmp(arg[0], "--slow") == 0)
        r->setup.patience *= strtol(arg[1], NULL, 10);
    else
        return 0;
    return 2;
}

static int
run(struct runner *r, char **arg, const char *prefix)
{
    const char *address = arg[1];
    bool complete = true;

    for (arg += 2; *arg != NULL && strcmp(*arg, "--") != 0; arg++)
        cases_read(&r->cases, *arg);
    choose(r, prefix);
    if (r->setup.server) {
        r->setup.address = address;
        for (size_t i = 0; i < r->n; i++)
            runner_play(r, r->chosen[i]);
    } else {
        if (arg[0] == NULL || arg[1] == NULL)
            return usage();
        complete = runner_serve(r, address, arg + 1);
    }
    return summary(r, complete);
}

int
main(int argc, char **argv)
{
    struct runner *r = must_alloc(sizeof *r);
    const char *tls = NULL, *prefix = "";
    int n, status;

    r->setup.patience = INT64_C(10000000000);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (argv++, argc--; argc > 0; argv += n, argc -= n) {
        n = take_option(r, argv, &tls, &prefix);
        if (n == 0)
            break;
    }
    if (argc == 2 && strcmp(argv[0], "cert") == 0)
        return cert_make(argv[1]) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (argc < 3)
        return usage();
    r->setup.server = strcmp(argv[0], "server") == 0;
    if (!r->setup.server && strcmp(argv[0], "client") != 0)
        return usage();
    if (tls != NULL) {
        r->setup.tls = cert_context(tls, !r->setup.server);
        if (r->setup.tls == NULL)
            return EXIT_FAILURE;
    }
    r->play.setup = &r->setup;
    status = run(r, argv, prefix);
    SSL_CTX_free(r->setup.tls);
    cases_free(&r->cases);
    free(r->chosen);
    free(r);
    return status;
}
