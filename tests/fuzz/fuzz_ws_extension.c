/* permessage-deflate is agreed on, whatever the fields hold: what comes of it
 * is within what was wished, and each side understands the other.
 *
 * Input: two bytes of settings, then values of the fields, a line each.
 *   0  bit 0 server, 1 takeover, 2 the peer's, 4-7 the window
 *   1  bits 0-3 the peer's window */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/extension.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTINGS = 2, ROOM = 8192 };
static const char name[] = "Sec-WebSocket-Extensions: ";

static void
fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

struct head {
    struct sonic__http_head h;
    struct sonic__http_field fields[SONIC__HTTP_HEAD_FIELDS];
    char text[ROOM];
    size_t n;
};

static void
add(struct head *h, const void *p, size_t n)
{
    memcpy(h->text + h->n, p, n);
    h->n += n;
}

/* False when it is no head at all, or not well formed in its lists: then the
 * handshake has refused it before. */
static bool
make(struct head *h, bool request, const uint8_t *p, size_t n)
{
    static const char *const lines[] = {"HTTP/1.1 101 x\r\n",
                                        "GET / HTTP/1.1\r\n"};
    struct sonic__http_each e;
    struct sonic__http_str element;
    struct sonic__ws_extension x;
    int got;

    h->n = 0;
    add(h, lines[request], strlen(lines[request]));
    while (n > 0 && h->n < ROOM / 2) {
        const uint8_t *end = memchr(p, '\n', n);
        size_t k = end != NULL ? (size_t)(end - p) : n;

        if (k > ROOM / 4)
            return false;
        add(h, name, sizeof name - 1);
        add(h, p, k);
        add(h, "\r\n", 2);
        k += end != NULL;
        p += k;
        n -= k;
    }
    add(h, "\r\n", 2);
    sonic__http_head_init(&h->h,
                          request ? SONIC__HTTP_REQUEST : SONIC__HTTP_RESPONSE,
                          ROOM, h->fields, SONIC__HTTP_HEAD_FIELDS);
    if (sonic__http_head_feed(&h->h, h->text, h->n) != (int)h->n)
        return false;
    sonic__http_each_begin(&e, &h->h, h->text, "Sec-WebSocket-Extensions");
    while ((got = sonic__http_each_next(&e, &element)) > 0)
        if (sonic__ws_extension_parse(element, &x) < 0)
            return false;
    return got == 0;
}

static void
check_bits(unsigned bits, unsigned most)
{
    if (bits < 8 || bits > most)
        fail("a window that was not wished");
}

static void
serve(const struct head *h, const sonic_ws_deflate_agreed *wish)
{
    static const sonic_ws_deflate_agreed anything = {true, true, true, 15, 15};
    struct sonic__ws_extension_result r, back;
    static struct head answer;

    sonic__ws_extension_answer(&h->h, h->text, wish, NULL, &r);
    if (!r.agreed.on) {
        if (r.text[0] != '\0')
            fail("an answer to nothing");
        return;
    }
    check_bits(r.agreed.window_bits, wish->window_bits);
    check_bits(r.agreed.peer_window_bits, 15);
    if ((r.agreed.takeover && !wish->takeover) ||
        (r.agreed.peer_takeover && !wish->peer_takeover))
        fail("a takeover that was not wished");
    if (!make(&answer, false, (const uint8_t *)r.text, strlen(r.text)) ||
        sonic__ws_extension_accept(&answer.h, answer.text, &anything, NULL,
                                   &back) < 0)
        fail("an answer that a client does not take");
    if (strcmp(back.text, r.text) != 0 ||
        back.agreed.takeover != r.agreed.peer_takeover ||
        back.agreed.peer_takeover != r.agreed.takeover ||
        back.agreed.window_bits != r.agreed.peer_window_bits ||
        back.agreed.peer_window_bits != r.agreed.window_bits)
        fail("the two sides differ");
}

static void
accept_it(const struct head *h, const sonic_ws_deflate_agreed *wish)
{
    struct sonic__ws_extension_result r;
    int err = sonic__ws_extension_accept(&h->h, h->text, wish, NULL, &r);

    if (err < 0 && (err != SONIC_EWS_EXTENSION || r.agreed.on || !r.why))
        fail("a failure that is none");
    if (err < 0 || !r.agreed.on)
        return;
    check_bits(r.agreed.window_bits, wish->window_bits);
    check_bits(r.agreed.peer_window_bits, wish->peer_window_bits);
    if ((r.agreed.takeover && !wish->takeover) ||
        (r.agreed.peer_takeover && !wish->peer_takeover))
        fail("a takeover that was not wished");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonic_ws_deflate_agreed wish = {.on = true};
    static struct head h;
    bool server;

    if (size < SETTINGS)
        return 0;
    server = data[0] & 1;
    wish.takeover = data[0] & 2;
    wish.peer_takeover = data[0] & 4;
    wish.window_bits = (uint8_t)(8 + (data[0] >> 4) % 8);
    wish.peer_window_bits = (uint8_t)(8 + data[1] % 8);
    if (!make(&h, server, data + SETTINGS, size - SETTINGS))
        return 0;
    if (server)
        serve(&h, &wish);
    else
        accept_it(&h, &wish);
    return 0;
}
