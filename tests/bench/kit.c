/* What the benches share.  tests/bench/run.sh prints rows in the same form. */
#include "bench/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <sonicio/error.h>

enum { NUMBER = 24 }; /* characters of a printed number */

noreturn void
kit_die(const char *what)
{
    fprintf(stderr, "bench: %s%s%s\n", what, errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
    exit(EXIT_FAILURE);
}

void
kit_check(int err, const char *what)
{
    if (err >= 0)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, sonic_errname(err));
    exit(EXIT_FAILURE);
}

static double
read_clock(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) < 0)
        kit_die("clock_gettime");
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double
kit_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double
kit_processor(pid_t pid)
{
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0)
        kit_die("clock_getcpuclockid");
    return read_clock(clock);
}

/* The cores of this process when it was first asked. */
static const cpu_set_t *
cores(void)
{
    static cpu_set_t set;

    if (CPU_COUNT(&set) == 0 && sched_getaffinity(0, sizeof set, &set) < 0)
        kit_die("sched_getaffinity");
    return &set;
}

bool
kit_pin(int nth)
{
    const cpu_set_t *all = cores();
    cpu_set_t one;

    if (CPU_COUNT(all) < 2)
        return false;
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, all) && nth-- == 0)
            CPU_SET(i, &one);
    }
    if (sched_setaffinity(0, sizeof one, &one) < 0)
        kit_die("sched_setaffinity");
    return true;
}

void
kit_tell_cores(void)
{
    if (CPU_COUNT(cores()) < 2)
        puts("  not pinned: there is one core, and client and server share it");
}

int
kit_listen(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        kit_die("listen");
    *port = ntohs(a.sin_port);
    return fd;
}

size_t
kit_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        kit_die("getrlimit");
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        kit_die("setrlimit");
    return (size_t)r.rlim_cur;
}

double
kit_resident(pid_t pid)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "r");
    if (f == NULL)
        kit_die(path);
    while (fgets(line, sizeof line, f) != NULL &&
           sscanf(line, "Rss: %lu", &kib) != 1)
        ;
    fclose(f);
    return (double)kib * 1024;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double
kit_median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static const char *
number(double x, char *buf)
{
    if (x >= 1e6)
        snprintf(buf, NUMBER, "%.2f M", x / 1e6);
    else if (x >= 1e5)
        snprintf(buf, NUMBER, "%.0f k", x / 1e3);
    else
        snprintf(buf, NUMBER, x >= 100 ? "%.0f" : "%.2f", x);
    return buf;
}

void
kit_title(const char *title, const char *unit)
{
    printf("\n%-40s %10s %10s %7s %9s\n", title, unit, "floor", "ratio",
           "must");
}

void
kit_row(const struct kit_row *row)
{
    double ratio = row->ratio;
    char a[NUMBER], b[NUMBER] = "-", c[NUMBER] = "-", d[NUMBER] = "-";
    bool ok;

    if (ratio <= 0 && row->floor > 0)
        ratio = row->measured / row->floor;
    if (row->floor > 0) {
        number(row->floor, b);
        snprintf(c, sizeof c, "%.3f", ratio);
    }
    switch (row->rule) {
    case KIT_AT_MOST:
        ok = row->measured <= row->must;
        break;
    case KIT_RATIO_AT_MOST:
        ok = ratio <= row->must;
        break;
    case KIT_RATIO_AT_LEAST:
        ok = ratio >= row->must;
        break;
    default:
        ok = true;
    }
    if (row->rule != KIT_NO_RULE)
        snprintf(d, sizeof d, "%s %g",
                 row->rule == KIT_RATIO_AT_LEAST ? ">=" : "<=", row->must);
    printf("  %-38s %10s %10s %7s %9s  %s\n", row->what,
           number(row->measured, a), b, c, d,
           row->rule == KIT_NO_RULE ? ""
           : ok                     ? "ok"
                                    : "short");
    fflush(stdout);
}

bool
kit_quick(int argc, char **argv)
{
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;

    if (argc > 1 && !quick) {
        fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
        exit(EXIT_FAILURE);
    }
    return quick;
}
