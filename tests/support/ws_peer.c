#include "ws_peer.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "websocket/handshake.h"

static void
note(struct ws_log *l, sonic_ws *ws, const char *name, const void *data,
     size_t n)
{
    size_t used = strlen(l->text);

    ck_assert_uint_lt(used + n + 40, sizeof l->text);
    snprintf(l->text + used, sizeof l->text - used, n > 0 ? "%s:%.*s " : "%s ",
             name, (int)n, (const char *)data);
    if (l->act_at != NULL && strcmp(l->act_at, name) == 0) {
        l->act_at = NULL;
        l->act(ws);
    }
}

static void
on_open(sonic_ws *ws, void *ud)
{
    struct ws_log *l = ud;

    l->opens++;
    l->ws = ws;
    note(l, ws, "open", NULL, 0);
}

static const char *
name_of(unsigned opcode)
{
    static const char *const names[16] = {
        [0] = "more", [1] = "text", [2] = "binary",
        [8] = "bye",  [9] = "ping", [10] = "pong"};

    return names[opcode];
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    char size[32];

    if (m->len <= 64) {
        note(ud, ws, name_of(m->opcode), m->data, m->len);
        return;
    }
    snprintf(size, sizeof size, "%zu bytes", m->len);
    note(ud, ws, name_of(m->opcode), size, strlen(size));
}

static void
on_part(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    char text[128];

    snprintf(text, sizeof text, "%s%s%.*s", m->first ? "<" : "-",
             m->last ? ">" : "-", (int)(m->len > 64 ? 64 : m->len),
             (const char *)m->data);
    note(ud, ws, name_of(m->opcode), text, strlen(text));
}

static void
on_control(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
           size_t len, void *ud)
{
    note(ud, ws, name_of(opcode), opcode == SONIC_WS_CLOSE ? NULL : data,
         opcode == SONIC_WS_CLOSE ? 0 : len);
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    ((struct ws_log *)ud)->drains++;
    note(ud, ws, "drain", NULL, 0);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct ws_log *l = ud;
    char text[32];

    ck_assert_int_eq(sonic_ws_state(ws), SONIC_WS_TERMINATED);
    l->why = *why;
    l->closes++;
    snprintf(text, sizeof text, "%u", why->code);
    note(l, ws, "close", text, strlen(text));
}

const sonic_ws_handler ws_log_handler = {
    SONIC_WS_HANDLER_INIT,    .on_open = on_open,   .on_message = on_message,
    .on_control = on_control, .on_drain = on_drain, .on_close = on_close,
};

const sonic_ws_handler ws_chunk_handler = {
    SONIC_WS_HANDLER_INIT,    .on_open = on_open,   .on_chunk = on_part,
    .on_control = on_control, .on_drain = on_drain, .on_close = on_close,
};

const sonic_ws_handler ws_frame_handler = {
    SONIC_WS_HANDLER_INIT,
    .on_open = on_open,
    .on_frame = on_part,
    .on_close = on_close,
};

const sonic_ws_handler ws_quiet_handler = {
    SONIC_WS_HANDLER_INIT,
    .on_open = on_open,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void
send_back(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    ck_assert_int_ge(
        sonic_ws_send(ws, (enum sonic_ws_opcode)m->opcode, m->data, m->len), 0);
}

const sonic_ws_handler ws_echo_handler = {SONIC_WS_HANDLER_INIT,
                                          .on_message = send_back};

/* ---- the world --------------------------------------------------------- */

static void *
count_alloc(size_t bytes, void *ud)
{
    struct ws_world *w = ud;

    w->allocs++;
    w->live++;
    return malloc(bytes);
}

static void
count_free(void *p, size_t bytes, void *ud)
{
    struct ws_world *w = ud;

    (void)bytes;
    w->live--;
    free(p);
}

void
ws_world_open(struct ws_world *w, int backend)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_mem mem = {count_alloc, count_free, w};

    memset(w, 0, sizeof *w);
    w->opt = (sonic_ws_options)SONIC_WS_OPTIONS_INIT;
    w->fd = -1;
    opt.backend = backend == 0 ? SONIC_BACKEND_EPOLL : SONIC_BACKEND_POLL;
    opt.mem = &mem;
    ck_assert_int_eq(sonic_io_new(&w->io, &opt), 0);
}

void
ws_world_close(struct ws_world *w)
{
    sonic_ws_free(w->client);
    sonic_ws_server_free(w->server);
    sonic_io_free(w->io);
    if (w->fd >= 0)
        close(w->fd);
    ck_assert_uint_eq(w->live, 0);
}

static void
turn(struct ws_world *w)
{
    int n = sonic_io_run_one_for(w->io, 1000000);

    ck_assert_msg(n >= 0 || n == -ETIMEDOUT || n == SONIC_ECLOSED, "%s",
                  sonic_errname(n));
}

static sonic_stream *
make_pair(struct ws_world *w)
{
    sonic_stream *s;
    int fd[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    ck_assert_int_eq(sonic_stream_adopt(w->io, fd[0], &s), 0);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd[1];
    return s;
}

void
ws_serve(struct ws_world *w, const sonic_ws_handler *handler)
{
    if (w->server == NULL)
        ck_assert_int_eq(
            sonic_ws_server_new(w->io, &w->opt, handler, &w->log, &w->server),
            0);
    ck_assert_int_eq(sonic_ws_server_accept(w->server, make_pair(w), NULL), 0);
}

void
ws_serve_open(struct ws_world *w, const sonic_ws_handler *handler)
{
    char head[1024];

    ws_serve(w, handler);
    ws_say_text(w, WS_REQUEST "\r\n");
    ws_hear_head(w, head, sizeof head);
    ck_assert_ptr_nonnull(strstr(head, "HTTP/1.1 101 "));
    ck_assert_ptr_nonnull(strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

void
ws_client(struct ws_world *w, const sonic_ws_handler *handler)
{
    if (w->client == NULL)
        ck_assert_int_eq(
            sonic_ws_new(w->io, &w->opt, handler, &w->log, &w->client), 0);
    sonic_ws_async_upgrade(w->client, make_pair(w), "ws://example.com/x", NULL,
                           NULL);
}

void
ws_say_answer(struct ws_world *w, const char *more)
{
    char head[2048], answer[512], accept[SONIC__WS_ACCEPT + 1], *key;

    ws_hear_head(w, head, sizeof head);
    key = strstr(head, "Sec-WebSocket-Key: ");
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(sonic__ws_accept(accept, key + 19), 0);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
             accept, more);
    ws_say_text(w, answer);
}

void
ws_answer_with(struct ws_world *w, const char *more)
{
    int opens = w->log.opens;

    ws_say_answer(w, more);
    for (int i = 0; i < 20000 && w->log.opens == opens; i++)
        turn(w);
    ck_assert_int_eq(w->log.opens, opens + 1);
}

void
ws_answer(struct ws_world *w)
{
    ws_answer_with(w, "");
}

void
ws_client_open(struct ws_world *w, const sonic_ws_handler *handler)
{
    ws_client(w, handler);
    ws_answer(w);
}

/* ---- the peer ---------------------------------------------------------- */

void
ws_say(struct ws_world *w, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t k = send(w->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else {
            ck_assert_int_eq(errno, EAGAIN);
        }
        turn(w);
    }
}

void
ws_say_text(struct ws_world *w, const char *text)
{
    ws_say(w, text, strlen(text));
}

void
ws_say_frame(struct ws_world *w, uint8_t head, const char *payload)
{
    static const uint8_t key[4] = {0x11, 0x22, 0x33, 0x44};
    uint8_t f[200];
    size_t n = strlen(payload), at = 2;
    bool masked = w->server != NULL;

    ck_assert_uint_le(n, 125);
    f[0] = head;
    f[1] = (uint8_t)(n | (masked ? 0x80 : 0));
    if (masked) {
        memcpy(f + at, key, 4);
        at += 4;
    }
    for (size_t i = 0; i < n; i++)
        f[at + i] = (uint8_t)payload[i] ^ (masked ? key[i & 3] : 0);
    ws_say(w, f, at + n);
}

size_t
ws_hear(struct ws_world *w, void *buf, size_t n)
{
    size_t got = 0;

    for (int idle = 0; got < n && idle < 20000; idle++) {
        ssize_t k = recv(w->fd, (char *)buf + got, n - got, MSG_DONTWAIT);

        if (k == 0 || (k < 0 && errno != EAGAIN))
            break;
        if (k > 0) {
            got += (size_t)k;
            idle = 0;
        } else {
            turn(w);
        }
    }
    return got;
}

void
ws_expect(struct ws_world *w, const void *data, size_t n)
{
    char *got = malloc(n + 1);

    ck_assert_ptr_nonnull(got);
    ck_assert_uint_eq(ws_hear(w, got, n), n);
    ck_assert_mem_eq(got, data, n);
    free(got);
}

/* A client's frames are masked: the payload is seen through the key. */
static uint8_t
hear_frame(struct ws_world *w, uint8_t *payload, size_t *n)
{
    uint8_t head[2], key[4] = {0};

    ck_assert_uint_eq(ws_hear(w, head, 2), 2);
    *n = head[1] & 0x7f;
    ck_assert_uint_le(*n, 125);
    ck_assert_int_eq(head[1] >> 7, w->server == NULL);
    if (head[1] & 0x80)
        ck_assert_uint_eq(ws_hear(w, key, 4), 4);
    ck_assert_uint_eq(ws_hear(w, payload, *n), *n);
    for (size_t i = 0; i < *n; i++)
        payload[i] ^= key[i & 3];
    return head[0];
}

void
ws_expect_frame(struct ws_world *w, uint8_t head, const char *payload)
{
    uint8_t got[125];
    size_t n;

    ck_assert_uint_eq(hear_frame(w, got, &n), head);
    ck_assert_uint_eq(n, strlen(payload));
    ck_assert_mem_eq(got, payload, n);
}

void
ws_expect_close(struct ws_world *w, unsigned code)
{
    uint8_t got[125];
    size_t n;

    ck_assert_uint_eq(hear_frame(w, got, &n), 0x88);
    if (code == 0) {
        ck_assert_uint_eq(n, 0);
        return;
    }
    ck_assert_uint_ge(n, 2);
    ck_assert_uint_eq((unsigned)got[0] << 8 | got[1], code);
}

void
ws_expect_eof(struct ws_world *w)
{
    char c;

    ck_assert_uint_eq(ws_hear(w, &c, 1), 0);
    ck_assert_int_eq(recv(w->fd, &c, 1, MSG_DONTWAIT), 0);
}

void
ws_hear_head(struct ws_world *w, char *buf, size_t cap)
{
    size_t n = 0;

    do {
        ck_assert_uint_lt(n + 1, cap);
        ck_assert_uint_eq(ws_hear(w, buf + n, 1), 1);
        buf[++n] = '\0';
    } while (n < 4 || strcmp(buf + n - 4, "\r\n\r\n") != 0);
}

void
ws_until(struct ws_world *w, const char *end)
{
    size_t n = strlen(end);

    for (int i = 0; i < 20000; i++) {
        size_t have = strlen(w->log.text);

        if (have >= n && strcmp(w->log.text + have - n, end) == 0)
            return;
        turn(w);
    }
    ck_abort_msg("waited for \"%s\", got \"%s\"", end, w->log.text);
}
