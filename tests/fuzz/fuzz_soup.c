/* Any bytes to either end: the same is heard however they are cut, an end that
 * failed hears nothing more, and what a login or its answer says is what was
 * written.
 *
 * The input: the role, where to cut, then the bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sim.h>
#include <sonicio/soup.h>

#include "soup/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

/* All that was heard, as one number. */
struct heard {
    uint64_t hash;
    bool over;
};

static void
hear(struct heard *h, char what, uint64_t n, const void *data, size_t len)
{
    const uint8_t *p = data;

    must(!h->over);
    h->hash = (h->hash ^ (uint8_t)what) * UINT64_C(0x100000001b3);
    h->hash = (h->hash ^ n) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < len; i++)
        h->hash = (h->hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static void
on_login(sonic_soup *s, const sonic_soup_login *l, void *ud)
{
    uint8_t wire[SONIC__SOUP_LOGIN_SIZE];
    sonic_soup_login again;

    sonic__soup_write_login(wire, l);
    must(sonic__soup_read_login(wire, sizeof wire, &again) == 0);
    must(strcmp(again.user, l->user) == 0 && again.sequence == l->sequence);
    hear(ud, 'L', l->sequence, l, sizeof l->user);
    if (l->sequence % 3 == 0)
        (void)!sonic_soup_reject(s, SONIC_SOUP_NO_SESSION);
    else if (l->sequence % 3 == 1)
        (void)!sonic_soup_accept(s, "S", 1);
}

static void
on_open(sonic_soup *s, const char *session, uint64_t next, void *ud)
{
    (void)s;
    hear(ud, 'A', next, session, strlen(session));
}

static void
on_message(sonic_soup *s, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    must(sonic_soup_next(s) == sequence + 1);
    hear(ud, 'S', sequence, data, len);
}

static void
on_unsequenced(sonic_soup *s, uint8_t *data, size_t len, void *ud)
{
    (void)s;
    hear(ud, 'U', 0, data, len);
}

static void
on_debug(sonic_soup *s, const char *text, size_t len, void *ud)
{
    (void)s;
    hear(ud, '+', 0, text, len);
}

static void
on_close(sonic_soup *s, const sonic_soup_close_record *why, void *ud)
{
    struct heard *h = ud;

    (void)s;
    hear(h, 'Z', why->next, &why->error, sizeof why->error);
    h->over = true;
}

static uint64_t
play(bool client, const uint8_t *data, size_t size, size_t piece)
{
    static const sonic_soup_handler handler = {SONIC_SOUP_HANDLER_INIT,
                                               .on_login = on_login,
                                               .on_open = on_open,
                                               .on_message = on_message,
                                               .on_unsequenced = on_unsequenced,
                                               .on_debug = on_debug,
                                               .on_close = on_close};
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    sonic_io_options io_opt = SONIC_IO_OPTIONS_INIT;
    struct heard h = {UINT64_C(0xcbf29ce484222325), false};
    const sonic_sys *k;
    sonic_stream *stream;
    sonic_soup *soup;
    sonic_sim *sim;
    sonic_io *io;
    int fd[2];

    must(sonic_sim_new(&sim, NULL) == 0);
    io_opt.sys = k = sonic_sim_sys(sim);
    io_opt.buffer_size = 1 << 17;
    must(sonic_io_new(&io, &io_opt) == 0 && sonic_sim_pair(sim, fd) == 0);
    must(sonic_stream_adopt(io, fd[0], &stream) == 0);
    opt.any_sequence = SONIC_ON;
    opt.max_message = 4096;
    must((client ? sonic_soup_client_new : sonic_soup_server_new)(
             stream, &opt, &handler, &h, &soup) == 0);
    while (size > 0) {
        size_t n = size < piece ? size : piece;

        if (k->send(fd[1], data, n, MSG_NOSIGNAL, k->ud) <= 0)
            break;
        data += n;
        size -= n;
        while (sonic_io_poll(io) > 0)
            ;
    }
    sonic_soup_terminate(soup);
    while (sonic_io_poll(io) > 0)
        ;
    must(h.over);
    sonic_soup_free(soup);
    sonic_io_free(io);
    k->close(fd[1], k->ud);
    must(sonic_sim_free(sim, NULL) == 0);
    return h.hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool client;

    if (size < 2 || size > 20000)
        return 0;
    client = data[0] & 1;
    must(play(client, data + 2, size - 2, size) ==
         play(client, data + 2, size - 2, data[1] % 64 + 1u));
    return 0;
}
