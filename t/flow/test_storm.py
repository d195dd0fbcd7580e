"""Everything at once, in an order that a seed decides: reloads, a third of them broken, deaths of workers and agents,
and connections that come, talk and go all the while."""
import contextlib
import itertools
import os
import random
import signal
import threading
import time

from conftest import LONG
from lib.crowd import Origin, greeted, talk
from lib.hosts import wait_for
from lib.inside import is_dead, slots_in_use
from lib.meshd import SANITIZED

SECONDS = 20 if SANITIZED else 600 if LONG else 60
SEED = int(os.environ.get("MESHD_SEED", random.randrange(1 << 30)))
VIPS = "203.0.113.80", "203.0.113.81"
APART = 1.3     # seconds: ten deaths in ten would be another matter
DEADLY = (signal.SIGKILL,) if SANITIZED else (signal.SIGKILL, signal.SIGSEGV)       # sanitizers complain of the other


def service(name, ip, b, more=""):
    return (f'{{ name = "{name}"; port = 9000; protocol = "tcp"; addresses = [ "{ip}" ]; {more} '
            f'endpoints = [ "{b.v4}:9000", "{b.v4}:9001" ]; }}')


def body(b, rng=None):
    rows = [service(f"kept-{i}", ip, b, f'connect_timeout = "{rng.randint(2, 9)}s";' if rng else "") for i, ip in enumerate(VIPS)]
    for _ in range(rng.randint(0, 30) if rng else 0):
        n = rng.randint(0, 200)
        if not any(f'"passing-{n}"' in row for row in rows):
            rows.append(service(f"passing-{n}", f"192.0.2.{n + 1}", b))
    return "services = (\n  " + ",\n  ".join(rows) + " );\n"


# Each connection has a port of its own, by which meshctl's lines are told apart: where one is used again while the
# kernel's NAT remembers the last one, it is given another on its way.
_ports = itertools.cycle(range(16000, 60000))
FORGET = [f"net.netfilter.nf_conntrack_tcp_timeout_{state}=5" for state in ("time_wait", "fin_wait", "last_ack", "close", "close_wait")]


class Connection:
    def __init__(self, sock):
        self.sock, self.doomed = sock, False
        self.name = "{}:{}".format(*sock.getsockname())


class Caller:
    """A thread that opens, talks through and closes connections.  Opening stands still while its lock is held."""

    def __init__(self, host, port, seed):
        self.host, self.port, self.rng = host, port, random.Random(seed)
        self.opening, self.open, self.stopping = threading.Lock(), [], False
        self.errors, self.opened, self.words, self.lost = [], 0, 0, 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _begin(self):
        with self.opening:
            try:
                s = self.host.connect(self.rng.choice(VIPS), self.port, from_port=next(_ports))
                if greeted(s):
                    self.open.append(Connection(s))
                    self.opened += 1
                    return
                self.errors.append("refused at its beginning")
            except OSError as e:
                self.errors.append(f"at its beginning: {e}")

    def _end(self, c):
        self.open.remove(c)
        c.sock.close()

    def _speak(self, c):
        word = os.urandom(self.rng.choice((1, 100, 4096, 60000)))
        try:
            good, why = talk(c.sock, word), "ended, or other bytes came back"
        except OSError as e:
            good, why = False, str(e)
        if good:
            self.words += 1
            return
        if c.doomed:
            self.lost += 1
        else:
            self.errors.append(f"{time.monotonic():.3f} {c.name}: {why}")
        self._end(c)

    def _run(self):
        while not self.stopping:
            what = self.rng.random()
            if len(self.open) < 5 or (what < 0.2 and len(self.open) < 40):
                self._begin()
            elif what < 0.35:
                self._end(self.rng.choice(self.open))
            else:
                self._speak(self.rng.choice(self.open))
            time.sleep(0.001)

    def stop(self):
        self.stopping = True
        self.thread.join(60)
        assert not self.thread.is_alive(), "a connection hangs"
        for c in list(self.open):
            self._speak(c)      # what is still open works
        for c in list(self.open):
            self._end(c)


class Chaos:
    def __init__(self, m, b, callers, rng):
        self.m, self.b, self.callers, self.rng = m, b, callers, rng
        self.done = {"good": 0, "broken": 0, "worker": 0, "agent": 0}
        self.last_death = 0.0

    def reload(self):
        if self.rng.random() < 1 / 3:
            done = self.m.reload(body(self.b, self.rng) + self.rng.choice(('oops = ( "broken"\n', "nonsense = 1;\n",
                                                                         'services = ( );\n', "drain_time = 5;\n")))
            assert done.returncode == 1, done.stdout
            self.done["broken"] += 1
        else:
            done = self.m.reload(body(self.b, self.rng))
            assert done.returncode == 0, done.stderr
            self.done["good"] += 1

    def _serving(self):
        """client -> worker, of all workers: one that is being replaced cannot say yet."""
        def whole():
            done = self.m.meshctl("connections", "-o", "json")
            return done.returncode == 0 and len(self.m.workers()) == 2
        wait_for("all workers say what they have", whole)
        return self.m.worker_of()

    def kill_worker(self):
        with contextlib.ExitStack() as stack:
            for caller in self.callers:
                stack.enter_context(caller.opening)
            serving, pids = self._serving(), self.m.workers()
            victim = self.rng.randrange(len(pids))
            for caller in self.callers:
                for c in list(caller.open):
                    c.doomed = c.doomed or serving.get(c.name) == victim
            os.kill(pids[victim], self.rng.choice(DEADLY))
            wait_for("it is dead", lambda: is_dead(pids[victim]))
        self.done["worker"] += 1

    def kill_agent(self):
        for pid in self.m.children("meshd-agent"):
            os.kill(pid, signal.SIGKILL)
        self.done["agent"] += 1

    def step(self):
        what = self.rng.choice(("reload", "reload", "worker", "agent"))
        if what == "reload":
            self.reload()
        elif time.monotonic() - self.last_death >= APART:
            self.last_death = time.monotonic()
            self.kill_worker() if what == "worker" else self.kill_agent()
        time.sleep(self.rng.uniform(0, 0.4))


def quiet(m):
    wait_for("all ended", lambda: m.meshctl("status").returncode == 0 and m.stat("server.connections") == 0, 20)
    wait_for("one generation is held", lambda: len(m.ask("generations").splitlines()) == 2, 20)


def measure(m):
    """Of each program: descriptors, but for those of pipes that a worker keeps for later, and memory."""
    found, stats = {}, m.stats()
    for pid, name in m.left().items():
        name = name.split(" -c")[0]
        pipes = stats.get(f"worker.{name.split()[1]}.pipes", 0) if name.startswith("meshd-worker") else 0
        found[name] = (m.descriptors(pid) - 2 * pipes, m.memory_bytes(pid))
    return found


def test_everything_at_once(net, start, capsys):
    rng = random.Random(SEED)
    print(f"MESHD_SEED={SEED}")
    a, b = net.host("a"), net.host("b")
    a.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=60000 65000", "net.ipv4.tcp_tw_reuse=1", *FORGET)
    m = start(a, body(b))
    with Origin(b, b.v4, 9000), Origin(b, b.v4, 9001):
        warm = Caller(a, 9000, SEED)
        time.sleep(1)
        warm.stop()
        assert not warm.errors, warm.errors[:5]
        assert m.reload(body(b, random.Random(1))).returncode == 0 and m.reload(body(b)).returncode == 0
        quiet(m)
        before, slots, rules, files = measure(m), slots_in_use(m.process.pid), a.rules(), m.log_lines()
        callers = [Caller(a, 9000, SEED + i) for i in range(3)]
        chaos = Chaos(m, b, callers, rng)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not any(c.errors for c in callers):
            chaos.step()
        for c in callers:
            c.stop()
        errors = [e for c in callers for e in c.errors]
        assert not errors, (errors[:10], chaos.done, m.process.output()[-3000:])
        wait_for("an agent and two workers", lambda: len(m.children("meshd-agent")) == 1 and len(m.workers()) == 2)
        assert m.reload(body(b)).returncode == 0
        quiet(m)
        with capsys.disabled():
            print(f"\n{chaos.done}, {sum(c.opened for c in callers)} connections, {sum(c.lost for c in callers)} lost with their "
                  f"workers, {sum(c.words for c in callers)} words")
        assert sum(c.lost for c in callers) > 0 and all(chaos.done.values()), "nothing has happened"
        assert a.rules() == rules
        assert slots_in_use(m.process.pid) == slots
        assert m.stat("server.deaths") == chaos.done["worker"]
        after = measure(m)
        assert {k: fds for k, (fds, _) in after.items()} == {k: fds for k, (fds, _) in before.items()}
        for name, (_, memory) in after.items():
            assert SANITIZED or memory < before[name][1] + (1 << 20), (name, before[name][1], memory)
        assert len(m.log_lines()) > len(files)
