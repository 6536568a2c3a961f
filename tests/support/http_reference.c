#include "http_reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char alpha[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digits[] = "0123456789";
static const char token_marks[] = "!#$%&'*+-.^_`|~";
static const char other_marks[] = "\"(),/;<=>?@[\\]{}:";

enum set { TOKEN, VISIBLE, VERSION, BLANK, TEXT };

static bool
among(char c, const char *list)
{
    return c != '\0' && strchr(list, c) != NULL;
}

static bool
is_in(char c, enum set set)
{
    bool token = among(c, alpha) || among(c, digits) || among(c, token_marks);

    switch (set) {
    case TOKEN:
        return token;
    case VERSION:
        return token || (among(c, other_marks) && c != ':');
    case VISIBLE:
        return token || among(c, other_marks);
    case BLANK:
        return c == ' ' || c == '\t';
    default:
        return token || among(c, other_marks) || c == ' ' || c == '\t' ||
               (c & 0x80) != 0;
    }
}

struct in {
    struct http_reference *r;
    const char *p;
    size_t at, n, limit;
};

static void
put(char *out, size_t cap, size_t *n, const char *p, size_t len, char end)
{
    if (cap - *n < len + 2)
        abort();
    memcpy(out + *n, p, len);
    *n += len;
    out[(*n)++] = end;
    out[*n] = '\0';
}

/* All of these return true to go on. */
static bool
stop(struct in *in, int verdict, unsigned answer)
{
    in->r->verdict = verdict;
    in->r->answer = answer;
    in->r->at = in->at + 1;
    return false;
}

/* Is there a byte to look at?  If not because of the limit, say so. */
static bool
more(struct in *in, unsigned over)
{
    if (in->at == in->limit) {
        in->at--;
        return stop(in, SONIC_EWS_HEAD_TOOBIG, over);
    }
    return in->at < in->n;
}

/* An element of bytes of the set, at most `longest`, begun at *from; a byte
 * of another kind follows. */
static bool
element(struct in *in, enum set set, size_t longest, unsigned too_long,
        unsigned over, size_t *from)
{
    *from = in->at;
    while (more(in, over)) {
        if (!is_in(in->p[in->at], set))
            return true;
        if (in->at - *from == longest)
            return stop(
                in, too_long == 400 ? SONIC_EWS_HEAD : SONIC_EWS_HEAD_TOOBIG,
                too_long);
        in->at++;
    }
    return false;
}

static bool
expect(struct in *in, char c)
{
    if (!more(in, 431))
        return false;
    if (in->p[in->at] != c)
        return stop(in, SONIC_EWS_HEAD, 400);
    in->at++;
    return true;
}

static void
note(struct in *in, size_t from, size_t to, char end)
{
    put(in->r->text, sizeof in->r->text, &in->r->n, in->p + from, to - from,
        end);
}

static bool
version(struct in *in, char end)
{
    size_t from;
    const char *v;

    if (!element(in, VERSION, 8, 400, 431, &from))
        return false;
    v = in->p + from;
    if (in->p[in->at] == end &&
        (in->at - from != 8 || strncmp(v, "HTTP/", 5) != 0 ||
         !among(v[5], digits) || v[6] != '.' || !among(v[7], digits)))
        return stop(in, SONIC_EWS_HEAD, 400);
    if (!expect(in, end))
        return false;
    note(in, from + 5, from + 6, '.');
    note(in, from + 7, from + 8, '\n');
    return true;
}

static bool
request_line(struct in *in)
{
    size_t from;

    if (in->n > 0 && in->p[0] == '\r') { /* one empty line */
        in->at++;
        if (!expect(in, '\n'))
            return false;
    }
    if (!element(in, TOKEN, 32, 501, 431, &from))
        return false;
    if (in->at == from)
        return stop(in, SONIC_EWS_HEAD, 400);
    note(in, from, in->at, '\n');
    if (!expect(in, ' ') || !element(in, VISIBLE, 8192, 414, 414, &from))
        return false;
    if (in->at == from)
        return stop(in, SONIC_EWS_HEAD, 400);
    note(in, from, in->at, '\n');
    return expect(in, ' ') && version(in, '\r');
}

static bool
status_line(struct in *in)
{
    size_t from;

    if (!version(in, ' ') || !element(in, TOKEN, 3, 400, 431, &from))
        return false;
    if (in->p[in->at] != ' ' && in->p[in->at] != '\r')
        return stop(in, SONIC_EWS_HEAD, 400);
    if (in->at - from != 3 || in->p[from] == '0' ||
        !among(in->p[from], digits) || !among(in->p[from + 1], digits) ||
        !among(in->p[from + 2], digits))
        return stop(in, SONIC_EWS_HEAD, 400);
    note(in, from, in->at, '\n');
    from = in->at;
    if (in->p[in->at] == ' ') {
        in->at++;
        if (!element(in, TEXT, SIZE_MAX, 400, 431, &from))
            return false;
    }
    note(in, from, in->at, '\n');
    return expect(in, '\r');
}

/* "name: value" without its CRLF. */
static bool
field(struct in *in, unsigned *left)
{
    size_t from, end;

    if (is_in(in->p[in->at], TOKEN) && *left == 0)
        return stop(in, SONIC_EWS_HEAD_TOOBIG, 431);
    if (!element(in, TOKEN, SIZE_MAX, 400, 431, &from))
        return false;
    if (in->at == from || in->p[in->at] != ':')
        return stop(in, SONIC_EWS_HEAD, 400);
    note(in, from, in->at, '=');
    in->at++;
    if (!element(in, BLANK, SIZE_MAX, 400, 431, &from) ||
        !element(in, TEXT, SIZE_MAX, 400, 431, &from))
        return false;
    end = in->at;
    while (end > from && is_in(in->p[end - 1], BLANK))
        end--;
    note(in, from, end, '\n');
    (*left)--;
    return expect(in, '\r');
}

void
http_reference(struct http_reference *r, enum sonic__http_role role,
               size_t limit, unsigned max_fields, const char *in, size_t n)
{
    struct in i = {.r = r, .p = in, .n = n, .limit = limit};

    r->verdict = 0;
    r->at = r->n = 0;
    r->answer = 0;
    r->text[0] = '\0';
    if (!(role == SONIC__HTTP_REQUEST ? request_line(&i) : status_line(&i)) ||
        !expect(&i, '\n'))
        return;
    while (more(&i, 431)) {
        if (in[i.at] == '\r') {
            i.at++;
            if (expect(&i, '\n')) {
                r->verdict = (int)i.at;
                r->at = i.at;
            }
            return;
        }
        if (!field(&i, &max_fields) || !expect(&i, '\n'))
            return;
    }
}

size_t
http_describe(const struct sonic__http_head *h, enum sonic__http_role role,
              const char *window, char *out, size_t cap)
{
    char line[16];
    size_t n = 0;

    if (role == SONIC__HTTP_REQUEST) {
        put(out, cap, &n, window + h->method.off, h->method.len, '\n');
        put(out, cap, &n, window + h->target.off, h->target.len, '\n');
    }
    (void)snprintf(line, sizeof line, "%u.%u", h->major, h->minor);
    put(out, cap, &n, line, strlen(line), '\n');
    if (role == SONIC__HTTP_RESPONSE) {
        (void)snprintf(line, sizeof line, "%u", h->status);
        put(out, cap, &n, line, strlen(line), '\n');
        put(out, cap, &n, window + h->reason.off, h->reason.len, '\n');
    }
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct sonic__http_field *f = &h->fields[i];

        put(out, cap, &n, window + f->name.off, f->name.len, '=');
        put(out, cap, &n, window + f->value.off, f->value.len, '\n');
    }
    return n;
}
