"""A peer on a plain socket, or on TLS, that may send anything."""
import contextlib
import socket
import struct
import threading
import time

from common import expect

REQUEST = (b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, data=b"", fin=True, mask=b"\x12\x34\x56\x78", rsv=0):
    """A masked frame; mask=b"" makes one that a client must not send."""
    head = bytes([opcode | fin << 7 | rsv << 4])
    bit = 0x80 if mask else 0
    n = len(data)
    if n < 126:
        head += bytes([n | bit])
    elif n < 65536:
        head += struct.pack("!BH", 126 | bit, n)
    else:
        head += struct.pack("!BQ", 127 | bit, n)
    if mask:
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "little")
        data = (int.from_bytes(data, "little") ^ key).to_bytes(n, "little")
    return head + mask + data


class Client:
    """A connection; every call has a time limit."""

    def __init__(self, server, upgrade=True, limit=20, offer=None):
        self.sock = socket.create_connection(server.peer, timeout=limit)
        self.buffer = b""
        if server.trust is not None:
            self.sock = server.trust.wrap_socket(self.sock,
                                                 server_hostname="localhost")
        if upgrade:
            self.send(REQUEST if offer is None else REQUEST[:-2] +
                      b"Sec-WebSocket-Extensions: %s\r\n\r\n" % offer)
            self.check_upgraded(offer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def check_upgraded(self, offer=None):
        head = self.head()
        if not head.startswith(b"HTTP/1.1 101 ") or ACCEPT not in head:
            raise AssertionError("the answer was %r" % head)
        if (b"permessage-deflate" in head) != (offer is not None):
            raise AssertionError("the extension agreed on in %r" % head)

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError("the server has closed")
        self.buffer += data

    def take(self, n):
        while len(self.buffer) < n:
            self.fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        return self.take(self.buffer.index(b"\r\n\r\n") + 4)

    def frame(self):
        """Opcode and payload."""
        first, n = self.take(2)
        if n == 126:
            n, = struct.unpack("!H", self.take(2))
        elif n == 127:
            n, = struct.unpack("!Q", self.take(8))
        return first & 15, self.take(n)

    def echo(self, data):
        self.send(frame(BINARY, data))
        expect("echo", (BINARY, data), self.frame())

    def closed(self):
        """The code of the close frame that comes, and the end after it."""
        opcode, data = self.frame()
        expect("opcode", CLOSE, opcode)
        self.send(frame(CLOSE, data))
        self.gone()
        return struct.unpack("!H", data[:2])[0]

    def gone(self):
        """Read to the end, which may be a reset."""
        with contextlib.suppress(ConnectionError):
            while self.sock.recv(1 << 16):
                pass


class Healthy(threading.Thread):
    """A connection that gets its echoes; beat() fails when it does not."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client = Client(server)
        self.news = threading.Condition()
        self.trips = 0
        self.worst = 0.0
        self.why = None
        self.over = False
        self.start()

    def run(self):
        try:
            while not self.over:
                start = time.monotonic()
                self.client.echo(b"%d" % self.trips * 50)
                with self.news:
                    self.trips += 1
                    self.worst = max(self.worst, time.monotonic() - start)
                    self.news.notify_all()
        except Exception as why:  # told by beat()
            with self.news:
                self.why = why
                self.news.notify_all()

    def beat(self):
        """Two more round trips: the server went round its loop since."""
        with self.news:
            goal = self.trips + 2
            if not self.news.wait_for(
                    lambda: self.trips >= goal or self.why, 10):
                raise TimeoutError("the healthy connection gets no echo")
            if self.why:
                raise AssertionError("healthy connection: %r" % self.why)

    def until(self, what, test, limit=10):
        deadline = time.monotonic() + limit
        while not test():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            self.beat()

    def end(self):
        self.over = True
        self.join(10)
        return self.client
