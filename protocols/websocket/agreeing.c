/* permessage-deflate in the settings, and what a handshake agrees on. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

#include "base/pack.h"

enum { RSV1 = 0x40 }; /* RFC 7692 section 6 */
enum { THRESHOLD = 128 /* bytes */ };

bool
sonic_ws_can_deflate(void)
{
#ifdef SONIC_WITHOUT_DEFLATE
    return false;
#else
    return true;
#endif
}

static bool
in_range(int v, int least, int most)
{
    return v >= least && v <= most;
}

/* Defaults, and what they say. */
int
sonic__ws_deflate_configure(struct sonic__ws_config *c)
{
    sonic_ws_deflate_options *d = &c->deflate;
    enum sonic_switch takeover = c->server ? SONIC_OFF : SONIC_ON;
    int err;

    err = sonic__options_copy(d, sizeof *d, c->opt.deflate);
    if (err < 0)
        return err;
    c->opt.deflate = d;
    if (d->level == 0)
        d->level = 1;
    if (d->memory_level == 0)
        d->memory_level = 8;
    if (d->window_bits == 0)
        d->window_bits = 15;
    if (d->peer_window_bits == 0)
        d->peer_window_bits = 15;
    if (d->takeover == SONIC_DEFAULT)
        d->takeover = takeover;
    if (d->peer_takeover == SONIC_DEFAULT)
        d->peer_takeover = takeover;
    if (d->threshold == 0)
        d->threshold = THRESHOLD;
    if (!in_range(d->level, 1, 9) || !in_range(d->memory_level, 1, 9) ||
        !in_range(d->window_bits, 8, 15) ||
        !in_range(d->peer_window_bits, 8, 15) ||
        (d->on == SONIC_ON && !sonic_ws_can_deflate()))
        return SONIC_EOPTION;
    c->wish = (sonic_ws_deflate_agreed){
        .on = d->on != SONIC_OFF && sonic_ws_can_deflate(),
        .takeover = d->takeover == SONIC_ON,
        .peer_takeover = d->peer_takeover == SONIC_ON,
        .window_bits = (uint8_t)d->window_bits,
        .peer_window_bits = (uint8_t)d->peer_window_bits,
    };
    return 0;
}

/* Is it to be offered, or accepted?  Who takes frames only is to ask for it. */
bool
sonic__ws_wants_deflate(const sonic_ws *ws, const sonic_ws_handler *h)
{
    const struct sonic__ws_config *c = ws->config;

    if (c->deflate.on == SONIC_DEFAULT && h != NULL && h->on_frame != NULL &&
        h->on_message == NULL && h->on_chunk == NULL)
        return false;
    return c->wish.on;
}

static int
apply(struct sonic__ws_config *c, const struct sonic__ws_extension_result *r)
{
    c->press = sonic__ws_press_of(c->io);
    if (c->press == NULL)
        return -ENOMEM;
    c->agreed = r->agreed;
    memcpy(c->extensions, r->text, sizeof c->extensions);
    c->rules.expect.rsv |= RSV1;
    c->rules.inflate = true;
    return 0;
}

/* A server's settings with that agreed: made once, and shared. */
static int
variant(struct sonic__ws_config *base,
        const struct sonic__ws_extension_result *r,
        struct sonic__ws_config **out)
{
    struct sonic__ws_config *c = base->variants;
    int err;

    while (c != NULL && strcmp(c->extensions, r->text) != 0)
        c = c->next;
    if (c == NULL) {
        c = sonic__ws_alloc(base->io, sizeof *c);
        if (c == NULL)
            return -ENOMEM;
        *c = *base;
        err = apply(c, r);
        if (err < 0) {
            sonic__ws_release(base->io, c, sizeof *c);
            return err;
        }
        c->refs = 0;
        c->base = base;
        base->refs++;
        c->variants = NULL;
        c->headroom = NULL;
        c->slow = (struct sonic__ws_slow){0};
        c->next = base->variants;
        base->variants = c;
    }
    c->refs++;
    *out = c;
    return 0;
}

/* No other connection is to have it. */
void
sonic__ws_config_unlist(struct sonic__ws_config *c)
{
    struct sonic__ws_config **at;

    if (c->base == NULL)
        return;
    for (at = &c->base->variants; *at != NULL; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            return;
        }
}

int
sonic__ws_agree(sonic_ws *ws, const struct sonic__ws_extension_result *r)
{
    struct sonic__ws_config *old = ws->config, *c;
    int err;

    if (!r->agreed.on)
        return 0;
    if (!old->server || old->refs == 1) /* it has no other connection */
        return apply(old, r);
    err = variant(old, r, &c);
    if (err < 0)
        return err;
    ws->config = c;
    sonic__ws_config_drop(old);
    return 0;
}

void
sonic__ws_disagree(sonic_ws *ws)
{
    struct sonic__ws_config *c = ws->config;

    memset(&c->agreed, 0, sizeof c->agreed);
    c->extensions[0] = '\0';
    c->rules.expect.rsv &= (uint8_t)~RSV1;
    c->rules.inflate = false;
}

const char *
sonic_ws_extensions(const sonic_ws *ws)
{
    return ws->config->agreed.on ? ws->config->extensions : NULL;
}

sonic_ws_deflate_agreed
sonic_ws_deflate(const sonic_ws *ws)
{
    return ws->config->agreed;
}
