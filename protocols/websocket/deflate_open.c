/* Streams of zlib's, and their memory, which is the io's.
 *
 * A stream is a few blocks that come and go together, so they lie in one: that
 * takes less than they do alone, each behind its size, which zlib does not
 * remember, and behind what malloc(3) adds.  How large it has to be is tried
 * out, once for each setting of an io. */
#include "websocket/deflate.h"

#ifndef SONIC_WITHOUT_DEFLATE
#include <errno.h>
#include <string.h>

enum {
    ALIGN = sizeof(uint64_t),
    /* More bytes than that stay apart: malloc(3) may map large blocks, page by
     * page. */
    TOGETHER = 64 * 1024
};

struct setting {
    bool inflates;
    int level, memory, bits; /* of bits, only, where it inflates */
    uint32_t *bytes;         /* of all blocks, once known */
};

/* Blocks that lie in one. */
struct bunch {
    uint32_t size, used; /* bytes of room */
    uint64_t room[];
};

/* A stream that is made to see how large it is. */
struct trial {
    const sonic_mem *mem;
    uint32_t bytes;
};

static uint32_t
aligned(uInt items, uInt size)
{
    return (items * size + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- each block alone ------------------------------------------------- */

static voidpf
alone_alloc(voidpf opaque, uInt items, uInt size)
{
    const sonic_mem *mem = opaque;
    size_t n = sizeof(uint64_t) + (size_t)items * size;
    uint64_t *p = mem->alloc(n, mem->ud);

    if (p == NULL)
        return Z_NULL;
    *p = n;
    return p + 1;
}

static void
alone_free(voidpf opaque, voidpf address)
{
    const sonic_mem *mem = opaque;
    uint64_t *p = (uint64_t *)address - 1;

    mem->free(p, (size_t)*p, mem->ud);
}

static voidpf
unconst(const sonic_mem *mem)
{
    return (voidpf)(uintptr_t)mem;
}

/* ---- together --------------------------------------------------------- */

static voidpf
bunch_alloc(voidpf opaque, uInt items, uInt size)
{
    struct bunch *b = opaque;
    uint32_t n = aligned(items, size);
    uint8_t *p = (uint8_t *)b->room + b->used;

    if (n > b->size - b->used)
        return Z_NULL;
    b->used += n;
    return p;
}

/* They go together. */
static void
bunch_free(voidpf opaque, voidpf address)
{
    (void)opaque;
    (void)address;
}

static size_t
bunch_size(uint32_t bytes)
{
    return sizeof(struct bunch) + bytes;
}

/* ---- making one ------------------------------------------------------- */

/* Raw deflate is asked for with negative bits. */
static int
raw(int bits)
{
    return -(bits < 9 ? 9 : bits);
}

static int
make(z_stream *z, const struct setting *s, alloc_func alloc, free_func release,
     voidpf opaque)
{
    int r;

    memset(z, 0, sizeof *z);
    z->zalloc = alloc;
    z->zfree = release;
    z->opaque = opaque;
    r = s->inflates ? inflateInit2(z, raw(s->bits))
                    : deflateInit2(z, s->level, Z_DEFLATED, raw(s->bits),
                                   s->memory, Z_DEFAULT_STRATEGY);
    if (r == Z_OK)
        return 0;
    z->state = Z_NULL;
    return -ENOMEM;
}

static void
end(z_stream *z, bool inflates)
{
    if (inflates)
        inflateEnd(z);
    else
        deflateEnd(z);
    z->state = Z_NULL;
}

static voidpf
trial_alloc(voidpf opaque, uInt items, uInt size)
{
    struct trial *t = opaque;

    t->bytes += aligned(items, size);
    return alone_alloc(unconst(t->mem), items, size);
}

static void
trial_free(voidpf opaque, voidpf address)
{
    const struct trial *t = opaque;

    alone_free(unconst(t->mem), address);
}

/* How large is one?  The window of one that inflates comes with its output. */
static int
try_out(const struct setting *s, const sonic_mem *mem)
{
    static const uint8_t a_stored_byte[] = {0, 1, 0, 0xfe, 0xff, 'x'};
    struct trial t = {mem, 0};
    uint8_t out[2];
    z_stream z;
    int err = make(&z, s, trial_alloc, trial_free, &t);

    if (err == 0 && s->inflates) {
        z.next_in = (Bytef *)(uintptr_t)a_stored_byte;
        z.avail_in = sizeof a_stored_byte;
        z.next_out = out;
        z.avail_out = sizeof out;
        if (inflate(&z, Z_SYNC_FLUSH) != Z_OK)
            err = -ENOMEM;
    }
    if (z.state != Z_NULL)
        end(&z, s->inflates);
    if (err == 0)
        *s->bytes = t.bytes;
    return err;
}

static int
make_bunch(z_stream *z, const struct setting *s, const sonic_mem *mem)
{
    struct bunch *b = mem->alloc(bunch_size(*s->bytes), mem->ud);
    int err;

    if (b == NULL)
        return -ENOMEM;
    b->size = *s->bytes;
    b->used = 0;
    err = make(z, s, bunch_alloc, bunch_free, b);
    if (err < 0)
        mem->free(b, bunch_size(b->size), mem->ud);
    return err;
}

static int
open_one(z_stream *z, const struct setting *s, const sonic_mem *mem)
{
    int err = *s->bytes == 0 ? try_out(s, mem) : 0;

    if (err < 0) {
        z->state = Z_NULL;
        return err;
    }
    /* One may turn out to be larger than the one that was tried. */
    if (*s->bytes <= TOGETHER && make_bunch(z, s, mem) == 0)
        return 0;
    return make(z, s, alone_alloc, alone_free, unconst(mem));
}

int
sonic__inflate_open(z_stream *z, struct sonic__ws_press *p, int bits)
{
    const struct setting s = {
        .inflates = true, .bits = bits, .bytes = &p->inflate_bytes[bits]};

    return open_one(z, &s, sonic_io_mem(p->io));
}

int
sonic__deflate_open(z_stream *z, struct sonic__ws_press *p, int level,
                    int memory, int bits)
{
    const struct setting s = {.level = level,
                              .memory = memory,
                              .bits = bits,
                              .bytes = &p->deflate_bytes[memory][bits]};

    return open_one(z, &s, sonic_io_mem(p->io));
}

static void
close_one(z_stream *z, struct sonic__ws_press *p, bool inflates)
{
    const sonic_mem *mem = sonic_io_mem(p->io);
    struct bunch *b = z->opaque;
    bool together = z->zalloc == bunch_alloc;

    if (z->state == Z_NULL)
        return;
    end(z, inflates);
    if (together)
        mem->free(b, bunch_size(b->size), mem->ud);
}

void
sonic__inflate_close(z_stream *z, struct sonic__ws_press *p)
{
    close_one(z, p, true);
}

void
sonic__deflate_close(z_stream *z, struct sonic__ws_press *p)
{
    close_one(z, p, false);
}
#endif
