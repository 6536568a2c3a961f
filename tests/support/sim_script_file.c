/* Regular files. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim_script.h"

static void
write_at(struct world *w, int fd, const char *text, int64_t at)
{
    told(w, "pwrite", w->k->pwrite(fd, text, strlen(text), at, w->k->ud));
}

static void
read_at(struct world *w, int fd, size_t n, int64_t at)
{
    char buf[64];
    ssize_t r = w->k->pread(fd, buf, n, at, w->k->ud), i;

    told(w, "pread", r);
    for (i = 0; i < r; i++)
        say(w, "%c", buf[i] != 0 ? buf[i] : '.');
    say(w, "\n");
}

static void
write_on(struct world *w, int fd, const char *text)
{
    struct iovec v = {(char *)(uintptr_t)text, strlen(text)};

    told(w, "writev", w->k->writev(fd, &v, 1, w->k->ud));
}

static void
read_on(struct world *w, int fd, size_t n)
{
    char buf[64];
    struct iovec v = {buf, n};
    ssize_t r = w->k->readv(fd, &v, 1, w->k->ud);

    told(w, "readv", r);
    say(w, "%.*s\n", r > 0 ? (int)r : 0, buf);
}

static void
status(struct world *w, int fd)
{
    struct stat st;

    told(w, "fstat", w->k->fstat(fd, &st, w->k->ud));
    say(w, "%d %d\n", (int)(st.st_mode & S_IFMT), (int)st.st_size);
}

static void
seek(struct world *w, int fd, int64_t off, int whence)
{
    int64_t r = w->k->lseek(fd, off, whence, w->k->ud);

    told(w, "lseek", (ssize_t)r);
}

static int
file(struct world *w, const char *name, int flags)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    return w->k->open(path, flags | O_CLOEXEC, 0600, w->k->ud);
}

static void
remove_file(struct world *w, const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    told(w, "unlink", w->k->unlink(path, w->k->ud));
}

void
script_files(struct world *w)
{
    int a, b, c, fd[2], ep = new_epoll(w);

    tried(w, "not there", file(w, "a", O_RDONLY));
    a = tried(w, "made", file(w, "a", O_RDWR | O_CREAT));
    tried(w, "exclusive", file(w, "a", O_RDWR | O_CREAT | O_EXCL));
    status(w, a);
    write_on(w, a, "hello");
    write_at(w, a, "J", 0);
    write_at(w, a, "end", 9);
    write_at(w, a, "", 3);
    status(w, a);
    read_at(w, a, 20, 0);
    read_at(w, a, 3, 10);
    read_at(w, a, 3, 12);
    read_at(w, a, 3, 99);
    read_at(w, a, 3, -1);
    write_at(w, a, "x", -1);
    read_on(w, a, 20);
    seek(w, a, 0, SEEK_CUR);
    seek(w, a, -4, SEEK_END);
    read_on(w, a, 20);
    read_on(w, a, 20);
    seek(w, a, -1, SEEK_SET);
    seek(w, a, 0, 77);
    seek(w, a, 30, SEEK_SET);
    write_on(w, a, "!");
    status(w, a);
    told(w, "ftruncate", w->k->ftruncate(a, 3, w->k->ud));
    told(w, "ftruncate", w->k->ftruncate(a, 8, w->k->ud));
    told(w, "ftruncate", w->k->ftruncate(a, -8, w->k->ud));
    read_at(w, a, 20, 0);
    told(w, "fsync", w->k->fsync(a, w->k->ud));
    told(w, "poll", watch(w, ep, EPOLL_CTL_ADD, a, EPOLLIN, 'a'));
    look(w, "always ready", a);
    b = tried(w, "append", file(w, "a", O_WRONLY | O_APPEND));
    write_at(w, b, "app", 0);
    write_on(w, b, "end");
    seek(w, b, 0, SEEK_CUR);
    read_at(w, b, 3, 0);
    read_at(w, a, 20, 0);
    c = tried(w, "read only", file(w, "a", O_RDONLY));
    write_at(w, c, "x", 0);
    told(w, "ftruncate", w->k->ftruncate(c, 0, w->k->ud));
    done(w, c);
    c = tried(w, "truncated", file(w, "a", O_WRONLY | O_TRUNC));
    status(w, a);
    remove_file(w, "a");
    remove_file(w, "a");
    write_at(w, c, "still there", 0);
    read_at(w, a, 20, 0);
    tried(w, "but not by name", file(w, "a", O_RDONLY));
    done(w, a);
    done(w, b);
    done(w, c);
    tried(w, "a directory", w->k->open("/tmp", O_RDWR, 0, w->k->ud));
    a = tried(w, "a directory", w->k->open("/tmp", O_RDONLY, 0, w->k->ud));
    read_at(w, a, 3, 0);
    done(w, a);
    ck_assert_int_eq(w->k->pipe2(fd, 0, w->k->ud), 0);
    read_at(w, fd[0], 3, 0);
    write_at(w, fd[1], "x", 0);
    seek(w, fd[0], 0, SEEK_CUR);
    told(w, "fsync", w->k->fsync(fd[0], w->k->ud));
    status(w, fd[0]);
    done(w, fd[0]);
    done(w, fd[1]);
    done(w, ep);
}
