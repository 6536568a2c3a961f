/* Feeds on sockets: publisher, server and subscriber in one io, over IPv4 and
 * IPv6, to one receiver and to groups, on each backend. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/mold_feed.h>

#include "support/netns.h"
#include "support/udp_rig.h"

enum { MESSAGES = 3000, WARM = 1500, PER_TICK = 30 };

static struct world {
    struct rig rig;
    sonic_mold_store *store;
    sonic_mold_publisher *pub;
    sonic_mold_server *server;
    sonic_mold_subscriber *sub;
    sonic_timer *timer;
    char feeds[2][SONIC_ADDRESS_TEXT], servers[2][SONIC_ADDRESS_TEXT];
    const char *interface;
    unsigned n_servers;
    unsigned packets[2], lose; /* of `lose` packets of a feed, one */
    uint64_t published, received, filled, lost, sessions, requested;
    unsigned long allocs; /* when WARM messages had come */
    bool ended, done;
    char quit; /* free the subscriber in this callback */
} w;

/* ---- callbacks --------------------------------------------------------- */

static bool
quit(char what)
{
    if (w.quit != what)
        return false;
    sonic_mold_subscriber_free(w.sub);
    w.sub = NULL;
    return true;
}

static void
on_session(sonic_mold_receiver *r, const char *session, uint64_t first,
           void *ud)
{
    (void)r;
    ck_assert_ptr_eq(ud, &w);
    ck_assert_str_eq(session, "TEST");
    ck_assert_uint_eq(first, 1);
    w.sessions++;
    (void)quit('s');
}

static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    uint64_t number;

    (void)r;
    (void)ud;
    ck_assert_uint_eq(sequence, w.received + 1);
    ck_assert_uint_eq(len, sizeof number);
    memcpy(&number, data, sizeof number);
    ck_assert_uint_eq(number, sequence);
    if (++w.received == WARM)
        w.allocs = w.rig.hook.allocs;
    (void)quit('m');
}

static void
on_gap(sonic_mold_receiver *r, const sonic_mold_gap *gap, void *ud)
{
    (void)r;
    (void)gap;
    (void)ud;
    (void)quit('g');
}

static void
on_filled(sonic_mold_receiver *r, const sonic_mold_gap *gap, void *ud)
{
    (void)r;
    (void)ud;
    w.filled++;
    w.requested += gap->from_requests;
    (void)quit('f');
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    (void)r;
    (void)ud;
    w.lost += last - first + 1;
}

static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    (void)r;
    (void)ud;
    ck_assert_uint_eq(next, MESSAGES + 1);
    w.ended = true;
    (void)quit('e');
}

static const sonic_mold_handler handler = {
    SONIC_MOLD_HANDLER_INIT, .on_session = on_session, .on_message = on_message,
    .on_gap = on_gap,        .on_filled = on_filled,   .on_lost = on_lost,
    .on_end = on_end};

static void
on_packet(sonic_mold_publisher *p, unsigned feed, const void *data, size_t len,
          void *ud)
{
    (void)ud;
    if (w.lose > 0 && ++w.packets[feed] % (w.lose + feed) == 0)
        return;
    ck_assert_int_eq(sonic_mold_publisher_send(p, feed, data, len), 0);
}

static void
on_done(sonic_mold_publisher *p, void *ud)
{
    (void)ud;
    ck_assert_ptr_eq(p, w.pub);
    w.done = true;
    sonic_mold_publisher_free(p);
    w.pub = NULL;
}

static void
on_tick(sonic_timer *t, int err, void *ud)
{
    (void)ud;
    if (err < 0)
        return;
    for (int i = 0; i < PER_TICK && w.published < MESSAGES; i++) {
        uint64_t number = ++w.published;

        ck_assert_uint_eq(sonic_mold_publisher_next(w.pub), number);
        ck_assert_int_eq(sonic_mold_publish(w.pub, &number, sizeof number), 0);
    }
    if (w.published == MESSAGES) {
        sonic_timer_cancel(t);
        sonic_mold_publisher_end(w.pub);
    }
}

/* ---- a world ----------------------------------------------------------- */

static void
local(const sonic_udp *udp, char *text)
{
    sonic_address a;

    ck_assert_int_eq(sonic_udp_local_address(udp, &a), 0);
    ck_assert_int_gt(sonic_address_format(&a, text, SONIC_ADDRESS_TEXT), 0);
}

static void
make_server(const char *any)
{
    sonic_mold_answerer_options a = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_server_options o = SONIC_MOLD_SERVER_OPTIONS_INIT;

    ck_assert_int_eq(sonic_mold_store_new(NULL, &w.store), 0);
    a.session = "TEST";
    a.store = w.store;
    o.address = any;
    o.answerer = &a;
    ck_assert_int_eq(sonic_mold_server_new(w.rig.io, &o, &w.server), 0);
    local(sonic_mold_server_udp(w.server), w.servers[w.n_servers++]);
}

static int
make_subscriber(void)
{
    const sonic_mold_feed feeds[2] = {{w.feeds[0], w.interface, NULL},
                                      {w.feeds[1], w.interface, NULL}};
    const char *servers[2] = {w.servers[0], w.servers[1]};
    sonic_mold_subscriber_options o = SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT;
    sonic_mold_receiver_options r = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    r.request_timeout = 20 * MS;
    o.receiver = &r;
    o.feeds = feeds;
    o.n_feeds = 2;
    o.servers = servers;
    o.n_servers = w.n_servers;
    return sonic_mold_subscriber_new(w.rig.io, &o, &handler, &w, &w.sub);
}

static void
make_publisher(void)
{
    const sonic_mold_feed feeds[2] = {{w.feeds[0], w.interface, NULL},
                                      {w.feeds[1], w.interface, NULL}};
    sonic_mold_publisher_options o = SONIC_MOLD_PUBLISHER_OPTIONS_INIT;
    sonic_mold_packer_options p = SONIC_MOLD_PACKER_OPTIONS_INIT;

    p.session = "TEST";
    p.store = w.store;
    p.heartbeat = 20 * MS;
    p.end_repeats = 10;
    p.packet_max = 200;
    o.packer = &p;
    o.feeds = feeds;
    o.n_feeds = 2;
    o.on_packet = on_packet;
    o.on_done = on_done;
    ck_assert_int_eq(sonic_mold_publisher_new(w.rig.io, &o, &w.pub), 0);
    ck_assert_int_eq(sonic_timer_new(w.rig.io, &w.timer), 0);
    sonic_timer_repeat(w.timer, MS, SONIC_TICK_SKIP, on_tick, NULL);
}

/* i: the backend, and behind these once more for IPv6, where there is any. */
static bool
is_six(int i)
{
    return i >= RIG_BACKENDS && udp_has_v6();
}

static const char *
any_of(int i)
{
    return is_six(i) ? "[::1]:0" : "127.0.0.1:0";
}

static void
begin(int i, unsigned lose)
{
    memset(&w, 0, sizeof w);
    rig_open(&w.rig, i % RIG_BACKENDS);
    w.lose = lose;
}

static void
begin_unicast(int i, unsigned lose)
{
    begin(i, lose);
    make_server(any_of(i));
    strcpy(w.feeds[0], any_of(i));
    strcpy(w.feeds[1], any_of(i));
    ck_assert_int_eq(make_subscriber(), 0);
    for (unsigned f = 0; f < 2; f++)
        local(sonic_mold_subscriber_udp(w.sub, f), w.feeds[f]);
    make_publisher();
}

static void
end(void)
{
    sonic_mold_subscriber_free(w.sub);
    sonic_mold_publisher_free(w.pub);
    sonic_mold_server_free(w.server);
    sonic_timer_free(w.timer);
    rig_close(&w.rig);
    sonic_mold_store_free(w.store);
}

/* ---- tests ------------------------------------------------------------- */

START_TEST(everything_is_recovered)
{
    begin_unicast(_i, 4);
    RIG_UNTIL(&w.rig, w.ended);
    ck_assert_uint_eq(w.received, MESSAGES);
    ck_assert_uint_eq(w.lost, 0);
    ck_assert_uint_gt(w.filled, 5);
    ck_assert_uint_gt(w.requested, 0);
    ck_assert_uint_eq(w.rig.hook.allocs, w.allocs); /* the steady state */
    RIG_UNTIL(&w.rig, w.done);
    end();
}
END_TEST

/* The first server is not there: -ECONNREFUSED is no answer, and no end. */
START_TEST(a_server_that_is_gone)
{
    sonic_udp *gone;

    begin(_i, 3);
    ck_assert_int_eq(sonic_udp_new(w.rig.io, any_of(_i), NULL, &gone), 0);
    local(gone, w.servers[w.n_servers++]);
    sonic_udp_free(gone);
    make_server(any_of(_i));
    strcpy(w.feeds[0], any_of(_i));
    strcpy(w.feeds[1], any_of(_i));
    ck_assert_int_eq(make_subscriber(), 0);
    for (unsigned f = 0; f < 2; f++)
        local(sonic_mold_subscriber_udp(w.sub, f), w.feeds[f]);
    make_publisher();
    RIG_UNTIL(&w.rig, w.ended);
    ck_assert_uint_eq(w.received, MESSAGES);
    ck_assert_uint_eq(w.lost, 0);
    ck_assert_uint_gt(w.requested, 0);
    end();
}
END_TEST

/* IPv6 has no groups on lo: an interface of the test's own. */
static int
begin_network(void)
{
    int err = netns_enter();

    if (err == 0)
        err = netns_veth("v0", "v1");
    if (err == 0)
        err = netns_address("v0", "fd00:7::1", 64);
    return err < 0 ? err : netns_wait_wire("v0", "v1", "ff05::7:99");
}

START_TEST(groups_are_joined)
{
    bool six = is_six(_i);
    int err = six ? begin_network() : 0;

    if (err == -EPERM) {
        printf("may not make a network here: groups of IPv6 not tried\n");
        return;
    }
    ck_assert_msg(err == 0, "%s", sonic_errname(err));
    begin(_i, 5);
    make_server(any_of(_i));
    w.interface = six ? "v0" : "lo";
    for (unsigned f = 0; f < 2; f++)
        snprintf(w.feeds[f], sizeof w.feeds[f],
                 six ? "[ff12::4d%u]:%u" : "239.255.77.%u:%u", f + 1,
                 (unsigned)(21000 + getpid() % 20000) + f);
    err = make_subscriber();
    ck_assert_msg(err == 0, "%s", sonic_errname(err));
    make_publisher();
    RIG_UNTIL(&w.rig, w.ended);
    ck_assert_uint_eq(w.received, MESSAGES);
    ck_assert_uint_eq(w.lost, 0);
    end();
}
END_TEST

START_TEST(freed_in_each_callback)
{
    for (const char *c = "smgfe"; *c != '\0'; c++) {
        begin_unicast(_i, 3);
        w.quit = *c;
        RIG_UNTIL(&w.rig, w.sub == NULL);
        rig_settle(&w.rig);
        end();
    }
}
END_TEST

START_TEST(the_io_ends_first)
{
    begin_unicast(_i, 3);
    RIG_UNTIL(&w.rig, w.received > 100);
    sonic_io_free(w.rig.io);
    rig_closed(&w.rig);
    sonic_mold_store_free(w.store);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    static const sonic_mold_feed nine[9] = {{"127.0.0.1:0", NULL, NULL},
                                            {"127.0.0.1:0", NULL, NULL}};
    static const sonic_mold_feed bad[] = {{"nowhere", NULL, NULL},
                                          {NULL, NULL, NULL},
                                          {"239.255.77.1:0", "nosuchif", NULL},
                                          {"192.0.2.1:7", NULL, NULL}};
    sonic_mold_subscriber_options s = SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT;
    sonic_mold_publisher_options p = SONIC_MOLD_PUBLISHER_OPTIONS_INIT;
    sonic_mold_packer_options packer = SONIC_MOLD_PACKER_OPTIONS_INIT;
    sonic_mold_server_options o = SONIC_MOLD_SERVER_OPTIONS_INIT;
    sonic_mold_subscriber *sub;
    sonic_mold_publisher *pub;
    sonic_mold_server *server;
    struct rig r;

    rig_open(&r, _i % RIG_BACKENDS);
    ck_assert_int_eq(sonic_mold_subscriber_new(r.io, &s, NULL, NULL, &sub),
                     SONIC_EOPTION);
    s.feeds = nine;
    s.n_feeds = 9;
    ck_assert_int_eq(sonic_mold_subscriber_new(r.io, &s, NULL, NULL, &sub),
                     SONIC_EOPTION);
    s.n_feeds = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        s.feeds = &bad[i];
        ck_assert_int_lt(sonic_mold_subscriber_new(r.io, &s, NULL, NULL, &sub),
                         0);
    }
    ck_assert_int_eq(sonic_mold_publisher_new(r.io, &p, &pub), SONIC_EOPTION);
    p.packer = &packer;
    ck_assert_int_eq(sonic_mold_publisher_new(r.io, &p, &pub), SONIC_EOPTION);
    packer.session = "S";
    ck_assert_int_eq(sonic_mold_publisher_new(r.io, &p, &pub), SONIC_EOPTION);
    p.feeds = bad;
    p.n_feeds = 1;
    ck_assert_int_eq(sonic_mold_publisher_new(r.io, &p, &pub), SONIC_EADDRESS);
    ck_assert_int_eq(sonic_mold_server_new(r.io, &o, &server), SONIC_EOPTION);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("mold feed");
    TCase *tc = tcase_create("feed");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, everything_is_recovered, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, a_server_that_is_gone, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, groups_are_joined, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, freed_in_each_callback, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, the_io_ends_first, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, what_cannot_be_is_refused, 0, RIG_BACKENDS);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
