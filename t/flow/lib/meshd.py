"""meshd in a host: started with a configuration, awaited, asked, stopped and looked after."""
import json
import os
import re
import signal
import socket
import threading

from .hosts import wait_for
from .traffic import BUILD

MESHD = os.path.join(BUILD, "meshd")
MESHCTL = os.path.join(BUILD, "meshctl")
SANITIZED = os.environ.get("MESHD_SANITIZED") == "1"
COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed")

INTERCEPT = "intercept = { outbound_port = 15001; inbound_port = 15006; };\n"

# Istio's default format, field by field; of TCP the fields of a request are empty
QUOTED = r'"(?P<{}>(?:[^"\\]|\\.)*)"'
LOG_LINE = re.compile(
    r'^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>-|HTTP/1\.[01])" (?P<status>\d+) '
    r'(?P<flags>-|[A-Z]+(?:,[A-Z]+)*) (?P<answered>\S+) (?P<details>-|\w+) ' + QUOTED.format("reason") +
    r' (?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+) (?P<service_time>-|\d+) '
    + " ".join(QUOTED.format(f) for f in ("forwarded_for", "agent", "request_id", "authority")) +
    r' "(?P<upstream_host>\S+)" (?P<cluster>\S+) (?P<upstream_local>\S+) (?P<downstream_local>\S+) '
    r'(?P<downstream_remote>\S+) - (?P<route>\S+)$')


class Meshd:
    def __init__(self, host, body, workers=2, drain_time="2s", access_log=True, name="meshd", intercept=INTERCEPT, wrapper=(),
                 program=MESHD, env=None):
        self.host, self.wrapper, self.program, self.env = host, wrapper, program, dict(os.environ if env is None else env)
        self.dir = host.tmp / f"{name}.d"
        self.dir.mkdir(mode=0o755)
        self.rundir = self.dir / "run"
        self.log = self.dir / "access.log"
        self.file = self.dir / "meshd.conf"
        self.top = (f'workers = {workers};\nruntime_dir = "{self.rundir}";\ndrain_time = "{drain_time}";\n'
                    + (f'access_log = "{self.log}";\n' if access_log else "") + intercept)
        self.process = None
        self.expected_deaths = 0
        self.write(body)

    # ---- configuration ----

    def write(self, body):
        """A whole new configuration, in one step as an editor does it."""
        self.body = body
        new = self.file.with_suffix(".new")
        new.write_text(self.top + body)
        new.rename(self.file)

    def reload(self, body=None, wait=True):
        if body is not None:
            self.write(body)
        return self.meshctl("reload", *(["--wait"] if wait else []))

    # ---- life ----

    def spawn(self):
        self.rules_before = self.host.rules()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.dir / "notify"
        path.unlink(missing_ok=True)
        self.notify.bind(str(path))
        self.notices = []
        threading.Thread(target=self._listen, args=(self.notify, self.notices), daemon=True).start()
        env = dict(self.env, NOTIFY_SOCKET=str(path))
        self.process = self.host.start(*self.wrapper, self.program, "-c", self.file, name="meshd", env=env)

    @staticmethod
    def _listen(sock, notices):
        """sd_notify(3) waits where nobody reads."""
        while data := sock.recv(4096):
            notices += data.decode().splitlines()

    def notified(self, word):
        return word in self.notices

    def start(self, seconds=20):
        self.spawn()

        def ready():
            if self.process.popen.poll() is not None:
                raise AssertionError(f"meshd ended with {self.process.popen.returncode}: {self.process.output()}")
            return self.notified("READY=1")

        wait_for(f"READY=1 from {self.host.name}", ready, seconds)
        return self

    def stop(self, seconds=20):
        """SIGTERM; then nothing of it may be left."""
        self.process.signal(signal.SIGTERM)
        self.check_gone(self.process.wait(seconds))

    def check_gone(self, status=0, expected=0):
        output = self.process.output()
        self.process = None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.dir / "notify"))       # ends the listener
        assert status == expected, f"exit status {status}: {output[-3000:]}"
        assert not COMPLAINTS.search(output), output[-6000:]
        wait_for("no process of meshd left", lambda: not self.left(), 5)
        assert self.host.rules() == self.rules_before
        left = [name for name in ("control.sock", "admin.sock") if (self.rundir / name).exists()]
        assert not left, f"{self.rundir} still has {left}"

    def left(self):
        """Processes of ours in the host."""
        names = {}
        for pid in self.host.pids():
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
                arg0 = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if os.path.basename(exe).startswith("meshd"):
                names[pid] = os.path.basename(exe) + " " + b" ".join(arg0[1:]).decode().strip()
        return names

    def ensure_stopped(self):
        if self.process is not None and self.process.popen.poll() is None:
            self.stop()
        elif self.process is not None:
            self.check_gone(self.process.popen.returncode)

    def children(self, program):
        return [pid for pid, name in sorted(self.left().items()) if name.split()[0] == program]

    def workers(self):
        """pid of each worker, by its index."""
        found = {}
        for pid, name in self.left().items():
            words = name.split()
            if words[0] == "meshd-worker" and len(words) > 1:
                found[int(words[1])] = pid
        return [found[i] for i in sorted(found)]

    # ---- questions ----

    def meshctl(self, *args, seconds=60):
        return self.host.run(MESHCTL, "-r", self.rundir, *args, seconds=seconds)

    def ask(self, *args):
        done = self.meshctl(*args)
        assert done.returncode == 0, f"meshctl {' '.join(args)}: {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def stats(self):
        """name -> number"""
        found = {}
        for line in self.ask("stats").splitlines():
            name, _, value = line.rpartition(": ")
            if value.strip().isdigit():
                found[name.strip()] = int(value)
        assert found, "no statistics"
        return found

    def stat(self, name):
        return self.stats().get(name, 0)

    def connections(self, *flags):
        """A list of what is open, as meshctl has it."""
        return json.loads(self.ask("connections", "-o", "json", *flags))

    def worker_of(self):
        """client's address:port -> the worker that serves it."""
        return {c["client"]: c["worker"] for c in self.connections()}

    def status(self):
        return json.loads(self.ask("status", "-o", "json"))

    def log_lines(self):
        """The access log so far; each line must have the format."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().split("\n")[:-1]
        parsed = []
        for line in lines:
            m = LOG_LINE.match(line)
            assert m, f"not in the access log's format: {line}"
            parsed.append(m.groupdict())
        return parsed

    def logged(self, seconds=5, count=1, **fields):
        """Waits for `count` lines with these fields; gives the last."""
        def find():
            found = [l for l in self.log_lines() if all(l[k] == v for k, v in fields.items())]
            return found if len(found) >= count else None
        return wait_for(f"{count} access log line(s) with {fields}, in: {self.log_lines()[-5:]}", find, seconds)[-1]

    def descriptors(self, pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    def memory_bytes(self, pid):
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no Pss_Anon")


def _newest_row(m):
    """GENERATION (the newest with a star) DIGEST BYTES AGE WORKERS SOURCE"""
    (row,) = [line.split() for line in m.ask("generations").splitlines() if line.split()[0].endswith("*")]
    return row


def newest(m):
    """The number of the newest generation."""
    return int(_newest_row(m)[0].rstrip("*"))


def digest_of(m):
    return _newest_row(m)[1]
