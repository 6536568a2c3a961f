/* An answerer on a socket. */
#include <netinet/in.h>
#include <string.h>

#include <sonicio/object.h>

#include "base/pack.h"
#include "mold/socket.h"

struct sonic_mold_server {
    sonic_mold_answerer *answerer;
    sonic_udp *udp;
    const sonic_address *asker; /* of the request being answered */
    unsigned failures;          /* in a row */
    bool closed;
};

enum { FAILURES_MAX = 100 };

/* Whoever asks from many ports is one client all the same. */
static uint64_t
key_of(const sonic_address *a)
{
    const struct sockaddr_in6 *six = (const void *)&a->storage;
    const struct sockaddr_in *four = (const void *)&a->storage;
    uint64_t half[2];

    if (a->storage.ss_family == AF_INET)
        return four->sin_addr.s_addr;
    memcpy(half, &six->sin6_addr, sizeof half);
    return half[0] * 31 + half[1];
}

static void
on_packet(const void *data, size_t len, void *ud)
{
    sonic_mold_server *s = ud;
    int err = sonic_udp_queue(s->udp, s->asker, data, len);

    (void)err; /* it asks again */
}

static void
on_requests(sonic_udp *udp, int err, const sonic_datagram *d, size_t n,
            void *ud)
{
    sonic_mold_server *s = ud;
    int64_t now = sonic_io_now(sonic_object_io(s));

    for (size_t i = 0; i < n; i++) {
        s->asker = d[i].from;
        (void)!sonic_mold_answer(s->answerer, key_of(d[i].from), now, d[i].data,
                                 d[i].len, on_packet, s);
    }
    s->failures = err < 0 ? s->failures + 1 : 0;
    if (!s->closed && err != -ECANCELED && err != SONIC_ECLOSED &&
        s->failures < FAILURES_MAX)
        sonic_udp_lend(udp, on_requests, s);
    else
        sonic_object_drop(s);
}

static void
run(void *object)
{
    (void)object;
}

static void
destroy(void *object)
{
    sonic_mold_server *s = object;

    sonic_mold_answerer_free(s->answerer);
}

int
sonic_mold_server_new(sonic_io *io, const sonic_mold_server_options *opt,
                      sonic_mold_server **out)
{
    static const sonic_object_class cls = {
        SONIC_OBJECT_CLASS_INIT,
        .bytes = sizeof(sonic_mold_server),
        .run = run,
        .destroy = destroy,
    };
    sonic_mold_server_options o;
    sonic_mold_answerer_options answerer;
    sonic_mold_server *s;
    void *object;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0 && o.address == NULL)
        err = SONIC_EOPTION;
    if (err == 0)
        err = sonic__options_copy(&answerer, sizeof answerer, o.answerer);
    if (err < 0)
        return err;
    err = sonic_object_new(io, &cls, &object);
    if (err < 0)
        return err;
    s = object;
    answerer.mem = sonic_io_mem(io);
    err = sonic_mold_answerer_new(&answerer, &s->answerer);
    if (err == 0)
        err = sonic_udp_new(io, o.address, o.udp, &s->udp);
    if (err < 0) {
        sonic_object_free(s);
        return err;
    }
    sonic_object_hold(s);
    sonic_udp_lend(s->udp, on_requests, s);
    *out = s;
    return 0;
}

void
sonic_mold_server_free(sonic_mold_server *s)
{
    if (s == NULL || s->closed)
        return;
    s->closed = true;
    sonic_udp_free(s->udp);
    sonic_object_free(s);
}

sonic_udp *
sonic_mold_server_udp(const sonic_mold_server *s)
{
    return s->udp;
}

sonic_mold_answerer *
sonic_mold_server_answerer(const sonic_mold_server *s)
{
    return s->answerer;
}
