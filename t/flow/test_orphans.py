"""The master dies: workers serve on for orphan_timeout, then drain; --post-stop and on_exit decide about the rules."""
import signal

import pytest

from lib.hosts import wait_for
from lib.meshd import MESHD
from lib.traffic import ends

RULES = 'intercept = { outbound_port = 15001; inbound_port = 15006; on_exit = "%s"; };\n'


def kill_master(m):
    m.process.signal(signal.SIGKILL)
    m.process.wait()


def post_stop(m):
    """Status and words.  Into a file: what it leaves behind to wait for the workers has its standard error."""
    done = m.host.start(MESHD, "--post-stop", "-c", m.file, name="post-stop")
    return done.wait(20), done.output()


def gone(m):
    wait_for("its children end", lambda: not m.left(), 20)


def end(m, clean):
    """What was killed is not stopped: nothing may be left of it all the same."""
    gone(m)
    m.process = None
    assert m.host.rules() == clean


def carries(a, b, ip="203.0.113.60"):
    """A new connection through the mesh."""
    with b.listen(b.v4, 9000) as l:
        client = a.connect(ip, 9000)
        l.accept()[0].close()
        return ends(client) == "eof"


def service(b):
    return ('services = ( { name = "s"; port = 9000; protocol = "tcp"; addresses = [ "203.0.113.60" ]; '
            f'endpoints = [ "{b.v4}:9000" ]; }} );\n')


def held_connection(a, b):
    with b.listen(b.v4, 9000) as l:
        client = a.connect("203.0.113.60", 9000)
        server, _ = l.accept()
        server.settimeout(10)
        return client, server


def test_master_killed(host, start):
    """Its children end what is open and go.  A new meshd takes over the rules that stayed, and leaves none."""
    clean = host.rules()
    m = start(host, 'orphan_timeout = "0s";\n')
    rules = host.rules()
    kill_master(m)
    gone(m)
    m.start()
    m.rules_before = clean
    assert host.rules() == rules
    m.stop()


def test_workers_serve_for_orphan_timeout(net, start):
    """Old connections and new ones are carried, status says so, lines are written; then they drain and end."""
    a, b = net.host("a"), net.host("b")
    clean = a.rules()
    m = start(a, 'orphan_timeout = "4s";\n' + service(b), drain_time="1s")
    held, server = held_connection(a, b)
    kill_master(m)
    assert carries(a, b)
    m.logged(cluster="outbound|9000||s")
    assert "orphaned:" in m.ask("status")
    held.sendall(b"still here")
    assert server.recv(100) == b"still here"
    assert len(m.workers()) == 2
    assert ends(held) in ("eof", "reset")       # drained: longer than that it does not last
    gone(m)
    assert post_stop(m)[0] == 0
    end(m, clean)


def test_a_new_master_takes_over_while_workers_serve(net, start):
    """What is open goes on in the workers of the old one, new connections are the new one's."""
    a, b = net.host("a"), net.host("b")
    clean = a.rules()
    m = start(a, 'orphan_timeout = "1min";\n' + service(b))
    held, server = held_connection(a, b)
    old = set(m.left())
    kill_master(m)
    m.start()
    m.rules_before = clean
    for _ in range(8):
        assert carries(a, b)
    wait_for("the new one counts them", lambda: m.stat("server.accepted") >= 8)
    held.sendall(b"old way")
    assert server.recv(100) == b"old way"
    server.close()
    assert ends(held) == "eof"
    held.close()
    wait_for("the old ones end", lambda: not old & set(m.left()), 20)
    m.stop()


def test_post_stop_waits_for_the_last_worker(net, start):
    """bypass: rules stay while workers serve, and go with the last of them."""
    a, b = net.host("a"), net.host("b")
    clean = a.rules()
    m = start(a, 'orphan_timeout = "3s";\n' + service(b), intercept=RULES % "bypass", drain_time="0s")
    rules = a.rules()
    kill_master(m)
    status, words = post_stop(m)
    assert status == 0 and "workers still serve" in words
    assert a.rules() == rules
    assert carries(a, b)
    wait_for("no rule is left", lambda: a.rules() == clean, 20)
    end(m, clean)


def test_post_stop_of_one_that_has_no_workers(host, start):
    """bypass: at once."""
    clean = host.rules()
    m = start(host, 'orphan_timeout = "0s";\n', intercept=RULES % "bypass", drain_time="0s")
    rules = host.rules()
    kill_master(m)
    gone(m)
    assert host.rules() == rules
    assert post_stop(m)[0] == 0
    end(m, clean)


def test_post_stop_that_blocks(net, start):
    """block: they stay, what they catch fails, and the next start takes them over."""
    a, b = net.host("a"), net.host("b")
    clean = a.rules()
    m = start(a, 'orphan_timeout = "0s";\n' + service(b), intercept=RULES % "block", drain_time="0s")
    rules = a.rules()
    kill_master(m)
    gone(m)
    status, words = post_stop(m)
    assert status == 0 and "block" in words
    assert a.rules() == rules
    with b.listen(b.v4, 9000), pytest.raises(ConnectionRefusedError):
        a.connect(b.v4, 9000)
    m.start()
    m.rules_before = clean
    assert carries(a, b)
    m.stop()


def test_post_stop_goes_by_what_ran(host, start):
    """The file was changed since: the running meshd has left its word."""
    m = start(host, 'orphan_timeout = "0s";\n', intercept=RULES % "block", drain_time="0s")
    clean, rules = m.rules_before, host.rules()
    kill_master(m)
    gone(m)
    m.top = m.top.replace('"block"', '"bypass"')
    m.write(m.body)
    assert post_stop(m)[0] == 0
    assert host.rules() == rules
    m.start()
    m.rules_before = clean
    m.stop()


def test_post_stop_beside_a_running_meshd(host, start):
    m = start(host, "")
    rules = host.rules()
    status, words = post_stop(m)
    assert status == 1 and "meshd runs" in words
    assert host.rules() == rules


def test_post_stop_after_a_stop(host, start):
    """Nothing to do, and nothing is said to be wrong."""
    m = start(host, "")
    m.stop()
    clean = host.rules()
    status, words = post_stop(m)
    assert status == 0, words
    assert host.rules() == clean
