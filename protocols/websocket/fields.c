#include "websocket/fields.h"

#include <string.h>

#include "websocket/chars.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool
sonic__http_str_is(struct sonic__http_str s, const char *text)
{
    return strlen(text) == s.len &&
           (s.len == 0 || memcmp(s.ptr, text, s.len) == 0);
}

bool
sonic__http_str_is_nocase(struct sonic__http_str s, const char *text)
{
    size_t i = 0;

    while (i < s.len && text[i] != '\0' &&
           sonic__http_lower(s.ptr[i]) == sonic__http_lower(text[i]))
        i++;
    return i == s.len && text[i] == '\0';
}

bool
sonic__http_is_token(struct sonic__http_str s)
{
    size_t i = 0;

    while (i < s.len && sonic__http_class(s.ptr[i]) == SONIC__HTTP_TCHAR)
        i++;
    return i > 0 && i == s.len;
}

bool
sonic__http_is_value(struct sonic__http_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (sonic__http_class(s.ptr[i])) {
        case SONIC__HTTP_CR:
        case SONIC__HTTP_LF:
        case SONIC__HTTP_CTL:
            return false;
        default:
            break;
        }
    }
    return true;
}

int
sonic__http_find(const struct sonic__http_head *h, const char *window,
                 const char *name, unsigned from)
{
    size_t len = strlen(name);

    for (unsigned i = from; i < h->n_fields; i++)
        if (h->fields[i].name.len == len &&
            sonic__http_str_is_nocase(
                sonic__http_str_at(window, h->fields[i].name), name))
            return (int)i;
    return -1;
}

unsigned
sonic__http_count(const struct sonic__http_head *h, const char *window,
                  const char *name, struct sonic__http_str *value)
{
    unsigned n = 0;
    int at = -1;

    *value = (struct sonic__http_str){NULL, 0};
    while ((at = sonic__http_find(h, window, name, (unsigned)(at + 1))) >= 0)
        if (n++ == 0)
            *value = sonic__http_str_at(window, h->fields[at].value);
    return n;
}

/* Past the quoted string that opens at p, or NULL when nothing closes it.
 * RFC 9110 5.6.4 */
static const char *
skip_quoted(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\' && p + 1 < end)
            p++;
    }
    return NULL;
}

/* Up to the next `stop` outside quoted strings, or the end; NULL when a
 * quoted string is open there. */
static const char *
skip_to(const char *p, const char *end, char stop)
{
    while (p != NULL && p < end && *p != stop)
        p = *p == '"' ? skip_quoted(p, end) : p + 1;
    return p;
}

static struct sonic__http_str
trim(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    while (p < end && is_blank(end[-1]))
        end--;
    return (struct sonic__http_str){p, (size_t)(end - p)};
}

int
sonic__http_list_next(struct sonic__http_list *l,
                      struct sonic__http_str *element)
{
    while (l->at < l->end) {
        const char *begin = l->at, *stop = skip_to(begin, l->end, ',');

        if (stop == NULL) {
            l->at = l->end;
            return SONIC_EWS_HEAD;
        }
        l->at = stop < l->end ? stop + 1 : stop;
        *element = trim(begin, stop);
        if (element->len > 0)
            return 1;
    }
    return 0;
}

void
sonic__http_each_begin(struct sonic__http_each *e,
                       const struct sonic__http_head *h, const char *window,
                       const char *name)
{
    *e = (struct sonic__http_each){h, window, name, {NULL, NULL}, 0};
}

int
sonic__http_each_next(struct sonic__http_each *e,
                      struct sonic__http_str *element)
{
    int got = 0, at;

    while (e->list.at == e->list.end ||
           (got = sonic__http_list_next(&e->list, element)) == 0) {
        struct sonic__http_str v;

        at = sonic__http_find(e->head, e->window, e->name, e->next);
        if (at < 0) {
            e->next = e->head->n_fields;
            return 0;
        }
        e->next = (unsigned)at + 1;
        v = sonic__http_str_at(e->window, e->head->fields[at].value);
        e->list = (struct sonic__http_list){v.ptr, v.ptr + v.len};
    }
    return got;
}

int
sonic__http_has_token(const struct sonic__http_head *h, const char *window,
                      const char *name, const char *token)
{
    struct sonic__http_each e;
    struct sonic__http_str element;
    bool found = false;
    int got;

    sonic__http_each_begin(&e, h, window, name);
    while ((got = sonic__http_each_next(&e, &element)) > 0)
        found = found || sonic__http_str_is_nocase(element, token);
    return got < 0 ? got : found;
}

/* Is the inside of this quoted string, its escapes taken off, a token?
 * RFC 6455 9.1 demands it, so that the quotes say nothing. */
static bool
quotes_token(struct sonic__http_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++, n++) {
        if (s.ptr[i] == '\\')
            i++;
        if (i == s.len || sonic__http_class(s.ptr[i]) != SONIC__HTTP_TCHAR)
            return false;
    }
    return n > 0;
}

/* 1 with the parameter behind the semicolon at x->at, 0 at the end, or
 * SONIC_EWS_EXTENSION. */
static int
next_param(struct sonic__ws_extension *x, struct sonic__ws_param *p)
{
    const char *stop, *eq;

    if (x->at == x->end)
        return 0;
    stop = skip_to(x->at + 1, x->end, ';');
    eq = skip_to(x->at + 1, stop != NULL ? stop : x->end, '=');
    if (stop == NULL || eq == NULL)
        return SONIC_EWS_EXTENSION;
    *p = (struct sonic__ws_param){.name = trim(x->at + 1, eq)};
    x->at = stop;
    if (!sonic__http_is_token(p->name))
        return SONIC_EWS_EXTENSION;
    if (eq == stop)
        return 1;
    p->value = trim(eq + 1, stop);
    if (p->value.len < 2 || p->value.ptr[0] != '"')
        return sonic__http_is_token(p->value) ? 1 : SONIC_EWS_EXTENSION;
    if (skip_quoted(p->value.ptr, stop) != p->value.ptr + p->value.len)
        return SONIC_EWS_EXTENSION;
    p->quoted = true;
    p->value.ptr++;
    p->value.len -= 2;
    return quotes_token(p->value) ? 1 : SONIC_EWS_EXTENSION;
}

int
sonic__ws_extension_parse(struct sonic__http_str element,
                          struct sonic__ws_extension *x)
{
    const char *end = element.ptr + element.len;
    const char *stop = skip_to(element.ptr, end, ';');
    struct sonic__ws_param p;
    int got;

    if (stop == NULL)
        return SONIC_EWS_EXTENSION;
    *x = (struct sonic__ws_extension){trim(element.ptr, stop), stop, end};
    if (!sonic__http_is_token(x->name))
        return SONIC_EWS_EXTENSION;
    while ((got = next_param(x, &p)) > 0)
        ;
    x->at = stop;
    return got;
}

bool
sonic__ws_param_next(struct sonic__ws_extension *x, struct sonic__ws_param *p)
{
    return next_param(x, p) == 1;
}
