"""Too much of everything, over plain TCP, TLS, and with compression.

The server's memory stays bounded, the right code or status comes back, and a
healthy connection on the same thread gets its echoes all the while.
With INTEROP_FRAGMENTS=10000000 in the environment there are so many fragments.
"""
import contextlib
import os
import socket
import time
import zlib

from common import MIB, Server, Suite, expect, has, make_cert
from raw import (BINARY, PING, PONG, REQUEST, TEXT, Client, Healthy,
                 frame)

FRAGMENTS = max(100000, int(os.environ.get("INTEROP_FRAGMENTS", "1000000")))
LIMIT = 16 * MIB  # of a message, the program's default
# What the pool of buffers may keep: one of each size, which is mapped twice and
# counted so.
POOL = 4 * LIMIT
BATCH = 10000
OFFER = b"permessage-deflate; client_max_window_bits"

suite = Suite("excess")


def squash(data):
    """A message as RFC 7692 wants it."""
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


BOMB = squash(bytes(100 * 1000 * 1000))


class Flat:
    """The server's memory grows by no more than that, meanwhile and after."""

    def __init__(self, server, healthy, meanwhile, after=MIB):
        self.server, self.healthy = server, healthy
        self.meanwhile, self.after = meanwhile, after

    def __enter__(self):
        self.before = self.most = self.server.rss()
        return self

    def look(self):
        self.most = max(self.most, self.server.rss())

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        self.look()
        self.healthy.until("memory is not given back",
                           lambda: self.grown() <= self.after)
        print("memory grew by %d bytes, and %d are left" %
              (self.most - self.before, self.grown()))
        expect("memory meanwhile", True,
               self.most - self.before <= self.meanwhile)

    def grown(self):
        return self.server.rss() - self.before


def fragments(server, healthy, offer, size):
    """So many of them, and then the last: an echo, for it is small enough."""
    data = b"x" * size
    first, more = frame(BINARY, data, False), frame(0, data, False)
    with Flat(server, healthy, POOL, POOL) as flat:
        with Client(server, offer=offer, limit=60) as client:
            client.send(first + more * (BATCH - 1))
            for _ in range(FRAGMENTS // BATCH - 1):
                client.send(more * BATCH)
                flat.look()
            client.send(frame(0, data))
            opcode, back = client.frame()
            expect("opcode", BINARY, opcode)
            if offer is None:
                expect("bytes", (FRAGMENTS + 1) * size, len(back))


def too_many_fragments(server, healthy, offer):
    """The sum of them is over the limit."""
    with Flat(server, healthy, POOL, POOL):
        with Client(server, offer=offer) as client:
            part = frame(0, bytes(MIB), False)
            client.send(frame(BINARY, bytes(MIB), False))
            with contextlib.suppress(ConnectionError):
                for _ in range(20):
                    client.send(part)
            expect("code", 1009, client.closed())


def pongs(server, healthy, offer):
    """Of which nobody asked for any."""
    flood = b"".join(frame(PONG, b"%d" % i) for i in range(BATCH))
    with Flat(server, healthy, MIB) as flat:
        with Client(server, offer=offer) as client:
            for _ in range(FRAGMENTS // BATCH):
                client.send(flood)
                flat.look()
            client.send(frame(PING, b"alive"))
            expect("pong", (PONG, b"alive"), client.frame())


def headers(server, healthy):
    """Ten thousand short ones: refused, and soon."""
    many = REQUEST[:-2] + b"X: y\r\n" * 10000 + b"\r\n"
    spaces = (REQUEST[:-2] + b"Sec-WebSocket-Extensions: a" +
              b" " * 12000 + b";" + b" " * 3000 + b"b\r\n\r\n")
    commas = (REQUEST[:-2] + b"Sec-WebSocket-Protocol: " + b"a," * 7000 +
              b"b\r\n\r\n")
    start = time.monotonic()
    with Flat(server, healthy, MIB):
        for _ in range(50):
            with Client(server, upgrade=False) as client:
                with contextlib.suppress(ConnectionError):
                    client.send(many)
                expect("status", b"HTTP/1.1 431 ", client.head()[:13])
                client.gone()
            for request in (spaces, commas):
                with Client(server, upgrade=False) as client:
                    client.send(request)
                    expect("version", b"HTTP/1.1 ", client.head()[:9])
    print("150 huge heads in %.2f s" % (time.monotonic() - start))


def bombs(server, healthy, size):
    """A thousand to one, whole (size 0) or in fragments of that size."""
    if size == 0:
        message = frame(BINARY, BOMB, rsv=4)
    else:
        parts = [BOMB[i:i + size] for i in range(0, len(BOMB), size)]
        message = (frame(BINARY, parts[0], False, rsv=4) +
                   b"".join(frame(0, p, False) for p in parts[1:-1]) +
                   frame(0, parts[-1]))
    with Flat(server, healthy, POOL, POOL) as flat:
        for _ in range(20):
            with Client(server, offer=OFFER) as client:
                with contextlib.suppress(ConnectionError):
                    client.send(message)
                flat.look()
                expect("code", 1009, client.closed())


def bombs_at_once(server, healthy):
    """Begun by a hundred, and left there."""
    with Flat(server, healthy, 100 * 5 * MIB, POOL + 32 * MIB):
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                client = stack.enter_context(Client(server, offer=OFFER))
                client.send(frame(TEXT, BOMB[:2000], False, rsv=4))
            healthy.beat()


def not_tls(server, healthy):
    """Bytes that are no TLS, and handshakes that stop."""
    for data in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", REQUEST,
                 b"\x16\x03\x01\xff\xff" + os.urandom(5000),
                 os.urandom(3000)):
        with socket.create_connection(server.peer, timeout=20) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while sock.recv(4096):
                    pass
        healthy.beat()


def stalled_tls(server, healthy):
    """Two hundred that say nothing are let go of in time."""
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(server.peer))
                 for _ in range(200)]
        healthy.beat()
        for sock in socks:
            sock.settimeout(30)
            with contextlib.suppress(ConnectionError):
                while sock.recv(4096):
                    pass
    took = time.monotonic() - start
    print("let go after %.1f s" % took)
    expect("in time", True, 9 < took < 16)


def truncated_tls(server, healthy):
    """Gone without a close_notify, in the middle of all kinds of things."""
    for cut in (0, 1, 5, 100):
        with Client(server) as client:
            client.echo(b"x")
            client.sock.send(frame(BINARY, bytes(200))[:cut])
            raw = client.sock.detach()
            os.close(raw)
        healthy.beat()


def run(name, cert):
    deflate = has("--deflate")
    server = Server(*(["--deflate"] if deflate else []), cert=cert)
    healthy = Healthy(server)
    healthy.beat()
    before = server.descriptors()
    cases = [("%d fragments of a byte" % FRAGMENTS, fragments, None, 1),
             ("%d empty fragments" % FRAGMENTS, fragments, None, 0),
             ("fragments over the limit", too_many_fragments, None),
             ("%d pongs" % FRAGMENTS, pongs, None),
             ("huge heads", headers)]
    if deflate:
        cases += [("bombs", bombs, 0), ("bombs in fragments", bombs, 1000),
                  ("bombs of one-byte fragments", bombs, 1),
                  ("a hundred bombs at once", bombs_at_once),
                  ("fragments where compression is agreed on", fragments,
                   OFFER, 1), ("pongs likewise", pongs, OFFER)]
    if cert is not None:
        cases += [("what is no TLS", not_tls),
                  ("handshakes that stop", stalled_tls),
                  ("truncation", truncated_tls)]
    for case, fn, *args in cases:
        suite.case("%s: %s" % (name, case), fn, server, healthy, *args,
                   limit=300)
    suite.case("%s: no descriptor leaked" % name, healthy.until, "descriptors",
               lambda: server.descriptors() <= before)
    print("%s: the healthy connection: %d round trips, the longest %.1f ms" %
          (name, healthy.trips, healthy.worst * 1e3))
    last = healthy.end()
    server.terminate()
    suite.case("%s: the healthy one is told" % name, expect, "code", 1001,
               last.closed())
    suite.case("%s: exit status" % name, expect, "status", 0,
               server.ended()[0])


run("plain", None)
if has("--tls-cert"):
    run("TLS", make_cert())
suite.end()
