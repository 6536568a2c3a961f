#include "play.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORTS = 20 };

/* "repeat" of a word: how often, in a hurry and otherwise. */
static const struct {
    const char *word;
    unsigned long hurried, full;
} often[] = {{"many", 20, 1000}, {"several", 3, 200}, {"few", 2, 20}};

/* The rest of the case's line that begins with a word, or NULL. */
static const char *
setting(const struct test_case *t, const char *word)
{
    size_t n = strlen(word);

    for (char **l = t->line; *l != NULL; l++)
        if (strncmp(*l, word, n) == 0 && ((*l)[n] == ' ' || (*l)[n] == '\0'))
            return *l + n + strspn(*l + n, " ");
    return NULL;
}

bool
play_concerns(const struct setup *s, const struct test_case *t)
{
    const char *only = setting(t, "only");

    if (only != NULL && strcmp(only, s->server ? "server" : "client") != 0)
        return false;
    if (!s->deflate && setting(t, s->server ? "offer" : "answer") != NULL)
        return false;
    if (s->tls == NULL &&
        (setting(t, "cipher") != NULL || setting(t, "tls") != NULL))
        return false;
    return s->full || setting(t, "full") == NULL;
}

/* ---- saying what happened ---------------------------------------------- */

bool
play_wrong(struct play *p, const char *format, ...)
{
    va_list args;

    if (p->wrong[0] != '\0')
        return false;
    va_start(args, format);
    vsnprintf(p->wrong, sizeof p->wrong, format, args);
    va_end(args);
    return false;
}

void
play_log(struct play *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->log[p->logged++ % LOG_LINES], LOG_LINE, format, args);
    va_end(args);
}

static void
report(const struct play *p, size_t at)
{
    const struct test_case *t = p->test;
    unsigned long i = p->logged > LOG_LINES ? p->logged - LOG_LINES : 0;

    printf("FAIL %s %s\n", t->id, t->title);
    if (t->line[at] != NULL)
        printf("     %s:%d: %s\n", t->file, t->number[at], t->line[at]);
    printf("     %s\n", p->wrong);
    if (i > 0)
        printf("     (%lu lines)\n", i);
    for (; i < p->logged; i++)
        printf("     %s\n", p->log[i % LOG_LINES]);
    fflush(stdout);
}

/* ---- the handshake ----------------------------------------------------- */

static bool
agree(struct play *p, const char *text)
{
    const char *wrong = agreement_read(&p->agreed, text);
    const char *want = setting(p->test, "agree");

    if (wrong != NULL)
        return play_wrong(p, "%s: %s", wrong, text);
    if (want != NULL && strcmp(want, text != NULL ? text : "nothing") != 0)
        return play_wrong(p, "agreed on %s", text != NULL ? text : "nothing");
    squash_open(&p->squash, &p->agreed, !p->setup->server);
    return true;
}

static bool
shake_as_client(struct play *p)
{
    const char *agreed, *wrong;

    http_ask(&p->wire.out, "/", p->offer, p->key);
    if (!wire_flush(&p->wire) || !head_read(&p->wire, &p->head))
        return play_wrong(p, "no answer to the upgrade request");
    wrong = http_check_answer(&p->head, p->key, &agreed);
    if (wrong != NULL)
        return play_wrong(p, "%s: %s", wrong, p->head.first);
    if (p->offer == NULL && agreed != NULL)
        return play_wrong(p, "9.1: an extension that was not offered");
    return agree(p, agreed);
}

static bool
shake_as_server(struct play *p)
{
    const char *key, *offer, *wrong;

    wrong = http_check_request(&p->head, &key, &offer);
    if (wrong != NULL)
        return play_wrong(p, "%s: %s", wrong, p->head.first);
    if (p->answer != NULL && offer == NULL) /* "none": the steps answer */
        return play_wrong(p, "the client offered no extension");
    snprintf(p->key, sizeof p->key, "%s", key);
    if (p->raw)
        return true;
    http_answer(&p->wire.out, key, p->answer);
    return agree(p, p->answer);
}

static bool
open_it(struct play *p)
{
    int fd;

    p->offer = setting(p->test, "offer");
    p->answer = setting(p->test, "answer");
    p->raw = setting(p->test, "raw") != NULL;
    p->wire.deadline = clock_now() + p->setup->patience;
    if (!p->setup->server) {
        tls_settings(p, NULL, setting(p->test, "cipher"));
        return shake_as_server(p);
    }
    fd = wire_dial(p->setup->address);
    if (fd < 0)
        return play_wrong(p, "cannot connect to %s", p->setup->address);
    wire_open(&p->wire, fd, p->setup->step);
    tls_settings(p, setting(p->test, "tls"), setting(p->test, "cipher"));
    if (p->setup->tls != NULL &&
        !wire_secure(&p->wire, p->setup->tls, "localhost"))
        return play_wrong(p, "TLS: %s", p->wire.why);
    snprintf(p->key, sizeof p->key, "dGhlIHNhbXBsZSBub25jZQ==");
    return p->raw || shake_as_client(p);
}

/* ---- steps ------------------------------------------------------------- */

/* Where the last "repeat" was, and how often it has still to be. */
struct loop {
    size_t begin;
    unsigned long left;
};

static unsigned long
how_often(const struct setup *setup, const char *text)
{
    for (size_t i = 0; i < sizeof often / sizeof *often; i++)
        if (strcmp(text, often[i].word) == 0)
            return setup->full ? often[i].full : often[i].hurried;
    return strtoul(text, NULL, 10);
}

static bool
take_all(struct play *p, size_t *at)
{
    struct loop loop = {0, 0};

    for (; p->test->line[*at] != NULL; ++*at) {
        const char *line = p->test->line[*at];

        if (strncmp(line, "repeat ", 7) == 0) {
            loop.begin = *at;
            loop.left = how_often(p->setup, line + 7);
        } else if (strcmp(line, "done") == 0) {
            if (--loop.left > 0)
                *at = loop.begin;
        } else if (!step_take(p, line)) {
            return false;
        }
    }
    return true;
}

bool
play_case(struct play *p, const struct test_case *t)
{
    size_t at = 0;
    bool good;

    p->test = t;
    p->logged = 0;
    p->wrong[0] = '\0';
    p->opened = p->inside = false;
    p->last = &p->sent;
    p->agreed = (struct agreement){.on = false};
    good = open_it(p) && take_all(p, &at);
    if (!good && p->reports++ < REPORTS)
        report(p, at);
    squash_close(&p->squash);
    send_forget(p);
    bytes_free(&p->coming);
    wire_close(&p->wire);
    return good;
}
