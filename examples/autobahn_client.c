/* autobahn_client - drive the Autobahn test suite's server
 *
 *     autobahn_client ws://HOST:PORT AGENT
 *
 * Asks how many cases there are, runs each (every message is echoed,
 * compressed where the server takes our offer), and has the report written
 * under AGENT's name.  A case that cannot be begun is named on stderr, and the
 * next one follows.  Without arguments it says how. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

#define SAFE                                                                   \
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

struct run {
    int cases;
    bool count; /* the message is the number of cases, not one to echo */
};

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct run *r = ud;

    if (!r->count) {
        if (sonic_ws_send(ws, (enum sonic_ws_opcode)m->opcode, m->data,
                          m->len) == 1)
            sonic_ws_pause(ws);
        return;
    }
    r->cases = 0;
    for (size_t i = 0; i < m->len; i++)
        if (m->data[i] >= '0' && m->data[i] <= '9' && r->cases < 100000)
            r->cases = r->cases * 10 + (m->data[i] - '0');
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_resume(ws);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)why;
    (void)ud;
    sonic_io_stop(sonic_ws_io(ws));
}

/* One connection from beginning to end; an error when it was never open. */
static int
converse(sonic_io *io, const char *url, struct run *r)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT,
        .on_message = on_message,
        .on_drain = on_drain,
        .on_close = on_close,
    };
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_close_record why = {0};
    sonic_ws *ws;
    int err;

    opt.max_message = UINT64_C(64) << 20;
    opt.queue_limit = (size_t)128 << 20;
    err = sonic_ws_new(io, &opt, &handler, r, &ws);
    if (err < 0)
        return err;
    sonic_ws_async_connect(ws, url, NULL, NULL);
    err = sonic_io_run(io);
    sonic_io_restart(io);
    if (err >= 0)
        err = sonic_ws_why_closed(ws, &why);
    if (err >= 0 && why.state < SONIC_WS_OPEN)
        err = why.error;
    sonic_ws_free(ws);
    return err < 0 ? err : 0;
}

/* What stands in a query for text (RFC 3986 section 2.1). */
static void
escape(char *out, size_t cap, const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n + 4 <= cap; text++)
        n += (size_t)snprintf(out + n, cap - n,
                              strchr(SAFE, *text) != NULL ? "%c" : "%%%02X",
                              (unsigned char)*text);
}

static bool
complain(const char *url, int err)
{
    if (err < 0)
        fprintf(stderr, "autobahn_client: %s: %s\n", url, sonic_strerror(err));
    return err < 0;
}

/* base has no slash at its end.  Whether there is a report. */
static bool
run_all(sonic_io *io, int base_len, const char *base, const char *agent)
{
    struct run r = {0, true};
    char name[1024] = "", url[2048];

    escape(name, sizeof name, agent);
    snprintf(url, sizeof url, "%.*s/getCaseCount", base_len, base);
    if (complain(url, converse(io, url, &r)))
        return false;
    printf("%d cases\n", r.cases);
    r.count = false;
    for (int i = 1; i <= r.cases; i++) {
        snprintf(url, sizeof url, "%.*s/runCase?case=%d&agent=%s", base_len,
                 base, i, name);
        complain(url, converse(io, url, &r));
    }
    snprintf(url, sizeof url, "%.*s/updateReports?agent=%s", base_len, base,
             name);
    return !complain(url, converse(io, url, &r));
}

int
main(int argc, char **argv)
{
    sonic_io *io;
    size_t n;
    bool good;
    int err;

    if (argc != 3) {
        printf("usage: autobahn_client ws://HOST:PORT AGENT\n"
               "start a test server first: wstest -m fuzzingserver\n");
        return argc == 1 ? 0 : 2;
    }
    n = strlen(argv[1]);
    if (n > 0 && argv[1][n - 1] == '/')
        n--;
    if (n > 512 || strlen(argv[2]) > 256) {
        fprintf(stderr, "autobahn_client: too long a URL or AGENT\n");
        return 2;
    }
    err = sonic_io_new(&io, NULL);
    if (complain("io", err))
        return 1;
    good = run_all(io, (int)n, argv[1], argv[2]);
    sonic_io_free(io);
    return !good;
}
