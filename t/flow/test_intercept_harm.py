"""Interception rules when programs fail, hang, lie or are killed, and others meddle: nothing is left, nothing is forgotten."""
import fcntl
import os
import re
import signal
import subprocess
import time

import pytest

from lib.hosts import wait_for
from lib.meshd import MESHCTL, MESHD, Meshd
from test_intercept_life import TPROXY, direct, is_in, kill_all, trace

MANUAL = 'intercept = { mode = "tproxy"; apply = "manual"; };\n'
OTHER = 'intercept = { mode = "tproxy"; tproxy_mark = 7; tproxy_route_table = 77; };\n'
HERE = os.path.dirname(__file__)

FAKE = """#!/bin/sh
echo $$ >{dir}/{name}.pid
mode=$(cat {dir}/{name}.mode 2>/dev/null)
[ -z "$mode" ] || cat >{dir}/{name}.document
case "$mode" in
fail) echo "line 3 failed" >&2; exit 1 ;;
nothing) exit 0 ;;
wait) >{dir}/{name}.waits; while [ -e {dir}/{name}.waits ]; do sleep 0.02; done; exec /usr/sbin/{name} "$@" <{dir}/{name}.document ;;
esac
exec /usr/sbin/{name} "$@"
"""


class Fakes:
    """Programs of iptables that do as they are told, and a lock that is nobody else's."""

    def __init__(self, host):
        self.dir = host.tmp / "fakes"
        bin, self.lock = self.dir / "bin", self.dir / "lock"
        bin.mkdir(parents=True)
        self.lock.touch()
        for name in (f"{ip}tables-{kind}-{verb}" for ip in ("ip", "ip6") for kind in ("nft", "legacy") for verb in ("save", "restore")):
            (bin / name).write_text(FAKE.format(name=name, dir=self.dir))
            (bin / name).chmod(0o755)
        self.wrapper = ("unshare", "-m", "sh", "-ec", f'mount --bind {bin} /usr/local/sbin; touch /run/xtables.lock; '
                        f'mount --bind {self.lock} /run/xtables.lock; exec "$@"', "sh")

    def tell(self, name, mode):
        (self.dir / f"{name}.mode").write_text(mode)

    def wait(self, name):
        wait_for(f"{name} runs", (self.dir / f"{name}.waits").exists)

    def go_on(self, name):
        self.tell(name, "")
        (self.dir / f"{name}.waits").unlink()

    def kill(self, name):
        self.tell(name, "")
        os.kill(int((self.dir / f"{name}.pid").read_text()), signal.SIGKILL)


@pytest.fixture
def fakes(host):
    return Fakes(host)


@pytest.mark.parametrize("mode, says", [("fail", "line 3 failed"), ("nothing", "has ended well, and the rules are not in")])
@pytest.mark.parametrize("program", ["iptables-nft-restore", "ip6tables-nft-restore"])
def test_what_is_not_done_is_told(host, start, fakes, program, mode, says):
    before = trace(host)
    m = start(host, "", intercept=MANUAL, wrapper=fakes.wrapper)
    fakes.tell(program, mode)
    done = m.meshctl("intercept", "apply")
    assert done.returncode == 1 and f"{program}: {says}" in done.stderr
    assert trace(host) == before
    fakes.tell(program, "")
    m.ask("intercept", "apply")
    once = trace(host)
    fakes.tell(program, mode)
    done = m.meshctl("intercept", "clear")
    assert done.returncode == 1 and program in done.stderr and is_in(host)
    fakes.tell(program, "")
    m.ask("intercept", "apply")
    assert trace(host) == once
    m.ask("intercept", "clear")
    assert trace(host) == before


def test_a_kind_that_has_the_rules_and_fails_is_not_passed_over(host, start, fakes):
    """Else they would be in twice, or said to be out."""
    m = start(host, "", intercept=MANUAL, wrapper=fakes.wrapper)
    m.ask("intercept", "apply")
    once = trace(host)
    fakes.tell("iptables-nft-save", "fail")
    for verb in "apply", "clear":
        done = m.meshctl("intercept", verb)
        assert done.returncode == 1 and "iptables-nft-save: line 3 failed" in done.stderr
    fakes.tell("iptables-nft-save", "")
    assert trace(host) == once


@pytest.mark.parametrize("program", ["iptables-nft-restore", "ip6tables-nft-restore"])
def test_what_the_master_has_begun_ends_with_it(host, fakes, program):
    """Else it would be done when nobody knows of it any more."""
    before = trace(host)
    m = Meshd(host, "", intercept=MANUAL, wrapper=fakes.wrapper).start()
    fakes.tell(program, "wait")
    host.start(MESHCTL, "-r", m.rundir, "intercept", "apply")
    fakes.wait(program)
    child = int((fakes.dir / f"{program}.pid").read_text())
    kill_all(m)
    wait_for("it has ended", lambda: child not in host.pids())
    assert direct(host, m, "clear").returncode == 0
    fakes.go_on(program)
    assert trace(host) == before


@pytest.mark.parametrize("first", [None, OTHER], ids=["nothing", "others"])
def test_killed_at_each_step_of_policy_routing(host, first):
    before, library, dies = trace(host), host.tmp / "killer.so", True
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "killer.c")], check=True)
    n = 0
    while dies:
        n += 1
        m = Meshd(host, "", intercept=first or TPROXY, name=f"m{n}")
        if first is not None:
            kill_all(m.start())
            m.top = m.top.replace(first, TPROXY)
            m.write("")
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"     # a library comes before its own
        m.env.update(LD_PRELOAD=str(library), KILL_AT=str(n), ASAN_OPTIONS=options)
        m.spawn()
        wait_for("it is ready or dead", lambda: m.notified("READY=1") or m.process.popen.poll() is not None)
        dies = m.process.popen.poll() is not None
        assert not dies or m.process.popen.returncode == -signal.SIGKILL, m.process.output()
        m.process.popen.kill()
        m.process.wait()
        kill_left(m)
        assert direct(host, m, "clear").returncode == 0
        assert trace(host) == before, n
    assert n > 5


def kill_left(m):
    for pid in m.left():
        os.kill(pid, signal.SIGKILL)
    wait_for("nothing of meshd lives", lambda: not m.left())


def test_a_lock_that_is_held_delays_what_is_not_confirmed(host, start, fakes):
    before = trace(host)
    m = start(host, "", intercept=MANUAL.replace("{", '{ iptables = "legacy";'), wrapper=fakes.wrapper)
    m.ask("intercept", "apply", "--confirm", "1s")
    with open(fakes.lock) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait_for("neither has got it", lambda: m.process.output().count("are still in") >= 2, 30)
    wait_for("they are out", lambda: trace(host) == before, 30)
    wait_for("meshd knows", lambda: not m.status()["interception"]["in"])


def test_what_was_to_be_confirmed_still_is_when_the_next_fails(host, fakes):
    before = trace(host)
    m = Meshd(host, "", intercept=MANUAL, wrapper=fakes.wrapper).start()
    m.ask("intercept", "apply", "--confirm", "3s")
    fakes.tell("ip6tables-nft-restore", "wait")
    second = host.start(MESHCTL, "-r", m.rundir, "intercept", "apply", "--confirm", "60s")
    fakes.wait("ip6tables-nft-restore")
    done = m.meshctl("intercept", "confirm")
    assert done.returncode == 1 and "not in yet" in done.stderr
    time.sleep(0.5)         # the first one's process has seen that it is no longer wanted
    fakes.kill("ip6tables-nft-restore")
    assert second.wait() == 1
    assert is_in(host)
    m.process.signal(signal.SIGKILL)
    m.process.wait()
    wait_for("they are out", lambda: trace(host) == before, 20)
    kill_left(m)
    m.process = None


def test_too_late_to_confirm(host, start, fakes):
    before = trace(host)
    m = start(host, "", intercept=MANUAL, wrapper=fakes.wrapper)
    m.ask("intercept", "apply", "--confirm", "1s")
    fakes.tell("iptables-nft-restore", "wait")
    fakes.wait("iptables-nft-restore")
    done = m.meshctl("intercept", "confirm")
    assert done.returncode == 1 and "too late" in done.stderr
    fakes.go_on("iptables-nft-restore")
    wait_for("they are out", lambda: trace(host) == before)


@pytest.mark.parametrize("what", ["torn", "empty", "garbage", "of another boot", "fifo", "symlink", "anybody's", "somebody's", "folder"])
def test_a_note_that_is_not_to_be_trusted(host, what):
    before = trace(host)
    m = Meshd(host, "", intercept=OTHER).start()
    kill_all(m)
    note = m.rundir / "intercept"
    text = note.read_text()
    note.unlink()
    match what:
        case "torn":
            note.write_text(text[:len(text) // 2])
        case "empty":
            note.touch()
        case "garbage":
            note.write_bytes(os.urandom(5000))
        case "of another boot":
            note.write_text(text.replace("boot ", "boot x"))
        case "fifo":
            os.mkfifo(note)
        case "symlink":
            (host.tmp / "there").write_text(text)
            note.symlink_to(host.tmp / "there")
        case "anybody's":
            note.write_text(text)
            note.chmod(0o666)
        case "somebody's":
            note.write_text(text)
            os.chown(note, 1, 1)
        case "folder":
            note.mkdir()
    assert "pid" not in host.must(MESHCTL, "-r", m.rundir, "intercept", "status").splitlines()[0]
    assert direct(host, m, "clear").returncode == 0
    assert trace(host) == before


def test_a_note_of_another_network_namespace(host):
    before = trace(host)
    m = Meshd(host, "", intercept=OTHER).start()
    kill_all(m)
    note = m.rundir / "intercept"
    note.write_text(re.sub(r"(?m)^netns .*", "netns 1", note.read_text()))
    status = host.must(MESHCTL, "-r", m.rundir, "intercept", "status")
    assert "of another network namespace" in status and "pid" not in status.splitlines()[0]
    done = direct(host, m, "clear")
    assert done.returncode == 1 and "--force" in done.stderr and is_in(host)
    assert direct(host, m, "clear", "--force").returncode == 0
    assert trace(host) == before


def test_post_stop_of_another_leaves_the_rules_of_who_runs(host, start):
    m = start(host, "")
    once = trace(host)
    other = Meshd(host, "", name="other")
    other.spawn()
    assert other.process.wait() == 1
    done = host.run(MESHD, "--post-stop", "-c", other.file)
    assert done.returncode == 0 and f"another meshd (pid {m.process.pid})" in done.stderr
    assert trace(host) == once


def test_thousands_of_rules(host, start):
    """Of others and of ours: to look at them is a matter of a second, during which the master does nothing else."""
    many = "".join(f"-A POSTROUTING -s 10.{i >> 8}.{i & 255}.0/24 -p tcp -m tcp --dport {1 + i} -j ACCEPT\n" for i in range(10000))
    text = "".join(f"*{table}\n{many}COMMIT\n" for table in ("mangle", "nat"))
    assert host.run("iptables-nft-restore", "--noflush", stdin=text).returncode == 0
    before = trace(host)
    ranges = ", ".join(f'"11.{i >> 8}.{i & 255}.0/24"' for i in range(10000))
    m = start(host, "", intercept=f'intercept = {{ apply = "manual"; include_outbound_ranges = [{ranges}]; }};\n')
    m.ask("intercept", "apply")
    begun = time.monotonic()
    m.ask("intercept", "status")
    assert time.monotonic() - begun < 8
    m.ask("intercept", "apply")
    m.ask("intercept", "clear")
    assert trace(host) == before


def test_policy_routing_comes_back_when_its_removal_fails(host, start, fakes):
    before = trace(host)
    m = start(host, "", intercept=TPROXY, wrapper=fakes.wrapper)
    once = trace(host)
    m.top = m.top.replace(TPROXY, TPROXY.replace("{", "{ include_inbound_ports = [];"))
    m.write("")
    fakes.tell("ip6tables-nft-restore", "wait")
    reload = host.start(MESHCTL, "-r", m.rundir, "reload", "--wait")
    fakes.wait("ip6tables-nft-restore")
    fakes.kill("ip6tables-nft-restore")
    assert reload.wait() == 1 and "stay as they were" in reload.output()
    assert trace(host) == once
    m.ask("intercept", "apply")
    assert "fwmark" not in host.must("ip", "rule") and "fwmark" not in host.must("ip", "-6", "rule")
    m.ask("intercept", "clear")
    assert trace(host) == before
