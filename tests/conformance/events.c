/* What comes from the peer: whole messages, and what is wrong with them. */
#include <stdio.h>
#include <string.h>

#include "play.h"

static bool
check_order(struct play *p, const struct frame_in *f)
{
    unsigned allowed = p->squash.on && f->opcode != OP_CONT ? 4 : 0;

    if (f->rsv & ~allowed)
        return play_wrong(p, "5.2: a reserved bit is set (%u)", f->rsv);
    if (p->inside != (f->opcode == OP_CONT))
        return play_wrong(p, "5.4: %s frame %s a message",
                          opcode_name(f->opcode), p->inside ? "in" : "outside");
    return true;
}

static bool
take_data(struct play *p, const struct frame_in *f)
{
    if (!check_order(p, f))
        return false;
    if (!p->inside) {
        p->coming_opcode = f->opcode;
        p->squashed = f->rsv & 4;
    }
    p->inside = !f->fin;
    bytes_add(&p->coming, f->data, f->len);
    return true;
}

static bool
unsquash(struct play *p, struct event *e)
{
    struct bytes plain = {NULL, 0, 0};
    const char *wrong;

    if (!e->squashed)
        return true;
    wrong = squash_in(&p->squash, e->data.data, e->data.len, &plain);
    bytes_free(&e->data);
    e->data = plain;
    return wrong == NULL || play_wrong(p, "cannot be inflated: %s", wrong);
}

static const char *
how_ended(const struct wire *w)
{
    static const char *const name[] = {"open", "the end of the stream",
                                       "a reset", "nothing", "a TLS failure"};

    return w->why[0] != '\0' ? w->why : name[w->end];
}

static void
ended(struct play *p, struct event *e)
{
    e->kind = EVENT_END;
    play_log(p, "< %s", how_ended(&p->wire));
    if (p->wire.at != p->wire.in.len) {
        play_wrong(p, "%s in the middle of a frame", how_ended(&p->wire));
        e->kind = EVENT_WRONG;
    } else if (p->wire.end == WIRE_LATE) {
        play_wrong(p, "nothing came in time");
        e->kind = EVENT_WRONG;
    }
}

/* A message that is whole, or a control frame.  False: more must come. */
static bool
make_event(struct play *p, const struct frame_in *f, struct event *e)
{
    bool good = true;

    if (f->opcode >= OP_CLOSE) {
        if (f->rsv != 0)
            good = play_wrong(p, "5.2: a reserved bit is set (%u)", f->rsv);
        e->kind = EVENT_CONTROL;
        e->opcode = f->opcode;
        bytes_add(&e->data, f->data, f->len);
    } else {
        good = take_data(p, f);
        if (good && p->inside)
            return false;
        e->opcode = p->coming_opcode;
        e->squashed = p->squashed;
        e->data = p->coming;
        p->coming = (struct bytes){NULL, 0, 0};
        good = good && unsquash(p, e);
    }
    play_log(p, "< %s%s %s", opcode_name(e->opcode), e->squashed ? " z" : "",
             bytes_show(&e->data));
    if (!good)
        e->kind = EVENT_WRONG;
    return true;
}

void
event_next(struct play *p, struct event *e)
{
    struct masks *masks = p->setup->server ? NULL : &p->masks;
    struct frame_in f;

    *e = (struct event){.kind = EVENT_MESSAGE};
    do {
        if (!frame_read(&p->wire, masks, &f)) {
            ended(p, e);
            return;
        }
        if (f.wrong != NULL) {
            play_wrong(p, "%s", f.wrong);
            e->kind = EVENT_WRONG;
            return;
        }
    } while (!make_event(p, &f, e));
}
