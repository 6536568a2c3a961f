/* Any string as a URL, of a WebSocket server and of a proxy: what is parsed
 * holds together, can be sent, and means the same once more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_ws_url: %s\n", what);
        abort();
    }
}

/* A request with these parts is one that our own head machine reads. */
static void
send_it(const sonic_url *u)
{
    const struct sonic__ws_request r = {.authority = u->authority,
                                        .resource = u->resource};
    static char out[SONIC_URL_MAX + 1000];
    struct sonic__http_field fields[10];
    struct sonic__http_head h;
    struct sonic__ws_asked asked;
    int n = sonic__ws_request_build(&r, out, sizeof out), got;

    need(n > 0 && (size_t)n <= sizeof out, "cannot be sent");
    sonic__http_head_init(&h, SONIC__HTTP_REQUEST, 0, fields, 10);
    got = sonic__http_head_feed(&h, out, (size_t)n);
    need(got == n || (got < 0 && h.answer == 414), "cannot be read");
    if (got == n)
        need(sonic__ws_request_check(&h, out, &asked) == 0 &&
                 sonic__http_str_is(asked.host, u->authority) &&
                 sonic__http_str_is(
                     (struct sonic__http_str){
                         asked.target.ptr + (u->resource[0] != '/'),
                         asked.target.len - (u->resource[0] != '/')},
                     u->resource),
             "says something else");
}

/* The same again from what was parsed, which has no scope any more. */
static void
parse_again(const sonic_url *u)
{
    sonic_url v = SONIC_URL_INIT;
    char text[SONIC_URL_MAX + 1000];
    size_t len = strcspn(u->host, "%");

    (void)snprintf(text, sizeof text, "%s://%s", u->secure ? "wss" : "ws",
                   u->authority);
    need(sonic_url_parse(text, &v, NULL) == 0, "authority does not parse");
    need(v.kind == u->kind && v.port == u->port && v.secure == u->secure &&
             strcmp(v.authority, u->authority) == 0 &&
             strlen(v.host) ==
                 (u->kind == SONIC_URL_IPV6 ? len : strlen(u->host)) &&
             memcmp(v.host, u->host, strlen(v.host)) == 0,
         "parses to something else");
}

static void
try_websocket(const char *text)
{
    sonic_url u = SONIC_URL_INIT;
    const char *why = NULL;
    int err = sonic_url_parse(text, &u, &why);

    need(err == 0 || err == SONIC_EWS_URL, "another error");
    need((err == 0) == (why == NULL), "a reason for each error");
    if (err != 0)
        return;
    need(u.resource >= text &&
             u.resource + strlen(u.resource) == text + strlen(text),
         "resource is not the end of the URL");
    need((u.port == 0) == (u.kind == SONIC_URL_UNIX), "port");
    need(u.host[0] != '\0' &&
             strlen(u.host) <= (u.kind == SONIC_URL_UNIX ? SONIC_URL_UNIX_MAX
                                                         : SONIC_URL_HOST_MAX),
         "host");
    send_it(&u);
    if (u.kind != SONIC_URL_UNIX)
        parse_again(&u);
}

static void
try_proxy(const char *text)
{
    struct sonic__proxy_url u;
    struct sonic__proxy p;
    struct sonic__http_field fields[1];
    const char *why = NULL;
    int err = sonic__proxy_url_parse(text, &u, &why);

    need(err == 0 || err == SONIC_EWS_URL, "another error");
    need((err == 0) == (why == NULL), "a reason for each error");
    if (err != 0)
        return;
    const struct sonic__proxy_options to = {
        .kind = u.kind,
        .host = u.at.host,
        .port = u.at.port,
        .user = u.credentials ? u.user : NULL,
        .password = u.credentials ? u.password : NULL,
    };
    if (sonic__proxy_init(&p, &to, fields, 1) == 0)
        need(sonic__proxy_say(&p, NULL, 0) > 0, "nothing to say");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size > SONIC_URL_MAX + 100)
        return 0;
    text = malloc(size + 1);
    need(text != NULL, "out of memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    try_websocket(text);
    try_proxy(text);
    free(text);
    return 0;
}
