"""HTTP/1 through one proxy: what the client sees, what the endpoint sees, whose connections go on."""
import contextlib
import os
import re
import socket
import threading
import time

import pytest

from lib.hosts import readable, wait_for

PORT, ORIGIN = 8000, 9000


def configuration(listener="", http="", cluster="", more="", endpoint="127.0.0.1"):
    return f"""listeners = ( {{ name = "web"; address = "0.0.0.0"; port = {PORT}; {listener}
    filter_chains = ( {{ filters = ( {{ type = "http"; cluster = "origin"; stat_prefix = "web"; {http} }} ); }} ); }} );
clusters = ( {{ name = "origin"; endpoints = [ "{endpoint}:{ORIGIN}" ]; {cluster} }} );
{more}"""


class Head:
    """A head as it came: start line, fields in order (names in lower case)."""

    def __init__(self, text):
        lines = text.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.fields = [(n.lower(), v.strip()) for n, v in (l.split(":", 1) for l in lines[1:] if l)]

    def __getitem__(self, name):
        found = [v for n, v in self.fields if n == name]
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def get(self, name):
        return [v for n, v in self.fields if n == name]

    @property
    def status(self):
        return int(self.line.split()[1])


class Peer:
    """One end of a connection, by hand."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""
        sock.settimeout(10)

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        chunk = self.sock.recv(65536)
        self.data += chunk
        return chunk

    def until(self, mark):
        while mark not in self.data:
            assert self.more(), f"ended: {self.data!r}"
        at = self.data.index(mark) + len(mark)
        taken, self.data = self.data[:at], self.data[at:]
        return taken

    def exactly(self, n):
        while len(self.data) < n:
            assert self.more(), f"ended after {len(self.data)} of {n}"
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def head(self):
        return Head(self.until(b"\r\n\r\n"))

    def chunked(self):
        """Data and trailers."""
        data = b""
        while True:
            size = int(self.until(b"\r\n")[:-2].split(b";")[0], 16)
            if size == 0:
                break
            data += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        trailers = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers += line
        return data, trailers

    def body(self, head, no_body=False):
        if no_body or head.line.startswith("HTTP/") and (head.status in (204, 304) or head.status < 200):
            return b""
        if head.get("transfer-encoding"):
            return self.chunked()[0]
        if head.get("content-length"):
            return self.exactly(int(head["content-length"]))
        return self.rest() if head.line.startswith("HTTP/") else b""

    def message(self, **more):
        head = self.head()
        return head, self.body(head, **more)

    def rest(self):
        while self.more():
            pass
        data, self.data = self.data, b""
        return data

    def ends(self):
        assert self.rest() == b""

    def close(self):
        self.sock.close()


class Origin:
    """Takes connections by hand."""

    def __init__(self, host, port=ORIGIN, ip="127.0.0.1"):
        self.listener = host.listen(ip, port)

    def accept(self, seconds=10):
        self.listener.settimeout(seconds)
        return Peer(self.listener.accept()[0])

    def nobody(self, seconds=0.2):
        assert not readable(self.listener, seconds)

    def close(self):
        self.listener.close()


@pytest.fixture
def origin(host):
    with contextlib.closing(Origin(host)) as o:
        yield o


@pytest.fixture
def proxy(host, start):
    """proxy(...) -> a running meshd, one worker, see configuration()."""
    def run(workers=1, **options):
        return start(host, configuration(**options), workers=workers, intercept="")
    return run


@pytest.fixture
def dial(host):
    made = []

    def connect():
        made.append(Peer(host.connect("127.0.0.1", PORT)))
        return made[-1]
    yield connect
    for peer in made:
        peer.close()


GET = b"GET /path?query HTTP/1.1\r\nHost: example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# ---- one request ----

def test_a_request_and_its_answer(proxy, origin, dial):
    m = proxy()
    c = dial()
    c.send(b"GET /path?query HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t\r\nX-One: 1\r\n\r\n")
    o = origin.accept()
    head = o.head()
    assert head.line == "GET /path?query HTTP/1.1"
    assert head["host"] == "example.com" and head["x-one"] == "1" and head["x-forwarded-proto"] == "http"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", head["x-request-id"])
    assert head.get("connection") == head.get("content-length") == head.get("transfer-encoding") == []
    o.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-Two: 2\r\nServer: mine\r\n\r\nhello")
    head, body = c.message()
    assert head.line.startswith("HTTP/1.1 200") and body == b"hello" and head["x-two"] == "2" and head["server"] == "istio-envoy"
    assert head["x-envoy-upstream-service-time"].isdigit() and head["date"].endswith(" GMT") and head.get("connection") == []
    wait_for("counted", lambda: m.stat("http.web.downstream_rq_2xx") == 1)
    s = m.stats()
    assert s["http.web.downstream_rq_total"] == s["cluster.origin.upstream_rq_total"] == s["cluster.origin.upstream_rq_2xx"] == 1
    assert s["cluster.origin.upstream_cx_http1_total"] == 1


def test_both_connections_are_kept(proxy, origin, dial):
    m = proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    for i in range(20):
        o.head()
        o.send(OK)
        assert c.message()[1] == b"ok"
        if i < 19:
            c.send(GET)
    origin.nobody(0)
    wait_for("counted", lambda: m.stat("http.web.downstream_rq_2xx") == 20)
    assert m.stat("cluster.origin.upstream_cx_total") == m.stat("http.web.downstream_cx_total") == 1


# ---- bodies ----

BODY = bytes(range(256)) * 4096         # 1 MiB


def chunks(data, size):
    return b"".join(b"%x\r\n%s\r\n" % (len(data[i:i + size]), data[i:i + size]) for i in range(0, len(data), size)) + b"0\r\n\r\n"


def exchange(sock_a, data_a, reader_b):
    """Sends from one side while the other reads."""
    sender = threading.Thread(target=sock_a.send, args=(data_a,))
    sender.start()
    try:
        return reader_b()
    finally:
        sender.join(20)


@pytest.mark.parametrize("size", [0, 1, 100, 3000, 4096, 5000, 65536, 1 << 20])
def test_a_body_with_a_length_each_way(proxy, origin, dial, size):
    proxy()
    c = dial()
    for again in range(3):
        data = BODY[:size]
        sender = threading.Thread(target=c.send, args=(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + data,))
        sender.start()
        if again == 0:
            o = origin.accept()
        head, body = o.message()
        sender.join()
        assert head["content-length"] == str(size) and body == data
        head, body = exchange(o, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + data, c.message)
        assert head["content-length"] == str(size) and body == data
    origin.nobody(0)


@pytest.mark.parametrize("size,chunk", [(0, 1), (1, 1), (4000, 1), (5000, 7), (100000, 100), (1 << 20, 5000), (1 << 20, 1 << 20)])
def test_a_chunked_body_each_way(proxy, origin, dial, size, chunk):
    proxy()
    c = dial()
    for again in range(3):
        data = BODY[:size]
        sender = threading.Thread(target=c.send, args=(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(data, chunk),))
        sender.start()
        if again == 0:
            o = origin.accept()
        head, body = o.message()
        sender.join()
        assert head["transfer-encoding"] == "chunked" and body == data
        head, body = exchange(o, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(data, chunk), c.message)
        assert head["transfer-encoding"] == "chunked" and body == data
    origin.nobody(0)


def test_trailers_each_way(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
    o = origin.accept()
    head = o.head()
    assert head["te"] == "trailers"
    assert o.chunked() == (b"abc", b"X-T: 1\r\n")
    o.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-U: 2\r\n\r\n")
    assert c.head().status == 200
    assert c.chunked() == (b"abc", b"X-U: 2\r\n")


def test_a_body_until_the_end_becomes_chunked(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    o.send(b"HTTP/1.0 200 OK\r\n\r\n" + BODY[:10000])
    head = c.head()
    assert head["transfer-encoding"] == "chunked" and head.get("connection") == []
    o.close()
    assert c.chunked()[0] == BODY[:10000]
    c.send(GET)
    o = origin.accept()
    o.head()
    o.send(OK)
    assert c.message()[1] == b"ok"


def test_a_body_comes_byte_by_byte(proxy, origin, dial):
    proxy()
    c = dial()
    for byte in b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"hello", 2):
        c.send(bytes([byte]))
        time.sleep(0.001)
    o = origin.accept()
    assert o.message()[1] == b"hello"
    for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"hello", 2):
        o.send(bytes([byte]))
        time.sleep(0.001)
    assert c.message()[1] == b"hello"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_answers_without_a_body(proxy, origin, dial, method, status):
    if (method, status) == ("GET", 200):
        return
    proxy()
    c = dial()
    c.send(method.encode() + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    o = origin.accept()
    o.head()
    o.send(b"HTTP/1.1 %d Words\r\n%s\r\n" % (status, b"" if status == 204 else b"Content-Length: 1000\r\n"))
    head = c.head()
    assert head.status == status and head.get("content-length") == ([] if status == 204 else ["1000"])
    c.send(GET)
    assert o.head().line.startswith("GET /path")
    o.send(OK)
    assert c.message()[1] == b"ok"


def test_a_slow_reader_holds_up_its_endpoint_and_nobody_else(proxy, origin, dial):
    m = proxy(listener="per_connection_buffer_limit_bytes = 65536;")
    c = dial()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.send(GET)
    o = origin.accept()
    o.head()
    o.sock.setblocking(False)
    o.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent, quiet = 0, 0
    while quiet < 30:
        try:
            sent += o.sock.send(b"1000\r\n" + bytes(4096) + b"\r\n")
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.01)
    assert sent < 64 << 20
    assert m.stat("server.buffer_bytes") <= 128 * 1024
    other = dial()
    other.send(GET)
    p = origin.accept()
    p.head()
    p.send(OK)
    assert other.message()[1] == b"ok"


# ---- ends and errors ----

def test_nobody_listens(proxy, dial):
    m = proxy()
    c = dial()
    for _ in range(2):
        c.send(GET)
        head, body = c.message()
        assert head.status == 503 and body.startswith(b"upstream connect error or disconnect/reset before headers")
        assert head["content-type"] == "text/plain" and head["server"] == "istio-envoy"


def test_no_route(proxy, dial):
    proxy(http='prefix = "/here";')
    c = dial()
    c.send(GET)
    assert c.message()[0].status == 404


@pytest.mark.parametrize("answer,status", [(b"", 503), (b"HTTP/1.1 2", 503), (b"HTTP/1.1 abc OK\r\n\r\n", 502), (b"nonsense\r\n\r\n", 502),
                                           (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 502)])
def test_a_bad_answer(proxy, origin, dial, answer, status):
    proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    o.send(answer)
    o.close()
    assert c.message()[0].status == status
    c.send(GET)
    o = origin.accept()
    o.head()
    o.send(OK)
    assert c.message()[1] == b"ok"


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_an_answer_that_is_cut_is_seen_as_cut(proxy, origin, dial, how):
    proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    o.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 10\r\n\r\nabc" if how == "length" else b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"))
    c.head()
    o.close()
    with pytest.raises((ConnectionResetError, AssertionError)):
        c.exactly(10) if how == "length" else c.chunked()


@pytest.mark.parametrize("request_,status", [(b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
                                             (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505), (b"nonsense\r\n\r\n", 400),
                                             (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
                                             (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
                                             (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400)])
def test_a_bad_request(proxy, origin, dial, request_, status):
    m = proxy()
    c = dial()
    c.send(request_ + GET)
    head, _ = c.message()
    assert head.status == status and head["connection"] == "close"
    c.ends()
    origin.nobody(0)
    wait_for("counted", lambda: m.stat("http.web.downstream_cx_protocol_error") == 1)
    wait_for("gone", lambda: m.stat("server.connections") == 0)


LENGTH, CHUNKED = b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("body", [LENGTH % 10 + b"0123456789", LENGTH % 0, CHUNKED + b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"])
def test_a_body_of_the_greatest_length(proxy, origin, dial, body):
    proxy(http="max_request_bytes = 10;")
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + body)
    o = origin.accept()
    o.head()
    o.send(OK)
    assert c.message()[0].status == 200


@pytest.mark.parametrize("body", [LENGTH % 11, b"Expect: 100-continue\r\n" + LENGTH % 11, LENGTH % (2 ** 62)])
def test_a_body_that_says_it_is_too_long(proxy, origin, dial, body):
    proxy(http="max_request_bytes = 10;")
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + body)
    head, _ = c.message()
    assert head.status == 413 and head["connection"] == "close"
    c.ends()
    origin.nobody(0)


@pytest.mark.parametrize("chunks", [b"b\r\n01234567890\r\n", b"a\r\n0123456789\r\n1\r\n0\r\n"])
def test_a_body_that_becomes_too_long(proxy, origin, dial, chunks):
    proxy(http="max_request_bytes = 10;")
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKED)
    o = origin.accept()
    o.head()
    c.send(chunks + b"0\r\n\r\n")
    head, _ = c.message()
    assert head.status == 413 and head["connection"] == "close"
    c.ends()
    with contextlib.suppress(ConnectionResetError):
        assert b"\r\n0\r\n" not in o.rest()


def test_a_bad_chunk_is_never_sent_on(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    o = origin.accept()
    o.head()
    o.until(b"abc\r\n")
    c.send(b"zz\r\n")
    head, _ = c.message()
    assert head.status == 400 and head["connection"] == "close"
    c.ends()
    with contextlib.suppress(ConnectionResetError):
        assert b"0\r\n" not in o.rest()


def test_the_client_goes_while_it_waits(proxy, origin, dial):
    m = proxy()
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    o = origin.accept()
    o.head()
    c.close()
    with contextlib.suppress(ConnectionResetError):
        o.rest()
    wait_for("gone", lambda: m.stat("server.connections") == 0)
    assert m.stat("cluster.origin.upstream_cx_active") == 0


def test_a_client_that_has_said_all_gets_its_answer(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(GET)
    c.sock.shutdown(socket.SHUT_WR)
    o = origin.accept()
    o.head()
    time.sleep(0.05)
    o.send(OK)
    head, body = c.message()
    assert body == b"ok" and head["connection"] == "close"
    c.ends()


def test_an_early_answer(proxy, origin, dial):
    m = proxy()
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    o = origin.accept()
    o.head()
    o.send(b"HTTP/1.1 413 Too much\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
    o.close()
    head, body = c.message()
    assert head.status == 413 and body == b"no\n" and head["connection"] == "close"
    c.close()
    wait_for("gone", lambda: m.stat("server.connections") == 0)


# ---- interim answers ----

def test_100_continue(proxy, origin, dial):
    proxy()
    c = dial()
    for again in range(2):
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        if again == 0:
            o = origin.accept()
        assert o.head()["expect"] == "100-continue"
        o.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert c.head().status == 100
        c.send(b"hello")
        assert o.exactly(5) == b"hello"
        o.send(OK)
        assert c.message()[1] == b"ok"


def test_early_hints(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    o.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK)
    for _ in range(3):
        head = c.head()
        assert head.status == 103 and head["link"] == "</a>"
    assert c.message()[1] == b"ok"


def test_interim_answers_without_end(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            o.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    while (head := c.head()).status == 103:
        pass
    assert head.status == 502


# ---- pipelining, HTTP/1.0 ----

def test_pipelined_requests_are_answered_in_order(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(100)))
    o = origin.accept()
    for i in range(100):
        assert o.head().line == f"GET /{i} HTTP/1.1"
        o.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(i)), i))
    for i in range(100):
        assert c.message()[1] == str(i).encode()


def test_pipelined_requests_with_bodies(proxy, origin, dial):
    proxy()
    c = dial()
    data = b"".join(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (i, 1000 * i) + BODY[:1000 * i] for i in range(20))
    sender = threading.Thread(target=c.send, args=(data,))
    sender.start()
    o = None
    for i in range(20):
        o = o or origin.accept()
        head, body = o.message()
        assert head.line == f"POST /{i} HTTP/1.1" and body == BODY[:1000 * i]
        o.send(OK)
    sender.join()
    for i in range(20):
        assert c.message()[1] == b"ok"


def test_a_flood_of_pipelined_requests_is_not_read(proxy, origin, dial):
    m = proxy(http="max_pipelined_requests = 2;")
    c = dial()
    c.sock.setblocking(False)
    sent = quiet = 0
    while quiet < 30:
        try:
            sent += c.sock.send(GET * 100)
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.01)
    assert m.stat("server.buffer_bytes") < 1 << 20


def test_http_1_0(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(b"GET / HTTP/1.0\r\n\r\n")
    o = origin.accept()
    assert o.head().line == "GET / HTTP/1.1"
    o.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(BODY[:10000], 100))
    head = c.head()
    assert head["connection"] == "close" and head.get("transfer-encoding") == []
    assert c.rest() == BODY[:10000]
    c = dial()
    for _ in range(3):
        c.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        o.head()
        o.send(OK)
        head, body = c.message()
        assert body == b"ok" and head["connection"] == "keep-alive"


# ---- kept connections ----

def serve_one(origin, o=None):
    o = o or origin.accept()
    o.head()
    o.send(OK)
    return o


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_kept_connection_that_the_endpoint_closes(proxy, origin, dial, method):
    """At every moment around the request: it is sent again, and never fails."""
    m = proxy()
    c = dial()
    c.send(GET)
    o = serve_one(origin)
    c.message()
    for i in range(30):
        closer = threading.Thread(target=lambda: (time.sleep(i * 0.0001), o.close()))
        closer.start()
        c.send(method.encode() + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        closer.join()
        o = origin.accept()
        head, body = o.message()
        assert body == b"abc"
        o.send(OK)
        assert c.message()[0].status == 200
    assert m.stat("cluster.origin.upstream_rq_5xx") == 0


def test_answer_and_end_at_once(proxy, origin, dial):
    proxy()
    c = dial()
    for _ in range(20):
        c.send(GET)
        serve_one(origin).close()
        assert c.message()[1] == b"ok"


def test_max_connections(proxy, origin, dial):
    """Those who wait get a connection when one is free."""
    m = proxy(cluster="max_connections = 1;")
    a, b, c = dial(), dial(), dial()
    for peer in a, b, c:
        peer.send(GET)
    o = origin.accept()
    for _ in range(3):
        o.head()
        wait_for("others wait", lambda: m.stat("cluster.origin.upstream_rq_pending_active") <= 2)
        o.send(OK)
    for peer in a, b, c:
        assert peer.message()[1] == b"ok"
    origin.nobody(0)


def test_max_pending_requests(proxy, origin, dial):
    m = proxy(cluster="max_connections = 1; max_pending_requests = 1;")
    a, b, c = dial(), dial(), dial()
    a.send(GET)
    o = origin.accept()
    o.head()
    b.send(GET)
    wait_for("b waits", lambda: m.stat("cluster.origin.upstream_rq_pending_active") == 1)
    c.send(GET)
    head, body = c.message()
    assert head.status == 503 and head["x-envoy-overloaded"] == "true" and b"overflow" in body
    o.send(OK)
    serve_one(origin, o)
    assert a.message()[1] == b.message()[1] == b"ok"


# ---- time ----

def test_times(proxy, origin, dial):
    m = proxy(http='timeout = "300ms"; request_headers_timeout = "200ms"; idle_timeout = "400ms"; stream_idle_timeout = "600ms";')
    c = dial()
    c.send(GET[:20])
    assert c.message()[0].status == 408
    c.ends()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    head, body = c.message()
    assert head.status == 504 and body == b"upstream request timeout"
    c.ends()                        # idle
    c = dial()
    c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    o = origin.accept()
    o.head()
    assert c.message()[0].status == 408
    c.ends()
    wait_for("counted", lambda: m.stat("http.web.downstream_rq_idle_timeout") == 1)
    s = m.stats()
    assert s["http.web.downstream_rq_header_timeout"] == s["cluster.origin.upstream_rq_timeout"] == 1
    assert s["http.web.downstream_cx_idle_timeout"] == 1


# ---- the access log ----

HTTP_LINE = re.compile(
    r'^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" (?P<status>\d+) (?P<flags>\S+) '
    r'(?P<details>\S+) - "(?P<reason>[^"]*)" (?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+) (?P<service>\S+) "(?P<forwarded>[^"]*)" '
    r'"(?P<agent>[^"]*)" "(?P<id>[^"]*)" "(?P<authority>[^"]*)" "(?P<host>\S+)" (?P<cluster>\S+) (?P<local>\S+) (?P<down>\S+) '
    r'(?P<client>\S+) - (?P<route>\S+)$')


def lines(m, n):
    wait_for(f"{n} lines", lambda: m.log.exists() and len(m.log.read_text().splitlines()) >= n)
    found = [HTTP_LINE.match(l) for l in m.log.read_text().splitlines()]
    assert all(found), m.log.read_text()
    return [f.groupdict() for f in found]


def test_the_log(proxy, origin, dial):
    m = proxy()
    c = dial()
    c.send(b"POST /a?b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: me\r\nX-Request-Id: 7\r\nX-Forwarded-For: 192.0.2.1\r\n"
           b"Content-Length: 3\r\n\r\nabc")
    o = origin.accept()
    o.message()
    o.send(OK)
    c.message()
    c.send(b"nonsense\r\n\r\n")
    c.message()
    first, second = lines(m, 2)
    assert first["method"] == "POST" and first["path"] == "/a?b" and first["status"] == "200" and first["details"] == "via_upstream"
    assert (first["received"], first["sent"], first["agent"], first["authority"]) == ("3", "2", "me", "example.com")
    assert first["host"] == f"127.0.0.1:{ORIGIN}" and first["cluster"] == "origin" and first["local"].startswith("127.0.0.1:")
    assert second["status"] == "400" and second["flags"] == "DPE" and second["method"] == "-"


# ---- reload, drain, the operator ----

def test_routes_change_under_a_connection(proxy, origin, dial, host):
    m = proxy()
    c = dial()
    c.send(GET)
    o = serve_one(origin)
    c.message()
    with contextlib.closing(Origin(host, ORIGIN + 1)) as second:
        assert m.reload(configuration(endpoint="127.0.0.1").replace(f":{ORIGIN}", f":{ORIGIN + 1}")).returncode == 0
        c.send(GET)
        serve_one(second)
        assert c.message()[1] == b"ok"
    o.ends()                # nobody needs it any more


def test_a_request_ends_under_the_generation_it_began_with(proxy, origin, dial, host):
    m = proxy()
    c = dial()
    c.send(GET)
    o = origin.accept()
    o.head()
    assert m.reload(configuration(http='server_name = "other";')).returncode == 0
    o.send(OK)
    assert c.message()[0]["server"] == "istio-envoy"
    c.send(GET)
    serve_one(origin, o)
    assert c.message()[0]["server"] == "other"


def test_a_stop_ends_connections_between_requests(proxy, origin, dial):
    m = proxy()
    busy, idle = dial(), dial()
    idle.send(GET)
    o = serve_one(origin)
    idle.message()
    busy.send(GET)
    o.head()
    m.process.signal(15)
    idle.ends()
    o.send(OK)
    head, body = busy.message()
    assert body == b"ok" and head["connection"] == "close"
    busy.ends()
    m.check_gone(m.process.wait(10))


def test_connections_are_listed_and_ended(proxy, origin, dial):
    m = proxy()
    busy, idle = dial(), dial()
    idle.send(GET)
    o = serve_one(origin)
    idle.message()
    busy.send(GET)
    o.head()
    wait_for("both", lambda: sorted(c["state"] for c in m.connections()) == ["busy", "idle"])
    (b,) = [c for c in m.connections() if c["state"] == "busy"]
    assert b["cluster"] == "origin" and b["endpoint"] == f"127.0.0.1:{ORIGIN}"
    m.ask("drain", "--listener", "web", "--over", "1ms")
    idle.ends()


# ---- tunnels ----

UPGRADE = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize("early", [b"", b"before it was asked"])
def test_an_upgrade(proxy, origin, dial, early):
    m = proxy()
    c = dial()
    c.send(GET)
    o = serve_one(origin)
    c.message()
    c.send(UPGRADE + early)
    head = o.head()
    assert head["upgrade"] == "websocket" and head["connection"].lower() == "upgrade" and head["sec-websocket-key"] == "x"
    o.send(SWITCH + b"hello")
    head = c.head()
    assert head.status == 101 and head["upgrade"] == "websocket" and head["connection"].lower() == "upgrade"
    assert c.exactly(5) == b"hello" and o.exactly(len(early)) == early
    for i in range(50):
        c.send(b"ping%d" % i)
        assert o.until(b"%d" % i) == b"ping%d" % i
        o.send(b"pong%d" % i)
        assert c.until(b"%d" % i) == b"pong%d" % i
    assert m.stat("http.web.downstream_cx_upgrades_active") == 1
    exchange(c, BODY, lambda: o.exactly(len(BODY)))
    exchange(o, BODY, lambda: c.exactly(len(BODY)))
    (listed,) = m.connections()
    assert listed["state"] == "open" and listed["cluster"] == "origin"
    c.sock.shutdown(socket.SHUT_WR)
    o.ends()
    o.send(b"bye")
    o.close()
    assert c.rest() == b"bye"
    wait_for("gone", lambda: m.stat("server.connections") == 0)
    s = m.stats()
    assert s.get("http.web.downstream_cx_upgrades_active", 0) == s.get("cluster.origin.upstream_cx_active", 0) == 0
    assert s["http.web.downstream_cx_upgrades_total"] == 1
    line = lines(m, 2)[1]
    assert line["status"] == "101" and int(line["sent"]) > len(BODY) and int(line["received"]) > len(BODY)


def test_an_upgrade_that_is_refused(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(UPGRADE)
    o = serve_one(origin)
    assert c.message()[1] == b"ok"
    c.send(GET.replace(b"\r\n\r\n", b"\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n"))
    assert o.head().get("upgrade") == []
    o.send(OK)
    assert c.message()[1] == b"ok"


def test_connect(proxy, origin, dial):
    m = proxy(http='upgrade_configs = [ "connect" ];')
    c = dial()
    c.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nfirst")
    o = origin.accept()
    assert o.head().line == "CONNECT a:1 HTTP/1.1"
    o.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert c.head().status == 200
    assert c.exactly(5) == b"hello" and o.exactly(5) == b"first"
    c.send(b"x")
    assert o.exactly(1) == b"x"
    c.close()
    o.ends()
    o.close()
    wait_for("gone", lambda: m.stat("server.connections") == 0)


def test_connect_is_not_allowed_by_itself(proxy, origin, dial):
    proxy()
    c = dial()
    c.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    assert c.message()[0].status == 404
    origin.nobody(0)


# ---- first bytes decide ----

def sniffing(listener="", chain=""):
    return f"""listeners = ( {{ name = "auto"; address = "0.0.0.0"; port = {PORT}; {listener} filter_chains = (
      {{ filter_chain_match = {{ application_protocols = [ "http/1.0", "http/1.1" ]; }};
         filters = ( {{ type = "http"; cluster = "origin"; stat_prefix = "web"; }} ); }},
      {{ filters = ( {{ type = "tcp_proxy"; cluster = "origin"; stat_prefix = "raw"; }} ); }} ); }} );
clusters = ( {{ name = "origin"; endpoints = [ "127.0.0.1:{ORIGIN}" ]; }} );
"""


@pytest.fixture
def auto(host, start):
    return start(host, sniffing(), workers=1, intercept="")


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_http_is_recognised_and_uses_what_was_dialled(auto, origin, dial, pieces):
    c = dial()
    size = -(-len(GET) // pieces) if pieces < 1000 else 1
    for i in range(0, len(GET), size):
        c.send(GET[i:i + size])
        time.sleep(0.002)
    o = origin.accept()
    assert o.head()["x-request-id"]
    o.send(OK)
    assert c.message()[1] == b"ok"
    c.send(GET)
    serve_one(origin, o)
    c.message()
    origin.nobody(0.05)
    s = auto.stats()
    assert s["http.web.downstream_cx_total"] == 1 and s.get("tcp.raw.downstream_cx_total", 0) == 0
    assert s["cluster.origin.upstream_cx_total"] == 1 and s["http.web.downstream_rq_total"] == 2
    c.close()
    wait_for("gone", lambda: auto.stat("server.connections") == 0)


@pytest.mark.parametrize("first", [b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"\0\1\2", b"GET / nothing\r\n", b"x" * 40])
def test_what_is_not_http_is_passed_on(auto, origin, dial, first):
    c = dial()
    for i in range(len(first)):
        c.send(first[i:i + 1])
    o = origin.accept()
    assert o.exactly(len(first)) == first
    o.send(b"answer")
    assert c.exactly(6) == b"answer"
    c.sock.shutdown(socket.SHUT_WR)
    o.ends()
    o.close()
    c.ends()
    wait_for("gone", lambda: auto.stat("server.connections") == 0)
    s = auto.stats()
    assert s["tcp.raw.downstream_cx_total"] == 1 and s["tcp.raw.downstream_cx_rx_bytes_total"] == len(first)


def test_a_server_that_speaks_first(auto, origin, dial):
    c = dial()
    o = origin.accept()
    o.send(b"220 welcome\r\n")
    assert c.until(b"\r\n") == b"220 welcome\r\n"
    c.send(b"GET / HTTP/1.1\r\n")
    assert o.until(b"\r\n") == b"GET / HTTP/1.1\r\n"
    c.close()
    o.ends()


def test_a_client_that_says_nothing(host, start, origin, dial):
    m = start(host, sniffing('listener_filters_timeout = "200ms";'), workers=1, intercept="")
    c = dial()
    o = origin.accept()
    wait_for("decided", lambda: m.stat("tcp.raw.downstream_cx_total") == 1)
    assert m.stat("listener.0.0.0.0_8000.downstream_pre_cx_timeout") == 1
    c.send(GET)
    assert o.until(GET) == GET
    c = dial()
    c.close()
    origin.accept().ends()


def test_nobody_listens_behind_what_is_sniffed(auto, dial):
    c = dial()
    time.sleep(0.05)
    c.send(GET)
    assert c.message()[0].status == 503
    c = dial()
    c.send(b"\0")
    with contextlib.suppress(ConnectionResetError):
        c.ends()
    wait_for("gone", lambda: auto.stat("server.connections") == 1)
