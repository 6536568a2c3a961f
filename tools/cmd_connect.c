/* sonicio connect - a WebSocket client for people and for scripts */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sonicio/url.h>

#include "commands.h"
#include "deflate.h"
#include "talk.h"

enum {
    OPT_PING = 256,
    OPT_NO_UTF8,
    OPT_TIMEOUT,
    OPT_PROXY,
    OPT_MAX,
    OPT_WAIT,
    OPT_DEFLATE,
    OPT_CACERT,
    OPT_INSECURE,
    OPT_CERT,
    OPT_KEY,
    OPT_KTLS
};

#define MESSAGE_MAX (UINT64_C(1) << 30)

static const struct option_row options[] = {
    {"header", 'H', "'NAME: VALUE'",
     "send this field with the request; may be given several times"},
    {"subprotocol", 's', "NAME",
     "offer this subprotocol; several are offered in their order"},
    {"origin", 'o', "ORIGIN", "send this as Origin"},
    {"binary", 'b', NULL,
     "send lines as binary messages, and write binary messages that come as "
     "they are, instead of a dump"},
    {"count", 'n', "N", "close when N messages have come"},
    {"wait", 'w', "SECONDS",
     "at the end of the input, wait this long for messages before closing (1; "
     "with --count: until they have come)"},
    {"ping", OPT_PING, "SECONDS",
     "ping so often, show the round trip, give up on a peer that does not "
     "answer"},
    {"quiet", 'q', NULL, "show messages and errors only"},
    {"connect-timeout", OPT_TIMEOUT, "SECONDS",
     "for name, TCP, proxy and handshake together (10)"},
    {"proxy", OPT_PROXY, "URL",
     "http://[USER:PASS@]HOST:PORT, or the same with socks5:// or socks5h://"},
    {"max-message", OPT_MAX, "BYTES", "refuse longer messages (16M)"},
    {"deflate", OPT_DEFLATE, DEFLATE_ARG, "offer to compress messages"},
    {"cacert", OPT_CACERT, "FILE",
     "wss: trust the authorities in this file (PEM), and no others"},
    {"insecure", OPT_INSECURE, NULL,
     "wss: take any certificate; anyone in between can read and change "
     "everything"},
    {"cert", OPT_CERT, "FILE", "wss: show this certificate to the server"},
    {"key", OPT_KEY, "FILE", "wss: its private key (in the same file)"},
    {"ktls", OPT_KTLS, NULL,
     "wss: have the kernel encrypt TLS 1.3, and tell whether it does"},
    {"no-utf8-check", OPT_NO_UTF8, NULL,
     "take and send text that is not UTF-8, which RFC 6455 forbids"},
    {NULL, 0, NULL, NULL}};

/* Of the handshake itself: the library refuses them, too. */
static bool
is_reserved(const char *name)
{
    static const char *const names[] = {"Upgrade",
                                        "Connection",
                                        "Sec-WebSocket-Key",
                                        "Sec-WebSocket-Version",
                                        "Sec-WebSocket-Accept",
                                        "Sec-WebSocket-Protocol",
                                        "Sec-WebSocket-Extensions",
                                        "Content-Length",
                                        "Transfer-Encoding"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

/* RFC 9110 section 5.6.2. */
static bool
is_token(const char *text)
{
    return *text != '\0' &&
           text[strspn(text, "!#$%&'*+-.^_`|~0123456789"
                             "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

/* "NAME: VALUE", cut in two where it stands. */
static void
add_header(struct args *a, struct talk_options *o)
{
    char *text = (char *)(uintptr_t)a->value;
    char *colon = strchr(text, ':');

    if (colon == NULL || colon == text) {
        args_wrong(a, "--header: '%s' is not NAME: VALUE", text);
        return;
    }
    if (o->ws.n_headers == TALK_LIST) {
        args_wrong(a, "--header: at most %d", TALK_LIST);
        return;
    }
    *colon++ = '\0';
    if (!is_token(text))
        args_wrong(a, "--header: '%s' is not the name of a field", text);
    else if (is_reserved(text))
        args_wrong(a, "--header: %s is the handshake's own", text);
    o->headers[o->ws.n_headers].name = text;
    o->headers[o->ws.n_headers++].value = colon + strspn(colon, " \t");
}

static void
add_subprotocol(struct args *a, struct talk_options *o)
{
    if (!is_token(a->value))
        args_wrong(a, "--subprotocol: '%s' is not a name without spaces",
                   a->value);
    else if (o->ws.n_subprotocols == TALK_LIST)
        args_wrong(a, "--subprotocol: at most %d", TALK_LIST);
    else
        o->subprotocols[o->ws.n_subprotocols++] = a->value;
}

static void
take(struct args *a, struct talk_options *o, int key)
{
    switch (key) {
    case 'H':
        add_header(a, o);
        break;
    case 's':
        add_subprotocol(a, o);
        break;
    case 'o':
        o->ws.origin = a->value;
        break;
    case 'b':
        o->binary = true;
        break;
    case 'n':
        o->count = args_count(a, 1, UINT64_MAX);
        break;
    case 'w':
        o->wait = args_seconds(a, 0, 1e6);
        break;
    case OPT_PING:
        o->ws.ping_interval = args_seconds(a, 0.001, 1e6);
        break;
    case 'q':
        o->quiet = true;
        break;
    case OPT_TIMEOUT:
        o->ws.handshake_timeout = args_seconds(a, 0.001, 1e6);
        break;
    case OPT_PROXY:
        o->ws.proxy = a->value;
        break;
    case OPT_MAX:
        o->ws.max_message = args_size(a, 1, MESSAGE_MAX);
        break;
    case OPT_CACERT:
        o->tls.cacert = a->value;
        break;
    case OPT_INSECURE:
        o->tls.insecure = true;
        break;
    case OPT_CERT:
        o->tls.cert[0] = a->value;
        o->tls.n_certs = 1;
        break;
    case OPT_KEY:
        o->tls.key[0] = a->value;
        o->tls.n_keys = 1;
        break;
    case OPT_KTLS:
        o->tls.ktls = true;
        break;
    case OPT_DEFLATE:
        deflate_on(a, &o->deflate);
        break;
    default:
        o->ws.no_utf8 = SONIC_ON;
    }
}

static int
parse(struct args *a, struct talk_options *o)
{
    sonic_url url = SONIC_URL_INIT;
    const char *why;
    int key;

    while ((key = args_next(a)) >= 0)
        take(a, o, key);
    if (key == ARGS_STOP)
        return ARGS_STOP;
    o->url = args_operand(a);
    if (o->url == NULL)
        args_wrong(a, "to where?  Give a URL, such as ws://127.0.0.1:9001/");
    else if (args_operand(a) != NULL)
        args_wrong(a, "one URL at a time");
    else if (sonic_url_parse(o->url, &url, &why) < 0)
        args_wrong(a, "%s: %s", o->url, why);
    else if (!url.secure && (o->tls.cacert != NULL || o->tls.insecure ||
                             o->tls.ktls || o->tls.n_certs > 0))
        args_wrong(a, "--cacert, --insecure, --cert and --ktls are for wss:// "
                      "only");
    else if (secure_wrong(&o->tls) != NULL)
        args_wrong(a, "%s", secure_wrong(&o->tls));
    if (o->wait < 0 && o->count == 0)
        o->wait = NS_PER_S;
    return a->status == EXIT_GOOD ? ARGS_END : ARGS_STOP;
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct talk_options o = {.ws = SONIC_WS_OPTIONS_INIT, .wait = -1};

    o.ws.headers = o.headers;
    o.ws.subprotocols = o.subprotocols;
    o.ws.deflate = &o.deflate;
    deflate_off(&o.deflate);
    if (parse(&a, &o) == ARGS_STOP)
        return a.status;
    return talk(&o);
}

const struct command connect_command = {
    "connect",
    "a WebSocket client: lines in, messages out",
    "URL",
    "Each line of standard input is sent as a message, each message that "
    "comes\n"
    "is written to standard output: text and a newline, or a dump of what is\n"
    "binary.  How the connection ended is told on standard error; the exit\n"
    "status is 0 when it was closed in good order.\n"
    "\n"
    "URL is ws://HOST[:PORT][/PATH] or ws+unix:SOCKET[:/PATH], and with wss "
    "in\n"
    "place of ws the same over TLS.\n"
    "\n" DEFLATE_ABOUT,
    options,
    "  sonicio connect ws://127.0.0.1:9001/\n"
    "  echo hello | sonicio connect ws://127.0.0.1:9001/\n"
    "  sonicio connect -n 3 -q ws://feed.example/trades </dev/null\n"
    "  sonicio connect -H 'Authorization: Bearer T0ken' -s v2.chat \\\n"
    "      --ping 10 ws://chat.example/room\n"
    "  sonicio connect wss://chat.example/ --cacert authority.pem\n"
    "  sonicio connect ws+unix:/tmp/echo.sock\n",
    run,
};
