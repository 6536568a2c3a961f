#include "sim_world.h"

#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <sys/epoll.h>

sonic_sim *sim;
const sonic_sys *k;

void
begin(const sonic_sim_options *opt)
{
    ck_assert_int_eq(sonic_sim_new(&sim, opt), 0);
    k = sonic_sim_sys(sim);
}

void
end(void)
{
    sonic_sim_leaks leaks;
    int err = sonic_sim_free(sim, &leaks);

    ck_assert_msg(err == 0, "left over: %s", leaks.what);
}

int
new_epoll(void)
{
    int ep = k->epoll_create1(EPOLL_CLOEXEC, k->ud);

    ck_assert_int_ge(ep, 0);
    return ep;
}

void
watch(int ep, int fd)
{
    struct epoll_event ev = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};

    ck_assert_int_eq(k->epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev, k->ud), 0);
}

uint32_t
events_within(int ep, int64_t timeout)
{
    struct epoll_event ev;
    int n = k->epoll_wait(ep, &ev, 1, timeout, k->ud);

    ck_assert_int_ge(n, 0);
    return n > 0 ? ev.events : 0;
}

void
new_pair(int fd[2])
{
    ck_assert_int_eq(sonic_sim_pair(sim, fd), 0);
}

void
shut(int fd)
{
    ck_assert_int_eq(k->close(fd, k->ud), 0);
}

ssize_t
put(int fd, size_t n)
{
    static char zeros[PAGE * 32];

    return k->send(fd, zeros, n, MSG_NOSIGNAL, k->ud);
}

ssize_t
take(int fd, size_t n)
{
    static char buf[PAGE * 32];

    return k->recv(fd, buf, n, 0, k->ud);
}

struct sockaddr_in
address(const char *text, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct addrinfo *res;

    ck_assert_int_eq(k->getaddrinfo(text, NULL, NULL, &res, k->ud), 0);
    a.sin_addr = ((struct sockaddr_in *)(void *)res->ai_addr)->sin_addr;
    k->freeaddrinfo(res, k->ud);
    return a;
}

int
new_socket(void)
{
    int fd = k->socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0, k->ud);

    ck_assert_int_ge(fd, 0);
    return fd;
}

int
new_listener(const char *at, uint16_t port, int backlog)
{
    struct sockaddr_in a = address(at, port);
    int fd = new_socket();

    ck_assert_int_eq(k->bind(fd, (struct sockaddr *)&a, sizeof a, k->ud), 0);
    ck_assert_int_eq(k->listen(fd, backlog, k->ud), 0);
    return fd;
}

int
new_client(const char *at, uint16_t port, int expected)
{
    struct sockaddr_in a = address(at, port);
    int fd = new_socket();

    ck_assert_int_eq(k->connect(fd, (struct sockaddr *)&a, sizeof a, k->ud),
                     expected);
    return fd;
}

int
so_error(int fd)
{
    int err;
    socklen_t n = sizeof err;

    ck_assert_int_eq(k->getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n, k->ud),
                     0);
    return err;
}

void
expect_addresses(const char *name, int family, int expected, size_t n)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *res, *ai;

    ck_assert_int_eq(k->getaddrinfo(name, "8080", &hints, &res, k->ud),
                     expected);
    for (ai = res; ai != NULL; ai = ai->ai_next, n--) {
        const struct sockaddr_in *a = (const void *)ai->ai_addr;

        ck_assert_int_eq(ai->ai_family, ai->ai_addr->sa_family);
        ck_assert_uint_eq(ntohs(a->sin_port), 8080); /* as in sockaddr_in6 */
    }
    ck_assert_uint_eq(n, 0);
    if (res != NULL)
        k->freeaddrinfo(res, k->ud);
}
