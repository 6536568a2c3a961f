/* Seeded operations on files in simulated worlds, against an array of bytes:
 * reads and writes are cut short, interrupted, and fail; each completes once,
 * in order, with what it says it did. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/error.h>
#include <sonicio/file.h>
#include <sonicio/timer.h>

#include "support/sim_plan.h"

#define MS INT64_C(1000000)

enum {
    SEEDS = 1500,
    FAIL_SEEDS = 3,
    OPS = 60,    /* of a session */
    MOST = 3000, /* bytes of one */
    MODEL = 1 << 18,
    BIG = 100000, /* where offsets end */
};

enum kind { READ, READ_ALL, READ_AT, WRITE, WRITE_AT, SEEK, SYNC, KINDS };

struct model {
    uint8_t bytes[MODEL];
    size_t size, at;
    bool append;
};

struct user;

struct op {
    struct user *user;
    enum kind kind;
    bool starting, done;
    size_t len;
    int64_t offset;
    int whence;
    uint8_t buf[MOST];
};

struct user {
    struct session *session;
    sonic_file *file;
    sonic_timer *timer;
    struct model model;
    struct op ops[OPS];
    unsigned begun, next; /* the one to complete next */
    unsigned total;
    uint64_t moved;
};

static struct user user;
static const char path[] = "/data/feed.log";

static uint64_t
pick(struct user *u, uint64_t n)
{
    return sonic_sim_below(u->session->sim, n);
}

static void
wrong(struct user *u, const char *what)
{
    session_wrong(u->session, what);
}

/* ---- the model ---- */

static size_t
left_at(const struct model *m, size_t at)
{
    return at < m->size ? m->size - at : 0;
}

static void
model_write(struct model *m, size_t at, const uint8_t *p, size_t n)
{
    if (n == 0)
        return;
    ck_assert_uint_le(at + n, MODEL);
    if (at > m->size)
        memset(m->bytes + m->size, 0, at - m->size);
    memcpy(m->bytes + at, p, n);
    if (at + n > m->size)
        m->size = at + n;
}

static void
judge_read(struct user *u, struct op *op, int err, size_t n)
{
    struct model *m = &u->model;
    size_t at = op->kind == READ_AT ? (size_t)op->offset : m->at;
    size_t left = left_at(m, at), want = op->len < left ? op->len : left;

    if (n > want || memcmp(op->buf, m->bytes + (n > 0 ? at : 0), n) != 0) {
        wrong(u, "a read got what is not there");
        return;
    }
    if (op->kind == READ_ALL && err == 0 && n != op->len)
        wrong(u, "a read of all was short");
    if (op->kind == READ_ALL && err == SONIC_EOF &&
        (n != left || left >= op->len))
        wrong(u, "an end came before the end");
    if (op->kind != READ_ALL && err == 0 && n == 0 && op->len > 0)
        wrong(u, "a read got nothing");
    if (op->kind != READ_ALL && err == SONIC_EOF && (left > 0 || op->len == 0))
        wrong(u, "an end came before the end");
    if (op->kind != READ_AT)
        m->at += n;
}

static void
judge_write(struct user *u, struct op *op, int err, size_t n)
{
    struct model *m = &u->model;
    size_t at = op->kind == WRITE_AT ? (size_t)op->offset : m->at;

    if (n > op->len || (err == 0 && n != op->len))
        wrong(u, "a write was short");
    if (m->append && n > 0)
        at = m->size;
    model_write(m, at, op->buf, n);
    if (op->kind == WRITE && n > 0)
        m->at = at + n;
}

static void
judge_seek(struct user *u, const struct op *op, int err, size_t n)
{
    struct model *m = &u->model;
    int64_t base = op->whence == SEEK_SET   ? 0
                   : op->whence == SEEK_CUR ? (int64_t)m->at
                                            : (int64_t)m->size;

    if (err == -EINVAL && base + op->offset < 0)
        return;
    if (err < 0)
        return;
    if (base + op->offset < 0 || n != (size_t)(base + op->offset))
        wrong(u, "a seek went elsewhere");
    m->at = n;
}

/* ---- operations ---- */

static bool
excused(const struct user *u, const struct op *op, int err)
{
    if (err == 0 || err == -ECANCELED || err == SONIC_EQUEUE)
        return true;
    if (err == SONIC_EOF)
        return op->kind <= READ_AT;
    if (err == -EINVAL)
        return op->kind == SEEK;
    return u->session->may_fail;
}

static void
on_done(sonic_file *file, int err, size_t n, void *ud)
{
    struct op *op = ud;
    struct user *u = op->user;

    (void)file;
    u->session->completed++;
    if (op->done)
        wrong(u, "an operation completed twice");
    op->done = true;
    if (!excused(u, op, err))
        wrong(u, sonic_errname(err));
    if (err == -ECANCELED && n > 0)
        wrong(u, "what was begun was cancelled");
    u->moved += n;
    if ((op->starting && err < 0 && n == 0) || err == -ECANCELED)
        return; /* refused, or taken back before it began */
    while (u->next < u->begun && u->ops[u->next].done && op != &u->ops[u->next])
        u->next++; /* those that were */
    if (op != &u->ops[u->next])
        wrong(u, "operations completed out of order");
    u->next++;
    if (op->kind <= READ_AT)
        judge_read(u, op, err, n);
    else if (op->kind <= WRITE_AT)
        judge_write(u, op, err, n);
    else if (op->kind == SEEK)
        judge_seek(u, op, err, n);
    memset(op->buf, 0xee, sizeof op->buf);
}

static void
prepare(struct user *u, struct op *op)
{
    size_t i;

    op->user = u;
    op->kind = (enum kind)pick(u, KINDS);
    op->len = (size_t)pick(u, pick(u, 4) == 0 ? MOST : 200);
    op->offset = (int64_t)pick(u, pick(u, 8) == 0 ? BIG : 5000);
    op->whence = (int)pick(u, 3); /* SEEK_SET, _CUR, _END */
    if (op->kind == SEEK && op->whence != SEEK_SET)
        op->offset = (int64_t)pick(u, 2000) - 1500;
    if (op->kind == WRITE || op->kind == WRITE_AT) {
        for (i = 0; i < op->len; i++)
            op->buf[i] = (uint8_t)sonic_sim_random(u->session->sim);
    }
}

static void
begin(struct user *u)
{
    struct op *op = &u->ops[u->begun++];
    sonic_file *f = u->file;

    prepare(u, op);
    u->session->started++;
    op->starting = true;
    switch (op->kind) {
    case READ:
        sonic_file_async_read(f, op->buf, op->len, on_done, op);
        break;
    case READ_ALL:
        sonic_file_async_read_all(f, op->buf, op->len, on_done, op);
        break;
    case READ_AT:
        sonic_file_async_read_at(f, op->buf, op->len, op->offset, on_done, op);
        break;
    case WRITE:
        sonic_file_async_write(f, op->buf, op->len, on_done, op);
        break;
    case WRITE_AT:
        sonic_file_async_write_at(f, op->buf, op->len, op->offset, on_done, op);
        break;
    case SEEK:
        sonic_file_async_seek(f, op->offset, op->whence, on_done, op);
        break;
    default:
        sonic_file_async_sync(f, on_done, op);
        break;
    }
    op->starting = false;
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct user *u = ud;
    uint64_t n;

    u->session->completed++;
    if (err < 0 || u->file == NULL)
        return;
    for (n = pick(u, 6); n > 0 && u->begun < u->total; n--)
        begin(u);
    if (pick(u, 60) == 0)
        sonic_file_cancel(u->file);
    if (u->begun == u->total && sonic_file_queued(u->file) == 0)
        return;
    u->session->started++;
    sonic_timer_once(timer, (int64_t)pick(u, MS), on_tick, u);
}

/* The file itself must be what the model is. */
static void
compare(struct user *u)
{
    const sonic_sys *k = sonic_sim_sys(u->session->sim);
    static uint8_t got[MODEL];
    size_t n = 0;
    ssize_t r = 1;
    int fd = k->open(path, O_RDONLY, 0, k->ud);

    if (fd < 0) {
        if (!u->session->may_fail)
            wrong(u, "the file is gone");
        return;
    }
    while (r > 0 && n < sizeof got) {
        r = k->pread(fd, got + n, sizeof got - n, (int64_t)n, k->ud);
        n += r > 0 ? (size_t)r : 0;
        if (r == -EINTR || r == -EIO)
            r = 1; /* once more */
    }
    if (r == 0 && (n != u->model.size || memcmp(got, u->model.bytes, n) != 0))
        wrong(u, "the file is not what was written");
    k->close(fd, k->ud);
}

static void
run(struct session *s)
{
    struct user *u = &user;
    sonic_file_options opt = SONIC_FILE_OPTIONS_INIT;
    int err;

    memset(u, 0, sizeof *u);
    u->session = s;
    u->total = 1 + (unsigned)pick(u, OPS);
    u->model.append = pick(u, 4) == 0;
    if (pick(u, 4) == 0)
        opt.max_queued = 4;
    err = sonic_file_open(s->io, path,
                          O_RDWR | O_CREAT | (u->model.append ? O_APPEND : 0),
                          0600, &opt, &u->file);
    if (err == 0)
        err = sonic_timer_new(s->io, &u->timer);
    if (err < 0 && !s->may_fail)
        wrong(u, sonic_errname(err));
    if (err == 0) {
        s->started++;
        sonic_timer_once(u->timer, 0, on_tick, u);
        session_run(s);
    }
    sonic_file_free(u->file);
    u->file = NULL;
    sonic_timer_free(u->timer);
    u->timer = NULL;
}

/* The io is gone, and with it all that was under way. */
static void
look(struct session *s)
{
    unsigned i;

    for (i = 0; i < user.begun; i++) {
        if (!user.ops[i].done)
            session_wrong(s, "an operation never completed");
    }
    if (user.begun > 0)
        compare(&user);
}

static uint64_t moved;

static void
look_and_count(struct session *s)
{
    look(s);
    moved += user.moved;
}

START_TEST(files_survive_every_world)
{
    plan_seeds(run, look_and_count, SEEDS);
    ck_assert_uint_gt(moved, 1000);
}
END_TEST

int
main(void)
{
    return plan_main("sim_files", files_survive_every_world, run, look,
                     FAIL_SEEDS);
}
