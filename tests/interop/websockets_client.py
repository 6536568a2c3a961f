"""Python's websockets talks to sonicio echo.

Compression is offered, as websockets does when it is told nothing; the server
declines.
"""
import asyncio
import os
import tempfile

from websockets.exceptions import ConnectionClosed
from websockets.frames import OP_BINARY, OP_CONT, OP_TEXT
from websockets.legacy.client import connect, unix_connect

from common import SIZES, Server, Suite, expect

suite = Suite("websockets client")


def opened(server, **options):
    return connect(server.url, max_size=None, ping_interval=None, **options)


async def answers(ws, message=b"still there?"):
    await ws.send(message)
    expect("echo", message, await ws.recv())


async def closed(ws):
    """Code and reason, when all that still comes has come."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed:
        return ws.close_code, ws.close_reason


async def sizes(server):
    async with opened(server) as ws:
        for n in SIZES:
            text = ("0123456789abcdef" * (n // 16 + 1))[:n]
            await answers(ws, text)
            await answers(ws, text.encode())
        await answers(ws, "\u00fc\u20ac\U0001f600\x00" * 10000)


async def fragments(server):
    async with opened(server) as ws:
        await ws.send(["many", "", " short", " parts"])
        expect("text", "many short parts", await ws.recv())
        part = os.urandom(70000)
        await ws.send([part] * 100)
        expect("binary", part * 100, await ws.recv())
        # a character in two fragments, and a ping between them
        await ws.write_frame(False, OP_TEXT, b"\xe2\x82")
        await (await ws.ping(b"between"))
        await ws.write_frame(True, OP_CONT, b"\xac")
        expect("cut character", "\u20ac", await ws.recv())
        await ws.write_frame(False, OP_BINARY, b"")
        await ws.write_frame(True, OP_CONT, b"")
        expect("two empty fragments", b"", await ws.recv())


async def pipelined(server):
    async with opened(server) as ws:
        for i in range(1000):
            await ws.send("message %d" % i)
        for i in range(1000):
            expect("order", "message %d" % i, await ws.recv())


async def pings(server):
    async with opened(server) as ws:
        waiters = [await ws.ping(b"%03d" % i * 41) for i in range(100)]
        for waiter in waiters:
            await waiter
        await (await ws.ping(b""))
        await ws.pong(b"nobody asked")
        await answers(ws)


async def subprotocol(server):
    offered = ["chat.v2", "chat.v1"]
    async with opened(server, subprotocols=offered) as ws:
        expect("subprotocol", None, ws.subprotocol)
        await answers(ws)


async def close(server, code, reason):
    ws = await opened(server)
    await answers(ws)
    await ws.close(code, reason)
    # RFC 6455 section 5.5.1: the code comes back; the reason need not
    expect("close", (code, ""), (ws.close_code, ws.close_reason))


async def close_with_data(server):
    """What was sent before the close is answered before the close."""
    ws = await opened(server)
    for i in range(100):
        await ws.send(bytes(1000))
    ending = asyncio.ensure_future(ws.close(4000, "done"))
    got = 0
    try:
        while True:
            await ws.recv()
            got += 1
    except ConnectionClosed:
        pass
    await ending
    expect("echoes", 100, got)
    expect("close", (4000, ""), (ws.close_code, ws.close_reason))


async def abort(server):
    async with opened(server) as other:
        for message in (None, bytes(1 << 20)):
            ws = await opened(server)
            if message is not None:
                await ws.send(message)
            ws.transport.abort()
            await ws.wait_closed()
            expect("code", 1006, ws.close_code)
            await answers(other)


async def bad_utf8(server, frames):
    ws = await opened(server)
    for fin, opcode, data in frames:
        await ws.write_frame(fin, opcode, data)
    expect("code", 1007, (await closed(ws))[0])


async def too_big():
    server = Server("--max-message", "1000")
    ws = await opened(server)
    await answers(ws, bytes(1000))
    await ws.send(bytes(1001))
    expect("code", 1009, (await closed(ws))[0])
    ws = await opened(server)
    await ws.send([bytes(500), bytes(500)])
    expect("fragments", bytes(1000), await ws.recv())
    await ws.send([bytes(500), bytes(500), b"1"])
    expect("code", 1009, (await closed(ws))[0])
    expect("exit status", 0, server.stop()[0])


async def unix():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "echo.sock")
        server = Server(listen="unix:" + path)
        async with unix_connect(path, "ws://localhost/") as ws:
            await answers(ws, "over a unix socket")
            await answers(ws, bytes(300000))
        expect("exit status", 0, server.stop()[0])


async def many(server):
    sockets = [await opened(server) for i in range(100)]
    await asyncio.gather(*(answers(ws, b"%d" % i)
                           for i, ws in enumerate(sockets)))
    await asyncio.gather(*(ws.close() for ws in sockets))


async def drain(server):
    sockets = [await opened(server) for i in range(10)]
    server.terminate()
    for ws in sockets:
        expect("code", 1001, (await closed(ws))[0])
    status, out = server.ended()
    expect("exit status", 0, status)
    if "drained: 10 closed cleanly, 0 reset\n" not in out:
        raise AssertionError("it printed %r" % out)


async def main():
    server = Server()
    await suite.acase("all sizes, text and binary", sizes(server))
    await suite.acase("fragments", fragments(server))
    await suite.acase("1000 pipelined", pipelined(server))
    await suite.acase("pings and pongs", pings(server))
    await suite.acase("subprotocols offered, none chosen", subprotocol(server))
    for code, reason in ((1000, ""), (1000, "that was all"), (1001, "leaving"),
                         (3000, "\u00fc"), (4999, "x" * 123)):
        await suite.acase("close %d %.12s" % (code, reason),
                          close(server, code, reason))
    await suite.acase("close behind data", close_with_data(server))
    await suite.acase("aborted transport", abort(server))
    for name, frames in (
            ("whole", [(True, OP_TEXT, b"abc\xff")]),
            ("cut short", [(True, OP_TEXT, b"abc\xe2\x82")]),
            ("surrogate", [(True, OP_TEXT, b"\xed\xa0\x80")]),
            ("in a continuation", [(False, OP_TEXT, b"abc"),
                                   (True, OP_CONT, b"\xc0\xaf")])):
        await suite.acase("bad UTF-8, " + name, bad_utf8(server, frames))
    await suite.acase("over the limit", too_big())
    await suite.acase("unix socket", unix())
    await suite.acase("100 at once", many(server))
    await suite.acase("SIGTERM drains", drain(server))


asyncio.run(main())
suite.end()
