"""Each system call, allocation and completion on a TCP connection's way fails in turn: a right answer, or a flagged error.

A row is a fault and what has to become of one connection that meets it.  In every row: nobody waits for ever, no wrong
byte, the worker lives, the next connection is served, and what the worker holds is what it held before.
"""
import contextlib
import errno
import fcntl
import os
import select
import signal

import pytest

from lib import hosts
from lib.faults import ALWAYS, Rest, dial, drive, empty, faulty_meshd, pattern
from test_routes import at_rest

KIB = 1024
BULK = 1024 * KIB
F_SETPIPE_SZ = 1031
TCP_CONGESTION = 13

IN, OUT = 0, 1          # of splice(2): from a socket, to one
RIGHT = "right"


def code(value):
    return -getattr(errno, value) if isinstance(value, str) else value


class Row:
    """A fault (first: from this occurrence on; times: so many) and its outcome: RIGHT, or the flag of its log line, or
    "reset" with the counter that says why.  pokes: what makes the worker do it, before that connection."""

    def __init__(self, name, value, outcome, only=-1, first=1, times=1, bulk=0, port=8000, pokes=0, counter=None, beside=None):
        self.faults = [(name, code(value), only, first, times)] + ([(beside[0], code(beside[1]), -1, 1, 1)] if beside else [])
        self.outcome, self.bulk, self.port, self.pokes, self.counter = outcome, bulk, port, pokes, counter
        self.id = "-".join(str(x) for x in (name, value, *((only,) if only != -1 else ()), *((first,) if first > 1 else ()),
                                           "always" if times == ALWAYS else times, *((port,) if port != 8000 else ())))


def rows(name, values, outcome, **more):
    return [Row(name, value, outcome, **more) for value in values]


# The first connection finds an accept that was armed before; the occurrence after it has somebody waiting.
ACCEPT = [
    *rows("OP_ACCEPT", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ECONNABORTED", "EINTR", "EPROTO"], RIGHT, pokes=1),
    *rows("OP_ACCEPT", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"], "reset", times=2, pokes=1, counter="server.shed_descriptors"),
    *rows("OP_ACCEPT", ["ECONNABORTED", "EINTR", "EPROTO", "ENETDOWN", "EPERM"], RIGHT, times=2, pokes=1),
    *rows("OP_LISTEN_READY", ["ENOMEM", "ECANCELED", select.POLLERR, 0], RIGHT, pokes=1, beside=("OP_ACCEPT", "EMFILE")),
    *rows("aligned_alloc", ["ENOMEM"], "reset", counter="server.shed_memory"),
    *rows("calloc", ["ENOMEM"], "reset", counter="server.shed_memory"),
    *rows("getsockname", ["ENOBUFS"], RIGHT),
    *rows("getsockname", ["ENOBUFS"], RIGHT, times=ALWAYS),
    *rows("OP_CONTROL", ["ENOMEM", "ECANCELED", select.POLLERR, 0], RIGHT, times=3, pokes="list"),
]

DIAL = [
    *rows("socket", ["EMFILE", "ENFILE"], "OM", counter="server.shed_descriptors"),
    *rows("socket", ["ENOMEM", "ENOBUFS", "EACCES"], "OM", counter="server.shed_memory"),
    *rows("OP_CONNECT", ["ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ENOMEM", "ENOBUFS", "EINTR", "ECANCELED",
                         "ECONNRESET"], "UF,URX", counter="cluster.b.upstream_cx_connect_fail"),
    *rows("OP_CONNECT", ["EADDRNOTAVAIL"], "UF,URX", counter="cluster.b.upstream_cx_no_local_port"),
    *rows("OP_CONNECT", ["ECONNREFUSED", "EADDRNOTAVAIL", "ETIMEDOUT"], RIGHT, port=8001),
    *rows("OP_CONNECT", ["ECONNREFUSED"], "UF,URX", port=8001, times=2, counter="cluster.b.upstream_cx_connect_attempts_exceeded"),
    *rows("bind", ["EADDRINUSE", "EADDRNOTAVAIL"], "UF,URX", port=8002, counter="cluster.in.upstream_cx_no_local_port"),
    *rows("bind", ["ENOMEM"], "OM", port=8002, counter="server.shed_memory"),
    *rows("getsockopt", ["ENOENT"], RIGHT, port=8003),
    *rows("setsockopt", ["ENOBUFS", "EPERM"], RIGHT, times=ALWAYS, bulk=BULK),
    *rows("setsockopt", ["ENOBUFS"], RIGHT, times=ALWAYS, port=8002),
    *rows("send", ["ENOBUFS", "ENOMEM", "ECONNREFUSED"], RIGHT, port=8003),     # whose is it?
    *rows("recv", ["ENOBUFS", "EAGAIN", "ENOMEM"], RIGHT, port=8003),
    *rows("setsockopt", ["ENOENT"], RIGHT, only=TCP_CONGESTION, bulk=BULK),
]


def both(name, values, outcomes, **more):
    return [row for d in (0, 1) for row in rows(f"{name}{d}", values, outcomes[d], **more)]


QUIET = [
    *both("OP_DATA", ["EINTR", "EAGAIN", "ECANCELED", "ENOBUFS"], (RIGHT, RIGHT)),
    *both("OP_DATA", ["EINTR", "EAGAIN", "ECANCELED", "ENOBUFS"], (RIGHT, RIGHT), first=2, port=8004),
    *both("OP_DATA", ["EINTR", "ENOBUFS"], (RIGHT, RIGHT), first=2, times=5, port=8004, bulk=64 * KIB),
    *both("OP_DATA", ["ENOBUFS"], (RIGHT, RIGHT), times=5, bulk=BULK, counter="server.buffers_out"),
    *both("OP_DATA", ["ECONNRESET", "ENOMEM", "ETIMEDOUT"], ("DR", "UR")),
    *both("OP_SENT", ["EINTR", "EAGAIN", 1, 0], (RIGHT, RIGHT)),
    *both("OP_SENT", [1], (RIGHT, RIGHT), times=ALWAYS, bulk=BULK),
    *both("OP_SENT", ["ECONNRESET", "EPIPE", "ENOMEM", "ENOBUFS"], ("UR", "DR")),
]

BUSY = [
    *rows("recv", ["EINTR", "EAGAIN", 1], RIGHT, bulk=BULK),
    *rows("recv", ["EINTR", "EAGAIN", 1], RIGHT, times=20, bulk=BULK),
    *rows("recv", ["ECONNRESET", "ENOMEM", "ETIMEDOUT"], "DR|UR", bulk=BULK),
    *rows("send", ["EINTR", "EAGAIN", 1], RIGHT, bulk=BULK),
    *rows("send", ["EINTR", "EAGAIN", 1], RIGHT, times=20, bulk=BULK),
    *rows("send", ["EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM"], "DR|UR", bulk=BULK),
    *[row for n in range(1, 5) for row in rows("realloc", ["ENOMEM"], "OM", first=n, bulk=BULK, counter="server.shed_memory")],
    *both("OP_READY", ["ENOMEM", "EINTR", "ECANCELED", select.POLLERR, select.POLLHUP, select.POLLNVAL, select.POLLIN, 0],
          (RIGHT, RIGHT), bulk=BULK),
    *both("OP_ROOM", ["ENOMEM", "EINTR", "ECANCELED", select.POLLERR, select.POLLHUP, select.POLLNVAL, select.POLLOUT, 0],
          (RIGHT, RIGHT), bulk=BULK),
    *both("OP_HUP", ["ENOMEM", "ECANCELED", select.POLLNVAL, 0], (RIGHT, RIGHT), bulk=BULK),
    *both("OP_HUP", [select.POLLERR], ("DR", "UR"), bulk=BULK),
]

SPLICED = [
    *[row for d in (IN, OUT) for row in (
        *rows("splice", ["EINTR", "EAGAIN", 1], RIGHT, only=d, bulk=2 * BULK),
        *rows("splice", ["EINTR", "EAGAIN", 1], RIGHT, only=d, first=2, times=20, bulk=2 * BULK),
        *rows("splice", ["ENOMEM", "ECONNRESET", "EPIPE"], "DR|UR", only=d, bulk=2 * BULK))],
    *[row for n in (1, 2, 3) for row in rows("fcntl", ["EPERM"], RIGHT, only=fcntl.F_SETFL, first=n, bulk=2 * BULK)],
    *rows("fcntl", ["EPERM"], RIGHT, only=fcntl.F_SETFL, times=ALWAYS, bulk=2 * BULK),
    *rows("fcntl", ["EBADF"], RIGHT, only=fcntl.F_GETFL, times=ALWAYS, bulk=2 * BULK),
]

RING = rows("io_uring_wait", ["EINTR", "EAGAIN", "EBUSY", "ENOMEM"], RIGHT, first=2, times=5, bulk=BULK)

ENDING = [
    *rows("write", ["EINTR", 10], RIGHT),
    *rows("write", ["EAGAIN"], RIGHT, counter="server.access_log_dropped"),
    *rows("write", [10], RIGHT, beside=("write", "EAGAIN")),
    *rows("shutdown", ["ENOBUFS"], "UR"),
]


def listener(port, cluster, more="", of_proxy=""):
    return (f'{{ name = "at-{port}"; address = "0.0.0.0"; port = {port}; {more} filter_chains = ( '
            f'{{ filters = ( {{ type = "tcp_proxy"; cluster = "{cluster}"; {of_proxy} }} ); }} ); }}')


LISTENERS = [
    listener(8000, "b"), listener(8001, "b", of_proxy="max_connect_attempts = 2;"),
    listener(8002, "in", 'use_original_dst = true; traffic_direction = "inbound";'),
    listener(8003, "b", 'use_original_dst = true; traffic_direction = "outbound";'),
    listener(8004, "small", "per_connection_buffer_limit_bytes = 65536;")]
CLUSTERS = """clusters = ( { name = "b"; endpoints = [ "127.0.0.1:9000" ]; },
             { name = "small"; endpoints = [ "127.0.0.1:9000" ]; per_connection_buffer_limit_bytes = 65536; },
             { name = "in"; traffic_direction = "inbound"; endpoints = [ "OUR_ADDRESS:9000" ]; } );
"""


def configuration(host, *more):
    return f"listeners = ( {', '.join([*LISTENERS, *more])} );\n" + CLUSTERS.replace("OUR_ADDRESS", host.v4)


# The workers do as with rules, and nothing else does.
INTERCEPT = 'intercept = { mode = "%s"; apply = "manual"; };\n'


class Table:
    """One meshd for all rows, in one host with its client and its endpoint: all is loopback."""

    def __init__(self, host, ring=0, mode="redirect"):
        self.host = host
        host.must("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 32768 131072")     # slow readers are felt
        self.listener = host.listen("0.0.0.0", 9000, 1024)
        self.m = faulty_meshd(host, configuration(host), ring=ring, intercept=INTERCEPT % mode).start()

    def drive(self, row, part=1):
        return drive(self.host, "127.0.0.1", row.port, self.listener, row.bulk // part)

    def meet(self, row):
        """The row's connection, while its fault is on; how it went, and how often the fault was met."""
        self.m.faults.on(*row.faults)
        try:
            if row.pokes == "list":
                self.m.ask("connections")
            elif row.pokes:
                assert self.drive(row) == RIGHT, "the connection before"
            how = self.drive(row)
        finally:
            hits = self.m.faults.off()
        return how, hits

    def check(self, row):
        rest = Rest(self.m)
        before, lines = self.m.stats(), len(self.m.log_lines())
        how, hits = self.meet(row)
        assert min(hits) > 0, "the fault was not met"
        rest.is_back()
        empty(self.listener)
        after = self.m.stats()
        if row.counter is not None:
            assert after.get(row.counter, 0) > before.get(row.counter, 0), f"{how}, and {row.counter} did not move"
        if row.outcome in (RIGHT, "reset"):
            assert how == row.outcome
        else:
            assert how == "reset", f"flagged errors end with a reset, this one: {how}"
            self.flagged(lines, row.outcome.split("|"))
        assert self.drive(row, part=8) == RIGHT, "the connection after"
        rest.is_back()

    def flagged(self, lines, flags):
        hosts.wait_for(f"a log line with one of {flags}, in {self.m.log_lines()[lines:]}",
                       lambda: any(l["flags"] in flags for l in self.m.log_lines()[lines:]), 3)


@contextlib.contextmanager
def running(folder, name, **options):
    net = hosts.Net(folder, name)
    try:
        t = Table(net.host("a"), **options)
        yield t
        t.m.ensure_stopped()
    finally:
        net.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    with running(tmp_path_factory.mktemp("faults"), "faults") as t:
        yield t


@pytest.mark.parametrize("row", ACCEPT + DIAL + QUIET + BUSY + SPLICED + RING + ENDING, ids=lambda row: row.id)
def test_fault(table, row):
    table.check(row)


# ---- what one connection does not meet ----

class Crowd:
    """Connections that the worker finds all at once, since it was stopped meanwhile."""

    def __init__(self, table, n):
        (worker,) = table.m.workers()
        os.kill(worker, signal.SIGSTOP)
        try:
            self.clients = [dial(table.host, "127.0.0.1", 8000) for _ in range(n)]
            for i, s in enumerate(self.clients):
                s.sendall(pattern(i, 100))
        finally:
            os.kill(worker, signal.SIGCONT)
        self.listener, self.worker = table.listener, worker

    def is_served(self):
        """Each endpoint sends back what it got."""
        self.servers = [self.listener.accept()[0] for _ in self.clients]
        for s in self.servers:
            s.settimeout(5)
            s.sendall(receive(s, 100))
        for i, s in enumerate(self.clients):
            assert receive(s, 100) == pattern(i, 100)

    def close(self):
        for s in self.clients + self.servers:
            s.close()


def receive(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        assert more, f"ended after {len(data)} of {n}"
        data += more
    return data


@pytest.mark.parametrize("times", [1, ALWAYS], ids=["once", "always"])
@pytest.mark.parametrize("error", ["EMFILE", "ENOMEM", "ECONNABORTED", "EINTR"])
def test_taking_what_is_queued(table, error, times):
    """accept4(2) fails: the ring goes on."""
    rest = Rest(table.m)
    table.m.faults.on(("accept4", code(error), -1, 1, times))
    crowd = Crowd(table, 5)
    crowd.is_served()
    crowd.close()
    assert table.m.faults.off()[0] > 0
    rest.is_back()


def test_not_even_the_spare_descriptor(table):
    """ENFILE for all: nobody is taken nor sent away, the worker does not spin; served when it is over."""
    rest = Rest(table.m)
    table.m.faults.on(("OP_ACCEPT", code("ENFILE"), -1, 1, ALWAYS), ("accept4", code("ENFILE"), -1, 1, ALWAYS))
    assert table.drive(Row("accept4", 0, RIGHT)) == RIGHT
    waiting = dial(table.host, "127.0.0.1", 8000)
    at_rest(table.m)
    assert not select.select([waiting, table.listener], [], [], 0)[0]
    assert min(table.m.faults.off()) > 0
    table.listener.accept()[0].close()
    assert waiting.recv(1) == b""
    waiting.close()
    rest.is_back()


@pytest.mark.parametrize("call", ["calloc", "aligned_alloc"])
def test_no_memory_for_a_generation(table, call):
    """The worker stays on the one that it has, holds nothing of the other, and takes the next."""
    m, rest = table.m, Rest(table.m)
    m.faults.on((call, code("ENOMEM"), -1, 1, 1))
    asked = m.reload(configuration(table.host, listener(8005, "b")), wait=False)
    assert asked.returncode == 0, asked.stderr
    hosts.wait_for("the fault is met", lambda: m.faults.hits() > 0)
    m.faults.off()
    assert table.drive(Row(call, 0, RIGHT)) == RIGHT
    assert m.reload(configuration(table.host)).returncode == 0
    rest.is_back()
    assert m.reload(configuration(table.host, listener(8005, "b"))).returncode == 0
    assert table.drive(Row(call, 0, RIGHT, port=8005)) == RIGHT
    assert m.reload(configuration(table.host)).returncode == 0
    rest.is_back()


SO_MARK, IP_TRANSPARENT = 36, 19
TPROXY = [
    *[row for option in (SO_MARK, IP_TRANSPARENT) for row in
      rows("setsockopt", ["EPERM", "ENOMEM"], "OM", only=option, port=8002, counter="server.shed_memory")],
    *rows("bind", ["EADDRNOTAVAIL"], "UF,URX", port=8002, counter="cluster.in.upstream_cx_no_local_port"),
]


@pytest.fixture(scope="module")
def tproxy(tmp_path_factory):
    with running(tmp_path_factory.mktemp("tproxy"), "tproxy", mode="tproxy") as t:
        yield t


@pytest.mark.parametrize("row", TPROXY, ids=lambda row: row.id)
def test_being_the_client(tproxy, row):
    tproxy.check(row)


def test_a_kernel_that_does_not_tell_whose_a_connection_is(host):
    """One word in the log, no more; connections are served."""
    with contextlib.ExitStack() as stack:
        m = faulty_meshd(host, configuration(host), intercept=INTERCEPT % "redirect")
        m.faults.on(("recv", code("ENOENT"), -1, 1, 1))
        m.start()
        stack.callback(m.ensure_stopped)
        l = stack.enter_context(host.listen("0.0.0.0", 9000, 128))
        assert m.faults.off() == [1]
        assert m.process.output().count("does not tell whose a connection is") == 1
        assert drive(host, "127.0.0.1", 8003, l) == RIGHT


PIPES = [
    *rows("pipe2", ["EMFILE", "ENFILE", "ENOMEM"], RIGHT, times=ALWAYS, bulk=2 * BULK),
    *rows("fcntl", ["EPERM", "ENOMEM"], RIGHT, only=F_SETPIPE_SZ, times=ALWAYS, bulk=2 * BULK),
]


@pytest.mark.parametrize("row", PIPES, ids=lambda row: row.id)
def test_no_pipe(tmp_path, row):
    """A meshd for each: none is in the pool yet."""
    with running(tmp_path, "pipes") as t:
        t.check(row)


def test_completion_queue_overflows(tmp_path):
    """A ring of a few entries, and far more that completes while the worker is stopped."""
    with running(tmp_path, "overflow", ring=8) as t:
        rest = Rest(t.m)
        crowd = Crowd(t, 100)
        crowd.is_served()
        for error in "EINTR", "EAGAIN", "EBUSY":        # of submitting in the middle of a turn
            os.kill(crowd.worker, signal.SIGSTOP)
            t.m.faults.on(("io_uring_submit", code(error), -1, 1, 3))
            for i, (a, b) in enumerate(zip(crowd.clients, crowd.servers)):
                a.sendall(pattern(1000 + i, 10000))
                b.sendall(b"x" * 5000)
            os.kill(crowd.worker, signal.SIGCONT)
            came = sorted(receive(s, 10000) for s in crowd.servers)
            assert came == sorted(pattern(1000 + i, 10000) for i in range(len(crowd.clients)))
            assert all(receive(s, 5000) == b"x" * 5000 for s in crowd.clients)
            assert t.m.faults.off() == [3]
        assert t.m.stat("server.completion_overflow") > 0
        crowd.close()
        rest.is_back()
        for _ in range(3):
            assert t.drive(Row("", 0, RIGHT, bulk=2 * BULK)) == RIGHT
        rest.is_back()
