/* Addresses: which are in use, who listens, and how to get there.  Every
 * address belongs to this one host; IPv4 is kept as ::ffff:a.b.c.d. */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { PORT_FIRST = 32768, PORT_LAST = 60999, UNIX_AUTO = 1 << 20 };

static const uint8_t any6[16];
static const uint8_t any4[16] = {[10] = 0xff, [11] = 0xff};
static const uint8_t home6[16] = {[15] = 1};
static const uint8_t home4[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};

bool
sonic__sim_ip_is_v4(const struct sim_ip *ip)
{
    return memcmp(ip->addr, any4, 12) == 0;
}

bool
sonic__sim_ip_is_any(const struct sim_ip *ip)
{
    return memcmp(ip->addr, any4, 16) == 0 || memcmp(ip->addr, any6, 16) == 0;
}

bool
sonic__sim_ip_equal(const struct sim_ip *a, const struct sim_ip *b)
{
    return memcmp(a->addr, b->addr, sizeof a->addr) == 0;
}

void
sonic__sim_ip_any(struct sim_ip *ip, int family)
{
    memcpy(ip->addr, family == AF_INET ? any4 : any6, sizeof ip->addr);
}

void
sonic__sim_ip_home(struct sim_ip *ip)
{
    memcpy(ip->addr, sonic__sim_ip_is_v4(ip) ? home4 : home6, sizeof ip->addr);
}

bool
sonic__sim_name_ip(const struct sim_name *n, struct sim_ip *ip)
{
    memset(ip, 0, sizeof *ip);
    if (n->len == 0 || n->sa.sa_family == AF_UNIX)
        return false;
    if (n->sa.sa_family == AF_INET) {
        memcpy(ip->addr, any4, 12);
        memcpy(ip->addr + 12, &n->in.sin_addr, 4);
        ip->port = ntohs(n->in.sin_port);
    } else {
        memcpy(ip->addr, &n->in6.sin6_addr, 16);
        ip->port = ntohs(n->in6.sin6_port);
    }
    return true;
}

void
sonic__sim_name_from_ip(struct sim_name *n, int family, const struct sim_ip *ip)
{
    memset(n, 0, sizeof *n);
    n->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        n->len = sizeof n->in;
        memcpy(&n->in.sin_addr, ip->addr + 12, 4);
        n->in.sin_port = htons(ip->port);
    } else {
        n->len = sizeof n->in6;
        memcpy(&n->in6.sin6_addr, ip->addr, 16);
        n->in6.sin6_port = htons(ip->port);
    }
}

int
sonic__sim_parse_ip(const char *text, struct sim_ip *ip)
{
    memset(ip, 0, sizeof *ip);
    if (inet_pton(AF_INET6, text, ip->addr) == 1)
        return 0;
    memcpy(ip->addr, any4, 12);
    return inet_pton(AF_INET, text, ip->addr + 12) == 1 ? 0 : -EINVAL;
}

static int
set_unix(struct sim_name *n, const struct sockaddr *a, socklen_t len)
{
    const socklen_t head = offsetof(struct sockaddr_un, sun_path);

    if (len <= head || len > sizeof n->un)
        return -EINVAL;
    memcpy(&n->un, a, len);
    n->len = len;
    if (n->un.sun_path[0] != 0) /* a path: its length is its own */
        n->len = head + 1 +
                 (socklen_t)strnlen(n->un.sun_path, sizeof n->un.sun_path);
    return 0;
}

int
sonic__sim_name_set(struct sim_name *n, int family, const struct sockaddr *a,
                    socklen_t len)
{
    memset(n, 0, sizeof *n);
    if (len < sizeof a->sa_family)
        return -EINVAL;
    if (a->sa_family != family)
        return family == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
    if (family == AF_UNIX)
        return set_unix(n, a, len);
    n->len = family == AF_INET ? sizeof n->in : sizeof n->in6;
    if (len < n->len)
        return -EINVAL;
    memcpy(&n->ss, a, n->len);
    return 0;
}

int
sonic__sim_name_to(const struct sim_sock *s, struct sim_name *n,
                   const struct sockaddr *a, socklen_t len)
{
    int err = sonic__sim_name_set(n, s->family, a, len);
    struct sim_ip ip;

    if (err < 0 || !sonic__sim_name_ip(n, &ip) || !sonic__sim_ip_is_any(&ip))
        return err;
    sonic__sim_ip_home(&ip);
    sonic__sim_name_from_ip(n, s->family, &ip);
    return 0;
}

void
sonic__sim_name_out(const struct sim_name *n, int family, struct sockaddr *a,
                    socklen_t *len)
{
    struct sim_name none;

    if (n->len == 0) { /* no name yet */
        memset(&none, 0, sizeof none);
        none.sa.sa_family = (sa_family_t)family;
        none.len = family == AF_INET    ? sizeof none.in
                   : family == AF_INET6 ? sizeof none.in6
                                        : sizeof none.sa.sa_family;
        n = &none;
    }
    memcpy(a, &n->ss, *len < n->len ? *len : n->len);
    *len = n->len;
}

/* ---- who is where ---- */

bool
sonic__sim_covers(const struct sim_sock *s, const struct sim_ip *ip,
                  bool *exactly)
{
    struct sim_ip own;

    if (!sonic__sim_name_ip(&s->local, &own) || own.port != ip->port)
        return false;
    *exactly = memcmp(own.addr, ip->addr, 16) == 0;
    if (*exactly)
        return true;
    if (memcmp(own.addr, any4, 16) == 0)
        return sonic__sim_ip_is_v4(ip);
    if (memcmp(own.addr, any6, 16) != 0)
        return false;
    return !sonic__sim_ip_is_v4(ip) ||
           sonic__sim_option_int(s, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
}

/* Whether two sockets may not have these names at the same time. */
static bool
clash(const struct sim_sock *a, const struct sim_sock *b, bool listening)
{
    struct sim_ip of_a, of_b;
    bool exactly;

    if (!sonic__sim_name_ip(&a->local, &of_a) ||
        !sonic__sim_name_ip(&b->local, &of_b))
        return false;
    if (!sonic__sim_covers(a, &of_b, &exactly) &&
        !sonic__sim_covers(b, &of_a, &exactly))
        return false;
    if (sonic__sim_option_int(a, SOL_SOCKET, SO_REUSEPORT) != 0 &&
        sonic__sim_option_int(b, SOL_SOCKET, SO_REUSEPORT) != 0)
        return false;
    return listening ||
           sonic__sim_option_int(a, SOL_SOCKET, SO_REUSEADDR) == 0 ||
           sonic__sim_option_int(b, SOL_SOCKET, SO_REUSEADDR) == 0;
}

static bool
clashes(const struct sim_sock *s, bool to_listen)
{
    const struct sim_list *all = &s->file.sim->bound;
    const struct sim_list *l;

    for (l = all->next; l != all; l = l->next) {
        const struct sim_sock *o = SIM_ITEM(l, const struct sim_sock, bound);
        bool listens = o->state == SIM_LISTENING;

        if (o != s && (o->udp == NULL) == (s->udp == NULL) &&
            (listens || !to_listen) && clash(s, o, listens))
            return true;
    }
    return false;
}

int
sonic__sim_listen_clash(const struct sim_sock *s)
{
    return clashes(s, true) ? -EADDRINUSE : 0;
}

static struct sim_path *
find_path(sonic_sim *sim, const char *path)
{
    struct sim_list *l;

    for (l = sim->paths.next; l != &sim->paths; l = l->next) {
        struct sim_path *p = SIM_ITEM(l, struct sim_path, all);

        if (strcmp(p->path, path) == 0)
            return p;
    }
    return NULL;
}

static struct sim_sock *
find_unix(sonic_sim *sim, const struct sim_name *to, bool *exists)
{
    struct sim_list *l;
    struct sim_path *p;

    *exists = false;
    if (to->un.sun_path[0] != 0) {
        p = find_path(sim, to->un.sun_path);
        *exists = p != NULL;
        return p != NULL ? p->owner : NULL;
    }
    for (l = sim->bound.next; l != &sim->bound; l = l->next) {
        struct sim_sock *s = SIM_ITEM(l, struct sim_sock, bound);

        *exists = s->local.len == to->len &&
                  memcmp(&s->local.un, &to->un, to->len) == 0;
        if (*exists)
            return s;
    }
    return NULL;
}

struct sim_sock *
sonic__sim_find_listener(sonic_sim *sim, const struct sim_name *to,
                         bool *exists)
{
    struct sim_sock *best = NULL;
    bool best_exactly = false, exactly;
    uint64_t n = 0;
    struct sim_list *l;
    struct sim_ip ip;

    if (!sonic__sim_name_ip(to, &ip)) {
        best = find_unix(sim, to, exists);
        return best != NULL && best->state == SIM_LISTENING ? best : NULL;
    }
    for (l = sim->bound.next; l != &sim->bound; l = l->next) {
        struct sim_sock *s = SIM_ITEM(l, struct sim_sock, bound);

        if (s->state != SIM_LISTENING || !sonic__sim_covers(s, &ip, &exactly) ||
            (best_exactly && !exactly))
            continue;
        if (exactly != best_exactly)
            n = 0;
        best_exactly = exactly;
        /* Each of SO_REUSEPORT's listeners is as likely as the others. */
        if (++n == 1 || sonic__sim_rand_below(&sim->world, n) == 0)
            best = s;
    }
    return best;
}

const struct sim_route *
sonic__sim_find_route(sonic_sim *sim, const struct sim_name *to)
{
    struct sim_list *l;
    struct sim_ip ip;

    if (!sonic__sim_name_ip(to, &ip))
        return NULL;
    for (l = sim->routes.next; l != &sim->routes; l = l->next) {
        struct sim_route *r = SIM_ITEM(l, struct sim_route, all);

        if (memcmp(r->ip.addr, ip.addr, 16) == 0)
            return r;
    }
    return NULL;
}

int
sonic_sim_route(sonic_sim *sim, const char *address, enum sonic_sim_route route,
                int64_t delay)
{
    const struct sim_route *found;
    struct sim_route *r;
    struct sim_name name;
    struct sim_ip ip;

    if (sonic__sim_parse_ip(address, &ip) < 0 || delay < 0)
        return -EINVAL;
    sonic__sim_name_from_ip(&name, AF_INET6, &ip);
    found = sonic__sim_find_route(sim, &name);
    if (found == NULL) {
        r = sonic__sim_get(sim, sizeof *r);
        if (r == NULL)
            return -ENOMEM;
        r->ip = ip;
        sim_list_push(&sim->routes, &r->all);
        found = r;
    }
    r = (struct sim_route *)(uintptr_t)found;
    r->what = route;
    r->delay = delay;
    return 0;
}

/* ---- bind ---- */

static void
enter(struct sim_sock *s)
{
    sim_list_push(&s->file.sim->bound, &s->bound);
}

/* Ephemeral ports, round and round: a number comes back late. */
uint16_t
sonic__sim_next_port(sonic_sim *sim)
{
    sim->port = sim->port < PORT_FIRST || sim->port >= PORT_LAST
                    ? PORT_FIRST
                    : (uint16_t)(sim->port + 1);
    return sim->port;
}

/* A free port for the address that s has. */
static int
find_port(struct sim_sock *s, struct sim_ip *ip)
{
    sonic_sim *sim = s->file.sim;
    int tries;

    for (tries = PORT_FIRST; tries <= PORT_LAST; tries++) {
        ip->port = sonic__sim_next_port(sim);
        sonic__sim_name_from_ip(&s->local, s->family, ip);
        if (!clashes(s, false))
            return 0;
    }
    memset(&s->local, 0, sizeof s->local);
    return -EADDRNOTAVAIL;
}

int
sonic__sim_autobind(struct sim_sock *s, const struct sim_name *to)
{
    struct sim_ip ip, dest;
    bool bound = sonic__sim_name_ip(&s->local, &ip);

    if (!bound)
        memcpy(ip.addr, s->family == AF_INET ? any4 : any6, 16);
    if (to != NULL && sonic__sim_ip_is_any(&ip) &&
        sonic__sim_name_ip(to, &dest))
        memcpy(ip.addr, dest.addr, 16);
    if (bound) {
        sonic__sim_name_from_ip(&s->local, s->family, &ip);
        return 0;
    }
    if (to == NULL)
        enter(s);
    return find_port(s, &ip);
}

static int
bind_ip(struct sim_sock *s, const struct sim_name *name)
{
    struct sim_ip ip;
    bool given;
    int err = 0;

    if (s->local.len != 0 || s->state != SIM_FRESH)
        return -EINVAL;
    sonic__sim_name_ip(name, &ip);
    s->local = *name;
    given = ip.port != 0;
    if (!given)
        err = find_port(s, &ip);
    else if (clashes(s, false))
        err = -EADDRINUSE;
    if (err < 0) {
        memset(&s->local, 0, sizeof s->local);
        return err;
    }
    enter(s);
    if (s->udp != NULL) {
        s->udp->fixed_address = !sonic__sim_ip_is_any(&ip);
        s->udp->fixed_port = given;
    }
    return 0;
}

static int
bind_path(struct sim_sock *s, const struct sim_name *name)
{
    sonic_sim *sim = s->file.sim;
    struct sim_path *p;

    if (find_path(sim, name->un.sun_path) != NULL)
        return -EADDRINUSE;
    if (s->local.len != 0)
        return -EINVAL;
    p = sonic__sim_get(sim, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    p->owner = s;
    strncpy(p->path, name->un.sun_path, sizeof p->path - 1);
    sim_list_push(&sim->paths, &p->all);
    s->local = *name;
    return 0;
}

static int
bind_unix(struct sim_sock *s, const struct sockaddr *a, socklen_t len)
{
    struct sim_name name;
    bool exists;
    int err;

    if (len == sizeof a->sa_family) { /* unix(7): autobind */
        memset(&name, 0, sizeof name);
        name.un.sun_family = AF_UNIX;
        snprintf(name.un.sun_path + 1, 6, "%05x",
                 (unsigned)(s->file.sim->serial++ % UNIX_AUTO));
        name.len = offsetof(struct sockaddr_un, sun_path) + 6;
    } else if ((err = set_unix(&name, a, len)) < 0) {
        return err;
    }
    if (name.un.sun_path[0] != 0)
        return bind_path(s, &name);
    if (s->local.len != 0)
        return -EINVAL;
    find_unix(s->file.sim, &name, &exists);
    if (exists)
        return -EADDRINUSE;
    s->local = name;
    enter(s);
    return 0;
}

void
sonic__sim_unbind(struct sim_sock *s)
{
    sonic_sim *sim = s->file.sim;
    struct sim_list *l;

    sim_list_remove(&s->bound);
    if (s->udp != NULL)
        memset(&s->local, 0, sizeof s->local);
    for (l = sim->paths.next; l != &sim->paths; l = l->next) {
        struct sim_path *p = SIM_ITEM(l, struct sim_path, all);

        if (p->owner == s)
            p->owner = NULL;
    }
}

int
sonic__sim_bind(int fd, const struct sockaddr *a, socklen_t n, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_name name;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_BIND, fd, n);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0 && s->family == AF_UNIX)
        err = a->sa_family == AF_UNIX ? bind_unix(s, a, n) : -EINVAL;
    else if (err == 0 &&
             (err = sonic__sim_name_set(&name, s->family, a, n)) == 0)
        err = bind_ip(s, &name);
    return (int)sonic__sim_end(sim, err);
}

int
sonic__sim_unlink(const char *path, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_path *p;
    int err = sonic__sim_begin(sim, SONIC_SIM_UNLINK, -1, 0);

    if (err < 0)
        return (int)sonic__sim_end(sim, err);
    p = find_path(sim, path);
    if (p == NULL) {
        err = sonic__sim_disk_unlink(sim, path);
    } else {
        sim_list_remove(&p->all);
        sonic__sim_put(sim, p, sizeof *p);
    }
    return (int)sonic__sim_end(sim, err);
}

int
sonic__sim_getsockname(int fd, struct sockaddr *a, socklen_t *n, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_GETSOCKNAME, fd, 0);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0)
        sonic__sim_name_out(&s->local, s->family, a, n);
    return (int)sonic__sim_end(sim, err);
}

int
sonic__sim_getpeername(int fd, struct sockaddr *a, socklen_t *n, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_GETPEERNAME, fd, 0);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0 && (s->state == SIM_CONNECTED ||
                     (s->family == AF_UNIX && s->state == SIM_DEAD)))
        sonic__sim_name_out(&s->remote, s->family, a, n);
    else if (err == 0)
        err = -ENOTCONN;
    return (int)sonic__sim_end(sim, err);
}
