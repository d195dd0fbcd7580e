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
