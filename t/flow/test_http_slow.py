"""Peers that take their time, or never end: each costs little and is ended when its time is up, and other clients do not
notice."""
import contextlib
import resource
import socket
import threading
import time

import pytest

from lib import http_rows
from lib.hosts import wait_for
from lib.http_client import Client, Talk, crowd, name
from lib.http_mesh import GATE, ORIGIN, gate, many_ports, small_buffers
from lib.http_origin import CLOSE, Origin, Script, answer
from lib.http_rows import NAME
from lib.meshd import SANITIZED

KB, MB = 1 << 10, 1 << 20
SHORT = 'request_headers_timeout = "2s"; request_timeout = "3s"; stream_idle_timeout = "2s"; idle_timeout = "2s";'


def good():
    return http_rows.get().replace(NAME, name())


class Bystander:
    """Asks all the while, on a kept connection and on new ones; how long the answers took."""

    def __init__(self, host):
        self.host, self.stopping, self.error, self.took = host, False, None, []
        self.thread = threading.Thread(target=self._watched, daemon=True)
        self.thread.start()

    def _watched(self):
        try:
            self._run()
        except (AssertionError, OSError) as e:
            self.error = e

    def _run(self):
        kept = Client(self.host, *GATE)
        while not self.stopping:
            for c in kept, Client(self.host, *GATE):
                called, begin = name(), time.monotonic()
                m = c.ask(http_rows.get().replace(NAME, called))
                assert (m.status, m.id) == (200, called), m
                self.took.append(time.monotonic() - begin)
                if c is not kept:
                    c.close()
            time.sleep(0.005)
        kept.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            wait_for("enough answers", lambda: self.error or len(self.took) > 20)
        self.stopping = True
        self.thread.join()
        if kind is None:
            assert self.error is None, self.error
            took = sorted(self.took)
            assert took[len(took) // 2] < 0.1 and took[-len(took) // 100] < 1, (took[len(took) // 2], took[-1])


class Watch:
    """What the workers have taken more than before, at most."""

    def __init__(self, m):
        self.m, self.before, self.most = m, {w: m.memory_bytes(w) for w in m.workers()}, 0

    def look(self):
        self.most = max(self.most, sum(self.m.memory_bytes(w) - had for w, had in self.before.items()))
        return self.most

    def bounded(self, limit):
        assert SANITIZED or self.look() <= limit, f"{self.most} bytes more than before"


@pytest.fixture
def way(host, start):
    many_ports(host)
    small_buffers(host)
    with Origin(host, *ORIGIN) as origin:
        origin.m = start(host, gate(SHORT), intercept="")
        crowd(host, GATE, [Talk([good()]) for _ in range(300)])       # what is kept for use again is there
        yield origin


def ends_with(host, m, status, parts, n, pause, each, flags="DPE"):
    """`n` clients that send these parts are each answered with this status, and nobody else notices."""
    watch = Watch(m)
    talks = [Talk(parts, asked=(b"POST",), pause=pause) for _ in range(n)]
    done = threading.Event()

    def look():
        while not done.wait(0.2):
            watch.look()

    looker = threading.Thread(target=look)
    looker.start()
    try:
        with Bystander(host):
            crowd(host, GATE, talks, parallel=n, seconds=30)
    finally:
        done.set()
        looker.join()
    for t in talks:
        assert t.ended == "eof" and [r.status for r in t.responses] == [status], t
        assert t.sent < len(t.parts), "it was let end"
    watch.bounded(n * each + 2 * MB)
    wait_for("all are gone", lambda: m.stat("server.connections") == 0)


# ---- requests that do not end ----

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nX-Id: slow\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def bytes_of(n):
    return [b"x"] * n


def test_a_head_byte_by_byte(host, way):
    """Slowloris: each byte comes well before a time-out of its own would end it."""
    ends_with(host, way.m, 408, [HEAD + b"X-A: ", *bytes_of(100)], 500, 0.25, 12 * KB)
    assert not way.of(b"slow")


def test_a_first_byte_and_nothing_more(host, way):
    ends_with(host, way.m, 408, [b"P", *[b"OST" * 1000]], 500, 25, 12 * KB)


def test_a_body_byte_by_byte(host, way):
    """No byte is late, but the whole of it is."""
    ends_with(host, way.m, 408, [HEAD + b"Content-Length: 1000\r\n\r\n", *bytes_of(100)], 200, 0.25, 16 * KB)
    assert len(way.of(b"slow")) <= 200 and not [r for r in way.of(b"slow") if r.complete]


def test_chunks_byte_by_byte(host, way):
    ends_with(host, way.m, 408, [CHUNKED, *[b"1\r\nx\r\n"] * 100], 200, 0.25, 16 * KB)
    assert not [r for r in way.of(b"slow") if r.complete]


def test_a_body_that_stops(host, way):
    ends_with(host, way.m, 408, [HEAD + b"Content-Length: 1000\r\n\r\nhello", b"late"], 200, 25, 16 * KB)
    assert not [r for r in way.of(b"slow") if r.complete]


ENDLESS = {
    "a head": (HEAD, b"X-A: " + b"b" * 990 + b"\r\n", 431),
    "a field": (HEAD + b"X-A: ", b"b" * 1000, 431),
    "a request line": (b"GET /", b"a" * 1000, 414),
    "a chunk's extension": (CHUNKED + b"5;a=", b"b" * 1000, 400),
    "extensions of many chunks": (CHUNKED, b"1;a=" + b"b" * 200 + b"\r\nx\r\n", 400),
    "trailers": (CHUNKED + b"0\r\n", b"X-A: " + b"b" * 990 + b"\r\n", 431),
    "a chunk size": (CHUNKED, b"0" * 100, 400),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end(host, way, what):
    """Ended where its limit is, not when its time is up."""
    begin, piece, status = ENDLESS[what]
    ends_with(host, way.m, status, [begin, *[piece] * 5000], 100, 0.0005, 160 * KB)
    assert not [r for r in way.of(b"slow") if r.complete]


def test_a_body_that_nobody_takes(host, way):
    """The origin reads little of what many send much of: it is held back where it comes from."""
    n, size = 32, 8 * MB
    way.read_delay = 0.05
    watch = Watch(way.m)
    clients = [Client(host, *GATE) for _ in range(n)]
    sent = 0
    for c in clients:
        c.sock.setblocking(False)
        c.reader.asked.append(b"POST")
        c.sock.send(HEAD.replace(b"slow", name()) + b"Content-Length: %d\r\n\r\n" % size)
    way.read_delay = 3600
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        for c in clients:
            with contextlib.suppress(BlockingIOError):
                sent += c.sock.send(b"x" * (256 * KB))
        watch.look()
        assert way.m.stat("server.buffer_bytes") <= n * MB
        time.sleep(0.02)
    assert sent < n * size
    watch.bounded(n * MB + 8 * MB)
    for c in clients:
        c.close()
    wait_for("all are gone", lambda: way.m.stat("server.connections") == 0)
    wait_for("nothing is held", lambda: way.m.stat("server.buffer_bytes") == 0)


# ---- responses that nobody reads ----

def test_a_slow_reader(host, way):
    """32 clients read 128 KiB/s of a large response: none of it is with meshd, all of it arrives."""
    n, size = 32, 4 * MB
    assert way.m.reload(gate('stream_idle_timeout = "10s";')).returncode == 0
    way.script = lambda r: Script(answer(b"z" * size, b"X-Id: " + r.id)) if r.target == b"/large" else Script(answer(b"", b"X-Id: " + r.id))
    watch = Watch(way.m)
    with Bystander(host):
        clients = [Client(host, *GATE, rcvbuf=32768) for _ in range(n)]
        for c in clients:
            c.send(http_rows.request(b"GET /large HTTP/1.1").replace(NAME, name()))
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for c in clients:
                c.bytes += (data := c.sock.recv(12800))
                c.reader.feed(data)
            assert way.m.stat("server.buffer_bytes") <= n * MB
            watch.look()
            time.sleep(0.1)
        watch.bounded(n * MB + 8 * MB)
        while reading := [c for c in clients if not c.reader.finals[:1]]:
            for c in reading:
                assert c._more(), c.ended
        for c in clients:
            m = c.response()
            assert m.status == 200 and len(m.body) == size
            c.close()
    wait_for("nothing is held", lambda: way.m.stat("server.buffer_bytes") == 0)


def test_a_reader_that_stops(host, way):
    """Its time is up when nothing has moved for that long; then both its connections end."""
    called = name()
    way.scripts[called] = Script(answer(b"z" * (64 * MB)))
    c = Client(host, *GATE, rcvbuf=4096)
    with Bystander(host):
        c.send(http_rows.get().replace(NAME, called))
        wait_for("it is ended", lambda: way.of(called) and way.of(called)[0].connection.gone, 20)
        wait_for("it is gone", lambda: way.m.stat("server.buffer_bytes") == 0)
    with contextlib.suppress(ConnectionResetError):
        while data := c.sock.recv(1 << 20):
            c.bytes += data
    assert len(c.bytes) < 64 * MB
    c.close()


# ---- origins that take their time ----

def test_an_origin_that_says_nothing(host, way):
    """Nothing moves: Envoy's 504 when the stream's time is up, and others are served."""
    way.script = lambda r: Script(3600, answer(b"")) if r.target == b"/never" else Script(answer(b"", b"X-Id: " + r.id))
    with Bystander(host):
        talks = crowd(host, GATE, [Talk([http_rows.request(b"GET /never HTTP/1.1").replace(NAME, name())]) for _ in range(100)], seconds=20)
    assert {(t.responses[0].status if t.responses else t) for t in talks} <= {504, 408}
    wait_for("its connections are left", lambda: all(r.connection.gone for r in way.heads if r.target == b"/never"))


ENDLESS_ANSWERS = {
    "a head": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 20, 502),
    "a reason": (b"HTTP/1.1 200 ", b"a" * 1000, 502),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=", b"b" * 1000, None),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 20, None),
}


@pytest.mark.parametrize("what", ENDLESS_ANSWERS)
def test_a_response_that_has_no_end(host, way, what):
    """502; or, where its head is with the client already, seen to be cut."""
    begin, piece, status = ENDLESS_ANSWERS[what]
    way.script = lambda r: Script(begin, *[piece, 0.0005] * 5000, CLOSE) if r.target == b"/endless" else Script(answer(b"", b"X-Id: " + r.id))
    watch = Watch(way.m)
    with Bystander(host):
        talks = crowd(host, GATE, [Talk([http_rows.request(b"GET /endless HTTP/1.1").replace(NAME, name())]) for _ in range(50)], seconds=20)
    for t in talks:
        if status:
            assert t.responses and t.responses[0].status == status, t
        else:
            assert t.ended in ("eof", "reset") and not t.responses or t.responses[0].status == 502, t
    watch.bounded(50 * 160 * KB + 2 * MB)
    wait_for("its connections are left", lambda: all(r.connection.gone for r in way.heads if r.target == b"/endless"))


def test_interim_responses_without_end(host, way):
    """Some are passed on, and none is kept; then it is enough."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for n, status in (10, 200), (1000, 502):
        called = name()
        way.scripts[called] = Script(*[hint * 10] * (n // 10), answer(b"done"))
        watch = Watch(way.m)
        with Client(host, *GATE) as c:
            m = c.ask(http_rows.get().replace(NAME, called))
            assert m.status == status and c.got <= n + 1
        watch.bounded(2 * MB)


# ---- many that do nothing ----

N = 2_000 if SANITIZED else 10_000


def idle(host, n):
    """So many connections, each of which has asked once and is kept."""
    held = []
    while len(held) < n:
        with host.inside():
            new = [socket.create_connection(GATE, 10) for _ in range(100)]
        for s in new:
            s.settimeout(10)
            s.sendall(good())
        for s in new:
            assert s.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        held += new
    return held


def test_10000_idle_connections(host, start, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    many_ports(host)
    with Origin(host, *ORIGIN) as origin:
        m = start(host, gate(), intercept="", access_log=False)
        for s in idle(host, 300):
            s.close()
        wait_for("all are gone", lambda: m.stat("server.connections") == 0)
        watch = Watch(m)
        with Bystander(host):
            held = idle(host, N)
            each = watch.look() / N
            assert m.stat("server.connections") >= N
            assert m.stat("server.buffer_bytes") == 0
            time.sleep(1)                       # others, beside these
        with capsys.disabled():
            print(f"\n{N} idle connections: {each:.0f} bytes each of workers' memory; {len(origin.open)} connections to the origin")
        assert SANITIZED or each <= 400
        assert len(origin.open) < 200
        for s in held:
            s.close()
        wait_for("all are gone", lambda: m.stat("server.connections") == 0, 30)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections_end_in_time(host, way):
    """Nothing asked, or nothing more: each ends, without a word."""
    with host.inside():
        held = [socket.create_connection(GATE, 10) for _ in range(50)]
    asked = idle(host, 100)
    with Bystander(host):
        for s in held + asked:
            s.settimeout(10)
            while data := s.recv(4096):
                assert not data.startswith(b"HTTP/1.1 4"), data
            s.close()
