/* The steps that wait for something, and those of the handshake. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "payload.h"
#include "play.h"

static bool
flush(struct play *p)
{
    if (p->wire.out.len > 0 && !wire_flush(&p->wire) && !p->wire.deaf)
        return play_wrong(p, "the peer reads no more");
    return true;
}

static bool
come(struct play *p, struct event *e)
{
    p->wire.deadline = clock_now() + p->setup->patience;
    if (!flush(p))
        return false;
    event_next(p, e);
    return e->kind != EVENT_WRONG;
}

/* What came is this. */
static bool
is(struct play *p, struct event *e, unsigned opcode, const struct bytes *data)
{
    char want[LOG_LINE];
    bool good = e->kind < EVENT_END && e->opcode == opcode &&
                bytes_equal(&e->data, data);

    snprintf(want, sizeof want, "%s %s", opcode_name(opcode), bytes_show(data));
    if (!good && e->kind == EVENT_END)
        play_wrong(p, "expected %s, got the end", want);
    else if (!good)
        play_wrong(p, "expected %s, got %s %s", want, opcode_name(e->opcode),
                   bytes_show(&e->data));
    bytes_free(&e->data);
    return good;
}

/* ---- messages ---------------------------------------------------------- */

static bool
step_echo(struct play *p, const char *text)
{
    struct message *m = p->sent;
    struct event e;
    bool good;

    if (m == NULL)
        return play_wrong(p, "nothing was sent that could come back");
    if (!come(p, &e))
        return false;
    if (e.kind == EVENT_MESSAGE && *text != '\0' &&
        e.squashed != (*text == 'z')) {
        bytes_free(&e.data);
        return play_wrong(p, "expected it %scompressed",
                          *text == 'z' ? "" : "not ");
    }
    p->sent = m->next;
    if (p->sent == NULL)
        p->last = &p->sent;
    good = is(p, &e, m->opcode, &m->data);
    bytes_free(&m->data);
    free(m);
    return good;
}

static bool
expect(struct play *p, unsigned opcode, const struct bytes *data)
{
    struct event e;

    return come(p, &e) && is(p, &e, opcode, data);
}

static bool
step_recv(struct play *p, const char *text)
{
    struct bytes data = {NULL, 0, 0};
    unsigned opcode = 0;
    size_t n = strcspn(text, " ");
    bool good;

    while (opcode < 16 && (strlen(opcode_name(opcode)) != n ||
                           strncmp(text, opcode_name(opcode), n) != 0))
        opcode++;
    if (opcode == 16 || !payload_read(text + n, &data))
        return play_wrong(p, "this step cannot be read");
    good = expect(p, opcode, &data);
    bytes_free(&data);
    return good;
}

static bool
step_alive(struct play *p, const char *text)
{
    (void)text;
    return send_step(p, "ping \"still there?\"") &&
           step_recv(p, "pong \"still there?\"");
}

/* ---- the end ----------------------------------------------------------- */

/* The peer ends the stream; it sends nothing more. */
static bool
await_end(struct play *p)
{
    struct wire *w = &p->wire;

    wire_need(w, w->in.len - w->at + 1);
    if (w->in.len > w->at)
        return play_wrong(p, "%zu bytes after the end", w->in.len - w->at);
    if (w->end == WIRE_LATE)
        return play_wrong(p, "the peer does not end the stream");
    if (w->end == WIRE_TLS)
        return play_wrong(p, "TLS: %s", w->why);
    return true;
}

static bool
answer_close(struct play *p, unsigned code)
{
    char text[32];

    if (code == 0)
        return send_step(p, "close");
    snprintf(text, sizeof text, "close code %u", code);
    return send_step(p, text);
}

/* The close frame with that code (0: none), and then the end: a server ends
 * TCP itself, a client waits for us (7.1.1). */
static bool
closing(struct play *p, unsigned code, bool answer)
{
    struct event e;
    unsigned got = 0;
    bool good;

    if (!come(p, &e))
        return false;
    good = e.kind == EVENT_CONTROL && e.opcode == OP_CLOSE;
    if (!good)
        play_wrong(p, "expected a close with %u, got %s", code,
                   e.kind == EVENT_END ? "the end" : opcode_name(e.opcode));
    if (good && e.data.len >= 2)
        got = (unsigned)e.data.data[0] << 8 | e.data.data[1];
    bytes_free(&e.data);
    if (good && got != code)
        good = play_wrong(p, "expected a close with %u, got %u", code, got);
    if (good && answer)
        good = answer_close(p, code) && (flush(p) || p->wire.deaf);
    if (good && !p->setup->server)
        wire_finish(&p->wire);
    return good && await_end(p);
}

static bool
step_fail(struct play *p, const char *text)
{
    return closing(p, (unsigned)strtoul(text, NULL, 10), true);
}

static bool
step_closed(struct play *p, const char *text)
{
    return closing(p, (unsigned)strtoul(text, NULL, 10), false);
}

static bool
step_end(struct play *p, const char *text)
{
    (void)text;
    return send_step(p, "close code 1000") && closing(p, 1000, false);
}

static bool
step_gone(struct play *p, const char *text)
{
    struct event e;

    (void)text;
    while (come(p, &e)) {
        bytes_free(&e.data);
        if (e.kind == EVENT_END)
            return true;
        wire_finish(&p->wire);
    }
    return false;
}

static bool
step_cut(struct play *p, const char *text)
{
    (void)text;
    if (!flush(p))
        return false;
    wire_cut(&p->wire);
    return true;
}

/* ---- bytes ------------------------------------------------------------- */

static bool
step_bytes(struct play *p, const char *text)
{
    struct bytes data = {NULL, 0, 0};
    bool good = payload_read(text, &data);

    play_log(p, "> %s", bytes_show(&data));
    bytes_add(&p->wire.out, data.data, data.len);
    bytes_free(&data);
    return good || play_wrong(p, "this step cannot be read");
}

static bool
step_flush(struct play *p, const char *text)
{
    (void)text;
    return flush(p);
}

static bool
step_chop(struct play *p, const char *text)
{
    p->wire.chop = strtoul(text, NULL, 10);
    return flush(p);
}

/* ---- handshakes made by hand ------------------------------------------- */

/* A literal with @key@ and @accept@ in it. */
static bool
step_head(struct play *p, const char *text)
{
    struct bytes data = {NULL, 0, 0};
    char accept[29];
    bool good = payload_read(text, &data);

    http_accept(p->key, accept);
    for (size_t i = 0; good && i < data.len; i++) {
        size_t left = data.len - i;

        if (left >= 5 && memcmp(data.data + i, "@key@", 5) == 0) {
            bytes_add(&p->wire.out, p->key, strlen(p->key));
            i += 4;
        } else if (left >= 8 && memcmp(data.data + i, "@accept@", 8) == 0) {
            bytes_add(&p->wire.out, accept, strlen(accept));
            i += 7;
        } else {
            bytes_add(&p->wire.out, data.data + i, 1);
        }
    }
    play_log(p, "> %.*s", (int)data.len, (char *)data.data);
    bytes_free(&data);
    return good || play_wrong(p, "this step cannot be read");
}

static bool
answered(struct play *p)
{
    p->wire.deadline = clock_now() + p->setup->patience;
    if (!flush(p))
        return false;
    if (!head_read(&p->wire, &p->head))
        return play_wrong(p, "expected an answer, got none");
    play_log(p, "< %s", p->head.first);
    return true;
}

static bool
step_status(struct play *p, const char *text)
{
    if (!answered(p))
        return false;
    if (strncmp(p->head.first, "HTTP/1.1 ", 9) != 0 ||
        strncmp(p->head.first + 9, text, 3) != 0)
        return play_wrong(p, "expected status %s, got %s", text, p->head.first);
    while (wire_fill(&p->wire))
        p->wire.at = p->wire.in.len;
    return p->wire.end == WIRE_EOF || play_wrong(p, "it does not end");
}

static bool
step_upgraded(struct play *p, const char *text)
{
    const char *agreed = NULL, *wrong;

    (void)text;
    p->opened = true;
    if (!p->setup->server)
        return flush(p);
    if (!answered(p))
        return false;
    wrong = http_check_answer(&p->head, p->key, &agreed);
    return wrong == NULL || play_wrong(p, "%s", wrong);
}

/* A server's answer is looked at before a frame is sent. */
static bool
step_refused(struct play *p, const char *text)
{
    (void)text;
    p->wire.deadline = clock_now() + p->setup->patience;
    if (!flush(p))
        return false;
    wire_need(&p->wire, 1);
    if (p->wire.in.len > p->wire.at)
        return play_wrong(p, "it goes on");
    return p->wire.end != WIRE_LATE || play_wrong(p, "it does not end");
}

static bool
step_nothing(struct play *p, const char *text)
{
    (void)p;
    (void)text;
    return true;
}

static const struct {
    const char *name;
    bool (*take)(struct play *p, const char *text);
} steps[] = {{"send", send_step},
             {"echo", step_echo},
             {"recv", step_recv},
             {"alive", step_alive},
             {"end", step_end},
             {"closed", step_closed},
             {"fail", step_fail},
             {"gone", step_gone},
             {"cut", step_cut},
             {"bytes", step_bytes},
             {"flush", step_flush},
             {"chop", step_chop},
             {"cipher", step_nothing},
             {"tls", step_nothing},
             {"rekey", step_rekey},
             {"renegotiate", step_renegotiate},
             {"hangup", step_hangup},
             {"head", step_head},
             {"status", step_status},
             {"upgraded", step_upgraded},
             {"refused", step_refused},
             /* Looked at before the first step is taken. */
             {"only", step_nothing},
             {"full", step_nothing},
             {"raw", step_nothing},
             {"offer", step_nothing},
             {"answer", step_nothing},
             {"agree", step_nothing}};

bool
step_take(struct play *p, const char *line)
{
    size_t n = strcspn(line, " ");

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strlen(steps[i].name) == n && strncmp(line, steps[i].name, n) == 0)
            return steps[i].take(p, line + n + strspn(line + n, " "));
    return play_wrong(p, "there is no such step");
}
