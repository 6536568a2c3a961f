#include "udp_rig.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool
udp_has_v6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;

    if (fd >= 0)
        close(fd);
    if (!has)
        puts("no IPv6 on loopback: IPv4 is tested twice");
    return has;
}

void
udp_open_with(struct udp_rig *r, int index, const sonic_io_options *opt)
{
    bool v6 = index / RIG_BACKENDS == 1 && udp_has_v6();

    r->family = v6 ? AF_INET6 : AF_INET;
    r->host = v6 ? "[::1]:0" : "127.0.0.1:0";
    rig_open_with(&r->rig, index % RIG_BACKENDS, opt);
}

void
udp_open(struct udp_rig *r, int index)
{
    udp_open_with(r, index, NULL);
}

void
udp_close(struct udp_rig *r)
{
    rig_close(&r->rig);
}

sonic_udp *
udp_bound(struct udp_rig *r, const sonic_udp_options *opt)
{
    sonic_udp *u;

    ck_assert_int_eq(sonic_udp_new(r->rig.io, r->host, opt, &u), 0);
    return u;
}

sonic_address
udp_where(const sonic_udp *u)
{
    sonic_address a;

    ck_assert_int_eq(sonic_udp_local_address(u, &a), 0);
    return a;
}

sonic_udp *
udp_dialled(struct udp_rig *r, sonic_udp *to, const sonic_udp_options *opt)
{
    sonic_address a = udp_where(to);
    char text[SONIC_ADDRESS_TEXT];
    sonic_udp *u;

    ck_assert_int_gt(sonic_address_format(&a, text, sizeof text), 0);
    ck_assert_int_eq(sonic_udp_dial(r->rig.io, text, opt, &u), 0);
    return u;
}

sonic_address
udp_nobody(struct udp_rig *r)
{
    sonic_udp *u = udp_bound(r, NULL);
    sonic_address a = udp_where(u);

    sonic_udp_free(u);
    return a;
}

static void
note(struct udp_got *g, const sonic_datagram *d)
{
    g->n++;
    g->len = d->len;
    g->sent = d->sent;
    g->truncated = d->truncated;
    g->interface = d->interface;
    g->timestamp = d->timestamp;
    g->hardware_time = d->hardware_time;
    g->drops = d->drops;
    g->from = *d->from;
    g->to = *d->to;
    memcpy(g->data, d->data, d->len < sizeof g->data ? d->len : sizeof g->data);
}

void
on_udp_read(sonic_udp *u, int err, const sonic_datagram *d, void *ud)
{
    struct udp_got *g = ud;

    g->calls++;
    g->err = err;
    ck_assert((err == 0) == (d != NULL));
    if (err == 0)
        note(g, d);
    if (err == 0 && g->again)
        sonic_udp_async_read(u, g->buf, g->cap, on_udp_read, g);
}

void
on_udp_lend(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct udp_got *g = ud;

    g->calls++;
    g->err = err;
    ck_assert((err == 0) == (n > 0));
    if (n > g->most)
        g->most = n;
    for (size_t i = 0; i < n; i++)
        note(g, &d[i]);
    if (g->each != NULL)
        g->each(u, err, d, n, g->each_ud);
    if (err == 0 && g->again)
        sonic_udp_lend(u, on_udp_lend, g);
}

void
on_udp_write(sonic_udp *u, int err, size_t n, void *ud)
{
    struct outcome *o = ud;

    (void)u;
    o->calls++;
    o->err = err;
    o->n = n;
}

sonic_udp_stats
udp_stats(const sonic_udp *u)
{
    sonic_udp_stats s;

    sonic_udp_get_stats(u, &s);
    return s;
}

bool
udp_same_address(const sonic_address *a, const sonic_address *b)
{
    return a->len == b->len && memcmp(&a->storage, &b->storage, a->len) == 0;
}
