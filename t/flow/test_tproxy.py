"""mode = "tproxy": the application sees who really calls it, and is none the worse for it."""
import contextlib
import os
import signal
import subprocess

import pytest

from lib.crowd import Origin, alive, try_connect
from lib.hosts import wait_for
from lib.mesh import VIP, bracket
from lib.meshd import MESHD
from lib.programs import redis
from lib.traffic import ends, fate, read_all
from test_routes import at_rest, talk, tcp_service

VERSIONS = pytest.mark.parametrize("version", [4, 6])
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
WILDCARD = {4: "0.0.0.0", 6: "::"}
TPROXY = 'intercept = { mode = "tproxy"; outbound_port = 15001; inbound_port = 15006; };\n'


@pytest.fixture
def hosts_of(net):
    return net.host("a"), net.host("b"), net.host("c")


def seen(client_host, ip, port, listener):
    """The application's view of a client that has said something and was answered: its address."""
    return talk(client_host.connect(ip, port), listener)


# ---- who is seen ----

@VERSIONS
@pytest.mark.parametrize("where", ["loopback", "own address", "passed through"])
def test_the_client_is_seen(hosts_of, start, version, where):
    a, b, _ = hosts_of
    endpoint = {"loopback": LOOPBACK, "own address": b.ip, "passed through": b.ip}[where][version]
    described = f'{{ port = 9000; protocol = "tcp"; endpoint = "{bracket(endpoint, 9000)}"; }}' if where != "passed through" else ""
    m = start(b, f"inbound = ( {described} );\n", intercept=TPROXY)
    with b.listen(WILDCARD[version] if where != "loopback" else endpoint, 9000) as l:
        for _ in range(20):
            assert seen(a, b.ip[version], 9000, l) == a.ip[version]
    line = m.logged(count=20, downstream_local=bracket(b.ip[version], 9000))
    assert line["upstream_local"].rpartition(":")[0] == bracket(a.ip[version], 0).rpartition(":")[0]
    at_rest(m)


def test_families_that_differ(hosts_of, start):
    """A client by IPv6, an application that listens on IPv4: it cannot have that address, and gets the one of redirect."""
    a, b, _ = hosts_of
    start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{b.v4}:9000"; }}, '
             '{ port = 9001; protocol = "tcp"; endpoint = "127.0.0.1:9001"; } );\n', intercept=TPROXY)
    with b.listen("0.0.0.0", 9000) as l, b.listen("0.0.0.0", 9001) as m:
        assert seen(a, b.v6, 9000, l) == "127.0.0.6"
        assert seen(a, b.v6, 9001, m) == "127.0.0.1"
        assert seen(a, b.v4, 9001, m) == a.v4


@pytest.mark.parametrize("listens", [(4, 6), (4,), (6,)])
def test_an_application_of_one_family_or_both(hosts_of, start, listens):
    """No endpoint is named: 127.0.0.1 and ::1, the client's family first; over the other one it is loopback itself."""
    a, b, _ = hosts_of
    m = start(b, 'inbound = ( { port = 9000; protocol = "tcp"; } );\n', intercept=TPROXY)
    with contextlib.ExitStack() as stack:
        at = {v: stack.enter_context(b.listen(LOOPBACK[v], 9000)) for v in listens}
        for version in 4, 6:
            for _ in range(5):
                if version in listens:
                    assert seen(a, b.ip[version], 9000, at[version]) == a.ip[version]
                else:
                    assert seen(a, b.ip[version], 9000, at[10 - version]) == LOOPBACK[10 - version]
    assert m.stat("cluster.inbound|9000||.upstream_cx_connect_fail") == (5 if len(listens) == 1 else 0)


@VERSIONS
def test_self_call(hosts_of, start, version):
    """Out by REDIRECT, in by TPROXY; its source is this host's own address."""
    _, b, _ = hosts_of
    ip = VIP[version].format(50)
    m = start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n'
              "services = ( " + tcp_service("self", ip, 9000, bracket(b.ip[version], 9000)) + " );\n", intercept=TPROXY)
    with b.listen(LOOPBACK[version], 9000) as l:
        for _ in range(20):
            assert seen(b, ip, 9000, l) == b.ip[version]
    m.logged(cluster="outbound|9000||self", count=20)
    m.logged(cluster="inbound|9000||", count=20)
    at_rest(m)


def test_local_programs_among_themselves(hosts_of, start):
    """Not the proxy's business: their connections go directly."""
    _, b, _ = hosts_of
    m = start(b, "", intercept=TPROXY)
    with b.listen("0.0.0.0", 9000) as l:
        assert seen(b, b.v4, 9000, l) == b.v4
        assert seen(b, "127.0.0.1", 9000, l) == "127.0.0.1"
    assert m.stat("server.accepted") == 0


# ---- real programs ----

@VERSIONS
def test_redis(hosts_of, start, version):
    a, b, _ = hosts_of
    start(b, f'inbound = ( {{ port = 6379; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 6379)}"; }} );\n', intercept=TPROXY)
    redis(b)
    cli = ["redis-cli", "-h", b.ip[version], "-e"]
    assert a.must(*cli, "SET", "k", "v").strip() == "OK"
    assert f"addr={bracket(a.ip[version], 0)[:-1]}" in a.must(*cli, "CLIENT", "LIST")
    assert a.must(*cli, "-r", "200", "GET", "k").split() == ["v"] * 200


@VERSIONS
def test_http(hosts_of, start, version):
    """curl to Python's server: bulk in one direction, and whose request its log has."""
    a, b, _ = hosts_of
    (b.tmp / "www").mkdir()
    (b.tmp / "www" / "big").write_bytes(os.urandom(8 << 20))
    start(b, f'inbound = ( {{ port = 8080; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 8080)}"; }} );\n', intercept=TPROXY)
    server = b.start("/usr/bin/python3", "-um", "http.server", "--bind", LOOPBACK[version], "-d", b.tmp / "www", "8080", name="http")
    wait_for("it serves", lambda: "Serving" in server.output())
    for _ in range(3):
        a.must("curl", "-fsS", "--max-time", "30", "-o", a.tmp / "big", f"http://{bracket(b.ip[version], 8080)}/big")
        assert subprocess.run(["cmp", a.tmp / "big", b.tmp / "www" / "big"]).returncode == 0
    assert server.output().count(f'{a.ip[version]} - - [') == 3


# ---- reload, death, drain ----

@VERSIONS
def test_reload_and_death(hosts_of, start, version):
    """What is open goes on over a reload; over a worker's death what the other one has; new ones come as before."""
    a, b, _ = hosts_of
    inbound = f'inbound = ( {{ port = %d; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n'
    m = start(b, inbound % 9000, intercept=TPROXY)
    with Origin(b, LOOPBACK[version], 9000):
        held = [try_connect(a, b.ip[version], 9000) for _ in range(20)]
        assert m.reload((inbound % 9000).replace("endpoint", 'connect_timeout = "3s"; endpoint')).returncode == 0
        assert all(alive(s) for s in held)
        held += [try_connect(a, b.ip[version], 9000) for _ in range(20)]
        of_first = [c["worker"] for c in m.connections()].count(0)
        assert 0 < of_first < 40
        m.expected_deaths += 1
        os.kill(m.workers()[0], signal.SIGKILL)
        wait_for("another worker", lambda: len(m.workers()) == 2 and m.stat("server.deaths") == 1)
        assert sum(alive(s) for s in held) == 40 - of_first
        more = [try_connect(a, b.ip[version], 9000) for _ in range(20)]
        assert all(s is not None and alive(s) for s in more)
        for s in held + more:
            s.close()
    wait_for("all ended", lambda: m.stat("server.connections") == 0)


def test_a_socket_that_the_master_makes(hosts_of, start):
    """What appears after the start is bound by it, transparent as well: here a second address of the virtual listener."""
    a, b, _ = hosts_of
    body = '''listeners = ( { name = "virtualInbound"; address = [ %s ]; port = 15006; use_original_dst = true; traffic_direction = "inbound";
        filter_chains = ( { filters = ( { type = "tcp_proxy"; cluster = "InboundPassthroughCluster"; } ); } ); } );
'''
    m = start(b, body % '"0.0.0.0"', intercept=TPROXY)
    with b.listen(b.v4, 9000) as l4, b.listen(b.v6, 9000) as l6:
        assert seen(a, b.v4, 9000, l4) == a.v4
        assert m.reload(body % '"0.0.0.0", "::"').returncode == 0
        for _ in range(10):
            assert seen(a, b.v6, 9000, l6) == a.v6
        assert m.reload(body % '"::"').returncode == 0
        assert m.reload(body % '"0.0.0.0", "::"').returncode == 0
        for _ in range(10):
            assert seen(a, b.v4, 9000, l4) == a.v4


def leftovers(host):
    """What TPROXY needs beside rules."""
    return [host.must("ip", *words.split()) for words in
            ("-4 rule", "-6 rule", "addr show dev lo", "-4 route show table all", "-6 route show table all")]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_nothing_leaks(hosts_of, start, how):
    """No rule, mark, route or address is left, and no connection: after a stop, and after a kill with --post-stop."""
    a, b, _ = hosts_of
    before, rules = leftovers(b), b.rules()
    m = start(b, "", intercept=TPROXY, drain_time="1s")
    assert leftovers(b) != before and b.rules() != rules
    with b.listen(b.v4, 9000) as l4, b.listen(b.v6, 9000) as l6:
        assert seen(a, b.v4, 9000, l4) == a.v4 and seen(a, b.v6, 9000, l6) == a.v6
    if how == "stop":
        m.stop()
    else:
        everybody = list(m.left())
        for pid in [m.process.pid, *everybody]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        m.process.wait()
        assert b.run(MESHD, "--post-stop", "-c", m.file).returncode == 0
        wait_for("the rules are out", lambda: b.rules() == rules)
        m.process = None
    assert b.rules() == rules
    assert leftovers(b) == before


def test_drain(hosts_of, start):
    """What is open when meshd stops is served until its end; then nothing is left."""
    a, b, _ = hosts_of
    m = start(b, "", intercept=TPROXY, drain_time="10s")
    with Origin(b, b.v4, 9000), Origin(b, b.v6, 9000):
        held = [try_connect(a, b.ip[v], 9000) for v in (4, 6) for _ in range(5)]
        m.process.signal(signal.SIGTERM)
        wait_for("it stops", lambda: m.notified("STOPPING=1"))
        assert all(alive(s) for s in held)
        for s in held:
            s.close()
        m.check_gone(m.process.wait(8))


# ---- endings ----

@VERSIONS
def test_endings(hosts_of, start, version):
    """A FIN stays a FIN, a reset a reset, a refusal becomes one."""
    a, b, _ = hosts_of
    m = start(b, "", intercept=TPROXY)
    with b.listen(b.ip[version], 9000) as l:
        s = a.connect(b.ip[version], 9000)
        server, _ = l.accept()
        s.sendall(b"x")
        server.recv(1)
        server.close()
        assert ends(s) == "eof"
    assert fate(a, b.ip[version], 9999) == "reset"
    assert m.logged(details="upstream_connect_failure")["reason"] == "Connection refused"
    assert fate(a, b.ip[version], 15006) == "eof"
    assert fate(a, b.ip[version], 15001) == "reset"
    at_rest(m)
    assert m.stat("server.accepted") == 4


def test_endpoints_elsewhere(hosts_of, start):
    """Not beside us: there, the client's address would bring the answer to the client, not here."""
    a, b, c = hosts_of
    start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{c.v4}:9000"; }} );\n', intercept=TPROXY)
    with c.listen(c.v4, 9000) as l:
        assert seen(a, b.v4, 9000, l) == b.v4


@VERSIONS
@pytest.mark.parametrize("where", ["loopback", "own address"])
def test_a_client_that_uses_the_port_of_another_connection(hosts_of, start, version, where):
    """The proxy has taken it towards the application in the client's name.  At loopback that is another connection; at the
    address where clients go it is this very one, and the client has to wait until it has ended."""
    a, b, _ = hosts_of
    endpoint = {"loopback": LOOPBACK, "own address": b.ip}[where][version]
    start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(endpoint, 9000)}"; }} );\n', intercept=TPROXY)
    with b.listen(endpoint, 9000) as l:
        first = a.connect(b.ip[version], 9000)
        server, (_, port, *_) = l.accept()
        if where == "own address":
            with pytest.raises(TimeoutError):
                a.connect(b.ip[version], 9000, 1, from_port=port)
            for s in server, first:
                s.sendall(b"whole")
            assert first.recv(10) == server.recv(10) == b"whole"
        else:
            talk(a.connect(b.ip[version], 9000, from_port=port), l)
