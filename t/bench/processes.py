"""Processes on cores of their own, their CPU clocks, a network namespace, ports."""
import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

STOP_S = 5


class Failed(Exception):
    """A contestant does not run, or not every byte arrived."""


def end_with_parent():
    """In a child before exec: a bench that is killed leaves nothing behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)      # PR_SET_PDEATHSIG


@contextlib.contextmanager
def running(argv, cores, **options):
    def prepare():
        end_with_parent()
        os.sched_setaffinity(0, cores)
    child = subprocess.Popen(argv, preexec_fn=prepare, **options)
    try:
        yield child
    finally:
        stop(child)


@contextlib.contextmanager
def work_folder():
    with tempfile.TemporaryDirectory(prefix="meshd-bench-") as folder:
        os.chmod(folder, 0o755)
        yield folder


@contextlib.contextmanager
def running_quietly(argv, cores, folder):
    """What a proxy says is shown only when the measurement fails."""
    with open(f"{folder}/said", "w+") as said:
        try:
            with running(argv, cores, stdout=said, stderr=said) as child:
                yield child
        except Failed:
            said.seek(0)
            sys.stderr.write(said.read())
            raise


def stop(child):
    family = [] if child.poll() is not None else tree(child.pid)
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def stat_fields(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()       # from the state on: ppid 1, utime 11, stime 12


def tree(root):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(stat_fields(entry)[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_of(root):
    """CPU so far of a process tree.  The CPU clock of each process counts nanoseconds and keeps what its ended threads used;
    what share was user time is known by ticks only."""
    clock = Clock()
    for pid in tree(root):
        fields = stat_fields(pid)
        clock.cpu_s += time.clock_gettime(~pid << 3 | 2)        # clock_getcpuclockid(3)
        clock.user_ticks += int(fields[11])
        clock.ticks += int(fields[11]) + int(fields[12])
    return clock


@dataclass
class Clock:
    cpu_s: float = 0.0
    user_ticks: int = 0
    ticks: int = 0

    def since(self, before):
        return Clock(self.cpu_s - before.cpu_s, self.user_ticks - before.user_ticks, self.ticks - before.ticks)


# --- a network namespace ---

CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def own_network():
    """This thread and what it starts; a way out that leads nowhere."""
    libc, before = ctypes.CDLL(None, use_errno=True), os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise SystemExit(f"bench: a network namespace: {os.strerror(ctypes.get_errno())}")
    try:
        for words in ("link set lo up", "link add out type veth peer name away", "link set out up", "link set away up",
                      "addr add 198.51.100.2/24 dev out", "route add default dev out"):
            subprocess.run(["ip", *words.split()], check=True)
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


def ranges(n):
    return [f"10.{i >> 8}.{i & 255}.0/24" for i in range(n)]


def free_port():
    """Below the ephemeral range, so that no connection of the bench's own takes it first."""
    while True:
        port = random.SystemRandom().randrange(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("", port))
                return port
            except OSError:
                pass


def wait_until_listening(child, address, port):
    for _ in range(500):
        if child.poll() is not None:
            raise Failed(f"{child.args[0]} ended with status {child.returncode} instead of listening")
        with socket.socket() as s:
            s.settimeout(0.1)           # what is not intercepted yet goes to nobody
            if s.connect_ex((address, port)) == 0:
                return
        time.sleep(0.01)
    raise Failed(f"{child.args[0]} does not listen on {address}:{port}")
