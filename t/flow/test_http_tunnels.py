"""What a connection becomes after 101, or after 2xx to CONNECT: bytes both ways, as in test_tunnel.py."""
import threading
import socket

import pytest

from lib import http_rows
from lib.hosts import readable
from lib.http_client import Client, name
from lib.http_mesh import GATE, ORIGIN, gate
from lib.http_origin import Origin, Script, answer
from lib.http_rows import NAME
from lib.traffic import reset

ALL_UPGRADES = 'upgrade_configs = [ "websocket", "connect" ];'


def get(called, *fields):
    return http_rows.get(*fields).replace(NAME, called)


UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
TUNNELS = {"upgrade": (lambda x: get(x, *UPGRADE), b"GET", SWITCH, 101),
           "connect": (lambda x: http_rows.lines(b"CONNECT b:80 HTTP/1.1", b"Host: b:80", b"X-Id: " + x), b"CONNECT", b"HTTP/1.1 200 OK\r\n\r\n", 200)}
KINDS = pytest.mark.parametrize("kind", TUNNELS)


class RawOrigin:
    """Answers one request with these bytes; what follows is the test's."""

    def __init__(self, host):
        self.listener = host.listen("127.0.0.1", 9001)

    def accept(self, reply):
        s, _ = self.listener.accept()
        s.settimeout(10)
        got = b""
        while b"\r\n\r\n" not in got:
            got += s.recv(65536)
        head, _, rest = got.partition(b"\r\n\r\n")
        s.sendall(reply)
        return s, head.lower(), rest


@pytest.fixture
def raw(host, start):
    start(host, gate(ALL_UPGRADES, to=("127.0.0.1", 9001)), intercept="")
    origin = RawOrigin(host)
    yield origin
    origin.listener.close()


def open_tunnel(host, raw, kind, early=b"", reply=b""):
    make, method, switch, status = TUNNELS[kind]
    c = Client(host, *GATE)
    c.send(make(name()) + early, method)
    s, head, rest = raw.accept(switch + reply)
    m = c.response()
    assert m.status == status and not m.values(b"content-length") and not m.values(b"transfer-encoding")
    return c, s, head, rest


def read(s, n):
    got = b""
    while len(got) < n and (data := s.recv(n - len(got))):
        got += data
    return got


@KINDS
def test_bytes_right_behind_the_heads(host, raw, kind):
    """What either side sends without waiting is neither lost nor taken for HTTP."""
    c, s, head, rest = open_tunnel(host, raw, kind, early=b"GET / HTTP/1.1\r\n\r\n", reply=b"HTTP/1.1 200 OK\r\n\r\n")
    if kind == "upgrade":
        assert b"\r\nupgrade: websocket" in head and b"upgrade" in head.split(b"\r\nconnection: ")[1].split(b"\r\n")[0]
        assert c.reader.messages[0].value(b"upgrade") == b"websocket" and c.reader.messages[0].has_option(b"upgrade")
    assert rest + read(s, 18 - len(rest)) == b"GET / HTTP/1.1\r\n\r\n"
    while len(c.reader.tunnel) < 19:
        assert c._more()
    assert bytes(c.reader.tunnel) == b"HTTP/1.1 200 OK\r\n\r\n"
    for word in b"ping", b"\x00\r\n\r\n" * 100_000:
        sender = threading.Thread(target=c.sock.sendall, args=(word,))
        sender.start()
        assert read(s, len(word)) == word
        sender.join()
        sender = threading.Thread(target=s.sendall, args=(word,))
        sender.start()
        assert read(c.sock, len(word)) == word
        sender.join()
    for x in c, s:
        x.close()


@KINDS
def test_half_close_in_a_tunnel(host, raw, kind):
    c, s, _, _ = open_tunnel(host, raw, kind)
    c.sock.sendall(b"question")
    c.sock.shutdown(socket.SHUT_WR)
    assert read(s, 100) == b"question"
    s.sendall(b"answer")
    s.close()
    assert read(c.sock, 100) == b"answer"
    c.close()


@KINDS
def test_reset_in_a_tunnel(host, raw, kind):
    for first in "client", "origin":
        c, s, _, _ = open_tunnel(host, raw, kind)
        a, b = (c.sock, s) if first == "client" else (s, c.sock)
        reset(a)
        assert readable(b, 10)
        with pytest.raises(ConnectionResetError):
            b.recv(10)
        b.close()


def test_a_tunnel_is_for_one_client(host, raw):
    """The next client's request goes on a connection of its own."""
    c, s, _, _ = open_tunnel(host, raw, "upgrade")
    with Client(host, *GATE) as other:
        other.send(get(name()))
        s2, _, _ = raw.accept(answer(b"other"))
        assert bytes(other.response().body) == b"other"
        s2.close()
    s.sendall(b"x")
    assert read(c.sock, 1) == b"x"
    c.close()
    s.close()


def test_upgrade_that_is_not_switched_on(host, start):
    """The request goes on without it, or is refused; nothing is switched."""
    with Origin(host, *ORIGIN, script=lambda r: Script(answer(b"plain"))) as origin:
        start(host, gate('upgrade_configs = [ ];'), intercept="")
        with Client(host, *GATE) as c:
            called = name()
            m = c.ask(get(called, *UPGRADE))
            assert m.status in (200, 403)
            assert all(not r.values(b"upgrade") for r in origin.of(called))


@pytest.mark.parametrize("who", ["meshd", "the origin"])
def test_connect_that_is_refused(host, start, who):
    """What a client sent behind it, in hope, is not taken for a request: the connection ends."""
    with Origin(host, *ORIGIN, script=lambda r: Script(answer(b"no", status=b"403 Forbidden"))) as origin:
        start(host, gate(ALL_UPGRADES if who == "the origin" else ""), intercept="")
        hope = name()
        with Client(host, *GATE) as c:
            m = c.ask(TUNNELS["connect"][0](name()) + get(hope), b"CONNECT")
            assert m.status == (403 if who == "the origin" else 404) and m.has_option(b"close")
            assert c.ends() == "eof"
        assert not origin.of(hope)
