/* The head machine against the plain reference, whole and in pieces, and what
 * the handshake makes of a head.
 *
 * Input: a byte of settings (bit 0: response, bits 1..2: header lines, bits
 * 3..7: size of the pieces less one), a byte of limit (times 64), the head. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/http_reference.h"
#include "websocket/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_ws_head: %s\n", what);
        abort();
    }
}

static bool
inside(struct sonic__http_str s, const char *window, size_t n)
{
    return s.ptr == NULL || (s.ptr >= window && s.ptr + s.len <= window + n);
}

static void
judge_request(const struct sonic__http_head *h, const char *window, size_t n)
{
    static const char *const ours[] = {"chat", "a"};
    struct sonic__ws_asked asked;
    int err = sonic__ws_request_check(h, window, &asked);

    need((err == 0) == (asked.status == 101), "a status for each error");
    need((err == 0) == (asked.why == NULL), "a reason for each error");
    need(inside(asked.target, window, n) && inside(asked.key, window, n) &&
             inside(asked.host, window, n) && inside(asked.origin, window, n),
         "a piece outside the head");
    if (err == 0) {
        const struct sonic__ws_response r = {.key = asked.key};

        need(asked.target.ptr[0] == '/', "target without /");
        need(sonic__ws_response_build(&r, NULL, 0) > 0, "no answer");
    }
    need(sonic__ws_subprotocol_choose(h, window, ours, 2) < 2, "choice");
}

static void
judge_response(const struct sonic__http_head *h, const char *window, size_t n)
{
    static const char *const subprotocols[] = {"chat"};
    const struct sonic__ws_request asked = {.subprotocols = subprotocols,
                                            .n_subprotocols = 1,
                                            .extensions = "x; y",
                                            .nonce = "the sample nonce"};
    struct sonic__ws_answer answer;
    int err = sonic__ws_response_check(h, window, &asked, &answer);

    need((err == 0) == (answer.why == NULL), "a reason for each error");
    need(err != 0 || h->status == 101, "a status that is not 101");
    need(inside(answer.subprotocol, window, n), "a piece outside the head");
}

/* Feed in pieces; each time the window is a block of just the right size. */
static char *
feed(struct sonic__http_head *h, const char *in, size_t n, size_t piece)
{
    char *window = NULL;

    for (size_t have = 0; have < n || window == NULL;) {
        have = n - have > piece ? have + piece : n;
        free(window);
        window = malloc(have > 0 ? have : 1);
        need(window != NULL, "out of memory");
        if (have > 0)
            memcpy(window, in, have);
        if (sonic__http_head_feed(h, window, have) != 0)
            break;
    }
    return window;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_reference ref;
    static char text[sizeof ref.text];
    struct sonic__http_field fields[30];
    const char *in = (const char *)data + 2;
    enum sonic__http_role role;
    unsigned max;
    size_t limit, piece;

    if (size < 2 || size > 70000)
        return 0;
    size -= 2;
    role = data[0] & 1 ? SONIC__HTTP_RESPONSE : SONIC__HTTP_REQUEST;
    max = (data[0] >> 1 & 3) * 10;
    piece = (data[0] >> 3) + 1u;
    limit = data[1] == 0 ? SONIC__HTTP_HEAD_BYTES : data[1] * 64u;
    http_reference(&ref, role, limit, max, in, size);
    for (int whole = 0; whole < 2; whole++) {
        struct sonic__http_head h;
        char *window;
        size_t n;

        sonic__http_head_init(&h, role, limit, fields, (uint16_t)max);
        window = feed(&h, in, size, whole ? size : piece);
        need(h.verdict == ref.verdict, "another verdict than the reference");
        need((h.verdict < 0) == (h.why != NULL), "a reason for each error");
        need(h.answer == ref.answer, "another status than the reference");
        need(h.work <= 2 * size, "more work than linear");
        if (h.verdict > 0) {
            n = http_describe(&h, role, window, text, sizeof text);
            need(n == ref.n && memcmp(text, ref.text, n) == 0,
                 "read something else than the reference");
            if (role == SONIC__HTTP_REQUEST)
                judge_request(&h, window, (size_t)h.verdict);
            else
                judge_response(&h, window, (size_t)h.verdict);
        }
        free(window);
    }
    return 0;
}
