/* tls_raw.h - a sonicio server, and OpenSSL alone at the other end */
#ifndef SONICIO_TESTS_TLS_RAW_H
#define SONICIO_TESTS_TLS_RAW_H

#include "net/tls.h"
#include "tls_kit.h"

extern struct raw {
    struct rig r;
    sonic_tls_context_options so; /* for s; to be changed before raw_shake */
    sonic_tls_certificate own;
    sonic_tls_context *s;
    SSL_CTX *c;
    sonic_stream *server;
    SSL *client;
    int fd; /* the client's */
    struct outcome shook;
} raw;

void raw_open(void);
void raw_shake(SSL_SESSION *session); /* or NULL */
void raw_hang_up(void);               /* for another raw_shake */
void raw_close(void);

/* Of a server that has taken the keys. */
struct sonic__tls_record *raw_record(void);

void raw_up(const char *text); /* from the client to the server, short */
void raw_down(const char *text);
void raw_read(void *buf, size_t len); /* at the client */
void raw_talk(void);

#endif
