"""An origin that writes down every byte it gets, and answers each request as the script for its X-Id says."""
import contextlib
import heapq
import itertools
import selectors
import socket
import struct
import threading
import time

from .http_wire import Reader, Wrong

FIN, CLOSE, RST = "fin", "close", "rst"     # steps of a script: half-close, close, reset
WHOLE = "whole"                             # and: wait until the request is over


class Script:
    """Steps, one after the other: bytes to send, seconds to wait, WHOLE, or an end.  They begin when the request is over, at its
    head (at="head"), or when so many bytes have come on this connection since the request's first (at=100)."""

    def __init__(self, *steps, at="end"):
        self.steps, self.at = steps, at


def answer(body=b"", *fields, status=b"200 OK"):
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def echo(request):
    """The usual answer: says whose it is."""
    name = request.id or b"-"
    return Script(answer(b"" if request.method == b"HEAD" else name, b"X-Id: " + name))


class Connection:
    def __init__(self, origin, sock, number):
        self.origin, self.sock, self.number = origin, sock, number
        self.bytes, self.ended = bytearray(), None          # all that came; "eof" or "reset"
        self.opened, self.used, self.closed = time.monotonic(), time.monotonic(), False
        self.busy = None            # the script that runs, with the steps left
        self.paused = False
        self.out = bytearray()
        self.last = None            # how it is to end when all is sent
        self.reader = Reader.of_requests(self._on_head)
        self.answered = 0

    @property
    def requests(self):
        return self.reader.messages

    @property
    def gone(self):
        """One of its sides has ended."""
        return self.closed or self.ended is not None

    def _on_head(self, request):
        request.connection = self
        self.origin.heads.append(request)

    def __repr__(self):
        return f"<connection {self.number} {self.ended} {bytes(self.bytes[:300])}>"


class Origin:
    """`script(request)` is asked where scripts[X-Id] has none.  `idle`: seconds after which it closes a connection that has
    asked before."""

    def __init__(self, host, ip, port, script=echo, idle=None, read_delay=0.0):
        self.scripts, self.script, self.idle, self.read_delay = {}, script, idle, read_delay
        self.connections, self.heads, self.wrong = [], [], []
        self.on_accept = None       # called with each new Connection; True: it is closed at once
        self._numbers, self._timers, self._order = itertools.count(), [], itertools.count()
        self.listener = host.listen(ip, port, 4096)
        self.listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._stop, self._end = socket.socketpair()
        self._selector.register(self._end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._watched, daemon=True)
        self._thread.start()

    # ---- what was seen ----

    @property
    def requests(self):
        """Those that came whole, in the order in which their heads came."""
        return [r for r in list(self.heads) if r.complete]

    def of(self, name):
        """All requests with this X-Id, whole or not."""
        return [r for r in list(self.heads) if r.id == name]

    @property
    def open(self):
        return [c for c in list(self.connections) if not c.closed]

    def raw(self):
        """Every byte that came, connection after connection."""
        return b"\n--\n".join(bytes(c.bytes) for c in list(self.connections))

    # ---- the loop ----

    def _later(self, seconds, call, *args):
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), call, args))

    def _watched(self):
        try:
            self._run()
        except Exception as e:
            self.wrong.append(f"the origin itself: {e!r}")
            raise

    def _run(self):
        while True:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, mask in self._selector.select(wait):
                if key.fileobj is self._end:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                else:
                    self._ready(key.data, mask)
            while self._timers and self._timers[0][0] <= time.monotonic():
                _, _, call, args = heapq.heappop(self._timers)
                call(*args)

    def _accept(self):
        for _ in range(64):
            try:
                sock, _ = self.listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c = Connection(self, sock, next(self._numbers))
            self.connections.append(c)
            if self.on_accept and self.on_accept(c):
                self._close(c)
                continue
            self._selector.register(sock, selectors.EVENT_READ, c)
            if self.idle:
                self._later(self.idle, self._idle, c)

    def _idle(self, c):
        if c.closed:
            return
        left = c.used + self.idle - time.monotonic()
        if left > 0 or c.busy or c.reader.current or c.answered == 0:
            self._later(max(left, 0.001), self._idle, c)
        else:
            self._close(c)

    def _ready(self, c, mask):
        if mask & selectors.EVENT_WRITE and not c.closed:
            self._flush(c)
        if mask & selectors.EVENT_READ and not c.closed:
            self._read(c)

    def _read(self, c):
        try:
            data = c.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            c.ended = "reset"
            self._close(c)
            return
        if not data:
            c.ended = "eof"
            self._eof(c)
            return
        if self.read_delay:
            c.paused = True
            self._watch(c)
            self._later(self.read_delay, self._read_on, c)
        c.bytes += data
        c.used = time.monotonic()
        try:
            c.reader.feed(data)
        except Wrong as e:
            self.wrong.append(f"connection {c.number}: {e}")
            self._close(c)
            return
        self._serve(c)

    def _read_on(self, c):
        c.paused = False
        self._watch(c)

    def _eof(self, c):
        """The peer's side has ended; what is to be answered still is."""
        if not c.busy and not c.out:
            self._close(c)
            return
        c.last = c.last or CLOSE
        self._watch(c)

    def _serve(self, c):
        """Goes on with a script that waits for its request, or begins that of the request whose turn it is."""
        if c.busy and c.busy[0] == WHOLE:
            self._step(c)
        if c.busy or c.answered >= len(c.requests):
            return
        request = c.requests[c.answered]
        script = self.scripts.get(request.id) or self.script(request)
        if script.at == "end" and not request.complete or isinstance(script.at, int) and len(request.raw) < script.at:
            return
        if len(c.requests) > c.answered + 1:
            self.wrong.append(f"connection {c.number}: a request before the answer to the one before it")
        c.answered += 1
        c.busy = list(script.steps)
        self._step(c)

    def _step(self, c):
        while c.busy and not c.closed:
            if c.busy[0] == WHOLE and not c.requests[c.answered - 1].complete:
                return
            step = c.busy.pop(0)
            if isinstance(step, bytes):
                c.out += step
                self._flush(c)
            elif isinstance(step, (int, float)):
                c.busy.insert(0, b"")
                self._later(step, self._step, c)
                return
            elif callable(step):
                step(c)
            elif step != WHOLE:
                c.last = step
        c.busy = None
        c.used = time.monotonic()
        if c.last and not c.out:
            self._finish(c)
        elif not c.closed:
            self._serve(c)

    def _flush(self, c):
        try:
            if c.out:
                del c.out[:c.sock.send(c.out)]
        except BlockingIOError:
            pass
        except OSError:
            c.ended = c.ended or "reset"
            self._close(c)
            return
        self._watch(c)
        if c.last and not c.out and not c.busy:
            self._finish(c)

    def _watch(self, c):
        if c.closed:
            return
        mask = (0 if c.ended or c.paused else selectors.EVENT_READ) | (selectors.EVENT_WRITE if c.out else 0)
        known = c.sock in self._selector.get_map()
        if mask:
            (self._selector.modify if known else self._selector.register)(c.sock, mask, c)
        elif known:
            self._selector.unregister(c.sock)

    def _finish(self, c):
        last, c.last = c.last, None
        if c.closed:
            return
        if last == FIN:
            with contextlib.suppress(OSError):
                c.sock.shutdown(socket.SHUT_WR)
        else:
            if last == RST:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._close(c)

    def _close(self, c):
        c.closed = True
        with contextlib.suppress(KeyError):
            self._selector.unregister(c.sock)
        c.sock.close()

    def close(self):
        self._stop.send(b"x")
        self._thread.join()
        for c in self.open:
            c.sock.close()
        self.listener.close()
        self._selector.close()
        self._stop.close()
        self._end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
