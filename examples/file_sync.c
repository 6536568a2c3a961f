/* file_sync - a file in the blocking style
 *
 *     file_sync [PATH]     without one, a file in /tmp that is removed again
 *
 * Writes some lines, seeks, reads them back, changes one where it lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

enum { LINES = 5, LINE = 16 /* bytes */ };

static int
write_lines(sonic_file *f)
{
    char line[LINE + 1];
    int err = 0;

    for (int i = 0; i < LINES && err == 0; i++) {
        snprintf(line, sizeof line, "this is line %2d\n", i);
        err = sonic_file_write(f, line, LINE, NULL); /* at the position */
    }
    return err == 0 ? sonic_file_sync(f) : err; /* it is on the disk */
}

static int
show(sonic_file *f)
{
    char text[7]; /* a few bytes at a time */
    size_t n;
    int err = sonic_file_seek(f, 0, SEEK_SET, NULL);

    while (err == 0 && (err = sonic_file_read(f, text, sizeof text, &n)) == 0)
        printf("%.*s", (int)n, text);
    return err == SONIC_EOF ? 0 : err;
}

static int
work(sonic_file *f)
{
    int64_t size = 0;
    int err = write_lines(f);

    if (err == 0) /* with an offset: the position stays where it is */
        err = sonic_file_write_at(f, "THAT", 4, (int64_t)2 * LINE, NULL);
    if (err == 0)
        err = show(f);
    if (err == 0)
        err = sonic_file_size(f, &size);
    if (err == 0)
        printf("%lld bytes\n", (long long)size);
    return err == 0 && size != LINES * LINE ? -EIO : err;
}

int
main(int argc, char **argv)
{
    char temporary[] = "/tmp/sonicio-file_sync-XXXXXX";
    int fd = argc > 1 ? -1 : mkstemp(temporary), err;
    sonic_io *io = NULL;
    sonic_file *f;

    err = sonic_io_new(&io, NULL);
    if (err == 0 && argc > 1)
        err = sonic_file_open(io, argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644,
                              NULL, &f);
    else if (err == 0)
        err = sonic_file_adopt(io, fd, NULL, &f);
    if (err == 0)
        err = work(f);
    if (fd >= 0)
        unlink(temporary);
    if (err < 0)
        fprintf(stderr, "file_sync: %s\n", sonic_strerror(err));
    sonic_io_free(io); /* and the file with it */
    return err < 0;
}
