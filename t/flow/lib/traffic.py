"""Bytes through the mesh: the mover for many or for bulk, bare sockets for the rest."""
import json
import os
import socket
import struct

from .hosts import wait_for

BUILD = os.path.abspath(os.environ.get("MESHD_BUILD", "build"))
MOVER = os.path.join(BUILD, "mover")


def _options(o):
    argv = []
    for key, value in o.items():
        argv.append("--" + key.replace("_", "-"))
        if value is not True:
            argv.append(str(value))
    return argv


class Mover:
    def __init__(self, host, role, ip, port, **options):
        self.role = role
        self.process = host.start(MOVER, role, ip, port, *_options(options), name=f"mover-{role}")
        self.seconds = int(options.get("time", 60)) + 10
        if role == "server":
            wait_for("mover listens", lambda: "listening" in self.process.output() or self.process.popen.poll() is not None)

    def result(self):
        """Waits for its end; what it counted."""
        self.process.wait(self.seconds)
        line = self.process.output().strip().splitlines()[-1]
        return json.loads(line)

    def content(self):
        """Waits for its end; every connection must have gone as expected."""
        counted = self.result()
        assert counted["failed"] == 0, f"{self.role}: {counted}"
        return counted

    def stop(self):
        self.process.popen.terminate()
        return self.content()


def move(client_host, server_host, to, at, client, server):
    """One server at `at`, one client to `to`; both ends must be content.  Returns both counts."""
    s = Mover(server_host, "server", *at, **server)
    c = Mover(client_host, "client", *to, **client)
    return c.content(), s.content()


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock):
    """Until the end of the stream; ConnectionResetError if that is a reset."""
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def ends(sock):
    """How a connection ends that carries nothing: "eof" or "reset"."""
    try:
        assert read_all(sock) == b""
        return "eof"
    except ConnectionResetError:
        return "reset"


def fate(host, ip, port):
    """What becomes of a connection that the other side ends at once: "eof" or "reset", which may come at any moment."""
    try:
        return ends(host.connect(ip, port))
    except ConnectionResetError:
        return "reset"
