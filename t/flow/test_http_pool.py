"""Kept connections to origins: used again, given up in time, and never a reason for a failure that a client sees; what is not
safe to repeat is executed once at most."""
import collections
import random
import threading
import time

import pytest

from lib import http_rows
from lib.hosts import wait_for
from lib.http_client import Client, Talk, crowd, name
from lib.http_mesh import GATE, ORIGIN, gate, many_ports
from lib.http_origin import CLOSE, RST, Origin, Script, answer, echo
from lib.http_rows import NAME
from lib.meshd import SANITIZED

N = 2_000 if SANITIZED else 10_000


def get(called, *fields):
    return http_rows.get(*fields).replace(NAME, called)


def post(called):
    return http_rows.post(b"Content-Length: 5", body=b"hello").replace(NAME, called)


@pytest.fixture
def origin(host):
    many_ports(host)
    with Origin(host, *ORIGIN) as o:
        yield o
        assert not o.wrong, o.wrong[:5]


def serve_well(connection_of, answers=1):
    """Reads the request after so many, and closes instead of answering."""
    def script(request):
        return echo(request) if request.connection.answered < answers else Script(connection_of)
    return script


# What an origin does with its connections, and what it is called with: seconds of idleness, or a script.
HABITS = {
    "closes when idle for 5 ms": dict(idle=0.005),
    "closes when idle for 20 ms": dict(idle=0.02),
    "closes right after the answer": dict(script=lambda r: Script(*echo(r).steps, CLOSE)),
    "closes a moment after the answer": dict(script=lambda r: Script(*echo(r).steps, 0.001, CLOSE)),
    "resets a moment after the answer": dict(script=lambda r: Script(*echo(r).steps, 0.001, RST)),
    "closes instead of a second answer": dict(script=serve_well(CLOSE)),
    "resets instead of a fifth answer": dict(script=serve_well(RST, 4)),
    "closes one of four": dict(script=lambda r: Script(*echo(r).steps, *([CLOSE] if hash(r.id) % 4 == 0 else []))),
}


class Asker:
    """Asks `n` times on one connection, with pauses up to twice as long as the origin's patience; what became of it."""

    def __init__(self, host, n, make, seed, pause):
        self.host, self.n, self.make, self.rng, self.pause = host, n, make, random.Random(seed), pause
        self.statuses, self.names, self.error = collections.Counter(), {}, None
        self.thread = threading.Thread(target=self._watched, daemon=True)
        self.thread.start()

    def _watched(self):
        try:
            with Client(self.host, *GATE, seconds=20) as c:
                for _ in range(self.n):
                    called = name()
                    m = c.ask(self.make(called))
                    assert m.status != 200 or m.id == called, m
                    self.statuses[m.status] += 1
                    self.names[called] = m.status
                    time.sleep(self.rng.random() * self.pause)
        except (AssertionError, OSError) as e:
            self.error = e


def ask_all(host, make, n, pause, clients=20):
    askers = [Asker(host, n // clients, make, seed, pause) for seed in range(clients)]
    statuses, names = collections.Counter(), {}
    for a in askers:
        a.thread.join()
        assert a.error is None, a.error
        statuses += a.statuses
        names.update(a.names)
    return statuses, names


def executed(origin):
    """X-Id -> how often the origin has answered it."""
    count = collections.Counter()
    for c in list(origin.connections):
        count.update(r.id for r in c.requests[:c.answered] if r.complete)
    return count


@pytest.mark.parametrize("habit", HABITS)
def test_races_with_an_origin_that_closes(host, start, capsys, habit):
    """10,000 requests: not one fails."""
    many_ports(host)
    options = HABITS[habit]
    pause = 2 * options.get("idle", 0.002)
    with Origin(host, *ORIGIN, **options) as origin:
        m = start(host, gate(), intercept="", access_log=False)
        statuses, names = ask_all(host, get, N, pause)
        with capsys.disabled():
            print(f"\n{habit}: {N} requests over {len(origin.connections)} connections, {m.stat('cluster.b.upstream_rq_retry')} sent again")
        assert statuses == {200: N}
        assert set(executed(origin)) == set(names)


@pytest.mark.parametrize("habit", HABITS)
def test_what_is_not_safe_is_not_repeated(host, start, capsys, habit):
    """POST: where its bytes were sent and no answer came, it fails; however it goes, the origin has it once at most."""
    many_ports(host)
    options = HABITS[habit]
    pause = 2 * options.get("idle", 0.002)
    with Origin(host, *ORIGIN, **options) as origin:
        start(host, gate(), intercept="", access_log=False)
        statuses, names = ask_all(host, post, N // 4, pause)
        with capsys.disabled():
            print(f"\n{habit}: {dict(statuses)}")
        assert set(statuses) <= {200, 503}
        seen = collections.Counter(r.id for r in origin.heads)
        assert max(seen.values()) == 1, "an origin has seen one of them twice"
        done = executed(origin)
        assert all(done[n] == 1 for n, status in names.items() if status == 200)
        if "instead" not in habit:
            assert statuses[503] <= N // 4 // 100, "races are to be rare"


def test_a_kept_connection_is_used_again(host, start, origin):
    m = start(host, gate(), intercept="", workers=1)
    with Client(host, *GATE) as c:
        for _ in range(100):
            assert c.ask(get(name())).status == 200
    for _ in range(100):
        with Client(host, *GATE) as c:
            assert c.ask(post(name())).status == 200
    assert len(origin.connections) == 1
    assert m.stat("cluster.b.upstream_rq_total") == 200 and m.stat("cluster.b.upstream_cx_total") == 1
    assert m.stat("cluster.b.upstream_cx_active") == 1 and m.stat("cluster.b.upstream_rq_active") == 0


def test_max_requests_of_an_upstream_connection(host, start, origin):
    m = start(host, gate(cluster="max_requests_per_connection = 3;"), intercept="", workers=1)
    with Client(host, *GATE) as c:
        for _ in range(30):
            assert c.ask(get(name())).status == 200
    assert [len(c.requests) for c in origin.connections] == [3] * 10
    wait_for("each is closed", lambda: not origin.open)
    assert all(c.ended == "eof" for c in origin.connections)
    assert m.stat("cluster.b.upstream_cx_max_requests") == 10


def test_max_requests_of_a_client_connection(host, start, origin):
    start(host, gate(http="max_requests_per_connection = 3;"), intercept="", workers=1)
    for _ in range(3):
        c = Client(host, *GATE)
        called = [name() for _ in range(5)]
        for n in called:
            c.send(get(n))
        got = [c.response() for _ in range(3)]
        assert [m.id for m in got] == called[:3]
        assert [m.has_option(b"close") for m in got] == [False, False, True]
        assert c.ends() == "eof"
        assert not origin.of(called[3]) and not origin.of(called[4])
        c.close()


def test_max_connections_makes_requests_wait(host, start):
    """Four connections for forty clients: all are served."""
    many_ports(host)
    with Origin(host, *ORIGIN, script=lambda r: Script(0.005, *echo(r).steps)) as origin:
        most = [0]
        origin.on_accept = lambda c: most.__setitem__(0, max(most[0], len(origin.open)))
        m = start(host, gate(cluster="max_connections = 4;"), intercept="", workers=2)
        statuses, _ = ask_all(host, get, 800, 0.001, clients=40)
        assert statuses == {200: 800}
        assert most[0] <= 4
        assert m.stat("cluster.b.upstream_rq_pending_total") > 0 and m.stat("cluster.b.upstream_rq_pending_active") == 0


def test_too_many_that_wait_are_refused(host, start, origin):
    """Envoy's answer: 503, x-envoy-overloaded, UO."""
    m = start(host, gate(cluster="max_connections = 1; max_pending_requests = 2;"), intercept="", workers=1)
    crowd(host, GATE, [Talk([get(name())])])        # there is a connection: none of them waits for that
    origin.script = lambda r: Script(0.3, *echo(r).steps)
    talks = crowd(host, GATE, [Talk([get(name())]) for _ in range(20)])
    refused = [t.responses[0] for t in talks if t.responses[0].status == 503]
    assert len(refused) == 17
    assert all(r.value(b"x-envoy-overloaded") == b"true" for r in refused)
    assert m.stat("cluster.b.upstream_rq_pending_overflow") == 17


def test_close_from_either_side_is_for_that_side(host, start, origin):
    start(host, gate(), intercept="", workers=1)
    for _ in range(3):
        with Client(host, *GATE) as c:
            m = c.ask(get(name(), b"Connection: close"))
            assert m.has_option(b"close") and c.ends() == "eof"
    assert len(origin.connections) == 1, "the origin's connection is kept"
    assert not [r for r in origin.heads if r.has_option(b"close")]
    with Client(host, *GATE) as c:
        for _ in range(3):
            called = name()
            origin.scripts[called] = Script(answer(b"x", b"Connection: close"))
            m = c.ask(get(called))
            assert m.status == 200 and not m.has_option(b"close")
        assert c.ask(get(name())).status == 200
    assert len(origin.connections) == 4, "and one that is to close is not used again"


@pytest.mark.parametrize("says, more", [("nothing", b""), ("keep-alive", b"Connection: keep-alive\r\n"), ("close", b"Connection: close\r\n")])
def test_an_origin_of_1_0(host, start, origin, says, more):
    """A connection that it does not keep is not used again; the client's is kept all the same."""
    old = Script(b"HTTP/1.0 200 OK\r\n" + more + b"Content-Length: 2\r\n\r\nok")
    origin.script = lambda r: old
    start(host, gate(), intercept="", workers=1)
    with Client(host, *GATE) as c:
        for _ in range(5):
            m = c.ask(get(name()))
            assert (m.status, bytes(m.body), m.start[0]) == (200, b"ok", b"HTTP/1.1")
    assert len(origin.connections) in ({5, 1} if says == "keep-alive" else {5})


def test_retired_before_the_origin_says_it_closes(host, start, origin):
    """Keep-Alive: timeout=2: by then it is given up, from our side."""
    called = name()
    origin.scripts[called] = Script(answer(b"", b"Keep-Alive: timeout=2, max=100"))
    start(host, gate(), intercept="", workers=1)
    with Client(host, *GATE) as c:
        begin = time.monotonic()
        assert c.ask(get(called)).status == 200
        (k,) = origin.connections
        wait_for("it is closed", lambda: k.closed, 3)
        assert k.ended == "eof" and time.monotonic() - begin < 2
        assert c.ask(get(name())).status == 200


@pytest.mark.parametrize("key", ['idle_timeout = "500ms";', 'max_connection_duration = "500ms";'])
def test_kept_connections_have_limits(host, start, origin, key):
    start(host, gate(cluster=key), intercept="", workers=1)
    with Client(host, *GATE) as c:
        for n in range(1, 4):
            assert c.ask(get(name())).status == 200
            wait_for("it is given up", lambda: not origin.open, 3)
            assert len(origin.connections) == n and origin.connections[-1].ended == "eof"


@pytest.mark.parametrize("path, status", [(b"/none", 404), (b"/some", 503)])
def test_a_reply_of_ours_has_nothing_of_the_request(host, start, path, status):
    start(host, gate(http='prefix = "/some";'), intercept="", workers=1)
    with Client(host, *GATE) as c:
        r = c.ask(http_rows.request(b"GET " + path + b" HTTP/1.1").replace(NAME, name()))
        assert r.status == status
        assert {n for n, _ in r.fields} - {b"content-type"} == {b"content-length", b"date", b"server"}


def test_nobody_listens(host, start):
    """503 with Envoy's words, and UF; then, with a server, 200, on the same client connection."""
    m = start(host, gate(), intercept="", workers=1)
    with Client(host, *GATE) as c:
        r = c.ask(get(name()))
        assert r.status == 503 and bytes(r.body).startswith(b"upstream connect error or disconnect/reset before headers")
        with Origin(host, *ORIGIN):
            assert c.ask(get(name())).status == 200
    assert m.stat("cluster.b.upstream_cx_connect_fail") == 1
