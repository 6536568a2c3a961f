#include "websocket/out.h"

#include <openssl/evp.h>
#include <string.h>

#include "websocket/chars.h"

static struct sonic__http_str
str_of(const char *text)
{
    return (struct sonic__http_str){text, text == NULL ? 0 : strlen(text)};
}

static void
fail(struct sonic__out *o, int err)
{
    if (o->err == 0)
        o->err = err;
}

void
sonic__out_bytes(struct sonic__out *o, const char *p, size_t len)
{
    if (len > SONIC__OUT_MAX - o->len) {
        fail(o, SONIC_ETOOBIG);
        return;
    }
    if (o->len < o->cap && len > 0)
        memcpy(o->buf + o->len, p,
               len < o->cap - o->len ? len : o->cap - o->len);
    o->len += len;
}

void
sonic__out_text(struct sonic__out *o, const char *text)
{
    sonic__out_bytes(o, text, strlen(text));
}

void
sonic__out_visible(struct sonic__out *o, const char *text)
{
    struct sonic__http_str s = str_of(text);

    for (size_t i = 0; i < s.len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            fail(o, SONIC_EWS_HEADER);
    if (text == NULL)
        fail(o, SONIC_EWS_HEADER);
    else
        sonic__out_bytes(o, text, s.len);
}

void
sonic__out_value(struct sonic__out *o, const char *text)
{
    struct sonic__http_str s = str_of(text);

    if (text == NULL || !sonic__http_is_value(s))
        fail(o, SONIC_EWS_HEADER);
    else
        sonic__out_bytes(o, text, s.len);
}

void
sonic__out_field(struct sonic__out *o, const char *name, const char *value)
{
    sonic__out_text(o, name);
    sonic__out_text(o, ": ");
    sonic__out_value(o, value);
    sonic__out_text(o, "\r\n");
}

void
sonic__out_header(struct sonic__out *o, const struct sonic_ws_header *f)
{
    bool first = true; /* of a part between hyphens */

    for (const char *p = f->name; *p != '\0'; p++) {
        char c = sonic__http_lower(*p);

        if (f->exact_case)
            c = *p;
        else if (first && c >= 'a' && c <= 'z')
            c = (char)(c - 0x20);
        first = *p == '-';
        sonic__out_bytes(o, &c, 1);
    }
    sonic__out_text(o, ": ");
    sonic__out_value(o, f->value);
    sonic__out_text(o, "\r\n");
}

int
sonic__out_end(const struct sonic__out *o)
{
    return o->err != 0 ? o->err : (int)o->len;
}

bool
sonic__out_is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (sonic__http_str_is_nocase(str_of(name), *names))
            return true;
    return false;
}

int
sonic__out_check(struct sonic__out_headers f, const char *const *ours)
{
    for (size_t i = 0; i < f.n; i++)
        if (!sonic__http_is_token(str_of(f.list[i].name)) ||
            f.list[i].value == NULL ||
            !sonic__http_is_value(str_of(f.list[i].value)) ||
            sonic__out_is_one_of(f.list[i].name, ours))
            return SONIC_EWS_HEADER;
    return 0;
}

const struct sonic_ws_header *
sonic__out_last(struct sonic__out_headers f, const char *name)
{
    const char *const names[] = {name, NULL};

    for (size_t i = f.n; i-- > 0;)
        if (sonic__out_is_one_of(f.list[i].name, names))
            return &f.list[i];
    return NULL;
}

void
sonic__out_default(struct sonic__out *o, struct sonic__out_headers f,
                   const char *name, const char *value)
{
    const struct sonic_ws_header *theirs = sonic__out_last(f, name);

    if (theirs != NULL)
        sonic__out_header(o, theirs);
    else if (value != NULL)
        sonic__out_field(o, name, value);
}

void
sonic__out_rest(struct sonic__out *o, struct sonic__out_headers f,
                const char *const *except)
{
    for (size_t i = 0; i < f.n; i++)
        if (!sonic__out_is_one_of(f.list[i].name, except) &&
            sonic__out_last(f, f.list[i].name) == &f.list[i])
            sonic__out_header(o, &f.list[i]);
}

size_t
sonic__out_base64(char *out, const void *p, size_t len)
{
    return (size_t)EVP_EncodeBlock((unsigned char *)out, p, (int)len);
}
