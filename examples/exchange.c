/* exchange - a protocol of one's own, written as a table
 *
 * A small exchange: log in, send orders, get fills, log out.  The rules stand
 * in exchange.def; this file turns bytes into events and events into answers.
 * Length-prefixed framing carries the messages, so the machine sees whole ones
 * only.  Both ends run here, over a pair of connected streams. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

struct session {
    sonic_frame_conn *conn;
    uint8_t state;
    int fills;
};

/* What an action gets: the session, and the message without its first byte. */
typedef void fsm_act(struct session *s, const char *text, size_t len);
static fsm_act act_welcome, act_fill, act_leave, act_refuse, act_nothing;

#define FSM_NAME "exchange"
#define FSM_DEF "exchange.def"
#define FSM_INFO exchange_fsm
#include <sonicio/fsm_build.h>

/* All checking is done here: the table has no conditions. */
static enum fsm_event
classify(const uint8_t *data, size_t len)
{
    if (len == 0)
        return E_NONSENSE;
    switch (data[0]) {
    case 'L':
        return len == 6 && memcmp(data, "Lalice", 6) == 0 ? E_LOGIN
                                                          : E_INTRUDER;
    case 'O':
        return len > 1 ? E_ORDER : E_NONSENSE;
    case 'X':
        return len == 1 ? E_LOGOUT : E_NONSENSE;
    default:
        return E_NONSENSE;
    }
}

static void
answer(struct session *s, const char *kind, const char *text, size_t len)
{
    struct iovec part[2] = {{(void *)(uintptr_t)kind, 1},
                            {(void *)(uintptr_t)text, len}};

    if (sonic_frame_sendv(s->conn, NULL, part, 2) < 0)
        sonic_frame_conn_terminate(s->conn);
}

static void
act_welcome(struct session *s, const char *text, size_t len)
{
    answer(s, "W", text, len);
}

static void
act_fill(struct session *s, const char *text, size_t len)
{
    s->fills++;
    answer(s, "F", text, len);
}

static void
act_leave(struct session *s, const char *text, size_t len)
{
    (void)text;
    (void)len;
    sonic_frame_conn_close(s->conn);
}

static void
act_refuse(struct session *s, const char *text, size_t len)
{
    answer(s, "R", text, len);
    sonic_frame_conn_close(s->conn);
}

static void
act_nothing(struct session *s, const char *text, size_t len)
{
    (void)s;
    (void)text;
    (void)len;
}

static void
on_message(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    struct session *s = ud;
    const char *text = len > 0 ? (const char *)data + 1 : "";

    (void)conn;
    fsm_step(&s->state, classify(data, len), NULL)
        ->act(s, text, len > 0 ? len - 1 : 0);
}

static void
on_close(sonic_frame_conn *conn, const sonic_frame_close_record *why, void *ud)
{
    struct session *s = ud;

    (void)why;
    fsm_step(&s->state, E_GONE, NULL)->act(s, "", 0);
    sonic_frame_conn_free(conn);
}

/* ---- the trader, in the blocking style --------------------------------- */

static int
say(sonic_frame_conn *c, const char *text)
{
    char got[64];
    size_t len;
    int err = sonic_frame_write(c, text, strlen(text));

    if (err == 0)
        err = sonic_frame_read(c, got, sizeof got, &len);
    if (err == 0)
        printf("%-8s -> %.*s\n", text, (int)len, got);
    return err;
}

static int
trade(sonic_frame_conn *c)
{
    int err = say(c, "Lalice");

    if (err == 0)
        err = say(c, "OEURUSD");
    if (err == 0)
        err = say(c, "OBTCUSD");
    if (err == 0)
        err = sonic_frame_write(c, "X", 1);
    return err;
}

int
main(void)
{
    static const sonic_frame_handler handler = {
        SONIC_FRAME_HANDLER_INIT, .on_frame = on_message, .on_close = on_close};
    sonic_frame_format format = SONIC_FRAME_FORMAT_INIT;
    struct session s = {NULL, S_GREETING, 0};
    sonic_frame_codec codec;
    sonic_frame_conn *trader;
    sonic_stream *pair[2];
    sonic_io *io = NULL;
    char why[128];
    int err = sonic_fsm_check(&exchange_fsm, why, sizeof why);

    if (err < 0) {
        fprintf(stderr, "exchange.def: %s\n", why);
        return 1;
    }
    format.length = 2;
    err = sonic_frame_codec_init(&codec, &format);
    if (err == 0)
        err = sonic_io_new(&io, NULL);
    if (err == 0)
        err = sonic_stream_pair(io, pair);
    if (err == 0)
        err =
            sonic_frame_conn_new(pair[0], &codec, NULL, &handler, &s, &s.conn);
    if (err == 0)
        err = sonic_frame_conn_new(pair[1], &codec, NULL, NULL, NULL, &trader);
    if (err == 0)
        err = trade(trader);
    if (err == 0) {
        sonic_frame_conn_close(trader);
        err = sonic_io_run(io);
    }
    if (err < 0)
        fprintf(stderr, "exchange: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0 || s.fills != 2 || s.state != S_OVER;
}
