#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "demo.h"

static const char *const names[DEMO_PROTOS] = {"WebSocket", "frames"};

enum { SCREEN_LINES = 7, SCREEN_COLUMNS = 78, BAR = 40 };

bool
demo_has_screen(const struct demo *d)
{
    const char *term = getenv("TERM");
    struct winsize size;

    /* Lines that are wrapped would not be written over. */
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 &&
        (size.ws_col < SCREEN_COLUMNS || size.ws_row <= SCREEN_LINES))
        return false;
    return !d->opt->json && isatty(STDOUT_FILENO) && term != NULL &&
           strcmp(term, "dumb") != 0;
}

static void
print_head(void)
{
    printf("%-10s %14s %12s %9s %9s %9s %9s\n", "", "messages", "messages/s",
           "p50", "p99", "p99.9", "max");
}

static void
print_row(const char *name, uint64_t messages, double seconds,
          const sonic_histogram *h)
{
    static const double percents[] = {50, 99, 99.9, 100};
    char a[GROUPED], b[GROUPED], text[16];

    printf(
        "%-10s %14s %12s", name, grouped(messages, a),
        grouped(seconds > 0 ? (uint64_t)((double)messages / seconds) : 0, b));
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        sonic_histogram_format(sonic_histogram_percentile(h, percents[i]), text,
                               sizeof text);
        printf(" %9s", text);
    }
    putchar('\n');
}

static void
print_rows(const struct demo *d, double seconds)
{
    print_head();
    for (unsigned i = 0; i < DEMO_PROTOS; i++)
        print_row(names[i], d->figures.messages[i], seconds,
                  d->figures.latency[i]);
}

static double
measured_seconds(const struct demo *d)
{
    return (double)(d->figures.end - d->figures.begin) / 1e9;
}

/* ---- while it runs ---------------------------------------------------- */

/* The rows begin anew after the warm-up, as the figures do. */
void
demo_draw_screen(const struct demo *d)
{
    int64_t now = monotonic_now();
    int64_t since = d->measuring ? d->figures.begin : d->started;
    int64_t whole = d->opt->warmup + d->opt->duration;
    double part = (double)(now - d->started) / (double)whole;
    int full = part < 1 ? (int)(part * BAR) : BAR;

    if (d->stopping || !demo_has_screen(d))
        return;
    demo_clear_screen(d);
    printf("one thread, %s, every message checked: %s\n\n",
           counted(d->opt->clients, "client"),
           d->measuring ? "measuring" : "warming up");
    print_rows(d, (double)(now - since) / 1e9);
    printf("\n[%.*s%*s] %.1f of %.1f s\n", full,
           "########################################", BAR - full, "",
           (double)(now - d->started) / 1e9, (double)whole / 1e9);
    /* To the first line again: what comes next is written over this. */
    printf("\033[%dA", SCREEN_LINES);
    fflush(stdout);
}

void
demo_clear_screen(const struct demo *d)
{
    if (demo_has_screen(d))
        fputs("\r\033[J", stdout);
}

/* ---- at the end ------------------------------------------------------- */

static uint64_t
all_messages(const struct demo *d)
{
    return d->figures.messages[LINK_WS] + d->figures.messages[LINK_FRAME];
}

static double
per_message(const struct demo *d, uint64_t n)
{
    return all_messages(d) > 0 ? (double)n / (double)all_messages(d) : 0;
}

bool
demo_is_good(const struct demo *d)
{
    const struct demo_verdict *v = &d->verdict;

    return d->err == 0 && v->messages > 0 &&
           v->lost + v->reordered + v->corrupt == 0;
}

static void
print_verdict(const struct demo *d)
{
    const struct demo_verdict *v = &d->verdict;
    char a[GROUPED], b[GROUPED], c[GROUPED], e[GROUPED];

    printf("\n  %s lost, %s reordered, %s corrupt, of %s messages ever sent\n",
           grouped(v->lost, a), grouped(v->reordered, b),
           grouped(v->corrupt, c), grouped(v->messages, e));
    printf("  %.4g allocations and %.2f system calls per message\n\n",
           per_message(d, d->figures.allocs), per_message(d, d->figures.calls));
}

/* Both protocols' latencies together; NULL for lack of memory. */
static sonic_histogram *
both(const struct demo *d)
{
    sonic_histogram *h;

    if (sonic_histogram_new(NULL, &h) < 0)
        return NULL;
    for (unsigned i = 0; i < DEMO_PROTOS; i++)
        sonic_histogram_add(h, d->figures.latency[i]);
    return h;
}

void
demo_print(const struct demo *d)
{
    sonic_histogram *h = both(d);

    demo_clear_screen(d);
    printf("A feed and its %s on one thread, one %s loop, over "
           "loopback TCP%s%s.\n"
           "%u bytes a message, each checked for loss, order and content; "
           "%.1f s.\n\n",
           counted(d->opt->clients, "client"), sonic_io_backend_name(d->io),
           d->opt->tls ? " and TLS" : "",
           d->opt->deflate.on == SONIC_ON ? ", WebSocket compressed" : "",
           (unsigned)d->opt->size, measured_seconds(d));
    print_rows(d, measured_seconds(d));
    if (h != NULL) {
        print_row("both", all_messages(d), measured_seconds(d), h);
        print_verdict(d);
        printf("Latency, from the feed to the client:\n\n");
        print_latency(stdout, h, "  ");
        putchar('\n');
        draw_latency(stdout, h, "  ");
    }
    sonic_histogram_free(h);
}

static void
json_figures(struct json *j, const struct demo *d, uint64_t messages,
             const sonic_histogram *h)
{
    json_count(j, "messages", messages);
    json_real(j, "messages_per_second", (double)messages / measured_seconds(d));
    json_latency(j, "latency_ns", h);
}

void
demo_print_json(const struct demo *d)
{
    static const char *const keys[DEMO_PROTOS] = {"websocket", "frame"};
    const struct demo_verdict *v = &d->verdict;
    struct json j = {stdout, false};
    sonic_histogram *h = both(d);

    json_begin(&j, NULL);
    json_bool(&j, "good", demo_is_good(d));
    json_text(&j, "backend", sonic_io_backend_name(d->io));
    json_count(&j, "clients", d->opt->clients);
    json_count(&j, "size", d->opt->size);
    json_real(&j, "seconds", measured_seconds(d));
    json_count(&j, "sent", v->messages);
    json_count(&j, "lost", v->lost);
    json_count(&j, "reordered", v->reordered);
    json_count(&j, "corrupt", v->corrupt);
    json_count(&j, "allocations", d->figures.allocs);
    json_real(&j, "allocations_per_message", per_message(d, d->figures.allocs));
    json_count(&j, "system_calls", d->figures.calls);
    json_real(&j, "system_calls_per_message", per_message(d, d->figures.calls));
    if (h != NULL)
        json_figures(&j, d, all_messages(d), h);
    for (unsigned i = 0; i < DEMO_PROTOS; i++) {
        json_begin(&j, keys[i]);
        json_figures(&j, d, d->figures.messages[i], d->figures.latency[i]);
        json_end(&j);
    }
    json_end(&j);
    putchar('\n');
    sonic_histogram_free(h);
}
