/* Names: getaddrinfo(3) over a list of hosts. */
#include "world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

/* POSIX 2008 has neither. */
#ifndef EAI_NODATA
#define EAI_NODATA EAI_NONAME
#endif
#ifndef EAI_ADDRFAMILY
#define EAI_ADDRFAMILY EAI_NONAME
#endif

enum { MAX_ADDRESSES = 16, NAME_SIZE = 256, MAX_PORT = 65535 };

struct sim_host {
    struct sim_host *next;
    int eai;
    int64_t delay;
    size_t n;
    struct sim_ip ip[MAX_ADDRESSES];
    char name[NAME_SIZE];
};

/* What freeaddrinfo gets back. */
struct sim_info {
    struct addrinfo ai;
    struct sim_name name;
};

static struct sim_host *
find(const sonic_sim *sim, const char *name)
{
    struct sim_host *h = sim->hosts;

    while (h != NULL && strcasecmp(h->name, name) != 0)
        h = h->next;
    return h;
}

static struct sim_host *
make(sonic_sim *sim, const char *name)
{
    struct sim_host *h = find(sim, name);

    if (h != NULL)
        return h;
    h = sonic__sim_get(sim, sizeof *h);
    if (h == NULL)
        return NULL;
    strcpy(h->name, name);
    h->next = sim->hosts;
    sim->hosts = h;
    return h;
}

int
sonic__sim_parse_ips(const char *text, struct sim_ip *ip, int most)
{
    char word[INET6_ADDRSTRLEN + 1];
    int n = 0;

    while (*(text += strspn(text, " ")) != 0) {
        size_t len = strcspn(text, " ");

        if (len >= sizeof word || n == most)
            return -EINVAL;
        memcpy(word, text, len);
        word[len] = 0;
        if (sonic__sim_parse_ip(word, &ip[n++]) < 0)
            return -EINVAL;
        text += len;
    }
    return n;
}

int
sonic_sim_host(sonic_sim *sim, const char *name, const char *addresses,
               int64_t delay)
{
    struct sim_ip ip[MAX_ADDRESSES];
    int n = sonic__sim_parse_ips(addresses, ip, MAX_ADDRESSES);
    struct sim_host *h;

    if (n < 0 || delay < 0 || strlen(name) >= NAME_SIZE)
        return -EINVAL;
    h = make(sim, name);
    if (h == NULL)
        return -ENOMEM;
    h->eai = n == 0 ? EAI_NODATA : 0;
    h->delay = delay;
    h->n = (size_t)n;
    memcpy(h->ip, ip, (size_t)n * sizeof *ip);
    return 0;
}

int
sonic_sim_host_fails(sonic_sim *sim, const char *name, int eai, int64_t delay)
{
    int err = sonic_sim_host(sim, name, "", delay);

    if (err == 0)
        find(sim, name)->eai = eai;
    return err;
}

void
sonic__sim_hosts_free(sonic_sim *sim)
{
    while (sim->hosts != NULL) {
        struct sim_host *h = sim->hosts;

        sim->hosts = h->next;
        sonic__sim_put(sim, h, sizeof *h);
    }
}

/* ---- looking up ---- */

/* The addresses of a node: how many, or an EAI_ code, which is negative. */
static int
look_up(sonic_sim *sim, const char *node, int flags,
        struct sim_ip ip[MAX_ADDRESSES])
{
    const struct sim_host *h;

    if (node == NULL)
        return sonic__sim_parse_ips((flags & AI_PASSIVE) != 0 ? "0.0.0.0 ::"
                                                              : "::1 127.0.0.1",
                                    ip, MAX_ADDRESSES);
    if (sonic__sim_parse_ip(node, &ip[0]) == 0)
        return 1;
    if ((flags & AI_NUMERICHOST) != 0)
        return EAI_NONAME;
    h = find(sim, node);
    if (h != NULL && h->delay > 0) /* it blocks */
        sonic_sim_advance(sim, sonic__sim_deadline(sim, h->delay));
    if (SIM_CHANCE(sim, resolve_fails))
        return EAI_AGAIN;
    if (h == NULL && strcasecmp(node, "localhost") == 0)
        return sonic__sim_parse_ips("::1 127.0.0.1", ip, MAX_ADDRESSES);
    if (h == NULL || h->eai != 0)
        return h == NULL ? EAI_NONAME : h->eai;
    memcpy(ip, h->ip, h->n * sizeof *ip);
    return (int)h->n;
}

static int
parse_port(const char *service, uint16_t *port)
{
    char *end;
    long n;

    *port = 0;
    if (service == NULL)
        return 0;
    n = strtol(service, &end, 10);
    if (end == service || *end != 0 || n < 0 || n > MAX_PORT)
        return EAI_SERVICE;
    *port = (uint16_t)n;
    return 0;
}

static void
free_list(sonic_sim *sim, struct addrinfo *ai)
{
    while (ai != NULL) {
        struct addrinfo *next = ai->ai_next;

        sonic__sim_put(sim, ai, sizeof(struct sim_info));
        sim->addrinfos--;
        ai = next;
    }
}

static struct addrinfo *
make_info(sonic_sim *sim, const struct addrinfo *hints, const struct sim_ip *ip)
{
    static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
    int family = memcmp(ip->addr, v4, sizeof v4) == 0 ? AF_INET : AF_INET6;
    struct sim_info *info = sonic__sim_get(sim, sizeof *info);

    if (info == NULL)
        return NULL;
    sonic__sim_name_from_ip(&info->name, family, ip);
    info->ai.ai_family = family;
    info->ai.ai_socktype = SOCK_STREAM;
    info->ai.ai_protocol = IPPROTO_TCP;
    if (hints != NULL && hints->ai_socktype != 0) {
        info->ai.ai_socktype = hints->ai_socktype;
        info->ai.ai_protocol = hints->ai_protocol;
    }
    info->ai.ai_addr = &info->name.sa;
    info->ai.ai_addrlen = info->name.len;
    sim->addrinfos++;
    return &info->ai;
}

static int
resolve(sonic_sim *sim, const char *node, const char *service,
        const struct addrinfo *hints, struct addrinfo **res)
{
    int want = hints != NULL ? hints->ai_family : AF_UNSPEC;
    struct sim_ip ip[MAX_ADDRESSES];
    struct addrinfo *list = NULL, **end = &list;
    uint16_t port;
    int i, n, err;

    if (node == NULL && service == NULL)
        return EAI_NONAME;
    if ((err = parse_port(service, &port)) != 0)
        return err;
    n = look_up(sim, node, hints != NULL ? hints->ai_flags : 0, ip);
    if (n < 0)
        return n;
    for (i = 0; i < n; i++) {
        struct addrinfo *ai;

        ip[i].port = port;
        ai = make_info(sim, hints, &ip[i]);
        if (ai == NULL) {
            free_list(sim, list);
            return EAI_MEMORY;
        }
        *end = ai;
        if (want == AF_UNSPEC || want == ai->ai_family)
            end = &ai->ai_next;
        else
            free_list(sim, ai), *end = NULL;
    }
    *res = list;
    return list != NULL ? 0 : EAI_ADDRFAMILY;
}

static int
eai_of(int err)
{
    switch (err) {
    case -ENOMEM:
        return EAI_MEMORY;
    case -EAGAIN:
        return EAI_AGAIN;
    default:
        errno = -err;
        return EAI_SYSTEM;
    }
}

int
sonic__sim_getaddrinfo(const char *node, const char *service,
                       const struct addrinfo *hints, struct addrinfo **res,
                       void *ud)
{
    sonic_sim *sim = ud;
    int err = sonic__sim_begin(sim, SONIC_SIM_GETADDRINFO, -1,
                               hints != NULL ? hints->ai_family : 0);

    *res = NULL;
    err = err < 0 ? eai_of(err) : resolve(sim, node, service, hints, res);
    return (int)sonic__sim_end(sim, err);
}

void
sonic__sim_freeaddrinfo(struct addrinfo *res, void *ud)
{
    sonic__sim_begin(ud, SONIC_SIM_FREEADDRINFO, -1, 0);
    free_list(ud, res);
    sonic__sim_end(ud, 0);
}
