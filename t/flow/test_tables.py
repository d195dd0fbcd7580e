"""Nothing is left: every table, rule, route, address and switch is as it was, line for line, whatever stood there and
however the rules went out."""
import os
import re
import shutil
import signal

import pytest

from lib.hosts import wait_for
from lib.meshd import MESHCTL, Meshd
from lib.neighbours import KINDS, NEIGHBOURS, SAVES, difference, everything, move_in, tables

OPTIONS = ('exclude_inbound_ports = ( 22, "8000-8009" ); exclude_outbound_ports = [ 3306 ]; include_outbound_ports = [ 5432 ];'
           ' include_outbound_ranges = ( "10.0.0.0/8", "fd00::/8", "127.0.0.0/8" ); exclude_outbound_ranges = [ "10.1.0.0/16" ];'
           ' exclude_interfaces = [ "docker0" ]; guest_interfaces = [ "tap+" ]; include_outbound_users = ( 0, "1000-1999" );'
           ' exclude_outbound_groups = [ 0 ]; exclude_dns = true; drop_invalid = true; inbound_sources = 3;')
MODES = {"redirect": "", "tproxy": 'mode = "tproxy";',
         "tproxy, other numbers": 'mode = "tproxy"; tproxy_mark = 77; tproxy_route_table = 1077;'}


def intercept(mode, kind, options=OPTIONS):
    return f'intercept = {{ iptables = "{kind}"; {MODES[mode]} {options} }};\n'


def theirs(host, kind):
    """What others have in the tables of this kind, in order."""
    found = {}
    for save in SAVES:
        if kind in save:
            for table, lines in tables(host, save).items():
                found[save, table] = [line for line in lines if not re.match(r":MESHD_|-A MESHD_|.* -j MESHD_\w+$", line)]
    return {where: lines for where, lines in found.items() if not all(re.fullmatch(r":\S+ ACCEPT", line) for line in lines)}


def kill(m):
    """-9, the master first, so that it starts nobody again."""
    m.process.signal(signal.SIGKILL)
    m.process.wait()
    for pid in m.left():
        os.kill(pid, signal.SIGKILL)
    wait_for("nothing of meshd lives", lambda: not m.left())
    m.process = None


class Trace:
    def __init__(self, host, kind):
        self.host, self.kind = host, kind
        self.before, self.theirs = everything(host), theirs(host, kind)

    def nothing_is_left(self):
        after = everything(self.host)
        assert after == self.before, difference(self.before, after)

    def only_ours_came(self):
        """The rules are in: those of others stand where they stood, and tables of the other kind have nothing."""
        assert theirs(self.host, self.kind) == self.theirs
        for save in SAVES:
            found = tables(self.host, save)
            if self.kind in save:
                assert any("MESHD_OUTPUT" in line for line in found["nat"])
            else:
                assert found == self.before[save]


@pytest.fixture(params=list(NEIGHBOURS))
def among(request):
    return request.param


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def trace(host, among, kind):
    move_in(host, kind, among)
    return Trace(host, kind)


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_apply_and_clear(host, start, trace, kind, mode):
    m = start(host, "", intercept=intercept(mode, kind))
    trace.only_ours_came()
    once = everything(host)
    for way in ("ip -4 rule", "ip -6 rule", "ip -4 route show table all") if mode == "tproxy" else ():
        assert len(once[way]) > len(trace.before[way])
    for _ in range(2):
        m.ask("intercept", "apply")
        assert everything(host) == once, difference(once, everything(host))
    m.ask("intercept", "clear")
    trace.nothing_is_left()
    m.ask("intercept", "apply")
    assert everything(host) == once, difference(once, everything(host))
    m.top = m.top.replace(OPTIONS, "inbound_sources = 3;")
    assert m.reload("").returncode == 0
    trace.only_ours_came()
    start.stop_all()
    trace.nothing_is_left()


@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
def test_killed_and_cleared(host, trace, kind, mode):
    m = Meshd(host, "", intercept=intercept(mode, kind)).start()
    kill(m)
    trace.only_ours_came()
    host.must(MESHCTL, "-r", m.rundir, "intercept", "clear")
    trace.nothing_is_left()


@pytest.mark.parametrize("note", ["with its note", "without"])
@pytest.mark.parametrize("mode", list(MODES))
def test_leftovers_of_another_run(host, start, trace, kind, mode, note):
    """A meshd of another configuration, in another folder, was killed: the next one takes over what it left."""
    old = Meshd(host, "", intercept=intercept(mode, kind), name="old").start()
    kill(old)
    if note == "without":
        shutil.rmtree(old.rundir)
    m = Meshd(host, "", intercept=intercept("redirect", kind, "inbound_sources = 1;"), name="new")
    if note == "with its note":
        shutil.copytree(old.rundir, m.rundir, ignore=shutil.ignore_patterns("*.sock"))
    m.start()
    trace.only_ours_came()
    m.rules_before = ""
    m.process.signal(signal.SIGTERM)
    assert m.process.wait(20) == 0
    trace.nothing_is_left()


def test_leftovers_in_tables_of_the_other_kind(host, start, trace, kind):
    """The one before had other iptables: its rules go all the same."""
    other = KINDS[1 - KINDS.index(kind)]
    kill(Meshd(host, "", intercept=intercept("tproxy", other), name="old").start())
    m = Meshd(host, "", intercept=intercept("redirect", kind), name="new").start()
    trace.only_ours_came()
    kill(m)
    host.must(MESHCTL, "-r", m.rundir, "intercept", "clear")
    trace.nothing_is_left()
