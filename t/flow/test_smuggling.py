"""Smuggling and splitting, with Debian's own servers behind: an origin never sees a request that meshd did not route, and who
shares a kept connection with an attacker gets the answer to what he asked."""
import re
import socket
import time

import pytest

from lib.hosts import wait_for
from lib.http_client import Client, name
from lib.http_mesh import GATE, ORIGIN, gate
from lib.http_origin import CLOSE, RST, Origin, Script, answer
from lib.http_programs import ORIGINS
from lib.http_wire import Wrong

# Would be a request, if somebody took a body's end for earlier than it is.
INNER = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nX-Id: smuggled\r\n\r\n"
ID = b"X-Id: @@@@@@\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n" + ID
BY_LENGTH = b"0\r\n\r\n" + INNER                                # all of it is the body, for who goes by the length
BY_CHUNKS = b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n"   # and for who goes by the chunks


def length(n):
    return b"Content-Length: %d\r\n" % n


def cl_te(line):
    return POST + length(len(BY_LENGTH)) + line + b"\r\n\r\n" + BY_LENGTH


def te_cl(line):
    return POST + b"Transfer-Encoding: chunked\r\n" + line + b"\r\n\r\n" + BY_CHUNKS


def cl_cl(line):
    return POST + length(len(INNER)) + line + b"\r\n\r\n" + INNER


def chunks(body):
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + body + INNER


TE = b"Transfer-Encoding"
TE_LINES = [TE + v for v in (
    b": chunked", b":chunked", b":\tchunked", b": chunked ", b": CHUNKED", b" : chunked", b"\t: chunked", b"\x0b: chunked", b"\x00: chunked", b"\xa0: chunked",
    b": \x0bchunked", b": \x0cchunked", b": \x00chunked", b": \xa0chunked", b": chunked\x0b", b": chunked\x00", b": chunked\r", b": chunked\t\x0b",
    b": xchunked", b": chunkedx", b": x chunked", b": chunked x", b": chunked;a=b", b": chunked,", b": ,chunked", b": chunked, identity",
    b": identity, chunked", b": gzip, chunked", b": chunked, chunked", b": \"chunked\"", b": 'chunked'", b": ch\xc3\xbcnked", b": c hunked", b":",
    b": \r\n chunked", b":\r\n\tchunked", b": chunked\r\n x", b": x\r\nTransfer-Encoding: chunked", b": chunked\r\nTransfer-Encoding: x",
    b": chunked\r\ntransfer-encoding: identity", b" chunked", b"=: chunked", b";: chunked", b"\n: chunked", b"\r: chunked",
)] + [
    b"TRANSFER-ENCODING: chunked", b"transfer-encoding: chunked", b" Transfer-Encoding: chunked", b"\tTransfer-Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked", b"\x00Transfer-Encoding: chunked", b"Transfer_Encoding: chunked", b"Transfer-Encoding_: chunked", b"Transfer Encoding: chunked",
    b"Transfer\x00-Encoding: chunked", b"Transfer-Encod\xc4\xb1ng: chunked", b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
    b"X: y\n\rTransfer-Encoding: chunked", b"X: y\x0bTransfer-Encoding: chunked", b"X: \nTransfer-Encoding: chunked", b"\nTransfer-Encoding: chunked",
    b":Transfer-Encoding: chunked", b"Content-Encoding: chunked", b"TE: chunked", b"X: y\xe5\x98\x8a\xe5\x98\x8dTransfer-Encoding: chunked",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", b"Expect: 100-continue", b"Expect: y 100-continue", b"Connection: Content-Length"]

CL = b"Content-Length"
CL_LINES = [CL + v for v in (
    b": 4", b":4", b" : 4", b"\t: 4", b"\x00: 4", b"\x0b: 4", b": +4", b": -4", b": 4,4", b": 4, 5", b": 0x4", b": 4\x0b", b": \x0b4", b": 4\x00", b": 4\r", b":",
    b": 04", b": 4.0", b": 4e0", b": \xd9\xa4", b": 4\r\nContent-Length: 5", b"\r\n : 4", b": 4;", b" 4")] + [
    b"CONTENT-LENGTH: 4", b"Content_Length: 4", b" Content-Length: 4", b"X: y\nContent-Length: 4", b"X: y\rContent-Length: 4", b"Content Length: 4",
    b"\x0bContent-Length: 4", b"Content-Length\xa0: 4", b"Content-\x00Length: 4"]

HELLO = b"\r\nhello\r\n0\r\n\r\n"
CHUNKED = [size + HELLO for size in (
    b"5 ", b" 5", b"5\t", b"5\x0b", b"5\x00", b"\x005", b"+5", b"-5", b"0x5", b"0X5", b"5h", b"", b"5_", b"1_0", b"\xb2", b"100000005g", b"5;", b"5;\x00", b"5;a=\"",
    b"5;\n", b"5;a\nb", b"5;a\rb", b"5\r", b"10000000000000005", b"100000000000000000000000000000005", b"ffffffffffffffff", b"fffffffffffffffb",
    b"7fffffffffffffffffff5", b"ffffffff00000005", b"5 5", b"5,", b"5:")] + [
    b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhelloxx0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n",
    b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\n\r", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\r\n\r\n", b"5\r\nhello\r\n0;\n\r\n\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\n\r\n", b"5\r\nhello\r\n0\r\nX: y\n\n",
    b"5\r\nhello\r\n0\r\n X\r\n\r\n", b"5\r\nhello\r\n0\r\n:\r\n\r\n", b"5\r\nhello\r\n-0\r\n\r\n", b"5\r\nhello\r\n0x0\r\n\r\n", b"2;\n0\r\n\r\n", b"0;\n0\r\n\r\n"]

SPLITS = [b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + ID + b"\r\n" for target in (
    b"/a\rb", b"/a\nb", b"/ HTTP/1.1\n" + INNER[:-4].replace(b"\r\n", b"\n") + b"\n\nGET /", b"/ HTTP/1.1\r" + INNER.replace(b"\r\n", b"\r") + b"GET /",
    b"/%0d%0a%0d%0aGET%20/smuggled%20HTTP/1.1%0d%0aX-Id:smuggled%0d%0a%0d%0a", b"/\xe5\x98\x8d\xe5\x98\x8aX-Id:smuggled", b"/\x00", b"/\xc4\x8d\xc4\x8a",
    b"http://a/\nX-Id: smuggled", b"http://a\r/", b"/a\x85b", b"/?a=\x0d", b"/ HTTP/1.0\n\n" + INNER)] + [
    b"GET / HTTP/1.1\r\nHost: a\r\n" + ID + v + b"\r\n\r\n" for v in (
        b"X: y\r" + INNER.replace(b"\r\n", b"\r"), b"X: y\n\n" + INNER[:-4].replace(b"\r\n", b"\n"), b"X: y\n\r\n\r" + INNER[:-4], b"X: y\x00\r\n z",
        b"X: y%0d%0a%0d%0aGET /smuggled HTTP/1.1", b"X: y\xe5\x98\x8d\xe5\x98\x8aZ: w", b"X: y\\r\\n\\r\\n" + b"GET /smuggled HTTP/1.1", b"X: y\x85Z: w", b"X\n: y", b"X\r: y",
        b"X: y\r\n\tGET /smuggled HTTP/1.1", b"Host: b", b"Host : b", b" Host: b", b"X: y\nHost: b", b"X: y\rHost: b")]

MORE = [b"GET / HTTP/1.1\r\nHost: a\r\n" + ID + length(len(INNER)) + more + b"\r\n" + INNER
        for more in (b"", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
                     b"Connection: close\r\n", b"X-HTTP-Method-Override: HEAD\r\n", b"Max-Forwards: 0\r\n")] + [
    method + b" / HTTP/1.1\r\nHost: a\r\n" + ID + length(len(INNER)) + b"\r\n" + INNER for method in (b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"POST", b"PATCH")] + [
    b"GET / HTTP/1.0\r\nHost: a\r\n" + ID + length(len(INNER)) + b"Connection: keep-alive\r\n\r\n" + INNER,
    b"GET / HTTP/1.0\r\n" + ID + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + ID + b"\r\n" + INNER,
    b"GET /\r\n" + INNER, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER, b"GET / HTTP/2.0\r\nHost: a\r\n" + ID + b"\r\n" + INNER,
    b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n" + ID + b"\r\n" + INNER]

PAYLOADS = [cl_te(line) for line in TE_LINES] + [te_cl(line) for line in CL_LINES] + [cl_cl(line) for line in CL_LINES] + \
    [chunks(body) for body in CHUNKED] + SPLITS + MORE


def attack(host, payload):
    """Sends it and waits for an answer, which need not come; the connection stays open for what is tried next."""
    s = host.connect(*GATE)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(payload)
    s.settimeout(0.15)
    try:
        s.recv(65536)
    except (TimeoutError, ConnectionResetError):
        pass
    return s


@pytest.mark.parametrize("which", ORIGINS)
def test_a_request_that_was_not_routed_is_not_seen(host, start, which):
    program = ORIGINS[which](host)
    m = start(host, gate(), intercept="", workers=1)
    carriers, victims = {}, set()
    for n, payload in enumerate(PAYLOADS):
        carrier, victim = name(), name(b"v")
        carriers[carrier.decode()] = payload
        victims.add(victim.decode())
        attacker = attack(host, payload.replace(b"@@@@@@", carrier))
        with Client(host, *GATE) as c:
            m1 = c.ask(b"GET /v/%d HTTP/1.1\r\nHost: a\r\nX-Id: %s\r\n\r\n" % (n % 1000, victim))
            assert (m1.status, bytes(m1.body)) == (program.status, b"/v/%d" % (n % 1000)), f"after {payload}: {m1}"
        attacker.close()
    routed = m.stat("cluster.b.upstream_rq_total")
    program.close()
    seen = [line.split(" ", 2)[1:] for line in program.lines()]
    ids = [i for i, _ in seen]
    inner = [n for n, (i, r) in enumerate(seen) if i == "smuggled" or re.search(r"(^| )/smuggled", r)]
    assert not inner, [(seen[n], carriers.get(seen[n - 1][0])) for n in inner]
    # An origin may note that a connection ended within a request; it has no name then.
    strangers = [s for s in seen if s[0] not in victims and s[0] not in carriers and s[1] not in ("-", "<BADREQ>", "ECONNRESET")]
    assert not strangers
    assert sorted(i for i in ids if i in victims) == sorted(victims)
    twice = {i for i in ids if i in carriers and ids.count(i) > 1}
    assert not twice, [carriers[i] for i in twice]
    assert len(set(ids) & (victims | set(carriers))) <= routed


# ---- responses ----

POISON = answer(b"poison", b"X-Id: poison")
OK = b"HTTP/1.1 200 OK\r\n"
RESPONSES = {
    "a second one at once": ([answer(b"own") + POISON], b"GET"),
    "a second one a little later": ([answer(b"own"), 0.01, POISON], b"GET"),
    "408 on a connection that is idle": ([answer(b"own"), 0.01, answer(b"", b"Connection: close", status=b"408 Request Timeout"), CLOSE], b"GET"),
    "longer than its length": ([OK + b"Content-Length: 3\r\n\r\nown" + b"more" + POISON], b"GET"),
    "204 with a body": ([b"HTTP/1.1 204 No Content\r\n\r\n" + POISON], b"GET"),
    "204 with a length and a body": ([b"HTTP/1.1 204 No Content\r\n" + length(len(POISON)) + b"\r\n" + POISON], b"GET"),
    "304 with a body": ([b"HTTP/1.1 304 Not Modified\r\n" + length(len(POISON)) + b"\r\n" + POISON], b"GET"),
    "HEAD with a body": ([OK + length(len(POISON)) + b"\r\n" + POISON], b"HEAD"),
    "HEAD with chunks": ([OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n" + POISON], b"HEAD"),
    "after the last chunk": ([OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n" + POISON], b"GET"),
    "length and chunks": ([OK + length(len(POISON) + 5) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + POISON], b"GET"),
    "two lengths": ([OK + b"Content-Length: 0\r\n" + length(len(POISON)) + b"\r\n" + POISON], b"GET"),
    "a length that is none": ([OK + b"Content-Length: 0x0\r\n\r\n" + POISON], b"GET"),
    "a length behind a bare LF": ([OK + b"X: y\nContent-Length: 0\r\n\r\n" + POISON], b"GET"),
    "a head that LF ends": ([OK + b"Content-Length: 0\n\n" + POISON], b"GET"),
    "a head with a bare CR": ([OK + b"X: y\rContent-Length: 0\r\n\r\n" + POISON], b"GET"),
    "a folded head": ([OK + b"X: y\r\n Content-Length: 0\r\n\r\n" + POISON], b"GET"),
    "a chunk that LF ends": ([OK + b"Transfer-Encoding: chunked\r\n\r\n0\n\n" + POISON], b"GET"),
    "a chunk size that is none": ([OK + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + POISON], b"GET"),
    "trailers that are a response": ([OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + POISON], b"GET"),
    "100 with a body": ([b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nown" + POISON], b"GET"),
    "101 that nobody asked for": ([b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + POISON], b"GET"),
    "empty lines after it": ([answer(b"own") + b"\r\n\r\n" + POISON], b"GET"),
    "a byte too many": ([answer(b"own") + b"x"], b"GET"),
    "close, and a second one": ([answer(b"own", b"Connection: close") + POISON], b"GET"),
    "cut short by a reset": ([OK + b"Content-Length: 1000\r\n\r\n" + POISON, RST], b"GET"),
}


@pytest.mark.parametrize("what", RESPONSES)
def test_an_answer_goes_to_who_asked(host, start, what):
    """What the origin sends too much reaches nobody, and its connection is not used again."""
    steps, method = RESPONSES[what]
    with Origin(host, *ORIGIN) as origin:
        start(host, gate(), intercept="", workers=1)
        for _ in range(5):
            called = name()
            origin.scripts[called] = Script(*steps)
            with Client(host, *GATE) as c:
                c.send(method + b" / HTTP/1.1\r\nHost: a\r\nX-Id: " + called + b"\r\n\r\n", method)
                try:
                    c.response()
                except (AssertionError, Wrong) as e:
                    assert not isinstance(e, Wrong), e
                wait_for("the connection is left", lambda: all(r.connection.closed for r in origin.of(called)))
                for _ in range(3):
                    victim = name(b"v")
                    with Client(host, *GATE) as v:
                        m = v.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Id: " + victim + b"\r\n\r\n")
                        assert (m.status, m.id, bytes(m.body)) == (200, victim, victim), m
                c.sock.settimeout(0.02)
                try:
                    while c._more():
                        pass
                except TimeoutError:
                    pass
                assert b"poison" not in c.bytes or what in BODIES, bytes(c.bytes)
        assert not origin.wrong
        assert len(origin.of(b"poison")) == 0


# Where it is a body as good as any other.
BODIES = {"cut short by a reset"}


def test_what_comes_before_it_was_asked_for(host, start):
    """An origin that speaks at once."""
    with Origin(host, *ORIGIN) as origin:
        start(host, gate(), intercept="", workers=1)
        spoken = []

        def speak(c):
            if len(spoken) < 3:
                spoken.append(c)
                c.sock.send(POISON)
            return False

        origin.on_accept = speak
        for _ in range(6):
            victim = name(b"v")
            with Client(host, *GATE) as v:
                m = v.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Id: " + victim + b"\r\n\r\n")
                assert m.id in (victim, b"poison") or m.status >= 500, m        # never what another asked for
            time.sleep(0.01)
        assert len(spoken) == 3
