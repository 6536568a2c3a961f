/* autobahn_client - drive the Autobahn test suite's server
 *
 *     autobahn_client ws://HOST:PORT AGENT
 *
 * Asks how many cases there are, runs each (every message is echoed,
 * compressed where the server takes our offer), and has the report written
 * under AGENT's name.  Without arguments it says how. */
#include <stdio.h>

#include <sonicio/sonicio.h>

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

/* One connection from beginning to end.  Failing is part of many cases. */
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
    if (err >= 0 && sonic_ws_why_closed(ws, &why) == 0 &&
        why.state < SONIC_WS_OPEN)
        err = why.error; /* it was never open */
    sonic_ws_free(ws);
    return err < 0 ? err : 0;
}

int
main(int argc, char **argv)
{
    struct run r = {0, true};
    char url[1024];
    sonic_io *io = NULL;
    int err;

    if (argc != 3) {
        printf("usage: autobahn_client ws://HOST:PORT AGENT\n"
               "start a test server first: wstest -m fuzzingserver\n");
        return argc == 1 ? 0 : 2;
    }
    err = sonic_io_new(&io, NULL);
    snprintf(url, sizeof url, "%s/getCaseCount", argv[1]);
    if (err == 0)
        err = converse(io, url, &r);
    printf("%d cases\n", r.cases);
    r.count = false;
    for (int i = 1; i <= r.cases && err == 0; i++) {
        snprintf(url, sizeof url, "%s/runCase?case=%d&agent=%s", argv[1], i,
                 argv[2]);
        err = converse(io, url, &r);
    }
    snprintf(url, sizeof url, "%s/updateReports?agent=%s", argv[1], argv[2]);
    if (err == 0)
        err = converse(io, url, &r);
    if (err < 0)
        fprintf(stderr, "autobahn_client: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
