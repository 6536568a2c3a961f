/* Socket options: those that the world acts upon, and the rest, which are
 * remembered.  A value is at most 16 bytes. */
#include "net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/time.h>

enum { LEAST_SEND = 4608, LEAST_RECEIVE = 2304, MOST = 2 * 212992 };

static struct sim_setting *
find(const struct sim_sock *s, int level, int name)
{
    struct sim_setting *o = s->settings;

    while (o != NULL && (o->level != level || o->name != name))
        o = o->next;
    return o;
}

int
sonic__sim_option_int(const struct sim_sock *s, int level, int name)
{
    const struct sim_setting *o = find(s, level, name);
    int n = sonic__sim_inet_default(level, name);

    if (o != NULL && o->len >= sizeof n)
        memcpy(&n, o->val, sizeof n);
    return n;
}

bool
sonic__sim_linger_resets(const struct sim_sock *s)
{
    const struct sim_setting *o = find(s, SOL_SOCKET, SO_LINGER);
    struct linger l;

    if (o == NULL || o->len < sizeof l)
        return false;
    memcpy(&l, o->val, sizeof l);
    return l.l_onoff != 0 && l.l_linger == 0;
}

/* Of SO_RCVTIMEO or SO_SNDTIMEO; INT64_MAX: none. */
int64_t
sonic__sim_option_deadline(const struct sim_sock *s, int name)
{
    const struct sim_setting *o = find(s, SOL_SOCKET, name);
    struct timeval t;
    int64_t ns;

    if (o == NULL || o->len < sizeof t)
        return INT64_MAX;
    memcpy(&t, o->val, sizeof t);
    ns = (int64_t)t.tv_sec * SIM_S + (int64_t)t.tv_usec * 1000;
    return ns == 0 ? INT64_MAX : sonic__sim_deadline(s->file.sim, ns);
}

int
sonic__sim_option_set(struct sim_sock *s, int level, int name, const void *val,
                      socklen_t len)
{
    struct sim_setting *o = find(s, level, name);

    if (len > sizeof o->val)
        return -EINVAL;
    if (o == NULL) {
        o = sonic__sim_get(s->file.sim, sizeof *o);
        if (o == NULL)
            return -ENOBUFS;
        o->level = level;
        o->name = name;
        o->next = s->settings;
        s->settings = o;
    }
    memcpy(o->val, val, len);
    o->len = len;
    return 0;
}

int
sonic__sim_option_copy(struct sim_sock *to, const struct sim_sock *from)
{
    const struct sim_setting *o;
    int err = 0;

    to->send_buffer = from->send_buffer;
    to->receive_buffer = from->receive_buffer;
    for (o = from->settings; o != NULL && err == 0; o = o->next)
        err = sonic__sim_option_set(to, o->level, o->name, o->val, o->len);
    return err;
}

void
sonic__sim_option_free(struct sim_sock *s)
{
    while (s->settings != NULL) {
        struct sim_setting *o = s->settings;

        s->settings = o->next;
        sonic__sim_put(s->file.sim, o, sizeof *o);
    }
}

/* Those of a level that a socket of this family has. */
static bool
has_level(const struct sim_sock *s, int level)
{
    switch (level) {
    case SOL_SOCKET:
        return true;
    case IPPROTO_TCP:
        return s->family != AF_UNIX && s->udp == NULL;
    case IPPROTO_UDP:
        return s->udp != NULL;
    case IPPROTO_IP:
        return s->family != AF_UNIX;
    case IPPROTO_IPV6:
        return s->family == AF_INET6;
    default:
        return false;
    }
}

/* The kernel doubles what it is asked for: socket(7). */
static size_t
buffer_size(int asked, size_t least)
{
    size_t n = asked < 0 ? MOST : (size_t)asked * 2;

    return n < least ? least : n > MOST ? MOST : n;
}

static int
set_option(struct sim_sock *s, int level, int name, const void *val,
           socklen_t len)
{
    int n = 0, err;

    if (!has_level(s, level))
        return s->family == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
    err = sonic__sim_inet_set(s, level, name, val, len);
    if (err != SIM_NOT_MINE)
        return err;
    if (level == SOL_SOCKET &&
        (name == SO_ERROR || name == SO_TYPE || name == SO_DOMAIN ||
         name == SO_PROTOCOL || name == SO_ACCEPTCONN || name == SO_ZEROCOPY))
        return -ENOPROTOOPT;
    if (len < sizeof n)
        return -EINVAL;
    memcpy(&n, val, sizeof n);
    if (level != SOL_SOCKET || (name != SO_SNDBUF && name != SO_RCVBUF))
        return sonic__sim_option_set(s, level, name, val, len);
    if (name == SO_SNDBUF)
        s->send_buffer = buffer_size(n, LEAST_SEND);
    else
        s->receive_buffer = buffer_size(n, LEAST_RECEIVE);
    if (s->link != NULL)
        sonic__sim_link_limits(s->link);
    return 0;
}

int
sonic__sim_setsockopt(int fd, int level, int name, const void *val, socklen_t n,
                      void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_SETSOCKOPT, fd, name);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0)
        err = set_option(s, level, name, val, n);
    return (int)sonic__sim_end(sim, err);
}

/* What the world itself knows, or -1. */
static int
own_value(struct sim_sock *s, int name)
{
    switch (name) {
    case SO_ERROR:
        return -sonic__sim_take_error(s);
    case SO_TYPE:
        return s->udp != NULL ? SOCK_DGRAM : SOCK_STREAM;
    case SO_DOMAIN:
        return s->family;
    case SO_PROTOCOL:
        return s->family == AF_UNIX ? 0
               : s->udp != NULL     ? IPPROTO_UDP
                                    : IPPROTO_TCP;
    case SO_ACCEPTCONN:
        return s->state == SIM_LISTENING;
    case SO_SNDBUF:
        return (int)s->send_buffer;
    case SO_RCVBUF:
        return (int)s->receive_buffer;
    default:
        return -1;
    }
}

static int
get_option(struct sim_sock *s, int level, int name, void *val, socklen_t *len)
{
    const struct sim_setting *o = find(s, level, name);
    int n = level == SOL_SOCKET ? own_value(s, name) : -1, err;
    socklen_t size = sizeof n;

    if (!has_level(s, level))
        return s->family == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
    err = sonic__sim_inet_get(s, level, name, val, len);
    if (err != SIM_NOT_MINE)
        return err;
    if (level == IPPROTO_TCP && name == TCP_INFO)
        return -ENOPROTOOPT;
    if (n < 0)
        n = sonic__sim_inet_default(level, name);
    if (o != NULL)
        size = o->len;
    if (*len < size)
        size = *len;
    memcpy(val, o != NULL ? (const void *)o->val : (const void *)&n, size);
    *len = size;
    return 0;
}

int
sonic__sim_getsockopt(int fd, int level, int name, void *val, socklen_t *n,
                      void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_GETSOCKOPT, fd, name);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0)
        err = get_option(s, level, name, val, n);
    return (int)sonic__sim_end(sim, err);
}
