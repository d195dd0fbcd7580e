"""Reload: what is broken changes nothing, what is good changes no connection."""
import itertools
import os
import re
import signal
import time

import pytest

from conftest import LONG
from lib.hosts import wait_for
from lib.mesh import address, caller, offerer
from lib.meshd import MESHCTL, newest
from lib.traffic import Mover, fate

HOME = ("127.0.0.1", 7000)

GOOD = '''services = ( { name = "s"; port = 9000; protocol = "tcp"; addresses = [ "203.0.113.40" ]; endpoints = [ "%s:9000" ]; } );
'''


@pytest.fixture
def running(net, start):
    """A meshd with one service, whose connection goes on through everything a test does."""
    a, b = net.host("a"), net.host("b")
    m = start(a, GOOD % b.v4)
    with b.listen(b.v4, 9000) as l:
        client = a.connect("203.0.113.40", 9000)
        server, _ = l.accept()
        yield m
        client.sendall(b"still")
        server.settimeout(10)
        assert server.recv(10) == b"still"
        again = a.connect("203.0.113.40", 9000)
        l.accept()[0].close()
        again.close()
        client.close()
        server.close()


# (text that is added or replaces the body, what the error must say)
BROKEN = {
    "syntax": ("services = ( {\n", r"meshd\.conf:\d+: .*"),
    "unknown key": ('servises = ( );\n', r'meshd\.conf:\d+: servises: unknown key \(did you mean "services"\?\)'),
    "misspelt inner key": ('clusters = ( { name = "c"; conect_timeout = "1s"; } );\n', r'did you mean "connect_timeout"\?'),
    "wrong type": ('drain_time = 5;\n', r"meshd\.conf:\d+: "),
    "out of range": ('listeners = ( { name = "l"; address = "127.0.0.1"; port = 65536; filter_chains = ( ); } );\n',
                     r"listeners\[0\]\.port"),
    "dangling cluster": ('''listeners = ( { name = "l"; address = "127.0.0.1"; port = 8000; filter_chains = (
        { filters = ( { type = "tcp_proxy"; cluster = "nowhere"; } ); } ); } );\n''', r'nowhere'),
    "not built yet": ('inbound = ( { port = 8080; protocol = "grpc"; } );\n', r"not supported yet"),
    "include of a folder": ('@include "/etc"\n', r"meshd\.conf:\d+: "),
    "include of nothing": ('@include "missing.conf"\n', r"missing\.conf"),
    "include of itself": ('@include "meshd.conf"\n', r"meshd\.conf"),
    "two errors": ('nonsense = 1;\nclusters = ( { name = "c"; connect_timeout = "11min"; } );\n', r"(?s)nonsense.*connect_timeout"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_changes_nothing(running, case):
    text, says = BROKEN[case]
    before = newest(running), running.host.rules(), running.ask("pc", "listener", "-o", "json")
    done = running.reload(text)
    assert done.returncode == 1
    assert re.search(says, done.stderr), done.stderr
    assert (newest(running), running.host.rules(), running.ask("pc", "listener", "-o", "json")) == before
    check = running.meshctl("check", running.file)
    assert check.returncode == 1 and re.search(says, check.stderr + check.stdout)


@pytest.mark.parametrize("key, other", [("workers", "workers = 3;"), ("runtime_dir", 'runtime_dir = "/run/elsewhere";'),
                                        ("intercept", "")])
def test_a_start_only_key_is_refused_by_name(running, key, other):
    before = newest(running)
    lines = [line for line in running.top.splitlines() if not line.startswith(key)]
    running.top = "\n".join([other] + lines) + "\n"
    done = running.reload(running.body if key != "intercept" else "")
    assert done.returncode == 1 and key in done.stderr, done.stderr
    assert newest(running) == before


def test_include_is_followed_at_reload(running):
    part = running.dir / "parts"
    part.mkdir()
    (part / "services.conf").write_text(running.body)
    assert running.reload('@include "parts/services.conf"\n').returncode == 0
    (part / "services.conf").write_text("services = ( { naem = 1; } );\n")
    done = running.reload()
    assert done.returncode == 1 and re.search(r"parts/services\.conf:1: ", done.stderr), done.stderr
    assert 'did you mean "name"?' in done.stderr


def test_sighup_reloads(running):
    before = newest(running)
    running.write(running.body.replace("203.0.113.40", "203.0.113.40\", \"203.0.113.41"))
    running.process.signal(signal.SIGHUP)
    wait_for("a new generation", lambda: newest(running) > before)
    wait_for("RELOADING=1", lambda: running.notified("RELOADING=1"))
    assert "203.0.113.41" in running.ask("pc", "listener")


def test_wait_returns_only_when_every_worker_has_adopted(running):
    before, worker = newest(running), running.workers()[0]
    running.write(running.body.replace("203.0.113.40", "203.0.113.40\", \"203.0.113.43"))
    os.kill(worker, signal.SIGSTOP)
    try:
        client = running.host.start(MESHCTL, "-r", running.rundir, "reload", "--wait")
        wait_for("the master has published", lambda: newest(running) > before)
        assert client.popen.poll() is None
    finally:
        os.kill(worker, signal.SIGCONT)
    assert client.wait(10) == 0, client.output()


def test_reloads_that_come_at_once(running):
    """Ten SIGHUPs and four that wait: each waiting one is answered, and the last file is the one in use."""
    running.write(running.body.replace("203.0.113.40", "203.0.113.40\", \"203.0.113.44"))
    waiting = [running.host.start(MESHCTL, "-r", running.rundir, "reload", "--wait") for _ in range(4)]
    for _ in range(10):
        running.process.signal(signal.SIGHUP)
    running.write(running.body.replace("203.0.113.44", "203.0.113.45"))
    assert running.reload().returncode == 0
    for w in waiting:
        assert w.wait(20) == 0, w.output()
    listeners = running.ask("pc", "listener")
    assert "203.0.113.45" in listeners and "203.0.113.44" not in listeners


def test_a_service_that_comes_back_finds_its_counters(net, start):
    """A connection that is open keeps the place of its cluster."""
    a, b = net.host("a"), net.host("b")
    m = start(a, GOOD % b.v4)
    with b.listen(b.v4, 9000) as l:
        client = a.connect("203.0.113.40", 9000)
        server, _ = l.accept()
        assert m.reload("").returncode == 0
        assert "outbound|9000||s" not in m.ask("pc", "cluster")
        assert m.reload(GOOD % b.v4).returncode == 0
        assert m.stat("cluster.outbound|9000||s.upstream_cx_total") == 1
        client.close()
        server.close()


def test_identical_file_reloads(running):
    """Nothing changed: done, and every counter goes on."""
    accepted = running.stat("server.accepted")
    assert running.reload().returncode == 0
    assert running.stat("server.accepted") == accepted


def test_counters_and_connections_of_a_service_go_on(running):
    name = "cluster.outbound|9000||s."
    assert running.stat(name + "upstream_cx_active") == 1
    assert running.reload(running.body.replace("203.0.113.40", "203.0.113.40\", \"203.0.113.42")).returncode == 0
    assert running.stat(name + "upstream_cx_active") == 1
    assert running.stat(name + "upstream_cx_total") == 1


def test_access_log_is_switched_by_reload(running):
    a, top, second = running.host, running.top, running.dir / "second.log"
    running.top = re.sub("access_log = .*", "", top)
    assert running.reload(running.body).returncode == 0
    assert fate(a, a.v4, 15001) in ("eof", "reset")
    wait_for("it has ended", lambda: running.stat("server.connections") == 1)
    running.top = top.replace("access.log", "second.log")
    assert running.reload(running.body).returncode == 0
    assert fate(a, a.v4, 15001) in ("eof", "reset")
    wait_for("a line in the second log", lambda: second.exists() and second.read_text().count("\n") >= 1)
    assert not running.log_lines()


@pytest.mark.long
def test_reload_each_second_under_traffic(mesh):
    """Every third file is broken.  No connection fails; descriptors and memory are as before."""
    seconds = 120 if LONG else 15
    both = dict(send="2m", expect="2m")
    warm = Mover(mesh.b, "server", *HOME, parallel=8, **both)
    Mover(mesh.a, "client", address("mover", 4), 7000, parallel=8, **both).content()
    warm.content()
    daemons = mesh.out, mesh.inn
    wait_for("quiet", lambda: all(m.stat("server.connections") == 0 for m in daemons))
    before = {pid: (m.descriptors(pid), m.memory_bytes(pid)) for m in daemons for pid in m.left()}

    server = Mover(mesh.b, "server", *HOME, parallel=512, time=seconds + 60, **both, **{"for": seconds + 50})
    clients = [Mover(mesh.a, "client", address("mover", v), 7000, parallel=8, time=seconds + 30, **both, **{"for": seconds})
               for v in (4, 6)]
    end = time.monotonic() + seconds
    last_good = {}
    for n in itertools.count():
        for m, body in (mesh.out, caller(mesh.b, f'connect_timeout = "{3 + n % 5}s";')), \
                       (mesh.inn, offerer(f'connect_timeout = "{3 + n % 5}s";')):
            if n % 3 == 2:
                done = m.reload(body + 'oops = ( "broken"\n')
                assert done.returncode == 1, done.stdout
                assert newest(m) == last_good[m]
            else:
                done = m.reload(body)
                assert done.returncode == 0, done.stderr
                last_good[m] = newest(m)
        if time.monotonic() > end:
            break
        time.sleep(max(0.0, min(1.0, end - time.monotonic())))
    for client in clients:
        assert client.content()["connections"] > 16
    server.stop()
    wait_for("quiet", lambda: all(m.stat("server.connections") == 0 for m in daemons))
    for m in daemons:
        assert newest(m) == last_good[m]
        for pid in m.left():
            fds, memory = before[pid]
            assert m.descriptors(pid) <= fds + 32, m.left()[pid]        # pooled pipes
            assert m.memory_bytes(pid) <= memory + (4 << 20), m.left()[pid]
