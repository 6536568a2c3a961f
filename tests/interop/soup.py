"""libsoup, GNOME's HTTP library, as client and as server, plain and over TLS,
compressed where both have it.

A client talks to sonicio echo; a server to the example autobahn_client, which
asks how many cases there are and then connects for each.
"""
import os

import gi

from common import LIMIT, MIB, Server, Suite, expect, has, make_cert

gi.require_version("Soup", "3.0")
from gi.repository import Gio, GLib, Soup  # noqa: E402

CLIENT = os.environ.get("AUTOBAHN_CLIENT", "examples/autobahn_client")
SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536, MIB, 4 * MIB)
CODES = (1000, 1001, 3000, 4999)

suite = Suite("soup")


def run(loop):
    """Until it is told to quit."""
    late = []
    timer = GLib.timeout_add_seconds(LIMIT, lambda: late.append(1) or
                                     loop.quit())
    loop.run()
    if late:
        raise TimeoutError("took too long")
    GLib.source_remove(timer)


class Talk:
    """Sends messages to an echo, one by one, and closes with a code."""

    def __init__(self, conn, code, done):
        self.conn, self.code, self.done = conn, code, done
        self.error = None
        conn.set_max_incoming_payload_size(0)
        conn.connect("message", self.on_message)
        conn.connect("closed", lambda _: done(self))
        self.todo = [(kind, (b"0123456789abcdef" * (n // 16 + 1))[:n])
                     for n in SIZES for kind in (Soup.WebsocketDataType.TEXT,
                                                 Soup.WebsocketDataType.BINARY)]
        self.send()

    def send(self):
        if self.todo:
            kind, data = self.todo[0]
            self.conn.send_message(kind, GLib.Bytes.new(data))
        else:
            self.conn.close(self.code, "that was all")

    def on_message(self, _, kind, data):
        try:
            expect("echo", self.todo.pop(0), (kind, data.get_data() or b""))
        except AssertionError as why:
            self.error = why
            self.todo = []
        self.send()

    def check(self, deflate):
        if self.error is not None:
            raise self.error
        expect("messages left", [], self.todo)
        expect("close", self.code, self.conn.get_close_code())
        expect("extensions", int(deflate), len(self.conn.get_extensions()))


def client(server, code, deflate):
    session = Soup.Session()
    loop = GLib.MainLoop()
    talks = []

    def opened(session, result):
        try:
            talks.append(Talk(session.websocket_connect_finish(result), code,
                              lambda _: loop.quit()))
        except GLib.Error as why:
            talks.append(why)
            loop.quit()
    if deflate:
        session.add_feature_by_type(Soup.WebsocketExtensionManager)
    message = Soup.Message.new("GET", server.url)
    message.connect("accept-certificate", lambda *_: True)
    session.websocket_connect_async(message, None, [], 0, None, opened)
    run(loop)
    if not isinstance(talks[0], Talk):
        raise talks[0]
    talks[0].check(deflate)


def serve(cert):
    """What every case came to, and how the client ended."""
    server = Soup.Server()
    loop = GLib.MainLoop()
    talks = []

    def on_connection(_, message, path, conn, *rest):
        query = message.get_uri().get_query() or ""
        if path == "/runCase":
            code = CODES[int(query.split("&")[0].split("=")[1]) - 1]
            talks.append(Talk(conn, code, lambda _: None))
            return
        if path == "/getCaseCount":
            conn.send_text(str(len(CODES)))
        conn.close(1000, "")
        others.append(conn)
    others = []
    options = Soup.ServerListenOptions.IPV4_ONLY
    if cert is not None:
        server.set_tls_certificate(Gio.TlsCertificate.new_from_files(
            cert + ".crt", cert + ".key"))
        options |= Soup.ServerListenOptions.HTTPS
    server.add_websocket_handler(None, None, None, on_connection)
    server.listen_local(0, options)
    launcher = Gio.SubprocessLauncher.new(Gio.SubprocessFlags.STDOUT_SILENCE)
    launcher.setenv("SSL_CERT_FILE", "%s.crt" % cert, True)
    peer = launcher.spawnv([CLIENT, "%s://127.0.0.1:%d" % (
        "wss" if cert else "ws", server.get_uris()[0].get_port()), "soup"])
    peer.wait_async(None, lambda *_: loop.quit())
    run(loop)
    server.disconnect()
    return talks, peer.get_exit_status()


def whole(deflate, talks, status):
    expect("exit status", 0, status)
    expect("cases", len(CODES), len(talks))
    for talk in talks:
        talk.check(deflate)


def main():
    deflates = (False, True) if has("--deflate") else (False,)
    for cert in (None, make_cert()) if has("--tls-cert") else (None,):
        for deflate in deflates:
            server = Server(*["--deflate"] * deflate, cert=cert)
            for code in CODES:
                suite.case("client, %s%sclose %d" % (
                    "TLS, " * (cert is not None), "deflate, " * deflate, code),
                    client, server, code, deflate)
            expect("exit status", 0, server.stop()[0])
        # its server takes every offer of compression
        suite.case("server, " + "TLS, " * (cert is not None) + "all of it",
                   lambda: whole(deflates[-1], *serve(cert)))


main()
suite.end()
