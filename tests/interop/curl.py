"""curl talks to sonicio echo: HTTP, and WebSocket where it knows that."""
import re
import subprocess

from common import Server, Suite, expect

suite = Suite("curl")
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade",
           "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def curl(*args):
    return subprocess.run(["curl", "-sS", "--noproxy", "*", "-i", *args],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=20)


def head(done, status):
    got = done.stdout.split(b"\r\n", 1)[0].decode()
    expect("status line", "HTTP/1.1 %d" % status, got[:12])


def plain(url):
    """Not an upgrade: an answer that curl reads to its end."""
    done = curl(url)
    expect("exit status", 0, done.returncode)
    head(done, 426)
    if not re.search(rb"(?mi)^upgrade: websocket\r$", done.stdout):
        raise AssertionError("no Upgrade in %r" % done.stdout)


def method(url):
    done = curl("-d", "body", url)
    expect("exit status", 0, done.returncode)
    if not 400 <= int(done.stdout.split()[1]) < 500:
        raise AssertionError("the answer was %r" % done.stdout)


def upgrade(url):
    """The fields by hand; curl then waits for what does not come."""
    fields = [part for field in UPGRADE for part in ("-H", field)]
    done = curl("-N", "--http1.1", "-m", "1", *fields, url)
    head(done, 101)
    if b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" not in done.stdout:
        raise AssertionError("the answer was %r" % done.stdout)


def websocket(server, url):
    """Until the server leaves."""
    proc = subprocess.Popen(["curl", "-sS", "-N", "-i", "-m", "20", url],
                            stdout=subprocess.PIPE)
    try:
        line = proc.stdout.readline()
        expect("status line", b"HTTP/1.1 101", line[:12])
        while line not in (b"\r\n", b""):
            line = proc.stdout.readline()
        server.terminate()
        proc.communicate(timeout=20)
        if proc.returncode == 28:
            raise TimeoutError("curl did not see the close")
    finally:
        if proc.poll() is None:
            proc.kill()
            proc.wait()


def main():
    server = Server()
    http = "http://%s/" % server.address
    suite.case("a request that is no upgrade", plain, http)
    suite.case("a POST", method, http)
    suite.case("an upgrade by hand", upgrade, http)
    text = subprocess.run(["curl", "-V"], stdout=subprocess.PIPE, timeout=20,
                          check=True).stdout.decode()
    if re.search(r"(?m)^Protocols:.* ws( |$)", text):
        suite.case("WebSocket", websocket, server, server.url)
        expect("exit status", 0, server.ended()[0])
    else:
        print("SKIP curl: WebSocket: %s was built without it" %
              " ".join(text.split()[:2]))
        expect("exit status", 0, server.stop()[0])


main()
suite.end()
