"""Interception rules: in, out, by whom, and what is left of them: nothing."""
import json
import os
import pwd
import re
import shutil
import signal
import tempfile
import time

import pytest

from lib.hosts import wait_for
from lib.meshd import INTERCEPT, MESHCTL, MESHD, Meshd, newest

TPROXY = 'intercept = { mode = "tproxy"; };\n'
MODES = {"redirect": INTERCEPT, "tproxy": TPROXY}
SAVES = [f"{ip}tables-{kind}-save" for ip in ("ip", "ip6") for kind in ("nft", "legacy")]
CHAINS = "MESHD_"

# As Docker and firewalld have them, in both families.
DOCKER = """*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {local} -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination {container}
-A POSTROUTING -s {range} ! -o docker0 -j MASQUERADE
COMMIT
*filter
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -m comment --comment "not ours: -j MESHD_INBOUND" -j RETURN
COMMIT
"""
FIREWALLD = """*mangle
:PRE_public - [0:0]
:PREROUTING_ZONES - [0:0]
-A PREROUTING -j PREROUTING_ZONES
-A PREROUTING_ZONES -i eth0 -g PRE_public
COMMIT
*raw
:PREROUTING_direct - [0:0]
-A PREROUTING -j PREROUTING_direct
COMMIT
"""
LOCAL = {"ip": dict(local="127.0.0.0/8", container="172.17.0.2:80", range="172.17.0.0/16"),
         "ip6": dict(local="::1/128", container="[fd00::2]:80", range="fd00::/64")}


def trace(host):
    """All that a meshd could leave in a host: rules of both kinds, counters, comments and empty tables aside; the rest."""
    found = [host.rules()]
    for save in SAVES:
        lines = [line for line in host.must(save).splitlines() if line.startswith("-A") or line.endswith(" - [0:0]")]
        found.append((save, lines))
    for family in "-4", "-6":
        for what in ["rule"], ["route", "show", "table", "all"], ["addr", "show", "dev", "lo"]:
            lines = host.must("ip", family, *what).splitlines()
            found.append((family, what, [line for line in lines if "fe80:" not in line and "ff00:" not in line]))  # come when they come
    return found


def neighbours(host, kind):
    """Chains of others, in tables of that kind."""
    for ip in LOCAL:
        for text in DOCKER.format(**LOCAL[ip]), FIREWALLD:
            done = host.run(f"{ip}tables-{kind}-restore", "--noflush", stdin=text)
            assert done.returncode == 0, done.stderr


def is_in(host):
    return any(CHAINS in host.must(save) for save in SAVES)


def ours(host, kind="nft"):
    """The rules of MESHD_* chains, and the jumps to them: family -> set of (table, rule)."""
    found = {}
    for name, save in ("ipv4", f"iptables-{kind}-save"), ("ipv6", f"ip6tables-{kind}-save"):
        table, rules = None, set()
        for line in host.must(save).splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-A") and CHAINS in line:
                rules.add((table, line.rstrip()))
        found[name] = rules
    return found


def kill_all(m):
    """As a machine's OOM killer might: the master first, so that it starts nobody again."""
    m.process.signal(signal.SIGKILL)
    m.process.wait()
    for pid in m.left():
        os.kill(pid, signal.SIGKILL)
    wait_for("nothing of meshd lives", lambda: not m.left())
    m.process = None


def direct(host, m, *args):
    """meshctl where no meshd runs."""
    return host.run(MESHCTL, "-r", m.rundir, "intercept", *args)


def fails_to_start(m, says):
    m.spawn()
    status = m.process.wait(20)
    output = m.process.output()
    assert status == 1 and not m.notified("READY=1"), output
    assert re.search(says, output), output
    m.process = None
    return output


# ---- no trace ----

@pytest.mark.parametrize("kind", ["nft", "legacy"])
@pytest.mark.parametrize("mode", list(MODES))
def test_apply_apply_clear_is_as_before(host, start, mode, kind):
    neighbours(host, kind)
    before = trace(host)
    m = start(host, "", intercept=MODES[mode].replace("{", f'{{ iptables = "{kind}";'))
    once = trace(host)
    assert once != before
    assert "MESHD_OUTPUT" in host.must(f"iptables-{kind}-save") and "MESHD_OUTPUT" in host.must(f"ip6tables-{kind}-save")
    m.ask("intercept", "apply")
    m.ask("intercept", "apply")
    assert trace(host) == once
    m.ask("intercept", "clear")
    assert trace(host) == before
    m.ask("intercept", "clear")
    m.ask("intercept", "apply")
    start.stop_all()
    assert trace(host) == before
    assert not (m.rundir / "intercept").exists()


@pytest.mark.parametrize("note", ["with its note", "without"])
@pytest.mark.parametrize("mode", list(MODES))
def test_killed_and_cleared_by_meshctl(host, mode, note):
    neighbours(host, "nft")
    before = trace(host)
    m = Meshd(host, "", intercept=MODES[mode].replace('"tproxy";', '"tproxy"; tproxy_mark = 7; tproxy_route_table = 77;')).start()
    assert os.stat(m.rundir / "intercept").st_mode & 0o777 == 0o600
    kill_all(m)
    if note == "without":
        (m.rundir / "intercept").unlink()
    assert is_in(host)
    status = json.loads(host.must(MESHCTL, "-r", m.rundir, "-o", "json", "intercept", "status"))
    assert status["rules"] == "in" and status["findings"] == [] and status["entries"]
    if note != "without":
        assert status["meshd"] == "is gone"
    done = direct(host, m, "clear")
    assert done.returncode == 0 and "rules are out" in done.stdout, done.stderr
    assert trace(host) == before
    assert direct(host, m, "clear").returncode == 0, "there is nothing to clear"


@pytest.mark.parametrize("mode", list(MODES))
def test_killed_and_started_again(host, start, mode):
    before, clean = trace(host), host.rules()
    m = Meshd(host, "", intercept=MODES[mode]).start()
    once = trace(host)
    kill_all(m)
    assert trace(host) == once
    other = start(host, "", name="next")
    other.rules_before = clean
    other.ask("intercept", "clear")
    assert trace(host) == before


def test_killed_at_any_moment_of_the_start(host):
    before = trace(host)
    for n in range(12):
        m = Meshd(host, "", intercept=TPROXY, name=f"m{n}")
        m.spawn()
        time.sleep(n * 0.02)
        kill_all(m)
        wait_for("its children have ended", lambda: not host.pids())
        assert direct(host, m, "clear").returncode == 0
        assert trace(host) == before


@pytest.mark.parametrize("mode", list(MODES))
def test_killed_while_it_drains_and_started_again(net, start, mode):
    a, b = net.host("a"), net.host("b")
    before = trace(a)
    m = Meshd(a, "", intercept=MODES[mode], drain_time="30s").start()
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        server, _ = l.accept()
        m.process.signal(signal.SIGTERM)
        wait_for("nothing new is caught", lambda: "-j MESHD_REDIRECT" in a.rules() and "-A OUTPUT -j MESHD_OUTPUT" not in a.rules())
        client.sendall(b"goes on")
        assert server.recv(10) == b"goes on"
        kill_all(m)
        server.close()
        client.close()
    assert is_in(a)
    status = json.loads(a.must(MESHCTL, "-r", m.rundir, "-o", "json", "intercept", "status"))
    assert status["rules"] == "released" and status["findings"] == []
    m.start()
    m.rules_before = ""
    m.stop()
    assert trace(a) == before


@pytest.mark.parametrize("kind, next_kind", [("legacy", "auto"), ("legacy", "nft"), ("nft", "legacy")])
def test_left_in_one_kind_and_started_with_another(host, start, kind, next_kind):
    before, clean = trace(host), host.rules()
    m = Meshd(host, "", intercept=INTERCEPT.replace("{", f'{{ iptables = "{kind}";')).start()
    kill_all(m)
    m = start(host, "", intercept=INTERCEPT.replace("{", f'{{ iptables = "{next_kind}";'), name="next")
    m.rules_before = clean
    now = kind if next_kind == "auto" else next_kind
    assert [save for save in SAVES if CHAINS in host.must(save)] == [f"iptables-{now}-save", f"ip6tables-{now}-save"]
    start.stop_all()
    assert trace(host) == before


def test_rules_of_others_come_and_go_meanwhile(host, start):
    m = start(host, "")
    for position in "1", "2":
        host.must("iptables", "-t", "nat", "-I", "OUTPUT", position, "-p", "tcp", "--dport", "9999", "-j", "RETURN")
    host.must("iptables", "-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "RETURN")
    theirs = [line for line in host.rules().splitlines() if line.startswith("-A") and CHAINS not in line]
    m.ask("intercept", "apply")
    assert [line for line in host.rules().splitlines() if line.startswith("-A") and CHAINS not in line] == theirs
    m.ask("intercept", "clear")
    assert [line for line in host.rules().splitlines() if line.startswith("-A")] == theirs
    host.must("iptables", "-t", "nat", "-F")


def test_rules_of_an_older_meshd_are_cleared(host):
    before = trace(host)
    text = ("*nat\n:MESHD_OUTPUT - [0:0]\n:MESHD_OLD - [0:0]\n-A OUTPUT -p tcp -j MESHD_OUTPUT\n-A MESHD_OUTPUT -j MESHD_OLD\n"
            "-A MESHD_OLD -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n")
    for kind in "nft", "legacy":
        assert host.run(f"iptables-{kind}-restore", "--noflush", stdin=text).returncode == 0
    host.must(MESHCTL, "-r", host.tmp / "nowhere", "intercept", "clear")
    assert trace(host) == before


def test_clear_beside_a_running_meshd_is_refused(host, start):
    m = start(host, "")
    for how in (MESHD, "--intercept", "clear", "-r", m.rundir), (MESHD, "--intercept", "clear", "-r", host.tmp / "nowhere"):
        done = host.run(*how)
        assert done.returncode == 1 and "meshd" in done.stderr
    assert is_in(host)


# ---- what is there already ----

@pytest.mark.parametrize("harm, says", [
    (["-F", "MESHD_REDIRECT"], "not as it put them in"),
    (["-D", "OUTPUT", "-j", "MESHD_OUTPUT"], "nothing jumps to chain MESHD_OUTPUT of table nat"),
])
def test_half_a_set_is_refused(host, start, harm, says):
    before = trace(host)
    m = start(host, "")
    host.must("iptables", "-t", "nat", *harm)
    done = m.meshctl("intercept", "apply")
    assert done.returncode == 1 and says in done.stderr and "--force" in done.stderr
    status = json.loads(m.ask("-o", "json", "intercept", "status"))
    assert status["rules"] == "partly" and len(status["findings"]) == 1
    m.ask("intercept", "apply", "--force")
    assert json.loads(m.ask("-o", "json", "intercept", "status"))["rules"] == "in"
    start.stop_all()
    assert trace(host) == before


def test_half_a_set_stops_the_start(host, start):
    text = "*nat\n:MESHD_OUTPUT - [0:0]\n-A MESHD_OUTPUT -p tcp -j RETURN\nCOMMIT\n"
    assert host.run("iptables-restore", "--noflush", stdin=text).returncode == 0
    m = Meshd(host, "")
    fails_to_start(m, "nothing jumps to chain MESHD_OUTPUT.*meshctl intercept clear")
    assert direct(host, m, "clear").returncode == 0
    start(host, "", name="next")


@pytest.mark.parametrize("tool, rule, says", [
    ("iptables", ["-N", "ISTIO_OUTPUT"], "chain ISTIO_OUTPUT"),
    ("ip6tables", ["-A", "OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "9"], "REDIRECT --to-ports 9"),
    ("iptables-legacy", ["-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "9"], "REDIRECT --to-ports 9"),
])
def test_somebody_elses_capture_is_refused(host, start, tool, rule, says):
    m = start(host, "")
    m.ask("intercept", "clear")
    host.must(tool, "-t", "nat", *rule)
    done = m.meshctl("intercept", "apply")
    assert done.returncode == 1 and says in done.stderr and "--force" in done.stderr
    assert CHAINS not in host.rules()
    assert says in m.ask("intercept", "plan")
    assert says in m.ask("intercept", "status")
    m.ask("intercept", "apply", "--force")
    assert m.status()["interception"]["in"]
    m.rules_before = None
    m.process.signal(signal.SIGTERM)
    assert m.process.wait() == 0
    m.process = None
    assert not is_in(host)
    assert any(says.split()[-1] in host.must(save) for save in SAVES)


@pytest.mark.parametrize("rule", [
    ["-A", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "REDIRECT", "--to-ports", "8080"],
    ["-A", "PREROUTING", "-p", "udp", "-j", "REDIRECT", "--to-ports", "53"],
    ["-A", "PREROUTING", "-p", "tcp", "-d", "192.0.2.1", "-j", "DNAT", "--to-destination", "10.0.0.1"],
])
def test_what_is_no_capture_is_no_obstacle(host, start, rule):
    host.must("iptables", "-t", "nat", *rule)
    start(host, "")


# ---- to be confirmed ----

def test_what_is_not_confirmed_goes_out(host, start):
    before = trace(host)
    m = start(host, "", intercept=INTERCEPT.replace("{", '{ apply = "manual";'))
    assert "go out again in 1 s" in m.ask("intercept", "apply", "--confirm", "1s")
    assert m.status()["interception"]["in"]
    wait_for("they are out", lambda: trace(host) == before)
    wait_for("meshd knows", lambda: not m.status()["interception"]["in"])
    assert m.meshctl("intercept", "confirm").returncode == 1


def test_what_is_confirmed_stays(host, start):
    m = start(host, "")
    m.ask("intercept", "apply", "--confirm", "1s")
    once = trace(host)
    status = json.loads(m.ask("-o", "json", "intercept", "status"))
    assert status["unconfirmed_s"] <= 2
    assert "they stay" in m.ask("intercept", "confirm")
    assert "unconfirmed_s" not in json.loads(m.ask("-o", "json", "intercept", "status"))
    undoers = lambda: [name for name in m.children("meshd") if name != m.process.pid]
    wait_for("nobody waits to undo them", lambda: not undoers())
    assert trace(host) == once


@pytest.mark.parametrize("harm", ["killed", "stopped"])
def test_they_go_out_whatever_becomes_of_the_master(host, harm):
    before = trace(host)
    m = Meshd(host, 'orphan_timeout = "60s";\n', intercept=TPROXY.replace("{", '{ apply = "manual";')).start()
    m.ask("intercept", "apply", "--confirm", "1s")
    m.process.signal(signal.SIGKILL if harm == "killed" else signal.SIGSTOP)
    wait_for("they are out", lambda: trace(host) == before)
    wait_for("with them the note", lambda: not (m.rundir / "intercept").exists())
    if harm == "stopped":
        m.process.signal(signal.SIGCONT)
        m.stop()
    else:
        kill_all(m)


def test_post_stop_does_not_leave_what_nobody_confirmed(host):
    before = trace(host)
    m = Meshd(host, "", intercept=INTERCEPT.replace("{", '{ on_exit = "block";')).start()
    m.ask("intercept", "apply", "--confirm", "1h")
    kill_all_but_undo = [pid for pid, name in m.left().items() if pid != m.process.pid and not name.startswith("meshd -c")]
    m.process.signal(signal.SIGKILL)
    m.process.wait()
    for pid in kill_all_but_undo:
        os.kill(pid, signal.SIGKILL)
    wait_for("no worker lives", lambda: not m.workers())
    assert is_in(host)
    host.must(MESHD, "--post-stop", "-c", m.file)
    assert trace(host) == before
    wait_for("nobody waits to undo them", lambda: not m.left())
    m.process = None


# ---- when they go in ----

def test_manual_rules_wait_to_be_asked_for(host, start):
    m = start(host, "", intercept=INTERCEPT.replace("{", '{ apply = "manual";'))
    assert not is_in(host)
    assert m.status()["problems"] == []
    m.ask("intercept", "apply")
    assert is_in(host) and m.status()["interception"]["in"]


def test_manual_does_not_take_over_rules(host, start):
    m = Meshd(host, "").start()
    kill_all(m)
    assert is_in(host)
    start(host, "", intercept=INTERCEPT.replace("{", '{ apply = "manual";'), name="next").rules_before = ""
    assert not is_in(host)


def test_what_is_excluded_changes_by_reload(host, start):
    m = start(host, "")
    m.top = m.top.replace("intercept = {", "intercept = { exclude_outbound_ports = [ 3306 ]; drop_invalid = true;")
    assert m.reload("").returncode == 0
    rules = {rule for _, rule in ours(host)["ipv6"]}
    assert "-A MESHD_OUTPUT -p tcp -m tcp --dport 3306 -j RETURN" in rules and "-A MESHD_DROP -j DROP" in rules
    m.top = m.top.replace("drop_invalid = true;", "")
    assert m.reload("").returncode == 0
    assert "MESHD_DROP" not in host.must("iptables-save")


def test_a_reload_whose_rules_are_refused_says_so(host, start):
    m = start(host, "")
    once = ours(host)
    host.must("iptables", "-t", "nat", "-N", "ISTIO_OUTPUT")
    m.top = m.top.replace("intercept = {", "intercept = { exclude_outbound_ports = [ 3306 ];")
    done = m.reload("")
    assert done.returncode == 1 and "the rules stay as they were" in done.stderr and "ISTIO_OUTPUT" in done.stderr
    assert ours(host) == once and newest(m) == 2
    host.must("iptables", "-t", "nat", "-X", "ISTIO_OUTPUT")
    m.ask("intercept", "apply")
    assert ours(host) != once


@pytest.mark.parametrize("key, kind", [("include_outbound_users", "user"), ("exclude_outbound_groups", "group")])
def test_an_unknown_owner_is_refused_by_name(host, start, key, kind):
    wrong = INTERCEPT.replace("{", f'{{ {key} = [ "no-such" ];')
    fails_to_start(Meshd(host, "", intercept=wrong), f'intercept.{key}: there is no {kind} "no-such"')
    m = start(host, "", name="next")
    m.top = m.top.replace(INTERCEPT, wrong)
    done = m.reload("")
    assert done.returncode == 1 and f'there is no {kind} "no-such"' in done.stderr


# ---- rules of others on one port ----

def article(host, *ahead):
    """The two literal rules, and what stands ahead of the second."""
    host.must("iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "8090")
    for rule in ahead:
        host.must("iptables", "-t", "nat", "-A", "OUTPUT", *rule)
    host.must("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "8090")


ONE_PORT = 'intercept = { mode = "none"; port = 8090; };\n'


def test_the_articles_rules_alone_would_loop(host, start):
    article(host)
    m = Meshd(host, "", intercept=ONE_PORT)
    output = fails_to_start(m, "would come back to them and loop")
    remedy = re.search(r"iptables-nft -t nat -I OUTPUT -m owner --uid-owner \d+ -j RETURN", output)
    assert remedy, output
    host.must(*remedy.group(0).split())
    start(host, "", intercept=ONE_PORT, name="next")


@pytest.mark.parametrize("ahead", ["uid", "gid", "chain"])
def test_the_articles_rules_with_a_way_out(host, start, ahead):
    worker = pwd.getpwnam("meshd")
    host.must("iptables", "-t", "nat", "-N", "WAY_OUT")
    host.must("iptables", "-t", "nat", "-A", "WAY_OUT", "-m", "owner", "--uid-owner", str(worker.pw_uid), "-j", "ACCEPT")
    article(host, {"uid": ["-m", "owner", "--uid-owner", str(worker.pw_uid), "-j", "RETURN"],
                   "gid": ["-m", "owner", "--gid-owner", str(worker.pw_gid), "-j", "RETURN"],
                   "chain": ["-p", "tcp", "-j", "WAY_OUT"]}[ahead])
    m = start(host, "", intercept=ONE_PORT)
    assert json.loads(m.ask("-o", "json", "intercept", "status"))["rules"] == "out"
    host.must("iptables", "-t", "nat", "-F", "OUTPUT")
    host.must("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "8090")
    assert "loop" in m.ask("intercept", "status")
    m.rules_before = host.rules()


# ---- what is not there ----

@pytest.mark.parametrize("said, remedy", [
    ("Warning: Extension owner revision 0 not supported, missing kernel module?\nline 9: RULE_APPEND failed", "modprobe xt_owner"),
    ("Warning: Extension TPROXY revision 0 not supported, missing kernel module?\nline 9: RULE_APPEND failed", "modprobe xt_TPROXY"),
    ("can't initialize iptables table `nat': Table does not exist (do you need to insmod?)", "modprobe iptable_nat"),
])
def test_what_the_kernel_lacks_is_named_with_its_remedy(host, said, remedy):
    folder = host.tmp / "bin"
    folder.mkdir()
    (folder / "said").write_text(said + "\n")
    (folder / "iptables-nft-restore").write_text(f"#!/bin/sh\ncat {folder}/said >&2\nexit 4\n")
    (folder / "iptables-nft-restore").chmod(0o755)
    before = trace(host)
    m = Meshd(host, "", intercept=TPROXY, wrapper=["unshare", "-m", "sh", "-ec", f'mount --bind {folder} /usr/local/sbin; exec "$@"', "sh"])
    fails_to_start(m, remedy)
    assert trace(host) == before


@pytest.mark.parametrize("mode", list(MODES))
def test_ipv6_that_is_switched_off(host, start, mode):
    host.must("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    before = trace(host)
    m = start(host, "", intercept=MODES[mode])
    assert json.loads(m.ask("-o", "json", "intercept", "status"))["rules"] == "in"
    start.stop_all()
    assert trace(host) == before


def test_no_iptables_at_all(host):
    empty = host.tmp / "empty"
    empty.mkdir()
    m = Meshd(host, "", wrapper=["unshare", "-m", "sh", "-ec", f'''
        for d in /usr/sbin /usr/local/sbin; do mount --bind {empty} $d; done; exec "$@"''', "sh"])
    fails_to_start(m, "iptables-save was not found: install it \\(apt-get install iptables\\)")


def test_a_kind_that_is_asked_for_has_to_be_there(host):
    empty = host.tmp / "empty"
    empty.mkdir()
    for name in "iptables-nft-save", "iptables-nft-restore":
        (empty / name).symlink_to("/usr/bin/true")
    m = Meshd(host, "", intercept=INTERCEPT.replace("{", '{ iptables = "legacy";'), wrapper=["unshare", "-m", "sh", "-ec", f'''
        for d in /usr/sbin /usr/local/sbin; do mount --bind {empty} $d; done; exec "$@"''', "sh"])
    fails_to_start(m, "iptables-legacy-save was not found")


# ---- what is said about them ----

@pytest.mark.parametrize("mode", list(MODES))
def test_what_is_planned_is_what_is_in(host, start, mode):
    intercept = MODES[mode].replace("{", '{ exclude_inbound_ports = ( 22, "8000-8009" ); exclude_outbound_ranges = [ "10.0.0.0/8", "fd00::/8" ];'
                                    ' exclude_interfaces = [ "eth9" ]; guest_interfaces = [ "tap+" ]; exclude_dns = true; drop_invalid = true;'
                                    ' exclude_outbound_users = [ "root" ]; inbound_sources = 3;')
    m = Meshd(host, "", intercept=intercept)
    plans = [json.loads(host.must(MESHCTL, "-o", "json", "intercept", "plan", m.file))]
    m.start()
    plans.append(json.loads(m.ask("-o", "json", "intercept", "plan")))
    for plan in plans:
        assert all(entry["reason"] for entry in plan["entries"])
        for family, found in ours(host).items():
            assert {(e["table"], e["rule"]) for e in plan["entries"] if e["family"] == family and e["table"] != "ip"} == found
    assert plans[0]["findings"] == []
    assert "MESHD_OUTPUT" in m.ask("intercept", "plan")
    m.stop()


def test_somebody_without_rights_can_plan(host):
    m = Meshd(host, "")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copy(m.file, folder)
        done = host.run("setpriv", "--reuid=65534", "--clear-groups", MESHCTL, "intercept", "plan", f"{folder}/{m.file.name}")
    assert done.returncode == 0 and "-A OUTPUT -j MESHD_OUTPUT" in done.stdout, done.stderr
    done = host.run("setpriv", "--reuid=65534", "--clear-groups", MESHD, "--intercept", "clear")
    assert done.returncode == 1 and "root" in done.stderr


def test_a_plan_of_what_is_no_plan(host, start):
    (host.tmp / "wrong").write_text("nonsense = 1;\n")
    done = host.run(MESHCTL, "intercept", "plan", host.tmp / "wrong")
    assert done.returncode == 1 and "nonsense" in done.stderr and done.stdout == ""
    m = start(host, "", intercept="")
    done = m.meshctl("intercept", "plan")
    assert done.returncode == 1 and "no intercept" in done.stderr
    assert m.ask("intercept", "status").startswith("rules: out\n")


def test_status_counts_packets(net, start):
    a, b = net.host("a"), net.host("b")
    m = start(a, "")
    with b.listen(b.v4, 9000) as l:
        client = a.connect(b.v4, 9000)
        l.accept()[0].close()
        client.close()
    status = json.loads(m.ask("-o", "json", "intercept", "status"))
    assert status["rules"] == "in" and status["pid"] == m.process.pid and status["ipv4"] == "nft" and status["generation"] == 1
    (redirect,) = [e for e in status["entries"] if e["family"] == "ipv4" and "--to-ports 15001" in e["rule"]]
    assert redirect["packets"] >= 1 and redirect["bytes"] >= 40
    assert "::6/128" in "".join(status["beside"])
