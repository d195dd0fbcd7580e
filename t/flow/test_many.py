"""Many connections: one after the other with exact totals, until there are no ports, and all at once."""
import pytest

from conftest import LONG
from lib.crowd import Origin, alive, try_connect
from lib.hosts import wait_for
from lib.meshd import SANITIZED
from lib.traffic import Mover, fate
from test_routes import gateway

PORTS = range(9001, 9009)


def config(b, n):
    listed = ", ".join(f'"{b.v4}:{port}"' for port in list(PORTS)[:n])
    return f"listeners = ( {gateway(8000, 'b')} );\nclusters = ( {{ name = \"b\"; endpoints = [ {listed} ]; }} );\n"


def settled(m):
    wait_for("all ended", lambda: m.stat("server.connections") == 0, 30)
    wait_for("nothing is left with the kernel", lambda: m.stat("server.operations_in_flight") == 0)
    return m.stats()


@pytest.mark.long
def test_short_connections_over_8_endpoints(net, start):
    """Each is counted once, everywhere: listener, chain, cluster, endpoints, access log, both ends."""
    n = 200_000 if LONG else 5_000
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    # From the client and towards each endpoint: ports are used again as soon as TCP allows.
    for host in a, c:
        host.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65000", "net.ipv4.tcp_tw_reuse=1")
    m = start(a, config(b, 8), intercept="")
    before = [m.descriptors(w) for w in m.workers()]
    both = dict(send="64", expect="64", time=400)
    servers = [Mover(b, "server", b.v4, port, parallel=256, **both, **{"for": 400}) for port in PORTS]
    client = Mover(c, "client", a.v4, 8000, parallel=32, count=n, **both)
    client.seconds = 400
    assert client.content()["connections"] == n
    served = [s.stop()["connections"] for s in servers]
    stats = settled(m)
    assert sum(served) == n
    assert max(served) - min(served) <= 2, served       # a round of each worker may be unfinished
    for name in ("server.accepted", "listener.0.0.0.0_8000.downstream_cx_total", "listener.0.0.0.0_8000.downstream_cx_destroy",
                 "tcp.b.downstream_cx_total", "cluster.b.upstream_cx_total", "cluster.b.upstream_cx_destroy"):
        assert stats[name] == n, name
    assert stats["cluster.b.upstream_cx_rx_bytes_total"] == stats["tcp.b.downstream_cx_rx_bytes_total"] == 64 * n
    assert stats["cluster.b.upstream_cx_destroy_local"] + stats["cluster.b.upstream_cx_destroy_remote"] == n
    assert stats["server.access_log_lines"] + stats["server.access_log_dropped"] == n
    wait_for("a line for each", lambda: m.log.read_text().count("\n") == stats["server.access_log_lines"], 30)
    assert not any(v for k, v in stats.items() if k.endswith("_active"))
    assert [m.descriptors(w) for w in m.workers()] == before


@pytest.mark.long
def test_until_local_ports_run_out(net, start):
    """Short connections to one endpoint, each leaving its port in TIME_WAIT: those that find none are reset, counted
    and told; when there are ports again, all is well."""
    ports, n = (20_000, 40_000) if LONG else (300, 900)
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    c.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65000", "net.ipv4.tcp_tw_reuse=1")
    a.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range=30000 {30000 + ports - 1}", "net.ipv4.tcp_tw_reuse=0")
    m = start(a, config(b, 1), intercept="", access_log=False)
    both = dict(send="64", expect="64", time=200)
    server = Mover(b, "server", b.v4, PORTS[0], parallel=256, begin="eof", **both, **{"for": 200})
    client = Mover(c, "client", a.v4, 8000, parallel=16, count=n, **both)
    client.seconds = 200
    counted = client.result()       # some of them fail, which is the point
    stats = settled(m)
    shed = stats["cluster.b.upstream_cx_no_local_port"]
    assert counted["connections"] == stats["server.accepted"] == n
    assert counted["failed"] == counted["resets"] == shed > 0
    assert n - shed >= ports - 16       # ports were used up, not given up
    assert stats["cluster.b.upstream_cx_connect_fail"] == shed
    told = m.process.output().count(f"no local port left towards {b.v4}:9001")
    assert 0 < told < 60, "told, and not once for each"
    assert m.status()["shed"]["no_local_port"] == shed
    assert any("no local port" in p for p in m.status()["problems"])
    assert fate(c, a.v4, 8000) == "reset"
    a.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65000")
    again = Mover(c, "client", a.v4, 8000, parallel=16, count=200, **both)
    again.content()
    assert settled(m)["cluster.b.upstream_cx_no_local_port"] == shed + 1
    server.process.popen.terminate()


@pytest.mark.long
def test_all_at_once(net, start, capsys):
    """Held together: what each costs is printed, and goes back when they end."""
    n = 5_000 if LONG else 1_000
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(a, config(b, 1), intercept="")
    # What the first connections bring in is no cost of the later ones.
    with Origin(b, b.v4, PORTS[0]):
        warm = [try_connect(c, a.v4, 8000) for _ in range(64)]
        assert all(alive(s) for s in warm)
        for s in warm:
            s.close()
        settled(m)
        before = {w: (m.memory_bytes(w), m.descriptors(w)) for w in m.workers()}
        held = [try_connect(c, a.v4, 8000) for _ in range(n)]
        assert None not in held
        stats = m.stats()
        assert stats["server.connections"] == stats["cluster.b.upstream_cx_active"] == n
        busy = sum(m.memory_bytes(w) for w in m.workers()) - sum(x for x, _ in before.values())
        assert all(alive(s) for s in held)
        with capsys.disabled():
            print(f"\n{n} connections: {busy / n:.0f} bytes each of worker's memory; spread {m.status()['connections']['imbalance']:.3f}")
        assert SANITIZED or busy / n < 2048
        for s in held:
            s.close()
        settled(m)
        for w in m.workers():
            assert m.descriptors(w) == before[w][1]
            wait_for("memory is back", lambda: SANITIZED or m.memory_bytes(w) < before[w][0] + (512 << 10), 10)
