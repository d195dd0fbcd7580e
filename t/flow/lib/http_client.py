"""Clients that send bytes as they are given: one at a time, or thousands of short conversations at once."""
import heapq
import itertools
import selectors
import socket
import time

from .hosts import family_of
from .http_wire import Reader, Wrong

NAMES = itertools.count(1)


def name(word=b""):
    """A value for X-Id that nothing else has, always of the same length."""
    return word + b"%06d" % next(NAMES)


class Client:
    """One connection.  Whatever does not come within `seconds` is a failure."""

    def __init__(self, host, ip, port, seconds=10, rcvbuf=None):
        if rcvbuf:
            s = host.socket(family_of(ip))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            s.settimeout(seconds)
            s.connect((ip, port))
            self.sock = s
        else:
            self.sock = host.connect(ip, port, seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = Reader.of_responses()
        self.got, self.bytes, self.ended = 0, bytearray(), None

    def send(self, data, asked=b"GET"):
        """`asked`: the method of the request that begins here; None: none does."""
        if asked:
            self.reader.asked.append(asked)
        self.sock.sendall(data)

    def _more(self):
        """Reads once; False: the end, and how it came."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            self.ended = "reset"
            return False
        if not data:
            self.ended = "eof"
            self.reader.eof()
            return False
        self.bytes += data
        self.reader.feed(data)
        return True

    def message(self):
        """The next response, interim ones too; with what there is of it where the connection ends within."""
        while self.got >= len(self.reader.messages) or not self.reader.messages[self.got].complete:
            if not self._more():
                break
        assert self.got < len(self.reader.messages), f"{self.ended} instead of a response: {bytes(self.bytes[-500:])}"
        self.got += 1
        return self.reader.messages[self.got - 1]

    def response(self):
        """The next final one."""
        while True:
            m = self.message()
            if m.status >= 200 or m.status == 101:
                return m

    def ask(self, data, asked=b"GET"):
        self.send(data, asked)
        return self.response()

    def ends(self):
        """Nothing more comes but the end: "eof" or "reset"."""
        had = len(self.bytes)
        while self._more():
            pass
        assert len(self.bytes) == had, f"more than the end: {bytes(self.bytes[had:had + 300])}"
        return self.ended

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Talk:
    """A conversation: parts to send with a pause between them, and what came back."""

    def __init__(self, parts, asked=(b"GET",), wanted=1, pause=0.01, fin=False):
        self.parts, self.pause, self.wanted, self.fin = list(parts), pause, wanted, fin
        self.sent = 0
        self.reader, self.bytes = Reader.of_responses(*asked), bytearray()
        self.ended, self.wrong = None, None     # "eof", "reset", "done": all came that was wanted, "late": it did not

    @property
    def responses(self):
        return self.reader.finals

    def take(self, data):
        self.bytes += data
        try:
            self.reader.feed(data)
        except Wrong as e:
            self.wrong = str(e)

    @property
    def over(self):
        """All that was wanted is here; where the peer says that it closes, its end is wanted too."""
        if self.sent < len(self.parts) or len(self.responses) < self.wanted or self.reader.current is not None:
            return False
        last = self.responses[-1]
        return not last.has_option(b"close") and (last.start[0] == b"HTTP/1.1" or last.has_option(b"keep-alive"))

    def __repr__(self):
        return f"<sent {self.sent} of {[bytes(p[:300]) for p in self.parts][:6]}, {self.ended}, got {bytes(self.bytes[:600])}>"


class _Crowd:
    def __init__(self, host, to, talks, parallel, seconds):
        self.host, self.to, self.left, self.parallel, self.seconds = host, to, iter(talks), parallel, seconds
        self.selector, self.timers, self.order, self.running = selectors.DefaultSelector(), [], itertools.count(), 0

    def later(self, seconds, call, *args):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), call, args))

    def run(self):
        self.fill()
        while self.running:
            wait = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else 1
            for key, mask in self.selector.select(wait):
                self.ready(key.fileobj, key.data, mask)
            while self.timers and self.timers[0][0] <= time.monotonic():
                _, _, call, args = heapq.heappop(self.timers)
                call(*args)
            if self.parallel - self.running >= self.parallel // 4:
                self.fill()
        self.selector.close()

    def fill(self):
        """In the host once for many: that is the dear part of it."""
        with self.host.inside():
            while self.running < self.parallel and (talk := next(self.left, None)) is not None:
                s = socket.socket(family_of(self.to[0]), socket.SOCK_STREAM)
                s.setblocking(False)
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.connect_ex(self.to)
                self.selector.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE, talk)
                self.running += 1
                self.later(self.seconds, self.late, s, talk)

    def late(self, s, talk):
        if talk.ended is None:
            self.end(s, talk, "late")

    def end(self, s, talk, how):
        talk.ended = how
        self.selector.unregister(s)
        s.close()
        self.running -= 1

    def ready(self, s, talk, mask):
        if talk.ended is None and mask & selectors.EVENT_WRITE:         # connected
            self.selector.modify(s, selectors.EVENT_READ, talk)
            self.part(s, talk)
        if talk.ended is None and mask & selectors.EVENT_READ:
            self.read(s, talk)

    def part(self, s, talk):
        if talk.ended is not None or talk.sent == len(talk.parts):
            return
        try:
            sent = s.send(talk.parts[talk.sent])
            if sent < len(talk.parts[talk.sent]):
                talk.parts[talk.sent] = talk.parts[talk.sent][sent:]
                self.later(talk.pause, self.part, s, talk)
                return
        except BlockingIOError:
            self.later(talk.pause, self.part, s, talk)
            return
        except OSError:
            return              # what it had to say is still to be read
        talk.sent += 1
        if talk.sent < len(talk.parts):
            self.later(talk.pause, self.part, s, talk)
        elif talk.fin:
            s.shutdown(socket.SHUT_WR)

    def read(self, s, talk):
        try:
            data = s.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            self.end(s, talk, "reset")
            return
        if data:
            talk.take(data)
            if talk.over:
                self.end(s, talk, "done")
            return
        talk.reader.eof()
        self.end(s, talk, "eof")


def crowd(host, to, talks, parallel=256, seconds=10):
    """Has all of these conversations, so many at a time; each ends with the peer's end, or when all came that it wanted."""
    talks = list(talks)
    _Crowd(host, to, talks, parallel, seconds).run()
    return talks
