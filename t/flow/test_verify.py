"""meshctl intercept verify: probes through the rules as they are, where each arrives, and nothing left behind."""
import json
import os
import signal
import subprocess

import pytest

from lib.hosts import wait_for
from lib.meshd import INTERCEPT, MESHCTL, Meshd

BASIC = {
    "outbound": "outbound", "inbound": "inbound", "self-call: a worker to this host": "inbound", "a worker to elsewhere": "direct",
    "the agent to elsewhere": "direct", "an application to localhost": "direct", "an application to its own address": "direct",
}


def intercept(more):
    return INTERCEPT.replace("};", more + " };")


def verify(m, *flags):
    """Its status, its rows by what they are."""
    done = m.meshctl("intercept", "verify", "-o", "json", *flags)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    found = {row["probe"]: row for row in rows}
    assert len(found) == len(rows)
    assert done.returncode == any(row["ok"] is False for row in rows)
    return done.returncode, found


def net_of(host):
    """Of what is link-local the kernel makes up its mind later."""
    shown = "".join(host.must("ip", "-o", *words.split()) for words in
                    ("link", "-4 addr", "-6 addr", "-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"))
    return sorted(line for line in shown.splitlines() if "fe80:" not in line and "ff00:" not in line)


@pytest.fixture
def unchanged(host):
    """Nothing of it is in the host afterwards."""
    before = net_of(host)
    yield
    assert net_of(host) == before


def test_rules_as_they_should_be(host, unchanged, start):
    m = start(host, "")
    status, rows = verify(m)
    assert status == 0, rows
    for family, name in (4, "IPv4"), (6, "IPv6"):
        for what, expected in BASIC.items():
            row = rows[f"{what}, {name}"]
            assert row["ok"] and row["expected"] == expected, row
            assert row["arrived"] == ("direct" if expected == "direct" else "listener"), row
            if expected != "direct":
                assert row["listener"] == f"virtual{expected.title()}" and row["destination"] == row["to"]
    assert rows["a worker to the application, from 127.0.0.6"]["ok"]
    table = m.meshctl("intercept", "verify").stdout.splitlines()
    assert table[0].split() == ["PROBE", "UID", "TO", "EXPECTED", "ARRIVED", "RESULT"]
    assert all(line.split()[-1] in ("ok", "-") for line in table[1:]), table
    wait_for("its connections have ended", lambda: m.connections() == [])


def test_without_rules_all_is_direct(host, unchanged, start):
    m = start(host, "")
    m.ask("intercept", "clear")
    done = m.meshctl("intercept", "verify")
    assert done.returncode == 0 and done.stdout.startswith("the rules are not in: everything has to be direct\n"), done
    _, rows = verify(m)
    assert {row["arrived"] for row in rows.values()} <= {"direct", None}
    m.ask("intercept", "apply")


# What somebody does to the rules; the probe that finds it, what becomes of it, and how it is undone
BROKEN = {
    "not caught": ("iptables -t nat -I MESHD_OUTPUT -p tcp -j RETURN", "outbound, IPv4", "direct",
                   "iptables -t nat -D MESHD_OUTPUT -p tcp -j RETURN"),
    "inbound not caught": ("ip6tables -t nat -I PREROUTING -p tcp -j ACCEPT", "inbound, IPv6", "direct",
                           "ip6tables -t nat -D PREROUTING -p tcp -j ACCEPT"),
    "caught by nobody": ("iptables -t nat -I OUTPUT -p tcp -d 198.18.0.0/15 -m owner --uid-owner 0 ! -o lo -j REDIRECT --to-ports 9",
                         "outbound, IPv4", "refused",
                         "iptables -t nat -D OUTPUT -p tcp -d 198.18.0.0/15 -m owner --uid-owner 0 ! -o lo -j REDIRECT --to-ports 9"),
    "caught by another": ("iptables -t nat -I OUTPUT -p tcp -d 198.18.0.0/15 -m owner --uid-owner 0 ! -o lo -j REDIRECT --to-ports 7777",
                          "outbound, IPv4", "elsewhere",
                          "iptables -t nat -D OUTPUT -p tcp -d 198.18.0.0/15 -m owner --uid-owner 0 ! -o lo -j REDIRECT --to-ports 7777"),
    "dropped": ("iptables -A INPUT -i meshdv+ -p tcp --syn -j DROP", "inbound, IPv4", "nowhere",
                "iptables -D INPUT -i meshdv+ -p tcp --syn -j DROP"),
    "localhost caught": ("iptables -t nat -I MESHD_OUTPUT -d 127.0.0.1 -p tcp -m owner --uid-owner 0 -j MESHD_REDIRECT",
                         "an application to localhost, IPv4", "listener",
                         "iptables -t nat -D MESHD_OUTPUT -d 127.0.0.1 -p tcp -m owner --uid-owner 0 -j MESHD_REDIRECT"),
}


@pytest.mark.parametrize("do, probe, arrived, undo", BROKEN.values(), ids=BROKEN.keys())
def test_a_rule_that_is_broken(host, unchanged, start, do, probe, arrived, undo):
    m = start(host, "")
    host.must(*do.split())
    with host.listen("0.0.0.0", 7777):
        status, rows = verify(m, "--timeout", "2s")
        assert status == 1
        assert rows[probe]["ok"] is False and rows[probe]["arrived"] == arrived, rows[probe]
        differ = {what for what, row in rows.items() if row["ok"] is False}
        assert probe in differ and all(what.split(",")[-1] == probe.split(",")[-1] for what in differ), differ
        table = m.meshctl("intercept", "verify", "--timeout", "2s").stdout.splitlines()
    assert any(line.startswith(probe) and line.endswith("DIFFERS") for line in table), table
    assert ("packet filter" in table[-1]) == (arrived == "nowhere")
    host.must(*undo.split())


# What the configuration says in intercept; rows that it makes, each with what has to come of it
OPTIONS = {
    "exclude_outbound_ports": ('exclude_outbound_ports = ( 22, "8000-8010" );',
                               {"outbound, excluded port 22, IPv4": "direct", "outbound, excluded port 22, IPv6": "direct",
                                "outbound, IPv4": "outbound"}),
    "exclude_inbound_ports": ('exclude_inbound_ports = [ "8000-8010" ];',
                              {"inbound, excluded port 8000-8010, IPv4": "direct", "inbound, IPv6": "inbound"}),
    "include_inbound_ports": ("include_inbound_ports = [ 8080 ];",
                              {"inbound, included port 8080, IPv6": "inbound", "inbound, IPv4": "direct",
                               "self-call: a worker to this host, IPv4": "inbound"}),
    "no inbound": ("include_inbound_ports = [ ];", {"inbound, IPv4": "direct", "self-call: a worker to this host, IPv6": "inbound"}),
    "include_outbound_ports": ("include_outbound_ports = [ 443 ]; include_outbound_ranges = [ ];",
                               {"outbound, included port 443, IPv4": "outbound", "outbound, included port 443, IPv6": "outbound",
                                "outbound, IPv4": "direct"}),
    "include_outbound_ranges": ('include_outbound_ranges = [ "203.0.113.0/24", "2001:db8:ffff::/48" ];',
                                {"outbound, included range 203.0.113.0/24, IPv4": "outbound",
                                 "outbound, included range 2001:db8:ffff::/48, IPv6": "outbound", "outbound, IPv4": "direct"}),
    "exclude_outbound_ranges": ('exclude_outbound_ranges = [ "203.0.113.9/32", "2001:db8:ffff::/64" ];',
                                {"outbound, excluded range 203.0.113.9/32, IPv4": "direct",
                                 "outbound, excluded range 2001:db8:ffff::/64, IPv6": "direct", "outbound, IPv6": "outbound"}),
    "exclude_dns": ("exclude_dns = true;", {"outbound, excluded DNS, IPv4": "direct", "outbound, excluded DNS, IPv6": "direct"}),
    "exclude_outbound_users": ('exclude_outbound_users = [ "1000-1999" ];',
                               {"outbound of excluded user 1000-1999, IPv4": "direct", "outbound, IPv4": "outbound"}),
    "root is excluded": ('exclude_outbound_users = [ "root" ];',
                         {"outbound of excluded user root, IPv6": "direct", "outbound, IPv6": "outbound"}),
    "include_outbound_users": ('include_outbound_users = [ "nobody" ];',
                               {"outbound of a user not included, IPv4": "direct", "outbound, IPv4": "outbound"}),
    "exclude_outbound_groups": ('exclude_outbound_groups = [ "nogroup" ];',
                                {"outbound of excluded group nogroup, IPv4": "direct", "outbound, IPv4": "outbound"}),
    "include_outbound_groups": ('include_outbound_groups = [ "nogroup" ];',
                                {"outbound of a group not included, IPv4": "direct", "outbound, IPv4": "outbound"}),
    "exclude_interfaces": ('exclude_interfaces = [ "mv+" ];', {"outbound, excluded interface mv{}, IPv4": "direct",
                                                               "inbound, excluded interface mv{}, IPv6": "direct"}),
    "guest_interfaces": ('guest_interfaces = [ "mv+" ];', {"outbound of a guest, interface mv{}, IPv4": "outbound",
                                                           "outbound of a guest, interface mv{}, IPv6": "outbound"}),
    "loopback is included": ('include_outbound_ranges = [ "127.0.0.0/8" ];',
                             {"an application to localhost, IPv4": "direct", "outbound, IPv4": "direct"}),
}


@pytest.mark.parametrize("options, expected", OPTIONS.values(), ids=OPTIONS.keys())
def test_what_the_configuration_names(host, unchanged, start, options, expected):
    status, rows = verify(start(host, "", intercept=intercept(options)))
    assert status == 0, {what: row for what, row in rows.items() if row["ok"] is False}
    for what, fate in expected.items():
        (row,) = [r for w, r in rows.items() if w == what or "{}" in what and w.startswith(what.split("{}")[0]) and
                  w.endswith(what.split("{}")[1])]
        assert row["ok"] and row["expected"] == fate, row


WAYS = {
    "one port": "intercept = { port = 8090; };\n",
    "tproxy": 'intercept = { mode = "tproxy"; };\n',
    "a range of ports": 'intercept = { outbound_port = "15101-15116"; inbound_sources = 4; };\n',
    "legacy": 'intercept = { iptables = "legacy"; };\n',
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_each_way_of_interception(host, unchanged, start, way):
    status, rows = verify(start(host, "", intercept=way))
    assert status == 0, {what: row for what, row in rows.items() if row["ok"] is False}
    for what, fate in BASIC.items():
        assert all(rows[f"{what}, IPv{n}"]["ok"] and rows[f"{what}, IPv{n}"]["expected"] == fate for n in (4, 6)), rows


NOT_TRIED = {
    "an interface by name": ('exclude_interfaces = [ "eth0" ];', "excluded interface eth0, IPv4", "would leave the host"),
    "a small range": ('include_outbound_ranges = [ "203.0.113.9/32" ];', "outbound, included range 203.0.113.9/32, IPv4", "somebody's"),
    "loopback": ('exclude_outbound_ranges = [ "127.0.0.0/8" ];', "outbound, excluded range 127.0.0.0/8, IPv4", "no address of it"),
}


@pytest.mark.parametrize("options, probe, why", NOT_TRIED.values(), ids=NOT_TRIED.keys())
def test_what_cannot_be_tried_is_said(host, unchanged, start, options, probe, why):
    status, rows = verify(start(host, "", intercept=intercept(options)))
    assert status == 0
    assert rows[probe]["ok"] is None and rows[probe]["arrived"] is None and why in rows[probe]["notSent"], rows[probe]


def test_registry_only_ends_what_it_catches(host, unchanged, start):
    status, rows = verify(start(host, 'outbound_traffic_policy = "registry_only";\n'))
    assert status == 0, rows
    assert rows["outbound, IPv4"]["arrived"] == rows["outbound, IPv6"]["arrived"] == "closed"


def test_an_application_has_the_excluded_port(host, unchanged, start):
    m = start(host, "", intercept=intercept("exclude_inbound_ports = [ 8080 ];"))
    with host.listen("0.0.0.0", 8080):
        status, rows = verify(m)
        assert status == 0
        assert rows["inbound, excluded port 8080, IPv4"]["arrived"] == "elsewhere"


def test_a_host_without_v6(host, unchanged, start):
    host.must("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    m = start(host, "")
    status, rows = verify(m)
    assert status == 0
    assert rows["all, IPv6"]["notSent"] == "this host has no IPv6"
    assert rows["outbound, IPv4"]["ok"]
    m.stop()
    host.must("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
    host.must("ip", "-6", "addr", "add", f"{host.v6}/64", "dev", "eth0", "nodad")
    host.must("ip", "-6", "route", "add", "default", "via", "2001:db8::1")


def test_somebody_elses_rules_are_not_judged(host, unchanged, start):
    status, rows = verify(start(host, "", intercept=intercept('mode = "none";')))
    assert status == 0
    assert {row["ok"] for row in rows.values()} == {None}
    assert rows["outbound, IPv4"]["arrived"] == "direct" and rows["outbound, IPv4"]["expected"] is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_whatever_ends_it_nothing_is_left(host, unchanged, start, number):
    m = start(host, "", intercept=intercept('exclude_interfaces = [ "mv+" ];'))
    before = host.must("ip", "-o", "link")
    drop = "INPUT -i meshdv+ -p tcp --syn -j DROP".split()
    host.must("iptables", "-A", *drop)
    p = host.start(MESHCTL, "-r", m.rundir, "intercept", "verify", "--timeout", "1min")
    wait_for("probes wait", lambda: any(c["client"].startswith(("198.18.", "198.19.")) for c in m.connections()))
    assert "meshdv0" in host.must("ip", "-o", "link")
    p.signal(number)
    assert p.wait() == -number
    wait_for("its links are gone", lambda: host.must("ip", "-o", "link") == before)
    wait_for("its connections have ended", lambda: m.connections() == [])
    host.must("iptables", "-D", *drop)


def test_who_may_not(host, unchanged, start):
    def words(*wrapper, rundir):
        done = host.run(*wrapper, MESHCTL, "-r", rundir, "intercept", "verify")
        assert done.returncode == 1 and done.stdout == "", done
        return done.stderr

    m = start(host, "")
    assert "only root" in words("setpriv", "--reuid=nobody", "--clear-groups", rundir=m.rundir)
    assert "no meshd at /no-such-folder" in words(rundir="/no-such-folder")
    ip = os.path.realpath("/usr/sbin/ip")
    no_ip = ("unshare", "-m", "sh", "-ec", f"mount --bind /dev/null {ip}; [ {ip} -ef /bin/ip ] || mount --bind /dev/null /bin/ip; "
             "exec \"$@\"", "sh")
    assert "apt-get install iproute2" in words(*no_ip, rundir=m.rundir)
    host.must("ip", "route", "add", "blackhole", "198.18.0.0/15")
    assert "198.18.0.0/15" in words(rundir=m.rundir)
    host.must("ip", "route", "del", "blackhole", "198.18.0.0/15")
    assert m.meshctl("intercept", "verify", "--timeout", "2min").returncode == 2


def test_who_intercepts_nothing(host, unchanged, start):
    done = start(host, "", intercept="").meshctl("intercept", "verify")
    assert done.returncode == 1 and "no `intercept`" in done.stderr, done
