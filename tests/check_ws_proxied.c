/* A WebSocket server behind balancers that speak the PROXY protocol. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

#define V1 "PROXY TCP4 192.0.2.1 192.0.2.2 443 80\r\n"
#define REQUEST                                                                \
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"                      \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                     \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static struct rig r;
static sonic_ws_server *server;
static sonic_ws_options opt;
static uint16_t port;
static struct {
    unsigned opens, closes;
    char first[SONIC_ADDRESS_TEXT]; /* in on_upgrade */
    char then[SONIC_ADDRESS_TEXT];  /* in on_open */
} seen;

static void
note(const sonic_ws *ws, char *text)
{
    sonic_address a;

    ck_assert_int_eq(sonic_ws_remote_address(ws, &a), 0);
    sonic_address_format(&a, text, SONIC_ADDRESS_TEXT);
}

static void
on_upgrade(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
           void *ud)
{
    (void)head;
    (void)reply;
    (void)ud;
    note(ws, seen.first);
}

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ud;
    seen.opens++;
    note(ws, seen.then);
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    char text[SONIC_ADDRESS_TEXT];

    (void)m;
    (void)ud;
    note(ws, text);
    ck_assert_int_eq(sonic_ws_send(ws, SONIC_WS_TEXT, text, strlen(text)), 0);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)ws;
    (void)why;
    (void)ud;
    seen.closes++;
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = on_message,
    .on_close = on_close};

static void
begin(int i, const char *network)
{
    static const char *networks[2] = {"203.0.113.0/24"};
    sonic_address a;

    memset(&seen, 0, sizeof seen);
    rig_open(&r, i);
    opt = (sonic_ws_options)SONIC_WS_OPTIONS_INIT;
    networks[1] = network;
    opt.proxies = networks;
    opt.n_proxies = network != NULL ? 2 : 0;
    opt.on_upgrade = on_upgrade;
    opt.handshake_timeout = 50 * MS;
    ck_assert_int_eq(sonic_ws_server_new(r.io, &opt, &handler, NULL, &server),
                     0);
    ck_assert_int_eq(sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &a),
                     0);
    port = sonic_address_port(&a);
}

static void
end(void)
{
    sonic_ws_server_free(server);
    rig_close(&r);
}

static int
dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Until the peer has a line of an answer, or its end: then "". */
static const char *
answer(int fd)
{
    static char text[64];
    size_t n = 0;

    for (;;) {
        ssize_t k = recv(fd, text + n, 1, MSG_DONTWAIT);

        if (k == 0 || (k < 0 && errno != EAGAIN))
            return "";
        if (k < 0) {
            ck_assert_int_ge(sonic_io_run_one_for(r.io, RIG_PATIENCE), 0);
            continue;
        }
        if (text[n] == '\r' || ++n == sizeof text - 1)
            break;
    }
    text[n] = '\0';
    return text;
}

static void
expect(const char *bytes, const char *want)
{
    int fd = dial();

    rig_put(fd, bytes, strlen(bytes));
    ck_assert_str_eq(answer(fd), want);
    close(fd);
    rig_settle(&r);
}

START_TEST(of_a_balancer)
{
    char got[1024];
    ssize_t n;
    int fd;

    begin(_i, "127.0.0.0/8");
    fd = dial();
    rig_put(fd, V1 REQUEST, sizeof V1 REQUEST - 1);
    ck_assert_str_eq(answer(fd), "HTTP/1.1 101 Switching Protocols");
    ck_assert_str_eq(seen.first, "192.0.2.1:443");
    ck_assert_str_eq(seen.then, "192.0.2.1:443");
    /* others come and go, and it is still its own */
    for (int i = 0; i < 40; i++)
        expect(&(V1 REQUEST)[i & 1], /* every other one begins with "ROXY" */
               i & 1 ? "" : "HTTP/1.1 101 Switching Protocols");
    RIG_UNTIL(&r, seen.closes == 20);
    rig_put(fd, "\x81\x80\0\0\0\0", 6);
    rig_settle(&r);
    n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    ck_assert_int_gt(n, 15);
    ck_assert_mem_eq(got + n - 15,
                     "\x81\x0d"
                     "192.0.2.1:443",
                     15);
    close(fd);
    end();
}
END_TEST

START_TEST(of_nobody_else)
{
    begin(_i, "10.0.0.0/8"); /* the header is not read: a bad request */
    expect(V1 REQUEST, "HTTP/1.1 400 Bad Request");
    expect(REQUEST, "HTTP/1.1 101 Switching Protocols");
    ck_assert_int_eq(strncmp(seen.then, "127.0.0.1:", 10), 0);
    end();

    begin(_i, NULL);
    expect(V1 REQUEST, "HTTP/1.1 400 Bad Request");
    expect(REQUEST, "HTTP/1.1 101 Switching Protocols");
    end();
}
END_TEST

/* From a balancer a header must come: without one, a wrong one, half of one. */
START_TEST(a_header_must_come)
{
    begin(_i, "127.0.0.1");
    expect(REQUEST, "");
    expect("PROXY TCP4 192.0.2.1 192.0.2.2 443 99999\r\n" REQUEST, "");
    expect("PROXY TCP4 ", ""); /* too late */
    ck_assert_uint_eq(seen.opens, 0);
    ck_assert_uint_eq(sonic_ws_server_count(server), 0);
    expect("PROXY UNKNOWN\r\n" REQUEST, "HTTP/1.1 101 Switching Protocols");
    ck_assert_int_eq(strncmp(seen.then, "127.0.0.1:", 10), 0);
    end();
}
END_TEST

static void
on_drained(sonic_ws_server *s, int err, const sonic_ws_drained *n, void *ud)
{
    (void)s;
    (void)n;
    ck_assert_int_eq(err, 0);
    *(bool *)ud = true;
}

/* The server drains, is freed, or its io goes, while a header is awaited. */
START_TEST(the_server_goes)
{
    for (int how = 0; how < 4; how++) {
        bool drained = false;
        int fd[3];

        begin(_i, "127.0.0.1");
        for (int i = 0; i < 3; i++) {
            fd[i] = dial();
            rig_put(fd[i], "PROXY", 5);
        }
        rig_settle(&r);
        if (how == 0) {
            sonic_ws_server_async_drain(server, SECOND, on_drained, &drained);
            RIG_UNTIL(&r, drained);
        } else if (how == 1) {
            sonic_ws_server_free(server);
            server = NULL;
            rig_settle(&r);
        } else if (how == 2) {
            sonic_io_close(r.io);
        }
        for (int i = 0; i < 3; i++)
            close(fd[i]);
        if (how == 3) {
            rig_close(&r);
            continue;
        }
        end();
    }
}
END_TEST

START_TEST(there_is_a_limit)
{
    int fd[3];

    begin(_i, NULL);
    sonic_ws_server_free(server);
    opt.proxies = (const char *const[]){"127.0.0.1"};
    opt.n_proxies = 1;
    opt.max_connections = 2;
    opt.handshake_timeout = 10 * SECOND;
    ck_assert_int_eq(sonic_ws_server_new(r.io, &opt, &handler, NULL, &server),
                     0);
    {
        sonic_address a;

        ck_assert_int_eq(
            sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &a), 0);
        port = sonic_address_port(&a);
    }
    for (int i = 0; i < 3; i++) {
        fd[i] = dial();
        rig_put(fd[i], "PROXY", 5);
        rig_settle(&r);
    }
    ck_assert_str_eq(answer(fd[2]), ""); /* two wait already */
    rig_put(fd[0], &(V1 REQUEST)[5], sizeof V1 REQUEST - 6);
    ck_assert_str_eq(answer(fd[0]), "HTTP/1.1 101 Switching Protocols");
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    end();
}
END_TEST

START_TEST(networks_are_checked)
{
    const char *const wrong[] = {"127.0.0.1", "10.0.0.0/33"};
    sonic_ws_server *none;

    begin(_i, "127.0.0.1");
    opt.proxies = wrong;
    ck_assert_int_eq(sonic_ws_server_new(r.io, &opt, NULL, NULL, &none),
                     SONIC_EOPTION);
    end();
}
END_TEST

/* Each allocation fails once: it is served, or it is let go. */
START_TEST(memory_runs_out)
{
    bool failed = true;

    for (unsigned long nth = 1; failed; nth++) {
        int fd;

        begin(_i, "127.0.0.1");
        fd = dial();
        rig_put(fd, V1 REQUEST, sizeof V1 REQUEST - 1);
        hook_mem_fail_nth(&r.hook, nth);
        (void)answer(fd);
        failed = r.hook.mem_failed;
        hook_mem_fail_nth(&r.hook, 0);
        ck_assert(failed || seen.opens == 1);
        if (seen.opens == 1)
            ck_assert_str_eq(seen.then, "192.0.2.1:443");
        ck_assert_uint_lt(nth, 60);
        close(fd);
        end();
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_proxied");
    TCase *tc = tcase_create("proxied");

    rig_add(tc, of_a_balancer);
    rig_add(tc, of_nobody_else);
    rig_add(tc, a_header_must_come);
    rig_add(tc, the_server_goes);
    rig_add(tc, there_is_a_limit);
    rig_add(tc, networks_are_checked);
    rig_add(tc, memory_runs_out);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
