"""Many connections at once: an origin that counts what it has open, and clients that come and go."""
import contextlib
import selectors
import socket
import threading
import time

from .traffic import reset

GREETING = b"hello"


class Origin:
    """Greets, echoes, and knows how many connections it had open at most."""

    def __init__(self, host, ip, port):
        self.listener = host.listen(ip, port, 4096)
        self.listener.setblocking(False)
        self.open, self.most, self.served = set(), 0, 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._stop, self._end = socket.socketpair()
        self._selector.register(self._end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _forget(self, s):
        self._selector.unregister(s)
        self.open.discard(s)
        s.close()

    def _read(self, s):
        try:
            data = s.recv(65536)
            if data:
                s.sendall(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._forget(s)

    def _take(self):
        try:
            s, _ = self.listener.accept()
        except BlockingIOError:
            return
        # Ends that were sent before this one came are here by now: they count first.
        for key, _ in self._selector.select(0):
            if key.fileobj not in (self.listener, self._end):
                self._read(key.fileobj)
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.add(s)
        self.most, self.served = max(self.most, len(self.open)), self.served + 1
        self._selector.register(s, selectors.EVENT_READ)
        with contextlib.suppress(OSError):
            s.sendall(GREETING)

    def _run(self):
        while True:
            events = [key.fileobj for key, _ in self._selector.select()]
            if self._end in events:
                return
            for s in events:
                if s is not self.listener and s in self.open:
                    self._read(s)
            if self.listener in events:
                self._take()

    def close(self):
        self._stop.send(b"x")
        self._thread.join()
        for s in list(self.open):
            s.close()
        self.listener.close()
        self._selector.close()
        self._stop.close()
        self._end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def greeted(sock, seconds=10):
    """Served by an Origin (True), or refused by reset (False)."""
    sock.settimeout(seconds)
    try:
        return sock.recv(len(GREETING)) == GREETING
    except ConnectionResetError:
        return False


def try_connect(host, ip, port):
    """A connection that was greeted, or None: refused."""
    try:
        s = host.connect(ip, port)
    except (ConnectionResetError, ConnectionRefusedError):
        return None
    if greeted(s):
        return s
    s.close()
    return None


def talk(sock, word=b"ping"):
    """There and back through an Origin."""
    sock.sendall(word)
    back = b""
    while len(back) < len(word):
        chunk = sock.recv(len(word) - len(back))
        if not chunk:
            return False
        back += chunk
    return back == word


def alive(sock):
    try:
        return talk(sock)
    except OSError:
        return False


def storm(host, ip, port, clients, rounds, hold=0.01):
    """`clients` at a time, each `rounds` times: connects, is greeted and stays a moment, or is refused.
    (served, refused, anything else)"""
    selector = selectors.DefaultSelector()
    left = {"begin": clients * rounds}
    served, refused, odd, held = 0, 0, [], []

    def begin():
        left["begin"] -= 1
        s = host.socket()
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            s.connect((ip, port))
        selector.register(s, selectors.EVENT_READ)

    for _ in range(clients):
        begin()
    end = time.monotonic() + 120
    while selector.get_map() or held or left["begin"] > 0:
        assert time.monotonic() < end, f"{len(selector.get_map())} connections hang"
        for key, _ in selector.select(hold if held else 1):
            s = key.fileobj
            selector.unregister(s)
            try:
                data = s.recv(100)
                if data == GREETING:
                    served += 1
                    held.append((time.monotonic() + hold, s))
                    continue
                odd.append(data)
            except (ConnectionResetError, ConnectionRefusedError):
                refused += 1
            s.close()
            if left["begin"] > 0:
                begin()
        while held and held[0][0] <= time.monotonic():
            _, s = held.pop(0)
            if served % 2:
                reset(s)
            else:
                s.close()
            if left["begin"] > 0:
                begin()
    return served, refused, odd
