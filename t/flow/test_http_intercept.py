"""Intercepted HTTP: whose a kept connection to the application is, directions at one port, sources, no way round."""
import contextlib
import threading

import pytest

from lib.hosts import wait_for
from lib.mesh import VIP, bracket
from lib.rules import rules
from test_http import GET, OK, Origin, Peer
from test_loops import IN_AGAIN, NONE, OUT_AGAIN, loops_refused

VERSIONS = pytest.mark.parametrize("version", [4, 6])
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
WILDCARD = {4: "0.0.0.0", 6: "::"}
TPROXY = 'intercept = { mode = "tproxy"; };\n'


class Mirror:
    """An application that answers each request with the address that it comes from, and the port that it came to."""

    def __init__(self, host, ip, port):
        self.listener, self.port, self.peers = host.listen(ip, port), port, []
        self.listener.settimeout(None)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, address = self.listener.accept()
                self.peers.append(address[:2])
                threading.Thread(target=self._serve, args=(sock, address[0]), daemon=True).start()

    def _serve(self, sock, ip):
        answer = f"{ip} {self.port}".encode()
        with contextlib.suppress(OSError, AssertionError), sock:
            peer = Peer(sock)
            sock.settimeout(30)
            while True:
                peer.head()
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(2)
        self.listener.close()


def ask(client):
    client.send(GET)
    head, body = client.message()
    assert head.status == 200
    return body.decode()


def inbound(protocol, more="", port=9000):
    return f'inbound = ( {{ port = {port}; protocol = "{protocol}"; {more} }} );\n'


def service(name, ip, protocol, endpoint, port=9000):
    return f'{{ name = "{name}"; port = {port}; protocol = "{protocol}"; addresses = [ "{ip}" ]; endpoints = [ "{endpoint}" ]; }}'


# ---- tproxy: whose a connection is ----

@VERSIONS
@pytest.mark.parametrize("protocol", ["http", "auto"])
def test_each_client_has_connections_of_its_own(net, start, version, protocol):
    """Idle ones of another client would do, but the application would take the request for that one's."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(b, inbound(protocol), intercept=TPROXY, workers=1)
    with Mirror(b, LOOPBACK[version], 9000) as app:
        clients = [(h, Peer(h.connect(b.ip[version], 9000))) for h in (a, c, a, c)]
        for _ in range(5):
            for host, client in clients:
                assert ask(client) == f"{host.ip[version]} 9000"
        assert m.stat("cluster.inbound|9000||.upstream_rq_total") == 20
        of = [ip for ip, _ in app.peers]
        if protocol == "http":      # one after the other: one connection does for all of a client's
            assert sorted(of) == sorted([a.ip[version], c.ip[version]])
        else:                       # each client's connection has dialled one before it said that it speaks HTTP
            assert sorted(of) == sorted([a.ip[version], c.ip[version]] * 2)
        for _, client in clients:
            client.close()
        wait_for("all clients are gone", lambda: m.stat("server.connections") == 0)
        last = Peer(c.connect(b.ip[version], 9000))
        assert ask(last) == f"{c.ip[version]} 9000"
        last.close()


def test_a_client_that_ends_leaves_nothing_to_another(net, start):
    """By hand: the second client's request is not sent on the connection that the first one has left, nor the other way."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    start(b, inbound("http"), intercept=TPROXY, workers=1)
    with contextlib.closing(Origin(b)) as app:
        kept = {}
        for host in a, c, a, c, c, a:
            client = Peer(host.connect(b.v4, 9000))
            client.send(GET)
            if host not in kept:
                kept[host] = app.accept()
                assert kept[host].sock.getpeername()[0] == host.v4
            kept[host].head()
            kept[host].send(OK)
            assert client.message()[1] == b"ok"
            client.close()
        app.nobody(0)


@pytest.mark.parametrize("protocol", ["http", "auto"])
@pytest.mark.parametrize("listens", [(4, 6), (4,), (6,)])
def test_an_application_of_one_family_or_both(net, start, listens, protocol):
    """127.0.0.1 and ::1: the client's family first; over the other one it is loopback itself."""
    a, b = net.host("a"), net.host("b")
    m = start(b, inbound(protocol), intercept=TPROXY, workers=1)
    with contextlib.ExitStack() as stack:
        for v in listens:
            stack.enter_context(Mirror(b, LOOPBACK[v], 9000))
        for version in 4, 6:
            client = Peer(a.connect(b.ip[version], 9000))
            for _ in range(3):
                assert ask(client) == f"{a.ip[version] if version in listens else LOOPBACK[10 - version]} 9000"
            client.close()
    # Each request tries the client's family first; "auto" has done so before the first one as well.
    assert m.stat("cluster.inbound|9000||.upstream_cx_connect_fail") == (0 if len(listens) == 2 else 3 if protocol == "http" else 4)


def test_no_endpoint_of_either_family(net, start):
    a, b = net.host("a"), net.host("b")
    m = start(b, inbound("http"), intercept=TPROXY, workers=1)
    client = Peer(a.connect(b.v4, 9000))
    for n in range(1, 4):
        client.send(GET)
        assert client.message()[0].status == 503
        assert m.stat("cluster.inbound|9000||.upstream_cx_connect_fail") == 2 * n
    client.close()


# ---- redirect ----

@VERSIONS
def test_sources_in_turn(net, start, version):
    """Requests that are under way at once have a connection each, and these have as many sources as there are."""
    a, b = net.host("a"), net.host("b")
    start(b, inbound("http", f'endpoint = "{bracket(LOOPBACK[version], 9000)}";'), workers=1,
          intercept="intercept = { inbound_sources = 4; };\n")
    with contextlib.closing(Origin(b, ip=LOOPBACK[version])) as app:
        clients = [Peer(a.connect(b.ip[version], 9000)) for _ in range(8)]
        for client in clients:
            client.send(GET)
        taken = [app.accept() for _ in clients]
        peers = [o.sock.getpeername()[0] for o in taken]
        assert sorted(peers) == sorted({4: f"127.0.0.{n}", 6: f"::{n}"}[version] for n in (6, 7, 8, 9) for _ in range(2))
        for o in taken:
            o.head()
            o.send(OK)
        for client in clients:
            assert client.message()[1] == b"ok"
            client.send(GET)        # and they are anybody's
        for o in taken:
            o.head()
            o.send(OK)
        for client in clients:
            assert client.message()[1] == b"ok"
            client.close()
        app.nobody(0)


def test_what_passes_through_goes_where_it_went(net, start):
    """Kept connections of original_dst are of one destination."""
    a, b = net.host("a"), net.host("b")
    m = start(b, "", workers=1)
    with Mirror(b, b.v4, 9300) as one, Mirror(b, b.v4, 9301) as two:
        clients = [(port, Peer(a.connect(b.v4, port))) for port in (9300, 9301)]
        for _ in range(5):
            for port, client in clients:
                assert ask(client) == f"127.0.0.6 {port}"
        assert len(one.peers) == len(two.peers) == 1
        for _, client in clients:
            client.close()
    assert m.stat("cluster.InboundPassthroughCluster.upstream_rq_total") == 10


# ---- one port ----

@VERSIONS
@pytest.mark.parametrize("protocol", ["http", "auto"])
def test_directions_at_one_port(net, start, version, protocol):
    a, b = net.host("a"), net.host("b")
    vips = [VIP[version].format(n) for n in (60, 61)]
    m = start(a, inbound(protocol, f'endpoint = "{bracket(LOOPBACK[version], 9000)}";') + "services = ( " +
              service("there", vips[0], protocol, bracket(b.ip[version], 9100)) + ",\n" +
              service("self", vips[1], protocol, bracket(a.ip[version], 9000)) + " );\n",
              intercept="intercept = { port = 8090; };\n", workers=1)
    with Mirror(a, WILDCARD[version], 9000), Mirror(b, b.ip[version], 9100):
        out, inn, own = Peer(a.connect(vips[0], 9000)), Peer(b.connect(a.ip[version], 9000)), Peer(a.connect(vips[1], 9000))
        for _ in range(3):
            assert ask(out) == f"{a.ip[version]} 9100"
            assert ask(inn) == ask(own) == f"{LOOPBACK[version]} 9000"
        for client in out, inn, own:
            client.close()
        s = m.stats()
        assert s["cluster.outbound|9000||there.upstream_rq_total"] == s["cluster.outbound|9000||self.upstream_rq_total"] == 3
        assert s["cluster.inbound|9000||.upstream_rq_total"] == 6       # of these, 3 have come from outside, 3 by the service
        assert s["listener.virtualInbound.downstream_cx_total"] == 2
        assert loops_refused(m) == 0


# ---- no way round ----

@VERSIONS
@pytest.mark.parametrize("protocol", ["http", "auto"])
def test_what_is_led_back(net, start, version, protocol):
    """Wrong rules: what the worker sends for a request comes back to it, is refused, and not looked into."""
    a, b = net.host("a"), net.host("b")
    ip = VIP[version].format(62)
    m = start(a, inbound(protocol, f'endpoint = "{bracket(LOOPBACK[version], 9000)}";') + "services = ( " +
              service("s", ip, protocol, bracket(b.ip[version], 9000)) + " );\n", intercept=NONE, workers=1)
    with Mirror(a, LOOPBACK[version], 9000) as here, Mirror(b, b.ip[version], 9000) as there:
        for wrong, client_host, to in (OUT_AGAIN, a, ip), (IN_AGAIN, b, a.ip[version]):
            before = m.stat("server.accepted"), loops_refused(m)
            with rules(a, "nat", *wrong):
                client = Peer(client_host.connect(to, 9000))
                with contextlib.suppress(ConnectionError) if protocol == "auto" else contextlib.nullcontext():
                    client.send(GET)
                    assert client.message()[0].status == 503
                client.close()
                wait_for("nothing is left", lambda: m.stat("server.connections") == 0)
            refused = loops_refused(m) - before[1]      # "auto" dials at once, and perhaps again for the request
            assert refused == 1 or protocol == "auto" and refused == 2
            assert m.stat("server.accepted") == before[0] + 1 + refused
        assert here.peers == there.peers == []
    wait_for("their lines", lambda: m.log.read_text().count(" loop_refused ") == loops_refused(m))
