"""Every option of interception, in rows of combinations: where connections have to land, and where they do.

MESHD_MATRIX=FILE has all of it written there.
"""
import os
import re
import socket
import struct
import time

import pytest

from lib import matrix
from lib.landing import lands
from lib.hosts import readable, wait_for
from lib.meshd import INTERCEPT
from lib.rig import Rig, services_text

# What only a start changes, and whether every row is tried with it.
STARTS = {"redirect": ({}, True), "tproxy": ({"mode": "tproxy"}, True), "one port": ({"port": 8090}, False),
          "tproxy, other numbers": ({"mode": "tproxy", "tproxy_mark": 77, "tproxy_route_table": 1077, "inbound_sources": 2}, False),
          "many": ({"outbound_port": "15101-15108", "inbound_port": 15116, "inbound_sources": 4}, False)}


@pytest.fixture
def rig(net):
    r = Rig(net)
    yield r
    r.close()


def tell(variant, mode, name, options, rig, wrong, seconds):
    to = os.environ.get("MESHD_MATRIX")
    if not to:
        return
    with open(to, "a") as f:
        f.write(f"{variant} {mode} {name}: {len(rig.probes)} probes, {len(wrong)} elsewhere, {seconds:.2f} s\n  {matrix.conf(options)}")
        for p in rig.probes:
            path, ip = lands(options, rig.place, p)
            f.write(f"    {p.host} {p.owner[0]}:{p.owner[1]} {p.what} {p.ip} {p.port} -> {' '.join(path) or 'direct'} {ip}\n")
        f.writelines(f"  WRONG {w}\n" for w in wrong)


@pytest.mark.long
@pytest.mark.parametrize("mode", list(STARTS))
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_where_it_lands(rig, start, variant, mode):
    always, whole = {"iptables": variant} | STARTS[mode][0], STARTS[mode][1]
    m, wrong = None, []
    for name, options in matrix.rows(whole):
        began = time.monotonic()
        options = always | options
        if m is None:
            m = start(rig.a, services_text(), intercept=matrix.conf(options))
            top = m.top.replace(matrix.conf(options), "")
        else:
            m.top = top + matrix.conf(options)
            done = m.reload(m.body)
            assert done.returncode == 0, done.stderr
        elsewhere = rig.run(m, options, options.get("inbound_sources", 1))
        tell(variant, mode, name, options, rig, elsewhere, time.monotonic() - began)
        wrong += [f"{name}: {w}" for w in elsewhere]
    assert not wrong, f"{len(wrong)} landed elsewhere:\n" + "\n".join(wrong[:40])


# ---- what is no connection, or not of TCP ----

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
RECEIVED, SENT = 1, 2
ACK = 0x10


def next_bytes(sock):
    """The numbers of the next byte to send and of the next one to come."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    found = []
    for queue in SENT, RECEIVED:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        found.append(struct.unpack("I", sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, 4))[0])
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)
    return found


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def out_of_window(host, client):
    """A segment of that connection, as some device on its way might send it: acceptable to nobody."""
    (source, sport), (to, port) = client.getsockname(), client.getpeername()
    sent, received = next_bytes(client)
    head = struct.pack("!HHIIBBHHH", sport, port, (sent + (1 << 30)) & 0xffffffff, received, 5 << 4, ACK, 512, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.sendto(head, (to, 0))


def counted(host, variant, table, chain, what):
    """Packets that this rule has seen."""
    for line in host.must(f"iptables-{variant}", "-t", table, "-nvxL", chain).splitlines():
        if re.match(rf"\s*\d.* {what}", line):
            return int(line.split()[0])
    raise AssertionError(f"no {what} in {chain}")


@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("drop", [False, True])
def test_a_segment_out_of_window(net, start, variant, drop):
    """The kernel has no connection for it, so it comes to the application's own port, and the answer is a reset that the
    client has to believe; unless it is dropped."""
    a, b = net.host("a"), net.host("b")
    with a.listen("0.0.0.0", 7000) as l:
        start(a, "", intercept=INTERCEPT.replace("{", f'{{ iptables = "{variant}"; drop_invalid = {str(drop).lower()};'))
        client = b.connect(a.v4, 7000)
        server, peer = l.accept()
        assert peer[0] == "127.0.0.6"
        out_of_window(b, client)
        if not drop:
            assert readable(client, 10)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        else:
            wait_for("it is dropped", lambda: counted(a, variant, "mangle", "MESHD_DROP", "DROP") == 1)
            client.sendall(b"on")
            server.settimeout(10)
            assert server.recv(2) == b"on"
        client.close()
        server.close()


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_questions_to_a_name_server(net, start, variant):
    """exclude_dns leaves port 53 alone for UDP and TCP: here UDP, of which nothing is caught anyway."""
    a, b = net.host("a"), net.host("b")
    start(a, "", intercept=INTERCEPT.replace("{", f'{{ iptables = "{variant}"; exclude_dns = true;'))
    with a.inside():
        asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with b.inside():
        answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answers.bind((b.v4, 53))
    answers.settimeout(10)
    asks.connect((b.v4, 53))
    asks.send(b"?")
    assert answers.recvfrom(10) == (b"?", asks.getsockname())
    assert counted(a, variant, "nat", "MESHD_OUTPUT", "udp dpt:53") == 1
    asks.close()
    answers.close()
