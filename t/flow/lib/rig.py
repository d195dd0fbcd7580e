"""Hosts for interception: one with a sidecar, a far one that it has two interfaces to, and a guest behind a third.

  a      eth0 198.51.100.2 -- bridge -- b    second0 10.77.1.1 -- second0 10.77.1.2 b    guest0 10.77.2.1 -- eth0 10.77.2.2 guest
"""
import contextlib
import errno
import itertools
import pwd
import resource
import selectors
import socket
import threading
import time

from .hosts import family_of, libc, sh, wait_for
from .landing import INBOUND, OUTBOUND, Place, lands
from .matrix import PORTS, probes
from .mesh import bracket
from .meshd import LOG_LINE
from .traffic import reset

TO = {"far": {4: "198.51.100.3", 6: "2001:db8::3"}, "far excluded": {4: "198.51.100.131", 6: "2001:db8::1:3"},
      "far by second NIC": {4: "10.77.1.2", 6: "fd77:1::2"}, "own": {4: "198.51.100.2", 6: "2001:db8::2"},
      "own on second NIC": {4: "10.77.1.1", 6: "fd77:1::1"}, "own for guests": {4: "10.77.2.1", 6: "fd77:2::1"},
      "localhost": {4: "127.0.0.1", 6: "::1"}, "loopback": {4: "127.0.0.2"},
      "service": {4: "203.0.113.10", 6: "2001:db8:ffff::10"}, "self": {4: "203.0.113.20", 6: "2001:db8:ffff::20"}}
AT = {TO[what][v]: host for what, host in (("far", "b"), ("far excluded", "b"), ("far by second NIC", "b"), ("own", "a"),
      ("own on second NIC", "a"), ("own for guests", "a"), ("localhost", "a"), ("loopback", "a")) for v in TO[what]}
LISTENED = (*PORTS, 15020, 15021, 15090)
REFUSALS = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}


def services():
    """(address, port) of each service -> its endpoint"""
    return {(TO[name][v], port): (TO[where][v], port) for name, where in (("service", "far"), ("self", "own"))
            for v in (4, 6) for port in PORTS}


def services_text():
    return "services = (\n  " + ",\n  ".join(
        f'{{ name = "s{i}"; port = {port}; protocol = "tcp"; addresses = [ "{ip}" ]; endpoints = [ "{bracket(*endpoint)}" ]; }}'
        for i, ((ip, port), endpoint) in enumerate(services().items())) + " );\n"


class Applications:
    """At each port of both hosts: says where it is and whom it sees, and waits for the end."""

    def __init__(self, *hosts):
        self._selector = selectors.DefaultSelector()
        self._end, end = socket.socketpair()
        self._selector.register(end, selectors.EVENT_READ, None)
        for host in hosts:
            for any_address in "0.0.0.0", "::":
                for port in LISTENED:
                    s = host.socket(family_of(any_address))
                    if any_address == "::":
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind((any_address, port))
                    s.listen(4096)
                    s.setblocking(False)
                    self._selector.register(s, selectors.EVENT_READ, host.name)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _serve(self, listener, name):
        with contextlib.suppress(OSError):
            while True:
                s, peer = listener.accept()
                s.sendall(f"{name} {bracket(*peer[:2])}\n".encode())
                s.setblocking(False)
                self._selector.register(s, selectors.EVENT_READ, s)

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                if isinstance(key.data, str):
                    self._serve(key.fileobj, key.data)
                else:
                    self._selector.unregister(key.data)
                    key.data.close()

    def close(self):
        self._end.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        self._end.close()


class Try:
    """A probe under way, and what became of it: the application's greeting, or none."""

    def __init__(self, probe, sock, port):
        self.probe, self.sock, self.answer, self.error = probe, sock, None, None
        # Each has a port of its own: of two with one, the kernel gives the second another one on its way to the sidecar.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        self.client = self.key = None
        sock.setblocking(False)
        code = sock.connect_ex((probe.ip, probe.port))
        if code not in (0, errno.EINPROGRESS):
            self.error = code
        else:
            self.client = bracket(*sock.getsockname()[:2])
            self.key = self.client, bracket(probe.ip, probe.port)

    def read(self):
        try:
            self.answer = self.sock.recv(200).decode().split() or None
            self.error = None if self.answer else "closed"
        except OSError as e:
            self.error = e.errno


@contextlib.contextmanager
def owner(uid, gid):
    """Sockets that this thread makes belong to them: all that the kernel asks for is whose the file is."""
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    try:
        yield
    finally:
        libc.setfsuid(0)
        libc.setfsgid(0)


class Rig:
    def __init__(self, net):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
        self.hosts = {"a": net.host("a"), "b": net.host("b"), "guest": net.host("g")}
        self.a, self.b, guest = self.hosts.values()
        # The router refuses what is sent to a service, at once and for each.
        sh(f"""ip -n {net.router} route add local 203.0.113.0/24 dev lo
               ip -n {net.router} route add local 2001:db8:ffff::/48 dev lo
               ip -n {guest.ns} link del eth0
               ip -n {self.a.ns} link add second0 type veth peer name second0 netns {self.b.ns}
               ip -n {self.a.ns} link add guest0 type veth peer name eth0 netns {guest.ns}
               for ns in {self.a.ns} {self.b.ns} {guest.ns}; do ip -n $ns link set lo up; done
               ip -n {self.a.ns} link set second0 up; ip -n {self.b.ns} link set second0 up
               ip -n {self.a.ns} link set guest0 up; ip -n {guest.ns} link set eth0 up
               ip -n {self.a.ns} addr add 10.77.1.1/24 dev second0; ip -n {self.a.ns} addr add fd77:1::1/64 dev second0 nodad
               ip -n {self.b.ns} addr add 10.77.1.2/24 dev second0; ip -n {self.b.ns} addr add fd77:1::2/64 dev second0 nodad
               ip -n {self.a.ns} addr add 10.77.2.1/24 dev guest0; ip -n {self.a.ns} addr add fd77:2::1/64 dev guest0 nodad
               ip -n {guest.ns} addr add 10.77.2.2/24 dev eth0; ip -n {guest.ns} addr add fd77:2::2/64 dev eth0 nodad
               ip -n {self.b.ns} addr add 198.51.100.131/24 dev eth0; ip -n {self.b.ns} addr add 2001:db8::1:3/64 dev eth0 nodad
               ip netns exec {self.a.ns} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
               ip -n {guest.ns} route add default via 10.77.2.1; ip -n {guest.ns} route add default via fd77:2::1
               ip -n {self.b.ns} route add 10.77.2.0/24 via 198.51.100.2
               ip -n {self.b.ns} route add fd77:2::/64 via 2001:db8::2
               ip -n {net.router} route add 10.77.2.0/24 via 198.51.100.2
               ip -n {net.router} route add fd77:2::/64 via 2001:db8::2""")
        worker, agent = (pwd.getpwnam(name) for name in ("meshd", "meshd-agent"))
        own = {ip for ip, host in AT.items() if host == "a"}
        self.place = Place(own, [("10.77.1.0/24", "second0"), ("fd77:1::/64", "second0"), ("10.77.2.0/24", "guest0"),
                                 ("fd77:2::/64", "guest0")], services(), worker.pw_uid, agent.pw_uid)
        self.probes = probes(TO, (worker.pw_uid, worker.pw_gid), (agent.pw_uid, agent.pw_gid))
        self.ports = itertools.cycle(p for p in range(1100, 32768) if p not in LISTENED and not 15000 < p < 15120 and p != 8090)
        self.applications = Applications(self.a, self.b)

    def close(self):
        self.applications.close()

    # ---- all probes at once ----

    def _begin(self, chosen):
        tries, groups = [], {}
        for p in chosen:
            groups.setdefault((p.host, p.owner), []).append(p)
        for (host, (uid, gid)), some in groups.items():
            with self.hosts[host].inside(), owner(uid, gid):
                made = [(p, socket.socket(family_of(p.ip))) for p in some]
            tries += [Try(*m, next(self.ports)) for m in made]
        return tries

    def _await(self, tries, seconds=10):
        selector = selectors.DefaultSelector()
        for t in tries:
            if t.error is None:
                selector.register(t.sock, selectors.EVENT_READ, t)
        end = time.monotonic() + seconds
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(0.1):
                key.data.read()
                selector.unregister(key.fileobj)
        for key in list(selector.get_map().values()):
            key.data.error = "no answer"
        selector.close()

    def run(self, m, options, sources):
        """Tries everything; gives a text for each that landed elsewhere.  m: the sidecar; sources: how many it has
        towards applications.  Where the kernel has changed a client's port (conntrack remembers a connection of the row
        before), nothing in the log is known by the port that the client has: what disagrees is tried once more."""
        wrong = self._try(self.probes, m, options, sources)
        wrong = self._try([p for p, _ in wrong], m, options, sources) if 0 < len(wrong) < 20 else wrong
        return [said for _, said in wrong]

    def _try(self, probes, m, options, sources):
        offset = m.log.stat().st_size if m.log.exists() else 0
        tries = self._begin(probes)
        self._await(tries)
        held = {(c["client"], c["destination"]): c["listener"] for c in m.connections()}
        for t in tries:
            reset(t.sock)
        log = Log(m, offset)
        wait_for("nothing is open", lambda: not m.connections())
        wrong = []
        for t in tries:
            path, ip = lands(options, self.place, t.probe)
            said = self._judge(t, path, ip, held, log, options, sources)
            if said:
                wrong.append((t.probe, f"{t.probe}: expected {path} {ip}: {said}"))
        return wrong

    def _judge(self, t, path, ip, held, log, options, sources):
        log.read_until(lambda: t.key is None or log.path(t.key, t.answer)[0] == path)
        got, last = log.path(t.key, t.answer)
        if got != path:
            return f"went {got}, {t.answer or t.error}"
        if AT.get(ip) is None:
            return None if t.error in REFUSALS | {"closed"} else f"answered by {t.answer}, {t.error}"
        if t.answer is None:
            return f"no answer: {t.error}"
        if path and (held.get(t.key) == INBOUND) != (path[0] == INBOUND):
            return f"is open on {held.get(t.key)}"
        host, peer = t.answer
        if host != AT[ip]:
            return f"answered by {host}"
        return self._judge_peer(peer, path, t, last, options, sources)

    @staticmethod
    def ip_of(line):
        return line["upstream_host"].rpartition(":")[0].strip("[]")

    def _judge_peer(self, peer, path, t, last, options, sources):
        """Whom the application sees: the client itself, directly or as TPROXY has it, or the sidecar."""
        if not path:
            return None if peer == t.client else f"the application sees {peer}"
        address = peer.rpartition(":")[0].strip("[]")
        if path[-1] == OUTBOUND or not self.place.is_own(self.ip_of(last)):
            good = self.place.is_own(address) and peer != t.client
        elif options.get("mode") == "tproxy":
            good = address == last["downstream_remote"].rpartition(":")[0].strip("[]")
        else:
            good = address in {f"{prefix}{6 + i:x}" for i in range(sources) for prefix in ("127.0.0.", "::")}
        return None if good else f"the application sees {peer}"


class Log:
    """The access log of one row, by the client and the destination of each line: a port may serve towards several."""

    def __init__(self, m, offset):
        self.m, self.offset, self.lines, self.towards, self.end = m, offset, {}, {}, None

    def _read(self):
        with open(self.m.log, "rb") as f:
            f.seek(self.offset)
            text = f.read()
        whole = text[:text.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.decode().splitlines():
            found = LOG_LINE.match(line)
            assert found, line
            line = found.groupdict()
            self.lines[line["downstream_remote"], line["downstream_local"]] = line
            self.towards[line["upstream_local"], line["upstream_host"]] = line

    def read_until(self, true):
        if self.end is None:
            self.end = time.monotonic() + 5
        while not true() and time.monotonic() < self.end:
            if self.m.log.exists():
                self._read()
            if not true():
                time.sleep(0.02)

    def path(self, key, answer):
        """The listeners that it came through, and the last line: by what the sidecar's own connections became; and where
        the kernel had to give one another port on its way, by whom the application sees."""
        found = []
        while key in self.lines and len(found) < 4:
            found.append(self.lines[key])
            key = found[-1]["upstream_local"], found[-1]["upstream_host"]
        if found and answer:
            last = self.towards.get((answer[1], found[-1]["upstream_host"]))
            if last is not None and last is not found[-1]:
                found.append(last)
        return [INBOUND if line["cluster"].lower().startswith("inbound") else OUTBOUND for line in found], found[-1] if found else None
