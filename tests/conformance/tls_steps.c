/* The steps that only TLS knows. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "play.h"

/* What OpenSSL wants to say, goes out with what is said next. */
static bool
push(struct play *p)
{
    return (wire_flush(&p->wire) && wire_push_cipher(&p->wire)) ||
           play_wrong(p, "the peer reads no more");
}

/* RFC 8446 4.6.3: new keys, for both directions. */
bool
step_rekey(struct play *p, const char *text)
{
    (void)text;
    if (!push(p))
        return false;
    if (SSL_key_update(p->wire.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 ||
        SSL_do_handshake(p->wire.ssl) != 1)
        return play_wrong(p, "cannot ask for new keys");
    play_log(p, "> new keys");
    return push(p);
}

/* RFC 5246 7.4.1.1: a client asks for another handshake, which must not be. */
bool
step_renegotiate(struct play *p, const char *text)
{
    (void)text;
    if (!push(p))
        return false;
    ERR_clear_error();
    if (SSL_renegotiate(p->wire.ssl) != 1)
        return play_wrong(p, "cannot ask for another handshake");
    (void)SSL_do_handshake(p->wire.ssl);
    play_log(p, "> another handshake");
    return push(p);
}

/* The end of TCP without close_notify. */
bool
step_hangup(struct play *p, const char *text)
{
    (void)text;
    if (!push(p))
        return false;
    shutdown(p->wire.fd, SHUT_WR);
    play_log(p, "> the end, without a close_notify");
    return true;
}

void
tls_settings(struct play *p, const char *version, const char *pieces)
{
    if (pieces != NULL)
        p->wire.cipher_chop = strtoul(pieces, NULL, 10);
    p->wire.version = version == NULL               ? 0
                      : strcmp(version, "1.2") == 0 ? TLS1_2_VERSION
                                                    : TLS1_3_VERSION;
}
