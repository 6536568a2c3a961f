/* ktls_sim.h - a kernel that has kTLS, over sockets of one that has not
 *
 * The calls that kTLS is made of, as Documentation/networking/tls.rst has
 * them: keys by setsockopt(2), data and control records by send and recv.  It
 * seals and opens with OpenSSL's ciphers and shares no code with the library.
 *
 *     struct ktls_sim sim;
 *     ktls_sim_init(&sim);
 *     rig.hook.below = &sim.sys;
 *
 * As the kernel does, it takes a record's bytes before TCP has room for all of
 * the record, and drops what it still holds when the socket is closed or shut
 * down.  Every wait moves on what it holds.
 */
#ifndef SONICIO_TESTS_KTLS_SIM_H
#define SONICIO_TESTS_KTLS_SIM_H

#include <openssl/evp.h>

#include <sonicio/sys.h>

/* Records of one direction: RFC 8446 section 5. */
struct sealing {
    const EVP_CIPHER *cipher; /* NULL: plain */
    uint8_t key[32], iv[12];
    uint64_t seq;
};
enum { SEALED_MAX = 5 + 16384 + 256 };
/* A record of n bytes and that many zeros behind its type; its size. */
size_t sealing_seal(struct sealing *s, uint8_t type, const void *p, size_t n,
                    size_t zeros, uint8_t *out);
/* Content of a record of `size` bytes, or -1: it is not authentic, -2: it is
 * nothing but zeros. */
int sealing_open(struct sealing *s, const uint8_t *record, size_t size,
                 uint8_t *out, uint8_t *type);

struct ktls_sock {
    bool ulp, used;
    struct sealing tx, rx;
    uint8_t held[SEALED_MAX]; /* sealed, and not with TCP */
    size_t held_from, held_n;
    uint8_t raw[2 * SEALED_MAX]; /* from TCP */
    size_t raw_n;
    uint8_t plain[SEALED_MAX]; /* opened */
    size_t plain_from, plain_n;
    uint8_t type;
    bool opened; /* plain is a record, perhaps an empty one */
    int error;   /* of receiving */
};

enum { KTLS_SIM_SOCKETS = 1024 };

struct ktls_sim {
    sonic_sys sys;
    const sonic_sys *below;
    struct ktls_sock *sock[KTLS_SIM_SOCKETS]; /* by descriptor */
    /* What the next ones say: 0 or -errno. */
    int ulp_error, tx_error, rx_error;
    bool rekeys;      /* as Linux 6.14 */
    size_t max_take;  /* bytes of one send; 0: all */
    size_t max_give;  /* of one receive */
    const void *from; /* where the last data that was sent lay */
    size_t from_n;
    unsigned keys; /* directions that were given some */
    unsigned lost; /* records that were held when the socket went */
};

void ktls_sim_init(struct ktls_sim *sim);
void ktls_sim_fini(struct ktls_sim *sim);

#endif
