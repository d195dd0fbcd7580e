"""Each system call, allocation and completion on the way of a request fails in turn: a right answer, one of our own, or a
connection that is seen to be cut.

In every row: nobody waits for ever, no wrong byte, the worker lives, the next requests are served, and what the worker holds
is what it held before.
"""
import errno
import fcntl
import select
import threading

import pytest

from lib import hosts
from lib.faults import ALWAYS, Rest, faulty_meshd
from test_faults import code

PORT, ORIGIN = 8000, 9000
KIB = 1024
F_SETFL = fcntl.F_SETFL

CONFIGURATION = f"""listeners = ( {{ name = "web"; address = "0.0.0.0"; port = {PORT};
    filter_chains = ( {{ filters = ( {{ type = "http"; cluster = "origin"; delayed_close_timeout = "100ms"; timeout = "6s"; }} ); }} ); }} );
clusters = ( {{ name = "origin"; endpoints = [ "127.0.0.1:{ORIGIN}" ]; connect_timeout = "1s"; }} );
"""

RIGHT, OWN, CUT = "right", "own", "cut"     # the answer, 5xx of ours, an end too early


def body(n, seed=7):
    block = bytes((i * seed + i // 251) & 255 for i in range(65536))
    return (block * (n // len(block) + 1))[:n]


class Origin(threading.Thread):
    """Answers each request with its own body, framed as the path says."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.listener = host.listen("0.0.0.0", ORIGIN, 256)
        self.listener.settimeout(None)
        self.start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with s, s.makefile("rb") as f:
            try:
                while line := f.readline():
                    length = 0
                    while (field := f.readline()) not in (b"\r\n", b""):
                        if field.lower().startswith(b"content-length:"):
                            length = int(field.split(b":")[1])
                    data = f.read(length)
                    if len(data) < length:
                        return
                    if b"chunked" in line:
                        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                        for i in range(0, len(data), 5000):
                            s.sendall(b"%x\r\n%s\r\n" % (len(data[i:i + 5000]), data[i:i + 5000]))
                        s.sendall(b"0\r\n\r\n")
                    else:
                        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            except OSError:
                pass


def read_answer(f):
    status = f.readline()
    if not status:
        return CUT
    fields = {}
    while (line := f.readline()) != b"\r\n":
        if not line.endswith(b"\r\n"):
            return CUT
        name, value = line.split(b":", 1)
        fields[name.lower()] = value.strip()
    if b"transfer-encoding" in fields:
        data = b""
        while True:
            size = f.readline()
            if not size.endswith(b"\r\n"):
                return CUT
            chunk = f.read(int(size, 16) + 2)
            if len(chunk) < int(size, 16) + 2:
                return CUT
            if chunk == b"\r\n":
                return int(status.split()[1]), data
            data += chunk[:-2]
    data = f.read(int(fields[b"content-length"]))
    return (int(status.split()[1]), data) if len(data) == int(fields[b"content-length"]) else CUT


class Client:
    def __init__(self, host):
        self.sock = host.socket()
        self.sock.settimeout(8)
        self.sock.connect(("127.0.0.1", PORT))
        self.file = self.sock.makefile("rb")

    def ask(self, n, path="/length"):
        data = body(n)
        sender = threading.Thread(target=self.send, args=(b"PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" %
                                                          (path.encode(), n) + data,))
        sender.start()
        try:
            answer = read_answer(self.file)
        except ConnectionError:
            answer = CUT
        except TimeoutError:
            raise AssertionError("hangs") from None
        finally:
            sender.join(8)
        assert not sender.is_alive(), "hangs: the request is not taken"
        if answer == CUT:
            return CUT
        status, got = answer
        if status == 200:
            assert got == data, "wrong bytes"
            return RIGHT
        assert status >= 500, status
        return OWN

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def close(self):
        self.file.close()
        self.sock.close()


def drive(host, n, path):
    """Two requests on one connection, so that kept ones are met: how the worse of them went."""
    worst = RIGHT
    for _ in range(2):
        try:
            c = Client(host)
        except ConnectionError:
            return CUT + " before it was taken"
        for _ in range(2):
            how = c.ask(n, path)
            if how != RIGHT:
                worst = how
            if how == CUT:
                break
        c.close()
    return worst


def rows(name, values, outcomes, only=-1, first=(1, 2, 3), times=1, n=100, path="/length"):
    return [pytest.param((name, code(v), only, f, times), outcomes, n, path,
                         id="-".join(str(x) for x in (name, v, *((only,) if only != -1 else ()), f, times, n, path[1:])))
            for v in values for f in first]


ANY = (RIGHT, OWN, CUT, CUT + " before it was taken")
ROWS = [
    *rows("OP_READ", ["EINTR", "EAGAIN", "ECANCELED", "ENOBUFS"], (RIGHT,)),
    *rows("OP_READ", ["EINTR", "EAGAIN", "ENOBUFS"], (RIGHT,), n=300 * KIB, first=(1, 2, 3, 4, 5)),
    *rows("OP_READ", ["ECONNRESET", "ENOMEM", "ETIMEDOUT"], ANY, first=(1, 2, 3, 4, 5)),
    *rows("OP_READ", ["ECONNRESET"], ANY, n=300 * KIB, first=(1, 2, 3, 4, 5)),
    *rows("OP_WRITTEN", ["EINTR", "EAGAIN", 1, 0], (RIGHT,), first=(1, 2, 3, 4)),
    *rows("OP_WRITTEN", [1], (RIGHT,), times=50, first=(1,)),
    *rows("OP_WRITTEN", ["EPIPE", "ECONNRESET", "ENOMEM", "ENOBUFS"], ANY, first=(1, 2, 3, 4)),
    *rows("OP_CONNECTED", ["ECONNREFUSED", "ETIMEDOUT", "ENOMEM", "EADDRNOTAVAIL", "EINTR"], (OWN,), first=(1,)),
    *rows("socket", ["EMFILE", "ENFILE", "ENOMEM"], (OWN,), first=(1,)),
    *rows("malloc", ["ENOMEM"], ANY),
    *rows("calloc", ["ENOMEM"], ANY, first=(1, 2)),
    *rows("realloc", ["ENOMEM"], ANY, n=300 * KIB),
    *rows("aligned_alloc", ["ENOMEM"], ANY, first=(1, 2)),
    *rows("recv", ["EINTR", "EAGAIN", 1], (RIGHT,), n=300 * KIB),
    *rows("recv", ["ECONNRESET", "ENOMEM"], ANY, n=300 * KIB),
    *rows("recv", ["EAGAIN", 1], (RIGHT,), n=300 * KIB, times=20, first=(1,), path="/chunked"),
    *rows("sendmsg", ["EINTR", "EAGAIN", 1], (RIGHT,), n=300 * KIB),
    *rows("sendmsg", ["EINTR", "EAGAIN", 1], (RIGHT,), n=300 * KIB, times=20, first=(1,), path="/chunked"),
    *rows("sendmsg", ["EPIPE", "ECONNRESET", "ENOMEM"], ANY, n=300 * KIB),
    *rows("splice", ["EINTR", "EAGAIN", 1], (RIGHT,), n=1024 * KIB),
    *rows("splice", ["ENOMEM", "ECONNRESET"], ANY, n=1024 * KIB),
    *rows("pipe2", ["EMFILE", "ENOMEM"], (RIGHT,), n=1024 * KIB, times=ALWAYS, first=(1,)),
    *rows("fcntl", ["EPERM"], (RIGHT,), only=F_SETFL, n=1024 * KIB, first=(1, 2, 3, 4)),
    *rows("fcntl", ["EPERM"], (RIGHT,), only=F_SETFL, n=1024 * KIB, times=ALWAYS, first=(1, 3)),
    *rows("setsockopt", ["ENOBUFS"], (RIGHT,), times=ALWAYS, first=(1,), n=1024 * KIB),
    *rows("getsockname", ["ENOBUFS"], (RIGHT,), times=ALWAYS, first=(1,)),
    *rows("OP_READABLE", ["ENOMEM", "ECANCELED", select.POLLERR, 0], (RIGHT,), n=1024 * KIB, first=(1, 2)),
    *rows("OP_WRITABLE", ["ENOMEM", "ECANCELED", select.POLLERR, 0], (RIGHT,), n=1024 * KIB, first=(1, 2)),
    *rows("io_uring_wait", ["EINTR", "EAGAIN", "EBUSY", "ENOMEM"], (RIGHT,), first=(2,), times=5),
    *rows("shutdown", ["ENOBUFS"], (RIGHT,), first=(1,)),
]
OFTEN_MISSED = ("OP_READABLE", "OP_WRITABLE", "shutdown", "realloc", "malloc", "calloc", "splice", "fcntl", "pipe2", "setsockopt", "sendmsg", "recv",
                "getsockname")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    net = hosts.Net(tmp_path_factory.mktemp("http-faults"), "hfaults")
    try:
        host = net.host("a")
        # Small, so that writes are partial; but two of loopback's segments: with one at a time each waits for a delayed ACK.
        host.must("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 32768 131072")
        origin = Origin(host)
        m = faulty_meshd(host, CONFIGURATION).start()
        yield host, m
        m.ensure_stopped()
        origin.listener.close()
    finally:
        net.close()


def forget_kept(m):
    """A reload to another name of the same endpoint: nothing is kept of the one before."""
    for text in (CONFIGURATION.replace('"origin"', '"other"'), CONFIGURATION):
        assert m.reload(text).returncode == 0
    hosts.wait_for("nothing is kept", lambda: m.stat("cluster.origin.upstream_cx_active") == 0 and
                   m.stat("server.connections") == 0 and m.stat("cluster.other.upstream_cx_active") == 0)


@pytest.mark.parametrize("fault,outcomes,n,path", ROWS)
def test_http_fault(served, fault, outcomes, n, path):
    host, m = served
    forget_kept(m)
    rest = Rest(m)
    m.faults.on(fault)
    try:
        how = drive(host, n, path)
    finally:
        hits = m.faults.off()
    assert how in outcomes, "\n".join([how, *m.log.read_text().splitlines()[-4:]])
    assert hits[0] > 0 or fault[0] in OFTEN_MISSED, "the fault was not met"
    assert drive(host, min(n, 1000), path) == RIGHT, "the requests after"
    forget_kept(m)
    rest.is_back()
