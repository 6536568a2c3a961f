#include "sim_udp.h"

#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "sim_world.h"

struct sockaddr_in
at(const char *text, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    ck_assert_int_eq(inet_pton(AF_INET, text, &a.sin_addr), 1);
    return a;
}

int
udp(void)
{
    int fd = k->socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0, k->ud);

    ck_assert_int_ge(fd, 0);
    return fd;
}

int
bound(const char *text, uint16_t port)
{
    struct sockaddr_in a = at(text, port);
    int fd = udp();

    ck_assert_int_eq(k->bind(fd, (struct sockaddr *)&a, sizeof a, k->ud), 0);
    return fd;
}

int
connected(const char *text, uint16_t port)
{
    struct sockaddr_in a = at(text, port);
    int fd = udp();

    ck_assert_int_eq(k->connect(fd, (struct sockaddr *)&a, sizeof a, k->ud), 0);
    return fd;
}

/* text NULL: to whom it is connected */
ssize_t
send_number(int fd, const char *text, uint16_t port, uint32_t n)
{
    struct sockaddr_in a;
    struct iovec v = {&n, sizeof n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    if (text != NULL) {
        a = at(text, port);
        m.msg_name = &a;
        m.msg_namelen = sizeof a;
    }
    return k->sendmsg(fd, &m, 0, k->ud);
}

/* A number, or the error. */
int64_t
take_number(int fd)
{
    uint32_t n;
    ssize_t r = k->recv(fd, &n, sizeof n, 0, k->ud);

    return r == sizeof n ? n : r;
}

void
set_int(int fd, int level, int name, int value)
{
    ck_assert_int_eq(
        k->setsockopt(fd, level, name, &value, sizeof value, k->ud), 0);
}

void
join(int fd, const char *group, unsigned iface)
{
    struct group_req r = {.gr_interface = iface};
    struct sockaddr_in a = at(group, 0);

    memcpy(&r.gr_group, &a, sizeof a);
    ck_assert_int_eq(
        k->setsockopt(fd, IPPROTO_IP, MCAST_JOIN_GROUP, &r, sizeof r, k->ud),
        0);
}
