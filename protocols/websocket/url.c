#include "websocket/url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sonicio/error.h>

#include "websocket/chars.h"

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 0 to 15, or -1. */
static int
hex(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_unreserved(char c)
{
    char l = (char)(c | 0x20);

    return is_digit(c) || (l >= 'a' && l <= 'z') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

const char *
sonic__url_after(const char *text, const char *scheme)
{
    for (; *scheme != '\0'; text++, scheme++)
        if (sonic__http_lower(*text) != *scheme)
            return NULL;
    return text;
}

/* ---- these return NULL, or why not ---- */

const char *
sonic__url_check_text(const char *text)
{
    if (strnlen(text, SONIC_URL_MAX + 1) > SONIC_URL_MAX)
        return "the URL is longer than 8192 bytes";
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80)
            return "a byte is not ASCII: percent-encode it, or write the host "
                   "as xn--";
        if (*p <= ' ' || *p == 0x7f)
            return "a space or control byte is not percent-encoded";
    }
    return NULL;
}

const char *
sonic__url_decode(struct sonic__url_cut in, char *out, size_t max,
                  const char *too_long)
{
    size_t n = 0;

    for (; in.at < in.end; in.at++) {
        int c = *in.at;

        if (c == '%') {
            if (in.end - in.at < 3 || hex(in.at[1]) < 0 || hex(in.at[2]) < 0)
                return "a % is not followed by two hexadecimal digits";
            c = hex(in.at[1]) * 16 + hex(in.at[2]);
            in.at += 2;
        }
        if (c == 0)
            return "%00 cannot be part of a name";
        if (n == max)
            return too_long;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return NULL;
}

static const char *
parse_port(struct sonic__url_cut in, uint16_t *port)
{
    unsigned long v = 0;

    if (in.at == in.end)
        return NULL; /* RFC 3986 6.2.3: an empty port is the default */
    for (; in.at < in.end; in.at++) {
        if (!is_digit(*in.at))
            return "the port is not a number";
        v = v * 10 + (unsigned long)(*in.at - '0');
        if (v > 65535)
            return "the port is above 65535";
    }
    if (v == 0)
        return "port 0 cannot be connected to";
    *port = (uint16_t)v;
    return NULL;
}

/* Would an address parser take the name for an IPv4 address, such as 1.2.3
 * or 0x7f.1?  It does when the last label is a number. */
static bool
ends_in_number(const char *host)
{
    size_t len = strlen(host);
    const char *label, *p;

    if (len > 0 && host[len - 1] == '.')
        len--;
    for (label = host + len; label > host && label[-1] != '.';)
        label--;
    p = label;
    if (p[0] == '0' && (p[1] | 0x20) == 'x') {
        for (p += 2; p < host + len && hex(*p) >= 0;)
            p++;
        return p == host + len;
    }
    while (p < host + len && is_digit(*p))
        p++;
    return p > label && p == host + len;
}

static const char *
parse_name(struct sonic__url_cut in, sonic_url *u)
{
    size_t len = (size_t)(in.end - in.at);
    unsigned char v4[4];

    if (len == 0)
        return "there is no host";
    if (len > SONIC_URL_HOST_MAX)
        return "the host is longer than 253 bytes";
    for (const char *p = in.at; p < in.end; p++) {
        if (*p == '%')
            return "percent-encoding in a host name is not supported";
        if (!is_unreserved(*p) && strchr("!$&'()*+,;=", *p) == NULL)
            return "the host has a character that host names do not have";
    }
    memcpy(u->host, in.at, len);
    u->host[len] = '\0';
    memcpy(u->authority, u->host, len + 1);
    u->kind = SONIC_URL_NAME;
    if (!ends_in_number(u->host))
        return NULL;
    u->kind = SONIC_URL_IPV4;
    return inet_pton(AF_INET, u->host, v4) == 1
               ? NULL
               : "the host looks like an IPv4 address and is not one";
}

/* What is between the brackets. */
static const char *
parse_ipv6(struct sonic__url_cut in, sonic_url *u)
{
    const char *scope = memchr(in.at, '%', (size_t)(in.end - in.at));
    size_t len = (size_t)((scope != NULL ? scope : in.end) - in.at);
    unsigned char v6[16];
    const char *why;

    u->kind = SONIC_URL_IPV6;
    if (len >= INET6_ADDRSTRLEN)
        return "the brackets do not hold an IPv6 address";
    memcpy(u->host, in.at, len);
    u->host[len] = '\0';
    if (inet_pton(AF_INET6, u->host, v6) != 1)
        return "the brackets do not hold an IPv6 address";
    (void)snprintf(u->authority, sizeof u->authority, "[%s]", u->host);
    if (scope == NULL)
        return NULL;
    if (in.end - scope < 4 || memcmp(scope, "%25", 3) != 0)
        return "an IPv6 scope is written as %25 and its name";
    u->host[len++] = '%';
    why = sonic__url_decode((struct sonic__url_cut){scope + 3, in.end},
                            u->host + len, SONIC_URL_HOST_MAX - len,
                            "the host is longer than 253 bytes");
    if (why != NULL)
        return why;
    for (const char *p = u->host + len; *p != '\0'; p++)
        if (!is_unreserved(*p))
            return "the IPv6 scope has a character that is not allowed";
    return NULL;
}

const char *
sonic__url_authority(struct sonic__url_cut in, uint16_t default_port,
                     sonic_url *u)
{
    const char *colon, *why;
    size_t len;

    if (in.at < in.end && *in.at == '[') {
        const char *close = memchr(in.at, ']', (size_t)(in.end - in.at));

        if (close == NULL)
            return "the bracket of an IPv6 address is not closed";
        colon = close + 1;
        if (colon < in.end && *colon != ':')
            return "only a port can follow an IPv6 address";
        why = parse_ipv6((struct sonic__url_cut){in.at + 1, close}, u);
    } else {
        colon = memchr(in.at, ':', (size_t)(in.end - in.at));
        if (colon == NULL)
            colon = in.end;
        else if (memchr(colon + 1, ':', (size_t)(in.end - colon - 1)) != NULL)
            return "an IPv6 address is written in brackets";
        why = parse_name((struct sonic__url_cut){in.at, colon}, u);
    }
    u->port = default_port;
    if (why == NULL && colon < in.end)
        why = parse_port((struct sonic__url_cut){colon + 1, in.end}, &u->port);
    if (why == NULL && u->port != default_port) {
        len = strlen(u->authority);
        (void)snprintf(u->authority + len, sizeof u->authority - len, ":%u",
                       (unsigned)u->port);
    }
    return why;
}

/* ws+unix:SOCKET[:RESOURCE], or wss+unix, where "//" may stand before an
 * absolute path. */
static const char *
parse_unix(const char *rest, sonic_url *u)
{
    const char *end;

    if (rest[0] == '/' && rest[1] == '/') {
        rest += 2;
        if (*rest != '/')
            return "a unix socket has no host: write ws+unix:/path/to/socket";
    }
    end = rest + strcspn(rest, ":?");
    if (end == rest)
        return "there is no socket path";
    u->kind = SONIC_URL_UNIX;
    u->resource = *end == ':' ? end + 1 : end;
    if (*u->resource != '\0' && *u->resource != '/' && *u->resource != '?')
        return "the path behind the socket does not begin with /";
    memcpy(u->authority, "localhost", sizeof "localhost");
    return sonic__url_decode((struct sonic__url_cut){rest, end}, u->host,
                             SONIC_URL_UNIX_MAX,
                             "the socket path is longer than 107 bytes");
}

static const char *
parse(const char *text, sonic_url *u)
{
    static const struct {
        const char *scheme;
        uint16_t port;
        bool secure;
    } tcp[] = {{"ws:", 80, false}, {"wss:", 443, true}};
    const char *why = sonic__url_check_text(text), *rest, *end;

    if (why != NULL)
        return why;
    if (strchr(text, '#') != NULL)
        return "a fragment (#) does not belong in a WebSocket URL";
    if ((rest = sonic__url_after(text, "ws+unix:")) != NULL)
        return parse_unix(rest, u);
    u->secure = true;
    if ((rest = sonic__url_after(text, "wss+unix:")) != NULL)
        return parse_unix(rest, u);
    for (size_t i = 0; i < sizeof tcp / sizeof tcp[0]; i++) {
        if ((rest = sonic__url_after(text, tcp[i].scheme)) == NULL)
            continue;
        if (rest[0] != '/' || rest[1] != '/')
            return "there is no // behind the scheme";
        rest += 2;
        end = rest + strcspn(rest, "/?");
        if (memchr(rest, '@', (size_t)(end - rest)) != NULL)
            return "a user name does not belong in a WebSocket URL: send an "
                   "Authorization header";
        u->secure = tcp[i].secure;
        u->resource = end;
        return sonic__url_authority((struct sonic__url_cut){rest, end},
                                    tcp[i].port, u);
    }
    return "the scheme is not ws, wss, ws+unix or wss+unix";
}

int
sonic_url_parse(const char *text, sonic_url *url, const char **why)
{
    sonic_url u = SONIC_URL_INIT;
    const char *reason;

    if (text == NULL || url == NULL || url->size != sizeof *url)
        return -EINVAL;
    reason = parse(text, &u);
    if (why != NULL)
        *why = reason;
    if (reason != NULL)
        return SONIC_EWS_URL;
    assert(u.host[0] != '\0' && u.resource != NULL);
    *url = u;
    return 0;
}
