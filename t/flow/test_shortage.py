"""Out of descriptors, out of local ports: shed, counted, told, and over when the shortage is."""
import resource

from lib.hosts import wait_for
from lib.traffic import ends
from test_routes import at_rest, gateway


def door(start, a, b):
    return start(a, f"listeners = ( {gateway(8000, 'b')} );\n"
                    f'clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }} );\n', workers=1, intercept="")


def test_out_of_descriptors(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = door(start, a, b)
    (worker,) = m.workers()
    whole = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    with b.listen(b.v4, 9000) as l:
        kept = c.connect(a.v4, 8000)
        kept_server, _ = l.accept()
        highest = m.descriptors(worker)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (highest + 5, highest + 5))
        crowd = [c.connect(a.v4, 8000) for _ in range(20)]
        wait_for("connections are shed", lambda: m.stat("server.shed_descriptors") > 0)
        # Those that found a place are open still; all others have been reset, none waits.
        l.settimeout(0.5)
        served = []
        try:
            while True:
                served.append(l.accept()[0])
        except TimeoutError:
            pass
        assert len(served) < 20
        gone = 0
        for s in crowd:
            s.settimeout(0.5)
            try:
                assert s.recv(1) == b""
                gone += 1
            except ConnectionResetError:
                gone += 1
            except TimeoutError:
                pass
        assert gone == 20 - len(served)
        assert "out of descriptors" in m.process.output()
        at_rest(m)
        kept.sendall(b"still here")
        assert kept_server.recv(100) == b"still here"
        resource.prlimit(worker, resource.RLIMIT_NOFILE, whole)
        l.settimeout(10)
        again = c.connect(a.v4, 8000)
        l.accept()[0].close()
        assert ends(again) == "eof"
        assert m.workers() == [worker]


def test_out_of_local_ports(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = door(start, a, b)
    a.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40003")
    with b.listen(b.v4, 9000) as l:
        clients = [c.connect(a.v4, 8000) for _ in range(8)]
        servers = [l.accept()[0] for _ in range(4)]
        wait_for("four have no port", lambda: m.stat("cluster.b.upstream_cx_no_local_port") == 4)
        line = m.logged(cluster="b", details="no_local_port", count=4)
        assert line["flags"] == "UF,URX"
        at_rest(m)
        for s in servers:       # closed here first: the ports wait at this end, not at the proxy's
            s.close()
        outcome = sorted(ends(s) for s in clients)
        assert outcome == ["eof"] * 4 + ["reset"] * 4
        for s in clients:
            s.close()
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        again = c.connect(a.v4, 8000)
        l.accept()[0].close()
        assert ends(again) == "eof"
