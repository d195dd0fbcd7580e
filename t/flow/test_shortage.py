"""Out of descriptors, out of local ports: shed, counted, told, and over when the shortage is."""
import contextlib
import socket

import pytest

from lib.hosts import wait_for
from lib.traffic import ends
from test_routes import at_rest, gateway


def door(start, a, b, **options):
    return start(a, f"listeners = ( {gateway(8000, 'b')} );\n"
                    f'clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }} );\n', workers=1, intercept="", **options)


def test_out_of_descriptors(net, start):
    """Those that find a place are served; all others are reset, none waits; and it is over when places are free."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = door(start, a, b, wrapper=["prlimit", "--nofile=48:48"])
    (worker,) = m.workers()
    with b.listen(b.v4, 9000) as l:
        crowd = crowd_of(60, c, a)
        wait_for("connections are shed", lambda: m.stat("server.shed_descriptors") > 0)
        wait_for("each is served or reset", lambda: m.stat("server.connections") + sum(map(is_reset, crowd)) == len(crowd))
        open_now = m.stat("server.connections")
        assert 0 < open_now < 24
        served = [l.accept()[0] for _ in range(open_now)]
        assert "out of descriptors" in m.process.output()
        assert m.process.output().count("out of descriptors") < 10
        at_rest(m)
        for s in served:
            s.sendall(b"still here")
        crowd = [s for s in crowd if not is_reset(s)]
        assert len(crowd) == open_now
        for s in crowd:
            assert s.recv(100) == b"still here"
            s.close()
        for s in served:
            s.close()
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        again = c.connect(a.v4, 8000)
        l.accept()[0].close()
        assert ends(again) == "eof"
        assert m.workers() == [worker]


def crowd_of(n, host, to):
    """Connections to the door, some of which are reset before connect(2) is back."""
    crowd = []
    for _ in range(n):
        s = host.socket()
        s.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            s.connect((to.v4, 8000))
        crowd.append(s)
    return crowd


def is_reset(sock):
    """TCP_CLOSE without an end of the stream: reset by the peer.  Reads nothing."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x07"


def test_out_of_local_ports(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = door(start, a, b)
    a.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40003")
    with b.listen(b.v4, 9000) as l:
        clients = crowd_of(8, c, a)
        servers = [l.accept()[0] for _ in range(4)]
        wait_for("four have no port", lambda: m.stat("cluster.b.upstream_cx_no_local_port") == 4)
        line = m.logged(cluster="b", details="no_local_port", count=4)
        assert line["flags"] == "UF,URX"
        at_rest(m)
        for s in servers:       # closed here first: the ports wait at this end, not at the proxy's
            s.close()
        assert sum(map(is_reset, clients)) == 4
        assert [ends(s) for s in clients if not is_reset(s)] == ["eof"] * 4
        for s in clients:
            s.close()
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        again = c.connect(a.v4, 8000)
        l.accept()[0].close()
        assert ends(again) == "eof"


@pytest.mark.parametrize("limit", [48, 49])
def test_a_generation_arrives_though_descriptors_are_out(net, start, limit):
    """With a listening socket beside it, and the loop does not spin on who waits meanwhile."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = door(start, a, b, wrapper=["prlimit", f"--nofile={limit}:{limit}"])
    (worker,) = m.workers()
    with b.listen(b.v4, 9000) as l:
        crowd = crowd_of(60, c, a)
        wait_for("connections are shed", lambda: m.stat("server.shed_descriptors") > 0)
        m.write(f"listeners = ( {gateway(8000, 'b')}, {gateway(8001, 'b', 'second')} );\n"
                f'clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }} );\n')
        assert m.meshctl("reload", "--wait", "--timeout", "5s").returncode == 0
        crowd += crowd_of(3, c, a)
        at_rest(m)
        for s in crowd:
            s.close()
        wait_for("all ended", lambda: drained(l) or m.stat("server.connections") == 0)
        again = c.connect(a.v4, 8001)
        l.accept()[0].close()
        assert ends(again) == "eof"
        assert m.workers() == [worker]


def drained(l):
    l.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        while True:
            l.accept()[0].close()
    l.settimeout(10)
