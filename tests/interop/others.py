"""More libraries of Python, each as client and as server, plain and over TLS,
compressed and not.

    others.py aiohttp | autobahn | tornado

Every case talks to an echo: to sonicio echo when the library is the client;
when it is the server, to the example autobahn_client, which asks how many
cases there are and then connects for each.
"""
import asyncio
import contextlib
import os
import ssl
import sys

from common import MIB, SIZES, Server, Suite, expect, has, make_cert

CLIENT = os.environ.get("AUTOBAHN_CLIENT", "examples/autobahn_client")
CLOSES = (1000, ""), (1001, "leaving"), (3000, "\u00fc"), (4999, "x" * 123)
BIG = max(SIZES)


# ---- the cases: c is a connection to an echo ---------------------------------
async def answers(c, message, **how):
    await c.send(message, **how)
    expect("echo", message, await c.receive())


def sizes(most):
    async def each(c):
        for n in (n for n in SIZES if n <= most):
            text = ("0123456789abcdef" * (n // 16 + 1))[:n]
            await answers(c, text)
            await answers(c, text.encode())
        await answers(c, "\u00fc\u20ac\U0001f600\x00" * 10000)
        await answers(c, os.urandom(300000))
    return each


async def pipelined(c):
    for i in range(500):
        await c.send("message %d of 500" % i)
    for i in range(500):
        expect("order", "message %d of 500" % i, await c.receive())


async def pings(c):
    for data in (b"", b"a", b"x" * 125):
        await c.ping(data)
        expect("pong", data, await c.pongs.get())
    await answers(c, "still there?")


async def fragments(c):
    for n in (1, 2, 125, 1300):
        await answers(c, "\u20ac uro" * 500, fragment=n)
        await answers(c, os.urandom(3000), fragment=n)


def closing(code, reason):
    async def close(c):
        await answers(c, "hello")
        expect("close", code, await c.close(code, reason))
    return close


def cases(library, plain):
    yield "all sizes, text and binary", sizes(library.most if plain else MIB)
    yield "500 pipelined", pipelined
    yield "pings", pings
    if library.can_fragment:
        yield "fragments", fragments
    for code, reason in CLOSES:
        yield "close %d %.12s" % (code, reason), closing(code, reason)


class Connection:
    """What a library makes is put behind this."""
    def __init__(self):
        self.messages = asyncio.Queue()
        self.pongs = asyncio.Queue()
        self.code = asyncio.get_running_loop().create_future()

    async def receive(self):
        return await self.messages.get()

    def ended(self, code):
        self.messages.put_nowait(None)
        if not self.code.done():
            self.code.set_result(code)


# ---- aiohttp -----------------------------------------------------------------
class Aiohttp:
    can_fragment = False
    most = BIG

    class Connection(Connection):
        def __init__(self, ws):
            super().__init__()
            self.ws = ws
            self.deflated = bool(ws.compress)

        async def receive(self):
            return (await self.ws.receive()).data

        async def ping(self, data):
            await self.ws.ping(data)
            m = await self.ws.receive()
            expect("type", Aiohttp.lib.WSMsgType.PONG, m.type)
            self.pongs.put_nowait(bytes(m.data))

        async def send(self, data):
            await (self.ws.send_str(data) if isinstance(data, str)
                   else self.ws.send_bytes(data))

        async def close(self, code=1000, reason=""):
            await self.ws.close(code=code, message=reason.encode())
            return self.ws.close_code

    @contextlib.asynccontextmanager
    async def connect(self, url, deflate, trust):
        async with self.lib.ClientSession() as session:
            async with session.ws_connect(
                    url, compress=15 if deflate else 0, max_msg_size=0,
                    autoping=False, ssl=trust) as ws:
                yield self.Connection(ws)

    async def serve(self, handler, deflate, tls):
        web = self.lib.web

        async def act(request):
            ws = web.WebSocketResponse(compress=deflate, max_msg_size=0,
                                       autoping=False)
            await ws.prepare(request)
            c = self.Connection(ws)
            await handler(c, request.path_qs)
            await c.close()
            return ws
        app = web.Application()
        app.router.add_get("/{any}", act)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        return runner.addresses[0][1]


# ---- tornado -----------------------------------------------------------------
class Tornado:
    can_fragment = False
    most = BIG
    # It overlooks client_no_context_takeover, as all parameters without a
    # value: our server must not ask for it.
    deflate = "--deflate=takeover"

    class Connection(Connection):
        def __init__(self, ws):
            super().__init__()
            self.ws = ws
            ws.on_pong = self.pongs.put_nowait

        async def send(self, data):
            await self.ws.write_message(data, isinstance(data, bytes))

        async def ping(self, data):
            self.ws.ping(data)

        async def close(self, code=1000, reason=""):
            self.ws.close(code, reason)
            return await self.code

    @contextlib.asynccontextmanager
    async def connect(self, url, deflate, trust):
        def on_message(m):
            if m is None:
                c.ended(ws.close_code)
            else:
                c.messages.put_nowait(m)
        ws = await self.lib.websocket.websocket_connect(
            self.lib.httpclient.HTTPRequest(url, ssl_options=trust),
            compression_options={} if deflate else None,
            max_message_size=BIG)
        c = self.Connection(ws)
        # pylint: disable=protected-access
        c.deflated = ws.protocol._compressor is not None
        asyncio.ensure_future(self.read(ws, on_message))
        yield c
        await c.close()

    @staticmethod
    async def read(ws, on_message):
        while True:
            m = await ws.read_message()
            on_message(m)
            if m is None:
                break

    async def serve(self, handler, deflate, tls):
        library = self

        class Handler(self.lib.websocket.WebSocketHandler):
            def get_compression_options(self):
                return {} if deflate else None

            def open(self, *_):
                self.c = c = library.Connection(self)
                c.deflated = self.ws_connection._compressor is not None

                async def act():
                    await handler(c, self.request.uri)
                    self.close(1000)
                asyncio.ensure_future(act())

            def on_message(self, m):
                self.c.messages.put_nowait(m)

            def on_close(self):
                self.c.ended(self.close_code)
        app = self.lib.web.Application([("/.*", Handler)],
                                       websocket_max_message_size=BIG)
        [sock] = self.lib.netutil.bind_sockets(0, "127.0.0.1")
        server = self.lib.httpserver.HTTPServer(app, ssl_options=tls)
        server.add_sockets([sock])
        return sock.getsockname()[1]


# ---- autobahn ----------------------------------------------------------------
class Autobahn:
    can_fragment = True
    most = MIB  # it masks and checks byte by byte

    class Connection(Connection):
        def __init__(self, ws):
            super().__init__()
            self.ws = ws
            self.deflated = bool(ws.websocket_extensions_in_use)

        async def send(self, data, fragment=None):
            self.ws.sendMessage(
                data.encode() if isinstance(data, str) else data,
                isinstance(data, bytes), fragmentSize=fragment)

        async def ping(self, data):
            self.ws.sendPing(data)

        async def close(self, code=1000, reason=""):
            # sendClose refuses codes of the protocol.
            self.ws.sendCloseFrame(code, reason.encode())
            return await self.code

    def protocol(self, base, opened):
        library = self

        class Protocol(base):
            def onOpen(self):
                self.c = library.Connection(self)
                opened(self.c, getattr(self, "http_request_uri", None))

            def onMessage(self, data, binary):
                self.c.messages.put_nowait(data if binary else data.decode())

            def onPong(self, data):
                self.c.pongs.put_nowait(data)

            def onClose(self, clean, code, reason):
                if hasattr(self, "c"):
                    self.c.ended(code)
        return Protocol

    @contextlib.asynccontextmanager
    async def connect(self, url, deflate, trust):
        ws, z = self.lib.asyncio.websocket, self.lib.websocket.compress
        loop = asyncio.get_running_loop()
        opened = loop.create_future()
        factory = ws.WebSocketClientFactory(url, loop=loop)
        factory.protocol = self.protocol(ws.WebSocketClientProtocol,
                                         lambda c, _: opened.set_result(c))
        factory.setProtocolOptions(failByDrop=False)
        if deflate:
            factory.setProtocolOptions(
                perMessageCompressionOffers=[z.PerMessageDeflateOffer()],
                perMessageCompressionAccept=z.PerMessageDeflateResponseAccept)
        await loop.create_connection(factory, factory.host, factory.port,
                                     ssl=trust)
        c = await opened
        yield c
        await c.close()

    async def serve(self, handler, deflate, tls):
        ws, z = self.lib.asyncio.websocket, self.lib.websocket.compress
        loop = asyncio.get_running_loop()

        def opened(c, uri):
            async def act():
                await handler(c, uri)
                await c.close()
            asyncio.ensure_future(act())
        factory = ws.WebSocketServerFactory(loop=loop)
        factory.protocol = self.protocol(ws.WebSocketServerProtocol, opened)
        factory.setProtocolOptions(failByDrop=False)
        if deflate:
            factory.setProtocolOptions(
                perMessageCompressionAccept=lambda offers:
                z.PerMessageDeflateOfferAccept(offers[0]))
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=tls)
        return server.sockets[0].getsockname()[1]


# ---- both roles --------------------------------------------------------------
async def is_client(suite, library, deflate, cert, label):
    option = getattr(library, "deflate", "--deflate")
    server = Server(*[option] * deflate, cert=cert)

    async def one(fn):
        async with library.connect(server.url, deflate, server.trust) as c:
            expect("compression", deflate, c.deflated)
            await fn(c)
    for name, fn in cases(library, not label):
        await suite.acase("client, %s%s" % (label, name), one(fn))
    expect("exit status", 0, server.stop()[0])


async def is_server(suite, library, deflate, cert, label):
    todo = list(cases(library, not label))
    seen = []

    async def handler(c, uri):
        path, _, query = uri.partition("?")
        seen.append(path)
        if path == "/getCaseCount":
            await c.send(str(len(todo)))
        elif path == "/runCase":
            number = int(query.split("&")[0].split("=")[1])
            name, fn = todo[number - 1]
            if deflate:
                expect("compression", True, c.deflated)
            await suite.acase("server, %s%s" % (label, name), fn(c))
    tls = None
    if cert is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(cert + ".crt", cert + ".key")
    port = await library.serve(handler, deflate, tls)

    async def run():
        client = await asyncio.create_subprocess_exec(
            CLIENT, "%s://127.0.0.1:%d" % ("wss" if cert else "ws", port),
            "sonicio/1 a client",
            env={**os.environ, "SSL_CERT_FILE": "%s.crt" % cert},
            stdout=asyncio.subprocess.DEVNULL)
        expect("exit status", 0, await client.wait())
        expect("requests", ["/getCaseCount"] + ["/runCase"] * len(todo) +
               ["/updateReports"], seen)
    await suite.acase("server, %sall of it" % label, run(), limit=300)


async def main(suite, library):
    certs = [None] + ([make_cert()] if has("--tls-cert") else [])
    deflates = [False] + ([True] if has("--deflate") else [])
    for cert in certs:
        for deflate in deflates:
            label = "TLS, " * (cert is not None) + "deflate, " * deflate
            await is_client(suite, library, deflate, cert, label)
            await is_server(suite, library, deflate, cert, label)


def load(name):
    """The library; not all of them load their own parts."""
    library = {"aiohttp": Aiohttp, "tornado": Tornado,
               "autobahn": Autobahn}[name]
    parts = {"aiohttp": ("web",), "tornado": (
        "httpclient", "httpserver", "netutil", "web", "websocket"),
        "autobahn": ("asyncio.websocket", "websocket.compress")}[name]
    for part in parts:
        __import__("%s.%s" % (name, part))
    library.lib = sys.modules[name]
    return library()


asked = load(sys.argv[1])
counted = Suite(sys.argv[1])
asyncio.run(main(counted, asked))
counted.end()
