#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "talk.h"

void
show_text(const char *data, size_t len)
{
    enum { PIECE = 256 };
    char piece[4 * PIECE + 9];

    while (isatty(STDOUT_FILENO) && len > 0) {
        size_t n = len < PIECE ? len : PIECE;

        if (n < len && data[n - 1] == '\xc2')
            n--; /* what may be a control of two bytes stays together */
        fputs(printable(data, n, "\n\t", piece, sizeof piece), stdout);
        data += n;
        len -= n;
    }
    fwrite(data, 1, len, stdout);
    putchar('\n');
}

void
show_raw(const void *data, size_t len)
{
    fwrite(data, 1, len, stdout);
}

/* As `hexdump -C` does it, the length at the end. */
void
show_dump(const void *data, size_t len)
{
    enum { ROW = 16 };
    const unsigned char *p = data;

    for (size_t at = 0; at < len; at += ROW) {
        size_t n = len - at < ROW ? len - at : ROW;

        printf("%08zx ", at);
        for (size_t i = 0; i < ROW; i++) {
            fputs(i == ROW / 2 ? "  " : " ", stdout);
            if (i < n)
                printf("%02x", p[at + i]);
            else
                fputs("  ", stdout);
        }
        fputs("  |", stdout);
        for (size_t i = 0; i < n; i++)
            putchar(p[at + i] < 0x80 && isprint(p[at + i]) ? p[at + i] : '.');
        fputs("|\n", stdout);
    }
    printf("%08zx\n", len);
}

/* RFC 6455 section 7.4.1, and the registry that it opened. */
static const char *
meaning(unsigned code)
{
    static const char *const names[] = {"normal closure",
                                        "going away",
                                        "protocol error",
                                        "unsupported data",
                                        NULL,
                                        "no status",
                                        "abnormal closure",
                                        "invalid payload",
                                        "policy violation",
                                        "message too big",
                                        "extension missing",
                                        "internal error",
                                        "service restart",
                                        "try again later",
                                        "bad gateway",
                                        "TLS handshake failed"};

    if (code >= 1000 && code - 1000 < sizeof names / sizeof names[0] &&
        names[code - 1000] != NULL)
        return names[code - 1000];
    return code >= 4000   ? "of the application"
           : code >= 3000 ? "registered with IANA"
                          : "unassigned";
}

/* The codes that say that something was wrong. */
static bool
is_error(unsigned code)
{
    return code > SONIC_WS_GOING_AWAY && code < 3000 &&
           code != SONIC_WS_NO_STATUS;
}

bool
went_well(const sonic_ws_close_record *why)
{
    return why->clean && !is_error(why->code);
}

static bool
never_opened(const sonic_ws_close_record *why)
{
    return why->layer >= SONIC_WS_LAYER_RESOLVE &&
           why->layer <= SONIC_WS_LAYER_HANDSHAKE;
}

/* Room for a reason of which every byte is shown as \xNN. */
enum { REASON = 4 * sizeof((sonic_ws_close_record *)0)->reason + 9 };

/* The reason, which the peer may have chosen, else the error. */
static const char *
words_of(const sonic_ws_close_record *why, char text[REASON])
{
    if (*why->reason == '\0')
        return sonic_strerror(why->error);
    return printable(why->reason, strlen(why->reason), "", text, REASON);
}

static void
show_failure(const sonic_ws_close_record *why, const struct talk_options *opt)
{
    char reason[REASON];
    const char *words = words_of(why, reason);
    const char *advice = secure_advice(why->error);
    const char *proxy = opt->ws.proxy, *at;
    char status[32] = "", through[256] = "";

    if (why->status != 0)
        snprintf(status, sizeof status, "status %u: ", why->status);
    if (proxy != NULL) { /* without its password */
        at = strrchr(proxy, '@');
        snprintf(through, sizeof through, " through the proxy %s",
                 at != NULL ? at + 1 : proxy);
    }
    complain("connect", "cannot connect to %s%s: %s%s", opt->url, through,
             status, words);
    if (advice != NULL && strstr(words, "try ws") == NULL)
        complain("connect", "%s", advice);
}

void
show_doubt(const sonic_stream *stream, const struct talk_options *opt)
{
    if (!opt->quiet && sonic_stream_is_tls(stream) &&
        sonic_tls_verify_result(stream) < 0)
        fprintf(stderr, "the server is not verified: %s\n",
                sonic_tls_reason(stream));
    if (!opt->quiet && opt->tls.ktls && sonic_stream_is_tls(stream))
        fprintf(stderr, "kTLS: %s\n", sonic_tls_ktls(stream));
}

void
show_close(const sonic_ws_close_record *why, const struct talk_options *opt)
{
    static const char *const sides[] = {"", " by us", " by the peer"};
    const char *quote = *why->reason ? "\"" : "";
    char reason[REASON];

    if (never_opened(why)) {
        show_failure(why, opt);
        return;
    }
    if (went_well(why) && opt->quiet)
        return;
    if (why->clean)
        fprintf(stderr, "closed%s: %u %s%s%s%s%s\n", sides[why->side],
                why->code, meaning(why->code), *quote ? ", " : "", quote,
                *quote ? words_of(why, reason) : "", quote);
    else if (why->layer == SONIC_WS_LAYER_PROTOCOL &&
             why->code != SONIC_WS_ABNORMAL)
        fprintf(stderr,
                "closed by us for what the peer sent: %u %s: "
                "%s\n",
                why->code, meaning(why->code), words_of(why, reason));
    else
        fprintf(stderr, "not closed cleanly: %u %s%s: %s\n", why->code,
                meaning(why->code), sides[why->side], words_of(why, reason));
    if (why->unsent > 0)
        fprintf(stderr, "%zu bytes were not sent\n", why->unsent);
}
