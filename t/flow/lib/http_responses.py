"""Responses: what RFC 9112 and RFC 9110 demand of those who receive and forward them."""
from .http_rows import Bad, Broken, Case, Given, lines

BAD, BROKEN = Bad(), Broken()
OK = b"HTTP/1.1 200 OK"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
LEN = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
HI = Given(body=b"hello")


def ok(*fields, body=b""):
    return lines(OK, *fields, body=body)


def five(*fields):
    return ok(LEN, *fields, body=b"hello")


def status(first, *outcomes, words, section="9112 4"):
    return Case(section, words, lines(first, LEN, body=b"hello"), *outcomes)


STATUS_LINES = [
    Case("9112 2.1", "the plain case", five(), HI),
    status(b"HTTP/1.1 200 ", HI, words="an empty reason"),
    status(b"HTTP/1.1 200", HI, BAD, words="no space before the reason that is not there"),
    status(b"HTTP/1.1 200 \tGut \xe4", HI, words="a reason with bytes past ASCII"),
    status(b"HTTP/1.0 200 OK", HI, words="1.0 closes", section="9112 9.3"),
    status(b"HTTP/1.2 200 OK", HI, words="a later minor version", section="9110 2.5"),
    status(b"HTTP/2.0 200 OK", BAD, words="another major version", section="9110 2.5"),
    status(b"HTTP/1.1 299 OK", Given(299, b"hello"), words="a status that nobody knows", section="9110 15"),
    status(b"HTTP/1.1 599 OK", Given(599, b"hello"), words="a status that nobody knows", section="9110 15"),
    status(b"HTTP/1.1 600 OK", BAD, Given(600, b"hello"), words="a status that is invalid", section="9110 15"),
    status(b"HTTP/1.1 999 OK", BAD, Given(999, b"hello"), words="a status that is invalid", section="9110 15"),
    *[status(v, BAD, words="not a status line") for v in (
        b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 2xx OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 099 OK",
        b"HTTP/1.1\t200 OK", b"http/1.1 200 OK", b"HTTP/11 200 OK", b"HTTP/1.10 200 OK", b"ICY 200 OK", b"HTTP/1.1 OK", b"200 OK", b"hello",
        b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\x01K", b"GET / HTTP/1.1", b" HTTP/1.1 200 OK", b"HTTP/1.1 200\x0bOK")],
    Case("9112 2.2", "an empty line before a response", b"\r\n" + five(), BAD, HI),
    Case("9112 2.2", "LF ends the status line", OK + b"\nContent-Length: 5\r\n\r\nhello", BAD),
    Case("9112 2.2", "LF ends a field", OK + b"\r\nX-A: b\nContent-Length: 5\r\n\r\nhello", BAD),
    Case("9112 2.2", "LF is the empty line", OK + b"\r\nContent-Length: 5\r\n\nhello", BAD),
    Case("9112 2.2", "white space before the first field", OK + b"\r\n X-A: b\r\nContent-Length: 5\r\n\r\nhello", BAD),
]

FIELDS = [
    *[Case("9112 5.1", "white space before the colon", five(v), BAD, Given(body=b"hello", has={b"x-a": [b"b"]})) for v in (b"X-A : b", b"X-A\t: b")],
    *[Case("9110 5.1", "a name that is not a token", five(v), BAD) for v in (b": b", b"X-A", b"X A: b", b"X\x00A: b", b"X(A: b", b"X\xe4: b", b"\x0bX: b")],
    *[Case("9110 5.5", "a control byte in a value", five(b"X-A: b" + v + b"c"), BAD) for v in (b"\x00", b"\x01", b"\r", b"\x0b", b"\x7f")],
    *[Case("9112 5.2", "folded", five(b"X-A: b\r\n" + v), BAD, Given(body=b"hello", has={b"x-a": [b"b c"]})) for v in (b" c", b"\tc")],
    Case("9110 5.3", "fields and their order", five(b"Set-Cookie: a=1", b"X-A: 1", b"Set-Cookie: b=2", b"x-a: 2", b"X-B:\t\xff c "),
         Given(body=b"hello", has={b"set-cookie": [b"a=1", b"b=2"], b"x-a": [b"1", b"2"], b"x-b": [b"\xff c"]})),
    Case("9110 7.7", "what is about the content is not touched",
         five(b"Content-Encoding: gzip", b"Content-Type: a/b", b"ETag: \"a\"", b"Content-Location: /x", b"Last-Modified: then", b"Vary: *"),
         Given(body=b"hello", has={b"content-encoding": [b"gzip"], b"content-type": [b"a/b"], b"etag": [b"\"a\""], b"content-location": [b"/x"],
                                   b"last-modified": [b"then"], b"vary": [b"*"]})),
    Case("9110 6.6.1", "Date is kept", five(b"Date: Tue, 15 Nov 1994 08:12:31 GMT"),
         Given(body=b"hello", has={b"date": [b"Tue, 15 Nov 1994 08:12:31 GMT"]})),
    Case("9110 7.6.1", "what Connection names is not sent on", five(b"Connection: X-A, keep-alive", b"X-A: 1", b"X-B: 2", b"Keep-Alive: timeout=5"),
         Given(body=b"hello", has={b"x-b": [b"2"]}, lacks=[b"x-a", b"keep-alive"])),
    Case("9110 7.6.1", "close is the origin's, not ours", five(b"Connection: close"), HI, end="close"),
    Case("9110 7.6.1", "fields of one connection", five(b"Proxy-Connection: close", b"Keep-Alive: timeout=5"),
         Given(body=b"hello", lacks=[b"proxy-connection", b"keep-alive"])),
    Case("9110 7.8", "Upgrade that nobody asked for", five(b"Connection: upgrade", b"Upgrade: h2c"), Given(body=b"hello", lacks=[b"upgrade"])),
]


def length(value):
    return ok(b"Content-Length:" + value, body=b"hello")


FRAMING = [
    Case("9112 6.3", "a length of nought", ok(b"Content-Length: 0"), Given()),
    Case("9112 6.3", "chunked", ok(CHUNKED, body=HELLO), HI),
    Case("9112 7", "its letters have no case", ok(b"transfer-encoding:\tChunkeD ", body=HELLO), HI),
    Case("9112 6.3", "until the connection's end", ok(body=b"hello"), HI, end="close"),
    Case("9112 6.3", "until the connection's end, which is at once", ok(), Given(), end="close"),
    Case("9112 6.3", "until the end, in 1.0", lines(b"HTTP/1.0 200 OK", body=b"hello"), HI, end="close"),
    Case("9110 15.3.5", "204 has no body", lines(b"HTTP/1.1 204 No Content"), Given(204, lacks=[b"content-length", b"transfer-encoding"])),
    *[Case("9110 8.6", "204 must not have a length", lines(b"HTTP/1.1 204 No Content", v), BAD, Given(204, lacks=[b"content-length", b"transfer-encoding"]))
      for v in (b"Content-Length: 0", CHUNKED)],
    Case("9110 15.4.5", "304 has no body", lines(b"HTTP/1.1 304 Not Modified", b"ETag: \"a\""), Given(304, has={b"etag": [b"\"a\""]})),
    Case("9110 8.6", "304 with the length of what it would be", lines(b"HTTP/1.1 304 Not Modified", LEN), Given(304)),
    Case("9112 6.1", "304 with chunked", lines(b"HTTP/1.1 304 Not Modified", CHUNKED), Given(304), BAD),
    Case("9110 9.3.2", "HEAD with a length", ok(LEN), Given(has={b"content-length": [b"5"]}), method=b"HEAD"),
    Case("9110 9.3.2", "HEAD with chunked", ok(CHUNKED), Given(), method=b"HEAD"),
    Case("9110 9.3.2", "HEAD with neither", ok(), Given(), method=b"HEAD"),
    Case("9110 15.3.6", "205", lines(b"HTTP/1.1 205 Reset Content", b"Content-Length: 0"), Given(205)),
    *[Case("9112 6.3", "a malformed length", length(v), BAD)
      for v in (b"", b" +5", b" -5", b" 5 5", b" 0x5", b" 5;", b" five", b" 5, 6", b" 5.0", b" 18446744073709551621", b" 99999999999999999999")],
    *[Case("9112 6.3", "equal lengths in one", length(v), BAD, HI) for v in (b" 5, 5", b" 5,5")],
    Case("9112 6.3", "two equal lengths", five(LEN), BAD, HI),
    Case("9112 6.3", "two lengths", five(b"Content-Length: 4"), BAD),
    Case("9112 6.3", "length and chunked", ok(LEN, CHUNKED, body=HELLO), BAD),
    Case("9112 6.3", "chunked and length", ok(CHUNKED, b"Content-Length: 15", body=HELLO), BAD),
    Case("9112 6.1", "chunked in 1.0", lines(b"HTTP/1.0 200 OK", CHUNKED, body=HELLO), BAD),
    *[Case("9112 6.1", "another coding", ok(b"Transfer-Encoding:" + v, body=HELLO), BAD, end="close")
      for v in (b" gzip", b" gzip, chunked", b" chunked, gzip", b" identity", b"", b" chunked, chunked", b" xchunked", b" chunked;q=1", b" chunked\x0b")],
    Case("9112 6.1", "chunked twice", ok(CHUNKED, CHUNKED, body=HELLO), BAD),
    Case("9112 8", "shorter than its length", ok(b"Content-Length: 6", body=b"hello"), BROKEN, end="close"),
    Case("9112 8", "shorter than its length, then a reset", ok(b"Content-Length: 6", body=b"hello"), BROKEN, Bad(502, 503), end="rst"),
    Case("9112 8", "no last chunk", ok(CHUNKED, body=b"5\r\nhello\r\n"), BROKEN, end="close"),
    Case("9112 8", "an end within a chunk", ok(CHUNKED, body=b"6\r\nhello"), BROKEN, end="close"),
    Case("9112 8", "an end within the trailers", ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: b\r\n"), BROKEN, end="close"),
    Case("9112 8", "an end within the head", OK + b"\r\nContent-Le", Bad(502, 503), end="close"),
    Case("9112 8", "an end within the status line", b"HTTP/1.", Bad(502, 503), end="close"),
]


def body(data, *outcomes, words, section="9112 7.1", fields=()):
    return Case(section, words, ok(CHUNKED, body=data), *outcomes, fields=fields)


ASKS = (b"TE: trailers", b"Connection: TE")
CHUNKS = [
    body(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", HI, words="two of them"),
    body(b"0\r\n\r\n", Given(), words="none"),
    body(b"A;x\r\n0123456789\r\n000\r\n\r\n", Given(body=b"0123456789"), words="hexadecimal, last chunk 000"),
    *[body(b"5" + v + b"\r\nhello\r\n0" + v + b"\r\n\r\n", HI, section="9112 7.1.1", words="extensions are ignored")
      for v in (b";a", b";a=b", b";a=b;c=\"d\"", b";a=\";\\\"x\"", b"; a = b")],
    *[body(b"5" + v + b"\r\nhello\r\n0\r\n\r\n", BROKEN, section="9112 7.1.1", words="a malformed extension") for v in (b";", b";=b", b";a=\"b", b";a\x00", b";a=\"\n\"")],
    *[body(v + b"\r\nhello\r\n0\r\n\r\n", BROKEN, words="a malformed size")
      for v in (b"", b" 5", b"5 ", b"+5", b"-5", b"0x5", b"g", b"5\x00", b"10000000000000005", b"fffffffffffffffb", b"ffffffffffffffffffff5")],
    *[body(v, BROKEN, words="a bad line end")
      for v in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello!\r\n0\r\n\r\n", b"5\r\nhello\r\n\r\n0\r\n\r\n",
                b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\r\nhello\r\n0\r\n\r\n")],
    body(b"5\r\nhello\r\n0\r\nX-A: b\r\nX-B: c\r\n\r\n", Given(body=b"hello", trailers=[(b"x-a", b"b"), (b"x-b", b"c")]),
         section="9112 7.1.2", words="trailers that were asked for", fields=ASKS),
    body(b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n", Given(body=b"hello"), section="9112 7.1.2", words="trailers that were not"),
    *[body(b"5\r\nhello\r\n0\r\n" + v + b"\r\n\r\n", BROKEN, section="9110 6.5.1", words="a field that is not allowed there", fields=ASKS)
      for v in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Content-Encoding: gzip")],
    *[body(b"5\r\nhello\r\n0\r\n" + v + b"\r\n\r\n", BROKEN, section="9112 5.1", words="a malformed trailer", fields=ASKS)
      for v in (b" X-A: b", b"X A: b", b"X-A", b"X-A: b\nX-B: c", b"X-A: b\x00", b"HTTP/1.1 200 OK")],
]


def interim(*heads):
    return b"".join(lines(*h) for h in heads) + five()


EARLY = (b"HTTP/1.1 103 Early Hints", b"Link: </a>; rel=preload", b"Link: </b>; rel=preload")
INTERIM = [
    Case("9110 15.2", "103 is passed on", interim(EARLY), Given(body=b"hello", interim=[103])),
    Case("9110 15.2", "several of them", interim(EARLY, (b"HTTP/1.1 102 Processing",), EARLY), Given(body=b"hello", interim=[103, 102, 103])),
    Case("9110 15.2", "100 that nobody asked for", interim((b"HTTP/1.1 100 Continue",)), Given(body=b"hello", interim=[100]), Given(body=b"hello")),
    Case("9110 15.2", "one that nobody knows", interim((b"HTTP/1.1 199 Soon", b"X-A: b")), Given(body=b"hello", interim=[199])),
    *[Case("9110 8.6", "it must have no body", interim((b"HTTP/1.1 103 Early Hints", v)), BAD, Given(body=b"hello", interim=[103]))
      for v in (b"Content-Length: 0", CHUNKED)],
    Case("9110 15.2.2", "101 without a question", lines(b"HTTP/1.1 101 Switching Protocols", b"Connection: upgrade", b"Upgrade: websocket", body=b"hello"), BAD),
    Case("9112 8", "nothing after it", lines(*EARLY), Bad(502, 503), end="close"),
]

# To a client of 1.0: no chunks, no interim responses, and the end of the connection.
OLD = [Case("9112 6.1", f"for a client of 1.0: {words}", message, Given(body=b"hello"), version=b"1.0", end=end)
       for words, message, end in (("chunked", ok(CHUNKED, body=HELLO), None), ("until the end", ok(body=b"hello"), "close"), ("a length", five(), None),
                                   ("chunked with trailers", ok(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"), None),
                                   ("103", interim(EARLY), None), ("100", interim((b"HTTP/1.1 100 Continue",)), None))]

RESPONSES = STATUS_LINES + FIELDS + FRAMING + CHUNKS + INTERIM + OLD
