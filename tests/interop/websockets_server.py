"""sonicio connect, and the client of an example, talk to Python's websockets.

The server does what the path of the request says, and puts what it saw at the
end into `ends`.
"""
import asyncio
import os
import tempfile
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed
from websockets.frames import OP_CONT, OP_TEXT
from websockets.legacy.server import (WebSocketServerProtocol, serve,
                                      unix_serve)

from common import SIZES, TOOL, WS_ECHO, Suite, expect

suite = Suite("websockets server")
CLOSES = {"/normal": (1000, "that was all"), "/away": (1001, ""),
          "/internal": (1011, "oh no"), "/app": (4001, "\u00fcber"),
          "/long": (4002, "x" * 123)}


class Protocol(WebSocketServerProtocol):
    """Knows when it was pinged, and what it was asked."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pinged = 0
        self.three_pings = asyncio.Event()

    async def process_request(self, path, headers):
        if path == "/forbidden":
            return HTTPStatus.FORBIDDEN, [], b"not for you\n"
        return None

    async def pong(self, data=b""):
        self.pinged += 1
        if self.pinged == 3:
            self.three_pings.set()
        await super().pong(data)


async def act(ws, path):
    """What the path asks for, then an echo until the end."""
    if path in CLOSES:
        await ws.close(*CLOSES[path])
    elif path == "/abort":
        ws.transport.abort()
    elif path == "/fragments":
        await ws.send(["many", "", " short", " parts"])
        await ws.write_frame(False, OP_TEXT, b"\xe2\x82")
        await (await ws.ping(b"between"))
        await ws.write_frame(True, OP_CONT, b"\xac")
        await ws.send([b"x" * 70000] * 10)
    elif path == "/1000":
        for i in range(1000):
            await ws.send("message %d" % i)
    elif path == "/ping":
        for waiter in [await ws.ping(b"%d" % i * 60) for i in range(100)]:
            await waiter
        await ws.send("all pongs came")
    elif path == "/pinged":
        await ws.three_pings.wait()
        await ws.send("three pings came")
    elif path == "/utf8":
        await ws.write_frame(True, OP_TEXT, b"abc\xff")
    elif path == "/1001-bytes":
        await ws.send(bytes(1001))
    elif path == "/headers":
        await ws.send("%s %s" % (ws.request_headers.get("Origin"),
                                 ws.request_headers.get("X-Colour")))
    async for message in ws:
        ws.seen.append((type(message), len(message)))
        if ws.open:
            await ws.send(message)


class Peer:
    """The server, at a URL."""

    def __init__(self):
        self.ends = asyncio.Queue()

    async def handle(self, ws, *_):
        ws.seen = []
        try:
            await act(ws, ws.path)
        except ConnectionClosed:
            pass
        await ws.wait_closed()
        self.ends.put_nowait((ws.close_code, ws.close_reason, ws.seen))

    async def start(self, path=None, **options):
        options = {"create_protocol": Protocol, "ping_interval": None,
                   "max_size": None, **options}
        if path is not None:
            await unix_serve(self.handle, path, **options)
            return "ws+unix:" + path
        server = await serve(self.handle, "127.0.0.1", 0, **options)
        return "ws://127.0.0.1:%d" % server.sockets[0].getsockname()[1]


async def run(program, *args, lines=b""):
    """Exit status, output and errors of a program."""
    proc = await asyncio.create_subprocess_exec(
        program, *args, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        out, err = await proc.communicate(lines)
    finally:
        if proc.returncode is None:
            proc.kill()
            await proc.wait()
    return proc.returncode, out, err.decode()


async def talk(*args, lines=b"", status=0):
    got, out, err = await run(TOOL, "connect", *args, lines=lines)
    if got != status:
        raise AssertionError("exit status %d: %.500s" % (got, err))
    return out, err


def says(err, words):
    if words not in err:
        raise AssertionError("no %r in %.500r" % (words, err))


async def sizes(peer, url, binary):
    messages = [(b"0123456789abcdef" * (n // 16 + 1))[:n] for n in SIZES]
    option = ["--binary"] if binary else []
    out, _ = await talk(*option, "-n", "%d" % len(messages), url,
                        lines=b"".join(m + b"\n" for m in messages))
    end = b"" if binary else b"\n"
    if out != b"".join(m + end for m in messages):
        raise AssertionError("not what was sent")
    kind = bytes if binary else str
    expect("end", (1000, "", [(kind, n) for n in SIZES]),
           await peer.ends.get())


async def fragments(peer, url):
    out, _ = await talk("-b", "-n", "3", url + "/fragments")
    want = "many short parts\n\u20ac\n".encode() + b"x" * 700000
    expect("what came", want, out)
    expect("code", 1000, (await peer.ends.get())[0])


async def pipelined(peer, url):
    want = b"".join(b"message %d\n" % i for i in range(1000))
    out, _ = await talk("-n", "1000", url + "/1000")
    expect("from the server", want, out)
    await peer.ends.get()
    out, _ = await talk("-n", "1000", url, lines=want)
    expect("and back", want, out)
    expect("messages", 1000, len((await peer.ends.get())[2]))


async def one(peer, url, want, *args):
    out, err = await talk("-n", "1", *args, url)
    expect("message", want + b"\n", out)
    expect("code", 1000, (await peer.ends.get())[0])
    return err


async def pings(peer, url):
    await one(peer, url + "/ping", b"all pongs came")
    err = await one(peer, url + "/pinged", b"three pings came", "--ping",
                    "0.01")
    says(err, "pong after ")


async def subprotocol():
    peer = Peer()
    url = await peer.start(subprotocols=["chat.v1"])
    _, err = await talk("-s", "chat.v2", "-s", "chat.v1", "-w", "0", url)
    says(err, "subprotocol chat.v1\n")
    await peer.ends.get()
    _, err = await talk("-s", "mail", "-w", "0", url)
    says(err, "connected to " + url + "\n")


async def close_by_server(peer, url, path):
    code, reason = CLOSES[path]
    _, err = await talk(url + path, status=code == 1011)
    says(err, "closed by the peer: %d " % code)
    says(err, reason)
    # RFC 6455 section 5.5.1: the code comes back; the reason need not
    expect("end", (code, "", []), await peer.ends.get())


async def close_by_client(peer, url):
    _, err = await talk("-w", "0", url, lines=b"one\ntwo\n")
    says(err, "closed by us: 1000 ")
    expect("end", (1000, "", [(str, 3), (str, 3)]), await peer.ends.get())


async def abort(peer, url):
    _, err = await talk("-w", "20", url + "/abort", status=1)
    says(err, "not closed cleanly: 1006 ")
    expect("code", 1006, (await peer.ends.get())[0])


async def refused(peer, url, path, code, *args):
    _, err = await talk(*args, url + path, status=1)
    says(err, "%d " % code)
    expect("code", code, (await peer.ends.get())[0])


async def too_big_for_server():
    peer = Peer()
    url = await peer.start(max_size=1000)
    _, err = await talk("-n", "1", url, lines=b"x" * 1001 + b"\n", status=1)
    says(err, "closed by the peer: 1009 ")
    # Having failed the connection websockets looks at no more frames.
    expect("code", 1006, (await peer.ends.get())[0])


async def forbidden(url):
    _, err = await talk(url + "/forbidden", status=1)
    says(err, "status 403")


async def unix():
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer()
        url = await peer.start(os.path.join(folder, "peer.sock"))
        line = b"over a unix socket\n"
        out, _ = await talk("-n", "1", url, lines=line)
        expect("echo", line, out)
        out, _ = await talk("-n", "1", url + ":/ping")
        expect("path", b"all pongs came\n", out)


async def example(peer, url):
    status, out, err = await run(WS_ECHO, "client", url + "/")
    expect("status, errors", (0, ""), (status, err))
    expect("output", b"got hello\nclosed: clean, code 1000, that was all\n",
           out)
    expect("end", (1000, "that was all", [(str, 5)]), await peer.ends.get())
    status, out, err = await run(WS_ECHO, "client", url + "/app")
    expect("output", "closed: clean, code 4001, \u00fcber\n", out.decode())


async def main():
    peer = Peer()
    url = await peer.start()
    await suite.acase("all sizes, text", sizes(peer, url, False))
    await suite.acase("all sizes, binary", sizes(peer, url, True))
    await suite.acase("fragments", fragments(peer, url))
    await suite.acase("1000 pipelined", pipelined(peer, url))
    await suite.acase("pings and pongs", pings(peer, url))
    await suite.acase("subprotocols", subprotocol())
    await suite.acase("fields of the request", one(
        peer, url + "/headers", b"http://here deep blue", "-o", "http://here",
        "-H", "X-Colour: deep blue"))
    for path in CLOSES:
        await suite.acase("close by the server, %d" % CLOSES[path][0],
                          close_by_server(peer, url, path))
    await suite.acase("close by the client", close_by_client(peer, url))
    await suite.acase("aborted transport", abort(peer, url))
    await suite.acase("bad UTF-8", refused(peer, url, "/utf8", 1007))
    await suite.acase("over our limit", refused(
        peer, url, "/1001-bytes", 1009, "--max-message", "1000"))
    await suite.acase("over the server's limit", too_big_for_server())
    await suite.acase("refused with 403", forbidden(url))
    await suite.acase("unix socket", unix())
    peer = Peer()
    url = await peer.start()
    await suite.acase("examples/ws_echo", example(peer, url))


asyncio.run(main())
suite.end()
