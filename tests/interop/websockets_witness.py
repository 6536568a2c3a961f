"""Python's websockets talks to a server that tells what it saw of the end."""
import asyncio
import re

from websockets.exceptions import ConnectionClosed, InvalidStatusCode
from websockets.frames import OP_TEXT
from websockets.legacy.client import connect

from common import WITNESS, Suite, expect

suite = Suite("websockets witness")


class Witness:
    """Its URL, and the lines it prints."""

    async def start(self):
        self.proc = await asyncio.create_subprocess_exec(
            WITNESS, stdout=asyncio.subprocess.PIPE)
        line = await self.line()
        self.url = "ws://%s/chat" % re.fullmatch(
            r"listening on (\S+) \(ws\)", line).group(1)

    async def line(self):
        return (await self.proc.stdout.readline()).decode().rstrip("\n")

    def opened(self, **options):
        options = {"origin": "http://here", **options}
        return connect(self.url, ping_interval=None, **options)

    async def end(self):
        self.proc.kill()
        await self.proc.wait()


async def ended(ws):
    try:
        while True:
            await ws.recv()
    except ConnectionClosed:
        return ws.close_code


async def subprotocol(witness, offered, want):
    async with witness.opened(subprotocols=offered) as ws:
        expect("subprotocol", want, ws.subprotocol)
        await ws.send("hello")
        expect("echo", "hello", await ws.recv())
    expect("end", "peer 1000 clean 0 ", await witness.line())


async def origin(witness, name, status):
    try:
        async with witness.opened(origin=name):
            got = 101
    except InvalidStatusCode as why:
        got = why.status_code
    expect("status", status, got)
    await witness.line()


async def path(witness):
    try:
        async with connect(witness.url + "s", origin="http://here"):
            raise AssertionError("it was let in")
    except InvalidStatusCode as why:
        expect("status", 404, why.status_code)
    await witness.line()


async def close(witness, code, reason):
    ws = await witness.opened()
    await ws.close(code, reason)
    expect("code that came back", code, ws.close_code)
    expect("end", "peer %d clean 0 %s" % (code, reason), await witness.line())


async def abort(witness, unfinished):
    ws = await witness.opened()
    if unfinished:
        await ws.write_frame(False, OP_TEXT, b"the beginning")
    ws.transport.abort()
    side, code, clean, error, _ = (await witness.line()).split(" ", 4)
    expect("end", ("1006", "unclean", True), (code, clean, error != "0"))


async def wrong(witness, data, code, error):
    ws = await witness.opened()
    await ws.write_frame(True, OP_TEXT, data)
    expect("code", code, await ended(ws))
    line = await witness.line()
    if error not in line:
        raise AssertionError("no %s in %r" % (error, line))


async def main():
    witness = Witness()
    await witness.start()
    for offered, want in ((["chat.v1"], "chat.v1"), (["mail"], None),
                          (["chat.v1", "chat.v2"], "chat.v2"),
                          (["mail", "chat.v1"], "chat.v1"), (None, None)):
        await suite.acase("subprotocols %s" % offered,
                          subprotocol(witness, offered, want))
    for name, status in (("http://there", 101), ("http://else", 403),
                         (None, 403)):
        await suite.acase("origin %s" % name, origin(witness, name, status))
    await suite.acase("another path", path(witness))
    for code, reason in ((1000, ""), (1001, "leaving"), (1011, "oh no"),
                         (3000, "\u00fcber"), (4999, "x" * 123)):
        await suite.acase("close %d" % code, close(witness, code, reason))
    await suite.acase("abort", abort(witness, False))
    await suite.acase("abort in a message", abort(witness, True))
    await suite.acase("bad UTF-8", wrong(witness, b"\xff", 1007, "UTF8"))
    await suite.acase("over the limit", wrong(witness, bytes(1001), 1009,
                                              "TOOBIG"))
    await witness.end()


asyncio.run(main())
suite.end()
