/* Names to addresses.  getaddrinfo(3) blocks, so it runs on a worker; a
 * worker cannot be interrupted, so a look-up that nobody wants any more is
 * left alone and frees itself when it comes back. */
#include "net/resolve.h"

#include <string.h>

/* What getaddrinfo(3) says, as one of ours.  system is errno after it. */
static int
error_of(int eai, int system)
{
    switch (eai) {
    case 0:
        return 0;
    case EAI_AGAIN: /* the server did not answer: it may later */
        return SONIC_ERESOLVE_AGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        if (system == ENOMEM || system == EMFILE || system == ENFILE)
            return -system;
        return SONIC_ERESOLVE; /* not to be taken for the connection's own */
    default:
        return SONIC_ERESOLVE;
    }
}

static void
append(struct sonic__resolve *r, const struct addrinfo *ai)
{
    sonic_address *a = &r->found[r->n++];

    memset(a, 0, sizeof *a);
    memcpy(&a->storage, ai->ai_addr, ai->ai_addrlen);
    a->len = ai->ai_addrlen;
    sonic__address_set_port(a, r->port);
}

/* The first of family at or behind ai. */
static const struct addrinfo *
next_of(const struct addrinfo *ai, int family)
{
    while (ai != NULL && (ai->ai_family != family || ai->ai_addr == NULL ||
                          ai->ai_addrlen > sizeof(struct sockaddr_storage)))
        ai = ai->ai_next;
    return ai;
}

/* RFC 8305 section 4: in the order of the resolver (RFC 6724), but the
 * families alternate, IPv6 first. */
static void
take_sorted(struct sonic__resolve *r, const struct addrinfo *list)
{
    const struct addrinfo *v6 = next_of(list, AF_INET6);
    const struct addrinfo *v4 = next_of(list, AF_INET);

    while ((v6 != NULL || v4 != NULL) && r->n < SONIC__RESOLVE_MAX) {
        if (v6 != NULL) {
            append(r, v6);
            v6 = next_of(v6->ai_next, AF_INET6);
        }
        if (v4 != NULL && r->n < SONIC__RESOLVE_MAX) {
            append(r, v4);
            v4 = next_of(v4->ai_next, AF_INET);
        }
    }
}

static void
look_up(struct sonic__job *job)
{
    struct sonic__resolve *r = (struct sonic__resolve *)job;
    struct addrinfo hints = {.ai_family = r->family,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int eai;

    errno = 0;
    eai = r->sys->getaddrinfo(r->host, NULL, &hints, &list, r->sys->ud);
    r->err = error_of(eai, errno);
    if (eai != 0)
        return;
    take_sorted(r, list);
    r->sys->freeaddrinfo(list, r->sys->ud);
    if (r->n == 0)
        r->err = SONIC_ERESOLVE;
}

static void
release(struct sonic__resolve *r)
{
    sonic_mem mem = r->mem;

    mem.free(r, sizeof *r, mem.ud);
}

/* On the loop; without an io on a worker, where all that is left is to free:
 * whoever was interested has gone with the io. */
static void
done(struct sonic__job *job, sonic_io *io)
{
    struct sonic__resolve *r = (struct sonic__resolve *)job;

    r->busy = false;
    if (io == NULL || r->fn == NULL)
        release(r);
    else
        r->fn(r, r->ud);
}

static struct sonic__resolve *
make(sonic_io *io, const char *host, int family, uint16_t port)
{
    struct sonic__resolve *r = sonic__alloc(io, sizeof *r);

    if (r == NULL)
        return NULL;
    assert(strlen(host) <= SONIC__HOST_MAX);
    strcpy(r->host, host);
    r->job.work = look_up;
    r->job.done = done;
    r->sys = io->sys;
    r->mem = io->mem;
    r->family = family;
    r->port = port;
    return r;
}

int
sonic__resolve_start(sonic_io *io, const char *host, int family, uint16_t port,
                     sonic__resolve_fn *fn, void *ud,
                     struct sonic__resolve **out)
{
    struct sonic__resolve *r = make(io, host, family, port);
    int err;

    if (r == NULL)
        return -ENOMEM;
    r->fn = fn;
    r->ud = ud;
    r->busy = true;
    err = sonic__work_submit(io, &r->job);
    if (err < 0) {
        release(r);
        return err;
    }
    *out = r;
    return 0;
}

int
sonic__resolve_now(sonic_io *io, const char *host, int family, uint16_t port,
                   struct sonic__resolve **out)
{
    struct sonic__resolve *r = make(io, host, family, port);
    int err;

    if (r == NULL)
        return -ENOMEM;
    look_up(&r->job);
    err = r->err;
    if (err < 0)
        release(r);
    else
        *out = r;
    return err;
}

void
sonic__resolve_drop(struct sonic__resolve *r)
{
    if (r == NULL)
        return;
    r->fn = NULL;
    if (!r->busy)
        release(r);
}
