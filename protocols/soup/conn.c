#include "soup/conn.h"

#include <errno.h>
#include <string.h>

#include "base/pack.h"
#include "soup/packet.h"

#define SECOND (INT64_C(1000) * 1000 * 1000)

static const sonic_soup_handler nothing = {SONIC_SOUP_HANDLER_INIT};

/* ---- the frame connection below ---------------------------------------- */

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    sonic_soup *s = ud;

    (void)conn;
    sonic__soup_packet(s, data, len);
    sonic__soup_regulate(s);
}

static void
report(sonic_soup *s)
{
    const sonic_soup_close_record why = {
        .end = (enum sonic_soup_end)s->end,
        .state = (enum sonic_soup_state)s->ended_in,
        .reject = (enum sonic_soup_reject)s->reject,
        .error = s->error,
        .next = s->next,
        .unsent = s->unsent,
    };

    sonic__soup_settle(s, s->error < 0 ? s->error : SONIC_EOF);
    sonic__soup_complete_read(s, s->error < 0 ? s->error : SONIC_EOF);
    if (s->handler->on_close != NULL)
        s->handler->on_close(s, &why, s->ud);
}

/* It is over: freed here, or by sonic_soup_free. */
static void
let_go(sonic_soup *s)
{
    sonic_frame_conn_free(s->conn);
    s->conn = NULL;
    sonic_timer_free(s->timer);
    s->timer = NULL;
}

static void
on_close(sonic_frame_conn *conn, const sonic_frame_close_record *why, void *ud)
{
    sonic_soup *s = ud;

    (void)conn;
    s->unsent = why->unsent;
    sonic__soup_gone(
        s, why->error == -ECANCELED ? SONIC_SOUP_TERMINATED : SONIC_SOUP_BROKEN,
        why->error);
    let_go(s);
    sonic_object_hold(s);
    report(s);
    sonic_object_drop(s);
    sonic_object_drop(s); /* the connection's */
}

/* ---- the object -------------------------------------------------------- */

/* A turn of the loop: the source of messages; or, when it was freed, the last
 * word to a reader. */
static void
run(void *object)
{
    sonic_soup *s = object;

    if (!sonic_object_closed(s))
        sonic_soup_pump(s);
    else if (s->conn == NULL)
        sonic__soup_complete_read(s, -ECANCELED);
}

/* ---- making one -------------------------------------------------------- */

static int
set_text(char *dst, size_t max, const char *text)
{
    if (text == NULL)
        return 0;
    if (!sonic__soup_fits(text, max))
        return SONIC_EOPTION;
    strcpy(dst, text);
    return 0;
}

static int
set_login(sonic_soup *s, const sonic_soup_options *o)
{
    const char *session = o->session;
    uint64_t sequence = o->sequence;
    int err;

    if (o->position != NULL) {
        s->position = o->position;
        session = o->position->session;
        sequence = o->position->next;
    }
    s->login.sequence = sequence != 0 ? sequence : 1;
    if (o->most_recent == SONIC_ON)
        s->login.sequence = 0;
    if (o->any_sequence == SONIC_ON)
        s->flags |= SONIC__SOUP_ANY;
    err = set_text(s->login.user, SONIC_SOUP_USER_MAX, o->user);
    if (err == 0)
        err = set_text(s->login.password, SONIC_SOUP_PASSWORD_MAX, o->password);
    if (err == 0)
        err = set_text(s->login.session, SONIC_SOUP_SESSION_MAX, session);
    return err;
}

static int
set_time(int64_t *out, int64_t value, int64_t otherwise)
{
    *out = value == 0 ? otherwise : value;
    return value < 0 || value > INT64_MAX / 4 ? SONIC_EOPTION : 0;
}

static int
set_options(sonic_soup *s, const sonic_soup_options *o)
{
    int64_t now = sonic_io_now(sonic_object_io(s));
    int err;

    s->max_message =
        o->max_message != 0 ? o->max_message : SONIC_SOUP_MESSAGE_MAX;
    if (s->max_message > SONIC_SOUP_MESSAGE_MAX)
        return SONIC_EOPTION;
    err = set_time(&s->heartbeat, o->heartbeat, SECOND);
    if (err == 0)
        err = set_time(&s->silence, o->silence, 15 * SECOND);
    if (err == 0)
        err = set_time(&s->login_by, o->login_timeout, 15 * SECOND);
    if (err == 0 && s->silence < s->heartbeat)
        err = SONIC_EOPTION;
    s->login_by += now;
    s->heard = s->said = now;
    return err == 0 ? set_login(s, o) : err;
}

static int
new_frame_conn(sonic_soup *s, sonic_stream *stream, const sonic_soup_options *o)
{
    static const sonic_frame_handler handler = {
        SONIC_FRAME_HANDLER_INIT, .on_frame = on_frame, .on_close = on_close};
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    sonic_frame_format format = SONIC_FRAME_FORMAT_INIT;
    sonic_frame_codec codec;
    int err;

    format.length = 2;
    format.max_body =
        1 + (s->max_message > SONIC__SOUP_LOGIN_SIZE ? s->max_message
                                                     : SONIC__SOUP_LOGIN_SIZE);
    opt.close_timeout = o->close_timeout;
    opt.low_water = o->low_water;
    opt.high_water = o->high_water;
    opt.queue_limit = o->queue_limit;
    err = sonic_frame_codec_init(&codec, &format);
    if (err == 0)
        err = sonic_frame_conn_new(stream, &codec, &opt, &handler, s, &s->conn);
    return err;
}

static int
soup_new(sonic_stream *stream, enum sonic_soup_role role,
         const sonic_soup_options *opt, const sonic_soup_handler *handler,
         void *ud, sonic_soup **out)
{
    static const sonic_object_class cls = {
        SONIC_OBJECT_CLASS_INIT,
        .bytes = sizeof(sonic_soup),
        .run = run,
    };
    sonic_io *io = sonic_stream_io(stream);
    sonic_soup_options o;
    sonic_soup *s;
    void *object;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0 && handler != NULL)
        err = sonic__options_fit(handler, sizeof *handler);
    if (err == 0)
        err = sonic_object_new(io, &cls, &object);
    if (err < 0)
        return err;
    s = object;
    s->role = (uint8_t)role;
    s->handler = handler != NULL ? handler : &nothing;
    s->ud = ud;
    err = set_options(s, &o);
    if (err == 0)
        err = sonic_timer_new(io, &s->timer);
    if (err == 0)
        err = new_frame_conn(s, stream, &o);
    if (err < 0) {
        sonic_timer_free(s->timer);
        sonic_object_free(s);
        return err;
    }
    sonic_object_hold(s); /* until the connection's on_close */
    sonic__soup_arm(s);
    sonic__soup_begin(s);
    *out = s;
    return 0;
}

int
sonic_soup_client_new(sonic_stream *stream, const sonic_soup_options *opt,
                      const sonic_soup_handler *handler, void *ud,
                      sonic_soup **out)
{
    return soup_new(stream, SONIC_SOUP_CLIENT, opt, handler, ud, out);
}

int
sonic_soup_server_new(sonic_stream *stream, const sonic_soup_options *opt,
                      const sonic_soup_handler *handler, void *ud,
                      sonic_soup **out)
{
    return soup_new(stream, SONIC_SOUP_SERVER, opt, handler, ud, out);
}

/* ---- ending ------------------------------------------------------------ */

void
sonic_soup_terminate(sonic_soup *s)
{
    if (s->conn == NULL)
        return;
    sonic__soup_gone(s, SONIC_SOUP_TERMINATED, -ECANCELED);
    sonic_frame_conn_terminate(s->conn);
}

void
sonic_soup_free(sonic_soup *s)
{
    bool alive;

    if (s == NULL)
        return;
    alive = s->conn != NULL;
    s->handler = &nothing;
    if (alive) {
        sonic_soup_terminate(s);
        let_go(s);
    }
    sonic__soup_settle(s, -ECANCELED);
    sonic_object_free(s);
    if (alive)
        sonic_object_drop(s); /* its on_close will not run */
}

/* ---- looking at one ---------------------------------------------------- */

enum sonic_soup_state
sonic_soup_state(const sonic_soup *s)
{
    return (enum sonic_soup_state)s->state;
}

enum sonic_soup_role
sonic_soup_role(const sonic_soup *s)
{
    return (enum sonic_soup_role)s->role;
}

const char *
sonic_soup_session(const sonic_soup *s)
{
    return s->next != 0 ? s->login.session : "";
}

uint64_t
sonic_soup_next(const sonic_soup *s)
{
    return s->next;
}

sonic_io *
sonic_soup_io(const sonic_soup *s)
{
    return sonic_object_io(s);
}

sonic_stream *
sonic_soup_next_layer(const sonic_soup *s)
{
    return s->conn != NULL ? sonic_frame_conn_next_layer(s->conn) : NULL;
}

void *
sonic_soup_user(const sonic_soup *s)
{
    return s->ud;
}

int
sonic_soup_set_handler(sonic_soup *s, const sonic_soup_handler *handler,
                       void *ud)
{
    int err =
        handler == NULL ? 0 : sonic__options_fit(handler, sizeof *handler);

    if (err < 0)
        return err;
    s->handler = handler != NULL ? handler : &nothing;
    s->ud = ud;
    sonic__soup_regulate(s);
    sonic_object_defer(s); /* a new source, maybe */
    return 0;
}

void
sonic_soup_set_trace(sonic_soup *s, const sonic_fsm_tracer *tracer)
{
    s->tracer = tracer;
}

void
sonic_soup_get_stats(const sonic_soup *s, sonic_soup_stats *out)
{
    *out = s->stats;
}
