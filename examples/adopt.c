/* adopt - put somebody else's connection on the reactor
 *
 * A descriptor that another library opened, or that was inherited, becomes a
 * stream like any other.  Here the other library is a thread that knows nothing
 * of sonicio: it answers in plain blocking calls at its end of a socket. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

/* ---- the other library ------------------------------------------------- */

static void *
foreign(void *arg)
{
    int fd = *(int *)arg;
    char text[64];
    ssize_t n;

    while ((n = read(fd, text, sizeof text)) > 0) { /* blocks */
        for (ssize_t i = 0; i < n; i++)
            if (text[i] >= 'a' && text[i] <= 'z')
                text[i] = (char)(text[i] - 'a' + 'A');
        if (write(fd, text, (size_t)n) != n)
            break;
    }
    close(fd);
    return NULL;
}

/* ---- ours --------------------------------------------------------------- */

static void
on_end(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    (void)len;
    (void)ud;
    printf("then: %s\n", sonic_strerror(err));
    sonic_stream_free(s);
}

static void
on_answer(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    bool *good = ud;

    if (err < 0) {
        sonic_stream_free(s);
        return;
    }
    printf("the other side says: %.*s\n", (int)len, (const char *)data);
    *good = len == 5 && memcmp(data, "HELLO", 5) == 0;
    sonic_stream_consume(s, len);
    sonic_stream_shutdown(s); /* it sees the end, and ends, too */
    sonic_stream_lend(s, 1, 0, on_end, NULL);
}

int
main(void)
{
    bool good = false;
    pthread_t thread;
    sonic_io *io = NULL;
    sonic_stream *s;
    int fd[2], err;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
        return 1;
    pthread_create(&thread, NULL, foreign, &fd[1]);
    err = sonic_io_new(&io, NULL);
    if (err == 0)
        err = sonic_stream_adopt(io, fd[0], &s); /* non-blocking, and ours */
    if (err == 0)
        err = sonic_stream_send(s, "hello", 5);
    if (err == 0) {
        sonic_stream_lend(s, 5, 0, on_answer, &good);
        err = sonic_io_run_pending(io);
    }
    if (err < 0)
        fprintf(stderr, "adopt: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    pthread_join(thread, NULL);
    return err < 0 || !good;
}
