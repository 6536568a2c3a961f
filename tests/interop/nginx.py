"""nginx between: it ends TLS (or not) and passes WebSocket on to sonicio echo;
sonicio connect and Python's websockets talk through it."""
import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time

from websockets.legacy.client import connect

from common import MIB, TOOL, Server, Suite, expect, has, make_cert, trust

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
suite = Suite("nginx")

CONFIG = """
daemon off;
worker_processes 1;
error_log stderr error;
pid %(folder)s/pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    server {
        listen unix:%(folder)s/plain;
        listen 127.0.0.1:%(port)d ssl;
        ssl_certificate %(cert)s.crt;
        ssl_certificate_key %(cert)s.key;
        location / {
            proxy_pass http://%(to)s;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
        }
    }
}
"""


class Proxy:
    """nginx, until it is left."""

    def __init__(self, to, cert):
        self.folder = tempfile.mkdtemp()
        # nginx takes no port 0, nor says which it got.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        path = os.path.join(self.folder, "conf")
        with open(path, "w") as f:
            f.write(CONFIG % {"folder": self.folder, "port": self.port,
                              "cert": cert, "to": to})
        os.chmod(self.folder, 0o755)
        self.proc = subprocess.Popen([NGINX, "-c", path, "-p", self.folder],
                                     stderr=subprocess.PIPE)

    def __enter__(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.proc.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except ConnectionError:
                time.sleep(0.05)
        self.__exit__()
        raise AssertionError("nginx does not listen: %r" %
                             self.proc.stderr.read())

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait(20)
        shutil.rmtree(self.folder, True)


async def through(proxy, cert):
    """The client is Python's, over TLS to nginx."""
    async with connect("wss://localhost:%d/chat" % proxy.port,
                       ssl=trust(cert), max_size=None) as ws:
        for n in (0, 1, 125, 126, 65535, 65536, 4 * MIB):
            await ws.send("x" * n)
            expect("length", n, len(await ws.recv()))
        await ws.send(os.urandom(MIB))
        expect("length", MIB, len(await ws.recv()))
        for i in range(1000):
            await ws.send("message %d" % i)
        for i in range(1000):
            expect("message", "message %d" % i, await ws.recv())
    expect("code", 1000, ws.close_code)


def both_ends(url, *options):
    """Both ends are ours."""
    lines = b"".join(b"line %d of many\n" % i for i in range(2000))
    done = subprocess.run([TOOL, "connect", "-n", "2000", *options, url],
                          input=lines, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=50)
    expect("exit status", (0, ""),
           (done.returncode, done.stderr.decode() if done.returncode else ""))
    if done.stdout != lines:
        raise AssertionError("not what was sent")


def main():
    cert = make_cert()
    server = Server(*(["--deflate"] if has("--deflate") else []))
    with Proxy(server.address, cert) as proxy:
        suite.case("websockets, wss", lambda: asyncio.run(through(proxy, cert)))
        suite.case("sonicio connect, ws over a unix socket", both_ends,
                   "ws+unix:%s/plain:/chat" % proxy.folder)
        if has("--deflate"):
            suite.case("the same, compressed", both_ends,
                       "ws+unix:%s/plain:/chat" % proxy.folder, "--deflate")
        if has("--tls-cert"):
            suite.case("sonicio connect, wss", both_ends,
                       "wss://localhost:%d/chat" % proxy.port, "--cacert",
                       cert + ".crt", "--deflate")
    expect("exit status", 0, server.stop()[0])


main()
suite.end()
