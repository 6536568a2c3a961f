"""Python's websockets and sonicio, each as the server of the other, with
permessage-deflate, and over TLS where the build has it."""
import asyncio
import json
import random
import ssl

from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory)
from websockets.legacy.client import connect
from websockets.legacy.server import serve

from common import MIB, TOOL, Server, Suite, expect, has, make_cert, trust

suite = Suite("websockets squeezed")


def messages():
    rng = random.Random(1)
    yield ""
    yield "short"
    yield "the same " * 20
    yield json.dumps([{"id": i, "side": "buy"} for i in range(2000)])
    yield "\u00fc\u20ac\U0001f600" * 5000
    yield b""
    yield bytes(MIB)
    yield rng.randbytes(100000)
    yield b"abc" * 300000


FACTORIES = {
    "as it is": {},
    "no takeover": {"server_no_context_takeover": True,
                    "client_no_context_takeover": True},
    "small windows": {"server_max_window_bits": 9,
                      "client_max_window_bits": 9},
    "server's window": {"server_max_window_bits": 10},
    "client's window": {"client_max_window_bits": 12},
}


async def to_server(server, settings):
    """Client of websockets; the server is ours."""
    options = {"ssl": server.trust} if server.trust else {}
    async with connect(server.url.replace("127.0.0.1", "localhost"),
                       compression=None, max_size=None, ping_interval=None,
                       extensions=[ClientPerMessageDeflateFactory(**settings)],
                       **options) as ws:
        expect("extensions", ["permessage-deflate"],
               [e.name for e in ws.extensions])
        for _ in range(2):
            for message in messages():
                await ws.send(message)
                if await ws.recv() != message:
                    raise AssertionError("not what was sent")
        await ws.send(["in ", "many ", "fragments ", "x" * 1000] * 50)
        expect("fragments", ("in many fragments " + "x" * 1000) * 50,
               await ws.recv())


async def run(*args, lines):
    proc = await asyncio.create_subprocess_exec(
        TOOL, "connect", *args, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        out, err = await proc.communicate(lines)
    finally:
        if proc.returncode is None:
            proc.kill()
            await proc.wait()
    return proc.returncode, out, err.decode()


async def to_client(cert, settings):
    """Server of websockets; the client is ours."""
    seen = []
    context = None
    if cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert + ".crt", cert + ".key")

    async def echo(ws, *_):
        seen.extend(e.name for e in ws.extensions)
        async for message in ws:
            await ws.send(message)

    server = await serve(
        echo, "127.0.0.1", 0, ssl=context, compression=None, max_size=None,
        ping_interval=None,
        extensions=[ServerPerMessageDeflateFactory(**settings)])
    url = "%s://localhost:%d/" % ("wss" if cert else "ws",
                                  server.sockets[0].getsockname()[1])
    lines = b"".join(m.encode() + b"\n" for m in messages()
                     if isinstance(m, str)) * 2
    options = ["--cacert", cert + ".crt"] if cert else []
    status, out, err = await run("--deflate", "-n", "10", *options, url,
                                 lines=lines)
    expect("exit status and errors", (0, ""),
           (status, "" if status == 0 else err))
    if out != lines:
        raise AssertionError("not what was sent: %.100r" % out)
    expect("extensions", ["permessage-deflate"], seen)
    server.close()
    await server.wait_closed()


async def not_trusted(cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert + ".crt", cert + ".key")
    server = await serve(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    for host, *args in (("localhost",),
                        ("127.0.0.2", "--cacert", cert + ".crt")):
        status, _, err = await run(*args, "wss://%s:%d/" % (host, port),
                                   lines=b"x\n")
        expect("exit status", 1, status)
        if "certificate" not in err and host == "localhost":
            raise AssertionError("it says %r" % err)
    server.close()


async def main():
    for cert in [None] + ([make_cert()] if has("--tls-cert") else []):
        layer = "TLS" if cert else "TCP"
        server = Server("--deflate", cert=cert)
        for name, settings in FACTORIES.items():
            await suite.acase("%s, to our server, %s" % (layer, name),
                              to_server(server, settings))
        for name, settings in FACTORIES.items():
            # A client cannot be asked for a window that it did not offer.
            await suite.acase("%s, to our client, %s" % (layer, name),
                              to_client(cert, settings))
        if cert:
            await suite.acase("not trusted", not_trusted(cert))
        server.stop()


asyncio.run(main())
suite.end()
