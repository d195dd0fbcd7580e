"""Start, stop, interception rules, and what the programs say on a command line."""
import os
import pwd
import re
import signal
import subprocess

import pytest

from lib.hosts import wait_for
from lib.mesh import address, caller
from lib.meshd import INTERCEPT, MESHCTL, MESHD, Meshd, digest_of
from lib.traffic import Mover, ends, move

HOME = ("127.0.0.1", 7000)


def fails_to_start(host, body, says, **options):
    m = Meshd(host, body, **options)
    m.spawn()
    status = m.process.wait(20)
    output = m.process.output()
    assert re.search(says, output), output
    assert not m.notified("READY=1")
    m.check_gone(status, expected=1)
    return output


# ---- start ----

def test_ready_means_that_it_works(net, start):
    """At READY=1 the rules are in, every worker listens and has adopted."""
    a, b = net.host("a"), net.host("b")
    with b.listen(b.v4, 9000) as l:
        m = start(a, 'services = ( { name = "s"; port = 9000; protocol = "tcp"; addresses = [ "203.0.113.50" ]; '
                     f'endpoints = [ "{b.v4}:9000" ]; }} );\n')
        client = a.connect("203.0.113.50", 9000)
        l.accept()[0].close()
        assert ends(client) == "eof"
    assert len(m.workers()) == 2
    assert "MESHD_" in a.rules()
    assert "rules are in" in m.ask("status")


@pytest.mark.parametrize("port", [15001, 15006])
def test_a_port_that_is_taken(host, port):
    with host.listen("0.0.0.0", port):
        fails_to_start(host, "", str(port))


def test_a_bound_listeners_port_that_is_taken(host):
    with host.listen("0.0.0.0", 8000):
        fails_to_start(host, '''listeners = ( { name = "l"; address = "0.0.0.0"; port = 8000; filter_chains = (
            { filters = ( { type = "tcp_proxy"; cluster = "c"; } ); } ); } );
clusters = ( { name = "c"; endpoints = [ ]; } );
''', "8000")


@pytest.mark.parametrize("key, remedy", [("user", "useradd --system no-such"), ("agent_user", "useradd --system no-such"),
                                         ("admin_group", "groupadd --system no-such")])
def test_a_missing_user_names_the_remedy(host, key, remedy):
    fails_to_start(host, f'{key} = "no-such";\n', remedy)


def test_a_broken_configuration(host):
    fails_to_start(host, "nonsense = 1;\n", r"meshd\.conf:\d+: nonsense: ")


def test_a_missing_configuration(host):
    done = host.run(MESHD, "-c", host.tmp / "nothing.conf")
    assert done.returncode == 1 and "nothing.conf" in done.stderr


@pytest.mark.parametrize("how", ["folder", "link", "link of a stranger"])
def test_a_folder_that_is_not_roots_is_refused(host, tmp_path, how):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("theirs")
    os.chown(tmp_path / ("link" if "stranger" in how else "theirs"), 65534, 65534, follow_symlinks=False)
    (tmp_path / "meshd.conf").write_text(f'runtime_dir = "{tmp_path / ("theirs" if how == "folder" else "link")}";\n')
    done = host.run(MESHD, "-c", tmp_path / "meshd.conf", seconds=20)
    assert done.returncode == 1 and "belongs to uid 65534: it has to be root's own" in done.stderr, done.stderr
    assert not list((tmp_path / "theirs").iterdir())


def test_a_second_meshd_in_the_same_folder_is_refused(net, start):
    a, b = net.host("a"), net.host("b")
    m = start(a, "")
    second = a.run(MESHD, "-c", m.file, seconds=20)
    assert second.returncode == 1 and str(m.rundir) in second.stderr, second.stderr
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        l.accept()[0].close()
        assert ends(client) == "eof"
    assert m.ask("version")
    assert len(m.workers()) == 2


def test_a_second_meshd_beside_is_refused(net, start, tmp_path):
    """In a folder of its own, but in the same network namespace: neither its rules nor its ports go over the first's."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "")
    rules = a.rules()
    for text, words in (("intercept = { outbound_port = 16001; inbound_port = 16006; };", "another meshd"),
                        ('intercept = { mode = "none"; };', ":15001: Address already in use")):
        file = tmp_path / "second.conf"
        file.write_text(f'runtime_dir = "{tmp_path}/second"; {text}\n')
        second = a.run(MESHD, "-c", file, seconds=20)
        assert second.returncode == 1 and words in second.stderr, second.stderr
    assert a.rules() == rules
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        l.accept()[0].close()
        assert ends(client) == "eof"


def test_started_again_in_the_same_folder(host, start):
    m = start(host, "")
    m.stop()
    m.start()
    assert m.stat("server.accepted") == 0


# ---- stop ----

def test_sigterm_lets_an_open_transfer_end(net, start):
    """Newcomers are not caught any more; what is open ends in its own time, whatever becomes of the rules."""
    a, b = net.host("a"), net.host("b")
    m = start(a, caller(b), drain_time="20s")
    server = Mover(b, "server", b.v4, 7000, expect="3m", rate="1m", read="32k", rcvbuf="16k")
    client = Mover(a, "client", address("mover", 4), 7000, send="3m")
    wait_for("it is open", lambda: m.stat("cluster.outbound|7000||mover.upstream_cx_active") == 1)
    m.process.signal(signal.SIGTERM)
    wait_for("the jumps are out", lambda: "-j MESHD_OUTPUT" not in a.rules())
    client.content()
    server.content()
    m.check_gone(m.process.wait(20))
    assert m.log_lines()[-1]["flags"] == "-"


def test_drain_time_ends_what_does_not_end(net, start):
    a, b = net.host("a"), net.host("b")
    m = start(a, "", drain_time="500ms")
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        server, _ = l.accept()
        m.stop(10)
        assert ends(client) in ("eof", "reset")
        server.close()
    assert m.log_lines()[-1]["details"] == "drain_time"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group(net, start, number):
    """A terminal's ^C and timeout(1) reach the children too: they go on until the master has them end."""
    a, b = net.host("a"), net.host("b")
    m = start(a, "", drain_time="10s")
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        server, _ = l.accept()
        server.settimeout(10)
        os.killpg(m.process.pid, number)
        wait_for("it is stopping", lambda: "-j MESHD_OUTPUT" not in a.rules())
        client.sendall(b"still")
        assert server.recv(10) == b"still"
        server.close()
        assert ends(client) == "eof"
        client.close()
    m.check_gone(m.process.wait(20))
    assert m.log_lines()[-1]["received"] == "5"


# ---- rules ----

def test_rules_of_others_are_not_touched(host, start):
    for tool in "iptables", "ip6tables":
        assert host.run(tool, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "9999", "-j", "RETURN").returncode == 0
        assert host.run(tool, "-A", "INPUT", "-p", "udp", "--dport", "9", "-m", "comment", "--comment", "MESHD_not", "-j", "DROP").returncode == 0
    theirs = host.rules()
    m = start(host, "")
    for line in theirs.splitlines():
        assert line in host.rules().splitlines()
    assert m.ask("intercept", "clear") is not None
    assert host.rules() == theirs
    assert m.ask("intercept", "apply") is not None
    m.stop()
    assert host.rules() == theirs


def test_applying_twice_is_applying_once(host, start):
    m = start(host, "")
    once = host.rules()
    for family in "*nat", ":MESHD_":
        assert family in once
    m.ask("intercept", "apply")
    m.ask("intercept", "apply")
    assert host.rules() == once
    m.ask("intercept", "clear")
    m.ask("intercept", "clear")
    assert host.rules() == m.rules_before
    m.ask("intercept", "apply")
    assert host.rules() == once


def test_without_intercept_there_are_no_rules(host, start):
    m = start(host, "", intercept="")
    assert host.rules() == m.rules_before
    assert host.run("ss", "-Hltn", "sport = :15001").stdout == ""


def test_mode_none_listens_and_leaves_the_rules_to_others(net, start):
    a, b = net.host("a"), net.host("b")
    rule = ["OUTPUT", "-p", "tcp", "-m", "owner", "!", "--uid-owner", str(pwd.getpwnam("meshd").pw_uid), "-j", "REDIRECT",
            "--to-ports", "15001"]
    a.must("iptables", "-t", "nat", "-A", *rule)
    m = start(a, "", intercept=INTERCEPT.replace("{", '{ mode = "none";'))
    assert a.rules() == m.rules_before
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        l.accept()[0].close()
        assert ends(client) == "eof"
        client.close()
    m.logged(cluster="PassthroughCluster")


@pytest.mark.parametrize("flavour", ["nft", "legacy"])
def test_both_kinds_of_iptables(net, start, flavour):
    """Rules of somebody else in legacy tables make it legacy, as Istio has it; else it is nft."""
    a, b = net.host("a"), net.host("b")
    tools = f"iptables-{flavour}-save", f"ip6tables-{flavour}-save"
    if flavour == "legacy":
        for tool in "iptables-legacy", "ip6tables-legacy":
            a.must(tool, "-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP")
    start(a, caller(b))
    for tool in tools:
        assert "MESHD_OUTPUT" in a.must(tool)
    for tool in "iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save":
        assert tool in tools or "MESHD_" not in a.must(tool)
    small = dict(send="64k", expect="64k")
    for version in 4, 6:
        move(a, b, (address("mover", version), 7000), (b.ip[version], 7000), small, small)
    start.stop_all()
    for tool in tools:
        assert "MESHD_" not in a.must(tool)


def test_iptables_that_prints_on_and_on(host):
    folder = host.tmp / "bin"
    folder.mkdir()
    (folder / "iptables-nft-save").write_text("#!/bin/sh\nexec yes\n")
    (folder / "iptables-nft-save").chmod(0o755)
    fails_to_start(host, "", "iptables-nft-save: printed too much",
                   wrapper=["unshare", "-m", "sh", "-ec", f'mount --bind {folder} /usr/local/sbin; exec "$@"', "sh"])


# ---- command lines ----

def test_check_prints_each_error(host):
    m = Meshd(host, 'clusters = ( { name = "c"; lb_policy = 1; } );\nnonsense = 1;\n')
    done = host.run(MESHD, "-n", "-c", m.file)
    first = len(m.top.splitlines()) + 1
    assert done.returncode == 1 and done.stdout == ""
    for line in done.stderr.splitlines():
        assert re.match(rf"{re.escape(str(m.file))}:\d+: \S+: .+", line), line
    assert f"{m.file}:{first}: clusters[0].lb_policy: " in done.stderr
    assert f"{m.file}:{first + 1}: nonsense: unknown key" in done.stderr


def test_check_of_a_good_file(host):
    m = Meshd(host, "")
    done = host.run(MESHD, "-n", "-c", m.file)
    assert (done.returncode, done.stderr) == (0, "") and str(m.file) in done.stdout


def test_the_expanded_file_is_the_same_configuration(net, start):
    a, b = net.host("a"), net.host("b")
    m = start(a, caller(b) + 'inbound = ( { port = 8080; protocol = "tcp"; } );\n')
    digest = digest_of(m)
    done = a.run(MESHD, "-n", "-v", "-c", m.file)
    assert done.returncode == 0, done.stderr
    assert "virtualOutbound-catchall-tcp" in done.stdout and "outbound|7000||mover" in done.stdout
    expanded = m.dir / "expanded.conf"
    expanded.write_text(done.stdout)
    again = a.run(MESHD, "-n", "-v", "-c", expanded)
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    before = a.rules()
    m.file.write_text(done.stdout)
    assert m.meshctl("reload", "--wait").returncode == 0
    assert a.rules() == before
    assert digest_of(m) == digest


def test_meshd_usage(host):
    assert host.run(MESHD, "-V").returncode == 0
    assert host.run(MESHD, "--nonsense").returncode == 2
    assert host.run(MESHD, "-c").returncode == 2


def test_meshctl_exit_statuses(host, start):
    assert host.run(MESHCTL, "-r", host.tmp / "nobody", "status").returncode == 1
    m = start(host, "")
    for args in ("status",), ("stats",), ("version",), ("generations",), ("pc", "listener"), ("proxy-config", "cluster"), \
            ("pc", "endpoint"), ("check", str(m.file)):
        assert m.ask(*args).strip(), args
    for args in (), ("nonsense",), ("pc",), ("pc", "nonsense"), ("reload", "--nonsense"), ("intercept", "nonsense"), ("check",):
        assert m.meshctl(*args).returncode == 2, args
    assert m.meshctl("check", host.tmp / "nothing.conf").returncode == 1


def test_admin_sockets_belong_to_the_admin_group(host, start):
    m = start(host, "")
    for name in "control.sock", "admin.sock":
        st = os.stat(m.rundir / name)
        assert st.st_mode & 0o777 == 0o660
    os.chmod(host.tmp, 0o755)
    nobody = host.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", MESHCTL, "-r", m.rundir, "reload")
    assert nobody.returncode == 1


def test_workers_and_agent_have_no_rights(host, start):
    m = start(host, "")
    for pid in m.workers() + m.children("meshd-agent"):
        status = open(f"/proc/{pid}/status").read()
        assert re.search(r"^Uid:\t(?!0\t)", status, re.M)
        assert re.search(r"^CapEff:\t0+$", status, re.M)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M)


def test_nothing_else_is_inherited(host):
    """A descriptor that the starter of meshd left open does not reach its children."""
    m = Meshd(host, "")
    m.rules_before = host.rules()
    stray = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(stray, True)
    env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    out = open(host.tmp / "inherit.out", "wb")
    with host.inside():
        master = subprocess.Popen([MESHD, "-c", m.file], stdout=out, stderr=out, env=env, close_fds=False)
    try:
        wait_for("it runs", lambda: m.meshctl("status").returncode == 0, 20)
        for pid in m.workers() + m.children("meshd-agent"):
            targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert "/etc/hostname" not in targets
    finally:
        master.terminate()
        assert master.wait(20) == 0
        os.close(stray)
    assert host.rules() == m.rules_before
