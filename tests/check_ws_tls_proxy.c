/* WebSocket over TLS through proxies: TLS is between the ends. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/tls_kit.h"

static struct rig r;

/* What happened at the client. */
static struct log {
    int opens, closes;
    size_t total;
    sonic_ws_close_record why;
} client_log;

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ud;
    client_log.opens += !sonic_ws_is_server(ws);
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (sonic_ws_is_server(ws))
        ck_assert_int_ge(sonic_ws_send(ws, m->opcode, m->data, m->len), 0);
    else
        client_log.total += m->len;
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)ud;
    if (sonic_ws_is_server(ws))
        return;
    client_log.closes++;
    client_log.why = *why;
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = on_message,
    .on_close = on_close};

static sonic_ws_server *server;
static sonic_ws *client;
static sonic_ws_options co;

/* A server with kit.server, a client that trusts kit.root; its port. */
static unsigned
begin(int i)
{
    sonic_ws_options so = SONIC_WS_OPTIONS_INIT;
    sonic_address a;

    rig_open(&r, i);
    memset(&client_log, 0, sizeof client_log);
    client = NULL;
    co = so;
    co.tls = kit_client(r.io);
    so.tls = kit_server(r.io);
    ck_assert_int_eq(sonic_ws_server_new(r.io, &so, &handler, NULL, &server),
                     0);
    sonic_tls_context_free(so.tls);
    ck_assert_int_eq(sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &a),
                     0);
    return sonic_address_port(&a);
}

static void
end(void)
{
    sonic_ws_free(client);
    sonic_ws_server_free(server);
    sonic_tls_context_free(co.tls);
    rig_close(&r);
}

/* ---- through proxies -------------------------------------------------- */

/* The test is the proxy: it answers, connects, and hands bytes on. */
struct proxy {
    int listener, inner, outer;
    unsigned port; /* of the server */
    unsigned own;
};

static void
proxy_open(struct proxy *p, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    *p = (struct proxy){.port = port, .inner = -1, .outer = -1};
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&a, n), 0);
    ck_assert_int_eq(listen(p->listener, 1), 0);
    ck_assert_int_eq(getsockname(p->listener, (struct sockaddr *)&a, &n), 0);
    p->own = ntohs(a.sin_port);
}

static void
proxy_hear(struct proxy *p, char *buf, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = recv(p->inner, buf + got, n - got, MSG_DONTWAIT);

        if (k > 0)
            got += (size_t)k;
        else
            sonic_io_run_one_for(r.io, MS);
    }
}

static void
proxy_connect(struct proxy *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)p->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    p->outer = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(p->outer, (struct sockaddr *)&a, sizeof a), 0);
}

static void
proxy_hand_on(struct proxy *p)
{
    char buf[4096];
    ssize_t n = recv(p->inner, buf, sizeof buf, MSG_DONTWAIT);

    if (n > 0)
        rig_put(p->outer, buf, (size_t)n);
    n = recv(p->outer, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0)
        rig_put(p->inner, buf, (size_t)n);
    sonic_io_run_one_for(r.io, MS);
}

static void
proxy_close(struct proxy *p)
{
    close(p->listener);
    close(p->inner);
    close(p->outer);
}

static void
tunnel(struct proxy *p, bool socks)
{
    static const char yes[] = "\x05\x00\x00\x01\0\0\0\0\0\0";
    char buf[512];

    rig_await(p->listener, POLLIN);
    p->inner = accept(p->listener, NULL, NULL);
    if (socks) {
        proxy_hear(p, buf, 3);
        rig_put(p->inner, "\x05\x00", 2);
        proxy_hear(p, buf, 4 + 1 + 15 + 2);
        ck_assert_mem_eq(buf + 5, "www.example.org", 15);
        proxy_connect(p);
        rig_put(p->inner, yes, 10);
    } else {
        proxy_hear(p, buf, 33);
        ck_assert_mem_eq(buf, "CONNECT www.example.org:443 HTTP/", 33);
        do
            proxy_hear(p, buf, 1);
        while (recv(p->inner, buf, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
        proxy_connect(p);
        rig_put(p->inner, "HTTP/1.1 200 Fine\r\n\r\n", 21);
    }
}

/* TLS is between the ends, behind the tunnel, and verifies as without one. */
/* Each part that was gone through has a time, and no other. */
static void
took_its_time(bool all)
{
    sonic_ws_timing t = sonic_ws_connect_timing(client);

    ck_assert_int_eq(t.resolve, 0); /* the proxy is an address */
    ck_assert_int_gt(t.connect, 0);
    ck_assert_int_gt(t.proxy, 0);
    ck_assert_int_eq(t.tls > 0, all);
    ck_assert_int_eq(t.upgrade > 0, all);
}

START_TEST(through_a_proxy)
{
    struct proxy p;
    char at[64];

    for (int how = 0; how < 4; how++) {
        bool right = how < 2, socks = how % 2;

        proxy_open(&p, begin(_i));
        snprintf(at, sizeof at, "%s://127.0.0.1:%u", socks ? "socks5" : "http",
                 p.own);
        co.proxy = at;
        if (!right)
            co.tls_name = "other.example";
        ck_assert_int_eq(sonic_ws_new(r.io, &co, &handler, NULL, &client), 0);
        sonic_ws_async_connect(client, "wss://www.example.org/", NULL, NULL);
        tunnel(&p, socks);
        while (client_log.opens == 0 && client_log.closes == 0)
            proxy_hand_on(&p);
        ck_assert_int_eq(client_log.opens, right);
        took_its_time(right);
        if (right) {
            ck_assert_int_eq(sonic_ws_send(client, SONIC_WS_TEXT, "hi", 2), 0);
            while (client_log.total < 2)
                proxy_hand_on(&p);
        } else {
            ck_assert_int_eq(client_log.why.error, SONIC_ETLS_WRONG_HOST);
            ck_assert_int_eq(client_log.why.layer, SONIC_WS_LAYER_TLS);
        }
        proxy_close(&p);
        end();
    }
}
END_TEST

static void
add_cases(TCase *tc)
{
    rig_add(tc, through_a_proxy);
}

int
main(void)
{
    Suite *suite = suite_create("ws_tls_proxy");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
