/* tls_kit.h - authorities, certificates and two ends of TLS for tests */
#ifndef SONICIO_TESTS_TLS_KIT_H
#define SONICIO_TESTS_TLS_KIT_H

#include <openssl/ssl.h>

#include "certificate.h"
#include "rig.h"

/* Who seals and opens records after a handshake of TLS 1.3. */
enum kit_mode {
    KIT_OPENSSL, /* OpenSSL's object, at both ends: handover is off */
    KIT_SERVER,  /* the server's end does it itself: the default */
    KIT_BOTH,    /* so does a client's of kit_client, which does not resume */
    KIT_MODES
};

/* Two authorities, one between, and what they issued: made once. */
struct kit {
    enum kit_mode mode;
    struct certificate root, other_root, between;
    struct certificate server;  /* by root: localhost, *.example.org, 127.0.0.1,
                                   ::1 */
    struct certificate client;  /* by root */
    struct certificate foreign; /* by other_root, for localhost */
};
extern struct kit kit;
void kit_open(void);
void kit_open_server(void); /* in KIT_SERVER */
void kit_close(void);
/* The cases that add adds, in each mode. */
void kit_add(Suite *suite, void (*add)(TCase *tc));
/* The mode's part in the options of a test. */
void kit_set_mode(sonic_tls_context_options *opt, enum sonic_tls_role role);

/* The certificate a wish gives; it fails the test when there is none. */
struct certificate kit_certificate(const struct certificate_wish *wish);
/* A list of the root's that revokes these serial numbers, as PEM; free(3). */
char *kit_revoke(const struct certificate *issuer, const long *serials,
                 size_t n);

/* What a context is made of. */
sonic_tls_certificate kit_own(const struct certificate *c);
sonic_tls_context *kit_context(sonic_io *io, enum sonic_tls_role role,
                               const sonic_tls_context_options *opt);
/* With the defaults of these tests: a server that is kit.server, a client that
 * trusts kit.root. */
sonic_tls_context *kit_server(sonic_io *io);
sonic_tls_context *kit_client(sonic_io *io);
#define KIT_TRUSTS_ROOT .ca = kit.root.pem, .ca_len = kit.root.pem_len

/* Both ends of a connection. */
struct kit_ends {
    sonic_stream *client, *server; /* TLS */
    struct outcome c, s;           /* of their handshakes */
};
/* Over a socket pair (how 0) or TCP (1).  name is verified; NULL: "localhost".
 * The handshakes are begun. */
void kit_begin(struct rig *r, struct kit_ends *e, int how,
               sonic_tls_context *client, sonic_tls_context *server,
               const sonic_tls_options *opt);
/* …and over, with these results (of the server's, 1 means anything). */
void kit_shake(struct rig *r, struct kit_ends *e, int how,
               sonic_tls_context *client, sonic_tls_context *server,
               const sonic_tls_options *opt, int client_err, int server_err);
/* Both established, with the contexts above. */
void kit_connect(struct rig *r, struct kit_ends *e, int how);
void kit_end(struct kit_ends *e);
/* A few bytes each way. */
void kit_talk(struct rig *r, struct kit_ends *e);

/* A peer that is OpenSSL alone, blocking, on fd; run it in a thread or, with
 * step, between turns of the io. */
SSL *kit_raw(SSL_CTX *c, int fd, bool server);
/* A context for one; trusts kit.root, is kit.server when server. */
SSL_CTX *kit_raw_context(bool server);
/* Until the raw end's handshake is over and *o is told; its result. */
int kit_raw_shake(struct rig *r, SSL *raw, const struct outcome *o);

#endif
