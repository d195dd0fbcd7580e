"""One port for both directions, 8090: programs that call each other on four hosts, every call out by one proxy and in by
another, all of them through that port."""
import pytest

from lib.hosts import wait_for
from lib.mesh import VIP, bracket
from lib.rules import rules
from lib.shop import Shop
from lib.traffic import ends, fate
from test_loops import check_ends, loops_refused
from test_routes import at_rest, talk, tcp_service

VERSIONS = pytest.mark.parametrize("version", [4, 6])
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
WILDCARD = {4: "0.0.0.0", 6: "::"}
OURS = "intercept = { port = 8090; };\n"
NONE = 'intercept = { mode = "none"; port = 8090; };\n'

# The article's two rules, and the one without which they go round.
SPARED = "-A OUTPUT -m owner --uid-owner meshd -j RETURN"
LITERAL = ["-A PREROUTING -p tcp -j REDIRECT --to-ports 8090", "-A OUTPUT -p tcp -j REDIRECT --to-ports 8090"]


@VERSIONS
def test_programs_that_call_each_other(net, start, version):
    """A page, its details, its reviews, whose ratings are elsewhere again: 1 call from outside makes 4 in and 3 out."""
    with Shop(net, start, version, OURS) as shop:
        outside = net.host("outside")
        for _ in range(10):
            page = shop.ask(outside, shop.host["page"].ip[version])
            assert page["name"] == "page" and [c["name"] for c in page["calls"]] == ["details", "reviews"]
            assert [c["name"] for c in page["calls"][1]["calls"]] == ["ratings"]
        for name, m in shop.mesh.items():
            calls = len(shop.CALLS[name])
            m.logged(cluster="inbound|9080||", count=10)
            stats = wait_for("all ended", lambda: (lambda s: s["server.connections"] == 0 and s)(m.stats()))
            assert stats["server.accepted"] == 10 + 10 * calls
            assert stats["listener.virtualInbound.downstream_cx_total"] == 10
            assert stats.get("listener.0.0.0.0_8090.downstream_cx_total", 0) == 0       # real ones have taken over
            assert loops_refused(m) == 0
            for other in shop.CALLS[name]:
                m.logged(cluster=f"outbound|9080||{other}", count=10)
            at_rest(m)


@VERSIONS
@pytest.mark.parametrize("intercept", [OURS, NONE], ids=["ours", "literal"])
def test_directions(net, start, version, intercept):
    """By the original destination alone: inbound is what goes to this host."""
    a, b = net.host("a"), net.host("b")
    ip = VIP[version].format(60)
    with rules(a, "nat", *([SPARED] + LITERAL if intercept is NONE else [])):
        m = start(a, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n'
                  "services = ( " + tcp_service("s", ip, 9000, bracket(b.ip[version], 9000)) + ",\n" +
                  tcp_service("self", VIP[version].format(61), 9000, bracket(a.ip[version], 9000)) + " );\n", intercept=intercept)
        with a.listen(WILDCARD[version], 9000) as here, b.listen(b.ip[version], 9000) as there, \
                b.listen(b.ip[version], 9300) as passed, a.listen(a.ip[version], 9300) as undescribed:
            talk(a.connect(ip, 9000), there)
            m.logged(cluster="outbound|9000||s")
            talk(b.connect(a.ip[version], 9000), here)
            m.logged(cluster="inbound|9000||", downstream_local=bracket(a.ip[version], 9000))
            talk(a.connect(b.ip[version], 9300), passed)
            m.logged(cluster="PassthroughCluster")
            talk(b.connect(a.ip[version], 9300), undescribed)
            m.logged(cluster="InboundPassthroughCluster")
            talk(a.connect(VIP[version].format(61), 9000), here)
            m.logged(cluster="outbound|9000||self")
            if intercept is OURS:       # by rule 9 of Istio; the two literal ones let it go to the program at once
                m.logged(cluster="inbound|9000||", count=2)
            else:                       # they catch even this
                talk(a.connect(LOOPBACK[version], 9000), here)
                m.logged(cluster="inbound|9000||", downstream_local=bracket(LOOPBACK[version], 9000))
            assert m.stat("cluster.inbound|9000||.upstream_cx_total") == 2
        assert loops_refused(m) == 0
        at_rest(m)
        m.stop()


@VERSIONS
def test_without_the_owner_rule(net, start, version):
    """The two rules alone, put in while meshd runs: what comes back is refused, in both directions."""
    a, b = net.host("a"), net.host("b")
    m = start(a, f'inbound = ( {{ port = 9000; protocol = "tcp"; endpoint = "{bracket(LOOPBACK[version], 9000)}"; }} );\n',
              intercept=NONE)
    with a.listen(LOOPBACK[version], 9000), b.listen(b.ip[version], 9300), rules(a, "nat", *LITERAL):
        assert fate(a, b.ip[version], 9300) == "reset"
        assert fate(b, a.ip[version], 9000) == "reset"
        wait_for("both were refused", lambda: loops_refused(m) == 2)
        assert m.stat("server.accepted") == 4
        at_rest(m)
        assert m.stat("server.accepted") == 4 and m.stat("server.connections") == 0


@VERSIONS
def test_dead_ends(net, start, version):
    a, b = net.host("a"), net.host("b")
    m = start(a, "", intercept=OURS)
    own, other, loopback = a.ip[version], b.ip[version], LOOPBACK[version]
    check_ends(m, [
        (a, loopback, 8090, "eof", 1, "no_healthy_upstream"), (a, own, 8090, "eof", 1, "no_healthy_upstream"),
        (b, own, 8090, "eof", 1, "no_healthy_upstream"), (a, other, 8090, "eof", 1, "no_healthy_upstream"),
        (a, own, 9999, "ECONNREFUSED", 0, None), (b, own, 9999, "reset", 1, "upstream_connect_failure"),
        (a, other, 9999, "reset", 1, "upstream_connect_failure")])


def test_reload_and_drain(net, start):
    """Both directions go on over a reload, and are drained at the end."""
    a, b = net.host("a"), net.host("b")
    body = ('inbound = ( { port = 9000; protocol = "tcp"; endpoint = "127.0.0.1:9000"; } );\n'
            "services = ( " + tcp_service("s", "203.0.113.62", 9000, f"{b.v4}:9000") + " );\n")
    m = start(a, body, intercept=OURS)
    with a.listen("127.0.0.1", 9000) as here, b.listen(b.v4, 9000) as there:
        out, inn = a.connect("203.0.113.62", 9000), b.connect(a.v4, 9000)
        pairs = [(out, there.accept()[0]), (inn, here.accept()[0])]
        assert m.reload(body.replace("203.0.113.62", "203.0.113.63")).returncode == 0
        talk(a.connect("203.0.113.63", 9000), there)
        talk(b.connect(a.v4, 9000), here)
        inn.sendall(b"kept")
        assert pairs[1][1].recv(10) == b"kept"
        pairs[0][1].close()             # its listener is gone: it drains
        assert ends(out) in ("eof", "reset")
        m.process.signal(15)
        wait_for("it stops", lambda: m.notified("STOPPING=1"))
        pairs[1][1].sendall(b"still")
        assert inn.recv(10) == b"still"
        pairs[1][1].close()
        assert ends(inn) == "eof"
        m.check_gone(m.process.wait(10))
