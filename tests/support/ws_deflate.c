#include "ws_deflate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/frame.h"
#include "websocket/handshake.h"

void
dw_open(struct deflate_world *d, int backend)
{
    ws_world_open(&d->w, backend);
    d->opt = (sonic_ws_deflate_options)SONIC_WS_DEFLATE_OPTIONS_INIT;
    d->w.opt.deflate = &d->opt;
    d->value[0] = '\0';
    d->key = 0x01020304;
}

void
dw_close(struct deflate_world *d)
{
    ws_world_close(&d->w);
}

/* The value of Sec-WebSocket-Extensions. */
static void
take_value(struct deflate_world *d, const char *head)
{
    static const char name[] = "\r\nSec-WebSocket-Extensions: ";
    const char *at = strstr(head, name), *end;

    d->value[0] = '\0';
    if (at == NULL)
        return;
    at += sizeof name - 1;
    end = strstr(at, "\r\n");
    ck_assert_uint_lt((size_t)(end - at), sizeof d->value);
    memcpy(d->value, at, (size_t)(end - at));
    d->value[end - at] = '\0';
}

void
dw_serve(struct deflate_world *d, const sonic_ws_handler *handler,
         const char *offer)
{
    char head[1024], text[1024];

    ws_serve(&d->w, handler);
    snprintf(text, sizeof text,
             WS_REQUEST "Sec-WebSocket-Extensions: %s\r\n\r\n", offer);
    ws_say_text(&d->w, text);
    ws_hear_head(&d->w, head, sizeof head);
    ck_assert_ptr_nonnull(strstr(head, "HTTP/1.1 101 "));
    take_value(d, head);
}

void
dw_client(struct deflate_world *d, const sonic_ws_handler *handler,
          const char *answer)
{
    char head[2048], text[1024], accept[SONIC__WS_ACCEPT + 1], *key;
    int closes = d->w.log.closes, opens = d->w.log.opens;

    ws_client(&d->w, handler);
    ws_hear_head(&d->w, head, sizeof head);
    take_value(d, head);
    key = strstr(head, "Sec-WebSocket-Key: ");
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(sonic__ws_accept(accept, key + 19), 0);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s\r\n\r\n",
             accept, answer == NULL ? "A: b" : "Sec-WebSocket-Extensions: ",
             answer == NULL ? "" : answer);
    ws_say_text(&d->w, text);
    for (int i = 0;
         i < 20000 && d->w.log.opens == opens && d->w.log.closes == closes; i++)
        sonic_io_run_one_for(d->w.io, 1000000);
}

/* ---- frames ----------------------------------------------------------- */

void
dw_say(struct deflate_world *d, uint8_t head, const void *p, size_t n)
{
    bool masked = d->w.server != NULL;
    uint8_t *f = malloc(SONIC__WS_HEADER_MAX + n);
    uint8_t k[4];
    size_t at;

    ck_assert_ptr_nonnull(f);
    d->key = d->key * 1664525 + 1013904223;
    memcpy(k, &d->key, 4);
    at = sonic__ws_frame_encode(f, head >> 7, head & 0x70, head & 15, n,
                                masked ? &d->key : NULL);
    for (size_t i = 0; i < n; i++)
        f[at + i] = ((const uint8_t *)p)[i] ^ (masked ? k[i & 3] : 0);
    ws_say(&d->w, f, at + n);
    free(f);
}

uint8_t
dw_hear(struct deflate_world *d, void *buf, size_t cap, size_t *n)
{
    uint8_t h[2], ext[8], key[4] = {0}, *p = buf;
    unsigned size;

    ck_assert_uint_eq(ws_hear(&d->w, h, 2), 2);
    ck_assert_int_eq(h[1] >> 7, d->w.server == NULL);
    *n = h[1] & 0x7f;
    if (*n > 125) {
        size = *n == 126 ? 2 : 8;
        ck_assert_uint_eq(ws_hear(&d->w, ext, size), size);
        *n = 0;
        for (unsigned i = 0; i < size; i++)
            *n = *n << 8 | ext[i];
    }
    if (h[1] & 0x80)
        ck_assert_uint_eq(ws_hear(&d->w, key, 4), 4);
    ck_assert_uint_le(*n, cap);
    ck_assert_uint_eq(ws_hear(&d->w, buf, *n), *n);
    for (size_t i = 0; i < *n; i++)
        p[i] ^= key[i & 3];
    return h[0];
}

void
dw_expect_close(struct deflate_world *d, unsigned code)
{
    uint8_t got[125];
    size_t n;

    ck_assert_uint_eq(dw_hear(d, got, sizeof got, &n), 0x88);
    ck_assert_uint_ge(n, 2);
    ck_assert_uint_eq((unsigned)got[0] << 8 | got[1], code);
}

/* ---- zlib ------------------------------------------------------------- */

void
dw_deflater(z_stream *z, int level, int bits, int memory, int strategy)
{
    memset(z, 0, sizeof *z);
    ck_assert_int_eq(
        deflateInit2(z, level, Z_DEFLATED, -bits, memory, strategy), Z_OK);
}

size_t
dw_deflate(z_stream *z, const void *p, size_t n, uint8_t *out, size_t cap,
           bool last)
{
    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    z->next_out = out;
    z->avail_out = (uInt)cap;
    deflate(z, Z_SYNC_FLUSH);
    ck_assert_uint_eq(z->avail_in, 0);
    ck_assert_uint_gt(z->avail_out, 0);
    n = cap - z->avail_out;
    if (last) {
        ck_assert_uint_ge(n, 5);
        ck_assert_mem_eq(out + n - 4, "\0\0\xff\xff", 4);
        n -= 4;
    }
    return n;
}

void
dw_inflater(z_stream *z, int bits)
{
    memset(z, 0, sizeof *z);
    ck_assert_int_eq(inflateInit2(z, -bits), Z_OK);
}

static void
feed(z_stream *z, const void *p, size_t n, uint8_t *out, size_t cap,
     size_t *have, bool strict)
{
    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    for (;;) {
        size_t room = strict ? 1 : cap - *have;
        uint8_t spare;
        int r;

        z->next_out = *have < cap ? out + *have : &spare;
        z->avail_out = (uInt)(*have < cap ? room : 1);
        room = z->avail_out;
        r = inflate(z, Z_SYNC_FLUSH);
        ck_assert_msg(r == Z_OK || r == Z_BUF_ERROR, "%s", z->msg);
        ck_assert(*have < cap || z->avail_out == 1);
        *have += room - z->avail_out;
        if (z->avail_out == room)
            break;
    }
    ck_assert_uint_eq(z->avail_in, 0);
}

size_t
dw_inflate(z_stream *z, const uint8_t *p, size_t n, uint8_t *out, size_t cap,
           bool strict)
{
    size_t have = 0;

    feed(z, p, n, out, cap, &have, strict);
    feed(z, "\0\0\xff\xff", 4, out, cap, &have, strict);
    ck_assert_int_eq(z->data_type, 128); /* a block is complete */
    return have;
}
