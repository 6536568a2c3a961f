#include <assert.h>
#include <string.h>

#include "soup/conn.h"
#include "soup/packet.h"

/* What an event brings. */
struct arg {
    uint8_t *data; /* of a packet: what follows its type */
    size_t len;
    uint8_t type;
    int err;
    sonic_soup_login login;   /* LOGIN */
    sonic_soup_position seat; /* YES, ACCEPT */
    enum sonic_soup_end end;  /* GONE */
};

typedef int fsm_act(sonic_soup *s, struct arg *a);
static fsm_act act_ask, act_decide, act_enter, act_turned, act_message,
    act_loose, act_note, act_logout, act_finish, act_accept, act_reject,
    act_leave, act_hang_up, act_unexpected, act_fail, act_gone, act_refuse,
    act_nothing, act_impossible;

#define FSM_NAME "soup"
#define FSM_DEF "soup/session.def"
#define FSM_INFO sonic__soup_fsm
#include <sonicio/fsm_build.h>

_Static_assert((int)SONIC_SOUP_START == (int)S_START &&
                   (int)SONIC_SOUP_ASKING == (int)S_ASKING &&
                   (int)SONIC_SOUP_AWAITING == (int)S_AWAITING &&
                   (int)SONIC_SOUP_DECIDING == (int)S_DECIDING &&
                   (int)SONIC_SOUP_OPEN == (int)S_OPEN &&
                   (int)SONIC_SOUP_LEAVING == (int)S_LEAVING &&
                   (int)SONIC_SOUP_CLOSED == (int)S_CLOSED,
               "see <sonicio/soup.h>");

static int
step(sonic_soup *s, enum fsm_event e, struct arg *a)
{
    if (s->state != S_LEAVING && s->state != S_CLOSED)
        s->ended_in = s->state;
    return fsm_step(&s->state, e, s->tracer)->act(s, a);
}

/* ---- packets ----------------------------------------------------------- */

static enum fsm_event
bad(struct arg *a, int err)
{
    a->err = err;
    return E_BAD;
}

/* Is that what was asked for? */
static bool
seat_fits(const sonic_soup *s, const sonic_soup_position *seat)
{
    const sonic_soup_login *l = &s->login;

    if (s->flags & SONIC__SOUP_ANY)
        return true;
    if (l->session[0] != '\0' && !sonic_soup_same(l->session, seat->session))
        return false;
    return l->sequence == 0 || l->sequence == seat->next;
}

static enum fsm_event
classify_accepted(const sonic_soup *s, struct arg *a)
{
    int err = sonic__soup_read_accepted(a->data, a->len, &a->seat);

    if (err < 0)
        return bad(a, err);
    if (s->state == S_ASKING && !seat_fits(s, &a->seat))
        return bad(a, SONIC_ESOUP_SEQUENCE);
    return E_YES;
}

static enum fsm_event
classify_message(const sonic_soup *s, struct arg *a)
{
    if (a->len > s->max_message)
        return bad(a, SONIC_EFRAME_TOOBIG);
    if (a->type == SONIC__SOUP_UNSEQUENCED)
        return E_LOOSE;
    if (s->next == UINT64_MAX) /* there is no number behind it */
        return bad(a, SONIC_ESOUP_SEQUENCE);
    return E_MESSAGE;
}

/* A packet that is its type and nothing else. */
static enum fsm_event
classify_bare(struct arg *a, enum fsm_event e)
{
    return a->len == 0 ? e : bad(a, SONIC_ESOUP_PACKET);
}

static enum fsm_event
classify_client(const sonic_soup *s, struct arg *a)
{
    switch (a->type) {
    case SONIC__SOUP_ACCEPTED:
        return classify_accepted(s, a);
    case SONIC__SOUP_REJECTED:
        return a->len == 1 ? E_NO : bad(a, SONIC_ESOUP_PACKET);
    case SONIC__SOUP_SEQUENCED:
    case SONIC__SOUP_UNSEQUENCED:
        return classify_message(s, a);
    case SONIC__SOUP_DEBUG:
        return E_NOTE;
    case SONIC__SOUP_SERVER_BEAT:
        return classify_bare(a, E_NOTE);
    case SONIC__SOUP_END:
        return classify_bare(a, E_OVER);
    default:
        return bad(a, SONIC_ESOUP_PACKET);
    }
}

static enum fsm_event
classify_server(const sonic_soup *s, struct arg *a)
{
    int err;

    switch (a->type) {
    case SONIC__SOUP_LOGIN:
        err = sonic__soup_read_login(a->data, a->len, &a->login);
        return err < 0 ? bad(a, err) : E_LOGIN;
    case SONIC__SOUP_UNSEQUENCED:
        return classify_message(s, a);
    case SONIC__SOUP_DEBUG:
        return E_NOTE;
    case SONIC__SOUP_CLIENT_BEAT:
        return classify_bare(a, E_NOTE);
    case SONIC__SOUP_LOGOUT:
        return classify_bare(a, E_LOGOUT);
    default:
        return bad(a, SONIC_ESOUP_PACKET);
    }
}

/* The body of a frame is the type and what follows. */
void
sonic__soup_packet(sonic_soup *s, uint8_t *data, size_t len)
{
    struct arg a = {.data = data, .len = len};
    enum fsm_event e;

    if (len == 0) {
        e = bad(&a, SONIC_ESOUP_PACKET);
    } else {
        a.type = *a.data++;
        a.len--;
        e = s->role == SONIC_SOUP_CLIENT ? classify_client(s, &a)
                                         : classify_server(s, &a);
    }
    s->heard = sonic_io_now(sonic_object_io(s));
    s->stats.bytes_in += len + 2;
    (void)step(s, e, &a);
}

/* ---- what else may happen ---------------------------------------------- */

void
sonic__soup_begin(sonic_soup *s)
{
    struct arg a = {0};

    (void)step(s, s->role == SONIC_SOUP_CLIENT ? E_ASK : E_AWAIT, &a);
}

void
sonic__soup_fail(sonic_soup *s, int err)
{
    struct arg a = {.err = err};

    (void)step(s, E_BAD, &a);
}

void
sonic__soup_late(sonic_soup *s, int err)
{
    struct arg a = {.err = err};

    (void)step(s, E_LATE, &a);
}

void
sonic__soup_gone(sonic_soup *s, enum sonic_soup_end end, int err)
{
    struct arg a = {.err = err, .end = end};

    (void)step(s, E_GONE, &a);
}

int
sonic_soup_accept(sonic_soup *s, const char *session, uint64_t next)
{
    struct arg a = {.seat = {.next = next}};

    if (session[0] == '\0' || next == 0 ||
        !sonic__soup_fits(session, SONIC_SOUP_SESSION_MAX))
        return SONIC_EOPTION;
    strcpy(a.seat.session, session);
    return step(s, E_ACCEPT, &a);
}

int
sonic_soup_reject(sonic_soup *s, enum sonic_soup_reject why)
{
    struct arg a = {.type = (uint8_t)why};

    if (why != SONIC_SOUP_NOT_AUTHORIZED && why != SONIC_SOUP_NO_SESSION)
        return SONIC_EOPTION;
    return step(s, E_REJECT, &a);
}

void
sonic_soup_close(sonic_soup *s)
{
    struct arg a = {0};

    (void)step(s, E_LEAVE, &a);
}

/* ---- actions ----------------------------------------------------------- */

/* Say something, or fail.  A full queue is no reason for heartbeats to end it,
 * but for what the protocol cannot do without. */
static int
say(sonic_soup *s, uint8_t type, const void *data, size_t len)
{
    int r = sonic__soup_put(s, type, data, len);

    if (r < 0)
        sonic__soup_fail(s, r);
    return r;
}

/* Nothing more is said: the stream's end comes behind what is queued. */
static void
end(sonic_soup *s, enum sonic_soup_end how)
{
    s->end = (uint8_t)how;
    sonic__soup_disarm(s);
    sonic_frame_conn_close(s->conn);
}

static int
act_ask(sonic_soup *s, struct arg *a)
{
    uint8_t body[SONIC__SOUP_LOGIN_SIZE];

    (void)a;
    sonic__soup_write_login(body, &s->login);
    return say(s, SONIC__SOUP_LOGIN, body, sizeof body);
}

static int
act_decide(sonic_soup *s, struct arg *a)
{
    if (s->handler->on_login == NULL)
        return sonic_soup_reject(s, SONIC_SOUP_NOT_AUTHORIZED);
    s->handler->on_login(s, &a->login, s->ud);
    return 0;
}

static void
take_seat(sonic_soup *s, const sonic_soup_position *seat)
{
    s->next = seat->next;
    memcpy(s->login.session, seat->session, sizeof s->login.session);
    if (s->position != NULL)
        *s->position = *seat;
    s->heard = sonic_io_now(sonic_object_io(s));
    sonic__soup_arm(s);
    sonic__soup_settle(s, 0);
}

static int
act_enter(sonic_soup *s, struct arg *a)
{
    take_seat(s, &a->seat);
    if (s->handler->on_open != NULL)
        s->handler->on_open(s, s->login.session, s->next, s->ud);
    return 0;
}

static int
act_accept(sonic_soup *s, struct arg *a)
{
    uint8_t body[SONIC__SOUP_ACCEPTED_SIZE];
    int r;

    sonic__soup_write_accepted(body, a->seat.session, a->seat.next);
    r = say(s, SONIC__SOUP_ACCEPTED, body, sizeof body);
    if (r < 0)
        return r;
    take_seat(s, &a->seat);
    sonic__soup_regulate(s);
    sonic_object_defer(s); /* the source */
    return r;
}

static int
act_reject(sonic_soup *s, struct arg *a)
{
    int r = say(s, SONIC__SOUP_REJECTED, &a->type, 1);

    s->reject = a->type;
    if (r >= 0)
        end(s, SONIC_SOUP_REJECTED);
    return r;
}

static int
act_turned(sonic_soup *s, struct arg *a)
{
    s->reject = a->data[0];
    s->error = SONIC_ESOUP_REJECTED;
    end(s, SONIC_SOUP_REJECTED);
    sonic__soup_settle(s, s->error);
    return 0;
}

static int
act_message(sonic_soup *s, struct arg *a)
{
    uint64_t sequence = s->next++;

    if (s->position != NULL)
        s->position->next = s->next;
    s->stats.messages_in++;
    if (!sonic__soup_give(s, sequence, a->data, a->len) &&
        s->handler->on_message != NULL)
        s->handler->on_message(s, sequence, a->data, a->len, s->ud);
    return 0;
}

static int
act_loose(sonic_soup *s, struct arg *a)
{
    s->stats.unsequenced_in++;
    if (s->role == SONIC_SOUP_SERVER && sonic__soup_give(s, 0, a->data, a->len))
        return 0;
    if (s->handler->on_unsequenced != NULL)
        s->handler->on_unsequenced(s, a->data, a->len, s->ud);
    return 0;
}

static int
act_note(sonic_soup *s, struct arg *a)
{
    if (a->type != SONIC__SOUP_DEBUG)
        s->stats.heartbeats_in++;
    else if (s->handler->on_debug != NULL)
        s->handler->on_debug(s, (const char *)a->data, a->len, s->ud);
    return 0;
}

static int
act_logout(sonic_soup *s, struct arg *a)
{
    (void)a;
    end(s, SONIC_SOUP_LOGOUT);
    return 0;
}

static int
act_finish(sonic_soup *s, struct arg *a)
{
    (void)a;
    end(s, SONIC_SOUP_SESSION);
    return 0;
}

static int
act_leave(sonic_soup *s, struct arg *a)
{
    bool client = s->role == SONIC_SOUP_CLIENT;

    (void)a;
    if (sonic__soup_put(s, client ? SONIC__SOUP_LOGOUT : SONIC__SOUP_END, NULL,
                        0) < 0)
        sonic_frame_conn_terminate(s->conn); /* its peer sees that end */
    end(s, client ? SONIC_SOUP_LOGOUT : SONIC_SOUP_SESSION);
    return 0;
}

static int
act_hang_up(sonic_soup *s, struct arg *a)
{
    (void)a;
    end(s, SONIC_SOUP_TERMINATED);
    return 0;
}

static int
act_unexpected(sonic_soup *s, struct arg *a)
{
    a->err = SONIC_ESOUP_UNEXPECTED;
    return act_fail(s, a);
}

/* The frame connection's on_close, from the loop, tells the user. */
static int
act_fail(sonic_soup *s, struct arg *a)
{
    s->end = SONIC_SOUP_BROKEN;
    s->error = a->err;
    sonic__soup_disarm(s);
    sonic_frame_conn_terminate(s->conn);
    return a->err;
}

static int
act_gone(sonic_soup *s, struct arg *a)
{
    bool left = s->end != SONIC_SOUP_BROKEN;

    if (!left)
        s->end = (uint8_t)a->end;
    if (s->error == 0)
        s->error = a->err == 0 && !left ? SONIC_EOF : a->err;
    sonic__soup_disarm(s);
    return 0;
}

static int
act_refuse(sonic_soup *s, struct arg *a)
{
    (void)s;
    (void)a;
    return SONIC_ESTATE;
}

static int
act_nothing(sonic_soup *s, struct arg *a)
{
    (void)s;
    (void)a;
    return 0;
}

static int
act_impossible(sonic_soup *s, struct arg *a)
{
    (void)s;
    (void)a;
    assert(false && "a cell that cannot be reached");
    return SONIC_ESTATE;
}
