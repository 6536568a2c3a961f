/* Messages prepared for many connections: see <sonicio/websocket_prepared.h>.
 *
 * The frame stands in shared memory with its header in front of the payload,
 * and so does each compressed form of it.  What is compressed is compressed
 * when the first connection asks for it. */
#include <sonicio/shared.h>
#include <sonicio/websocket_prepared.h>

#include <errno.h>
#include <string.h>

#include "websocket/session.h"

enum {
    HEAD = 10, /* bytes: the longest header of a server */
    RSV1 = 0x40,
    MOST = 1 << 30, /* bytes of a message */
    FORMS = 4,      /* compressed ones; a further setting does without */
    SPARE = 32      /* kept by an io */
};

/* A frame in shared memory. */
struct frame {
    sonic_shared *bytes; /* NULL: it goes out as it is */
    size_t from, len;    /* header and payload */
};

/* The frame as connections with this setting have it. */
struct form {
    struct sonic__ws_deflate_setting setting;
    struct frame frame;
};

struct sonic_ws_prepared {
    struct stock *stock;
    sonic_ws_prepared *next, **prev; /* in use; of a spare one, next only */
    unsigned holders;
    uint8_t opcode;
    bool plain; /* not to be compressed */
    size_t len; /* of the message */
    struct frame frame;
    unsigned n_forms;
    struct form forms[FORMS];
};

/* An io's. */
struct stock {
    sonic_io *io;
    sonic_ws_prepared *used, *spare;
    unsigned n_spare;
};

/* ---- memory ----------------------------------------------------------- */

/* The shared memory has gone with the io by now. */
static void
fini(sonic_io *io, void *block)
{
    struct stock *s = block;
    sonic_ws_prepared **lists[] = {&s->used, &s->spare}, *p;

    for (int i = 0; i < 2; i++)
        while ((p = *lists[i]) != NULL) {
            *lists[i] = p->next;
            sonic__ws_release(io, p, sizeof *p);
        }
}

static struct stock *
stock_of(sonic_io *io)
{
    static const char key;
    struct stock *s = sonic_io_attach(io, &key, sizeof *s, fini);

    if (s != NULL)
        s->io = io;
    return s;
}

static sonic_ws_prepared *
take(struct stock *s)
{
    sonic_ws_prepared *p = s->spare;

    if (p == NULL) {
        p = sonic__ws_alloc(s->io, sizeof *p);
    } else {
        s->spare = p->next;
        s->n_spare--;
    }
    if (p == NULL)
        return NULL;
    p->stock = s;
    p->n_forms = 0;
    p->prev = &s->used;
    p->next = s->used;
    if (p->next != NULL)
        p->next->prev = &p->next;
    s->used = p;
    return p;
}

static void
put_back(sonic_ws_prepared *p)
{
    struct stock *s = p->stock;

    *p->prev = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    if (s->n_spare >= SPARE) {
        sonic__ws_release(s->io, p, sizeof *p);
        return;
    }
    p->next = s->spare;
    s->spare = p;
    s->n_spare++;
}

/* Payload of n bytes, to be followed by put_head. */
static int
make_frame(sonic_io *io, const void *payload, size_t n, struct frame *f)
{
    int err = sonic_shared_new(io, HEAD + n, &f->bytes);

    if (err < 0)
        return err;
    if (n > 0)
        memcpy(sonic_shared_data(f->bytes) + HEAD, payload, n);
    f->len = n;
    return 0;
}

static void
put_head(struct frame *f, uint8_t rsv, uint8_t opcode)
{
    uint8_t head[SONIC__WS_HEADER_MAX];
    size_t n = sonic__ws_frame_encode(head, true, rsv, opcode, f->len, NULL);

    f->from = HEAD - n;
    memcpy(sonic_shared_data(f->bytes) + f->from, head, n);
    f->len += n;
}

int
sonic_ws_prepared_new(sonic_io *io, enum sonic_ws_opcode opcode,
                      const void *data, size_t len, sonic_ws_prepared **out)
{
    unsigned bare = (unsigned)opcode & ~(unsigned)SONIC_WS_PLAIN;
    struct stock *s;
    sonic_ws_prepared *p;
    int err;

    if (bare != SONIC_WS_TEXT && bare != SONIC_WS_BINARY)
        return SONIC_EWS_OPCODE;
    if (len > MOST)
        return SONIC_ETOOBIG;
    s = stock_of(io);
    p = s == NULL ? NULL : take(s);
    if (p == NULL)
        return -ENOMEM;
    err = make_frame(io, data, len, &p->frame);
    if (err < 0) {
        put_back(p);
        return err;
    }
    put_head(&p->frame, 0, (uint8_t)bare);
    p->holders = 1;
    p->opcode = (uint8_t)bare;
    p->plain = bare != (unsigned)opcode;
    p->len = len;
    *out = p;
    return 0;
}

sonic_ws_prepared *
sonic_ws_prepared_hold(sonic_ws_prepared *p)
{
    p->holders++;
    return p;
}

void
sonic_ws_prepared_free(sonic_ws_prepared *p)
{
    if (p == NULL || --p->holders > 0)
        return;
    sonic_shared_free(p->frame.bytes);
    for (unsigned i = 0; i < p->n_forms; i++)
        sonic_shared_free(p->forms[i].frame.bytes);
    put_back(p);
}

const uint8_t *
sonic_ws_prepared_data(const sonic_ws_prepared *p, size_t *len)
{
    *len = p->len;
    return sonic_shared_data(p->frame.bytes) + HEAD;
}

/* ---- compressed ------------------------------------------------------- */

#ifndef SONIC_WITHOUT_DEFLATE

/* NULL bytes, and 0, when that is not shorter. */
static int
compress_to(struct sonic__ws_deflater *d, const sonic_ws_prepared *p,
            struct frame *f)
{
    size_t n, cap = p->len + 4, got; /* as without preparation: see press() */
    const uint8_t *data = sonic_ws_prepared_data(p, &n);
    sonic_io *io = p->stock->io;
    sonic_mirror *buf;
    ptrdiff_t len;
    uint8_t *to;
    int err = sonic_io_borrow(io, cap, &buf);

    if (err < 0)
        return err;
    to = sonic_mirror_claim(buf, cap, &got);
    len = sonic__deflate_run(&d->z, data, n, to, cap, true);
    if (len >= 0)
        err = make_frame(io, to, (size_t)len, f);
    sonic_io_give_back(io, buf);
    if (err == 0 && len >= 0)
        put_head(f, RSV1, p->opcode);
    return err;
}

/* What ws is to be sent; NULL: by way of sonic_ws_send. */
static const struct frame *
compressed(const sonic_ws *ws, sonic_ws_prepared *p)
{
    struct sonic__ws_press *press = ws->config->press;
    struct sonic__ws_deflate_setting setting;
    struct sonic__ws_deflater *d;
    struct form *f = p->forms;
    int err;

    setting = sonic__ws_deflate_setting(ws, p->len);
    for (; f < p->forms + p->n_forms; f++)
        if (sonic__ws_deflate_alike(f->setting, setting))
            return f->frame.bytes != NULL ? &f->frame : &p->frame;
    if (p->n_forms == FORMS)
        return NULL;
    *f = (struct form){.setting = setting};
    d = sonic__ws_deflater_take(press, setting);
    if (d == NULL)
        return NULL;
    err = compress_to(d, p, &f->frame);
    sonic__ws_deflater_give(press, d);
    if (err < 0)
        return NULL;
    p->n_forms++;
    return f->frame.bytes != NULL ? &f->frame : &p->frame;
}

static const struct frame *
frame_for(const sonic_ws *ws, sonic_ws_prepared *p)
{
    const struct sonic__ws_config *c = ws->config;

    if (!(ws->flags & SONIC__WS_SERVER))
        return NULL;
    if (!(ws->flags & SONIC__WS_DEFLATED) || p->plain ||
        p->len < c->deflate.threshold)
        return &p->frame;
    return c->agreed.takeover ? NULL : compressed(ws, p);
}

#else

static const struct frame *
frame_for(const sonic_ws *ws, sonic_ws_prepared *p)
{
    return ws->flags & SONIC__WS_SERVER ? &p->frame : NULL;
}
#endif

/* ---- sending ---------------------------------------------------------- */

int
sonic_ws_send_prepared(sonic_ws *ws, sonic_ws_prepared *p)
{
    unsigned plain = p->plain ? SONIC_WS_PLAIN : 0;
    const struct frame *f;
    int ret;

    if (ws->config->io != p->stock->io)
        return -EINVAL;
    if (!sonic__ws_may_send(ws))
        return SONIC_ESTATE;
    if (ws->more != NULL && ws->more->part != 0)
        return SONIC_EWS_FRAGMENT;
    f = frame_for(ws, p);
    if (f == NULL)
        return sonic_ws_send(ws, (enum sonic_ws_opcode)(p->opcode | plain),
                             sonic_shared_data(p->frame.bytes) + HEAD, p->len);
    ret = sonic_stream_send_shared(ws->stream, f->bytes, f->from, f->len);
    return sonic__ws_sent(ws, ret);
}

struct broadcast {
    sonic_ws_prepared *p;
    enum sonic_ws_slow slow;
    sonic_ws_broadcast_counts counts;
    int err;
};

static void
send_one(sonic_ws *ws, void *ud)
{
    struct broadcast *b = ud;
    int ret;

    if (b->slow == SONIC_WS_SLOW_DROP && (ws->flags & SONIC__WS_DRAINING)) {
        b->counts.dropped++;
        return;
    }
    ret = sonic_ws_send_prepared(ws, b->p);
    if (ret >= 0) {
        b->counts.sent++;
        b->counts.above += ret == 1;
    } else if (ret == -EINVAL) {
        b->err = ret;
    } else if (ret == SONIC_EQUEUE && b->slow == SONIC_WS_SLOW_CLOSE) {
        /* There may be room for that; else it is over at once. */
        sonic_ws_close(ws, SONIC_WS_TRY_AGAIN, "too slow");
        b->counts.closed++;
    } else if (ret != SONIC_ESTATE) {
        b->counts.dropped++;
    }
}

int
sonic_ws_broadcast(sonic_ws_server *server, sonic_ws_prepared *p,
                   enum sonic_ws_slow slow, sonic_ws_broadcast_counts *counts)
{
    struct broadcast b = {.p = p, .slow = slow};

    sonic_ws_server_each(server, send_one, &b);
    if (counts != NULL)
        *counts = b.counts;
    return b.err;
}
