/* Objects of one's own: turns of the loop, holds, and the end of the io. */
#include <stdlib.h>
#include <string.h>

#include <sonicio/object.h>

#include "reactor/reactor.h"
#include "support/rig.h"

/* What happened to an object outlives it. */
struct told {
    unsigned runs, closes, destroys;
    bool held;  /* at the last run */
    int action; /* at the next run */
};

struct thing {
    struct told *told;
    uint8_t rest[100];
};

enum { NOTHING, DEFER, CLOSE, FREE, CLOSE_IO, FREE_IO, BLOCK };

static void
run(void *object)
{
    struct thing *t = object;
    sonic_io *io = sonic_object_io(t);
    int action = t->told->action;

    t->told->runs++;
    t->told->held = sonic_object_held(t);
    t->told->action = NOTHING;
    switch (action) {
    case DEFER:
        sonic_object_defer(t);
        break;
    case CLOSE:
        sonic_object_close(t);
        break;
    case FREE:
        sonic_object_free(t);
        break;
    case CLOSE_IO:
        sonic_io_close(io);
        break;
    case FREE_IO:
        sonic_io_free(io);
        break;
    case BLOCK:
        ck_assert(sonic_io_inside(io));
        ck_assert_int_eq(sonic_io_run(io), -EBUSY);
        break;
    default:
        break;
    }
    t->rest[99]++; /* it is there until we return */
}

static void
on_close(void *object)
{
    struct thing *t = object;

    ck_assert_uint_eq(t->told->destroys, 0);
    t->told->closes++;
}

static void
on_destroy(void *object)
{
    struct thing *t = object;

    t->told->destroys++;
}

static const sonic_object_class cls = {
    SONIC_OBJECT_CLASS_INIT, .bytes = sizeof(struct thing), .run = run,
    .close = on_close,       .destroy = on_destroy,
};

static struct thing *
make(struct rig *r, struct told *told)
{
    static const uint8_t zero[sizeof(struct thing)];
    void *object;

    memset(told, 0, sizeof *told);
    ck_assert_int_eq(sonic_object_new(r->io, &cls, &object), 0);
    ck_assert_mem_eq(object, zero, sizeof zero);
    ck_assert_uint_eq((uintptr_t)object % _Alignof(max_align_t), 0);
    ((struct thing *)object)->told = told;
    return object;
}

START_TEST(a_turn_comes_once_however_often_asked)
{
    struct told told;
    struct thing *t;
    struct rig r;

    rig_open(&r, _i);
    t = make(&r, &told);
    ck_assert_ptr_eq(sonic_object_io(t), r.io);
    ck_assert_int_eq(sonic_io_run(r.io), 0); /* an object is not work */
    sonic_object_defer(t);
    sonic_object_defer(t);
    ck_assert_uint_eq(told.runs, 0); /* from the loop */
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(told.runs, 1);
    told.action = DEFER;
    sonic_object_defer(t);
    ck_assert_int_eq(sonic_io_run(r.io), 2);
    told.action = BLOCK;
    sonic_object_defer(t);
    ck_assert_int_eq(sonic_io_run_one(r.io), 1);
    ck_assert_uint_eq(told.runs, 4);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_object_free(t);
    rig_close(&r);
    ck_assert_uint_eq(told.destroys, 1);
}
END_TEST

START_TEST(closing_gives_a_turn)
{
    struct told told;
    struct thing *t;
    struct rig r;

    rig_open(&r, _i);
    t = make(&r, &told);
    ck_assert(!sonic_object_closed(t));
    sonic_object_close(t);
    sonic_object_close(t);
    ck_assert(sonic_object_closed(t));
    ck_assert_uint_eq(told.closes, 1);
    ck_assert_uint_eq(told.runs, 0);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(told.destroys, 0); /* closed is not freed */
    sonic_object_free(t);
    rig_settle(&r);
    ck_assert_uint_eq(told.closes, 1);
    ck_assert_uint_eq(told.destroys, 1);
    rig_close(&r);
}
END_TEST

START_TEST(what_is_held_stays)
{
    struct told told;
    struct thing *t;
    struct rig r;

    rig_open(&r, _i);
    t = make(&r, &told);
    sonic_object_hold(t);
    sonic_object_hold(t);
    sonic_object_drop(t);
    ck_assert(sonic_object_held(t));
    sonic_object_close(t);
    rig_settle(&r);
    ck_assert_uint_eq(told.runs, 1);
    ck_assert(told.held);
    sonic_object_drop(t); /* the last: a turn for what waited for it */
    rig_settle(&r);
    ck_assert_uint_eq(told.runs, 2);
    ck_assert(!told.held);
    sonic_object_hold(t);
    sonic_object_free(t);
    ck_assert_int_eq(sonic_io_run(r.io), 0); /* and the loop is idle */
    ck_assert_uint_eq(told.destroys, 0);
    sonic_object_drop(t);
    rig_settle(&r);
    ck_assert_uint_eq(told.destroys, 1);
    rig_close(&r);
}
END_TEST

/* Dropping one that is open asks for nothing. */
START_TEST(an_open_one_gets_no_turn_for_a_drop)
{
    struct told told;
    struct thing *t;
    struct rig r;

    rig_open(&r, _i);
    t = make(&r, &told);
    sonic_object_hold(t);
    sonic_object_drop(t);
    rig_settle(&r);
    ck_assert_uint_eq(told.runs, 0);
    rig_close(&r); /* it goes with its io */
    ck_assert_uint_eq(told.closes, 1);
    ck_assert_uint_eq(told.destroys, 1);
}
END_TEST

START_TEST(it_may_end_in_its_own_turn)
{
    static const int actions[] = {CLOSE, FREE, CLOSE_IO, FREE_IO};

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        struct told told;
        struct thing *t;
        struct rig r;

        rig_open(&r, _i);
        t = make(&r, &told);
        told.action = actions[i];
        sonic_object_defer(t);
        ck_assert_int_ge(sonic_io_run(r.io), 1);
        ck_assert_uint_eq(told.closes, 1);
        if (actions[i] == FREE_IO)
            rig_closed(&r);
        else
            rig_close(&r);
        ck_assert_uint_eq(told.closes, 1);
        ck_assert_uint_eq(told.destroys, 1);
    }
}
END_TEST

START_TEST(a_closed_io_has_no_new_ones)
{
    void *object = NULL;
    struct rig r;

    rig_open(&r, _i);
    sonic_io_close(r.io);
    ck_assert_int_eq(sonic_object_new(r.io, &cls, &object), SONIC_ECLOSED);
    ck_assert_ptr_null(object);
    rig_close(&r);
}
END_TEST

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    struct thing *t = object;
    sonic_io *io = sonic_object_io(t);

    ck_assert_int_eq(err, -EBUSY);
    ck_assert(cb == NULL);
    ck_assert_ptr_eq(ud, t->told);
    ck_assert(sonic_io_inside(io));
    ck_assert_int_eq(sonic_io_poll(io), -EBUSY);
    sonic_io_free(io);
    ck_assert_uint_eq(t->told->destroys, 0);
}

/* A refusal counts as a callback: nothing blocks in it, and the io that it
 * frees is there until it returns. */
START_TEST(a_refusal_is_a_callback)
{
    struct told told;
    struct thing *t;
    struct rig r;

    rig_open(&r, _i);
    t = make(&r, &told);
    sonic_object_refuse(t, say, -EBUSY, NULL, &told);
    ck_assert_uint_eq(told.destroys, 1);
    rig_closed(&r);
}
END_TEST

/* ---- refusals by the dozen ---------------------------------------------- */

enum { WIDTH = 100 };

struct crowd {
    struct rig rig;
    sonic_timer *t;
    unsigned deep, told;
    bool starved;
    struct one {
        struct crowd *crowd;
        unsigned i;
    } each[WIDTH];
};

static void
on_one(sonic_timer *t, int err, void *ud)
{
    struct one *one = ud;
    struct crowd *w = one->crowd;

    (void)t;
    ck_assert_int_eq(err, SONIC_ECLOSED);
    ck_assert_uint_eq(one->i, w->starved ? (w->told + 1) % WIDTH : w->told);
    w->told++;
}

static void *
no_memory(size_t bytes, void *ud)
{
    (void)bytes;
    (void)ud;
    return NULL;
}

static void
on_deep(sonic_timer *t, int err, void *ud)
{
    struct crowd *w = ud;

    ck_assert_int_eq(err, SONIC_ECLOSED);
    if (++w->deep < SONIC_MAX_DISPATCH) {
        sonic_timer_once(t, 0, on_deep, w);
        return;
    }
    for (unsigned i = 0; i < WIDTH; i++) {
        w->each[i] = (struct one){w, i};
        sonic_timer_once(t, 0, on_one, &w->each[i]);
    }
}

/* Many may be put off: each is told, in order, and what that took of memory is
 * used again.  Where there is no memory, one is put off and the others nest. */
START_TEST(many_are_put_off)
{
    struct crowd w = {.starved = _i % 2};
    struct hook *h = &w.rig.hook;

    rig_open(&w.rig, _i / 2);
    ck_assert_int_eq(sonic_timer_new(w.rig.io, &w.t), 0);
    sonic_timer_close(w.t);
    for (int round = 0; round < 2; round++) {
        unsigned long before = h->allocs;

        w.deep = w.told = 0;
        if (w.starved)
            w.rig.io->mem.alloc = no_memory;
        sonic_timer_once(w.t, 0, on_deep, &w);
        ck_assert_uint_eq(w.told, w.starved ? WIDTH - 1 : 0);
        rig_settle(&w.rig);
        ck_assert_uint_eq(w.told, WIDTH);
        if (round > 0)
            ck_assert_uint_eq(h->allocs, before);
    }
    ck_assert_uint_eq(sonic_io_pending(w.rig.io), 0);
    sonic_timer_free(w.t);
    rig_close(&w.rig);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("object");
    TCase *tc = tcase_create("object");

    rig_add(tc, a_turn_comes_once_however_often_asked);
    rig_add(tc, closing_gives_a_turn);
    rig_add(tc, what_is_held_stays);
    rig_add(tc, an_open_one_gets_no_turn_for_a_drop);
    rig_add(tc, it_may_end_in_its_own_turn);
    rig_add(tc, a_closed_io_has_no_new_ones);
    rig_add(tc, a_refusal_is_a_callback);
    tcase_add_loop_test(tc, many_are_put_off, 0, 2 * RIG_BACKENDS);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
