#include "ws_crowd.h"

#include <stdio.h>
#include <string.h>

#include "net/stream.h"

struct crowd crowd;
uint8_t crowd_text[CROWD_LARGEST];

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    (void)ws;
    ((struct crowd *)ud)->drains++;
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)ws;
    ((struct crowd *)ud)->closes++;
    ((struct crowd *)ud)->why = *why;
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_message = on_message, .on_drain = on_drain,
    .on_close = on_close};

static void
hear_answer(int fd)
{
    char head[1024];
    size_t n = 0;

    do {
        ck_assert_uint_lt(n + 1, sizeof head);
        rig_get(fd, head + n, 1);
        head[++n] = '\0';
    } while (n < 4 || strcmp(head + n - 4, "\r\n\r\n") != 0);
    ck_assert_ptr_nonnull(strstr(head, "HTTP/1.1 101 "));
}

/* One more peer, which offers these extensions. */
void
crowd_join(const char *offer)
{
    char request[1024];
    sonic_stream *s;
    int fd[2];

    ck_assert_uint_lt(crowd.n, CROWD_PEERS);
    rig_pair(fd);
    s = rig_adopt(&crowd.rig, fd[0]);
    ck_assert_int_eq(
        sonic_ws_server_accept(crowd.server, s, &crowd.ws[crowd.n]), 0);
    snprintf(request, sizeof request, WS_REQUEST "%s%s\r\n\r\n",
             offer != NULL ? "Sec-WebSocket-Extensions: " : "A: b",
             offer != NULL ? offer : "");
    rig_put(fd[1], request, strlen(request));
    rig_settle(&crowd.rig);
    hear_answer(fd[1]);
    ck_assert_int_eq(sonic_ws_state(crowd.ws[crowd.n]), SONIC_WS_OPEN);
    crowd.fd[crowd.n++] = fd[1];
}

void
crowd_open(int i, const sonic_ws_options *opt)
{
    memset(&crowd, 0, sizeof crowd);
    rig_open(&crowd.rig, i);
    ck_assert_int_eq(
        sonic_ws_server_new(crowd.rig.io, opt, &handler, &crowd, &crowd.server),
        0);
    ws_deflate_json((char *)crowd_text, sizeof crowd_text, 7);
}

void
crowd_close(void)
{
    for (unsigned i = 0; i < crowd.n; i++)
        close(crowd.fd[i]);
    sonic_ws_server_free(crowd.server);
    rig_close(&crowd.rig);
}

sonic_ws_prepared *
crowd_prepare(unsigned opcode, const void *data, size_t n)
{
    sonic_ws_prepared *p;

    ck_assert_int_eq(sonic_ws_prepared_new(crowd.rig.io,
                                           (enum sonic_ws_opcode)opcode, data,
                                           n, &p),
                     0);
    return p;
}

/* A frame as a peer hears it; the first byte. */
uint8_t
crowd_hear(int fd, uint8_t *buf, size_t *n)
{
    uint8_t h[10];
    unsigned ext;

    rig_get(fd, h, 2);
    ck_assert_uint_lt(h[1], 128);
    *n = h[1];
    ext = *n == 126 ? 2 : *n == 127 ? 8 : 0;
    if (ext > 0)
        *n = 0;
    rig_get(fd, h + 2, ext);
    for (unsigned i = 0; i < ext; i++)
        *n = *n << 8 | h[2 + i];
    ck_assert_uint_le(*n, CROWD_LARGEST);
    rig_get(fd, buf, *n);
    return h[0];
}

void
crowd_expect(int fd, uint8_t first, const void *data, size_t n)
{
    static uint8_t got[CROWD_LARGEST];
    size_t len;

    ck_assert_uint_eq(crowd_hear(fd, got, &len), first);
    ck_assert_uint_eq(len, n);
    if (n > 0)
        ck_assert_mem_eq(got, data, n);
}

/* Compressed, to be inflated with z. */
void
crowd_expect_inflated(int fd, z_stream *z, const void *data, size_t n)
{
    static uint8_t got[CROWD_LARGEST], out[CROWD_LARGEST];
    size_t len;

    ck_assert_uint_eq(crowd_hear(fd, got, &len), 0xc1);
    ck_assert_uint_eq(dw_inflate(z, got, len, out, sizeof out, false), n);
    ck_assert_mem_eq(out, data, n);
}

/* Messages, and compressed forms, that are held. */
unsigned
crowd_held(void)
{
    unsigned n = 0;

    for (const sonic_shared *m = crowd.rig.io->shared; m != NULL; m = m->next)
        n++;
    return n;
}
