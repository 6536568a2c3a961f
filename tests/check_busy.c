/* Busy polling by the kernel, and the times of the loop's turns. */
#include <sonicio/io.h>

#include <string.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- busy polling ----------------------------------------------------- */

START_TEST(parameters)
{
    sonic_busy_poll p = SONIC_BUSY_POLL_INIT, got;
    struct rig r;
    int err;

    rig_open(&r, _i);
    p.time = 64;
    p.budget = 16;
    p.prefer = SONIC_ON;
    err = sonic_io_set_busy_poll(r.io, &p);
    if (strcmp(sonic_io_backend_name(r.io), "epoll") != 0) {
        ck_assert_int_eq(err, SONIC_EOPTION);
        ck_assert_int_eq(sonic_io_get_busy_poll(r.io, &got), SONIC_EOPTION);
    } else if (err == -ENOTTY || err == -EINVAL || err == -EOPNOTSUPP) {
        printf("the kernel has no EPIOCSPARAMS: the refusal was looked at\n");
        ck_assert_int_lt(sonic_io_get_busy_poll(r.io, &got), 0);
    } else {
        ck_assert_int_eq(err, 0);
        ck_assert_int_eq(sonic_io_get_busy_poll(r.io, &got), 0);
        ck_assert_uint_eq(got.time, 64);
        ck_assert_uint_eq(got.budget, 16);
        ck_assert_int_eq(got.prefer, SONIC_ON);
        ck_assert_int_eq(sonic_io_poll(r.io), 0);
    }
    rig_close(&r);
}
END_TEST

/* What the kernel is handed, whichever it is. */
static struct {
    unsigned long request;
    uint8_t bytes[8];
} handed;

static int
note_ioctl(int fd, unsigned long request, void *arg, void *ud)
{
    (void)fd;
    (void)ud;
    handed.request = request;
    memcpy(handed.bytes, arg, sizeof handed.bytes);
    return 0;
}

START_TEST(as_the_kernel_wants_them)
{
    sonic_busy_poll p = SONIC_BUSY_POLL_INIT, got;
    struct rig r;
    uint32_t time;
    uint16_t budget;

    rig_open(&r, _i);
    r.hook.sys.ioctl = note_ioctl;
    p.time = 0x01020304;
    p.budget = 0x0506;
    if (strcmp(sonic_io_backend_name(r.io), "epoll") == 0) {
        ck_assert_int_eq(sonic_io_set_busy_poll(r.io, &p), 0);
        memcpy(&time, handed.bytes, 4);
        memcpy(&budget, handed.bytes + 4, 2);
        ck_assert_uint_eq(time, p.time);
        ck_assert_uint_eq(budget, p.budget);
        ck_assert_uint_eq(handed.bytes[6], 0);
        ck_assert_uint_eq(handed.bytes[7], 0);
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
        ck_assert_uint_eq(handed.request, 0x40088a01);
        ck_assert_int_eq(sonic_io_get_busy_poll(r.io, &got), 0);
        ck_assert_uint_eq(handed.request, 0x80088a02);
#endif
        ck_assert_int_eq(sonic_io_get_busy_poll(r.io, &got), 0);
        ck_assert_int_eq(got.prefer, SONIC_OFF);
    }
    rig_close(&r);
}
END_TEST

/* ---- cycles ----------------------------------------------------------- */

struct work {
    struct hook *hook;
    int64_t takes;
};

static void
on_post(sonic_io *io, void *ud)
{
    struct work *w = ud;

    (void)io;
    w->hook->now += w->takes;
}

static void
post(struct rig *r, struct work *w)
{
    ck_assert_int_eq(sonic_io_post(r->io, on_post, w), 0);
}

START_TEST(turns_are_timed)
{
    sonic_histogram *h;
    struct rig r;
    struct work w;

    rig_open(&r, _i);
    w = (struct work){&r.hook, 1000};
    hook_clock(&r.hook, SECOND);
    ck_assert_int_eq(sonic_histogram_new(&r.hook.mem, &h), 0);
    sonic_io_time_cycles(r.io, h);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(sonic_io_poll(r.io), 0); /* nothing to time */
    ck_assert_uint_eq(sonic_histogram_count(h), 0);
    post(&r, &w);
    post(&r, &w);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 2); /* in one turn */
    r.hook.now += SECOND; /* the program's own time */
    post(&r, &w);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 1);
    ck_assert_int_eq(sonic_io_poll(r.io), 0);
    ck_assert_uint_eq(sonic_histogram_count(h), 2);
    ck_assert_int_eq(sonic_histogram_max(h), 2000);
    ck_assert_int_eq(sonic_histogram_min(h), 1000);
    sonic_io_time_cycles(r.io, NULL);
    post(&r, &w);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 1);
    ck_assert_int_eq(sonic_io_poll(r.io), 0);
    ck_assert_uint_eq(sonic_histogram_count(h), 2);
    sonic_histogram_free(h);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("busy");
    TCase *tc = tcase_create("busy polling and cycles");

    rig_add(tc, parameters);
    rig_add(tc, as_the_kernel_wants_them);
    rig_add(tc, turns_are_timed);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
