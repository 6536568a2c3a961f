"""tshark decodes what sonicio mold and sonicio soup send, captured on lo."""
import os
import subprocess
import tempfile
import time

from common import TOOL, Suite, expect

suite = Suite("tshark")
tmp = tempfile.TemporaryDirectory()
base = 20000 + os.getpid() % 20000


class Capture:
    """What goes over lo on these ports, until decode()."""

    def __init__(self, name, ports):
        self.file = os.path.join(tmp.name, name)
        self.proc = subprocess.Popen(
            ["tshark", "-q", "-i", "lo", "-w", self.file, "-f",
             " or ".join("port %d" % p for p in ports)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.proc.stderr:  # it says when it has begun
            if "Capturing on" in line:
                break
        else:
            raise AssertionError("tshark cannot capture on lo")
        time.sleep(1)  # its child opens the interface after it says so

    def decode(self, how, fields):
        time.sleep(1)  # what was captured reaches the file
        self.proc.terminate()
        self.proc.wait(20)
        args = ["tshark", "-r", self.file, "-T", "fields"]
        for d in how:
            args += ["-d", d]
        for f in fields:
            args += ["-e", f]
        done = subprocess.run(args, stdout=subprocess.PIPE, timeout=60,
                              stderr=subprocess.DEVNULL, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]


def run(*args):
    return subprocess.Popen([TOOL, *args], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True)


def mold(host):
    feeds = [x for i in (0, 1) for x in ("-f", "%s:%d" % (host, base + i))]
    server = ["-r", "%s:%d" % (host, base + 2)]
    capture = Capture("mold", range(base, base + 3))
    subscriber = run("mold", "subscribe", "-q", *feeds, *server)
    publisher = run("mold", "publish", "-n", "2000", "--loss", "30",
                    "--linger", "1", *feeds, *server)
    subscriber.communicate(timeout=30)
    expect("the subscriber's status", 0, subscriber.returncode)
    publisher.communicate(timeout=30)
    rows = capture.decode(
        ["udp.port==%d,moldudp64" % (base + i) for i in range(3)],
        ["udp.dstport", "moldudp64.count", "_ws.malformed",
         "moldudp64.msglen.invalid", "moldudp64.count.invalid",
         "moldudp64.end_of_session_extra"])
    mine = [r for r in rows if len(r) > 1 and r[1] != ""]
    expect("packets that are decoded", len(rows), len(mine))
    expect("complaints", [], [r for r in mine if any(r[2:])])
    requests = [r for r in mine if r[0] == str(base + 2)]
    if not requests or len(mine) < 100:
        raise AssertionError("%d packets, %d requests" % (len(mine),
                                                          len(requests)))


def soup(host):
    port = base + 3
    capture = Capture("soup", [port])
    server = run("soup", "serve", "-n", "200", "--rate", "2000",
                 "--drop-after", "150", "%s:%d" % (host, port))
    server.stdout.readline()
    client = run("soup", "connect", "-q", "%s:%d" % (host, port))
    client.communicate(timeout=30)
    expect("the client's status", 0, client.returncode)
    server.communicate(timeout=30)
    rows = capture.decode(["tcp.port==%d,soupbintcp" % port],
                          ["soupbintcp.packet_type", "_ws.malformed"])
    types = "".join(t.replace("'", "").replace(",", "")
                    for t, *_ in rows if t)
    expect("complaints", [], [r for r in rows if any(r[1:])])
    expect("logins, answers, messages, ends", [2, 2, 200, 1],
           [types.count(t) for t in "LASZ"])


suite.case("MoldUDP64 over IPv4", mold, "127.0.0.1")
suite.case("MoldUDP64 over IPv6", mold, "[::1]")
suite.case("SoupBinTCP over IPv4", soup, "127.0.0.1")
suite.case("SoupBinTCP over IPv6", soup, "[::1]")
suite.end()
