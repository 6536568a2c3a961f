/* Datagrams in the simulated world.
 *
 * sim_datagram.c reading, writing and readiness of UDP sockets
 * sim_control.c  control messages, in both directions
 * sim_send.c     where a datagram goes and by which interface
 * sim_net.c      its way there: faults, receivers, ICMP
 * sim_mcast.c    groups: joining, leaving, source filters
 * sim_inet.c     options of IP and UDP
 * sim_iface.c    interfaces
 *
 * Made after Linux 6.18, net/ipv4/{udp,igmp,ip_sockglue}.c and their siblings
 * in net/ipv6; tests/check_sim_kernel.c compares. */
#ifndef SONICIO_SIM_NET_H
#define SONICIO_SIM_NET_H

#include "world.h"

struct ifaddrs;

/* What a datagram costs of a receive buffer beside its own length: struct
 * sk_buff, skb_shared_info and headers. */
enum { SIM_PACKET_COST = 768, SIM_LOOPBACK = 1, SIM_FILTER_MAX = 64 };

/* A datagram, under way or in a receiver's buffer. */
struct sim_packet {
    struct sim_list queued;
    struct sim_ip from, to;
    unsigned iface;   /* that it leaves by, then: arrives on */
    unsigned ttl;     /* as sent */
    unsigned tos;     /* or traffic class */
    bool loop;        /* a multicast comes back on iface */
    int64_t arrived;  /* time */
    uint32_t lost;    /* datagrams the receiver had lost before */
    unsigned segment; /* several of this size, joined by UDP_GRO; 0: one */
    size_t len;
    uint8_t data[];
};

/* A group that a socket is a member of. */
struct sim_member {
    struct sim_member *next;
    struct sim_ip group; /* port 0, as all addresses here */
    unsigned iface;
    bool include; /* only sources; otherwise: all but sources */
    bool filter;  /* there has been a source: the mode stands */
    unsigned n;
    struct sim_ip sources[SIM_FILTER_MAX];
};

/* What a socket for datagrams has more than others. */
struct sim_udp {
    struct sim_sock *sock; /* NULL: closed */
    unsigned refs;         /* the socket and events */
    struct sim_list queue; /* sim_packet.queued, oldest first */
    size_t queued;         /* bytes of the receive buffer that it takes */
    uint32_t lost;         /* for want of room */
    bool read_hold, write_hold;
    bool fixed_address, fixed_port; /* by bind: disconnecting keeps them */
    unsigned device;                /* SO_BINDTODEVICE; 0: any */
    unsigned out4, out6;            /* of multicasts; 0: not said */
    struct sim_ip out4_address;     /* likewise */
    struct sim_member *members;     /* latest first */
};

/* What one call sends, or the socket's options say about it. */
struct sim_sending {
    struct sim_ip from, to;
    unsigned iface;   /* 0: not said */
    unsigned scope;   /* of an IPv6 address, 0: not said */
    int ttl, tos;     /* -1: not said */
    unsigned segment; /* UDP_SEGMENT; 0: it is one datagram */
};

/* sim_datagram.c */
extern const struct sim_ops sonic__sim_dgram_ops;
int sonic__sim_udp_new(struct sim_sock *s);
void sonic__sim_udp_close(struct sim_sock *s);
void sonic__sim_udp_unref(sonic_sim *sim, struct sim_udp *u);
void sonic__sim_udp_event(const struct sim_event *ev);
/* Into the receive buffer, which keeps a copy. */
void sonic__sim_udp_put(struct sim_sock *s, const struct sim_packet *p,
                        unsigned iface);
int sonic__sim_udp_connect(struct sim_sock *s, const struct sockaddr *a,
                           socklen_t len);
int sonic__sim_udp_shutdown(struct sim_sock *s, int how);

/* sim_control.c */
void sonic__sim_control_out(struct sim_sock *s, struct msghdr *m,
                            const struct sim_packet *p);
int sonic__sim_control_in(struct sim_sock *s, const struct msghdr *m,
                          struct sim_sending *out);

/* sim_send.c */
/* Where m goes; from and iface are filled in.  0 or an error. */
int sonic__sim_send_to(struct sim_sock *s, const struct msghdr *m,
                       struct sim_sending *out);
/* The sender's address for a destination. */
int sonic__sim_route_out(struct sim_sock *s, struct sim_sending *out);

/* sim_net.c */
struct sim_packet *sonic__sim_packet_new(sonic_sim *sim, size_t len);
void sonic__sim_packet_free(sonic_sim *sim, struct sim_packet *p);
/* Send it on its way; takes it over. */
int sonic__sim_launch(sonic_sim *sim, struct sim_packet *p);
void sonic__sim_net_event(sonic_sim *sim, const struct sim_event *ev);
void sonic__sim_ways_free(sonic_sim *sim);

/* sim_inet.c: 0, an error, or SIM_NOT_MINE for an option of another kind. */
enum { SIM_NOT_MINE = 1 };
int sonic__sim_inet_default(int level, int name);
int sonic__sim_inet_set(struct sim_sock *s, int level, int name,
                        const void *val, socklen_t len);
int sonic__sim_inet_get(const struct sim_sock *s, int level, int name,
                        void *val, socklen_t *len);

/* sim_mcast.c: likewise. */
int sonic__sim_mcast_set(struct sim_sock *s, int level, int name,
                         const void *val, socklen_t len);
void sonic__sim_mcast_leave_all(struct sim_sock *s);
bool sonic__sim_ip_is_multicast(const struct sim_ip *ip);
bool sonic__sim_ip_is_broadcast(const struct sim_ip *ip);
/* Whether s takes what `from` sends to a group, arriving on iface. */
bool sonic__sim_mcast_wanted(const struct sim_sock *s,
                             const struct sim_packet *p, unsigned iface);
/* Whether anybody has made the host listen to it. */
bool sonic__sim_mcast_heard(const sonic_sim *sim, const struct sim_packet *p,
                            unsigned iface);

/* sim_iface.c */
void sonic__sim_loopback(sonic_sim *sim);
const struct sim_iface *sonic__sim_iface(const sonic_sim *sim, unsigned index);
unsigned sonic__sim_iface_by_name(const sonic_sim *sim, const char *name);
/* 0: none has the address. */
unsigned sonic__sim_iface_by_ip(const sonic_sim *sim, const struct sim_ip *ip);
/* For groups, where nothing else is said. */
unsigned sonic__sim_iface_default(const sonic_sim *sim);
/* Its address as a sender to `to`; false: it has none of that family. */
bool sonic__sim_iface_source(const sonic_sim *sim, unsigned index,
                             const struct sim_ip *to, struct sim_ip *from);
int sonic__sim_if_nametoindex(const char *, void *);
int sonic__sim_if_indextoname(unsigned, char *, void *);
int sonic__sim_getifaddrs(struct ifaddrs **, void *);
void sonic__sim_freeifaddrs(struct ifaddrs *, void *);

#endif
