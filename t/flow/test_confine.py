"""From inside a worker and the agent: what one of them could not do if it were taken over.

A debugger makes the process itself call what is forbidden, on its own thread and under its own filter.
"""
import errno
import os
import re

import pytest

from lib.crowd import Origin, talk, try_connect
from lib.meshd import MESHCTL

pytestmark = pytest.mark.long       # sanitizers need what is forbidden

VIP = "203.0.113.75"
SYS_OPENAT2, SYS_CLONE3, SYS_IO_URING_SETUP, SYS_IO_URING_REGISTER, SYS_PROCESS_VM_READV, SYS_EXECVEAT, SYS_BPF = \
    437, 435, 425, 427, 310, 322, 321
OP_OPENAT, OP_STATX, OP_READ, OP_WRITE, OP_OPENAT2, OP_UNLINKAT, OP_SOCKET, OP_CONNECT = 18, 21, 22, 23, 28, 36, 45, 16


def inside(host, pid, commands):
    """Has the process do this; what gdb prints for each `print` and `call`, in order."""
    argv = ["gdb", "-n", "-q", "-batch", "-p", str(pid), "-ex", "set confirm off", "-ex", "set unwindonsignal on"]
    for c in commands:
        argv += ["-ex", c]
    done = host.run(*argv, seconds=120)
    found = re.findall(r"^\$\d+ = (.*)$", done.stdout, re.M)
    return found, done.stdout + done.stderr


ERRNO = "print *(int *)__errno_location()"


def try_each(host, pid, calls, prepare=()):
    """expression -> the name of the error with which it failed, or what it returned."""
    commands = list(prepare)
    for call in calls:
        commands += [f"print (long){call}", ERRNO]
    found, everything = inside(host, pid, commands)
    assert len(found) == 2 * len(calls), everything
    return {call: errno.errorcode[int(e)] if int(r) == -1 else r for call, r, e in zip(calls, found[::2], found[1::2])}


def forbidden(m, sibling):
    sun = "((char *)calloc(1, 128))"
    return [
        '(int)open("/etc/hostname", 0)', f'(int)open("{m.rundir}/new", 0102, 0600)', f'(int)open("{m.file}", 2)',
        f'(long)syscall({SYS_OPENAT2}, -100, "/etc/hostname", {sun}, 24)',
        f'(int)unlink("{m.rundir}/control.sock")', '(int)mkdir("/tmp/meshd-was-here", 0700)', '(int)chdir("/")',
        "(int)fork()", "(int)vfork()", f"(long)syscall({SYS_CLONE3}, {sun}, 88)", '(int)execve("/bin/true", 0, 0)',
        f'(long)syscall({SYS_EXECVEAT}, -100, "/bin/true", 0, 0, 0)',
        f"(long)ptrace(16, {sibling}, 0, 0)", f"(int)kill({sibling}, 9)", f"(int)kill({m.process.pid}, 0)",
        f"(long)syscall({SYS_PROCESS_VM_READV}, {sibling}, 0, 0, 0, 0, 0)",
        "(int)socket(1, 1, 0)", "(int)socket(1, 5, 0)", "(int)socket(16, 3, 0)", "(int)socket(16, 3, 4)", "(int)socket(2, 3, 6)",
        "(int)socket(2, 2, 0)", "(int)socket(10, 3, 58)", "(int)socket(10, 524291, 255)", "(int)socket(17, 3, 768)", f"(int)connect(0, {sun}, 128)",
        "(int)setuid(0)", "(int)prctl(4, 1, 0, 0, 0)", "(int)setns(0, 0)", '(int)chroot("/")',
        "(void *)mmap(0, 4096, 7, 0x22, -1, 0)", "(int)mprotect($image, 4096, 7)", f"(long)syscall({SYS_BPF}, 0, 0, 0)",
        f"(long)syscall({SYS_IO_URING_SETUP}, 8, {sun})", f"(long)syscall({SYS_IO_URING_REGISTER}, 0, 0, 0, 0)",
    ]


@pytest.fixture
def running(net, start):
    """A meshd that carries, and after all that is done in it carries on with the same processes."""
    a, b = net.host("a"), net.host("b")
    m = start(a, 'services = ( { name = "s"; port = 9000; protocol = "tcp"; addresses = [ "%s" ]; endpoints = [ "%s:9000" ]; } );\n'
              % (VIP, b.v4))
    with Origin(b, b.v4, 9000):
        before = m.left()
        held = [try_connect(a, VIP, 9000) for _ in range(8)]
        assert all(talk(s) for s in held)
        yield m
        assert all(talk(s) for s in held)
        assert talk(try_connect(a, VIP, 9000))
        assert m.left() == before
        for s in held:
            s.close()


def test_a_worker_by_system_call(running):
    m, (first, second) = running, running.workers()
    calls = forbidden(m, second)
    failed = try_each(m.host, first, calls, ["set $image = main::worker.generation->image.head"])
    assert failed == {call: "EPERM" for call in calls}


def test_the_agent_by_system_call(running):
    m, first = running, running.workers()[0]
    (agent,) = m.children("meshd-agent")
    calls = forbidden(m, first) + ["(int)socket(2, 1, 0)", "(int)socket(10, 1, 0)", "(long)splice(0, 0, 0, 0, 1, 0)"]
    failed = try_each(m.host, agent, calls, ["set $image = main::a.image.head"])
    assert failed == {call: "EPERM" for call in calls}


def by_ring(opcode, fields):
    """An operation of the worker's own ring, and what became of it: its completion is the last one after submission."""
    return ["set $s = (struct io_uring_sqe *)loop_sqe(&main::worker.loop, 0, 0)", f"set $s->opcode = {opcode}",
            *(f"set $s->{name} = {value}" for name, value in fields.items()),
            "print (int)io_uring_submit(&main::worker.loop.ring)",
            "set $cq = &main::worker.loop.ring.cq",
            "print $cq->cqes[(*$cq->ktail - 1) & *$cq->kring_mask].res"]


def test_a_worker_by_its_ring(running):
    m, worker = running, running.workers()[0]
    path = '(unsigned long)strdup("/etc/hostname")'
    operations = {
        OP_OPENAT: {"fd": -100, "addr": path}, OP_OPENAT2: {"fd": -100, "addr": path, "off": "(unsigned long)calloc(1, 64)", "len": 24},
        OP_STATX: {"fd": -100, "addr": path, "off": "(unsigned long)calloc(1, 512)"},
        OP_UNLINKAT: {"fd": -100, "addr": f'(unsigned long)strdup("{m.rundir}/control.sock")'},
        OP_READ: {"fd": 0, "addr": "(unsigned long)calloc(1, 64)", "len": 64},
        OP_WRITE: {"fd": 2, "addr": path, "len": 4}, OP_SOCKET: {"fd": 1, "off": 1},
    }
    for opcode, fields in operations.items():
        found, everything = inside(m.host, worker, by_ring(opcode, fields))
        assert found[-1] == str(-errno.EACCES), (opcode, everything)
    assert (m.rundir / "control.sock").exists()


def test_the_masters_socket(running):
    """Not by the ring either, which may connect: its sockets are of the internet.  Nor by anybody who runs as one of
    meshd's users."""
    m, worker = running, running.workers()[0]
    path = f"{m.rundir}/control.sock"
    prepare = ["set $a = (char *)calloc(1, 128)", "set *(short *)$a = 1", f'call (void)strcpy($a + 2, "{path}")',
               "set $fd = (int)socket(2, 524289, 0)", "print $fd > 0"]
    connect = by_ring(OP_CONNECT, {"fd": "$fd", "addr": "(unsigned long)$a", "off": 110})
    found, everything = inside(m.host, worker, prepare + connect + ["print (int)close($fd)"])
    assert found[0] == "1" and found[2] == str(-errno.EAFNOSUPPORT), everything
    for user in "meshd", "meshd-agent":
        done = m.host.run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", MESHCTL, "-r", m.rundir, "reload")
        assert done.returncode != 0 and "Permission denied" in done.stderr, done.stderr


def read_memory(pid, at, n):
    with open(f"/proc/{pid}/mem", "rb") as f:
        f.seek(at)
        return f.read(n)


@pytest.mark.parametrize("who", ["worker", "agent"])
def test_the_image_is_the_same_for_everybody(running, who):
    """It is not writable; and where a process makes its own copy writable, that is a copy."""
    m, (first, second) = running, running.workers()
    pid = first if who == "worker" else m.children("meshd-agent")[0]
    image = "main::worker.generation->image" if who == "worker" else "main::a.image"
    at = "main::worker.generation->image.head"
    (other,), _ = inside(m.host, second, [f"print (long){at}"])
    before = read_memory(second, int(other), 4096)
    found, everything = inside(m.host, pid, [
        f"set $image = (char *){image}.head",
        "print (long)getrandom($image, 16, 0)", ERRNO,
        "print (int)mprotect($image, 4096, 3)",
        "print (long)getrandom($image + 4000, 16, 0)",
        "print (int)mprotect($image, 4096, 1)",
        ])
    assert found[0] == "-1" and int(found[1]) == errno.EFAULT, everything
    assert read_memory(second, int(other), 4096) == before
    assert "MESHD" in m.host.rules()


CAP_NET_RAW = 1 << 13


def privileges(m):
    """Neither root nor a capability, no new ones by exec, nobody of the same user may look into them; under TPROXY a worker
    may say that it is somebody else, no more."""
    tproxy = 'mode = "tproxy"' in m.top
    for pid in m.workers() + m.children("meshd-agent"):
        with open(f"/proc/{pid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        assert set(status["Uid"].split()) != {"0"} and "0" not in status["Uid"].split()
        assert "0" not in status["Gid"].split() and status["Groups"].strip() == ""
        kept = CAP_NET_RAW if tproxy and pid in m.workers() else 0
        assert [int(status[c], 16) for c in ("CapPrm", "CapEff", "CapAmb", "CapInh")] == [kept, kept, 0, 0]
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0      # not dumpable


def test_privileges(running):
    privileges(running)


def test_a_worker_under_tproxy(net, start):
    """The one capability that it keeps opens nothing: all is forbidden that was."""
    m = start(net.host("a"), "", intercept='intercept = { mode = "tproxy"; };\n')
    privileges(m)
    first, second = m.workers()
    calls = forbidden(m, second)
    assert try_each(m.host, first, calls, ["set $image = main::worker.generation->image.head"]) == {call: "EPERM" for call in calls}
    assert m.workers() == [first, second]
