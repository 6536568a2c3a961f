"""Plain sockets treat sonicio echo badly.

All the while a healthy connection must keep getting its echoes.  With
INTEROP_PINGS=1000000 in the environment there are so many pings.
"""
import contextlib
import os
import random
import resource
import select
import socket
import struct
import time

from common import MIB, Server, Suite, expect
from raw import BINARY, CLOSE, PING, PONG, REQUEST, TEXT, Client, Healthy, frame

PINGS = max(20000, int(os.environ.get("INTEROP_PINGS", "100000")))
IDLE = 10000
SLOW = 200
HANDSHAKE_TIMEOUT = 10  # seconds, the library's default
SPARE = 200  # descriptors that are not for idle connections

suite = Suite("abuse")


# ---- many, and much --------------------------------------------------------
def raise_limit():
    """As many descriptors as we may have; the server does so by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 2 * IDLE
    if soft < want and hard != resource.RLIM_INFINITY and hard < want:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, want))
            return want
        want = hard
    if soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
    return max(soft, want)


def idle(server, healthy):
    number = min(IDLE, raise_limit() - SPARE)
    before = server.rss()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for i in range(number)]
        healthy.beat()
        each = (server.rss() - before) / number
        print("%d idle connections, %d bytes of memory each" % (number, each))
        for i, client in enumerate(clients):
            client.echo(b"%d" % i)
        print("after a message each: %d bytes each" %
              ((server.rss() - before) / number))
        expect("memory of an idle connection below 16 KiB", True,
               each < 16384)
        if number < IDLE:
            print("no more than %d: the limit of descriptors" % number)


def pings(server, healthy):
    batch = 1000
    with Client(server) as client:
        sent = b"".join(frame(PING, b"%d" % i) for i in range(batch))
        back = b"".join(frame(PONG, b"%d" % i, mask=b"") for i in range(batch))
        before = None
        for done in range(0, PINGS, batch):
            client.send(sent)
            if client.take(len(back)) != back:
                raise AssertionError("pongs other than the pings")
            if done == 10 * batch:
                before = server.rss()
        growth = server.rss() - before
        healthy.beat()
        print("%d pings: memory grew by %d bytes" % (PINGS, growth))
        expect("memory is flat", True, growth < MIB // 4)
        client.echo(b"still there")


def never_reads(server, healthy):
    """Send until the server takes no more, then read it all."""
    message = frame(BINARY, bytes(65536))
    before = server.rss()
    most = 512 * MIB
    with Client(server) as client:
        client.sock.setblocking(False)
        sent = 0
        while select.select([], [client.sock], [], 1)[1]:
            at = sent % len(message)
            sent += client.sock.send(message[at:])
            if sent > most:
                raise AssertionError("it takes without end")
        growth = server.rss() - before
        for _ in range(100):
            healthy.beat()
        print("a peer that does not read: %d bytes taken, memory grew by %d" %
              (sent, growth))
        expect("memory is bounded", True, growth < 32 * MIB)
        # What it took whole comes back whole, and the connection is alive.
        client.sock.settimeout(20)
        whole = sent // len(message)
        for _ in range(whole):
            expect("echo", (BINARY, 65536),
                   (lambda op, data: (op, len(data)))(*client.frame()))
        client.send(message[sent % len(message):])
        expect("the last", 65536, len(client.frame()[1]))
        client.echo(b"still there")


# ---- slow ------------------------------------------------------------------
def one_byte_at_a_time(server, healthy):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server, upgrade=False))
                   for i in range(SLOW)]
        for i in range(len(REQUEST)):
            for client in clients:
                client.send(REQUEST[i:i + 1])
            if i % 10 == 0:
                healthy.beat()
        for client in clients:
            client.check_upgraded()
        message = frame(TEXT, b"slowly")
        for i in range(len(message)):
            for client in clients:
                client.send(message[i:i + 1])
        for client in clients:
            expect("echo", (TEXT, b"slowly"), client.frame())


def never_finished(server, healthy):
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server, upgrade=False))
                   for i in range(SLOW)]
        for i, client in enumerate(clients):
            client.send(REQUEST[:i % len(REQUEST)])
        healthy.beat()
        for client in clients:
            head = client.head()
            if not head.startswith(b"HTTP/1.1 408 "):
                raise AssertionError("the answer was %r" % head)
            client.gone()
        took = time.monotonic() - start
        print("%d handshakes that never end: 408 after %.1f s" % (SLOW, took))
        expect("in time", True,
               HANDSHAKE_TIMEOUT - 1 < took < HANDSHAKE_TIMEOUT + 5)
        healthy.beat()


# ---- garbage ---------------------------------------------------------------
def refused(server, healthy, status, *parts):
    with Client(server, upgrade=False) as client:
        for part in parts:
            client.send(part)
            healthy.beat()
        head = client.head()
        if not head.startswith(b"HTTP/1.1 %d " % status):
            raise AssertionError("the answer was %r" % head[:80])
        client.gone()
    healthy.beat()


def random_before_request(server, healthy):
    for seed in range(200):
        rng = random.Random(seed)
        with Client(server, upgrade=False) as client:
            client.send(rng.randbytes(rng.randrange(1, 2000)))
            client.sock.shutdown(socket.SHUT_WR)
            client.gone()
    healthy.beat()


def random_in_head(server, healthy):
    for seed in range(200):
        rng = random.Random(seed)
        cut = rng.randrange(len(REQUEST))
        with Client(server, upgrade=False) as client:
            client.send(REQUEST[:cut] + rng.randbytes(rng.randrange(1, 999)))
            client.sock.shutdown(socket.SHUT_WR)
            client.gone()
    healthy.beat()


def random_after_upgrade(server, healthy):
    for seed in range(200):
        rng = random.Random(seed)
        with Client(server) as client:
            client.send(rng.randbytes(rng.randrange(1, 5000)))
            client.sock.shutdown(socket.SHUT_WR)
            client.gone()
    healthy.beat()


def random_frames(server, healthy):
    """Frames in good form, in an order and with flags that are not."""
    for seed in range(200):
        rng = random.Random(seed)
        with Client(server) as client:
            for _ in range(20):
                data = rng.randbytes(rng.choice((0, 1, 125, 126, 300)))
                with contextlib.suppress(ConnectionError):
                    client.send(frame(rng.randrange(16), data,
                                      rng.random() < 0.7,
                                      rsv=rng.choice((0, 0, 0, 1))))
            with contextlib.suppress(OSError):
                client.sock.shutdown(socket.SHUT_WR)
            client.gone()
    healthy.beat()


def violation(server, healthy, code, *parts):
    with Client(server) as client:
        for part in parts:
            client.send(part)
            healthy.beat()
        expect("code", code, client.closed())
    healthy.beat()


def cut_in_a_frame(server, healthy):
    """Gone in the middle of head, mask and payload; also by a reset."""
    message = frame(BINARY, bytes(70000))
    for cut in (1, 2, 5, 9, 10, 12, 14, 15, 1000, len(message) - 1):
        for reset in (False, True):
            with Client(server) as client:
                client.send(message[:cut])
                if reset:
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           struct.pack("ii", 1, 0))
        healthy.beat()


def after_close(server, healthy):
    goodbye = frame(CLOSE, struct.pack("!H", 1000))
    for seed in range(100):
        rng = random.Random(seed)
        with Client(server) as client:
            client.send(goodbye + rng.randbytes(rng.randrange(1, 99999)))
            expect("close", (CLOSE, b"\x03\xe8"), client.frame())
            client.gone()
    with Client(server) as client:  # not in one piece
        client.send(goodbye)
        expect("close", (CLOSE, b"\x03\xe8"), client.frame())
        with contextlib.suppress(ConnectionError):
            client.send(os.urandom(100000))
        client.gone()
    healthy.beat()


GARBAGE = (
    ("a request of another protocol", refused, 400, b"SSH-2.0-Open\r\n\r\n"),
    ("zeros for a request", refused, 400, bytes(100)),
    ("a version of HTTP that is none", refused, 400,
     REQUEST.replace(b"HTTP/1.1", b"HTTP/x.1")),
    ("garbage in the head", refused, 400, REQUEST[:60], b"\x00\xff\x01\r\n"),
    ("a head without end", refused, 431, REQUEST[:-2],
     b"X-Long: " + b"x" * 20000),
    ("random bytes before the request", random_before_request),
    ("random bytes in the head", random_in_head),
    ("random bytes after the upgrade", random_after_upgrade),
    ("random frames", random_frames),
    ("a frame without mask", violation, 1002, frame(TEXT, b"a", mask=b"")),
    ("a reserved bit", violation, 1002, frame(TEXT, b"a", rsv=4)),
    ("a reserved opcode", violation, 1002, frame(3, b"a")),
    ("a long ping", violation, 1002, frame(PING, bytes(126))),
    ("a ping in parts", violation, 1002, frame(PING, b"a", fin=False)),
    ("a continuation of nothing", violation, 1002, frame(0, b"a")),
    ("a message in a message", violation, 1002, frame(TEXT, b"a", fin=False),
     frame(TEXT, b"b")),
    ("a length that is not the shortest", violation, 1002,
     b"\x82\xfe\x00\x05"),
    ("a length of 64 bits", violation, 1002, b"\x82\xff" + b"\xff" * 12),
    ("a message of 2^62 bytes", violation, 1009,
     b"\x82\xff\x40" + bytes(7) + b"mask"),
    ("a close of one byte", violation, 1002, frame(CLOSE, b"a")),
    ("a close with code 1005", violation, 1002, frame(CLOSE, b"\x03\xed")),
    ("garbage in the middle of a frame", violation, 1007,
     frame(TEXT, b"x" * 100)[:50], os.urandom(20) + b"\xff" * 100),
    ("a peer gone in the middle of a frame", cut_in_a_frame),
    ("garbage after the close", after_close),
)


# ---- the end ---------------------------------------------------------------
def no_leak(server, healthy, before):
    healthy.until("descriptors: %d before, %d now" %
                  (before, server.descriptors()),
                  lambda: server.descriptors() <= before)


def drain(server, healthy):
    """Some answer the close, one never does, one is in its handshake."""
    last = healthy.end()
    clients = [last] + [Client(server) for i in range(100)]
    mute = Client(server)
    half = Client(server, upgrade=False)
    half.send(REQUEST[:50])
    clients[1].echo(b"one more")
    start = time.monotonic()
    server.terminate()
    for client in clients:
        expect("code", 1001, client.closed())
    expect("handshake", b"HTTP/1.1 503 ", half.head()[:13])
    status, out = server.ended()
    print("drained in %.1f s; it said: %s" % (time.monotonic() - start,
                                              out.splitlines()[-1]))
    expect("exit status", 0, status)
    if "drained: 101 closed cleanly, " not in out:
        raise AssertionError("it printed %r" % out)
    mute.gone()


def main():
    server = Server("--threads", "1")
    healthy = Healthy(server)
    healthy.beat()
    before = server.descriptors()
    for name, fn in (("idle connections", idle), ("pings", pings),
                     ("a peer that never reads", never_reads),
                     ("one byte at a time", one_byte_at_a_time),
                     ("handshakes never finished", never_finished)):
        suite.case(name, fn, server, healthy,
                   limit=600 if fn is pings else 120)
    for name, fn, *args in GARBAGE:
        suite.case(name, fn, server, healthy, *args)
    suite.case("no descriptor leaked", no_leak, server, healthy, before)
    print("the healthy connection: %d round trips, the longest %.1f ms" %
          (healthy.trips, healthy.worst * 1e3))
    suite.case("SIGTERM drains", drain, server, healthy)


main()
suite.end()
