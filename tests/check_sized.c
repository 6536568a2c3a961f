/* Structs that begin with their size, each given to what takes it: as it is,
 * by a newer program that asks for nothing new, and with sizes that are wrong.
 * Older programs: check_options.c. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

#include "base/pack.h"

static sonic_io *io;
static sonic_stream *pair[2];

/* ---- who takes them; each lets go of what it has made ----------------- */

static int
make_io(const void *opt)
{
    sonic_io *other = NULL;
    int err = sonic_io_new(&other, opt);

    sonic_io_free(other);
    return err;
}

static int
set_busy_poll(const void *opt)
{
    return sonic_io_set_busy_poll(io, opt);
}

static int
warm(const void *opt)
{
    return sonic_warm_path(io, opt, NULL);
}

static void
run_object(void *object)
{
    (void)object;
}

static int
make_object(const void *opt)
{
    void *object = NULL;
    int err = sonic_object_new(io, opt, &object);

    if (err == 0)
        sonic_object_free(object);
    return err;
}

static int
make_sim(const void *opt)
{
    sonic_sim *sim = NULL;
    int err = sonic_sim_new(&sim, opt);

    return err < 0 ? err : sonic_sim_free(sim, NULL);
}

static int
make_bip(const void *opt)
{
    sonic_bip *b = NULL;
    int err = sonic_bip_new(64, opt, &b);

    sonic_bip_free(b);
    return err;
}

static int
make_bytes(const void *opt)
{
    sonic_bytes *b = NULL;
    int err = sonic_bytes_new(opt, &b);

    sonic_bytes_free(b);
    return err;
}

static int
make_mirror(const void *opt)
{
    sonic_mirror *m = NULL;
    int err = sonic_mirror_new(1, opt, &m);

    sonic_mirror_free(m);
    return err;
}

static int
make_sequencer(const void *opt)
{
    sonic_sequencer *s = NULL;
    int err = sonic_sequencer_new(opt, &s);

    sonic_sequencer_free(s);
    return err;
}

static int
make_gap(const void *opt)
{
    sonic_gap *g = NULL;
    int err = sonic_gap_new(opt, &g);

    sonic_gap_free(g);
    return err;
}

static int
draw(const void *opt)
{
    FILE *out = fopen("/dev/null", "w");
    sonic_histogram *h;
    int err;

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(sonic_histogram_new(NULL, &h), 0);
    err = sonic_histogram_draw(h, out, opt);
    sonic_histogram_free(h);
    fclose(out);
    return err;
}

static int
open_file(const void *opt)
{
    sonic_file *f = NULL;
    int err = sonic_file_open(io, "/dev/null", O_RDONLY, 0, opt, &f);

    sonic_file_free(f);
    return err;
}

static int
listen_tcp(const void *opt)
{
    sonic_listener *l = NULL;
    int err = sonic_listener_new(io, "127.0.0.1:0", opt, &l);

    sonic_listener_free(l);
    return err;
}

static int
set_socket(const void *opt)
{
    return sonic_stream_set_options(pair[0], opt);
}

static int
connect_stream(const void *opt)
{
    sonic_stream *s;
    int err;

    ck_assert_int_eq(sonic_stream_new(io, &s), 0);
    err = sonic_stream_connect(s, "unix:/nowhere/at/all", opt);
    sonic_stream_free(s);
    return err == -ENOENT ? 0 : err;
}

static int
make_udp(const void *opt)
{
    sonic_udp *u = NULL;
    int err = sonic_udp_new(io, "127.0.0.1:0", opt, &u);

    sonic_udp_free(u);
    return err;
}

static int
make_multicast(const void *opt)
{
    sonic_udp *u = NULL;
    int err = sonic_multicast_new(io, "0.0.0.0:0", opt, &u);

    sonic_udp_free(u);
    return err;
}

static int
make_codec(const void *opt)
{
    sonic_frame_codec codec;

    return sonic_frame_codec_init(&codec, opt);
}

/* A stream to be used up. */
static sonic_stream *
a_stream(void)
{
    sonic_stream *s[2];

    ck_assert_int_eq(sonic_stream_pair(io, s), 0);
    sonic_stream_free(s[1]);
    return s[0];
}

static int
frames(const sonic_frame_options *opt, const sonic_frame_handler *handler)
{
    sonic_stream *s = a_stream();
    sonic_frame_codec codec;
    sonic_frame_conn *c;
    int err;

    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    err = sonic_frame_conn_new(s, &codec, opt, handler, NULL, &c);
    if (err < 0)
        sonic_stream_free(s);
    else
        sonic_frame_conn_free(c);
    return err;
}

static int
frame_options(const void *opt)
{
    return frames(opt, NULL);
}

static int
frame_handler(const void *opt)
{
    return frames(NULL, opt);
}

static int
soup(const sonic_soup_options *opt, const sonic_soup_handler *handler)
{
    sonic_stream *s = a_stream();
    sonic_soup *soup;
    int err = sonic_soup_client_new(s, opt, handler, NULL, &soup);

    if (err < 0)
        sonic_stream_free(s);
    else
        sonic_soup_free(soup);
    return err;
}

static int
soup_options(const void *opt)
{
    return soup(opt, NULL);
}

static int
soup_handler(const void *opt)
{
    return soup(NULL, opt);
}

static int
make_store(const void *opt)
{
    sonic_mold_store *s = NULL;
    int err = sonic_mold_store_new(opt, &s);

    sonic_mold_store_free(s);
    return err;
}

static void
drop_packet(const void *data, size_t len, void *ud)
{
    (void)data;
    (void)len;
    (void)ud;
}

static int
make_packer(const void *opt)
{
    sonic_mold_packer *p = NULL;
    int err = sonic_mold_packer_new(opt, drop_packet, NULL, &p);

    sonic_mold_packer_free(p);
    return err;
}

static sonic_mold_store *store;

static int
make_answerer(const void *opt)
{
    sonic_mold_answerer *a = NULL;
    int err = sonic_mold_answerer_new(opt, &a);

    sonic_mold_answerer_free(a);
    return err;
}

static int
receive(const sonic_mold_receiver_options *opt, const sonic_mold_handler *h)
{
    sonic_mold_receiver *r = NULL;
    int err = sonic_mold_receiver_new(opt, h, NULL, &r);

    sonic_mold_receiver_free(r);
    return err;
}

static int
mold_receiver(const void *opt)
{
    return receive(opt, NULL);
}

static int
mold_handler(const void *opt)
{
    return receive(NULL, opt);
}

static int
publish(const void *opt)
{
    sonic_mold_publisher *p = NULL;
    int err = sonic_mold_publisher_new(io, opt, &p);

    sonic_mold_publisher_free(p);
    return err;
}

static int
serve_mold(const void *opt)
{
    sonic_mold_server *s = NULL;
    int err = sonic_mold_server_new(io, opt, &s);

    sonic_mold_server_free(s);
    return err;
}

static int
subscribe(const void *opt)
{
    sonic_mold_subscriber *s = NULL;
    int err = sonic_mold_subscriber_new(io, opt, NULL, NULL, &s);

    sonic_mold_subscriber_free(s);
    return err;
}

static int
make_ws(const sonic_ws_options *opt, const sonic_ws_handler *handler)
{
    sonic_ws_server *server = NULL;
    sonic_ws *ws = NULL;
    int err = sonic_ws_new(io, opt, handler, NULL, &ws);

    sonic_ws_free(ws);
    ck_assert_int_eq(sonic_ws_server_new(io, opt, handler, NULL, &server), err);
    sonic_ws_server_free(server);
    return err;
}

static int
ws_options(const void *opt)
{
    return make_ws(opt, NULL);
}

static int
ws_handler(const void *opt)
{
    return make_ws(NULL, opt);
}

static int
ws_deflate(const void *opt)
{
    sonic_ws_options o = SONIC_WS_OPTIONS_INIT;

    o.deflate = opt;
    return make_ws(&o, NULL);
}

static int
ws_connect(const void *opt)
{
    sonic_ws_options o = SONIC_WS_OPTIONS_INIT;

    o.connect = opt;
    return make_ws(&o, NULL);
}

static int
ws_socket(const void *opt)
{
    sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;

    o.socket = opt;
    return ws_connect(&o);
}

/* ---- all of them ------------------------------------------------------ */

static sonic_bytes_options bytes = {.size = sizeof bytes, .capacity = 4096};
static sonic_sequencer_options sequencer = {.size = sizeof sequencer,
                                            .span = 64};
static sonic_warm_options warm_options = {
    .size = sizeof warm_options, .lock = SONIC_OFF, .buffers = 1};
static sonic_object_class object_class = {SONIC_OBJECT_CLASS_INIT, .bytes = 8,
                                          .run = run_object};
static sonic_mold_store_options store_options = {
    .size = sizeof store_options, .messages = 64, .bytes = 65536};
static sonic_mold_packer_options packer = {.size = sizeof packer,
                                           .session = "S"};
static sonic_mold_answerer_options answerer = {.size = sizeof answerer,
                                               .session = "S"};
static sonic_mold_receiver_options receiver = {
    .size = sizeof receiver, .window = 64, .hold_bytes = 1 << 17};
static const sonic_mold_feed feed = {"127.0.0.1:9", NULL, NULL};
static const sonic_mold_feed here = {"127.0.0.1:0", NULL, NULL};
static sonic_mold_publisher_options publisher = {
    .size = sizeof publisher, .packer = &packer, .feeds = &feed, .n_feeds = 1};
static sonic_mold_server_options mold_server = {.size = sizeof mold_server,
                                                .address = "127.0.0.1:0",
                                                .answerer = &answerer};
static sonic_mold_subscriber_options subscriber = {.size = sizeof subscriber,
                                                   .receiver = &receiver,
                                                   .feeds = &here,
                                                   .n_feeds = 1};

#define PLAIN(type) &(type){.size = sizeof(type)}, sizeof(type)
#define SET(object) &object, sizeof object

static const struct row {
    const char *name;
    int (*take)(const void *opt);
    const void *good;
    size_t size;
} rows[] = {
    {"io", make_io, PLAIN(sonic_io_options)},
    {"busy poll", set_busy_poll, PLAIN(sonic_busy_poll)},
    {"warm path", warm, SET(warm_options)},
    {"object class", make_object, SET(object_class)},
    {"simulated world", make_sim, PLAIN(sonic_sim_options)},
    {"bip", make_bip, PLAIN(sonic_bip_options)},
    {"bytes", make_bytes, SET(bytes)},
    {"mirror", make_mirror, PLAIN(sonic_mirror_options)},
    {"sequencer", make_sequencer, SET(sequencer)},
    {"gap", make_gap, PLAIN(sonic_gap_options)},
    {"histogram", draw, PLAIN(sonic_histogram_drawing)},
    {"file", open_file, PLAIN(sonic_file_options)},
    {"listener", listen_tcp, PLAIN(sonic_listener_options)},
    {"socket", set_socket, PLAIN(sonic_socket_options)},
    {"connect", connect_stream, PLAIN(sonic_connect_options)},
    {"udp", make_udp, PLAIN(sonic_udp_options)},
    {"multicast", make_multicast, PLAIN(sonic_multicast_options)},
    {"frame format", make_codec, PLAIN(sonic_frame_format)},
    {"frame options", frame_options, PLAIN(sonic_frame_options)},
    {"frame handler", frame_handler, PLAIN(sonic_frame_handler)},
    {"soup options", soup_options, PLAIN(sonic_soup_options)},
    {"soup handler", soup_handler, PLAIN(sonic_soup_handler)},
    {"mold store", make_store, SET(store_options)},
    {"mold packer", make_packer, SET(packer)},
    {"mold answerer", make_answerer, SET(answerer)},
    {"mold receiver", mold_receiver, SET(receiver)},
    {"mold handler", mold_handler, PLAIN(sonic_mold_handler)},
    {"mold publisher", publish, SET(publisher)},
    {"mold server", serve_mold, SET(mold_server)},
    {"mold subscriber", subscribe, SET(subscriber)},
    {"ws options", ws_options, PLAIN(sonic_ws_options)},
    {"ws handler", ws_handler, PLAIN(sonic_ws_handler)},
    {"ws deflate", ws_deflate, PLAIN(sonic_ws_deflate_options)},
    {"ws connect", ws_connect, PLAIN(sonic_connect_options)},
    {"ws socket", ws_socket, PLAIN(sonic_socket_options)},
};
enum { ROWS = sizeof rows / sizeof *rows, MORE = 16 };

static void
begin(void)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;

    opt.backend = SONIC_BACKEND_EPOLL; /* the only one with a busy poll */
    ck_assert_int_eq(sonic_io_new(&io, &opt), 0);
    ck_assert_int_eq(sonic_stream_pair(io, pair), 0);
    ck_assert_int_eq(sonic_mold_store_new(&store_options, &store), 0);
    answerer.store = store;
}

static void
end(void)
{
    sonic_io_free(io);
    sonic_mold_store_free(store);
}

START_TEST(each_is_taken_or_refused)
{
    const struct row *r = &rows[_i];
    uint8_t *copy = calloc(1, r->size + MORE);
    const struct {
        size_t size;
        uint8_t tail; /* the last byte, which is beyond what is known */
        bool good;
    } c[] = {
        {r->size, 0, true},
        {r->size, 1, true}, /* that byte is somebody else's */
        {r->size + MORE, 0, true},
        {r->size + MORE, 1, false},
        {r->size - 1, 0, false},
        {r->size - 2, 0, false},
        {sizeof(size_t) + 1, 0, false},
        {1, 0, false},
        {0, 0, false},
        {SIZE_MAX - 7, 0, false},
        {(size_t)1 << 30, 0, false},
    };

    ck_assert_ptr_nonnull(copy);
    begin();
    memcpy(copy, r->good, r->size);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int err;

        memcpy(copy, &c[i].size, sizeof c[i].size);
        copy[r->size + MORE - 1] = c[i].tail;
        err = r->take(copy);
        if (r->take == set_busy_poll && c[i].good)
            ck_assert_msg(err != SONIC_EOPTION, "%s", r->name);
        else
            ck_assert_msg(err == (c[i].good ? 0 : SONIC_EOPTION),
                          "%s, size %zu, tail %d: %s", r->name, c[i].size,
                          c[i].tail, sonic_errname(err));
    }
    end();
    free(copy);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sized");
    TCase *tc = tcase_create("sizes");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, each_is_taken_or_refused, 0, ROWS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
