/* tls_kernel.h - kTLS: the kernel seals and opens the records of TLS 1.3
 *
 * After the handshake the keys are handed to a TCP socket, each direction when
 * no byte of it is under way: sending once the queue of the stream below is
 * empty, receiving at the end of a record.  Then plaintext goes from the
 * writer's memory to the socket and from the socket to the reader's; the
 * stream below has no bytes and no operations of its own any more, only the
 * descriptor, and tells the TLS stream when that is ready.
 *
 * What is in records besides data is the record machine's as before: the
 * kernel is a cipher that also frames.  Linux:
 * Documentation/networking/tls.rst.
 */
#ifndef SONICIO_SRC_TLS_KERNEL_H
#define SONICIO_SRC_TLS_KERNEL_H

#include "net/tls.h"

enum {
    SONIC__KTLS_WANTS_TX = 1, /* to be handed over when that is possible */
    SONIC__KTLS_WANTS_RX = 2,
    SONIC__KTLS_TX = 4,     /* the kernel seals */
    SONIC__KTLS_RX = 8,     /* it opens */
    SONIC__KTLS_TIGHT = 16, /* it may hold a record that TCP had no room for */
    SONIC__KTLS_SHUT = 32   /* shut down what is below, once all is out */
};

struct sonic__tls_kernel {
    const struct sonic__stream_class *below; /* its class, before */
    size_t pushed; /* bytes that are with TCP, of t->position */
    unsigned flags;
};

static inline bool
sonic__tls_kernel_is(const struct sonic__tls *t, unsigned flags)
{
    return t->kernel != NULL && (t->kernel->flags & flags) != 0;
}

/* Of a new stream: what sonic_tls_ktls says.  0 or -ENOMEM. */
int sonic__tls_kernel_prepare(struct sonic__tls *t);
/* The handshake is over: would the kernel?  If not, t->kernel goes. */
void sonic__tls_kernel_attach(struct sonic__tls *t);
/* The record machine has the keys: hand them on. */
void sonic__tls_kernel_begin(struct sonic__tls *t);
/* The stream below goes its own way again; nothing of it is in t's hands. */
void sonic__tls_kernel_end(struct sonic__tls *t);

/* Hand a direction over if this is the moment.  True: the kernel has it. */
bool sonic__tls_kernel_take_sending(struct sonic__tls *t);
bool sonic__tls_kernel_take_receiving(struct sonic__tls *t);
/* TLS_TX or TLS_RX: the keys that the machine has now.  -errno or SONIC_ETLS.
 */
int sonic__tls_kernel_set(struct sonic__tls *t, int direction);

/* Of a direction that the kernel has. */
ssize_t sonic__tls_kernel_read(struct sonic__tls *t, void *buf, size_t len);
ssize_t sonic__tls_kernel_writev(struct sonic__tls *t, const struct iovec *iov,
                                 int n);
/* Send the machine's note, if there is one, and change keys when it says so.
 * False: not now. */
bool sonic__tls_kernel_note(struct sonic__tls *t);
int sonic__tls_kernel_shutdown(struct sonic__tls *t);
/* See stream.h: taken.  The kernel has it, and TCP too. */
int sonic__tls_kernel_taken(struct sonic__tls *t, size_t up_to);
/* There is room again: what waited for it. */
void sonic__tls_kernel_go_on(struct sonic__tls *t);

#endif
