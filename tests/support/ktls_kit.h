/* ktls_kit.h - ends of TLS that let the kernel encrypt
 *
 *     START_TEST(something)
 *     {
 *         ktls_open(&r, _i);
 *         ktls_connect(...);
 *         ktls_close(&r);
 *     }
 *     ktls_add(tc, something);
 *
 * runs it for each backend, with the kernel of ktls_sim.h, and then with the
 * real one where that has kTLS (see tests/ktls/run.sh).
 */
#ifndef SONICIO_TESTS_KTLS_KIT_H
#define SONICIO_TESTS_KTLS_KIT_H

#include "ktls_sim.h"
#include "tls_kit.h"

extern struct ktls_sim ktls_sim;

bool ktls_is_here(void);      /* does the real kernel have it? */
bool ktls_is_real(int index); /* is this test to use it? */
void ktls_open(struct rig *r, int index);
void ktls_close(struct rig *r);
#define ktls_add(tc, test)                                                     \
    tcase_add_loop_test(tc, test, 0, (ktls_is_here() ? 2 : 1) * RIG_BACKENDS)
/* Of what only the one can be made to do. */
#define ktls_add_sim(tc, test) rig_add(tc, test)

/* kit_server and kit_client with ktls on; suites: NULL is the default. */
sonic_tls_context *ktls_context(sonic_io *io, enum sonic_tls_role role,
                                const char *suites);
/* A stream of that role over TCP whose handshake is begun; *peer is the other
 * end's descriptor, which stays the test's. */
sonic_stream *ktls_begin(struct rig *r, enum sonic_tls_role role,
                         const char *suites, int *peer, struct outcome *o);
/* Two ends of our own, established. */
void ktls_connect(struct rig *r, struct kit_ends *e, const char *suites);

/* OpenSSL alone at the other end, which knows nothing of the kernel's. */
struct ktls_peer {
    struct rig *r;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};
enum { KTLS_BIG = 1 << 20 }; /* bytes at most in a swap */
sonic_stream *ktls_meet(struct rig *r, struct ktls_peer *p,
                        enum sonic_tls_role role, const char *suite);
void ktls_leave(struct ktls_peer *p);
/* Run until the peer has read n bytes, or the end: 0, or OpenSSL's error. */
int ktls_peer_reads(struct ktls_peer *p, uint8_t *to, size_t n);
void ktls_peer_writes(struct ktls_peer *p, const uint8_t *from, size_t n);
/* n bytes each way. */
void ktls_swap(struct ktls_peer *p, sonic_stream *s, size_t n);

#endif
