#include "ws_drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

static void
need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "ws_drive: %s\n", what);
        abort();
    }
}

static void
put(struct ws_log *log, const void *bytes, size_t n)
{
    if (log->cap - log->n < n + 1) {
        log->cap = 2 * (log->n + n + 1);
        log->text = realloc(log->text, log->cap);
        need(log->text != NULL, "out of memory");
    }
    if (n > 0)
        memcpy(log->text + log->n, bytes, n);
    log->n += n;
    log->text[log->n] = '\0';
}

void
ws_log_line(struct ws_log *log, char kind, unsigned a, unsigned b,
            const uint8_t *data, size_t n)
{
    char line[64];
    uint64_t hash = 14695981039346656037u;
    int size = snprintf(line, sizeof line, "%c%u/%u %zu ", kind, a, b, n);

    put(log, line, (size_t)size);
    for (size_t i = 0; i < n; i++) {
        bool plain = data[i] > ' ' && data[i] < 0x7f && data[i] != '%';

        hash = (hash ^ data[i]) * 1099511628211u;
        if (n > 64)
            continue;
        size = snprintf(line, sizeof line, plain ? "%c" : "%%%02x", data[i]);
        put(log, line, (size_t)size);
    }
    if (n > 64) {
        size =
            snprintf(line, sizeof line, "#%016llx", (unsigned long long)hash);
        put(log, line, (size_t)size);
    }
    put(log, "\n", 1);
}

void
ws_log_error(struct ws_log *log, int err)
{
    const char *name = sonic_errname(err);

    put(log, name, strlen(name));
    put(log, "\n", 1);
}

void
ws_log_free(struct ws_log *log)
{
    free(log->text);
    *log = (struct ws_log){NULL, 0, 0};
}

const char *
ws_log_text(const struct ws_log *log)
{
    return log->text != NULL ? log->text : "";
}

static bool
go_on(struct ws_drive *d)
{
    d->pauses += d->pause;
    return !d->pause;
}

static bool
on_message(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    struct ws_drive *d = ud;

    ws_log_line(&d->log, 'm', opcode, flags, data, n);
    return go_on(d);
}

static bool
on_chunk(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    struct ws_drive *d = ud;
    bool first = flags & SONIC__WS_FIRST, last = flags & SONIC__WS_LAST;

    need(first == d->between, "a first chunk is marked so, and no other");
    need(n > 0 || last, "only the last chunk may be empty");
    put(&d->chunks, data, n);
    d->between = last;
    if (last) {
        ws_log_line(&d->log, 'm', opcode, flags & SONIC__WS_COMPRESSED,
                    (uint8_t *)d->chunks.text, d->chunks.n);
        d->chunks.n = 0;
    }
    return go_on(d);
}

static bool
on_frame(bool fin, uint8_t rsv, uint8_t opcode, uint8_t *data, size_t n,
         void *ud)
{
    struct ws_drive *d = ud;

    ws_log_line(&d->log, fin ? 'F' : 'f', opcode, rsv, data, n);
    return go_on(d);
}

static bool
on_control(uint8_t opcode, uint8_t *data, size_t n, void *ud)
{
    struct ws_drive *d = ud;

    ws_log_line(&d->log, 'c', opcode, 0, data, n);
    return go_on(d);
}

static const struct sonic__ws_sink sink = {on_message, on_chunk, on_frame,
                                           on_control};

void
ws_drive_init(struct ws_drive *d, const struct sonic__ws_rules *rules,
              enum sonic__ws_delivery delivery)
{
    memset(d, 0, sizeof *d);
    sonic__ws_parser_init(&d->parser, delivery);
    d->rules = *rules;
    d->between = true;
}

void
ws_drive_free(struct ws_drive *d)
{
    ws_log_free(&d->log);
    ws_log_free(&d->chunks);
    free(d->window);
    d->window = NULL;
}

/* A new window: what was kept and n more bytes, to the byte. */
static void
extend(struct ws_drive *d, size_t front, const uint8_t *data, size_t n)
{
    uint8_t *w = malloc(d->len + n > 0 ? d->len + n : 1);

    need(w != NULL, "out of memory");
    if (d->len > 0)
        memcpy(w, d->window + front, d->len);
    if (n > 0)
        memcpy(w + d->len, data, n);
    free(d->window);
    d->window = w;
    d->len += n;
    if (d->len > d->largest)
        d->largest = d->len;
}

static bool
wrong(struct ws_drive *d, const char *what)
{
    put(&d->log, what, strlen(what));
    put(&d->log, "\n", 1);
    return false;
}

bool
ws_drive_feed(struct ws_drive *d, const uint8_t *data, size_t n)
{
    struct sonic__ws_progress done;
    int r;

    extend(d, 0, data, n);
    do {
        r = sonic__ws_parse(&d->parser, &d->rules, &sink, d, d->window, d->len,
                            &done);
        if (done.consumed > d->len || done.trimmed > d->len - done.consumed)
            return wrong(d, "more was dropped than there was");
        d->len -= done.consumed + done.trimmed;
        if (r == 1 && !d->pause)
            return wrong(d, "paused without being asked to");
        if (r == 0 && done.want != 0 && done.want <= d->len)
            return wrong(d, "wants what it has");
        if (r < 0) {
            if (d->err == 0)
                ws_log_error(&d->log, r);
            else if (r != SONIC_ESTATE)
                return wrong(d, "failed twice");
            if (d->len != 0)
                return wrong(d, "failed and kept bytes");
            d->err = r;
        }
        extend(d, done.consumed, NULL, 0);
    } while (r == 1);
    return true;
}

bool
ws_drive_pieces(struct ws_drive *d, const uint8_t *data, size_t n,
                const size_t *cut, size_t cuts)
{
    size_t from = 0;

    for (size_t i = 0; i <= cuts; i++) {
        size_t to = i < cuts ? cut[i] : n;

        if (!ws_drive_feed(d, data + from, to - from))
            return false;
        from = to;
    }
    return true;
}
