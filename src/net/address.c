/* Addresses as text.  Strict: what is not one of the forms of
 * <sonicio/address.h> is refused, and nothing is ever cut to fit. */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)
enum { UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

enum { LABEL_MAX = 63 }; /* RFC 1035 section 2.3.4 */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* All of text is a decimal number of at most max. */
static bool
read_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (!is_digit(*text))
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
        if (n > max)
            return false;
    }
    *out = n;
    return true;
}

/* inet_aton(3) and browsers read "1", "1.2" and "0x7f.1" as IPv4: a host that
 * ends like this is no name, whatever a resolver would make of it. */
static bool
is_number_like(const char *label)
{
    const char *p = label;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        for (p += 2; is_hex(*p); p++)
            ;
        return *p == '\0' || *p == '.';
    }
    while (is_digit(*p))
        p++;
    return p != label && (*p == '\0' || *p == '.');
}

static bool
is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-' || c == '_';
}

/* A host name: labels between dots, one dot at the end allowed. */
static bool
is_name(const char *host)
{
    const char *label = host;

    for (const char *p = host;; p++) {
        if (is_name_char(*p))
            continue;
        if (*p != '.' && *p != '\0')
            return false;
        if (p == label || p - label > LABEL_MAX)
            return false;
        if (*p == '\0' || p[1] == '\0')
            return !is_number_like(label);
        label = p + 1;
    }
}

static void
set_v4(sonic_address *a, const struct in_addr *ip)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = *ip};

    memcpy(&a->storage, &sin, sizeof sin);
    a->len = sizeof sin;
}

static void
set_v6(sonic_address *a, const struct in6_addr *ip, uint32_t scope)
{
    struct sockaddr_in6 sin6 = {
        .sin6_family = AF_INET6, .sin6_addr = *ip, .sin6_scope_id = scope};

    memcpy(&a->storage, &sin6, sizeof sin6);
    a->len = sizeof sin6;
}

void
sonic__address_set_port(sonic_address *a, uint16_t port)
{
    if (a->storage.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->storage)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&a->storage)->sin6_port = htons(port);
}

/* unix:PATH and unix:@NAME, without the prefix */
static int
split_unix(const char *path, struct sonic__address_parts *out)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    bool abstract = *path == '@';

    if (n == 0 || n > UNIX_PATH_MAX || (abstract && n == 1))
        return SONIC_EADDRESS;
    memcpy(un.sun_path, path, n);
    if (abstract)
        un.sun_path[0] = '\0';
    out->kind = SONIC__ADDRESS_UNIX;
    out->family = AF_UNIX;
    memcpy(&out->address.storage, &un, sizeof un);
    /* An abstract name is as long as it is; a path ends with its null. */
    out->address.len = (socklen_t)(UNIX_PATH_OFFSET + n + (abstract ? 0 : 1));
    return 0;
}

/* The scope of an IPv6 address: an interface's name or its number.
 * if_nametoindex(3) is the one look at the system that an address takes; it
 * has no place in the seam, because no io is at hand here. */
static bool
read_scope(const char *text, uint32_t *scope)
{
    uint64_t n;

    if (read_number(text, UINT32_MAX, &n)) {
        *scope = (uint32_t)n;
        return n != 0;
    }
    *scope = strlen(text) < IF_NAMESIZE ? if_nametoindex(text) : 0;
    return *scope != 0;
}

/* What stands between brackets. */
static int
split_v6(char *host, struct sonic__address_parts *out)
{
    char *percent = strchr(host, '%');
    struct in6_addr ip;
    uint32_t scope = 0;

    if (out->family == AF_INET)
        return SONIC_EADDRESS;
    if (percent != NULL) {
        *percent = '\0';
        if (!read_scope(percent + 1, &scope))
            return SONIC_EADDRESS;
    }
    if (inet_pton(AF_INET6, host, &ip) != 1)
        return SONIC_EADDRESS;
    out->kind = SONIC__ADDRESS_NUMERIC;
    out->family = AF_INET6;
    set_v6(&out->address, &ip, scope);
    return 0;
}

static int
split_any(struct sonic__address_parts *out)
{
    static const struct in_addr any = {0};

    out->kind = SONIC__ADDRESS_ANY;
    if (out->family == AF_INET)
        set_v4(&out->address, &any);
    else
        set_v6(&out->address, &in6addr_any, 0);
    return 0;
}

static int
split_host(struct sonic__address_parts *out)
{
    struct in_addr ip;

    if (out->host[0] == '\0')
        return split_any(out);
    if (inet_pton(AF_INET, out->host, &ip) == 1) {
        if (out->family == AF_INET6)
            return SONIC_EADDRESS;
        out->kind = SONIC__ADDRESS_NUMERIC;
        out->family = AF_INET;
        set_v4(&out->address, &ip);
        return 0;
    }
    if (!is_name(out->host))
        return SONIC_EADDRESS;
    out->kind = SONIC__ADDRESS_NAME;
    return 0;
}

/* What an address is for. */
enum { STREAMS = 1, DATAGRAMS = 2 };

/* The prefix, and what follows it; NULL: one that is for something else. */
static const char *
skip_prefix(const char *text, int use, int *family)
{
    static const struct {
        const char *text;
        int use, family;
    } prefixes[] = {
        {"unix:", STREAMS, AF_UNIX},    {"tcp:", STREAMS, AF_UNSPEC},
        {"tcp4:", STREAMS, AF_INET},    {"tcp6:", STREAMS, AF_INET6},
        {"udp:", DATAGRAMS, AF_UNSPEC}, {"udp4:", DATAGRAMS, AF_INET},
        {"udp6:", DATAGRAMS, AF_INET6},
    };

    *family = AF_UNSPEC;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i].text);

        if (strncmp(text, prefixes[i].text, n) == 0) {
            *family = prefixes[i].family;
            return prefixes[i].use & use ? text + n : NULL;
        }
    }
    return text;
}

static int
split(const char *text, int use, struct sonic__address_parts *out)
{
    const char *colon, *end;
    bool brackets;
    uint64_t port;
    int err;

    memset(out, 0, sizeof *out);
    if (text == NULL)
        return SONIC_EADDRESS;
    text = skip_prefix(text, use, &out->family);
    if (text == NULL)
        return SONIC_EADDRESS;
    if (out->family == AF_UNIX)
        return split_unix(text, out);
    brackets = *text == '[';
    if (brackets) {
        end = strchr(++text, ']');
        colon = end != NULL ? end + 1 : text;
    } else {
        colon = end = strchr(text, ':');
    }
    if (end == NULL || *colon != ':' || end - text > SONIC__HOST_MAX)
        return SONIC_EADDRESS;
    if (strlen(colon + 1) > 5 || !read_number(colon + 1, UINT16_MAX, &port))
        return SONIC_EADDRESS;
    memcpy(out->host, text, (size_t)(end - text));
    err = brackets ? split_v6(out->host, out) : split_host(out);
    if (err < 0)
        return err;
    out->port = (uint16_t)port;
    if (out->kind != SONIC__ADDRESS_NAME) {
        out->host[0] = '\0';
        sonic__address_set_port(&out->address, out->port);
    }
    return 0;
}

int
sonic__address_split(const char *text, struct sonic__address_parts *out)
{
    return split(text, STREAMS, out);
}

int
sonic__address_split_udp(const char *text, struct sonic__address_parts *out)
{
    return split(text, DATAGRAMS, out);
}

int
sonic_address_parse(const char *text, sonic_address *out)
{
    struct sonic__address_parts parts;
    int err = split(text, STREAMS | DATAGRAMS, &parts);

    memset(out, 0, sizeof *out);
    if (err < 0)
        return err;
    if (parts.kind == SONIC__ADDRESS_NAME)
        return SONIC_EADDRESS;
    *out = parts.address;
    return 0;
}

static int
format_v4(const sonic_address *a, char *text, size_t cap)
{
    const struct sockaddr_in *sin = (const struct sockaddr_in *)&a->storage;
    char ip[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &sin->sin_addr, ip, sizeof ip);
    return snprintf(text, cap, "%s:%u", ip, ntohs(sin->sin_port));
}

static int
format_v6(const sonic_address *a, char *text, size_t cap)
{
    const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&a->storage;
    unsigned port = ntohs(sin6->sin6_port);
    char ip[INET6_ADDRSTRLEN];

    inet_ntop(AF_INET6, &sin6->sin6_addr, ip, sizeof ip);
    if (sin6->sin6_scope_id == 0)
        return snprintf(text, cap, "[%s]:%u", ip, port);
    return snprintf(text, cap, "[%s%%%u]:%u", ip, (unsigned)sin6->sin6_scope_id,
                    port);
}

/* An unnamed socket is "unix:".  Nulls of an abstract name show as '@'. */
static int
format_unix(const sonic_address *a, char *text, size_t cap)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->storage;
    char path[sizeof un->sun_path + 1];
    size_t n = a->len > UNIX_PATH_OFFSET ? a->len - UNIX_PATH_OFFSET : 0;

    if (n > sizeof un->sun_path)
        n = sizeof un->sun_path;
    memcpy(path, un->sun_path, n);
    path[n] = '\0';
    if (n > 0 && path[0] == '\0')
        for (size_t i = 0; i < n; i++)
            path[i] = path[i] == '\0' ? '@' : path[i];
    return snprintf(text, cap, "unix:%s", path);
}

int
sonic_address_format(const sonic_address *a, char *text, size_t cap)
{
    int n;

    if (a->len == 0)
        n = snprintf(text, cap, "%s", "");
    else if (a->storage.ss_family == AF_INET)
        n = format_v4(a, text, cap);
    else if (a->storage.ss_family == AF_INET6)
        n = format_v6(a, text, cap);
    else if (a->storage.ss_family == AF_UNIX)
        n = format_unix(a, text, cap);
    else
        n = snprintf(text, cap, "family-%d", (int)a->storage.ss_family);
    return n < 0 || (size_t)n >= cap ? SONIC_ETOOBIG : n;
}

uint16_t
sonic_address_port(const sonic_address *a)
{
    if (a->len == 0)
        return 0;
    if (a->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->storage)->sin_port);
    if (a->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->storage)->sin6_port);
    return 0;
}
