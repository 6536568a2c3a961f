#include "common.h"

#include <inttypes.h>
#include <langinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sonicio/signal.h>

/* run_warm: polls without an event before it blocks, and for how long then.
 * About 10 ms of polling, so that a gap between two bursts stays warm. */
enum { WARM_CYCLES = 50000, WARM_BLOCK = 100000000 };

enum { WIDTH_MIN = 60, WIDTH_MAX = 100 };

const char *const backend_names[] = {"epoll", "poll", NULL};

int
run_io(sonic_io *io, enum run_mode mode)
{
    int n;

    if (mode == RUN_SPINNING)
        n = sonic_io_run_spin(io);
    else if (mode == RUN_WARM)
        n = sonic_io_run_warm(io, WARM_CYCLES, WARM_BLOCK);
    else
        n = sonic_io_run(io);
    return n < 0 ? n : 0;
}

static void
on_signal(sonic_signal *sig, int err, int signo, void *ud)
{
    (void)sig;
    (void)signo;
    if (err == 0)
        sonic_io_stop(ud);
}

int
stop_on_signal(sonic_io *io)
{
    sonic_signal *sig;
    sigset_t set;
    int err;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    err = sonic_signal_new(io, &set, &sig);
    if (err == 0)
        sonic_signal_async_wait(sig, on_signal, io);
    return err;
}

void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* or stay with what there is */
    }
}

int64_t
monotonic_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

const char *
grouped(uint64_t n, char text[GROUPED])
{
    char digits[21];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *p = text;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return text;
}

const char *
counted(uint64_t n, const char *name)
{
    enum { BUFFERS = 4, LENGTH = 64 };
    static char buffers[BUFFERS][LENGTH];
    static unsigned next;
    char *text = buffers[next++ % BUFFERS], number[GROUPED];

    snprintf(text, LENGTH, "%s %s%s", grouped(n, number), name,
             n == 1 ? "" : "s");
    return text;
}

/* Whether it is a control character: C0 and DEL, or, in UTF-8, one of C1,
 * which begins with this byte. */
static size_t
control_bytes(const unsigned char *p, size_t len)
{
    if (*p < 0x20 || *p == 0x7f)
        return 1;
    return *p == 0xc2 && len > 1 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

const char *
printable(const char *text, size_t len, const char *spare, char *out,
          size_t room)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t at = 0;

    while (len > 0 && at + 9 <= room) {
        size_t n = control_bytes(p, len);

        if (n == 1 && *p != '\0' && strchr(spare, *p) != NULL)
            n = 0;
        if (n == 0)
            out[at++] = (char)*p;
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(out + at, room - at, "\\x%02x", p[i]);
        p += n > 0 ? n : 1;
        len -= n > 0 ? n : 1;
    }
    out[at] = '\0';
    return out;
}

/* The percentiles that are told everywhere. */
static const struct {
    const char *name;
    double percent;
} told[] = {
    {"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}};

enum { TOLD = sizeof told / sizeof told[0] };

void
print_latency(FILE *out, const sonic_histogram *h, const char *indent)
{
    char text[16];

    fputs(indent, out);
    for (size_t i = 0; i < TOLD; i++) {
        sonic_histogram_format(sonic_histogram_percentile(h, told[i].percent),
                               text, sizeof text);
        fprintf(out, "%s%s %s", i > 0 ? "   " : "", told[i].name, text);
    }
    sonic_histogram_format(sonic_histogram_max(h), text, sizeof text);
    fprintf(out, "   max %s\n%s", text, indent);
    sonic_histogram_format(sonic_histogram_min(h), text, sizeof text);
    fprintf(out, "min %s", text);
    sonic_histogram_format((int64_t)sonic_histogram_mean(h), text, sizeof text);
    fprintf(out, "   mean %s", text);
    sonic_histogram_format((int64_t)sonic_histogram_stddev(h), text,
                           sizeof text);
    fprintf(out, "   stddev %s\n", text);
}

void
draw_latency(FILE *out, const sonic_histogram *h, const char *indent)
{
    sonic_histogram_drawing how = SONIC_HISTOGRAM_DRAWING_INIT;
    struct winsize size;
    size_t margin = strlen(indent);

    how.indent = indent;
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        how.ascii = SONIC_ON;
    if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 &&
        size.ws_col >= WIDTH_MIN + margin)
        how.width = size.ws_col - (unsigned)margin < WIDTH_MAX
                        ? size.ws_col - (unsigned)margin
                        : WIDTH_MAX;
    /* main looks at stdout's error when all is over. */
    if (sonic_histogram_draw(h, out, &how) < 0)
        return;
}

/* ---- JSON ------------------------------------------------------------- */

static void
json_name(struct json *j, const char *name)
{
    if (j->more)
        fputs(", ", j->out);
    if (name != NULL)
        fprintf(j->out, "\"%s\": ", name);
    j->more = true;
}

void
json_begin(struct json *j, const char *name)
{
    json_name(j, name);
    putc('{', j->out);
    j->more = false;
}

void
json_end(struct json *j)
{
    putc('}', j->out);
    j->more = true;
}

void
json_count(struct json *j, const char *name, uint64_t n)
{
    json_name(j, name);
    fprintf(j->out, "%" PRIu64, n);
}

void
json_real(struct json *j, const char *name, double v)
{
    json_name(j, name);
    fprintf(j->out, "%.15g", v);
}

void
json_bool(struct json *j, const char *name, bool v)
{
    json_name(j, name);
    fputs(v ? "true" : "false", j->out);
}

void
json_text(struct json *j, const char *name, const char *text)
{
    json_name(j, name);
    putc('"', j->out);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(j->out, "\\%c", *p);
        else if (*p < 0x20 || *p >= 0x7f)
            fprintf(j->out, "\\u%04x", *p);
        else
            putc(*p, j->out);
    }
    putc('"', j->out);
}

void
json_latency(struct json *j, const char *name, const sonic_histogram *h)
{
    json_begin(j, name);
    json_count(j, "count", sonic_histogram_count(h));
    json_count(j, "min", (uint64_t)sonic_histogram_min(h));
    json_real(j, "mean", sonic_histogram_mean(h));
    json_real(j, "stddev", sonic_histogram_stddev(h));
    for (size_t i = 0; i < TOLD; i++)
        json_count(j, told[i].name,
                   (uint64_t)sonic_histogram_percentile(h, told[i].percent));
    json_count(j, "max", (uint64_t)sonic_histogram_max(h));
    json_end(j);
}
