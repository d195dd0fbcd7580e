"""Bytes and ends of a connection, through the outbound sidecar of one host and the inbound one of the other."""
import itertools
import select
import threading
import time

import pytest

from conftest import LONG
from lib.hosts import readable, wait_for
from lib.mesh import address
from lib.meshd import SANITIZED
from lib.traffic import Mover, ends, move, read_all, reset

HOME = ("127.0.0.1", 7000)


@pytest.fixture(params=[4, 6])
def to(request, mesh):
    """The service's address, in each family."""
    return address("mover", request.param), 7000


def pair(mesh, to):
    """A connection: the client's socket and the server's."""
    with mesh.b.listen(*HOME) as l:
        client = mesh.a.connect(*to)
        server, _ = l.accept()
        server.settimeout(10)
        return client, server


# ---- bulk ----

@pytest.mark.long
def test_1_gib_each_way_with_1_mib_writes(mesh):
    both = dict(send="1g", expect="1g", write="1m", time=120)
    move(mesh.a, mesh.b, (address("mover", 4), 7000), HOME, both, both)
    assert mesh.out.stat("server.spliced_bytes") > 0


def test_64_mib_each_way_over_ipv6(mesh):
    both = dict(send="64m", expect="64m", write="1m")
    move(mesh.a, mesh.b, (address("mover", 6), 7000), HOME, both, both)


@pytest.mark.long
def test_64_mib_with_7_byte_writes(mesh):
    move(mesh.a, mesh.b, (address("mover", 4), 7000), HOME, dict(send="64m", write=7, time=120), dict(expect="64m", time=120))


def test_4_mib_with_1_byte_writes_each_way(mesh):
    size = "4m" if LONG else "1m"
    both = dict(send=size, expect=size, write=1, nodelay=True, time=120)
    move(mesh.a, mesh.b, (address("mover", 4), 7000), HOME, both, both)


def test_64_connections_at_a_time(mesh):
    both = dict(send="1m", expect="1m", parallel=64)
    client, server = move(mesh.a, mesh.b, (address("mover", 4), 7000), HOME, both, both)
    assert client["connections"] == server["connections"] == 64


def test_many_short_connections(mesh):
    """Each is counted once and has its line; nothing of it stays."""
    before = [mesh.out.descriptors(w) for w in mesh.out.workers()]
    both = dict(send="1k", expect="1k")
    server = Mover(mesh.b, "server", *HOME, parallel=256, **both, **{"for": 60})
    client = Mover(mesh.a, "client", address("mover", 4), 7000, parallel=32, **both, **{"for": 2})
    n = client.content()["connections"]
    assert server.stop()["connections"] == n
    for m in mesh.out, mesh.inn:
        wait_for("all have ended", lambda: m.stat("server.connections") == 0)
        assert m.stat("server.accepted") == n
        wait_for("a line for each", lambda: len(m.log_lines()) + m.stat("server.access_log_dropped") == n)
        assert all(line["flags"] == "-" and (line["received"], line["sent"]) == ("1024", "1024") for line in m.log_lines())
    assert mesh.out.stat("cluster.outbound|7000||mover.upstream_cx_total") == n
    assert mesh.out.stat("cluster.outbound|7000||mover.upstream_cx_tx_bytes_total") == n * 1024
    assert [mesh.out.descriptors(w) for w in mesh.out.workers()] == before


def test_slow_reader_holds_little_memory(mesh):
    """32 clients send as fast as they may to servers that read 256 KiB/s; each connection stays under its limit."""
    n, limit = 32, 1 << 20
    before = {w: mesh.out.memory_bytes(w) for w in mesh.out.workers()}
    server = Mover(mesh.b, "server", *HOME, expect="512k", rate="256k", read="8k", rcvbuf="8k", parallel=n)
    client = Mover(mesh.a, "client", address("mover", 4), 7000, send="512k", parallel=n)
    highest = 0

    def served():
        nonlocal highest
        for m in mesh.out, mesh.inn:
            held = m.stat("server.buffer_bytes")
            highest = max(highest, held)
            assert held <= n * limit
        for w in mesh.out.workers():
            assert SANITIZED or mesh.out.memory_bytes(w) - before[w] < n * limit + (8 << 20)
        return server.process.popen.poll() is not None

    wait_for("slow readers are through", served, 60)
    client.content()
    server.content()
    wait_for("buffers given back", lambda: mesh.out.stat("server.buffer_bytes") == 0)


def test_a_stuck_reader_stops_its_writer(mesh, to):
    """Nobody reads: what the mesh takes in is bounded by the sockets' buffers and the limit."""
    client, server = pair(mesh, to)
    client.setblocking(False)
    taken = 0

    def stuck():
        nonlocal taken
        try:
            taken += client.send(b"z" * 65536)
            return False
        except BlockingIOError:
            return not wait_writable(client)

    wait_for("the writer is held back", stuck, 30)
    assert taken < 64 << 20
    for m in mesh.out, mesh.inn:
        assert m.stat("server.buffer_bytes") <= 2 << 20
    client.setblocking(True)
    client.close()
    got = 0
    while chunk := server.recv(1 << 20):
        got += len(chunk)
    assert got == taken


def wait_writable(sock):
    return bool(select.select([], [sock], [], 0.5)[1])


# ---- ends ----

def test_half_close_first_from_the_client(mesh, to):
    client, server = pair(mesh, to)
    client.sendall(b"question")
    client.shutdown(1)
    assert read_all(server) == b"question"
    server.sendall(b"answer" * 1000)
    server.close()
    assert read_all(client) == b"answer" * 1000
    assert mesh.out.logged()["flags"] == "-"


def test_half_close_first_from_the_server(mesh, to):
    client, server = pair(mesh, to)
    server.sendall(b"greeting")
    server.shutdown(1)
    assert read_all(client) == b"greeting"
    client.sendall(b"late" * 1000)
    client.close()
    assert read_all(server) == b"late" * 1000
    assert mesh.out.logged()["flags"] == "-"


def test_half_closed_in_bulk_both_orders(mesh, to):
    move(mesh.a, mesh.b, to, HOME, dict(send="20m", expect="20m"), dict(send="20m", expect="20m", begin="eof"))
    move(mesh.a, mesh.b, to, HOME, dict(send="20m", expect="20m", begin="eof"), dict(send="20m", expect="20m"))


def test_end_without_a_byte(mesh, to):
    client, server = pair(mesh, to)
    client.shutdown(1)
    assert ends(server) == "eof"
    server.close()
    assert ends(client) == "eof"


def test_reset_from_the_client_is_a_reset_to_the_server(mesh, to):
    client, server = pair(mesh, to)
    client.sendall(b"some")
    assert server.recv(100) == b"some"
    reset(client)
    assert ends(server) == "reset"
    assert mesh.out.logged(flags="DR")["details"] == "downstream_reset"
    mesh.inn.logged(flags="DR")


def test_reset_from_the_server_is_a_reset_to_the_client(mesh, to):
    client, server = pair(mesh, to)
    server.sendall(b"some")
    assert client.recv(100) == b"some"
    reset(server)
    assert ends(client) == "reset"
    mesh.out.logged(flags="UR")
    mesh.inn.logged(flags="UR")


@pytest.mark.parametrize("who", ["client", "server"])
def test_reset_after_a_half_close(mesh, who):
    """The side that has ended its writing still sees the other's reset, and its own reset is passed on."""
    client, server = pair(mesh, (address("mover", 4), 7000))
    client.shutdown(1)
    assert server.recv(10) == b""
    first, other = (client, server) if who == "client" else (server, client)
    reset(first)
    if who == "server":
        assert ends(other) == "reset"
        return
    wait_for("the server's write fails", lambda: write_fails(other), 10)


def write_fails(sock):
    try:
        sock.send(b"x")
        return False
    except OSError:
        return True


def test_resets_under_load_leave_nothing(mesh):
    """Clients that reset in the middle of a transfer, many times; no connection and no descriptor stays."""
    before = [mesh.out.descriptors(w) for w in mesh.out.workers()]
    server = Mover(mesh.b, "server", *HOME, send="8m", parallel=256, expect_reset=True, **{"for": 60})
    client = Mover(mesh.a, "client", address("mover", 4), 7000, expect="8m", reset_after="512k", hold=True, parallel=16, **{"for": 2})
    client.content()
    server.stop()
    wait_for("all connections gone", lambda: mesh.out.stat("server.connections") == 0 and mesh.inn.stat("server.connections") == 0)
    assert mesh.out.stat("server.operations_in_flight") == 0
    # pipes are pooled: two descriptors each, sixteen at most
    for w, n in zip(mesh.out.workers(), before):
        assert mesh.out.descriptors(w) <= n + 32


# ---- order of events ----

def test_server_speaks_first(mesh, to):
    with mesh.b.listen(*HOME) as l:
        client = mesh.a.connect(*to)
        server, _ = l.accept()
        server.sendall(b"220 ready\r\n")
        assert readable(client, 10) and client.recv(100) == b"220 ready\r\n"
        client.sendall(b"QUIT\r\n")
        assert server.recv(100) == b"QUIT\r\n"


def test_client_sends_and_ends_before_the_upstream_is_there(mesh, to):
    """All that a client has to say is with meshd before the server accepts."""
    with mesh.b.listen(*HOME, 1) as l:
        client = mesh.a.connect(*to)
        client.sendall(b"early" * 50_000)
        client.shutdown(1)
        server, _ = l.accept()
        assert read_all(server) == b"early" * 50_000
        server.sendall(b"done")
        server.close()
        assert read_all(client) == b"done"


def test_one_connection_does_not_hold_up_others(mesh, to):
    """A reader that is stuck, and another connection beside it on the same worker."""
    with mesh.b.listen(*HOME) as l:
        stuck = [mesh.a.connect(*to) for _ in range(8)]
        held = [l.accept()[0] for _ in stuck]
        for s in stuck:
            s.setblocking(False)
            try:
                while True:
                    s.send(b"z" * 65536)
            except BlockingIOError:
                pass
        for _ in range(8):
            client = mesh.a.connect(*to)
            server, _ = l.accept()
            client.sendall(b"ping")
            server.settimeout(10)
            assert server.recv(10) == b"ping"
            server.sendall(b"pong")
            assert client.recv(10) == b"pong"
        for s in stuck + held:
            s.close()


def test_phases_in_both_directions_stop_nobody(mesh, to):
    """Bulk one way, then a quiet while, then bulk the other way, and back: a splice(2) on sockets that wait would stop the
    whole worker, and with it the connection beside this one."""
    with mesh.b.listen(*HOME) as l:
        client = mesh.a.connect(*to)
        server, _ = l.accept()
        beside = [(mesh.a.connect(*to), l.accept()[0]) for _ in range(8)]

        def bulk(a, b, size):
            a.settimeout(10)
            b.settimeout(10)
            writer = threading.Thread(target=a.sendall, args=(b"x" * size,))
            writer.start()
            while size > 0:
                size -= len(b.recv(size))
            writer.join()

        def quiet(a, b):
            for _ in range(20):
                bulk(a, b, 1)
                time.sleep(0.01)

        bulk(server, client, 4 << 20)
        bulk(client, server, 64 << 10)
        quiet(client, server)
        bulk(client, server, 4 << 20)
        quiet(server, client)
        for size in (1, 20_000, 20_000):
            bulk(client, server, size)
            time.sleep(0.1)
        for a, b in beside:
            bulk(a, b, 5)
        assert mesh.out.stat("server.pipes") <= 16 * len(mesh.out.workers())
        for s in [client, server, *itertools.chain(*beside)]:
            s.close()
