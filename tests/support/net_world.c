#include "net_world.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

sonic_io *
net_io(int i, const sonic_sys *sys, const sonic_mem *mem)
{
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;
    sonic_io *io;

    o.backend = i == 0 ? SONIC_BACKEND_EPOLL : SONIC_BACKEND_POLL;
    o.sys = sys;
    o.mem = mem;
    ck_assert_int_eq(sonic_io_new(&io, &o), 0);
    return io;
}

unsigned
net_open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

bool
net_has_ipv6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

void
net_on_stream(sonic_stream *s, int err, size_t n, void *ud)
{
    struct net_told *t = ud;

    (void)s;
    t->calls++;
    t->err = err;
    t->n = n;
}

void
net_on_accept(sonic_listener *l, int err, sonic_stream *stream, void *ud)
{
    struct net_told *t = ud;

    (void)l;
    t->calls++;
    t->err = err;
    t->stream = stream;
}

sonic_stream *
net_stream(sonic_io *io)
{
    sonic_stream *s;

    ck_assert_int_eq(sonic_stream_new(io, &s), 0);
    return s;
}

sonic_listener *
net_listener(sonic_io *io, const char *address)
{
    sonic_listener *l;

    ck_assert_int_eq(sonic_listener_new(io, address, NULL, &l), 0);
    return l;
}

void
net_where(sonic_listener *l, char *text)
{
    sonic_address a;

    ck_assert_int_eq(sonic_listener_address(l, &a), 0);
    ck_assert_int_gt(sonic_address_format(&a, text, SONIC_ADDRESS_TEXT), 0);
}

void
net_refusing(int *fd, char *text)
{
    sonic_address a;

    ck_assert_int_eq(sonic_address_parse("127.0.0.1:0", &a), 0);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(*fd, 0);
    ck_assert_int_eq(bind(*fd, (struct sockaddr *)&a.storage, a.len), 0);
    ck_assert_int_eq(getsockname(*fd, (struct sockaddr *)&a.storage, &a.len),
                     0);
    ck_assert_int_gt(sonic_address_format(&a, text, SONIC_ADDRESS_TEXT), 0);
}

void
net_talk(sonic_stream *a, sonic_stream *b)
{
    char c = 0;

    ck_assert_int_eq(sonic_stream_write(a, "x", 1, NULL), 0);
    ck_assert_int_eq(sonic_stream_read_all(b, &c, 1, NULL), 0);
    ck_assert_int_eq(c, 'x');
    ck_assert_int_eq(sonic_stream_write(b, "y", 1, NULL), 0);
    ck_assert_int_eq(sonic_stream_read_all(a, &c, 1, NULL), 0);
    ck_assert_int_eq(c, 'y');
}
