"""The codec against python3-h11: messages with seeded mutations, to both.

What the codec takes, h11 takes too, with the same meaning.  What it refuses and h11 takes falls under one of REFUSED, each
with its reason and, where bytes can show it, with the sign that it is so.

    http1_h11.py PROGRAM [SAMPLES [SEED]]        PROGRAM: http1_show.c
"""

import random
import re
import subprocess
import sys

import h11

HOST = b"Host: a.example\r\n"

REQUESTS = [
    b"GET /x?y HTTP/1.1\r\n" + HOST + b"User-Agent: curl/7.88\r\nAccept: */*\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\n" + HOST + b"Connection: close, x\r\nX: y\r\n\r\n",
    b"GET http://b:80/x HTTP/1.1\r\n" + HOST + b"TE: trailers\r\nConnection: TE\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nA:\r\nB: \t b\tc \t\r\nC: \xc3\xa9\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\nGET /2 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"PUT /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;a=b;c=\"d\"\r\n0123456789\r\n0\r\n\r\n",
    b"PATCH / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n" + HOST + b"Trailer: T\r\n\r\n1\r\nx\r\n0;z\r\nT: u\r\nV:\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /chat HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
    b"CONNECT b:443 HTTP/1.1\r\n" + HOST + b"\r\n\x16\x03\x01",
    b"M-SEARCH / HTTP/1.1\r\n" + HOST + b"\r\n",
]

# (method, asked for an upgrade, bytes)
RESPONSES = [
    (b"GET", False, b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"),
    (b"GET", False, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: u\r\n\r\n"),
    (b"GET", False, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello"),
    (b"GET", False, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
    (b"GET", False, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    (b"GET", False, b"HTTP/1.1 404 \r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"),
    (b"HEAD", False, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (b"CONNECT", False, b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01"),
    (b"CONNECT", False, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
    (b"GET", True, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00"),
    (b"GET", True, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
]

LINES = [
    b"Content-Length: 5", b"Content-Length: 6", b"Content-Length: 5, 5", b"Content-Length: +5", b"Content-Length:  5", b"Content-Length: 05",
    b"Content-Length: 99999999999999999999", b"Content-Length:", b"content-length : 5", b"Content_Length: 5",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding: \"chunked\"",
    b"transfer-encoding: chunked;a=b", b"Transfer-Encoding:\x0bchunked", b"Host: b", b"Host:", b"Host: a b", b"Host: a:x", b"Connection: host",
    b"Connection: content-length", b"Connection: close;x", b"Upgrade: x", b"Connection: upgrade", b" folded", b"\tfolded", b"no colon", b": empty",
    b"A B: c", b"A\0: b", b"A: b\0", b"A: b\x7f", b"A: \xff", b"GET /smuggled HTTP/1.1", b"",
    b"5 ", b" 5", b"5 ;a", b"5; a = b ", b"5;a=\"b", b"0x5", b"+5", b"-1", b"5;", b"00000000000000005", b"ffffffffffffffff", b"10000000000000005",
]
BYTES = [b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b"=", b'"', b"\\", b"#", b"?", b"/", b"0", b"5", b"f", b"+", b"-", b"\x0b", b"\x0c", b"\x1c",
         b"\x7f", b"\x80", b"\xa0", b"\xff", b"\r\n", b"\r\n\r\n", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"chunked", b"0x", b"\n\n"]

BARE = rb"(?<!\r)\n|\r(?!\n)|\0"
# refusal -> (a sign of it in what was refused, the reason why h11 may take it)
REFUSED = {
    "BAD_LINE_END": (BARE, "a CR or LF alone, or NUL: RFC 9112 2.2 lets a recipient take LF for a line's end, and others do not; h11 takes it"),
    "BAD_START_LINE": (rb"[\x01-\x1f\x7f]", "control bytes in a reason or target, which h11 passes"),
    "BAD_VERSION": (rb"HTTP/[02-9]\.", "h11 takes any digits for a version"),
    "BAD_TARGET": (rb"", "h11 takes any visible bytes: a fragment, '*' of another method than OPTIONS, CONNECT without a port, no form at all"),
    "BAD_SCHEME": (rb":", "h11 takes any visible bytes for a target"),
    "BAD_FIELD_NAME": (rb"[\x01-\x1f]", "a control byte that h11 takes for a part of a fold"),
    "BAD_FIELD_VALUE": (rb"[\x01-\x08\x0b-\x1f\x7f]", "RFC 9110 5.5: control bytes; h11 refuses NUL, CR, LF, VT and FF only"),
    "BAD_FOLD": (rb"\n[ \t]", "RFC 9112 5.2 lets a server refuse obs-fold or unfold it; h11 unfolds"),
    "BAD_HOST_MISSING": (rb"HTTP/1\.[2-9]", "h11 asks for Host in 1.1 only, not in later versions"),
    "BAD_HOST": (rb"(?i)host:|://", "RFC 9112 3.2: a malformed Host is to be refused; h11 does not look into it, nor into the target"),
    "BAD_LENGTH": (rb"(?i)content-length", "a list of equal numbers, which RFC 9110 8.6 lets a recipient take for one or refuse; or past 2^63; or HTAB after it"),
    "BAD_LENGTH_REPEATED": (rb"(?is)content-length.*content-length", "equal fields: as for a list"),
    "BAD_LENGTH_AND_CODING": (rb"(?i)transfer-encoding", "RFC 9112 6.3 lets a server refuse both; h11 ignores the length"),
    "BAD_LENGTH_FORBIDDEN": (rb"", "CONNECT, 1xx and 204 have no body (RFC 9110 8.6, 9.3.6); h11 reads CONNECT's and ignores those of responses"),
    "BAD_CODING_FORBIDDEN": (rb"(?i)transfer-encoding", "HTTP/1.0, 1xx, 204 and CONNECT have no codings (RFC 9112 6.1); h11 does not mind"),
    "BAD_CONNECTION": (rb"(?i)connection:", "Connection that names Host or Content-Length; h11 looks for close only"),
    "BAD_OPTIONS": (rb"(?i)connection:", "options that are no tokens; h11 looks for close only"),
    "BAD_UPGRADE": (rb"101", "101 without Upgrade and its option, or in 1.0: h11 takes 101 alone for a switch"),
    "BAD_CHUNK_SIZE": (rb"[ \t]\r|[0-9a-fA-F]{17}|[89a-fA-F][0-9a-fA-F]{15}|" + BARE,
                       "white space after a size, which h11 takes, or CR in an extension; more than 16 digits, or 2^63"),
    "BAD_CHUNK_EXT": (rb";", "h11 takes anything up to the line's end for an extension"),
    "BAD_TRAILER_FIELD": (rb"", "RFC 9110 6.5.1: fields that must not be in trailers; h11 lets its user see to that"),
}
# What the codec takes and h11 does not, on purpose: an empty line before a request (RFC 9112 2.2), which h11 does not get to
# see; and framing fields of a 2xx to CONNECT, which are to be ignored (6.3), malformed ones too.


def is_ignored(method, message):
    return method == b"CONNECT" and message["over"] == "tunnel" and any(n in (b"content-length", b"transfer-encoding") for n, _ in message["fields"])


def mutate(rng, data):
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        body = max(data.find(b"\r\n\r\n") + 4, 4)
        at = rng.randrange(body, len(data)) if rng.random() < 0.4 and body < len(data) else rng.randrange(len(data) + 1)
        lines = data.split(b"\r\n")
        line = rng.randrange(len(lines))
        kind = rng.randrange(9)
        if kind == 0:
            data = data[:at] + rng.choice(BYTES) + data[at:]
        elif kind == 1:
            data = data[:at] + rng.choice(BYTES) + data[at + 1:]
        elif kind == 2:
            data = data[:at] + data[at + rng.randrange(1, 4):]
        elif kind == 3:
            lines.insert(line, rng.choice(LINES))
            data = b"\r\n".join(lines)
        elif kind == 4:
            lines[line] = rng.choice(LINES)
            data = b"\r\n".join(lines)
        elif kind == 5:
            lines.insert(rng.randrange(len(lines)), lines[line])
            data = b"\r\n".join(lines)
        elif kind == 6:
            del lines[line]
            data = b"\r\n".join(lines)
        elif kind == 7:
            data = data[:at] + bytes((rng.randrange(256),)) + data[at + 1:]
        else:
            head, _, body = data.partition(b"\r\n\r\n")
            data = head + b"\r\n" + rng.choice(LINES) + b"\r\n\r\n" + body
        if not data:
            return b"\r\n"
    return data


def samples(count, seed):
    rng = random.Random(seed)
    for request in REQUESTS:
        yield b"request", b"GET", False, request
    for method, upgrade, response in RESPONSES:
        yield b"response", method, upgrade, response
    for _ in range(count):
        if rng.random() < 0.6:
            yield b"request", b"GET", False, mutate(rng, rng.choice(REQUESTS))
        else:
            method, upgrade, response = rng.choice(RESPONSES)
            yield b"response", method, upgrade, mutate(rng, response)


def unescape(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes((int(m.group(1), 16),)), text)


def ours_of(text):
    """Messages as dicts, in order; the last one's "over" is end, tunnel, more or the refusal."""
    messages = []
    for line in text.split(b"\n"):
        word, _, rest = line.partition(b" ")
        rest = unescape(rest)
        if word in (b"request", b"response"):
            messages.append({"start": tuple(rest.split(b" ", 2)), "fields": [], "trailers": [], "data": b"", "over": "head"})
        elif word in (b"field", b"gone", b"trailer"):
            name, _, value = rest.partition(b": ")
            messages[-1]["trailers" if word == b"trailer" else "fields"].append((name.lower(), value))
        elif word == b"data":
            messages[-1]["data"] = rest
        elif word == b"tunnel":
            messages[-1]["over"] = "tunnel"
            messages[-1]["data"] = rest
        elif word == b"end":
            messages[-1]["over"] = "end"
        elif line.startswith(b"BAD_") or word == b"more":
            if not messages or messages[-1]["over"] in ("end", "tunnel"):
                messages.append({"start": None, "over": line.decode()})
            messages[-1]["over"] = line.decode()
    return messages


def receiver(side, method, upgrade):
    if side == b"request":
        return h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    c = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    headers = [("Host", "a")] + ([("Upgrade", "websocket"), ("Connection", "upgrade")] if upgrade else [])
    c.send(h11.Request(method=method, target="a:1" if method == b"CONNECT" else "/", headers=headers))
    c.send(h11.EndOfMessage())
    return c


def theirs_of(side, method, upgrade, data):
    """The same by h11; "over" is end, tunnel, more or an exception's words."""
    messages = []
    while data:
        c = receiver(side, method, upgrade)
        c.receive_data(data[2:] if side == b"request" and data.startswith(b"\r\n") else data)
        c.receive_data(b"")
        over = False
        while not over:
            try:
                event = c.next_event()
            except h11.RemoteProtocolError as e:
                if not messages or messages[-1]["over"] in ("end", "tunnel"):
                    messages.append({"start": None, "over": str(e)})
                messages[-1]["over"] = str(e)
                return messages
            if isinstance(event, h11.Request):
                messages.append({"start": (event.method, event.target, event.http_version)})
            elif isinstance(event, (h11.Response, h11.InformationalResponse)):
                messages.append({"start": (str(event.status_code).encode(), event.http_version, bytes(event.reason))})
            if isinstance(event, (h11.Request, h11.Response, h11.InformationalResponse)):
                messages[-1].update(fields=list(event.headers), trailers=[], data=b"", over="head")
                if isinstance(event, h11.InformationalResponse):
                    messages[-1]["over"] = "end"
                if c.their_state in (h11.SWITCHED_PROTOCOL, h11.MIGHT_SWITCH_PROTOCOL) or messages[-1]["start"][0] == b"CONNECT":
                    if side == b"response" or messages[-1]["start"][0] == b"CONNECT" and not has_body(messages[-1]["fields"]):
                        messages[-1].update(over="tunnel", data=c.trailing_data[0])
                        return messages
            elif isinstance(event, h11.Data):
                messages[-1]["data"] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                messages[-1].update(trailers=list(event.headers), over="end")
                over = True
            elif event is h11.PAUSED or event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return messages
        data = c.trailing_data[0]
    return messages


def has_body(fields):
    return any(name == b"transfer-encoding" or (name == b"content-length" and int(value) > 0) for name, value in fields)


def same_version(ours, theirs):
    return ours == theirs or (ours == b"1.1" and theirs > b"1.1")


def difference(ours, theirs):
    """What the two made of one message that both took, in words; None: the same."""
    if ours["start"] and theirs["start"]:
        a, b = list(ours["start"]), list(theirs["start"])
        i = 2 if len(b[0]) != 3 or not b[0].isdigit() else 1
        if not same_version(a[i], b[i]):
            return "version"
        a[i] = b[i]
        if a != b:
            return "start line"
    for key in ("fields", "trailers"):
        if [(n, v.lower() if n == b"transfer-encoding" else v) for n, v in ours[key]] != theirs[key]:
            return key
    return None if ours["data"] == theirs["data"] and ours["over"] == theirs["over"] else "body"


def compare(side, method, upgrade, data, text):
    """None, or what is wrong; and the refusal that h11 did not share."""
    ours = ours_of(text)
    theirs = theirs_of(side, method, upgrade, data)
    for i, message in enumerate(ours):
        other = theirs[i] if i < len(theirs) else {"start": None, "over": "nothing"}
        if message["over"] in ("end", "tunnel"):
            if other["over"] not in ("end", "tunnel"):
                if is_ignored(method, message):
                    return None, None
                return f"taken, but h11: {other['over']}", None
            wrong = difference(message, other)
            if wrong is not None:
                return f"they differ in {wrong}", None
        elif message["over"].startswith("BAD_"):
            if other["over"] not in ("end", "tunnel") or message["over"] == "BAD_CUT" and side == b"response":
                return None, None
            row = REFUSED.get(message["over"])
            if row is None or not re.search(row[0], data):
                return f"{message['over']}, but h11 takes it", None
            return None, message["over"]
    return None, None


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 12000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 9112
    asked = list(samples(count, seed))
    fed = b"".join(b"%s %s %d %d\n%s" % (side, method, upgrade, len(data), data) for side, method, upgrade, data in asked)
    shown = subprocess.run([program], input=fed, stdout=subprocess.PIPE, check=True).stdout
    texts = shown.split(b"\n\n")[:-1]
    assert len(texts) == len(asked), (len(texts), len(asked))
    bad = 0
    used = {}
    taken = 0
    for (side, method, upgrade, data), text in zip(asked, texts):
        wrong, refusal = compare(side, method, upgrade, data, text)
        taken += b"BAD_" not in text and b"more" not in text
        used[refusal] = used.get(refusal, 0) + 1
        if wrong is not None:
            bad += 1
            if bad <= 10:
                print(f"{side.decode()} to {method.decode()}: {wrong}\n  {data!r}\n  {text!r}\n  {theirs_of(side, method, upgrade, data)}")
    if bad or "-v" in sys.argv:
        print(f"{len(asked)} messages, {taken} taken, {bad} wrong; refused alone: {used}")
    return 1 if bad or taken < len(asked) // 20 else 0


if __name__ == "__main__":
    sys.exit(main())
