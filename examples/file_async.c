/* file_async - copy a file while the loop does other things
 *
 *     file_async [FROM TO]     without them, from and to files in /tmp
 *
 * A disk says never that it "would block", it just takes its time: reads and
 * writes run on another thread, one after the other, and call back on the
 * loop.  A timer ticks meanwhile, to show that the loop is not held up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

enum { CHUNK = 64 * 1024, SIZE = 8 * 1024 * 1024 };

struct copy {
    sonic_file *from, *to;
    sonic_timer *timer;
    char buf[CHUNK];
    size_t copied, ticks;
    int err;
};

static void on_read(sonic_file *from, int err, size_t n, void *ud);

static void
end(struct copy *c, int err)
{
    c->err = err;
    sonic_timer_close(c->timer);
}

static void
on_sync(sonic_file *to, int err, size_t n, void *ud)
{
    (void)to;
    (void)n;
    end(ud, err);
}

static void
on_write(sonic_file *to, int err, size_t n, void *ud)
{
    struct copy *c = ud;

    (void)to;
    c->copied += n;
    if (err < 0)
        end(c, err);
    else
        sonic_file_async_read(c->from, c->buf, sizeof c->buf, on_read, c);
}

static void
on_read(sonic_file *from, int err, size_t n, void *ud)
{
    struct copy *c = ud;

    (void)from;
    if (err == SONIC_EOF)
        sonic_file_async_sync(c->to, on_sync, c);
    else if (err < 0)
        end(c, err);
    else
        sonic_file_async_write(c->to, c->buf, n, on_write, c);
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct copy *c = ud;

    (void)timer;
    c->ticks += err == 0;
}

/* A temporary file that is gone when the program is, with SIZE bytes in it or
 * none. */
static int
temporary(sonic_io *io, bool filled, sonic_file **out)
{
    char path[] = "/tmp/sonicio-file_async-XXXXXX";
    int fd = mkstemp(path), err;

    if (fd < 0)
        return -errno;
    unlink(path);
    if (filled && ftruncate(fd, SIZE) < 0)
        err = -errno;
    else
        err = sonic_file_adopt(io, fd, NULL, out);
    if (err < 0)
        close(fd);
    return err;
}

static int
open_both(sonic_io *io, int argc, char **argv, struct copy *c)
{
    int err;

    if (argc < 3) {
        err = temporary(io, true, &c->from);
        return err < 0 ? err : temporary(io, false, &c->to);
    }
    err = sonic_file_open(io, argv[1], O_RDONLY, 0, NULL, &c->from);
    if (err < 0)
        return err;
    return sonic_file_open(io, argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644,
                           NULL, &c->to);
}

int
main(int argc, char **argv)
{
    static struct copy c;
    sonic_io *io = NULL;
    int64_t began = 0;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = open_both(io, argc, argv, &c);
    if (err == 0)
        err = sonic_timer_new(io, &c.timer);
    if (err == 0) {
        began = sonic_clock_monotonic(NULL);
        sonic_timer_repeat(c.timer, 200 * 1000, SONIC_TICK_SKIP, on_tick, &c);
        sonic_file_async_read(c.from, c.buf, sizeof c.buf, on_read, &c);
        err = sonic_io_run(io); /* until the timer is closed */
    }
    if (err >= 0)
        err = c.err;
    if (err == 0) {
        double s = (double)(sonic_clock_monotonic(NULL) - began) / 1e9;

        printf("%zu bytes in %.1f ms, %.0f MB/s; the loop ticked %zu times\n",
               c.copied, s * 1e3, (double)c.copied / 1e6 / s, c.ticks);
    }
    if (err < 0)
        fprintf(stderr, "file_async: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0 || (argc < 3 && c.copied != SIZE);
}
