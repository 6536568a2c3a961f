#include "websocket/deflate.h"

#ifndef SONIC_WITHOUT_DEFLATE
#include <assert.h>
#include <string.h>

static void *
alloc(sonic_io *io, size_t n)
{
    const sonic_mem *mem = sonic_io_mem(io);
    void *p = mem->alloc(n, mem->ud);

    return p == NULL ? NULL : memset(p, 0, n);
}

static void
release(sonic_io *io, void *p, size_t n)
{
    const sonic_mem *mem = sonic_io_mem(io);

    mem->free(p, n, mem->ud);
}

/* ---- inflating -------------------------------------------------------- */

ptrdiff_t
sonic__inflate_run(struct sonic__ws_inflation *m, z_stream *z, uint8_t *out,
                   size_t room)
{
    z->next_out = out;
    z->avail_out = (uInt)room;
    for (;;) {
        bool input = z->avail_in > 0;
        int r = inflate(z, Z_SYNC_FLUSH);

        if (r == Z_MEM_ERROR)
            return -ENOMEM;
        if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
            return SONIC_EWS_DEFLATE;
        if (input)
            m->ended = r == Z_STREAM_END;
        if (r != Z_STREAM_END || z->avail_in == 0)
            break;
        /* 7.2.3.4: blocks may follow a final one; the window stays. */
        inflateResetKeep(z);
    }
    return (ptrdiff_t)(room - z->avail_out);
}

bool
sonic__inflate_tail(struct sonic__ws_inflation *m, z_stream *z)
{
    static const uint8_t tail[4] = {0, 0, 0xff, 0xff};

    if (m->ended) {
        inflateResetKeep(z);
        return false;
    }
    if (!m->any)
        return false; /* nothing at all, which some send for nothing */
    z->next_in = (Bytef *)(uintptr_t)tail;
    z->avail_in = sizeof tail;
    return true;
}

/* zlib says what bits are left over, and adds 128 between blocks. */
bool
sonic__inflate_complete(struct sonic__ws_inflation *m, z_stream *z)
{
    if (m->ended) {
        inflateResetKeep(z);
        return true;
    }
    return z->data_type == 128;
}

/* ---- deflating -------------------------------------------------------- */

ptrdiff_t
sonic__deflate_run(z_stream *z, const void *src, size_t n, uint8_t *dst,
                   size_t cap, bool last)
{
    size_t len;

    z->next_in = (Bytef *)(uintptr_t)src;
    z->avail_in = (uInt)n;
    z->next_out = dst;
    z->avail_out = (uInt)cap;
    (void)deflate(z, Z_SYNC_FLUSH); /* it cannot fail but for room */
    if (z->avail_out == 0)
        return -1;
    assert(z->avail_in == 0);
    len = cap - z->avail_out;
    if (!last)
        return (ptrdiff_t)len;
    if (len == 0) { /* the mark stands there from before: 7.2.3.6 */
        dst[0] = 0;
        return 1;
    }
    assert(len > 4 && memcmp(dst + len - 4, "\0\0\xff\xff", 4) == 0);
    return (ptrdiff_t)(len - 4);
}

size_t
sonic__deflate_bound(z_stream *z, size_t n)
{
    return deflateBound(z, (uLong)n) + SONIC__DEFLATE_SLACK;
}

/* ---- what an io lends ------------------------------------------------- */

struct sonic__ws_inflation *
sonic__ws_inflation_take(struct sonic__ws_press *p)
{
    struct sonic__ws_inflation *m = p->inflations;

    if (m == NULL)
        return alloc(p->io, sizeof *m);
    p->inflations = m->next;
    p->n_inflations--;
    return m;
}

static void
inflation_free(struct sonic__ws_press *p, struct sonic__ws_inflation *m)
{
    sonic__inflate_close(&m->z, p);
    release(p->io, m, sizeof *m);
}

void
sonic__ws_inflation_give(struct sonic__ws_press *p,
                         struct sonic__ws_inflation *m)
{
    if (m->buf != NULL)
        sonic_io_give_back(p->io, m->buf);
    m->buf = NULL;
    if (p->n_inflations >= SONIC__DEFLATE_SPARE) {
        inflation_free(p, m);
        return;
    }
    m->next = p->inflations;
    p->inflations = m;
    p->n_inflations++;
}

struct sonic__ws_deflater *
sonic__ws_deflater_take(struct sonic__ws_press *p,
                        struct sonic__ws_deflate_setting setting)
{
    struct sonic__ws_deflater *d, **at = &p->deflaters;

    while ((d = *at) != NULL && !sonic__ws_deflate_alike(d->setting, setting))
        at = &d->next;
    if (d != NULL) {
        *at = d->next;
        p->n_deflaters--;
        deflateReset(&d->z);
        return d;
    }
    d = alloc(p->io, sizeof *d);
    if (d == NULL)
        return NULL;
    d->setting = setting;
    if (sonic__deflate_open(&d->z, p, setting.level, setting.memory,
                            setting.bits) == 0)
        return d;
    release(p->io, d, sizeof *d);
    return NULL;
}

static void
deflater_free(struct sonic__ws_press *p, struct sonic__ws_deflater *d)
{
    sonic__deflate_close(&d->z, p);
    release(p->io, d, sizeof *d);
}

void
sonic__ws_deflater_give(struct sonic__ws_press *p, struct sonic__ws_deflater *d)
{
    if (p->n_deflaters >= SONIC__DEFLATE_SPARE) {
        deflater_free(p, d);
        return;
    }
    d->next = p->deflaters;
    p->deflaters = d;
    p->n_deflaters++;
}

/* ---- a connection's own ----------------------------------------------- */

struct sonic__ws_codec *
sonic__ws_codec_new(struct sonic__ws_press *p, unsigned own)
{
    struct sonic__ws_codec *c = p->codecs;

    if (own > 0 || c == NULL)
        return alloc(p->io, sizeof *c + own * sizeof *c->own);
    p->codecs = c->next;
    c->now = NULL;
    return c;
}

void
sonic__ws_codec_free(struct sonic__ws_press *p, struct sonic__ws_codec *c,
                     bool own_in, bool own_out)
{
    unsigned own = (unsigned)own_in + own_out;

    if (c->now != NULL)
        sonic__ws_inflation_give(p, c->now);
    if (own_in)
        sonic__inflate_close(&c->own[0], p);
    if (own_out)
        sonic__deflate_close(&c->own[own_in], p);
    if (own > 0) {
        release(p->io, c, sizeof *c + own * sizeof *c->own);
        return;
    }
    c->next = p->codecs;
    p->codecs = c;
}

static void
fini(sonic_io *io, void *block)
{
    struct sonic__ws_press *p = block;

    while (p->inflations != NULL)
        inflation_free(p, sonic__ws_inflation_take(p));
    while (p->deflaters != NULL) {
        struct sonic__ws_deflater *d = p->deflaters;

        p->deflaters = d->next;
        deflater_free(p, d);
    }
    while (p->codecs != NULL) {
        struct sonic__ws_codec *c = sonic__ws_codec_new(p, 0);

        release(io, c, sizeof *c);
    }
}

struct sonic__ws_press *
sonic__ws_press_of(sonic_io *io)
{
    static const char key;
    struct sonic__ws_press *p = sonic_io_attach(io, &key, sizeof *p, fini);

    if (p != NULL)
        p->io = io;
    return p;
}

#else

struct sonic__ws_press *
sonic__ws_press_of(sonic_io *io)
{
    (void)io;
    return NULL;
}
#endif
