#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 512, ACK = 4096, TRIES = 1000, PORT = 4077 };

/* A message of rtnetlink(7) while it is written. */
struct message {
    _Alignas(struct nlmsghdr) char bytes[ROOM];
    size_t n;
};

static void *
append(struct message *m, const void *p, size_t n)
{
    void *at = m->bytes + m->n;

    if (n > 0)
        memcpy(at, p, n);
    m->n += NLMSG_ALIGN(n);
    return at;
}

static void
begin(struct message *m, int type, int flags, const void *body, size_t n)
{
    struct nlmsghdr h = {
        .nlmsg_type = (unsigned short)type,
        .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags)};

    memset(m, 0, sizeof *m);
    append(m, &h, sizeof h);
    append(m, body, n);
}

/* An attribute; of length 0, one that others go into until `close`. */
static struct rtattr *
attribute(struct message *m, int type, const void *p, size_t n)
{
    struct rtattr a = {.rta_type = (unsigned short)type,
                       .rta_len = (unsigned short)RTA_LENGTH(n)};
    struct rtattr *at = append(m, &a, sizeof a);

    append(m, p, n);
    return at;
}

static void
end(struct message *m, struct rtattr *a)
{
    a->rta_len = (unsigned short)(m->bytes + m->n - (char *)a);
}

static int
ask(struct message *m)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    _Alignas(struct nlmsghdr) char answer[ACK];
    const struct nlmsgerr *e = NLMSG_DATA((struct nlmsghdr *)(void *)answer);
    int err = 0;

    if (fd < 0)
        return -errno;
    ((struct nlmsghdr *)(void *)m->bytes)->nlmsg_len = (unsigned)m->n;
    if (send(fd, m->bytes, m->n, 0) < 0 ||
        recv(fd, answer, sizeof answer, 0) < 0)
        err = -errno;
    close(fd);
    return err < 0 ? err : e->error;
}

int
netns_up(const char *name)
{
    struct ifinfomsg i = {.ifi_index = (int)if_nametoindex(name),
                          .ifi_flags = IFF_UP,
                          .ifi_change = IFF_UP};
    struct message m;

    begin(&m, RTM_NEWLINK, 0, &i, sizeof i);
    return ask(&m);
}

int
netns_enter(void)
{
    if (unshare(CLONE_NEWNET) < 0 && errno == EPERM &&
        unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -errno;
    return netns_up("lo");
}

int
netns_veth(const char *a, const char *b)
{
    struct ifinfomsg i = {0};
    struct rtattr *info, *data, *peer;
    struct message m;
    int err;

    begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof i);
    attribute(&m, IFLA_IFNAME, a, strlen(a) + 1);
    info = attribute(&m, IFLA_LINKINFO, NULL, 0);
    attribute(&m, IFLA_INFO_KIND, "veth", sizeof "veth");
    data = attribute(&m, IFLA_INFO_DATA, NULL, 0);
    peer = attribute(&m, VETH_INFO_PEER, NULL, 0);
    append(&m, &i, sizeof i);
    attribute(&m, IFLA_IFNAME, b, strlen(b) + 1);
    end(&m, peer);
    end(&m, data);
    end(&m, info);
    if ((err = ask(&m)) < 0 || (err = netns_up(a)) < 0)
        return err;
    return netns_up(b);
}

int
netns_here(void)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int
netns_visit(int host)
{
    return setns(host, CLONE_NEWNET) < 0 ? -errno : 0;
}

int
netns_host(void)
{
    int home = netns_here(), host = -1, err = home;

    if (home >= 0)
        err = unshare(CLONE_NEWNET) < 0 ? -errno : netns_up("lo");
    if (err == 0)
        err = host = netns_here();
    if (home >= 0) {
        netns_visit(home);
        close(home);
    }
    return err < 0 ? err : host;
}

int
netns_move(const char *name, int host)
{
    struct ifinfomsg i = {.ifi_index = (int)if_nametoindex(name)};
    int home = netns_here(), err;
    struct message m;

    begin(&m, RTM_NEWLINK, 0, &i, sizeof i);
    attribute(&m, IFLA_NET_NS_FD, &host, sizeof host);
    err = home < 0 ? home : ask(&m);
    if (err == 0 && (err = netns_visit(host)) == 0)
        err = netns_up(name);
    if (home >= 0) {
        netns_visit(home);
        close(home);
    }
    return err;
}

/* An address as text: its bytes, and how many. */
static size_t
parse(const char *text, unsigned char *family, unsigned char ip[16])
{
    *family = AF_INET6;
    if (inet_pton(AF_INET6, text, ip) == 1)
        return sizeof(struct in6_addr);
    *family = AF_INET;
    return inet_pton(AF_INET, text, ip) == 1 ? sizeof(struct in_addr) : 0;
}

int
netns_address(const char *name, const char *address, unsigned prefix)
{
    struct ifaddrmsg a = {.ifa_prefixlen = (unsigned char)prefix,
                          .ifa_flags = IFA_F_NODAD,
                          .ifa_index = if_nametoindex(name)};
    unsigned char ip[16];
    size_t n = parse(address, &a.ifa_family, ip);
    struct message m;

    if (n == 0)
        return -EINVAL;
    begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof a);
    attribute(&m, IFA_LOCAL, ip, n);
    attribute(&m, IFA_ADDRESS, ip, n);
    return ask(&m);
}

int
netns_route(const char *name, const char *to, unsigned prefix)
{
    struct rtmsg r = {.rtm_dst_len = (unsigned char)prefix,
                      .rtm_table = RT_TABLE_MAIN,
                      .rtm_protocol = RTPROT_STATIC,
                      .rtm_scope = RT_SCOPE_LINK,
                      .rtm_type = RTN_UNICAST};
    int index = (int)if_nametoindex(name);
    unsigned char ip[16];
    size_t n = parse(to, &r.rtm_family, ip);
    struct message m;

    if (n == 0)
        return -EINVAL;
    begin(&m, RTM_NEWROUTE, NLM_F_CREATE, &r, sizeof r);
    attribute(&m, RTA_DST, ip, n);
    attribute(&m, RTA_OIF, &index, sizeof index);
    return ask(&m);
}

int
netns_sysctl(const char *path, const char *value)
{
    char full[128];
    int fd, err = 0;

    snprintf(full, sizeof full, "/proc/sys/net/%s", path);
    fd = open(full, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, value, strlen(value)) < 0)
        err = -errno;
    close(fd);
    return err;
}

/* ---- whether it works yet ---- */

union name {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static socklen_t
fill_in(union name *n, const char *text)
{
    unsigned char family, ip[16];
    size_t len = parse(text, &family, ip);

    memset(n, 0, sizeof *n);
    n->sa.sa_family = family;
    n->in.sin_port = htons(PORT); /* sin6_port is at the same place */
    if (family == AF_INET)
        memcpy(&n->in.sin_addr, ip, len);
    else
        memcpy(&n->in6.sin6_addr, ip, len);
    return family == AF_INET ? sizeof n->in : sizeof n->in6;
}

/* Send until it comes. */
static int
try_to_send(int from, int to, const union name *at, socklen_t len)
{
    struct pollfd p = {.fd = to, .events = POLLIN};
    int tries, n;

    for (tries = 0; tries < TRIES; tries++) {
        if (sendto(from, "x", 1, 0, &at->sa, len) == 1 &&
            (n = poll(&p, 1, 5)) != 0)
            return n < 0 ? -errno : 0;
        poll(NULL, 0, 1);
    }
    return -ETIMEDOUT;
}

int
netns_wait_address(const char *address)
{
    union name at;
    socklen_t len = fill_in(&at, address);
    int fd = socket(at.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

    if (fd < 0)
        return -errno;
    err = bind(fd, &at.sa, len) < 0 ? -errno : try_to_send(fd, fd, &at, len);
    close(fd);
    return err;
}

static int
prepare(int from, int to, const char *out, const char *in, const union name *at,
        socklen_t len)
{
    bool v4 = at->sa.sa_family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6, off = 0;
    struct group_req join = {.gr_interface = if_nametoindex(in)};
    struct ip_mreqn four = {.imr_ifindex = (int)if_nametoindex(out)};

    memcpy(&join.gr_group, at, len);
    if (bind(to, &at->sa, len) < 0 ||
        setsockopt(to, level, MCAST_JOIN_GROUP, &join, sizeof join) < 0 ||
        setsockopt(from, level, v4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP,
                   &off, sizeof off) < 0)
        return -errno;
    if (v4 ? setsockopt(from, level, IP_MULTICAST_IF, &four, sizeof four)
           : setsockopt(from, level, IPV6_MULTICAST_IF, &four.imr_ifindex,
                        sizeof four.imr_ifindex))
        return -errno;
    return 0;
}

int
netns_wait_wire(const char *out, const char *in, const char *group)
{
    union name at;
    socklen_t len = fill_in(&at, group);
    int from = socket(at.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int to = socket(at.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

    if (from < 0 || to < 0)
        return -EMFILE;
    err = prepare(from, to, out, in, &at, len);
    if (err == 0)
        err = try_to_send(from, to, &at, len);
    close(from);
    close(to);
    return err;
}
