"""Test hosts: network namespaces on one bridge, which a run makes and takes away.

  router   198.51.100.1, 2001:db8::1; what is sent to 192.0.2.0/24 or 2001:db8:dead::/48 vanishes in it
  hosts    198.51.100.N, 2001:db8::N; everything else goes to the router, which knows no way to service addresses
           (203.0.113.0/24, 2001:db8:ffff::/48): a connection to one of these arrives only where it is intercepted
"""
import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import time

PREFIX = f"mf{os.getpid()}"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
_made = []


def sh(script):
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{script}\n{done.stderr}")
    return done.stdout


def wait_for(what, true, seconds=10.0):
    """Waits until true() is; says what did not come."""
    end = time.monotonic() + seconds
    while True:
        result = true()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def family_of(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


class Process:
    """A program in a host, ended with it.  Its output goes to a file: no pipe can fill."""

    def __init__(self, host, argv, log, env=None, pass_fds=()):
        self.argv, self.log = argv, log
        self._out = open(log, "ab")
        with host.inside():
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._out,
                                          env=env, pass_fds=pass_fds, start_new_session=True)
        self.pid = self.popen.pid

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait(self, seconds=60):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.argv[0]} does not end within {seconds} s: {self.output()[-2000:]}") from None

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, seconds=10):
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self._out.close()
        return self.popen.returncode


class Host:
    def __init__(self, net, name, number):
        self.net, self.name, self.ns = net, name, f"{net.name}-{name}"
        self.v4, self.v6 = f"198.51.100.{number}", f"2001:db8::{number}"
        self.ip = {4: self.v4, 6: self.v6}
        self.processes = []
        self.tmp = net.tmp / name
        self.tmp.mkdir(mode=0o755)
        _made.append(self.ns)
        sh(f"""ip netns add {self.ns}
               ip -n {net.router} link add to-{name} type veth peer name eth0 netns {self.ns}
               ip -n {net.router} link set to-{name} master br0 up
               ip netns exec {self.ns} sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
               printf '%s\\n' 'link set lo up' 'link set eth0 up' 'addr add {self.v4}/24 dev eth0' \
                   'addr add {self.v6}/64 dev eth0 nodad' 'route add default via 198.51.100.1' \
                   'route add default via 2001:db8::1' | ip -n {self.ns} -batch -""")
        self._fd = os.open(f"/run/netns/{self.ns}", os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the host's network: sockets made here stay in it, processes started here live in it."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(self._fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if libc.setns(own, CLONE_NEWNET) != 0:
                    os.abort()      # the rest of the run would happen in the wrong network
        finally:
            os.close(own)

    def start(self, *argv, name=None, env=None):
        argv = [str(a) for a in argv]
        name = name or os.path.basename(argv[0])
        p = Process(self, argv, self.tmp / f"{name}.{len(self.processes)}.out", env)
        self.processes.append(p)
        return p

    def run(self, *argv, seconds=60, env=None, text=True, stdin=None):
        with self.inside():
            return subprocess.run([str(a) for a in argv], capture_output=True, text=text, timeout=seconds, env=env,
                                  input=stdin)

    def must(self, *argv):
        """run(), which has to go well; its output."""
        done = self.run(*argv)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def socket(self, family=socket.AF_INET):
        with self.inside():
            return socket.socket(family, socket.SOCK_STREAM)

    def listen(self, ip, port, backlog=128):
        s = self.socket(family_of(ip))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((ip, port))
        s.listen(backlog)
        s.settimeout(10)
        return s

    def connect(self, ip, port, seconds=10, from_port=None):
        s = self.socket(family_of(ip))
        s.settimeout(seconds)
        if from_port is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((self.ip[6 if ":" in ip else 4], from_port))
        s.connect((ip, port))
        return s

    def pids(self):
        out = subprocess.run(["ip", "netns", "pids", self.ns], capture_output=True, text=True).stdout
        return [int(p) for p in out.split()]

    def rules(self):
        """Everything that iptables-save prints for both families, counters and comments aside."""
        lines = []
        for save in "iptables-save", "ip6tables-save":
            for line in self.run(save).stdout.splitlines():
                if not line.startswith("#"):
                    lines.append(line.split(" [")[0] if line.startswith(":") else line)
        # A table that somebody looked at exists from then on, with its built-in chains empty.
        text = "\n".join(lines) + "\n"
        for table in "nat", "mangle", "raw", "filter":
            for part in _empty_tables(text, table):
                text = text.replace(part, "")
        return text.strip()

    def close(self):
        for p in reversed(self.processes):
            p.stop()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.close(self._fd)
        _delete(self.ns)


def _empty_tables(text, table):
    at = text.find(f"*{table}\n")
    while at != -1:
        end = text.index("COMMIT\n", at) + len("COMMIT\n")
        body = text[at:end].splitlines()[1:-1]
        if all(line.startswith(":") and not line.endswith(" -") for line in body):
            yield text[at:end]
        at = text.find(f"*{table}\n", end)


class Net:
    def __init__(self, tmp, index):
        self.tmp, self.name = tmp, f"{PREFIX}n{index}"
        self.router = f"{self.name}-router"
        self.hosts = []
        _made.append(self.router)
        sh(f"""ip netns add {self.router}
               ip netns exec {self.router} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
                   net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
               printf '%s\\n' 'link set lo up' 'link add br0 type bridge' 'link set br0 up' \
                   'addr add 198.51.100.1/24 dev br0' 'addr add 2001:db8::1/64 dev br0 nodad' \
                   'route add blackhole 192.0.2.0/24' 'route add blackhole 2001:db8:dead::/48' |
                   ip -n {self.router} -batch -""")

    def host(self, name):
        h = Host(self, name, len(self.hosts) + 2)
        self.hosts.append(h)
        return h

    def close(self):
        for h in self.hosts:
            h.close()
        _delete(self.router)


def _delete(ns):
    subprocess.run(["ip", "netns", "del", ns], capture_output=True)
    _made.remove(ns)


def reap():
    """What a failure left: the namespaces that this run made, and what still runs in them."""
    for ns in list(_made):
        pids = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True).stdout
        for pid in pids.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        _delete(ns)


def readable(sock, seconds):
    return bool(select.select([sock], [], [], seconds)[0])
