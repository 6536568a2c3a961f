"""What the interop programs share: cases that are counted, and children."""
import asyncio
import atexit
import os
import re
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

TOOL = os.environ.get("SONICIO", "tools/sonicio")
WS_ECHO = os.environ.get("WS_ECHO", "examples/ws_echo")
WITNESS = os.environ.get("WITNESS", "tests/interop/witness")
LIMIT = 60  # seconds a case may take
MIB = 1 << 20
SIZES = (0, 1, 125, 126, 127, 65535, 65536, MIB, 16 * MIB)


def expect(what, want, got):
    """Fail with both values, cut to what one can read."""
    if want != got:
        raise AssertionError("%s: %.200r, not %.200r" % (what, got, want))


class Suite:
    """Runs cases one by one and counts."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = 0
        signal.signal(signal.SIGALRM, self.too_late)

    @staticmethod
    def too_late(*_):
        raise TimeoutError("took too long")

    def passes(self, case):
        self.passed += 1
        print("PASS %s: %s" % (self.name, case), flush=True)

    def fails(self, case, why):
        self.failed += 1
        print("FAIL %s: %s: %s: %s" % (self.name, case, type(why).__name__,
                                       why), flush=True)

    def case(self, case, fn, *args, limit=LIMIT):
        """A case of plain calls."""
        signal.alarm(limit)
        try:
            fn(*args)
            self.passes(case)
        except Exception as why:  # whatever it is, the others still run
            self.fails(case, why)
        finally:
            signal.alarm(0)

    async def acase(self, case, coroutine, limit=LIMIT):
        """A case that is a coroutine."""
        try:
            await asyncio.wait_for(coroutine, limit)
            self.passes(case)
        except Exception as why:
            self.fails(case, why)

    def end(self):
        print("%s: %d passed, %d failed" % (self.name, self.passed,
                                            self.failed), flush=True)
        sys.exit(self.failed > 0 or self.passed == 0)


def has(option):
    """Whether sonicio echo of this build knows an option."""
    return option in subprocess.run([TOOL, "echo", "--help"], text=True,
                                    stdout=subprocess.PIPE, check=True).stdout


def make_cert():
    """PREFIX.crt and PREFIX.key, signed by itself, in a folder of its own."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, True)
    prefix = os.path.join(folder, "cert")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
         prefix + ".key", "-out", prefix + ".crt"], check=True,
        stderr=subprocess.DEVNULL)
    return prefix


def trust(cert):
    """What trusts that certificate, and no other."""
    return ssl.create_default_context(cafile=cert + ".crt")


class Server:
    """sonicio echo, from its first line to its exit."""

    def __init__(self, *args, listen="127.0.0.1:0", cert=None):
        self.trust = None
        if cert is not None:
            args = (*args, "--tls-cert", cert + ".crt", "--tls-key",
                    cert + ".key")
            self.trust = trust(cert)
        self.proc = subprocess.Popen([TOOL, "echo", "--listen", listen, *args],
                                     stdout=subprocess.PIPE)
        atexit.register(self.kill)
        line = self.first_line(time.monotonic() + 20)
        found = re.fullmatch(r"listening on (\S+) \((\w+)( over TLS)?\)\n", line)
        if not found:
            raise AssertionError("the first line is %r" % line)
        self.address = found.group(1)
        self.url = "%s://%s/" % ("wss" if cert else "ws", self.address)

    def first_line(self, deadline):
        """Not with readline: that would read ahead of what stop() reads."""
        line = b""
        while not line.endswith(b"\n"):
            left = max(0, deadline - time.monotonic())
            if not select.select([self.proc.stdout], [], [], left)[0]:
                raise TimeoutError("no first line")
            byte = os.read(self.proc.stdout.fileno(), 1)
            if not byte:
                raise AssertionError("ended with %s" % self.proc.wait(10))
            line += byte
        return line.decode()

    @property
    def peer(self):
        host, port = self.address.rsplit(":", 1)
        return host.strip("[]"), int(port)

    def status(self, field):
        """Of /proc/PID/status, in bytes."""
        with open("/proc/%d/status" % self.proc.pid) as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no %s" % field)

    def rss(self):
        return self.status("VmRSS")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.proc.pid))

    def terminate(self):
        self.proc.send_signal(signal.SIGTERM)

    def ended(self):
        """Exit status and what it printed; it was told to end before."""
        out, _ = self.proc.communicate(timeout=20)
        return self.proc.returncode, out.decode()

    def stop(self):
        self.terminate()
        return self.ended()

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
