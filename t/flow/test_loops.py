"""What goes to the proxy itself, or comes back to it: each ends as the manual says, once, and nobody spins."""
import contextlib
import errno

import pytest

from lib.hosts import wait_for
from lib.mesh import VIP, bracket
from lib.rules import rules
from lib.traffic import ends, fate, read_all, reset
from test_routes import at_rest, talk, tcp_service

VERSIONS = pytest.mark.parametrize("version", [4, 6])
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
NONE = 'intercept = { mode = "none"; outbound_port = 15001; inbound_port = 15006; };\n'

# Somebody else's, and wrong: nothing in them leaves alone what meshd itself sends.
OUT_AGAIN = ["-A OUTPUT -p tcp -j REDIRECT --to-ports 15001"]
IN_AGAIN = ["-A PREROUTING -p tcp -j REDIRECT --to-ports 15006", "-A OUTPUT -o lo -p tcp -j REDIRECT --to-ports 15006"]
# Right: the outbound side is left alone, but for what it sends to this host, which the inbound side sees.
RIGHT = ["-A PREROUTING -p tcp -j REDIRECT --to-ports 15006",
         "-A OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner meshd -j REDIRECT --to-ports 15006",
         "-A OUTPUT -o lo -j RETURN", "-A OUTPUT -m owner --uid-owner meshd -j RETURN",
         "-A OUTPUT -p tcp -j REDIRECT --to-ports 15001"]


def loops_refused(m):
    return sum(n for name, n in m.stats().items() if name.endswith(".downstream_cx_loop_refused"))


# ---- back by rules that are wrong ----

@VERSIONS
def test_outbound_led_back(net, start, version):
    """The connection that the worker makes comes back to it, by either worker: that one is refused, and with it the first."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "", intercept=NONE)
    with b.listen(b.ip[version], 9300) as l, rules(a, "nat", *OUT_AGAIN):
        assert [fate(a, b.ip[version], 9300) for _ in range(20)] == ["reset"] * 20
        wait_for("each was refused", lambda: loops_refused(m) == 20)
        assert m.stat("server.accepted") == 40
        at_rest(m)
        assert m.stat("server.accepted") == 40 and m.stat("server.connections") == 0
        line = m.logged(details="loop_refused", count=20)
        assert line["flags"] == "UF,URX" and line["upstream_host"] == line["cluster"] == "-"
        assert line["downstream_local"] == bracket(b.ip[version], 9300)
        assert "was led back to it" in m.process.output()
        l.settimeout(0.1)
        with pytest.raises(TimeoutError):
            l.accept()


@VERSIONS
def test_inbound_led_back(net, start, version):
    a, b = net.host("a"), net.host("b")
    m = start(b, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n',
              intercept=NONE)
    with b.listen(LOOPBACK[version], 9000), rules(b, "nat", *IN_AGAIN):
        assert fate(a, b.ip[version], 9000) == "reset"      # described
        assert fate(a, b.ip[version], 9300) == "reset"      # passed through
        wait_for("both were refused", lambda: loops_refused(m) == 2)
        assert m.stat("server.accepted") == 4
        at_rest(m)
        assert m.stat("server.accepted") == 4 and m.stat("server.connections") == 0


@VERSIONS
def test_a_chain_that_a_file_writes_is_no_way_round(net, start, version):
    """No direction is given to the cluster: what counts is where its connection came in."""
    a, b = net.host("a"), net.host("b")
    m = start(b, f'''listeners = ( {{ name = "virtualInbound"; address = [ "0.0.0.0", "::" ]; port = 15006; use_original_dst = true;
        traffic_direction = "inbound"; filter_chains = ( {{ filters = ( {{ type = "tcp_proxy"; cluster = "app"; }} ); }} ); }} );
clusters = ( {{ name = "app"; endpoints = [ "{bracket(b.ip[version], 9000)}" ]; }} );
''', intercept=NONE)
    with b.listen(b.ip[version], 9000), rules(b, "nat", *IN_AGAIN):
        assert fate(a, b.ip[version], 9000) == "reset"
    assert loops_refused(m) == 1 and m.stat("server.accepted") == 2


@VERSIONS
def test_clients_that_are_gone(net, start, version):
    """Of a connection that was reset nobody has the other end: it cannot be told from one of ours that came back and was
    reset, and it does not go round either."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "", intercept=NONE)
    with b.listen(b.ip[version], 9300), rules(a, "nat", *OUT_AGAIN):
        for _ in range(300):
            with contextlib.suppress(ConnectionResetError):
                reset(a.connect(b.ip[version], 9300))
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        at_rest(m)
        assert m.stat("server.accepted") <= 600


@VERSIONS
def test_clients_that_do_not_wait(net, start, version):
    """Connect, send, close: their ends are nobody's when the worker asks, and they are served all the same."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "services = ( " + tcp_service("s", VIP[version].format(40), 9000, bracket(b.ip[version], 9000)) + " );\n")
    with b.listen(b.ip[version], 9000, 256) as l:
        for i in range(100):
            with a.connect(VIP[version].format(40), 9000) as s:
                s.sendall(f"{i:03}".encode())
        came = []
        for _ in range(100):
            s, _ = l.accept()
            s.settimeout(10)
            came.append(read_all(s).decode())
            s.close()
        assert sorted(came) == [f"{i:03}" for i in range(100)]
    assert loops_refused(m) == 0


# ---- what is legal ----

@VERSIONS
@pytest.mark.parametrize("whose", ["ours", "somebody else's"])
def test_self_call(net, start, version, whose):
    """Out, and in again: what the outbound side sends may come to the inbound one, once."""
    a = net.host("a")
    ip = VIP[version].format(41)
    right = [line.replace("127.0.0.1/32", f"{LOOPBACK[version]}") for line in RIGHT]
    body = (f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n'
            "services = ( " + tcp_service("self", ip, 9000, bracket(a.ip[version], 9000)) + " );\n")
    with contextlib.ExitStack() as stack:
        m = start(a, body) if whose == "ours" else start(a, body, intercept=NONE)
        if whose != "ours":
            stack.enter_context(rules(a, "nat", *right, versions=[version]))
        l = stack.enter_context(a.listen(LOOPBACK[version], 9000))
        for _ in range(20):
            talk(a.connect(ip, 9000), l)
        m.logged(cluster="outbound|9000||self", count=20)
        m.logged(cluster="inbound|9000||", count=20)
        assert loops_refused(m) == 0


# ---- dead ends ----

NO_ROUTE = {4: "EINVAL", 6: "EINVAL"}       # of a route of type blackhole, by connect(2)


def end_of(host, ip, port):
    """As a program sees it, and the words of the error where connect(2) fails."""
    try:
        return ends(host.connect(ip, port))
    except ConnectionResetError:
        return "reset"
    except OSError as e:
        return errno.errorcode[e.errno]


@VERSIONS
def test_dead_ends(net, start, version):
    """The table of meshd(8), row by row: from this host and from another one."""
    a, b = net.host("a"), net.host("b")
    hole, drop = VIP[version].format(42), VIP[version].format(43)
    silent, dropped = {4: ("192.0.2.9", "192.0.2.65"), 6: ("2001:db8:dead::9", "2001:db8:dead:1::65")}[version]
    a.must("ip", f"-{version}", "route", "add", "blackhole", dropped)
    m = start(a, "services = ( " + tcp_service("hole", hole, 9000, bracket(silent, 9000), 'connect_timeout = "300ms";') + ",\n" +
              tcp_service("drop", drop, 9000, bracket(dropped, 9000)) + " );\n")
    own, other, loopback = a.ip[version], b.ip[version], LOOPBACK[version]
    # where from, where to, how it ends, connections that are accepted for it, the log's words
    table = [(a, loopback, 15001, "eof", 1, "no_healthy_upstream"), (a, loopback, 15006, "eof", 1, "no_healthy_upstream"),
             (a, own, 15001, "eof", 1, "no_healthy_upstream"), (a, own, 15006, "eof", 1, "no_healthy_upstream"),
             (b, own, 15001, "reset", 1, "loop_refused"), (b, own, 15006, "eof", 1, "no_healthy_upstream"),
             (a, own, 9999, "ECONNREFUSED", 0, None), (b, own, 9999, "reset", 1, "upstream_connect_failure"),
             (a, other, 9999, "reset", 1, "upstream_connect_failure"), (a, hole, 9000, "reset", 1, "connect_timeout"),
             (a, drop, 9000, "reset", 1, "upstream_connect_failure"), (a, dropped, 9000, NO_ROUTE[version], 0, None)]
    check_ends(m, table)


def check_ends(m, table):
    for host, ip, port, how, accepts, words in table:
        before, lines = m.stat("server.accepted"), len(m.log_lines())
        assert end_of(host, ip, port) == how, (host.name, ip, port)
        at_rest(m)
        assert m.stat("server.accepted") - before == accepts, (host.name, ip, port)
        assert m.stat("server.connections") == 0
        if words is not None:
            assert wait_for("its line", lambda: m.log_lines()[lines:])[-1]["details"] == words, (host.name, ip, port)
    assert loops_refused(m) == 0


def test_nobody_is_taken_for_us(net, start):
    """A program of another user, one of root, and one of ours: only what has our user is refused."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "", intercept=NONE)
    dial = ("import socket, sys\n"
            "try: print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 10).recv(10).decode())\nexcept ConnectionResetError: print('reset')")
    spared = ["-A OUTPUT -m owner --uid-owner meshd -p tcp --dport 9301 -j REDIRECT --to-ports 15001",
              "-A OUTPUT -m owner --uid-owner meshd -j RETURN", *OUT_AGAIN]
    with b.listen(b.v4, 9300) as l, rules(a, "nat", *spared, versions=[4]):
        for user in "root", "nobody":
            p = a.start("setpriv", f"--reuid={user}", "--clear-groups", "/usr/bin/python3", "-c", dial, b.v4, 9300, name=user)
            l.accept()[0].send(b"served")
            assert p.wait(10) == 0 and p.output() == "served\n"
        done = a.must("setpriv", "--reuid=meshd", "--clear-groups", "/usr/bin/python3", "-c", dial, b.v4, 9301)
        assert done == "reset\n"
    assert loops_refused(m) == 1
