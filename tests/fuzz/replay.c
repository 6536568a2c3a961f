/* replay - run a fuzz target over files, without a fuzzer
 *
 * usage: TARGET FILE-OR-DIRECTORY...
 * Linked to each target in ordinary builds, so that make check replays the
 * corpus.  Every file is given whole and then cut at each of its first bytes,
 * in a block of exactly its size so that sanitizers and valgrind see every
 * byte read past its end.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sonicio/api.h>

enum { MAX_CUTS = 64, MAX_PATH = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_files;

static int
run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        return -ENOMEM;
    if (size > 0)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int
run_with_cuts(const uint8_t *data, size_t size)
{
    int err = run(data, size);

    for (size_t cut = 0; err == 0 && cut < size && cut < MAX_CUTS; cut++)
        err = run(data, cut);
    return err;
}

static int
replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);
    int err = -EIO;

    if (f != NULL && data != NULL && fread(data, 1, size, f) == size) {
        /* On stderr and before: the last line names the one that crashed. */
        fprintf(stderr, "%s\n", path);
        err = run_with_cuts(data, size);
        n_files++;
    }
    free(data);
    if (f != NULL)
        fclose(f);
    return err;
}

static int replay(const char *path);

static int
replay_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[MAX_PATH];
    int err = 0;

    if (dir == NULL)
        return -errno;
    while (err == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >=
            MAX_PATH)
            err = -ENAMETOOLONG;
        else
            err = replay(name);
    }
    closedir(dir);
    return err;
}

static int
replay(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return replay_dir(path);
    return replay_file(path, (size_t)st.st_size);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int err = replay(argv[i]);

        if (err != 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(-err));
            return EXIT_FAILURE;
        }
    }
    if (n_files == 0) {
        fprintf(stderr, "%s: nothing to replay\n", argv[0]);
        return EXIT_FAILURE;
    }
    printf("%lu files replayed\n", n_files);
    return EXIT_SUCCESS;
}
