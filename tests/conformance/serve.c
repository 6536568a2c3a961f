/* The server of a program that is a client. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

struct child {
    pid_t pid;
    int alive; /* its end is the end of this pipe */
};

/* argv with the URL in it. */
static char **
with_url(char **argv, const char *url)
{
    size_t n = 0;
    char **copy;

    while (argv[n] != NULL)
        n++;
    copy = must_alloc((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(argv[i], "@URL@");

        copy[i] = must_alloc(strlen(argv[i]) + strlen(url) + 1);
        if (at == NULL)
            strcpy(copy[i], argv[i]);
        else
            sprintf(copy[i], "%.*s%s%s", (int)(at - argv[i]), argv[i], url,
                    at + 5);
    }
    return copy;
}

static bool
start(struct child *c, char **argv, const char *url)
{
    char **args = with_url(argv, url);
    int fd[2];

    if (pipe(fd) < 0)
        return false;
    fcntl(fd[0], F_SETFD, FD_CLOEXEC);
    c->alive = fd[0];
    c->pid = fork();
    if (c->pid == 0) {
        execvp(args[0], args);
        perror(args[0]);
        _exit(127);
    }
    for (char **a = args; *a != NULL; a++)
        free(*a);
    free(args);
    close(fd[1]);
    return c->pid > 0;
}

/* The next connection; -1 when the program has ended, or takes too long. */
static int
next(struct runner *r, int listener, const struct child *c)
{
    struct pollfd p[2] = {{listener, POLLIN, 0}, {c->alive, POLLIN, 0}};
    int fd;

    if (poll(p, 2, (int)(r->setup.patience / 1000000)) <= 0)
        return -1;
    if (!(p[0].revents & POLLIN))
        return -1;
    fd = accept(listener, NULL, NULL);
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static bool
has_ended(const struct child *c)
{
    struct pollfd p = {c->alive, POLLIN, 0};

    return poll(&p, 1, 0) > 0;
}

/* A connection on which we say something, or nothing, and close. */
static void
talk(struct runner *r, const char *text)
{
    char step[64], end[] = "end", id[] = "0", title[] = "report";
    char *line[] = {step, end, NULL};
    int number[] = {0, 0, 0};
    const struct test_case t = {0, id, title, line, number, "runner"};

    snprintf(step, sizeof step, *text != '\0' ? "send text \"%s\"" : "flush",
             text);
    play_case(&r->play, &t);
}

static void
serve_one(struct runner *r, int fd)
{
    struct play *p = &r->play;
    unsigned long i;
    char count[24];

    p->wire.deadline = clock_now() + r->setup.patience;
    wire_open(&p->wire, fd, r->setup.step);
    if ((r->setup.tls != NULL && !wire_secure(&p->wire, r->setup.tls, NULL)) ||
        !head_read(&p->wire, &p->head)) {
        printf("FAIL: a client did not come to its request: %s\n", p->wire.why);
        wire_close(&p->wire);
        return;
    }
    if (sscanf(p->head.first, "GET /runCase?case=%lu", &i) == 1 && i >= 1 &&
        i <= r->n) {
        runner_play(r, r->chosen[i - 1]);
    } else if (strstr(p->head.first, "/getCaseCount") != NULL) {
        snprintf(count, sizeof count, "%zu", r->n);
        talk(r, count);
    } else {
        talk(r, "");
    }
}

bool
runner_serve(struct runner *r, const char *listen, char **argv)
{
    struct child c;
    char bound[128], url[200];
    int listener = wire_listen(listen, bound, sizeof bound), fd, status = 0;
    size_t asked = 0;

    if (listener < 0) {
        perror(listen);
        return false;
    }
    if (strncmp(bound, "unix:", 5) == 0)
        snprintf(url, sizeof url, "ws+unix:%s:", bound + 5);
    else
        snprintf(url, sizeof url, "%s://%s", r->setup.tls ? "wss" : "ws",
                 bound);
    if (!start(&c, argv, url))
        return false;
    while ((fd = next(r, listener, &c)) >= 0)
        serve_one(r, fd);
    close(listener);
    if (!has_ended(&c)) {
        printf("FAIL: the client waits for ever\n");
        kill(c.pid, SIGKILL);
    }
    close(c.alive);
    waitpid(c.pid, &status, 0);
    if (status != 0)
        printf("FAIL: the client's status is %#x\n", (unsigned)status);
    for (size_t i = 0; i < 100; i++)
        asked += r->run[i];
    return status == 0 && asked == r->n;
}
