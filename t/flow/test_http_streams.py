"""The order of events on a request's way: who speaks when, who ends when, and that nothing waits for what it does not need."""
import socket
import threading
import time

import pytest

from lib import http_rows
from lib.hosts import wait_for
from lib.http_client import Client, Talk, crowd, name
from lib.http_mesh import GATE, ORIGIN, gate, many_ports
from lib.http_origin import CLOSE, FIN, RST, WHOLE, Origin, Script, answer
from lib.http_rows import NAME
from lib.http_wire import judge
from lib.traffic import reset

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def way(host, start):
    """An origin behind a gate; when the test is over, nothing is left of it."""
    many_ports(host)
    with Origin(host, *ORIGIN) as origin:
        m = origin.m = start(host, gate(), intercept="")
        yield origin
        wait_for("all connections have ended", lambda: m.stat("server.connections") == 0)
        stats = m.stats()
        assert not {k: v for k, v in stats.items() if k.endswith("rq_active") and v or k.endswith("pending_active") and v}
        assert stats["server.buffer_bytes"] == 0
        assert not origin.wrong, origin.wrong


def get(called, *fields):
    return http_rows.get(*fields).replace(NAME, called)


def post(called, *fields, body=b""):
    return http_rows.post(*fields, body=body).replace(NAME, called)


# ---- early answers ----

@pytest.mark.parametrize("then", ["reads on", "closes", "half-closes"])
def test_an_answer_before_the_request_is_over(host, way, then):
    """The client has it, though it is still sending."""
    called, size = name(), 8 << 20
    way.scripts[called] = Script(answer(b"too large", status=b"413 Content Too Large"), *{"closes": [0.1, CLOSE], "half-closes": [FIN], "reads on": []}[then],
                                 at="head")
    with Client(host, *GATE) as c:
        c.send(post(called, b"Content-Length: %d" % size), b"POST")

        def send():
            try:
                for _ in range(size >> 16):
                    c.sock.sendall(b"x" * (1 << 16))
            except OSError:
                pass

        sender = threading.Thread(target=send)
        sender.start()
        m = c.response()
        sender.join()
        assert m.status == 413 and bytes(m.body) == b"too large"
        if then == "reads on" and not m.has_option(b"close"):
            wait_for("the origin has all of it", lambda: way.of(called)[0].complete)
            assert c.ask(get(name())).status == 200


# ---- 100 and its relatives ----

def test_continue_is_waited_for(host, way):
    called = name()
    way.scripts[called] = Script(CONTINUE, WHOLE, answer(b"done", b"X-Id: " + called), at="head")
    with Client(host, *GATE) as c:
        c.send(post(called, b"Expect: 100-continue", b"Content-Length: 5"), b"POST")
        assert c.message().status == 100
        assert not way.of(called)[0].complete
        c.send(b"hello", None)
        m = c.message()
        assert m.status == 200 and bytes(way.of(called)[0].body) == b"hello"
        assert way.of(called)[0].value(b"expect").lower() == b"100-continue"
        assert c.ask(get(name())).status == 200


def test_continue_that_is_refused(host, way):
    """The final answer comes instead; then the body is sent all the same, or it is not: the connection cannot be mistaken."""
    called = name()
    way.scripts[called] = Script(answer(b"no", status=b"401 Unauthorized"), at="head")
    with Client(host, *GATE) as c:
        c.send(post(called, b"Expect: 100-continue", b"Content-Length: 5"), b"POST")
        m = c.message()
        assert m.status == 401 and bytes(m.body) == b"no"
        if m.has_option(b"close"):
            assert c.ends() == "eof"
        else:
            c.send(b"hello", None)
            assert c.ask(get(name())).status == 200


def test_a_client_that_does_not_wait(host, way):
    called = name()
    way.scripts[called] = Script(CONTINUE, WHOLE, *echo_of(called).steps, at="head")
    with Client(host, *GATE) as c:
        m = c.ask(post(called, b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), b"POST")
        assert m.id == called and bytes(way.of(called)[0].body) == b"hello"
        assert c.ask(get(name())).status == 200


def echo_of(called):
    return Script(answer(called, b"X-Id: " + called))


def test_interim_answers_come_at_once(host, way):
    called, go = name(), threading.Event()
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n"
    way.scripts[called] = Script(hint, hint, lambda c: go.wait(10), *echo_of(called).steps)
    with Client(host, *GATE) as c:
        c.send(get(called))
        for _ in range(2):
            m = c.message()
            assert m.status == 103 and m.values(b"link") == [b"</style>"]
        go.set()
        assert c.message().id == called


# ---- nothing is held back ----

def test_pieces_of_a_body_come_as_they_are_sent(host, way):
    """In both directions, each before the next is there."""
    called = name()
    pieces = [b"piece %d" % i for i in range(5)]
    steps = []
    for i, p in enumerate(pieces):
        steps += [b"%x\r\n" % len(p) + p + b"\r\n", waits(way, called, i)]
    way.scripts[called] = Script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *steps, b"0\r\n\r\n", at="head")
    with Client(host, *GATE) as c:
        c.send(post(called, b"Transfer-Encoding: chunked"), b"POST")
        for i, p in enumerate(pieces):
            while not (c.reader.messages and bytes(c.reader.messages[0].body).endswith(p)):
                assert c._more()
            c.send(b"3\r\nyes\r\n", None)
        c.send(b"0\r\n\r\n", None)
        m = c.response()
        assert bytes(m.body) == b"".join(pieces) and bytes(way.of(called)[0].body) == b"yes" * 5
        judge(m, b"POST")


def waits(way, called, i):
    """A step that goes on when the client has answered piece `i`."""
    def step(c):
        if len(way.of(called)[0].body) < 3 * (i + 1) and not c.closed:
            c.busy.insert(0, step)
            c.busy.insert(0, 0.001)
    return step


def test_100_requests_in_one_piece(host, way):
    """Answered in their order, whatever each takes; more than may wait are not refused."""
    for n in (100, 1000):
        called = [name() for _ in range(n)]
        for i, x in enumerate(called[:50]):
            way.scripts[x] = Script((i * 7 % 5) / 1000, *echo_of(x).steps)
        with Client(host, *GATE) as c:
            c.reader.asked.extend([b"GET"] * n)
            c.sock.sendall(b"".join(get(x) for x in called))
            assert [c.response().id for _ in called] == called


def test_pipelined_bodies(host, way):
    called = [name() for _ in range(50)]
    with Client(host, *GATE) as c:
        c.reader.asked.extend([b"POST"] * 50)
        whole = b"".join(post(x, b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n") if i % 2 else
                         post(x, b"Content-Length: %d" % (i * 100), body=b"y" * (i * 100)) for i, x in enumerate(called))
        c.sock.sendall(whole)
        assert [c.response().id for _ in called] == called
    assert [bytes(way.of(x)[0].body) for x in called] == [b"hello" if i % 2 else b"y" * (i * 100) for i in range(50)]


# ---- ends ----

def test_a_client_that_half_closes(host, way):
    """It has asked all it wants to ask, and still gets its answers."""
    called = [name() for _ in range(3)]
    for x in called:
        way.scripts[x] = Script(0.05, *echo_of(x).steps)
    with Client(host, *GATE) as c:
        c.reader.asked.extend([b"GET"] * 3)
        c.sock.sendall(b"".join(get(x) for x in called))
        c.sock.shutdown(socket.SHUT_WR)
        assert [c.response().id for _ in called] == called
        assert c.ends() == "eof"


HOWS = pytest.mark.parametrize("how", ["close", "reset"])


@HOWS
@pytest.mark.parametrize("what", ["a length", "chunks"])
def test_a_client_that_ends_at_every_byte_of_its_request(host, way, what, how):
    """Nothing is taken for whole that is not, and the origin is told."""
    called = name()
    message = post(called, b"Content-Length: 5", body=b"hello") if what == "a length" else \
        post(called, b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n")
    sockets = []
    for at in range(len(message)):
        s = host.connect(*GATE)
        s.sendall(message[:at])
        sockets.append(s)
    wait_for("some of it is there", lambda: way.of(called))
    time.sleep(0.1)             # all of it, or so: what comes later may not make a difference
    for s in sockets:
        if how == "reset":
            reset(s)
        else:
            s.close()
    wait_for("the origin is told", lambda: all(r.connection.gone for r in way.of(called)))
    assert not [r for r in way.of(called) if r.complete]


BEGIN = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", BEGIN[:20], BEGIN, BEGIN + b"z" * 1000, BEGIN + b"z" * 10_000_000], ids=len)
def test_a_client_that_resets_within_its_answer(host, way, sent):
    """Before the head, within the head, within the body."""
    called = name()
    way.scripts[called] = Script(sent, 3600)
    s = host.connect(*GATE)
    s.sendall(get(called))
    if sent.startswith(BEGIN):
        assert s.recv(10) == b"HTTP/1.1 2"
    else:
        wait_for("it is asked", lambda: way.of(called))
    reset(s)
    wait_for("the origin is told", lambda: way.of(called)[0].connection.gone)


@pytest.mark.parametrize("sent", [b"", BEGIN, BEGIN + b"z" * 1000], ids=len)
def test_a_client_that_closes_within_its_answer(host, way, sent):
    """It may only have half-closed: known for certain when something is sent to it."""
    called = name()
    more = b"z" * 1000 if sent else BEGIN
    way.scripts[called] = Script(sent, 0.1, more, *[0.01, b"z" * 1000] * 1000, 3600)
    s = host.connect(*GATE)
    s.sendall(get(called))
    if sent:
        assert s.recv(10) == b"HTTP/1.1 2"
    else:
        wait_for("it is asked", lambda: way.of(called))
    s.close()
    wait_for("the origin is told", lambda: way.of(called)[0].connection.gone)


ANSWERS = {"a length": answer(b"hello"), "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n\r\n",
           "until the end": b"HTTP/1.1 200 OK\r\n\r\nhello"}


@HOWS
@pytest.mark.parametrize("what", ANSWERS)
def test_an_origin_that_ends_at_every_byte_of_its_answer(host, way, what, how):
    """Within the head: 503 or 502; within the body: seen to be cut; after it: whole.  A body that the connection's end ends
    is whole wherever that is, but never with a reset."""
    whole, talks = ANSWERS[what], []
    head = whole.index(b"\r\n\r\n") + 4
    for at in range(len(whole) + 1):
        called = name()
        way.scripts[called] = Script(whole[:at], 0.05, CLOSE if how == "close" else RST)
        talks.append(Talk([post(called, b"Content-Length: 0")], (b"POST",)))
    crowd(host, GATE, talks)
    for at, t in enumerate(talks):
        finals = t.responses
        whole_here = how == "close" if what == "until the end" else at == len(whole)
        if at < head:
            assert finals and finals[0].status in (502, 503), (at, t)
        elif whole_here:
            body = whole[head:at] if what == "until the end" else b"hello"
            assert finals and finals[0].status == 200 and bytes(finals[0].body) == body, (at, t)
        else:
            assert t.ended in ("eof", "reset") and not finals or finals[0].status in (502, 503), (at, t)
