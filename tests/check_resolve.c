/* Names looked up by another thread, while everything that wanted to know goes
 * away: nothing is called back late, touched after its end, or left over. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/timer.h>

#include "net/resolve.h"
#include "support/net_world.h"

/* ---- a resolver that waits to be told --------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool held;               /* look-ups wait */
static unsigned asked, lists;   /* look-ups begun; results not freed */
static size_t blocks;           /* of memory in use */
static int answer, system_code; /* what getaddrinfo says, and errno */
static unsigned addresses;      /* that a name has */

struct list {
    struct addrinfo ai[64];
    struct sockaddr_in sin[64];
};

static int
fake_getaddrinfo(const char *node, const char *service,
                 const struct addrinfo *hints, struct addrinfo **res, void *ud)
{
    struct list *l;

    (void)service, (void)ud;
    ck_assert(hints->ai_socktype == SOCK_STREAM);
    ck_assert_str_eq(node, "name");
    pthread_mutex_lock(&lock);
    asked++;
    pthread_cond_broadcast(&change);
    while (held)
        pthread_cond_wait(&change, &lock);
    lists += answer == 0;
    pthread_mutex_unlock(&lock);
    errno = system_code;
    if (answer != 0)
        return answer;
    l = calloc(1, sizeof *l);
    for (unsigned i = 0; i < addresses; i++) {
        l->sin[i].sin_family = AF_INET;
        l->sin[i].sin_addr.s_addr = htonl(0x7f000001 + i);
        l->ai[i].ai_family = AF_INET;
        l->ai[i].ai_addr = (struct sockaddr *)&l->sin[i];
        l->ai[i].ai_addrlen = sizeof l->sin[i];
        l->ai[i].ai_next = i + 1 < addresses ? &l->ai[i + 1] : NULL;
    }
    *res = l->ai;
    return 0;
}

static void
fake_freeaddrinfo(struct addrinfo *res, void *ud)
{
    (void)ud;
    free(res);
    pthread_mutex_lock(&lock);
    lists--;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static void *
count_alloc(size_t n, void *ud)
{
    (void)ud;
    pthread_mutex_lock(&lock);
    blocks++;
    pthread_mutex_unlock(&lock);
    return malloc(n);
}

static void
count_free(void *p, size_t n, void *ud)
{
    (void)n, (void)ud;
    free(p);
    pthread_mutex_lock(&lock);
    blocks--;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static const sonic_mem counting = {count_alloc, count_free, NULL};

static sonic_sys
fake_sys(bool hold)
{
    sonic_sys sys = *sonic_sys_kernel();

    sys.getaddrinfo = fake_getaddrinfo;
    sys.freeaddrinfo = fake_freeaddrinfo;
    held = hold;
    asked = lists = 0;
    answer = system_code = 0;
    addresses = 1;
    return sys;
}

static void
wait_asked(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (asked < n)
        pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}

static void
let_go(void)
{
    pthread_mutex_lock(&lock);
    held = false;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

/* Wait for the last thread to have given everything back. */
static void
wait_empty(void)
{
    pthread_mutex_lock(&lock);
    while (blocks > 0 || lists > 0)
        pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- the tests -------------------------------------------------------- */

START_TEST(the_loop_goes_on_meanwhile)
{
    sonic_sys sys = fake_sys(true);
    sonic_io *io = net_io(_i, &sys, &counting);
    sonic_stream *pair[2], *s = net_stream(io);
    struct net_told t = {0};

    sonic_stream_async_connect(s, "name:1", NULL, net_on_stream, &t);
    wait_asked(1);
    ck_assert_int_eq(sonic_stream_pair(io, pair), 0);
    net_talk(pair[0], pair[1]);
    ck_assert_int_eq(t.calls, 0);
    ck_assert_uint_eq(sonic_io_pending(io), 1);
    let_go();
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.err, -ECONNREFUSED);
    sonic_io_free(io);
    wait_empty();
}
END_TEST

static void
end_cancel(sonic_stream *s)
{
    sonic_stream_cancel(s, SONIC_BOTH);
}

static void
end_io_close(sonic_stream *s)
{
    sonic_io_close(sonic_stream_io(s));
}

static void
end_io_free(sonic_stream *s)
{
    sonic_io_free(sonic_stream_io(s));
}

static void (*const ends[])(sonic_stream *s) = {
    end_cancel,   sonic_stream_close, sonic_stream_free,
    end_io_close, end_io_free,
};
enum { ENDS = sizeof ends / sizeof *ends };

/* Ten look-ups, of which four have a thread: late is whether the io is gone
 * before they come back. */
static void
end_in_flight(int backend, void (*end)(sonic_stream *s), bool late)
{
    sonic_sys sys = fake_sys(true);
    sonic_io *io = net_io(backend, &sys, &counting);
    struct net_told t[10] = {{0}};
    bool alive = true;

    for (int i = 0; i < 10; i++)
        sonic_stream_async_connect(net_stream(io), "name:1", NULL,
                                   net_on_stream, &t[i]);
    wait_asked(4);
    for (int i = 0; i < 10 && alive; i++) {
        sonic_stream *s = net_stream(io);
        struct net_told own = {0};

        sonic_stream_async_connect(s, "name:1", NULL, net_on_stream, &own);
        alive = end != end_io_free && end != end_io_close;
        end(s);
        if (alive)
            sonic_io_poll(io);
        ck_assert_int_eq(own.calls, 1);
        ck_assert_int_eq(own.err, -ECANCELED);
    }
    if (!late)
        let_go();
    if (end != end_io_free)
        sonic_io_free(io);
    let_go();
    wait_empty();
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(t[i].calls, 1);
        ck_assert_int_eq(t[i].err, -ECANCELED);
    }
}

START_TEST(everything_may_end_while_names_are_looked_up)
{
    for (int e = 0; e < ENDS; e++)
        for (int late = 0; late < 2; late++)
            end_in_flight(_i, ends[e], late);
}
END_TEST

START_TEST(a_stream_connects_again_while_its_old_name_is_looked_up)
{
    sonic_sys sys = fake_sys(true);
    sonic_io *io = net_io(_i, &sys, &counting);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_stream *s = net_stream(io);
    struct net_told a = {0}, b = {0};
    char where[SONIC_ADDRESS_TEXT];

    net_where(l, where);
    sonic_stream_async_connect(s, "name:1", NULL, net_on_stream, &a);
    wait_asked(1);
    sonic_stream_cancel(s, SONIC_BOTH);
    sonic_io_poll(io);
    ck_assert_int_eq(a.err, -ECANCELED);
    sonic_stream_async_connect(s, where, NULL, net_on_stream, &b);
    let_go();
    while (b.calls == 0)
        ck_assert_int_ge(sonic_io_run_one(io), 0);
    ck_assert_int_eq(b.err, 0);
    sonic_io_poll(io);
    ck_assert_int_eq(a.calls, 1);
    sonic_io_free(io);
    wait_empty();
}
END_TEST

START_TEST(a_deadline_does_not_wait_for_the_name)
{
    sonic_sys sys = fake_sys(true);
    sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;
    sonic_io *io = net_io(_i, &sys, &counting);
    sonic_stream *s = net_stream(io);

    o.timeout = 5 * NET_MS;
    ck_assert_int_eq(sonic_stream_connect(s, "name:1", &o), -ETIMEDOUT);
    let_go();
    sonic_io_free(io);
    wait_empty();
}
END_TEST

START_TEST(what_the_resolver_says_is_translated)
{
    static const struct {
        int eai, code, err;
    } v[] = {
        {EAI_SYSTEM, EMFILE, -EMFILE},
        {EAI_SYSTEM, ENFILE, -ENFILE},
        {EAI_SYSTEM, ENOMEM, -ENOMEM},
        {EAI_SYSTEM, ECONNREFUSED, SONIC_ERESOLVE},
        {EAI_MEMORY, 0, -ENOMEM},
        {EAI_AGAIN, 0, SONIC_ERESOLVE_AGAIN},
        {EAI_NONAME, ENOMEM, SONIC_ERESOLVE},
        {EAI_FAIL, 0, SONIC_ERESOLVE},
    };
    sonic_sys sys = fake_sys(false);
    sonic_io *io = net_io(_i, &sys, &counting);
    sonic_stream *s = net_stream(io);
    sonic_listener *l;

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        answer = v[i].eai;
        system_code = v[i].code;
        ck_assert_int_eq(sonic_stream_connect(s, "name:1", NULL), v[i].err);
        ck_assert_int_eq(sonic_listener_new(io, "name:0", NULL, &l), v[i].err);
    }
    answer = 0;
    addresses = 0;
    ck_assert_int_eq(sonic_listener_new(io, "name:0", NULL, &l),
                     SONIC_ERESOLVE);
    sonic_io_free(io);
    wait_empty();
}
END_TEST

START_TEST(a_name_may_have_any_number_of_addresses)
{
    sonic_sys sys = fake_sys(false);
    sonic_io *io = net_io(_i, &sys, &counting);
    struct sonic__resolve *r;

    for (addresses = 1; addresses < 64; addresses++) {
        unsigned want =
            addresses < SONIC__RESOLVE_MAX ? addresses : SONIC__RESOLVE_MAX;

        ck_assert_int_eq(sonic__resolve_now(io, "name", AF_UNSPEC, 7, &r), 0);
        ck_assert_uint_eq(r->n, want);
        for (unsigned i = 0; i < want; i++)
            ck_assert_uint_eq(sonic_address_port(&r->found[i]), 7);
        sonic__resolve_drop(r);
    }
    sonic__resolve_drop(NULL);
    sonic_io_free(io);
    wait_empty();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("resolve");
    TCase *tc = tcase_create("threads");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_loop_goes_on_meanwhile, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, everything_may_end_while_names_are_looked_up, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc,
                        a_stream_connects_again_while_its_old_name_is_looked_up,
                        0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_deadline_does_not_wait_for_the_name, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, what_the_resolver_says_is_translated, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_name_may_have_any_number_of_addresses, 0,
                        NET_BACKENDS);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
