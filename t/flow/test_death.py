"""kill -9 of what can be killed."""
import os
import signal

import pytest

from lib.hosts import wait_for
from lib.mesh import address
from lib.traffic import Mover, ends
from test_routes import gateway

HOME = ("127.0.0.1", 7000)


def queued(host, port):
    """Connections that wait to be accepted at a port."""
    total = 0
    for line in host.run("ss", "-Hltn", f"sport = :{port}").stdout.splitlines():
        total += int(line.split()[1])
    return total


@pytest.mark.parametrize("version", [4, 6])
def test_64_queued_connections_are_served_by_the_successor(mesh, version):
    """Both workers are stopped, so that connections queue; then they are killed."""
    both = dict(send="64k", expect="64k", parallel=64)
    server = Mover(mesh.b, "server", *HOME, **both)
    workers = mesh.out.workers()
    for w in workers:
        os.kill(w, signal.SIGSTOP)
    client = Mover(mesh.a, "client", address("mover", version), 7000, **both)
    wait_for("64 connections are queued", lambda: queued(mesh.a, 15001) == 64)
    for w in workers:
        os.kill(w, signal.SIGKILL)
    assert client.content()["connections"] == 64
    server.content()
    wait_for("new workers", lambda: len(mesh.out.workers()) == 2 and not set(mesh.out.workers()) & set(workers))
    assert mesh.out.stat("server.deaths") == 2


def test_queued_at_a_bound_listener(net, start):
    """A successor has the listening sockets that the master bound, those of a reload too."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    clusters = f'clusters = ( {{ name = "b"; endpoints = [ "{b.v4}:9000" ]; }} );\n'
    m = start(a, f"listeners = ( {gateway(8000, 'b')} );\n" + clusters, intercept="")
    assert m.reload(f"listeners = ( {gateway(8000, 'b')}, {gateway(8001, 'b', 'second')} );\n" + clusters).returncode == 0
    both = dict(send="64k", expect="64k", parallel=32)
    server = Mover(b, "server", b.v4, 9000, **dict(both, parallel=64))
    workers = m.workers()
    for w in workers:
        os.kill(w, signal.SIGSTOP)
    clients = [Mover(c, "client", a.v4, port, **both) for port in (8000, 8001)]
    wait_for("64 connections are queued", lambda: queued(a, 8000) + queued(a, 8001) == 64)
    for w in workers:
        os.kill(w, signal.SIGKILL)
    for client in clients:
        assert client.content()["connections"] == 32
    server.content()


def test_other_workers_do_not_notice(mesh):
    with mesh.b.listen(*HOME) as l:
        pairs = []
        for _ in range(24):
            c = mesh.a.connect(address("mover", 4), 7000)
            s, _ = l.accept()
            s.settimeout(10)
            pairs.append((c, s))
        before = mesh.out.stat("server.accepted")
        first, second = mesh.out.workers()
        held = mesh.out.stat("worker.1.connections")
        assert 0 < held < 24, "the kernel spreads 24 connections over two workers"
        os.kill(first, signal.SIGKILL)
        wait_for("a successor", lambda: len(mesh.out.workers()) == 2 and first not in mesh.out.workers())
        alive = 0
        for c, s in pairs:
            try:
                c.sendall(b"ping")
                if s.recv(10) == b"ping":
                    alive += 1
            except ConnectionResetError:
                pass
        assert alive == held
        assert second in mesh.out.workers()
        # What it held is given back, what it counted is kept.
        wait_for("gauges", lambda: mesh.out.stat("server.connections") == held)
        assert mesh.out.stat("cluster.outbound|7000||mover.upstream_cx_active") == held
        assert mesh.out.stat("server.accepted") == before


def test_agent_killed(mesh):
    """Nobody's request notices; the log and meshctl go on with its successor."""
    with mesh.b.listen(*HOME) as l:
        client = mesh.a.connect(address("mover", 4), 7000)
        server, _ = l.accept()
        (agent,) = mesh.out.children("meshd-agent")
        os.kill(agent, signal.SIGKILL)
        client.sendall(b"ping")
        assert server.recv(10) == b"ping"
        server.close()
        assert ends(client) == "eof"
        client.close()
    wait_for("a new agent", lambda: mesh.out.children("meshd-agent") not in ([], [agent]))
    mesh.out.logged(cluster="outbound|7000||mover")
    assert mesh.out.stat("cluster.outbound|7000||mover.upstream_cx_total") == 1


@pytest.mark.long
def test_a_stopped_agent_holds_up_nobody(mesh):
    """Its pipes fill; lines are dropped and counted, and traffic goes on."""
    (agent,) = mesh.out.children("meshd-agent")
    both = dict(send="1", expect="1", time=90)
    server = Mover(mesh.b, "server", *HOME, parallel=256, **both, **{"for": 80})
    os.kill(agent, signal.SIGSTOP)
    n = 0
    try:
        while n < 16000:        # of some 150 bytes each: more than both workers' pipes hold
            n += Mover(mesh.a, "client", address("mover", 4), 7000, parallel=32, **both, **{"for": 1}).content()["connections"]
    finally:
        os.kill(agent, signal.SIGCONT)
    server.stop()
    dropped = mesh.out.stat("server.access_log_dropped")
    assert dropped > 0
    wait_for("all other lines", lambda: len(mesh.out.log_lines()) == n - dropped)


def test_a_stopped_master_holds_up_nobody(mesh):
    mesh.out.process.signal(signal.SIGSTOP)
    try:
        both = dict(send="64k", expect="64k", parallel=16)
        server = Mover(mesh.b, "server", *HOME, **both)
        Mover(mesh.a, "client", address("mover", 4), 7000, **both).content()
        server.content()
    finally:
        mesh.out.process.signal(signal.SIGCONT)


@pytest.mark.parametrize("program", ["meshd-worker", "meshd-agent"])
def test_reload_after_a_death(mesh, program):
    victims = mesh.out.children(program)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_for("successors", lambda: len(mesh.out.children(program)) == len(victims) and not set(mesh.out.children(program)) & set(victims))
    assert mesh.out.reload().returncode == 0
    with mesh.b.listen(*HOME) as l:
        client = mesh.a.connect(address("mover", 4), 7000)
        l.accept()[0].close()
        assert ends(client) == "eof"
