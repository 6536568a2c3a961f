/* udp_rig.h - rig.h for datagrams: each backend with each family
 *
 *     udp_add(tc, test);       runs it four times
 *     udp_open(&r, _i);        r.rig, r.family, r.host ("127.0.0.1:0" ...)
 */
#ifndef SONICIO_TESTS_UDP_RIG_H
#define SONICIO_TESTS_UDP_RIG_H

#include "rig.h"

struct udp_rig {
    struct rig rig;
    int family;
    const char *host; /* loopback, port 0 */
};

#define udp_add(tc, test) tcase_add_loop_test(tc, test, 0, 2 * RIG_BACKENDS)

void udp_open(struct udp_rig *r, int index);
void udp_open_with(struct udp_rig *r, int index, const sonic_io_options *opt);
void udp_close(struct udp_rig *r);

/* A socket on loopback with a port of its own. */
sonic_udp *udp_bound(struct udp_rig *r, const sonic_udp_options *opt);
sonic_address udp_where(const sonic_udp *u);
/* One that is connected to `to`, from a port of its own. */
sonic_udp *udp_dialled(struct udp_rig *r, sonic_udp *to,
                       const sonic_udp_options *opt);
/* An address of loopback that nobody is at. */
sonic_address udp_nobody(struct udp_rig *r);

/* What a read or a lend said, datagram by datagram. */
struct udp_got {
    unsigned calls;
    int err;
    size_t n;         /* datagrams */
    size_t most;      /* of one call */
    size_t len, sent; /* of the last */
    bool truncated;
    unsigned interface;
    int64_t timestamp, hardware_time;
    uint64_t drops;
    sonic_address from, to;
    uint8_t data[256];       /* its beginning */
    bool again;              /* have on_ begin the next */
    sonic_udp_lend_fn *each; /* called too; NULL */
    void *each_ud;
    uint8_t *buf; /* for reads that begin again */
    size_t cap;
};
void on_udp_read(sonic_udp *u, int err, const sonic_datagram *d, void *ud);
void on_udp_lend(sonic_udp *u, int err, const sonic_datagram *d, size_t n,
                 void *ud);
/* struct outcome of rig.h */
void on_udp_write(sonic_udp *u, int err, size_t n, void *ud);

sonic_udp_stats udp_stats(const sonic_udp *u);
bool udp_same_address(const sonic_address *a, const sonic_address *b);

/* Is there IPv6 on loopback?  Says so, once, when there is not. */
bool udp_has_v6(void);

#endif
