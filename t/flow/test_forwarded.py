"""A host that passes on the packets of others, of its containers for one: that traffic is not its own, and goes on untouched."""
import pytest

V4, V6 = "203.0.113", "2001:db8:77:"
NAT = "POSTROUTING -s {prefix} -o eth0 -j MASQUERADE"


@pytest.fixture
def box(net, host):
    """A container of the host: behind an interface of it, with no other way out."""
    b = net.host("box")
    b.must("ip", "link", "del", "eth0")
    host.must("ip", "link", "add", "ct0", "type", "veth", "peer", "name", "eth0", "netns", b.ns)
    host.must("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for where, device, last in (host, "ct0", 1), (b, "eth0", 2):
        where.must("ip", "link", "set", device, "up")
        where.must("ip", "addr", "add", f"{V4}.{last}/24", "dev", device)
        where.must("ip", "addr", "add", f"{V6}:{last}/64", "dev", device, "nodad")
    b.must("ip", "route", "add", "default", "via", f"{V4}.1")
    b.must("ip", "route", "add", "default", "via", f"{V6}:1")
    b.ip = {4: f"{V4}.2", 6: f"{V6}:2"}
    return b


def talk(near, far):
    """Several segments each way: the rules see a connection's first packet, its answers, and what follows."""
    for i in range(5):
        near.sendall(b"question %d" % i)
        assert far.recv(100) == b"question %d" % i
        far.sendall(b"answer %d" % i)
        assert near.recv(100) == b"answer %d" % i


@pytest.mark.parametrize("translated", [False, True], ids=["routed", "masqueraded"])
@pytest.mark.parametrize("kind", ["nft", "legacy"])
@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
@pytest.mark.parametrize("family", [4, 6])
def test_what_containers_send_and_get(net, host, box, start, family, mode, kind, translated):
    server = net.host("b")
    restore = {4: "iptables", 6: "ip6tables"}[family] + f"-{kind}"
    if translated:
        host.must(restore, "-t", "nat", "-A", *NAT.format(prefix={4: f"{V4}.0/24", 6: f"{V6}:/64"}[family]).split())
    else:
        server.must("ip", "route", "add", {4: f"{V4}.0/24", 6: f"{V6}:/64"}[family], "via", host.ip[family])
    m = start(host, "", intercept=f'intercept = {{ mode = "{mode}"; iptables = "{kind}"; }};\n')

    listener = server.listen(server.ip[family], 7000)
    out = box.connect(server.ip[family], 7000)
    far, peer = listener.accept()
    far.settimeout(10)
    assert peer[0] == (host if translated else box).ip[family], "the server sees who it is"
    talk(out, far)

    inside = box.listen(box.ip[family], 7001)
    if not translated:
        into = server.connect(box.ip[family], 7001)
        near, peer = inside.accept()
        near.settimeout(10)
        assert peer[0] == server.ip[family]
        talk(into, near)
    assert m.connections() == []

    # the host's own service is caught as ever, from there too
    own = host.listen({4: f"{V4}.1", 6: f"{V6}:1"}[family], 7002)
    to_host = box.connect({4: f"{V4}.1", 6: f"{V6}:1"}[family], 7002)
    app, _ = own.accept()
    app.settimeout(10)
    talk(to_host, app)
    assert [c["listener"] for c in m.connections()] == ["virtualInbound"]
    talk(out, far)
