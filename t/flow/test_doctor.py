"""meshctl doctor: each finding is provoked, and names its remedy; nothing that it looks at is changed."""
import ctypes
import json
import os
import pwd
import socket
import sys

import pytest

from lib.hosts import wait_for
from lib.meshd import MESHCTL

# Runs argv[3:] under a system-call filter that answers call argv[1] with errno argv[2].
FORBID = """
import ctypes, os, struct, sys
call, code = int(sys.argv[1]), int(sys.argv[2])
insns = [(0x20, 0, 0, 0), (0x15, 0, 1, call), (6, 0, 0, 0x50000 | code), (6, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in insns))
prog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(insns), ctypes.addressof(text)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, prog, 0, 0):
    sys.exit("no filter")
os.execvp(sys.argv[3], sys.argv[3:])
"""
IO_URING_SETUP, BPF = 425, 321
EPERM, ENOMEM, ENOSYS, EINVAL = 1, 12, 38, 22


class Doctor:
    """What it finds in a host, in a mount namespace of its own where `prepare`, a shell script, comes first."""

    def __init__(self, host):
        self.host, self.rundir = host, host.tmp / "no-such-folder"
        self.tmp = host.tmp / "fake"
        self.tmp.mkdir()

    def run(self, prepare="", wrapper=(), flags=("-o", "json")):
        script = f"cd {self.tmp}\n{prepare}\nexec \"$@\""
        return self.host.run("unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", *wrapper, MESHCTL,
                             "-r", self.rundir, *flags, "doctor")

    def findings(self, prepare="", wrapper=()):
        done = self.run(prepare, wrapper)
        rows = json.loads(done.stdout)
        assert done.returncode == any(row["result"] == "bad" for row in rows), done.stderr
        assert all(row["found"] and row["remedy"] is None or row["remedy"] for row in rows)
        assert all(row["remedy"] for row in rows if row["result"] != "ok"), rows
        return {row["check"]: row for row in rows}


@pytest.fixture
def doctor(host):
    return Doctor(host)


def forbid(call, code):
    return sys.executable, "-c", FORBID, str(call), str(code)


def instead(path, text):
    """A file of /proc, or any other, says something else."""
    return f"printf '%b' '{text}' >other; mount --bind other {path}"


# Programs are links into the real folder, which lies elsewhere then: they can be taken away one by one.
PROGRAMS = """mkdir real fakes
mount --bind /usr/sbin real
for p in real/*; do ln -s $PWD/$p fakes/${p##*/}; done
"""
SBIN = "mount --bind fakes /usr/sbin\n"
# ip(8) lies in /bin too, and so may the others
NO_IP = "for p in /bin/ip /usr/bin/ip; do [ ! -e $p ] || mount --bind /dev/null $(readlink -f $p); done\n" \
        "mount --bind /dev/null $(readlink -f /usr/sbin/ip)\n"
# The folder of modules, which this machine may not have
MODULES = "mkdir up work; mount -t overlay overlay -o lowerdir=/usr/lib,upperdir=up,workdir=work /usr/lib\n" \
          "m=/usr/lib/modules/$(uname -r); mkdir -p $m\n"

PROVOKED = {
    "old kernel": ("", ("setarch", "--uname-2.6"), "kernel", "bad", "Linux 2.6", "Linux 6.1"),
    "no io_uring": ("", forbid(IO_URING_SETUP, ENOSYS), "io_uring", "bad", "forbidden", "seccomp profile"),
    "io_uring forbidden": (instead("/proc/sys/kernel/io_uring_disabled", "0"), forbid(IO_URING_SETUP, EPERM), "io_uring", "bad",
                           "Operation not permitted", "seccomp profile"),
    "io_uring disabled": (instead("/proc/sys/kernel/io_uring_disabled", "2"), forbid(IO_URING_SETUP, EPERM), "io_uring", "bad",
                          "kernel.io_uring_disabled = 2", "sysctl -w kernel.io_uring_disabled=0"),
    "old io_uring": ("", forbid(IO_URING_SETUP, EINVAL), "io_uring", "bad", "Invalid argument", "Linux 6.1"),
    "locked memory": ("", forbid(IO_URING_SETUP, ENOMEM), "io_uring", "bad", "Cannot allocate", "LimitMEMLOCK"),
    "no bpf": ("", forbid(BPF, EPERM), "bpf", "warning", "not permitted", "CAP_BPF"),
    "no memory": (instead("/proc/meminfo", "MemTotal: 1000000 kB\\nMemAvailable: 60000 kB\\n"), (), "memory", "bad", "58 MiB", "free some"),
    "little memory": (instead("/proc/meminfo", "MemAvailable: 200000 kB\\n"), (), "memory", "warning", "195 MiB", "free some"),
    "few descriptors": ("", ("setpriv", "--bounding-set=-sys_resource", "--inh-caps=-all", "prlimit", "--nofile=512:512"),
                        "descriptors", "warning", "hard 512; 65536 are wanted", "LimitNOFILE=65536"),
    "nr_open": (instead("/proc/sys/fs/nr_open", "4096"), (), "fs.nr_open", "warning", "4096", "sysctl -w fs.nr_open=65536"),
    "somaxconn": ("sysctl -qw net.core.somaxconn=128", (), "somaxconn", "warning", "128; listeners ask for 1024",
                  "net.core.somaxconn=1024"),
    "SYN queue": ("sysctl -qw net.ipv4.tcp_max_syn_backlog=256 net.ipv4.tcp_syncookies=0", (), "SYN queue", "warning",
                  "= 256, SYN cookies are off", "tcp_syncookies=1"),
    "few local ports": ("sysctl -qw net.ipv4.ip_local_port_range='40000 41000'", (), "local ports", "warning", "1001",
                        "ip_local_port_range"),
    "our port is local": ("sysctl -qw net.ipv4.ip_local_port_range='10000 60999'", (), "local ports", "warning", "our port 15001",
                          "ip_local_reserved_ports=15001"),
    "one of ours is reserved": ("sysctl -qw net.ipv4.ip_local_port_range='10000 60999' net.ipv4.ip_local_reserved_ports=15001", (),
                                "local ports", "warning", "our port 15006", "ip_local_reserved_ports=15006"),
    "few pipes": (instead("/proc/sys/fs/pipe-user-pages-soft", "1024"), (), "pipes", "warning", "few pipes", "pipe-user-pages-soft"),
    "no user": ("grep -v ^meshd: /etc/passwd >p; mount --bind p /etc/passwd", (), "user", "bad", 'no user "meshd"',
                "useradd --system --no-create-home --shell /usr/sbin/nologin meshd"),
    "root as user": ("sed s/^meshd-agent:x:[0-9]*/meshd-agent:x:0/ /etc/passwd >p; mount --bind p /etc/passwd", (), "agent_user", "bad",
                     "is root", "agent_user in meshd.conf"),
    "no group": ("grep -v ^meshd-admin: /etc/group >g; mount --bind g /etc/group", (), "admin_group", "bad", 'no group "meshd-admin"',
                 "groupadd --system meshd-admin"),
    "no iptables": (PROGRAMS + "rm fakes/*tables*\n" + SBIN, (), "iptables", "bad", "iptables-save is not installed",
                    "apt-get install iptables"),
    "no ip6tables": (PROGRAMS + "rm fakes/ip6tables-restore\n" + SBIN, (), "iptables", "warning", "ip6tables-restore is not",
                     "apt-get install iptables"),
    "iptables is broken": (PROGRAMS + "rm fakes/iptables; printf '#!/bin/sh\\necho it is bad >&2\\nexit 3\\n' >fakes/iptables\n"
                           "chmod 755 fakes/iptables\n" + SBIN, (), "iptables", "bad", "it is bad", "--reinstall"),
    "no ip": (NO_IP, (), "ip", "warning", "not installed", "apt-get install iproute2"),
    "no ip, no rules seen": (NO_IP, (), "leftover routing", "not seen", "whether rules of TPROXY are in", "apt-get install iproute2"),
    "both variants": ("iptables-nft -A FORWARD -j DROP; ip6tables-legacy -A FORWARD -j DROP", (), "variants", "warning",
                      "1 rules of nft, 1 of legacy", "update-alternatives"),
    "a variant that cannot be read": (PROGRAMS + "rm fakes/iptables-legacy-save\n" + SBIN + "iptables-legacy -A FORWARD -j DROP", (),
                                      "variants", "not seen", "legacy cannot be read", "apt-get install iptables"),
    "left over, nft": ("iptables-nft -t nat -N MESHD_OUTPUT", (), "leftover rules", "bad", "MESHD_*, nft", "meshctl intercept clear"),
    "left over, legacy, IPv6": ("ip6tables-legacy -t mangle -N MESHD_DIVERT", (), "leftover rules", "bad", "MESHD_*, legacy",
                                "meshctl intercept clear"),
    "left over, both": ("iptables-nft -t nat -N MESHD_OUTPUT; iptables-legacy -t nat -N MESHD_OUTPUT", (), "leftover rules", "bad",
                        "both variants", "meshctl intercept clear"),
    "left over, routing": ("ip rule add fwmark 1337 lookup 133", (), "leftover routing", "bad", "lookup 133",
                           "ip -4 rule del lookup 133"),
    "left over, routing, IPv6": ("ip -6 rule add fwmark 1337/0xffffffff lookup 133", (), "leftover routing", "bad",
                                 "lookup 133", "ip -6 rule del lookup 133"),
    "left over, routing of answers": ("ip rule add pref 100 from 127.0.0.0/8 ipproto tcp lookup 133", (), "leftover routing", "bad",
                                      "lookup 133", "meshctl intercept clear"),
    "somebody's mark": ("ip rule add fwmark 0x5391 lookup 133; ip rule add fwmark 1337 lookup 1334", (), "leftover routing", "ok", "none",
                        None),
    "left over, address": ("ip -6 addr add ::6/128 dev lo nodad", (), "leftover address", "warning", "::6", "ip -6 addr del ::6/128 dev lo"),
    "conntrack is full": (instead("/proc/sys/net/netfilter/nf_conntrack_count", "1900") + "\nprintf 2000 >most\n"
                          "mount --bind most /proc/sys/net/netfilter/nf_conntrack_max", (), "conntrack size", "bad", "1900 of 2000",
                          "nf_conntrack_max=4000"),
    "conntrack fills": (instead("/proc/sys/net/netfilter/nf_conntrack_count", "1600") + "\nprintf 2000 >most\n"
                        "mount --bind most /proc/sys/net/netfilter/nf_conntrack_max", (), "conntrack size", "warning", "1600 of 2000",
                        "nf_conntrack_max=4000"),
    "no owner match": (PROGRAMS + "rm fakes/iptables-restore; printf '#!/bin/sh\\n! grep owner >&2\\n' >fakes/iptables-restore\n"
                       "chmod 755 fakes/iptables-restore\n" + SBIN, (), "owner match", "bad", "--uid-owner", "modprobe xt_owner"),
    "no TPROXY": (PROGRAMS + "rm fakes/iptables-restore; printf '#!/bin/sh\\n! grep TPROXY >&2\\n' >fakes/iptables-restore\n"
                  "chmod 755 fakes/iptables-restore\n" + SBIN, (), "TPROXY", "warning", "--on-port", "CONFIG_NETFILTER_XT_TARGET_TPROXY"),
    "the match is a module": (MODULES + "echo kernel/net/netfilter/xt_owner.ko.xz: kernel/x.ko >$m/modules.dep", (), "owner match", "ok",
                              "on the disk", None),
    "only what it depends on": (MODULES + "echo kernel/y.ko: kernel/net/netfilter/xt_owner.ko >$m/modules.dep", (), "owner match", "ok",
                                "the kernel has it", None),
    "the match is built in": (MODULES + "echo kernel/net/netfilter/xt_owner.ko >$m/modules.builtin", (), "owner match", "ok", "built in",
                              None),
    "no more modules": (MODULES + "echo kernel/net/netfilter/xt_owner.ko: >$m/modules.dep; "
                        "mkdir k; echo 1 >k/modules_disabled; mount --bind k /proc/sys/kernel", (), "owner match", "bad", "xt_owner is not loaded",
                        "/etc/modules-load.d"),
}


@pytest.mark.parametrize("prepare, wrapper, check, result, found, remedy", PROVOKED.values(), ids=PROVOKED.keys())
def test_a_finding_has_its_remedy(doctor, prepare, wrapper, check, result, found, remedy):
    row = doctor.findings(prepare, wrapper)[check]
    assert row["result"] == result and found in row["found"], row
    assert remedy is None and row["remedy"] is None or remedy in row["remedy"], row


def clock_is_kept_right():
    timex = ctypes.create_string_buffer(512)
    ctypes.CDLL(None).adjtimex(timex)
    return int.from_bytes(timex[40:44], sys.byteorder) & 0x40 == 0      # status, STA_UNSYNC


def test_an_empty_host(doctor):
    before = doctor.host.rules()
    found = doctor.findings()
    assert "none runs" in found["meshd"]["found"]
    assert found["clock"]["result"] == ("ok" if clock_is_kept_right() else "warning")
    apart = {"clock", "descriptors", "memory"}          # what this machine has
    assert {c for c, row in found.items() if row["result"] != "ok"} <= apart, found
    assert doctor.host.rules() == before == ""
    assert doctor.host.must("iptables-nft-save") == ""
    assert doctor.host.run("cat", "/proc/net/ip_tables_names").stdout == ""


def test_the_table(doctor):
    done = doctor.run("ip rule add fwmark 1337 lookup 133", flags=())
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0].split() == ["RESULT", "CHECK", "FOUND"]
    at = next(i for i, line in enumerate(lines) if line.startswith("bad"))
    assert lines[at].split()[:3] == ["bad", "leftover", "routing"]
    assert lines[at + 1].split()[:4] == ["->", "meshctl", "intercept", "clear,"]
    assert " checks: 1 bad, " in lines[-1]


def test_without_root_it_says_what_it_cannot_see(doctor):
    found = doctor.findings(wrapper=("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"))
    unseen = {c for c, row in found.items() if row["result"] == "not seen"}
    assert {"bpf", "variants", "leftover rules"} <= unseen
    assert all("root" in found[c]["remedy"] for c in unseen)


def test_a_stranger_among_our_users(doctor):
    other = doctor.host.start("setpriv", "--reuid=meshd", "--clear-groups", "sleep", "60")
    wait_for("it has become meshd", lambda: os.stat(f"/proc/{other.pid}").st_uid == pwd.getpwnam("meshd").pw_uid)
    row = doctor.findings()["strangers"]
    assert row["result"] == "bad" and f"process {other.pid} (" in row["found"], row
    assert "a user of its own" in row["remedy"]


def test_somebody_on_our_port(doctor):
    with doctor.host.listen("127.0.0.1", 15001), doctor.host.listen("::1", 15006):
        found = doctor.findings()
        for port in "port 15001", "port 15006":
            assert found[port]["result"] == "bad", found[port]
            assert f"(pid {os.getpid()})" in found[port]["found"]
            assert "another port" in found[port]["remedy"]
        doctor.rundir = "/no-such-folder"       # one that nobody may look into might hold sockets
        found = doctor.findings(wrapper=("setpriv", "--reuid=nobody", "--clear-groups"))
        assert found["port 15001"]["result"] == "bad" and "of uid 0: root can see who" in found["port 15001"]["found"]


@pytest.mark.parametrize("mode, result, remedy", [(0o755, "ok", None), (0o777, "bad", "chmod 755"), (None, "bad", "remove it")])
def test_the_folder_of_sockets(doctor, mode, result, remedy):
    if mode is None:
        doctor.rundir.write_text("")
    else:
        doctor.rundir.mkdir()
        doctor.rundir.chmod(mode)
    row = doctor.findings()["runtime_dir"]
    assert row["result"] == result, row
    assert remedy is None or remedy in row["remedy"]


# ---- beside a meshd that runs ----

def test_a_meshd_that_runs(doctor, start):
    m = start(doctor.host, "max_connections = 1000;\n", intercept="intercept = { outbound_port = 14001; inbound_port = 14006; };\n")
    doctor.rundir = m.rundir
    found = doctor.findings()
    assert f"pid {m.process.pid}" in found["meshd"]["found"]
    assert found["bpf"]["found"] == "connections are spread by it"
    assert "of a worker" in found["descriptors"]["found"] and "2320 are wanted for max_connections" in found["descriptors"]["found"]
    for port in "port 14001", "port 14006":
        assert found[port]["result"] == "ok" and "meshd listens there" in found[port]["found"]
    assert "port 15001" not in found
    apart = {"clock", "memory"}
    assert {c for c, row in found.items() if row["result"] != "ok"} <= apart, found
    found = doctor.findings(wrapper=("setpriv", "--reuid=nobody", "--clear-groups"))
    assert found["meshd"]["result"] == "not seen" and "admin_group" in found["meshd"]["remedy"]
    # somebody beside it, on an address of its own
    with doctor.host.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        m.reload('listeners = ( { name = "x"; address = "127.0.0.1"; port = 14100; filter_chains = ( { filters = '
                 '( { type = "tcp_proxy"; cluster = "c"; } ); } ); } );\nclusters = ( { name = "c"; endpoints = [ "127.0.0.1:9" ]; } );\n')
        assert doctor.findings()["port 14100"]["result"] == "ok"


def test_conntrack_for_max_connections(doctor, start):
    doctor.rundir = start(doctor.host, "max_connections = 1000;\n").rundir
    row = doctor.findings("printf 1500 >most; mount --bind most /proc/sys/net/netfilter/nf_conntrack_max")["conntrack size"]
    assert row["result"] == "warning" and "max_connections = 1000 needs two" in row["found"], row
    assert "nf_conntrack_max=3000" in row["remedy"]


def test_rules_of_one_that_intercepts_nothing(doctor, start):
    doctor.rundir = start(doctor.host, "", intercept="").rundir
    doctor.host.must("iptables", "-t", "nat", "-N", "MESHD_OUTPUT")
    row = doctor.findings()["leftover rules"]
    assert row["result"] == "bad" and "this one intercepts nothing" in row["found"], row
    doctor.host.must("iptables", "-t", "nat", "-X", "MESHD_OUTPUT")


def test_one_that_runs_elsewhere(doctor, start):
    start(doctor.host, "")
    found = doctor.findings()
    assert found["meshd"]["result"] == "warning" and "meshctl -r FOLDER" in found["meshd"]["remedy"]
    assert found["leftover rules"]["result"] == found["port 15001"]["result"] == "ok", found


TPROXY = {
    "as it is": ("sysctl -qw net.ipv4.conf.all.route_localnet=0", "rp_filter", "ok", None),
    "strict": ("sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.src_valid_mark=1", "rp_filter", "warning", "src_valid_mark=0"),
    "strict, without marks": ("sysctl -qw net.ipv4.conf.all.rp_filter=1", "rp_filter", "ok", None),
    "localnet": ("sysctl -qw net.ipv4.conf.all.route_localnet=1", "route_localnet", "warning", "route_localnet=0"),
    "no TPROXY": (PROGRAMS + "rm fakes/iptables-restore; printf '#!/bin/sh\\n! grep TPROXY >&2\\n' >fakes/iptables-restore\n"
                  "chmod 755 fakes/iptables-restore\n" + SBIN, "TPROXY", "bad", "CONFIG_NETFILTER_XT_TARGET_TPROXY"),
    "its routing is no leftover": ("", "leftover routing", "ok", None),
}


@pytest.mark.parametrize("prepare, check, result, remedy", TPROXY.values(), ids=TPROXY.keys())
def test_tproxy(doctor, start, prepare, check, result, remedy):
    doctor.rundir = start(doctor.host, "", intercept='intercept = { mode = "tproxy"; };\n').rundir
    row = doctor.findings(prepare)[check]
    assert row["result"] == result, row
    assert remedy is None or remedy in row["remedy"]


UNITS = {
    "memory": ("33554432", "max", "MemoryMax is 32 MiB", "MemoryMax=infinity"),
    "tasks": ("max", "4", "TasksMax is 4, for 2 workers", "TasksMax=66"),
    "wide": ("max", "1000", "wide enough", None),
}


@pytest.mark.parametrize("memory, tasks, found, remedy", UNITS.values(), ids=UNITS.keys())
def test_a_unit(doctor, start, memory, tasks, found, remedy):
    m = start(doctor.host, "")
    doctor.rundir = m.rundir
    row = doctor.findings(f"""mkdir -p cg/system.slice/meshd.service
echo {memory} >cg/system.slice/meshd.service/memory.max
echo {tasks} >cg/system.slice/meshd.service/pids.max
mount --bind cg /sys/fs/cgroup
echo 0::/system.slice/meshd.service >cgroup; mount --bind cgroup /proc/{m.process.pid}/cgroup""")["unit"]
    assert row["result"] == ("ok" if remedy is None else "warning") and found in row["found"], row
    assert remedy is None or remedy in row["remedy"] and "meshd.service" in row["remedy"]
