"""A meshd whose workers fail where a table says (t/fault), and one connection that goes through all that can fail."""
import mmap
import os
import select
import socket
import struct
import time

from .hosts import wait_for
from .meshd import Meshd
from .traffic import BUILD

ROW = struct.Struct("=IiiIIII36s")
ROWS = 2
SIZE = ROWS * ROW.size + 4
ALWAYS = 0xffffffff
MESHD = os.path.join(BUILD, "faulty", "meshd")


class Faults:
    """The file that t/fault/fault.c maps."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), SIZE)

    def on(self, *faults):
        self.off()
        for i, (name, value, only, first, times) in enumerate(faults):
            ROW.pack_into(self.memory, i * ROW.size, 0, value, only, first, times, 0, 0, name.encode())
        for i in range(len(faults)):
            struct.pack_into("=I", self.memory, i * ROW.size, 1)

    def off(self):
        """How often each row failed."""
        rows = [ROW.unpack_from(self.memory, i * ROW.size) for i in range(ROWS)]
        for i in range(ROWS):
            struct.pack_into("=I", self.memory, i * ROW.size, 0)
        return [row[6] for row in rows if row[7].strip(b"\0")]

    def on_loan(self):
        return struct.unpack_from("=i", self.memory, ROWS * ROW.size)[0]

    def hits(self, i=0):
        return ROW.unpack_from(self.memory, i * ROW.size)[6]


def faulty_meshd(host, body, name="meshd", ring=0, intercept="", **options):
    """Not started yet."""
    faults = Faults(host.tmp / f"{name}.faults")
    env = {"MESHD_FAULT": str(faults.path), **({"MESHD_FAULT_RING": str(ring)} if ring else {}), **os.environ}
    m = Meshd(host, body, name=name, workers=1, intercept=intercept, program=MESHD, env=env, **options)
    m.faults = faults
    return m


def pattern(seed, n):
    block = b"".join(struct.pack("<II", seed, i) for i in range(4096))
    return (block * (n // len(block) + 1))[:n]


class Cut(Exception):
    """The connection ended before all was there: args[0] says how."""


class End:
    """One end of the connection: what it is yet to send, what came."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock, self.todo, self.got, self.want, self.eof, self.not_before = sock, b"", bytearray(), 0, False, 0.0

    def say(self, data):
        self.todo = memoryview(data)

    def expect(self, n, not_before=0.0):
        self.got, self.want, self.not_before = bytearray(), n, not_before

    def wants_to_read(self):
        return not self.eof and time.monotonic() >= self.not_before

    def satisfied(self):
        return not self.todo and (self.eof if self.want == -1 else len(self.got) >= self.want)

    def step(self, readable, writable):
        try:
            if writable and self.todo:
                self.todo = self.todo[self.sock.send(self.todo[:65536]):]
            if readable:
                data = self.sock.recv(16384)
                self.got += data
                self.eof = not data
        except BlockingIOError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            raise Cut("reset") from None
        if self.eof and self.want != -1 and len(self.got) < self.want:
            raise Cut("eof")


def exchange(ends, seconds=5.0):
    """Until each end has sent and received what it should; Cut if the connection ends before; never longer than this."""
    deadline = time.monotonic() + seconds
    while not all(e.satisfied() for e in ends):
        left = deadline - time.monotonic()
        assert left > 0, "hangs: " + str([(len(e.todo), len(e.got), e.want, e.eof) for e in ends])
        r, w, _ = select.select([e.sock for e in ends if e.wants_to_read()], [e.sock for e in ends if e.todo], [], min(left, 0.01))
        for e in ends:
            e.step(e.sock in r, e.sock in w)


def dial(host, ip, port):
    """A client whose window is small, so that a slow reader is felt soon."""
    s = host.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    s.settimeout(5)
    try:
        s.connect((ip, port))
    except ConnectionResetError:
        s.close()
        raise Cut("reset") from None
    return s


def taken(listener, client, seconds=5.0):
    """The other end of what the proxy made of it."""
    r, _, _ = select.select([listener, client], [], [], seconds)
    assert r, "hangs: neither taken to the endpoint nor ended"
    if listener in r:
        return listener.accept()[0]
    try:
        data = client.recv(1)
    except ConnectionResetError:
        raise Cut("reset") from None
    assert data == b"", "bytes from nowhere"
    raise Cut("eof")


def must_be(end, data):
    assert end.got == data, f"wrong bytes: {len(end.got)} of {len(data)}"


def converse(client, server, bulk):
    """A request with its answer; bulk both ways at once, read slowly, and small things after it; the client's end first,
    then what the server has to say."""
    a, b = End(client), End(server)
    a.say(pattern(1, 100))
    b.expect(100)
    exchange([a, b])
    must_be(b, pattern(1, 100))
    b.say(pattern(2, 200))
    a.expect(200)
    b.expect(0)
    exchange([a, b])
    must_be(a, pattern(2, 200))
    if bulk:
        slowly = time.monotonic() + 0.03
        for e, seed in ((a, 3), (b, 4)):
            e.say(pattern(seed, bulk))
            e.expect(bulk, slowly)
        exchange([a, b])
        must_be(a, pattern(4, bulk))
        must_be(b, pattern(3, bulk))
        for i in range(20):         # back to small things
            for from_, to in ((a, b), (b, a)):
                from_.say(pattern(i, 50))
                from_.expect(0)
                to.expect(50)
                exchange([a, b])
                must_be(to, pattern(i, 50))
    client.shutdown(socket.SHUT_WR)
    a.expect(0)
    b.expect(-1)
    exchange([a, b])
    must_be(b, b"")
    server.sendall(pattern(5, 300))
    server.close()
    a.expect(-1)
    exchange([a])
    must_be(a, pattern(5, 300))


def ends_too(sock, seconds=5.0):
    """The other side of a cut connection is not left behind: it ends, after whatever was under way."""
    end = time.monotonic() + seconds
    try:
        while True:
            sock.settimeout(max(end - time.monotonic(), 0.001))
            if not sock.recv(65536):
                return
    except ConnectionResetError:
        return
    except TimeoutError:
        raise AssertionError("hangs: one side ended, the other did not") from None


def drive(host, ip, port, listener, bulk=0):
    """One connection: "right", "reset" or "eof" (too early).  Wrong bytes and waiting for ever are failures."""
    client = server = None
    try:
        client = dial(host, ip, port)
        server = taken(listener, client)
        converse(client, server, bulk)
        return "right"
    except Cut as cut:
        if server is not None and server.fileno() != -1:
            for s in client, server:
                ends_too(s)
        return cut.args[0]
    finally:
        for s in client, server:
            if s is not None:
                s.close()


def empty(listener):
    """Takes away what was dialled for a client that was gone before."""
    while select.select([listener], [], [], 0)[0]:
        listener.accept()[0].close()


class Rest:
    """What a worker holds when nothing is open, which has to be the same after a fault."""

    def __init__(self, m):
        self.m, (self.worker,) = m, m.workers()
        self.held = self.now()

    def now(self):
        s = self.m.stats()
        held = {name: n for name, n in s.items() if n != 0 and not name.startswith("worker.") and
                (name.endswith("cx_active") or name in ("server.connections", "server.operations_in_flight", "server.buffer_bytes"))}
        return self.m.descriptors(self.worker) - 2 * s.get("server.pipes", 0), self.m.faults.on_loan(), held

    def is_back(self):
        assert self.m.workers() == [self.worker], f"the worker died: {self.m.process.output()[-2000:]}"
        last = []

        def back():
            last[:] = self.now()
            return tuple(last) == self.held
        try:
            wait_for("rest", back, 3)
        except AssertionError:
            raise AssertionError(f"held for ever: {last}, before: {self.held}") from None
