#include "http_drive.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct sonic__http_field room[HTTP_DRIVE_FIELDS];
static struct http_reference ref;

void
http_drive_init(struct http_drive *d, const struct http_input *in)
{
    *d = (struct http_drive){.role = in->role, .input = in->text};
    sonic__http_head_init(&d->h, in->role, in->limit,
                          in->fields > 0 ? room : NULL, (uint16_t)in->fields);
}

int
http_drive_to(struct http_drive *d, size_t len)
{
    free(d->window);
    d->window = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(d->window);
    memcpy(d->window, d->input, len);
    d->len = len;
    return sonic__http_head_feed(&d->h, d->window, len);
}

void
http_drive_end(struct http_drive *d)
{
    free(d->window);
    d->window = NULL;
}

void
http_agree(const struct http_drive *d, const struct http_reference *r,
           const char *what)
{
    static char text[sizeof r->text];
    const char *state = sonic__http_head_fsm.states[d->h.state];
    const struct sonic__http_head *h = &d->h;
    size_t n;

    ck_assert_msg(d->h.verdict == r->verdict, "%s: %d at %zu, not %d", what,
                  d->h.verdict, d->len, r->verdict);
    if (r->verdict < 0) {
        ck_assert_uint_eq(d->h.answer, r->answer);
        ck_assert_ptr_nonnull(d->h.why);
        ck_assert_str_eq(state, "FAILED");
    } else if (r->verdict > 0) {
        n = http_describe(&d->h, d->role, d->window, text, sizeof text);
        ck_assert_msg(n == r->n && memcmp(text, r->text, n) == 0,
                      "%s: read\n%s", what, text);
        ck_assert_str_eq(state, "DONE");
    }
    if (d->role == SONIC__HTTP_REQUEST) /* nothing of the other role */
        ck_assert(h->status == 0 && h->reason.off == 0 && h->reason.len == 0);
    else
        ck_assert(h->method.len == 0 && h->method.off == 0 &&
                  h->target.len == 0 && h->target.off == 0);
}

static void
judge(const struct http_input *in)
{
    http_reference(&ref, in->role, in->limit, in->fields, in->text, in->n);
}

int
http_agree_whole(const struct http_input *in, unsigned *answer,
                 const char *what)
{
    struct http_drive d;

    judge(in);
    http_drive_init(&d, in);
    (void)http_drive_to(&d, in->n);
    http_agree(&d, &ref, what);
    http_drive_end(&d);
    *answer = d.h.answer;
    return d.h.verdict;
}

void
http_agree_bytewise(const struct http_input *in, const char *what)
{
    struct http_drive d;

    judge(in);
    http_drive_init(&d, in);
    for (size_t i = 0; i <= in->n; i++) {
        int got = http_drive_to(&d, i);
        int expected = ref.verdict == 0 || i < ref.at ? 0 : ref.verdict;

        if (got != expected)
            ck_abort_msg("%s: %d at %zu, not %d", what, got, i, expected);
    }
    http_agree(&d, &ref, what);
    http_drive_end(&d);
}
