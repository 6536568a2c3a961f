/* sonicio mcast stat - who is in which group, and who waits at the port: what
 * Linux shows below /proc/net */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "mcast.h"

struct view {
    const struct mcast_options *o;
    sonic_io *io;
    struct json j;
    unsigned iface; /* 0: all */
    unsigned shown;
};

/* An address as the kernel has it in memory, as text. */
static void
to_text(int family, const void *ip, char text[INET6_ADDRSTRLEN])
{
    inet_ntop(family, ip, text, INET6_ADDRSTRLEN);
}

static bool
read_hex(const char *hex, void *ip, size_t n)
{
    uint8_t *to = ip;

    for (size_t i = 0; i < n; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        to[i] = (uint8_t)byte;
    }
    return true;
}

/* Is it the one that was asked for, if any was? */
static bool
is_asked_for(const struct view *s, int family, const void *ip, unsigned index)
{
    const sonic_address *a = &s->o->to;
    const struct sockaddr_in *sin = (const void *)&a->storage;
    const struct sockaddr_in6 *sin6 = (const void *)&a->storage;

    if (s->iface != 0 && index != s->iface)
        return false;
    if (a->len == 0)
        return true;
    if (a->storage.ss_family != family)
        return false;
    if (family == AF_INET)
        return memcmp(&sin->sin_addr, ip, sizeof sin->sin_addr) == 0;
    return memcmp(&sin6->sin6_addr, ip, sizeof sin6->sin6_addr) == 0;
}

/* An object in the array that is open. */
static void
begin_item(struct view *s)
{
    if (s->shown++ > 0)
        putchar(',');
    s->j.more = false;
    json_begin(&s->j, NULL);
}

static void
end_item(struct view *s)
{
    json_end(&s->j);
}

/* ---- groups ----------------------------------------------------------- */

static void
show_group(struct view *s, int family, const void *ip, unsigned index,
           const char *device, unsigned users)
{
    char text[INET6_ADDRSTRLEN];

    if (!is_asked_for(s, family, ip, index))
        return;
    to_text(family, ip, text);
    if (s->o->json) {
        begin_item(s);
        json_text(&s->j, "group", text);
        json_text(&s->j, "interface", device);
        json_count(&s->j, "index", index);
        json_count(&s->j, "users", users);
        end_item(s);
    } else {
        if (s->shown++ == 0)
            printf("%-40s %-15s %5s %6s\n", "group", "interface", "index",
                   "users");
        printf("%-40s %-15s %5u %6u\n", text, device, index, users);
    }
}

static void
groups_v4(struct view *s)
{
    FILE *f = fopen("/proc/net/igmp", "r");
    char line[256], device[32] = "", name[32];
    unsigned index = 0, users, n;
    uint32_t ip;

    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%u %31s", &n, name) == 2 && line[0] != '\t') {
            index = n;
            strcpy(device, name);
        } else if (sscanf(line, " %8" SCNx32 " %u", &ip, &users) == 2) {
            show_group(s, AF_INET, &ip, index, device, users);
        }
    }
    fclose(f);
}

static void
groups_v6(struct view *s)
{
    FILE *f = fopen("/proc/net/igmp6", "r");
    char line[256], device[32], hex[40];
    unsigned index, users;
    struct in6_addr ip;

    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%u %31s %32s %u", &index, device, hex, &users) == 4 &&
            read_hex(hex, &ip, sizeof ip))
            show_group(s, AF_INET6, &ip, index, device, users);
    fclose(f);
}

/* ---- sources ---------------------------------------------------------- */

static void
show_source(struct view *s, int family, const void *group, const void *source,
            unsigned index, const char *device, const unsigned long users[2])
{
    char text[INET6_ADDRSTRLEN], from[INET6_ADDRSTRLEN];

    if (!is_asked_for(s, family, group, index))
        return;
    to_text(family, group, text);
    to_text(family, source, from);
    if (s->o->json) {
        begin_item(s);
        json_text(&s->j, "group", text);
        json_text(&s->j, "source", from);
        json_text(&s->j, "interface", device);
        json_count(&s->j, "joined_by", users[0]);
        json_count(&s->j, "blocked_by", users[1]);
        end_item(s);
    } else {
        if (s->shown++ == 0)
            printf("\n%-24s %-24s %-15s %6s %7s\n", "group", "source",
                   "interface", "joined", "blocked");
        printf("%-24s %-24s %-15s %6lu %7lu\n", text, from, device, users[0],
               users[1]);
    }
}

static void
sources_v4(struct view *s)
{
    FILE *f = fopen("/proc/net/mcfilter", "r");
    char line[256], device[32];
    uint32_t group, source;
    unsigned long users[2];
    unsigned index;

    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%u %31s 0x%8" SCNx32 " 0x%8" SCNx32 " %lu %lu",
                   &index, device, &group, &source, &users[0], &users[1]) != 6)
            continue;
        group = htonl(group);
        source = htonl(source);
        show_source(s, AF_INET, &group, &source, index, device, users);
    }
    fclose(f);
}

static void
sources_v6(struct view *s)
{
    FILE *f = fopen("/proc/net/mcfilter6", "r");
    char line[256], device[32], hex[2][40];
    struct in6_addr group, source;
    unsigned long users[2];
    unsigned index;

    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%u %31s %32s %32s %lu %lu", &index, device, hex[0],
                   hex[1], &users[0], &users[1]) == 6 &&
            read_hex(hex[0], &group, sizeof group) &&
            read_hex(hex[1], &source, sizeof source))
            show_source(s, AF_INET6, &group, &source, index, device, users);
    fclose(f);
}

/* ---- sockets ---------------------------------------------------------- */

/* What the kernel prints of an IPv6 address: four words of its own order. */
static void
read_words(const char *hex, struct in6_addr *ip)
{
    for (size_t i = 0; i < 4; i++) {
        uint32_t word = 0;

        (void)sscanf(hex + 8 * i, "%8" SCNx32, &word);
        memcpy(&ip->s6_addr[4 * i], &word, sizeof word);
    }
}

static void
show_socket(struct view *s, const char *hex, unsigned port, unsigned long queue,
            unsigned long long drops, unsigned long inode)
{
    char text[INET6_ADDRSTRLEN], bound[INET6_ADDRSTRLEN + 8];
    struct in6_addr six;
    uint32_t four = 0;

    if (strlen(hex) == 8) {
        (void)sscanf(hex, "%8" SCNx32, &four);
        to_text(AF_INET, &four, text);
        snprintf(bound, sizeof bound, "%s:%u", text, port);
    } else {
        read_words(hex, &six);
        to_text(AF_INET6, &six, text);
        snprintf(bound, sizeof bound, "[%s]:%u", text, port);
    }
    if (s->o->json) {
        begin_item(s);
        json_text(&s->j, "bound", bound);
        json_count(&s->j, "queued_bytes", queue);
        json_count(&s->j, "drops", drops);
        json_count(&s->j, "inode", inode);
        end_item(s);
    } else {
        if (s->shown++ == 0)
            printf("\n%-45s %12s %10s %10s\n", "socket bound to",
                   "queued bytes", "drops", "inode");
        printf("%-45s %12lu %10llu %10lu\n", bound, queue, drops, inode);
    }
}

static void
sockets(struct view *s, const char *path)
{
    unsigned asked = sonic_address_port(&s->o->to), port;
    FILE *f = fopen(path, "r");
    unsigned long queue, inode;
    unsigned long long drops;
    char line[512], hex[40];

    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line,
                   " %*[0-9]: %32[0-9A-F]:%x %*[0-9A-F]:%*x %*x %*x:%lx %*x:%*x"
                   " %*x %*d %*d %lu %*d %*s %llu",
                   hex, &port, &queue, &inode, &drops) == 5 &&
            port == asked)
            show_socket(s, hex, port, queue, drops, inode);
    fclose(f);
}

/* ---- all of it -------------------------------------------------------- */

static void
section(struct view *s, const char *name, void (*show)(struct view *s))
{
    s->shown = 0;
    if (s->o->json)
        printf("%s\"%s\":[", s->j.more ? "," : "", name);
    show(s);
    if (s->o->json)
        putchar(']');
    s->j.more = true;
}

static void
groups(struct view *s)
{
    groups_v4(s);
    groups_v6(s);
    if (s->shown == 0 && !s->o->json)
        printf("nobody on this machine is in %s\n",
               s->o->to.len > 0 ? s->o->group : "any group");
}

static void
sources(struct view *s)
{
    sources_v4(s);
    sources_v6(s);
}

static void
ports(struct view *s)
{
    if (s->o->to.len == 0)
        return;
    sockets(s, "/proc/net/udp");
    sockets(s, "/proc/net/udp6");
}

int
mcast_stat(const struct mcast_options *o)
{
    struct view s = {.o = o, .j = {stdout, false}};
    int err = sonic_io_new(&s.io, NULL);

    if (err == 0)
        err = sonic_interface_find(s.io, o->iface, &s.iface);
    sonic_io_free(s.io);
    if (err < 0)
        return mcast_fail(o->iface != NULL ? o->iface : "stat", err);
    if (o->json)
        putchar('{');
    section(&s, "groups", groups);
    section(&s, "sources", sources);
    section(&s, "sockets", ports);
    if (o->json)
        puts("}");
    return EXIT_GOOD;
}
