"""More connections than one port, or one source address, has room for: a range of outbound ports, several inbound sources."""
import contextlib
import os
import signal

import pytest

from lib.crowd import Origin, alive, try_connect
from lib.hosts import wait_for
from lib.mesh import VIP, bracket
from lib.traffic import fate
from test_loops import loops_refused
from test_routes import at_rest, talk, tcp_service

VERSIONS = pytest.mark.parametrize("version", [4, 6])
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
ONE = "intercept = { };\n"
PORTS = 64        # net.ipv4.ip_local_port_range, narrowed


def narrow(host):
    host.must("sysctl", "-qw", f"net.ipv4.ip_local_port_range=40000 {40000 + PORTS - 1}")


def source(n, version):
    return {4: f"127.0.0.{n}", 6: f"::{n}"}[version]


# ---- inbound: sources ----

@VERSIONS
@pytest.mark.parametrize("where", ["loopback", "own address"])
def test_sources_in_turn(net, start, version, where):
    a, b = net.host("a"), net.host("b")
    endpoint = {"loopback": LOOPBACK, "own address": b.ip}[where][version]
    m = start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(endpoint, 9000)}"; }} );\n',
              intercept="intercept = { inbound_sources = 3; };\n", workers=1)
    with b.listen(endpoint, 9000) as l:
        peers = [talk(a.connect(b.ip[version], 9000), l) for _ in range(9)]
    assert {peer: peers.count(peer) for peer in peers} == {source(n, version): 3 for n in (6, 7, 8)}
    at_rest(m)


@VERSIONS
def test_one_source(net, start, version):
    """As ever: towards 127.0.0.1 and ::1 what programs expect there, towards another address of this host 127.0.0.6 or ::6."""
    a, b = net.host("a"), net.host("b")
    start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n', intercept=ONE)
    with b.listen(LOOPBACK[version], 9000) as l, b.listen(b.ip[version], 9300) as passed:
        assert talk(a.connect(b.ip[version], 9000), l) == LOOPBACK[version]
        assert talk(a.connect(b.ip[version], 9300), passed) == source(6, version)


@VERSIONS
def test_somebody_elses_rules(net, start, version):
    """They may not know 127.0.0.6, and ::6 is not on lo: the kernel chooses."""
    a, b = net.host("a"), net.host("b")
    start(b, "", intercept='intercept = { mode = "none"; inbound_sources = 2; };\n')
    b.must({4: "iptables", 6: "ip6tables"}[version], "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15006")
    try:
        with b.listen(b.ip[version], 9300) as l:
            assert talk(a.connect(b.ip[version], 9300), l) == b.ip[version]
    finally:
        b.must({4: "iptables", 6: "ip6tables"}[version], "-t", "nat", "-F")


@VERSIONS
@pytest.mark.parametrize("sources", [1, 2, 4])
def test_more_than_one_source_has_ports(net, start, version, sources):
    """So many times as many connections to one program at once, and not one more."""
    a, b = net.host("a"), net.host("b")
    m = start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(b.ip[version], 9000)}"; }} );\n',
              intercept=f"intercept = {{ inbound_sources = {sources}; }};\n", workers=1)
    narrow(b)
    with Origin(b, b.ip[version], 9000):
        held = [try_connect(a, b.ip[version], 9000) for _ in range(sources * PORTS)]
        assert None not in held and all(alive(s) for s in held)
        assert try_connect(a, b.ip[version], 9000) is None
        assert m.logged(cluster="inbound|9000||")["details"] == "no_local_port"
        for s in held:
            s.close()


# ---- outbound: ports ----

@VERSIONS
@pytest.mark.parametrize("ports, used", [('"15100-15107"', [15100, 15101, 15102]), ("15100", [15100])])
def test_outbound_ports(net, start, version, ports, used):
    """Three services, and each has as many connections as this host has ports to come from: at a single virtual port they
    cannot keep them, and the kernel gives them others; in a range each keeps its own, at the first port where it is free."""
    a, b = net.host("a"), net.host("b")
    vips = [VIP[version].format(80 + i) for i in range(3)]
    m = start(a, "services = ( " + ",\n".join(tcp_service(f"s{i}", vips[i], 9000, bracket(b.ip[version], 9000 + i)) for i in range(3)) +
              " );\n", intercept=f'intercept = {{ outbound_port = {ports}; }};\n')
    narrow(a)
    with contextlib.ExitStack() as stack:
        origins = [stack.enter_context(Origin(b, b.ip[version], 9000 + i)) for i in range(3)]
        held = [try_connect(a, vip, 9000) for vip in vips for _ in range(PORTS)]
        assert None not in held and all(alive(s) for s in held)
        assert [len(o.open) for o in origins] == [PORTS] * 3
        at = established(a, version)
        assert sorted(at) == used
        if len(used) > 1:
            assert {port: sorted(peers) for port, peers in at.items()} == {port: list(range(40000, 40000 + PORTS)) for port in used}
        else:
            assert len(set(at[15100])) == 3 * PORTS
        for s in held:
            s.close()
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
    assert loops_refused(m) == 0
    at_rest(m)


def established(host, version):
    """Virtual port -> the ports of those that are connected to it."""
    found = {}
    for line in host.must("ss", "-Htn", f"-{version}", "state", "established", "( sport >= :15100 and sport <= :15163 )").splitlines():
        local, peer = (int(word.rpartition(":")[2]) for word in line.split()[2:4])
        found.setdefault(local, []).append(peer)
    return found


@VERSIONS
def test_every_port_of_a_range_listens(net, start, version):
    """As many as there can be; also in a worker that was started again, and all are ours: none is dialled."""
    a = net.host("a")
    m = start(a, f'''services = ( {tcp_service("own", VIP[version].format(84), 9000, bracket(a.ip[version], 15163))} );
''', intercept='intercept = { outbound_port = "15100-15163"; };\n')
    os.kill(m.workers()[0], signal.SIGKILL)
    wait_for("another worker", lambda: len(m.workers()) == 2 and m.stat("server.deaths") == 1)
    listening = a.must("ss", "-Htln", f"-{version}")
    assert [listening.count(f":{port} ") for port in [*range(15100, 15164), 15006]] == [2] * 65
    assert fate(a, VIP[version].format(84), 9000) == "reset"
    assert m.logged(cluster="outbound|9000||own")["details"] == "loop_refused"
    for port in 15100, 15133, 15163:
        assert fate(a, LOOPBACK[version], port) in ("eof", "reset")
    at_rest(m)
    assert m.stat("server.accepted") == 4
