"""Where a connection goes, or why it ends: listeners, chains, clusters, and the access log's word for each."""
import time

import pytest

from lib.hosts import wait_for
from lib.mesh import VIP, bracket
from lib.traffic import ends, fate, read_all, reset

VERSIONS = pytest.mark.parametrize("version", [4, 6])


def tcp_service(name, ip, port, endpoint, more=""):
    return f'{{ name = "{name}"; port = {port}; protocol = "tcp"; addresses = [ "{ip}" ]; endpoints = [ "{endpoint}" ]; {more} }}'


def talk(client, listener):
    """A word each way; the server's view of its peer."""
    server, peer = listener.accept()
    server.settimeout(10)
    client.sendall(b"ping")
    assert server.recv(10) == b"ping"
    server.sendall(b"pong")
    assert client.recv(10) == b"pong"
    server.close()
    assert read_all(client) == b""
    client.close()
    return peer[0]


# ---- pass-through and policy ----

@VERSIONS
def test_pass_through(net, start, version):
    a, b = net.host("a"), net.host("b")
    m = start(a, "")
    with b.listen(b.ip[version], 9300) as l:
        talk(a.connect(b.ip[version], 9300), l)
    line = m.logged(cluster="PassthroughCluster")
    assert line["flags"] == "-" and line["upstream_host"] == line["downstream_local"] == bracket(b.ip[version], 9300)
    assert m.stat("cluster.PassthroughCluster.upstream_cx_total") == 1


@VERSIONS
def test_inbound_pass_through(net, start, version):
    """A port that is not described is passed to the application all the same, and counted."""
    a, b = net.host("a"), net.host("b")
    m = start(b, "")
    with b.listen("0.0.0.0" if version == 4 else "::", 9300) as l:
        peer = talk(a.connect(b.ip[version], 9300), l)
    assert peer == {4: "127.0.0.6", 6: "::6"}[version]
    assert m.logged(cluster="InboundPassthroughCluster")["downstream_local"] == bracket(b.ip[version], 9300)


@VERSIONS
def test_registry_only_refuses_what_is_not_described(net, start, version):
    a, b = net.host("a"), net.host("b")
    ip = VIP[version].format(20)
    m = start(a, 'outbound_traffic_policy = "registry_only";\nservices = ( ' +
              tcp_service("known", ip, 9301, bracket(b.ip[version], 9301)) + " );\n")
    with b.listen(b.ip[version], 9300), b.listen(b.ip[version], 9301) as known:
        assert fate(a, b.ip[version], 9300) == "eof"
        line = m.logged(flags="UH")
        assert line["cluster"] == "BlackHoleCluster" and line["upstream_host"] == "-"
        talk(a.connect(ip, 9301), known)


@VERSIONS
def test_excluded_ports_are_not_touched(net, start, version):
    a, b = net.host("a"), net.host("b")
    excluded = "intercept = { outbound_port = 15001; inbound_port = 15006; exclude_%s_ports = [ 9100, 9101 ]; };\n"
    ranged = 'intercept = { outbound_port = 15001; inbound_port = 15006; exclude_%s_ports = ( 22, "9100-9101" ); };\n'
    out, inn = start(a, "", intercept=excluded % "outbound"), start(b, "", intercept=ranged % "inbound")
    for port in 9100, 9101:
        with b.listen("0.0.0.0" if version == 4 else "::", port) as l:
            assert talk(a.connect(b.ip[version], port), l) == a.ip[version]
    with b.listen("0.0.0.0" if version == 4 else "::", 9102) as l:
        assert talk(a.connect(b.ip[version], 9102), l) != a.ip[version]
    for m in out, inn:
        m.logged(downstream_local=bracket(b.ip[version], 9102))
        assert m.stat("server.accepted") == 1


def test_excluded_ports_follow_a_reload(net, start):
    a, b = net.host("a"), net.host("b")
    m = start(a, "")
    rules = a.rules()
    m.top = m.top.replace("inbound_port = 15006;", "inbound_port = 15006; exclude_outbound_ports = [ 9100 ];")
    assert m.reload("").returncode == 0
    with b.listen(b.v4, 9100) as l:
        talk(a.connect(b.v4, 9100), l)
    assert m.stat("server.accepted") == 0
    m.top = m.top.replace("exclude_outbound_ports = [ 9100 ];", "")
    assert m.reload("").returncode == 0
    assert a.rules() == rules


# ---- loops ----

@VERSIONS
@pytest.mark.parametrize("port", [15001, 15006])
@pytest.mark.parametrize("origin", ["loopback", "itself", "another host"])
def test_a_connection_to_the_proxys_own_port_ends(net, start, version, port, origin):
    """It is closed, and neither goes round nor leaves anybody spinning."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "")
    ip = {4: "127.0.0.1", 6: "::1"}[version] if origin == "loopback" else a.ip[version]
    assert fate(b if origin == "another host" else a, ip, port) in ("eof", "reset")
    wait_for("its line", lambda: m.log_lines())
    at_rest(m)
    assert m.stat("server.accepted") <= 2
    assert m.stat("server.connections") == 0


def at_rest(m):
    """No worker turns without cause: half a second with hardly a turn in it, nor time spent."""
    def spent():
        ticks = 0
        for w in m.workers():
            with open(f"/proc/{w}/stat") as f:
                ticks += sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])
        return ticks
    turns, ticks = m.stat("server.loop_turns"), spent()
    time.sleep(0.5)
    assert spent() - ticks < 20
    assert m.stat("server.loop_turns") - turns < 200


@VERSIONS
def test_self_call_through_a_service_address(net, start, version):
    """The application calls the service that it is itself an endpoint of: out, and in again."""
    a = net.host("a")
    ip = VIP[version].format(21)
    m = start(a, 'inbound = ( { port = 9000; protocol = "tcp"; } );\nservices = ( ' +
              tcp_service("self", ip, 9000, bracket(a.ip[version], 9000)) + " );\n")
    with a.listen("127.0.0.1", 9000) as l:
        talk(a.connect(ip, 9000), l)
    m.logged(cluster="outbound|9000||self")
    m.logged(cluster="inbound|9000||")
    at_rest(m)


@VERSIONS
def test_an_endpoint_that_is_our_own_listener_is_not_dialled(net, start, version):
    a, c = net.host("a"), net.host("c")
    m = start(a, f'''listeners = ( {{ name = "door"; address = "{a.ip[version]}"; port = 8000; filter_chains = (
        {{ filters = ( {{ type = "tcp_proxy"; cluster = "round"; }} ); }} ); }} );
clusters = ( {{ name = "round"; endpoints = [ "{bracket(a.ip[version], 8000)}" ]; }} );
''', intercept="")
    assert fate(c, a.ip[version], 8000) == "reset"
    assert m.logged(cluster="round")["details"] == "loop_refused"
    assert m.stat("cluster.round.upstream_cx_loop_refused") == 1
    assert m.stat("server.accepted") == 1


# ---- chains ----

def test_no_filter_chain(net, start):
    a = net.host("a")
    m = start(a, '''listeners = ( { name = "203.0.113.22_9000"; address = "203.0.113.22"; port = 9000; bind_to_port = false;
    traffic_direction = "outbound"; filter_chains = (
      { filter_chain_match = { source_prefix_ranges = [ "192.0.2.0/24" ]; };
        filters = ( { type = "tcp_proxy"; cluster = "BlackHoleCluster"; } ); } ); } );
''')
    assert fate(a, "203.0.113.22", 9000) == "eof"
    line = m.logged(flags="NR")
    assert line["details"] == "filter_chain_not_found" and line["cluster"] == line["upstream_host"] == "-"
    assert m.stat("listener.203.0.113.22_9000.no_filter_chain_match") == 1


def test_chain_by_destination_and_source(net, start):
    """The most specific chain wins: by destination prefix first, then by source."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    chain = '''{ name = "%s"; %s filters = ( { type = "tcp_proxy"; cluster = "%s"; } ); }'''
    m = start(a, 'listeners = ( { name = "any"; address = "0.0.0.0"; port = 9000; bind_to_port = false; filter_chains = (\n' +
              ",\n".join([chain % ("rest", "", "c"),
                          chain % ("net", 'filter_chain_match = { prefix_ranges = [ "203.0.113.0/24" ]; };', "c"),
                          chain % ("host", 'filter_chain_match = { prefix_ranges = [ "203.0.113.23/32" ]; };', "b")]) +
              f''' ); }} );
clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }}, {{ name = "c"; endpoints = [ "{c.v4}:9000" ]; }} );
''')
    with b.listen(b.v4, 9000) as lb, c.listen(c.v4, 9000) as lc:
        talk(a.connect("203.0.113.23", 9000), lb)
        talk(a.connect("203.0.113.24", 9000), lc)
        talk(a.connect("198.51.100.77", 9000), lc)
    m.logged(cluster="c", count=2)


def test_exact_listener_before_wildcard(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    start(a, f'''services = (
  {{ name = "exact"; port = 9000; protocol = "tcp"; addresses = [ "203.0.113.25" ]; endpoints = [ "{b.v4}:9000" ]; }},
  {{ name = "wild"; port = 9000; protocol = "tcp"; endpoints = [ "{c.v4}:9000" ]; }} );
''')
    with b.listen(b.v4, 9000) as lb, c.listen(c.v4, 9000) as lc:
        talk(a.connect("203.0.113.25", 9000), lb)
        talk(a.connect("203.0.113.26", 9000), lc)


def test_round_robin(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(a, f'''services = ( {{ name = "two"; port = 9000; protocol = "tcp"; addresses = [ "203.0.113.27" ];
      endpoints = [ "{b.v4}:9000", "{c.v4}:9000" ]; }} );
''', workers=1)
    with b.listen(b.v4, 9000) as lb, c.listen(c.v4, 9000) as lc:
        clients = [a.connect("203.0.113.27", 9000) for _ in range(10)]
        for l in lb, lc:
            for _ in range(5):
                l.accept()[0].close()
        for s in clients:
            assert ends(s) == "eof"
            s.close()
    m.logged(cluster="outbound|9000||two", count=10)


def test_no_endpoint(net, start):
    a = net.host("a")
    m = start(a, 'services = ( { name = "none"; port = 9000; protocol = "tcp"; addresses = [ "203.0.113.28" ]; endpoints = [ ]; } );\n')
    assert fate(a, "203.0.113.28", 9000) == "eof"
    assert m.logged(cluster="outbound|9000||none")["flags"] == "UH"
    assert m.stat("cluster.outbound|9000||none.upstream_cx_none_healthy") == 1


# ---- an endpoint that does not answer ----

@VERSIONS
def test_refused_endpoint(net, start, version):
    a, b = net.host("a"), net.host("b")
    ip = VIP[version].format(29)
    m = start(a, "services = ( " + tcp_service("shut", ip, 9000, bracket(b.ip[version], 9000)) + " );\n")
    assert fate(a, ip, 9000) == "reset"
    line = m.logged(cluster="outbound|9000||shut")
    assert line["flags"] == "UF,URX" and line["reason"] == "Connection refused"
    assert line["upstream_host"] == bracket(b.ip[version], 9000)
    assert m.stat("cluster.outbound|9000||shut.upstream_cx_connect_fail") == 1


@VERSIONS
def test_black_holed_endpoint(net, start, version):
    """No answer at all: connect_timeout ends it."""
    a = net.host("a")
    ip, hole = VIP[version].format(30), {4: "192.0.2.9", 6: "2001:db8:dead::9"}[version]
    m = start(a, "services = ( " + tcp_service("hole", ip, 9000, bracket(hole, 9000), 'connect_timeout = "300ms";') + " );\n")
    client = a.connect(ip, 9000)
    client.sendall(b"anybody?")
    assert ends(client) == "reset"
    line = m.logged(cluster="outbound|9000||hole")
    assert line["flags"] == "UF,URX" and line["details"] == "connect_timeout"
    assert 300 <= int(line["duration"]) < 5000
    assert m.stat("cluster.outbound|9000||hole.upstream_cx_connect_timeout") == 1


def test_idle_timeout(net, start):
    """Silence ends a connection; a byte now and then, in either direction, does not let it."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "services = ( " + tcp_service("quiet", "203.0.113.31", 9000, f"{b.v4}:9000", 'idle_timeout = "1s";') + " );\n")
    with b.listen(b.v4, 9000) as l:
        client = a.connect("203.0.113.31", 9000)
        server, _ = l.accept()
        server.settimeout(10)
        for i in range(8):
            time.sleep(0.25)
            one, other = (client, server) if i < 4 else (server, client)
            one.sendall(b".")
            assert other.recv(10) == b"."
        assert not m.log_lines()
        assert ends(client) in ("eof", "reset") and ends(server) in ("eof", "reset")
    line = m.logged(cluster="outbound|9000||quiet")
    assert line["details"] == "idle_timeout" and (line["received"], line["sent"]) == ("4", "4")
    assert m.stat("cluster.outbound|9000||quiet.upstream_cx_idle_timeout") == 1


def test_client_gone_while_the_upstream_is_dialled(net, start):
    """A client that gives up must not keep its connection until connect_timeout."""
    a = net.host("a")
    m = start(a, "services = ( " + tcp_service("hole", "203.0.113.32", 9000, "192.0.2.9:9000", 'connect_timeout = "30s";') + " );\n")
    client = a.connect("203.0.113.32", 9000)
    wait_for("it is dialled", lambda: m.stat("cluster.outbound|9000||hole.upstream_cx_active") == 1)
    reset(client)
    wait_for("it is given up", lambda: m.stat("server.connections") == 0)
    assert m.logged(cluster="outbound|9000||hole")["flags"] == "DR"


# ---- gateway ----

def gateway(port, cluster, name="gate", address="0.0.0.0"):
    return (f'{{ name = "{name}"; address = "{address}"; port = {port}; filter_chains = ( '
            f'{{ filters = ( {{ type = "tcp_proxy"; cluster = "{cluster}"; }} ); }} ); }}')


def refused(host, ip, port):
    try:
        host.connect(ip, port, 2).close()
        return False
    except ConnectionRefusedError:
        return True


@VERSIONS
def test_bound_listener_comes_changes_and_goes_by_reload(net, start, version):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    any_ip = {4: "0.0.0.0", 6: "::"}[version]
    clusters = f'clusters = ( {{ name = "b"; endpoints = [ "{bracket(b.ip[version], 9000)}" ]; }} );\n'
    m = start(a, clusters, intercept="")
    assert refused(c, a.ip[version], 8000)
    assert m.reload(f"listeners = ( {gateway(8000, 'b', address=any_ip)} );\n" + clusters).returncode == 0
    with b.listen(b.ip[version], 9000) as l:
        talk(c.connect(a.ip[version], 8000), l)
        kept = c.connect(a.ip[version], 8000)
        kept_server, _ = l.accept()
        assert m.reload(f"listeners = ( {gateway(8001, 'b', address=any_ip)} );\n" + clusters).returncode == 0
        assert refused(c, a.ip[version], 8000)
        talk(c.connect(a.ip[version], 8001), l)
        assert m.reload(clusters).returncode == 0
        assert refused(c, a.ip[version], 8001)
        kept.close()
        kept_server.close()


def test_a_listener_goes_to_another_cluster_by_reload(net, start):
    """At the same port: new connections go the new way, the one that is open stays where it is."""
    a, b, c, d = net.host("a"), net.host("b"), net.host("c"), net.host("d")
    clusters = f'''clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }}, {{ name = "c"; endpoints = [ "{c.v4}:9000" ]; }} );
'''
    m = start(a, f"listeners = ( {gateway(8000, 'b')} );\n" + clusters, intercept="")
    with b.listen(b.v4, 9000) as lb, c.listen(c.v4, 9000) as lc:
        old = d.connect(a.v4, 8000)
        server, _ = lb.accept()
        assert m.reload(f"listeners = ( {gateway(8000, 'c')} );\n" + clusters).returncode == 0
        for _ in range(8):
            talk(d.connect(a.v4, 8000), lc)
        old.sendall(b"old way")
        server.settimeout(10)
        assert server.recv(10) == b"old way"
        server.close()
        assert ends(old) == "eof"
        old.close()
    assert m.logged(cluster="b")["flags"] == "-"


def test_endpoints_change_by_reload(net, start):
    """New connections go to the new endpoint; the cluster's counters go on."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    service = "services = ( " + tcp_service("s", "203.0.113.33", 9000, "%s:9000") + " );\n"
    m = start(a, service % b.v4)
    with b.listen(b.v4, 9000) as lb, c.listen(c.v4, 9000) as lc:
        talk(a.connect("203.0.113.33", 9000), lb)
        assert m.reload(service % c.v4).returncode == 0
        talk(a.connect("203.0.113.33", 9000), lc)
    wait_for("both are counted", lambda: m.stat("cluster.outbound|9000||s.upstream_cx_total") == 2)
    assert f"{b.v4}:9000" not in m.ask("pc", "endpoint")


def test_tcp_keepalive(net, start):
    """The timer that ss(8) shows at the upstream socket is the configured one."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    start(a, f'''listeners = ( {gateway(8000, 'b')}, {gateway(8001, 'plain', 'second')} );
clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; tcp_keepalive = {{ keepalive_time = "77s"; keepalive_probes = 3; }}; }},
             {{ name = "plain"; endpoints = [ "{b.v4}:9001" ]; }} );
''', intercept="")
    with b.listen(b.v4, 9000) as l, b.listen(b.v4, 9001) as plain:
        clients = c.connect(a.v4, 8000), c.connect(a.v4, 8001)
        servers = l.accept()[0], plain.accept()[0]
        assert "timer:(keepalive,1min1" in a.must("ss", "-Htno", "dport = :9000")
        assert "keepalive" not in a.must("ss", "-Htno", "dport = :9001")
        for s in clients + servers:
            s.close()


def test_a_listener_that_cannot_be_bound_changes_nothing(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    clusters = f'clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }} );\n'
    m = start(a, f"listeners = ( {gateway(8000, 'b')} );\n" + clusters, intercept="")
    with a.listen("0.0.0.0", 8002), b.listen(b.v4, 9000) as l:
        done = m.reload(f"listeners = ( {gateway(8000, 'b')}, {gateway(8002, 'b', 'second')} );\n" + clusters)
        assert done.returncode == 1 and "8002" in done.stderr
        talk(c.connect(a.v4, 8000), l)
