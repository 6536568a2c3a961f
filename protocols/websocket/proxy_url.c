#include <string.h>

#include "websocket/proxy.h"
#include "websocket/url.h"

static const struct scheme {
    const char *name;
    enum sonic__proxy_kind kind;
    uint16_t port;
} schemes[] = {
    {"http:", SONIC__PROXY_HTTP, 80},
    {"socks5:", SONIC__PROXY_SOCKS5, 1080},
    {"socks5h:", SONIC__PROXY_SOCKS5, 1080},
};

static const char *
parse_credentials(struct sonic__url_cut in, struct sonic__proxy_url *url)
{
    static const char too_long[] = "a credential is longer than 255 bytes";
    const char *colon = memchr(in.at, ':', (size_t)(in.end - in.at));
    const char *user_end = colon != NULL ? colon : in.end, *why;

    why = sonic__url_decode((struct sonic__url_cut){in.at, user_end}, url->user,
                            SONIC__PROXY_CREDENTIAL_MAX, too_long);
    if (why != NULL || colon == NULL)
        return why;
    return sonic__url_decode((struct sonic__url_cut){colon + 1, in.end},
                             url->password, SONIC__PROXY_CREDENTIAL_MAX,
                             too_long);
}

static const char *
parse_rest(const char *rest, uint16_t port, struct sonic__proxy_url *url)
{
    const char *end, *at = NULL, *why;

    if (rest[0] != '/' || rest[1] != '/')
        return "there is no // behind the proxy's scheme";
    rest += 2;
    end = rest + strcspn(rest, "/?#");
    if (end[0] != '\0' && strcmp(end, "/") != 0)
        return "a proxy's URL has no path";
    for (const char *p = rest; p < end; p++)
        if (*p == '@')
            at = p; /* the last one: RFC 3986 3.2.1 has none in a name */
    url->credentials = at != NULL;
    if (at != NULL) {
        why = parse_credentials((struct sonic__url_cut){rest, at}, url);
        if (why != NULL)
            return why;
        rest = at + 1;
    }
    return sonic__url_authority((struct sonic__url_cut){rest, end}, port,
                                &url->at);
}

static const char *
parse(const char *text, struct sonic__proxy_url *url)
{
    const char *why = sonic__url_check_text(text), *rest;

    if (why != NULL)
        return why;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        rest = sonic__url_after(text, schemes[i].name);
        if (rest == NULL)
            continue;
        url->kind = schemes[i].kind;
        return parse_rest(rest, schemes[i].port, url);
    }
    return "the proxy's scheme is not http, socks5 or socks5h";
}

int
sonic__proxy_url_parse(const char *text, struct sonic__proxy_url *url,
                       const char **why)
{
    const char *reason;

    memset(url, 0, sizeof *url);
    url->at.size = sizeof url->at;
    reason = parse(text, url);
    if (why != NULL)
        *why = reason;
    return reason == NULL ? 0 : SONIC_EWS_URL;
}
