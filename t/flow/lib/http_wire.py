"""Messages of HTTP/1.1 as bytes: a reader that allows nothing the grammar does not, and h11 as a second opinion on each."""
import functools
import re
from collections import deque

import h11

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) (HTTP/1\.[01])")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9][0-9]) ([\t -~\x80-\xff]*)")
# What differs from one run of the same message to the next.
CHANGING = re.compile(rb"(?im)^(x-request-id|x-id|date|x-envoy-upstream-service-time|x-forwarded-for): [^\r]*")


class Wrong(Exception):
    """Bytes that no message begins with."""


class Message:
    def __init__(self, start, fields):
        self.start, self.fields, self.trailers = start, fields, []
        self.raw, self.body, self.complete = bytearray(), bytearray(), False

    def values(self, name):
        return [value for n, value in self.fields if n == name]

    def value(self, name):
        """Of a field that is there once; None: it is not there."""
        values = self.values(name)
        if len(values) > 1:
            raise Wrong(f"{name} {len(values)} times: {bytes(self.raw)}")
        return values[0] if values else None

    def has_option(self, name):
        return name in [o.strip().lower() for v in self.values(b"connection") for o in v.split(b",")]

    @property
    def id(self):
        return self.value(b"x-id")

    @property
    def method(self):
        return self.start[0]

    @property
    def target(self):
        return self.start[1]

    @property
    def status(self):
        return int(self.start[1])

    def __repr__(self):
        return f"<{b' '.join(self.start)} {self.fields} {bytes(self.body[:100])} {'' if self.complete else 'incomplete'}>"


class Reader:
    """Cuts a stream into messages.  Of responses it has to know what was asked: expect(method) for each."""

    def __init__(self, line, on_head=None):
        self._line, self._on_head = line, on_head
        self._buffer, self._step, self._left = bytearray(), self._head, 0
        self.messages, self.current, self.asked = [], None, deque()
        self.tunnel = None          # bytes after a switch of protocols

    @classmethod
    def of_requests(cls, on_head=None):
        return cls(REQUEST_LINE, on_head)

    @classmethod
    def of_responses(cls, *methods):
        reader = cls(STATUS_LINE)
        reader.asked.extend(methods)
        return reader

    def feed(self, data):
        self._buffer += data
        while self._step():
            pass

    def eof(self):
        """The sender has ended; True: not in the midst of a message."""
        if self._step == self._until_close:
            self._end()
        return self.current is None and not self._buffer

    @property
    def rest(self):
        """What has come of a head that is not whole."""
        return b"" if self.current else bytes(self._buffer)

    @property
    def finals(self):
        return [m for m in self.messages if m.complete and (self._line is REQUEST_LINE or m.status >= 200 or m.status == 101)]

    def _take(self, size):
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        if self.current is not None:
            self.current.raw += data
        return data

    def _line_end(self):
        """Length of a line with its end; 0: not there yet."""
        return self._buffer.find(b"\r\n") + 2 if b"\r\n" in self._buffer else 0

    def _head(self):
        if not self._buffer or b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > 1 << 20:
                raise Wrong(f"no end of a head: {bytes(self._buffer[:200])}")
            return False
        size = self._buffer.index(b"\r\n\r\n") + 4
        first, *rest = bytes(self._buffer[:size - 4]).split(b"\r\n")
        start = self._line.fullmatch(first)
        if not start:
            raise Wrong(f"not a start line: {first}")
        m = self.current = Message(start.groups(), self._fields(rest))
        self.messages.append(m)
        self._take(size)
        self._frame()
        if self._on_head:
            self._on_head(m)
        return True

    @staticmethod
    def _fields(lines):
        found = []
        for line in lines:
            m = FIELD.fullmatch(line)
            if not m:
                raise Wrong(f"not a field: {line}")
            found.append((m[1].lower(), m[2]))
        return found

    def _frame(self):
        m = self.current
        coding, length = m.value(b"transfer-encoding"), m.value(b"content-length")
        if coding is not None and (length is not None or coding.lower() != b"chunked"):
            raise Wrong(f"framing: {bytes(m.raw)}")
        if length is not None and not length.isdigit():
            raise Wrong(f"Content-Length: {length}")
        if self._line is STATUS_LINE:
            if m.status < 200 and m.status != 101:
                self._bodiless(coding, length)
                return
            if not self.asked:
                raise Wrong(f"a response that nobody asked for: {bytes(m.raw)}")
            asked = self.asked.popleft()
            if m.status == 101 or asked == b"CONNECT" and m.status < 300:
                self._bodiless(coding, length)
                self.tunnel, self._step = bytearray(), self._tunnel
                return
            if m.status == 204:
                self._bodiless(coding, length)
                return
            if asked == b"HEAD" or m.status == 304:
                self._end()
                return
        self._left = int(length) if length is not None else 0
        if coding is not None:
            self._step = self._chunk
        elif self._line is STATUS_LINE and length is None:
            self._step = self._until_close
        elif self._left:
            self._step = self._length
        else:
            self._end()

    def _bodiless(self, coding, length):
        if coding is not None or length is not None:
            raise Wrong(f"framing where there is none: {bytes(self.current.raw)}")
        self._end()

    def _end(self):
        self.current.complete = True
        self.current, self._step = None, self._head

    def _length(self):
        data = self._take(self._left)
        self.current.body += data
        self._left -= len(data)
        if self._left == 0:
            self._end()
            return True
        return False

    def _until_close(self):
        self.current.body += self._take(len(self._buffer))
        return False

    def _tunnel(self):
        self.tunnel += self._take(len(self._buffer))
        return False

    def _chunk(self):
        size = self._line_end()
        if not size:
            return False
        line = self._take(size)[:-2]
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", line):       # what meshd writes has no extensions
            raise Wrong(f"chunk size: {line}")
        self._left = int(line, 16)
        self._step = self._chunk_data if self._left else self._trailers
        return True

    def _chunk_data(self):
        if len(self._buffer) < self._left + 2:
            return False
        data = self._take(self._left + 2)
        if data[-2:] != b"\r\n":
            raise Wrong(f"chunk's end: {data[-2:]}")
        self.current.body += data[:-2]
        self._step = self._chunk
        return True

    def _trailers(self):
        if self._buffer[:2] == b"\r\n":
            self._take(2)
            self._end()
            return True
        if b"\r\n\r\n" not in self._buffer:
            return False
        data = self._take(self._buffer.index(b"\r\n\r\n") + 4)
        self.current.trailers = self._fields(data[:-4].split(b"\r\n"))
        self._end()
        return True


@functools.lru_cache(maxsize=4096)
def _h11(raw, asked):
    """(start line's parts, fields, body, trailers) as h11 has them; raises what it raises."""
    if asked is None:
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    else:
        conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        # An upgrade is proposed in every question: h11 takes a 101 only then.
        conn.send(h11.Request(method=asked, target="*" if asked == b"OPTIONS" else "/",
                              headers=[("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "any")]))
        conn.send(h11.EndOfMessage())
    conn.receive_data(raw)
    head, body, trailers = None, b"", []
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(b"")
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            trailers = [(bytes(n), bytes(v)) for n, v in event.headers]
            break
        elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            break
        else:
            head = event
    start = (bytes(head.method), bytes(head.target)) if asked is None else (head.status_code,)
    return start, [(bytes(n), bytes(v)) for n, v in head.headers], body, trailers


def judge(message, asked=None):
    """A complete message means the same to h11 as to us.  `asked`: the method that a response answers."""
    raw = CHANGING.sub(rb"\1: x", bytes(message.raw))
    try:
        start, fields, body, trailers = _h11(raw, asked)
    except h11.ProtocolError as e:
        raise AssertionError(f"h11 refuses {raw[:2000]}: {e}") from None
    ours = (message.method, message.target) if asked is None else (message.status,)
    assert start == ours, (start, message)
    same = [n for n, _ in fields] == [n for n, _ in message.fields]
    assert same and body == bytes(message.body) and trailers == message.trailers, (fields, body, trailers, message)
