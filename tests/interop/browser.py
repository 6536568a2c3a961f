"""Headless Chromium talks to sonicio echo: a page sends messages, checks what
comes back, and shows the result, which --dump-dom prints."""
import http.server
import os
import re
import shutil
import subprocess
import tempfile
import threading

from common import Server, Suite, expect, has, make_cert

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.html")
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium")

suite = Suite("browser")


class Pages(http.server.BaseHTTPRequestHandler):
    """The page, and a picture that comes when the page says that it is done:
    till then it is not loaded, and --dump-dom waits."""
    done = threading.Event()

    def reply(self, status, data=b""):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "%d" % len(data))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/wait":
            self.done.wait(100)
            self.reply(404)
        elif self.path == "/":
            with open(PAGE, "rb") as f:
                self.reply(200, f.read())
        else:
            self.reply(404)

    def do_POST(self):
        self.reply(204)
        self.done.set()

    def log_message(self, *_):
        pass


def browse(url):
    """The lines that the page shows."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    Pages.done.clear()
    with tempfile.TemporaryDirectory() as folder:
        # Its sandbox wants a user that is not root.
        dom = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--ignore-certificate-errors",
             "--user-data-dir=" + folder, "--dump-dom",
             "http://127.0.0.1:%d/#%s" % (pages.server_port, url)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            timeout=150, check=True).stdout
    pages.shutdown()
    pages.server_close()
    found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.S)
    return found.group(1).split("\n") if found else []


def visit(deflate, cert):
    server = Server(*(["--deflate"] if deflate else []), cert=cert)
    lines = browse(server.url.replace("127.0.0.1", "localhost"))
    bad = [line for line in lines if line.startswith("FAIL")]
    expect("failures", [], bad)
    expect("the last line", "END", lines[-1] if lines else "")
    expect("passes", 12, sum(line.startswith("PASS") for line in lines))
    expect("extensions", deflate, "permessage-deflate" in lines[0])
    status, out = server.stop()
    expect("exit status", 0, status)
    print("browser: %s; %s" % (lines[0], out.splitlines()[0]))


suite.case("ws", visit, False, None, limit=180)
if has("--deflate"):
    suite.case("ws, compressed", visit, True, None, limit=180)
if has("--tls-cert"):
    suite.case("wss, compressed", visit, True, make_cert(), limit=180)
suite.end()
