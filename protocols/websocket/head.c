#include "websocket/head.h"

#include <assert.h>
#include <string.h>

#include "websocket/chars.h"

typedef int fsm_act(struct sonic__http_head *h, const char *window);
static fsm_act act_none, act_next, act_method, act_target, act_version,
    act_status, act_reason, act_begin, act_name, act_value, act_empty, act_done,
    act_reject, act_long_method, act_long_target, act_too_big;

#define FSM_NAME "ws-head"
#define FSM_DEF "websocket/head.def"
#define FSM_INFO sonic__http_head_fsm
#define FSM_SPARSE
#include <sonicio/fsm_build.h>

_Static_assert((int)E_TCHAR == SONIC__HTTP_TCHAR &&
                   (int)E_CTL == SONIC__HTTP_CTL,
               "a byte's class is its event");

#define BIT(e) (1u << E_##e)
#define VISIBLE (BIT(TCHAR) | BIT(COLON) | BIT(TEXT))
#define BLANK (BIT(SP) | BIT(HT))

/* The bytes that are more of the element: rows that change nothing, as sets.
 * tests/check_ws_head.c feeds byte by byte and in bulk and compares. */
static const uint16_t eats[FSM_STATES] = {
    [S_METHOD] = BIT(TCHAR),
    [S_TARGET] = VISIBLE,
    [S_PROTO] = BIT(TCHAR) | BIT(TEXT),
    [S_VERSION] = BIT(TCHAR) | BIT(TEXT),
    [S_STATUS] = BIT(TCHAR),
    [S_REASON] = VISIBLE | BLANK | BIT(OBS),
    [S_NAME] = BIT(TCHAR),
    [S_PAD] = BLANK,
    [S_VALUE] = VISIBLE | BLANK | BIT(OBS),
};

/* The bytes that end an element whose form is then judged. */
static const uint16_t ends[FSM_STATES] = {
    [S_METHOD] = BIT(SP),  [S_TARGET] = BIT(SP),           [S_PROTO] = BIT(CR),
    [S_VERSION] = BIT(SP), [S_STATUS] = BIT(SP) | BIT(CR),
};

enum { VERSION_LEN = 8, STATUS_LEN = 3, LIMIT_MIN = 64 };

/* Most bytes of an element; 0 where only the head's own limit holds. */
static const uint16_t longest[FSM_STATES] = {
    [S_METHOD] = SONIC__HTTP_METHOD_MAX,
    [S_TARGET] = SONIC__HTTP_TARGET_MAX,
    [S_PROTO] = VERSION_LEN,
    [S_VERSION] = VERSION_LEN,
    [S_STATUS] = STATUS_LEN,
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Is the element that ends here what its state calls it? */
static bool
well_formed(const struct sonic__http_head *h, const char *window)
{
    const char *p = window + h->start;
    size_t len = (size_t)(h->seen - h->start);

    switch (h->state) {
    case S_PROTO:
    case S_VERSION:
        return len == VERSION_LEN && memcmp(p, "HTTP/", 5) == 0 &&
               is_digit(p[5]) && p[6] == '.' && is_digit(p[7]);
    case S_STATUS:
        return len == STATUS_LEN && is_digit(p[0]) && p[0] != '0' &&
               is_digit(p[1]) && is_digit(p[2]);
    default:
        return len > 0;
    }
}

/* What the byte at `seen` is to the machine.  Pure. */
static enum fsm_event
classify(const struct sonic__http_head *h, const char *window)
{
    unsigned c = sonic__http_class(window[h->seen]);

    if (eats[h->state] >> c & 1)
        return longest[h->state] != 0 && h->seen - h->start >= longest[h->state]
                   ? E_LONG
                   : (enum fsm_event)c;
    if ((ends[h->state] >> c & 1) && !well_formed(h, window))
        return E_BAD;
    if (h->state == S_LINE && c == E_TCHAR && h->n_fields == h->max_fields)
        return E_FULL;
    return (enum fsm_event)c;
}

const char *
sonic__ws_row_why(const sonic_fsm *fsm, unsigned state, unsigned event)
{
    for (unsigned i = 0; i < fsm->n_rows; i++)
        if (fsm->rows[i].state == state && fsm->rows[i].event == event)
            return fsm->rows[i].why;
    return NULL;
}

static void
step(struct sonic__http_head *h, const char *window, enum fsm_event e)
{
    uint8_t from = h->state;
    const struct fsm_cell *c = fsm_step(&h->state, e, h->tracer);

    assert(c->act != NULL);
    h->verdict = c->act(h, window);
    if (h->verdict < 0)
        h->why = sonic__ws_row_why(&FSM_INFO, from, (unsigned)e);
}

void
sonic__http_head_init(struct sonic__http_head *h, enum sonic__http_role role,
                      size_t limit, struct sonic__http_field *fields,
                      uint16_t max_fields)
{
    memset(h, 0, sizeof *h);
    if (limit == 0)
        limit = SONIC__HTTP_HEAD_BYTES;
    if (limit < LIMIT_MIN)
        limit = LIMIT_MIN;
    if (limit > SONIC__HTTP_HEAD_BYTES_MAX)
        limit = SONIC__HTTP_HEAD_BYTES_MAX;
    h->limit = (uint16_t)limit;
    h->fields = fields;
    h->max_fields = max_fields;
    h->state = S_START;
    step(h, NULL, role == SONIC__HTTP_REQUEST ? E_REQUEST : E_RESPONSE);
}

/* Take the bytes that would change nothing. */
static void
run(struct sonic__http_head *h, const char *window, size_t end)
{
    unsigned mask = eats[h->state];
    size_t i = h->seen;

    if (longest[h->state] != 0 && end > (size_t)h->start + longest[h->state])
        end = (size_t)h->start + longest[h->state];
    while (i < end && (mask >> sonic__http_class(window[i]) & 1))
        i++;
    h->seen = (uint16_t)i;
}

int
sonic__http_head_feed(struct sonic__http_head *h, const char *window,
                      size_t len)
{
    size_t end = len < h->limit ? len : h->limit;
    uint16_t before = h->seen;

    while (!fsm_final[h->state] && h->seen < end) {
        step(h, window, classify(h, window));
        h->seen++;
        run(h, window, end);
    }
    if (!fsm_final[h->state] && h->seen == h->limit)
        step(h, window, E_OVER);
    h->work += (uint32_t)(h->seen - before);
    return h->verdict;
}

/* ---- actions; the byte in question is the one at `seen` ---- */

/* The element that ends here; the next may begin behind. */
static struct sonic__http_span
take(struct sonic__http_head *h)
{
    uint16_t from = h->start;

    h->start = (uint16_t)(h->seen + 1);
    return (struct sonic__http_span){from, (uint16_t)(h->seen - from)};
}

static int
act_none(struct sonic__http_head *h, const char *window)
{
    (void)h;
    (void)window;
    return 0;
}

static int
act_next(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->start = (uint16_t)(h->seen + 1);
    return 0;
}

static int
act_method(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->method = take(h);
    return 0;
}

static int
act_target(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->target = take(h);
    return 0;
}

static int
act_version(struct sonic__http_head *h, const char *window)
{
    const char *p = window + take(h).off;

    h->major = (uint8_t)(p[5] - '0');
    h->minor = (uint8_t)(p[7] - '0');
    return 0;
}

static int
act_status(struct sonic__http_head *h, const char *window)
{
    const char *p = window + take(h).off;

    h->status = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0');
    return 0;
}

static int
act_reason(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->reason = take(h);
    return 0;
}

static int
act_begin(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->start = h->seen;
    return 0;
}

static int
act_name(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->fields[h->n_fields].name = take(h);
    return 0;
}

static int
act_value(struct sonic__http_head *h, const char *window)
{
    struct sonic__http_span v = take(h);

    h->work += v.len;
    while (v.len > 0 && (window[v.off + v.len - 1] == ' ' ||
                         window[v.off + v.len - 1] == '\t'))
        v.len--;
    h->work -= v.len; /* the white space was looked at twice */
    h->fields[h->n_fields++].value = v;
    return 0;
}

static int
act_empty(struct sonic__http_head *h, const char *window)
{
    h->start = h->seen;
    return act_value(h, window);
}

static int
act_done(struct sonic__http_head *h, const char *window)
{
    (void)window;
    return h->seen + 1;
}

static int
act_reject(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->answer = 400;
    return SONIC_EWS_HEAD;
}

static int
act_long_method(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->answer = 501;
    return SONIC_EWS_HEAD_TOOBIG;
}

static int
act_long_target(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->answer = 414;
    return SONIC_EWS_HEAD_TOOBIG;
}

static int
act_too_big(struct sonic__http_head *h, const char *window)
{
    (void)window;
    h->answer = 431;
    return SONIC_EWS_HEAD_TOOBIG;
}
