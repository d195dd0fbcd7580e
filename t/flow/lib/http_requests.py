"""Requests: what RFC 9112 and RFC 9110 demand of those who receive and forward them."""
from .http_rows import ID, Answered, Case, Passed, Refused, chunked, get, lines, post, request

BAD = Refused(400)
LATE = Refused(400, late=True)
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def line(first, *outcomes, words, section="9112 3"):
    return Case(section, words, request(first), *outcomes)


LINES = [
    Case("9112 2.1", "the plain case", get(), Passed()),
    Case("9112 2.2", "one empty line before a request is ignored", b"\r\n" + get(), Passed()),
    Case("9112 2.2", "more of them", b"\r\n\r\n\r\n" + get(), BAD, Passed()),
    Case("9112 2.2", "a bare LF before a request", b"\n" + get(), BAD),
    Case("9112 2.2", "a bare CR before a request", b"\r" + get(), BAD),
    Case("9112 2.2", "white space before a request", b" " + get(), BAD),
    Case("9112 2.2", "LF ends the request line", b"GET / HTTP/1.1\nHost: a\r\n" + ID + b"\r\n\r\n", BAD),
    Case("9112 2.2", "LF ends a field", b"GET / HTTP/1.1\r\nHost: a\n" + ID + b"\r\n\r\n", BAD),
    Case("9112 2.2", "LF is the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n" + ID + b"\r\n\n", BAD),
    Case("9112 2.2", "LF ends all lines", b"GET / HTTP/1.1\nHost: a\n" + ID + b"\n\n", BAD),
    Case("9112 2.2", "CR in the request line", request(b"GET /\r HTTP/1.1"), BAD),
    Case("9112 2.2", "CR in the target", request(b"GET /a\rb HTTP/1.1"), BAD),
    Case("9112 2.2", "CR in a value", get(b"X-A: b\rc"), BAD),
    Case("9112 2.2", "CR before CRLF", get(b"X-A: b\r"), BAD),
    Case("9112 2.2", "CR in a name", get(b"X\r-A: b"), BAD),
    Case("9112 2.2", "CR alone ends a field", b"GET / HTTP/1.1\r\nHost: a\rX-A: b\r\n" + ID + b"\r\n\r\n", BAD),
    Case("9112 2.2", "white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n" + ID + b"\r\n\r\n", BAD),
    Case("9112 2.2", "a tab before the first field", b"GET / HTTP/1.1\r\n\tX-A: b\r\nHost: a\r\n" + ID + b"\r\n\r\n", BAD),
    Case("9112 2.2", "not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), BAD),
    Case("9112 2.2", "not HTTP, but text", b"EHLO example.net\r\n\r\n", BAD),
    line(b"GET / HTTP/1.0", Passed(closes=True), section="9112 9.3", words="1.0 closes, and is sent on as 1.1"),
    Case("9112 3.2", "1.0 needs no Host", lines(b"GET / HTTP/1.0", ID), Passed(closes=True)),
    line(b"GET / HTTP/1.2", Passed(), section="9110 2.5", words="a later minor version is understood"),
    line(b"GET / HTTP/2.0", Refused(505), section="9110 2.5", words="another major version"),
    line(b"GET / HTTP/3.0", Refused(505), section="9110 2.5", words="another major version"),
    line(b"GET / HTTP/0.9", Refused(400, 505), section="9110 2.5", words="another major version"),
    Case("9112 2.2", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused(400, 505)),
    Case("9112 3", "0.9 has no version", b"GET /\r\n\r\n", BAD),
    line(b"GET / http/1.1", BAD, section="9112 2.3", words="the version's letters are upper case"),
    line(b"GET / HTTP/11", BAD, section="9112 2.3", words="no point"),
    line(b"GET / HTTP/1.10", BAD, section="9112 2.3", words="one digit"),
    line(b"GET / HTTP/01.1", BAD, section="9112 2.3", words="one digit"),
    line(b"GET / HTTP/1,1", BAD, section="9112 2.3", words="a point"),
    line(b"GET / HTTP/1.", BAD, section="9112 2.3", words="a digit"),
    line(b"GET / HTTP /1.1", BAD, section="9112 2.3", words="no space within"),
    line(b"GET / HTTP/1.1 ", BAD, words="space at the end"),
    line(b"GET / HTTP/1.1 HTTP/1.1", BAD, words="two versions"),
    line(b"GET  / HTTP/1.1", BAD, words="two spaces"),
    line(b"GET /  HTTP/1.1", BAD, words="two spaces"),
    line(b"GET\t/ HTTP/1.1", BAD, words="a tab"),
    line(b"GET /\tHTTP/1.1", BAD, words="a tab"),
    line(b"GET /\x0bHTTP/1.1", BAD, words="a vertical tab"),
    line(b"GET HTTP/1.1", BAD, words="no target"),
    line(b"GET  HTTP/1.1", BAD, words="an empty target"),
    line(b" / HTTP/1.1", BAD, words="no method"),
    line(b"G@T / HTTP/1.1", BAD, words="a method that is not a token"),
    line(b"G\x00T / HTTP/1.1", BAD, words="NUL in the method"),
    line(b"G\xc3\xa4T / HTTP/1.1", BAD, words="letters past ASCII in the method"),
    line(b"BREW / HTTP/1.1", Passed(b"BREW"), section="9110 9.1", words="a method that nobody knows is sent on"),
    line(b"get / HTTP/1.1", Passed(b"get"), section="9110 9.1", words="the method's letters have a case"),
    line(b"X!#$%&'*+-.^_`|~9 / HTTP/1.1", Passed(b"X!#$%&'*+-.^_`|~9"), section="9110 5.6.2", words="all that a token has"),
]

TARGETS = [
    line(b"GET /a%2Fb%20c?x=%7e&y=/..//?z HTTP/1.1", Passed(target=b"/a%2Fb%20c?x=%7e&y=/..//?z"), section="9110 7.7",
         words="path and query are not touched"),
    line(b"GET //a//b HTTP/1.1", Passed(target=b"//a//b"), section="9112 3.2.1", words="empty segments"),
    line(b"GET /;a=b:@!$&'()*+,= HTTP/1.1", Passed(target=b"/;a=b:@!$&'()*+,="), section="9112 3.2.1", words="all of pchar"),
    line(b"GET /a b HTTP/1.1", BAD, section="9112 3.2", words="no white space"),
    line(b"GET /a\x00b HTTP/1.1", BAD, section="9112 3.2", words="NUL"),
    line(b"GET /a\x7fb HTTP/1.1", BAD, section="9112 3.2", words="DEL"),
    line(b"GET /a\x01b HTTP/1.1", BAD, section="9112 3.2", words="a control byte"),
    line(b"GET /a\xffb HTTP/1.1", BAD, section="9112 3.2", words="not in a URI"),
    line(b"GET /a#b HTTP/1.1", BAD, section="9112 3.2", words="a fragment is never sent"),
    line(b"GET /%zz HTTP/1.1", BAD, Passed(target=b"/%zz"), section="3986 2.1", words="bad percent encoding"),
    line(b"GET a HTTP/1.1", BAD, section="9112 3.2", words="none of the four forms"),
    line(b"GET ?a HTTP/1.1", BAD, section="9112 3.2", words="none of the four forms"),
    line(b"GET a:80 HTTP/1.1", BAD, section="9112 3.2.3", words="the authority form is CONNECT's"),
    line(b"GET * HTTP/1.1", BAD, section="9112 3.2.4", words="the asterisk is OPTIONS'"),
    line(b"OPTIONS * HTTP/1.1", Passed(b"OPTIONS", b"*"), section="9112 3.2.4", words="the asterisk form"),
    line(b"OPTIONS *a HTTP/1.1", BAD, section="9112 3.2.4", words="more than an asterisk"),
    line(b"OPTIONS http://b HTTP/1.1", Passed(b"OPTIONS", b"*", has={b"host": [b"b"]}), section="9112 3.2.4",
         words="no path is the asterisk for the last proxy"),
    line(b"GET http://b/c?d HTTP/1.1", Passed(target=b"/c?d", has={b"host": [b"b"]}), section="9112 3.2.2",
         words="the absolute form's host replaces Host"),
    line(b"GET http://b HTTP/1.1", Passed(target=b"/", has={b"host": [b"b"]}), section="9112 3.2.1", words="no path is /"),
    line(b"GET http://b?c HTTP/1.1", Passed(target=b"/?c", has={b"host": [b"b"]}), section="9112 3.2.1", words="no path is /"),
    line(b"GET HTTP://B:8080/ HTTP/1.1", Passed(has={b"host": [b"B:8080"]}), Passed(has={b"host": [b"b:8080"]}),
         section="9110 4.2.3", words="a scheme's letters have no case"),
    line(b"GET http://[2001:db8::1]:80/ HTTP/1.1", Passed(has={b"host": [b"[2001:db8::1]:80"]}), section="3986 3.2.2", words="IPv6"),
    line(b"GET http:///a HTTP/1.1", BAD, section="9110 4.2.1", words="an empty host is invalid"),
    line(b"GET http:// HTTP/1.1", BAD, section="9110 4.2.1", words="an empty host is invalid"),
    line(b"GET http:/a HTTP/1.1", BAD, section="9112 3.2.2", words="no authority"),
    line(b"GET ftp://b/ HTTP/1.1", BAD, section="9112 3.2.2", words="a scheme that is not ours"),
    line(b"GET http://u:p@b/ HTTP/1.1", BAD, section="9110 4.2.4", words="user information is an error"),
    line(b"GET http://b:x/ HTTP/1.1", BAD, section="3986 3.2.3", words="a port is digits"),
    line(b"GET http://[::1/ HTTP/1.1", BAD, section="3986 3.2.2", words="a bracket that is not closed"),
    line(b"GET http://b c/ HTTP/1.1", BAD, section="9112 3.2", words="no white space"),
    Case("9112 3.2", "Host even with the absolute form", lines(b"GET http://b/ HTTP/1.1", ID), BAD),
    line(b"CONNECT a HTTP/1.1", BAD, section="9110 9.3.6", words="CONNECT without a port"),
    line(b"CONNECT a: HTTP/1.1", BAD, section="9110 9.3.6", words="CONNECT with an empty port"),
    line(b"CONNECT a:x HTTP/1.1", BAD, section="9110 9.3.6", words="CONNECT with a port that is none"),
    line(b"CONNECT a:65536 HTTP/1.1", BAD, section="9110 9.3.6", words="CONNECT with a port that is none"),
    line(b"CONNECT /a HTTP/1.1", BAD, section="9112 3.2.3", words="CONNECT with a path"),
    line(b"CONNECT http://a:80/ HTTP/1.1", BAD, section="9112 3.2.3", words="CONNECT in absolute form"),
]


def host(value, *outcomes, words="a malformed Host"):
    return Case("9112 3.2", words, lines(b"GET / HTTP/1.1", b"Host:" + value, ID), *outcomes)


HOSTS = [
    Case("9112 3.2", "no Host", lines(b"GET / HTTP/1.1", ID), BAD),
    Case("9112 3.2", "two of them", get(b"Host: b"), BAD),
    Case("9112 3.2", "two alike", get(b"Host: a"), BAD),
    Case("9112 3.2", "two in 1.0", request(b"GET / HTTP/1.0", b"Host: a"), BAD),
    Case("9112 3.2", "two, one of them named otherwise", get(b"HOST: b"), BAD),
    Case("9112 3.2", "Host last", lines(b"GET / HTTP/1.1", ID, b"Host: a"), Passed(has={b"host": [b"a"]})),
    host(b"", BAD, Passed(has={b"host": [b""]}), words="an empty Host"),
    host(b"\t a:8080 \t", Passed(has={b"host": [b"a:8080"]}), words="white space around it is not its own"),
    host(b" [2001:db8::1]", Passed(has={b"host": [b"[2001:db8::1]"]}), words="IPv6"),
    *[host(b" " + v, BAD) for v in (b"a b", b"a, b", b"a/b", b"http://a", b"u@a", b"a:b", b"a:80:80", b"[::1", b"::1", b"[::1]x",
                                    b"a?b", b"a#b", b"a\\b", b"a%zz", b"a\x01", b"a\xff", b"<a>", b"a\"")],
]

NAMES = [
    *[Case("9112 5.1", "white space in or around a name", get(v), BAD)
      for v in (b"X-A : b", b"X-A\t: b", b"X A: b", b"X-A  : b", b"Content-Length : 5", b"Transfer-Encoding : chunked")],
    *[Case("9110 5.1", "a name that is not a token", get(v), BAD)
      for v in (b": b", b"X-A", b"", b"X(A: b", b"X@A: b", b"X\x00A: b", b"X\x0bA: b", b"X\x7fA: b", b"X\xe4A: b", b"X/A: b", b"\"X\": b",
                b"X,A: b", b"X;A: b", b"{X}: b", b"X=A: b") if v],
    Case("9110 5.1", "all that a token has", get(b"X!#$%&'*+-.^_`|~9: b"), Passed(has={b"x!#$%&'*+-.^_`|~9": [b"b"]})),
    Case("9110 5.1", "fields that nobody knows are sent on, in their order", get(b"X-A: 1", b"X-B: 2", b"X-A: 3", b"x-a: 4"),
         Passed(has={b"x-a": [b"1", b"3", b"4"], b"x-b": [b"2"]})),
    *[Case("9110 5.5", "a control byte in a value", get(b"X-A: b" + v + b"c"), BAD) for v in (b"\x00", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x7f")],
    Case("9110 5.5", "tabs and bytes past ASCII", get(b"X-A:b\tc \xff\x80 d"), Passed(has={b"x-a": [b"b\tc \xff\x80 d"]})),
    Case("9110 5.5", "white space around a value is not its own", get(b"X-A: \t b c\t ", b"X-B:", b"X-C: \t"),
         Passed(has={b"x-a": [b"b c"], b"x-b": [b""], b"x-c": [b""]})),
    *[Case("9112 5.2", "folded", get(b"X-A: b\r\n" + v), BAD) for v in (b" c", b"\tc", b" ", b" X-B: d")],
    Case("9112 5.2", "folded with nothing before it", get(b"X-A:\r\n b"), BAD),
]

LENGTHS = [
    Case("9112 6.2", "a length", post(b"Content-Length: 5", body=b"hello"), Passed(b"POST", body=b"hello", has={b"content-length": [b"5"]})),
    Case("9112 6.2", "a length of nought", post(b"Content-Length: 0"), Passed(b"POST")),
    Case("9112 6.3", "neither: no body", post(), Passed(b"POST")),
    Case("9110 9.3.1", "GET with a body", get(b"Content-Length: 5") + b"hello", Passed(body=b"hello")),
    Case("9110 8.6", "leading noughts are digits", post(b"Content-Length: 005", body=b"hello"), Passed(b"POST", body=b"hello"), BAD),
    Case("9112 6.2", "a body in 1.0", request(b"POST / HTTP/1.0", b"Content-Length: 5", body=b"hello"),
         Passed(b"POST", body=b"hello", closes=True)),
    *[Case("9112 6.3", "a malformed length", post(b"Content-Length:" + v, body=b"hello"), BAD)
      for v in (b"", b" ", b" +5", b" -5", b" 5,5", b" 5, 6", b" 5 5", b" 0x5", b" 5;", b" five", b" 5.0", b" 1e1", b" \"5\"", b" ,5", b" 5\x0b",
                b" 18446744073709551616", b" 18446744073709551621", b" 99999999999999999999", b" 340282366920938463463374607431768211461")],
    Case("9112 6.3", "two lengths", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), BAD),
    Case("9112 6.3", "two equal lengths", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), BAD),
    Case("9112 6.3", "two, the second named otherwise", post(b"Content-Length: 5", b"content-length: 0", body=b"hello"), BAD),
]


def coding(*values, body=HELLO):
    return post(*[b"Transfer-Encoding:" + v for v in values], body=body)


CODINGS = [
    Case("9112 6.1", "chunked", coding(b" chunked"), Passed(b"POST", body=b"hello", lacks=[b"content-length"])),
    Case("9112 7", "its letters have no case", coding(b"\tCHUNKed "), Passed(b"POST", body=b"hello")),
    Case("9112 6.1", "and length", chunked(HELLO, b"Content-Length: 5"), BAD),
    Case("9112 6.1", "and length, the other way round", post(b"Content-Length: 15", b"Transfer-Encoding: chunked", body=HELLO), BAD),
    Case("9112 6.1", "in 1.0", request(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked", body=HELLO), BAD),
    *[Case("9112 6.3", "chunked is not the last", coding(v), BAD) for v in (b" chunked, gzip", b" gzip", b" identity", b"", b" chunked, identity")],
    *[Case("9112 6.1", "a coding that we do not know", coding(v), Refused(501, 400))
      for v in (b" gzip, chunked", b" x, chunked", b" identity, chunked", b" xchunked", b" chunkedx", b" chunked\x0b", b" \"chunked\"", b" chunked;q=1",
                b" chunked chunked", b" chun ked", b" 'chunked'")],
    *[Case("9112 6.1", "chunked more than once", coding(*v), BAD) for v in ((b" chunked, chunked",), (b" chunked", b" chunked"))],
    Case("9112 6.1", "two fields", coding(b" chunked", b" identity"), Refused(400, 501)),
    Case("9112 6.1", "two fields", coding(b" gzip", b" chunked"), Refused(400, 501)),
    *[Case("9110 5.6.1.2", "empty members of a list", coding(v), BAD, Passed(b"POST", body=b"hello")) for v in (b" ,chunked", b" chunked,")],
]


def body(data, *outcomes, words, section="9112 7.1"):
    return Case(section, words, chunked(data), *outcomes)


CHUNKS = [
    body(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", Passed(b"POST", body=b"hello"), words="two of them"),
    body(b"0\r\n\r\n", Passed(b"POST"), words="none"),
    body(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n00\r\n\r\n", Passed(b"POST", body=b"01234567890123456789a"), words="hexadecimal, last chunk 00"),
    body(b"0005\r\nhello\r\n0\r\n\r\n", Passed(b"POST", body=b"hello"), LATE, words="leading noughts"),
    body(b"4\r\n\r\n\r\n\r\n0\r\n\r\n", Passed(b"POST", body=b"\r\n\r\n"), words="data that looks like lines"),
    *[body(b"5" + v + b"\r\nhello\r\n0" + v + b"\r\n\r\n", Passed(b"POST", body=b"hello"), section="9112 7.1.1", words="extensions are ignored")
      for v in (b";a", b";a=b", b";a=b;c=\"d\"", b";a=\";\\\"x\"", b";a=\"\"")],
    body(b"5; a = b\r\nhello\r\n0\r\n\r\n", Passed(b"POST", body=b"hello"), section="9112 7.1.1", words="bad white space is parsed"),
    body(b"5 ;a\r\nhello\r\n0\r\n\r\n", LATE, Passed(b"POST", body=b"hello"), section="9112 7.1.1", words="where it is not safe it is not"),
    *[body(b"5" + v + b"\r\nhello\r\n0\r\n\r\n", LATE, section="9112 7.1.1", words="a malformed extension")
      for v in (b";", b";=b", b";a=", b";a=\"b", b";a b", b";a\x00", b";\x0ba", b";a=\"\n\"", b";a\rb", b";(a)", b",a", b" a")],
    *[body(v + b"\r\nhello\r\n0\r\n\r\n", LATE, words="a malformed size")
      for v in (b"", b" 5", b"5 ", b"\t5", b"5\t", b"+5", b"-5", b"0x5", b"5h", b"g", b"5.", b"5_0", b"\x005", b"5\x00", b"5\x0b", b"5,5",
                b"10000000000000005", b"ffffffffffffffffffff5", b"fffffffffffffffb", b"ffffffffffffffff")],
    *[body(v, LATE, words="a bad line end")
      for v in (b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n",
                b"5\r\nhello!\r\n0\r\n\r\n", b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\n\n",
                b"5\r\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\rX")],
    body(b"5\r\nhello\r\n0\r\nX-A: b\r\nX-B: c\r\n\r\n", Passed(b"POST", body=b"hello", trailers=[(b"x-a", b"b"), (b"x-b", b"c")]),
         section="9112 7.1.2", words="trailers"),
    *[body(b"5\r\nhello\r\n0\r\n" + v + b"\r\n\r\n", LATE, section="9110 6.5.1", words="a field that is not allowed there")
      for v in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: b", b"Connection: close", b"Authorization: x", b"Trailer: a",
                b"Content-Encoding: gzip", b"Expect: 100-continue")],
    *[body(b"5\r\nhello\r\n0\r\n" + v + b"\r\n\r\n", LATE, section="9112 5.1", words="a malformed trailer")
      for v in (b"X-A : b", b" X-A: b", b"X A: b", b"X-A", b": b", b"X-A: b\r\n c", b"X-A: b\nX-B: c", b"X-A: b\x00", b"X-A: b\rc", b"GET / HTTP/1.1")],
]

HOPS = [
    Case("9110 7.6.1", "what Connection names is not sent on", get(b"Connection: keep-alive, X-A , x-b", b"X-A: 1", b"X-B: 2", b"X-C: 3", b"X-B: 4"),
         Passed(has={b"x-c": [b"3"]}, lacks=[b"x-a", b"x-b", b"keep-alive"])),
    Case("9110 7.6.1", "over several fields, with empty members", get(b"Connection: ,X-A,, ", b"X-A: 1", b"Connection:x-b", b"X-B: 2"),
         Passed(lacks=[b"x-a", b"x-b"])),
    Case("9110 7.6.1", "named after it came", get(b"X-A: 1", b"Connection: x-a"), Passed(lacks=[b"x-a"])),
    Case("9110 7.6.1", "fields of one connection", get(b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive"),
         Passed(lacks=[b"keep-alive", b"proxy-connection"])),
    Case("9110 7.8", "Upgrade without Connection", get(b"Upgrade: websocket"), Passed(lacks=[b"upgrade"])),
    Case("9110 7.8", "Upgrade in 1.0 is ignored", request(b"GET / HTTP/1.0", b"Connection: upgrade", b"Upgrade: websocket"),
         Passed(lacks=[b"upgrade"], closes=True)),
    *[Case("9110 7.6.1", "Connection names a field that is for all", post(b"Content-Length: 5", b"Connection: " + v, body=b"hello"),
           BAD, Passed(b"POST", body=b"hello", has={b"host": [b"a"]})) for v in (b"Host", b"Content-Length", b"close, content-length, host")],
    Case("9112 9.6", "close", get(b"Connection: close"), Passed(closes=True)),
    Case("9112 9.6", "close among others, in other letters", get(b"Connection: x , Close"), Passed(closes=True)),
    Case("9112 9.6", "close after a body", post(b"Content-Length: 5", b"Connection: close", body=b"hello"), Passed(b"POST", body=b"hello", closes=True)),
    Case("9110 10.1.4", "TE is of one connection", get(b"TE: trailers, deflate;q=0.5", b"Connection: TE"), Passed(lacks=[b"te"]), Passed(has={b"te": [b"trailers"]})),
    Case("9110 10.1.1", "an expectation", post(b"Content-Length: 5", b"Expect: 100-continue", body=b"hello"), Passed(b"POST", body=b"hello")),
    Case("9110 10.1.1", "its letters have no case", post(b"Content-Length: 5", b"Expect: 100-Continue", body=b"hello"), Passed(b"POST", body=b"hello")),
    Case("9110 10.1.1", "ignored in 1.0", request(b"POST / HTTP/1.0", b"Content-Length: 5", b"Expect: 100-continue", body=b"hello"),
         Passed(b"POST", body=b"hello", closes=True)),
    Case("9110 10.1.1", "one that we do not know", get(b"Expect: more"), Passed(), Answered(417)),
    Case("9110 7.6.2", "Max-Forwards is lowered", request(b"OPTIONS / HTTP/1.1", b"Max-Forwards: 5"), Passed(b"OPTIONS", has={b"max-forwards": [b"4"]})),
    Case("9110 7.6.2", "Max-Forwards of nought", request(b"OPTIONS / HTTP/1.1", b"Max-Forwards: 0"), Answered(200, 204)),
    Case("9110 7.6.2", "Max-Forwards of nought", request(b"TRACE / HTTP/1.1", b"Max-Forwards: 0"), Answered(200, 405, 501)),
    Case("9110 7.6.2", "Max-Forwards is for two methods", get(b"Max-Forwards: 0"), Passed(has={b"max-forwards": [b"0"]})),
    Case("9110 9.3.8", "TRACE is sent on", request(b"TRACE / HTTP/1.1"), Passed(b"TRACE"), Answered(405, 501)),
    Case("9110 9.3.2", "HEAD", request(b"HEAD / HTTP/1.1"), Passed(b"HEAD"), method=b"HEAD"),
    Case("9110 7.6.3", "Via is kept", get(b"Via: 1.0 b, 1.1 c"), Passed(has={b"via": [b"1.0 b, 1.1 c"]}), Passed(has={b"via": [b"1.0 b, 1.1 c, 1.1 meshd"]})),
    Case("9110 7.7", "what is about the content is not touched", get(b"Cache-Control: no-transform", b"Range: bytes=1-2", b"If-Match: \"a\"", b"Accept-Encoding: gzip"),
         Passed(has={b"range": [b"bytes=1-2"], b"if-match": [b"\"a\""], b"accept-encoding": [b"gzip"], b"cache-control": [b"no-transform"]})),
]

REQUESTS = LINES + TARGETS + HOSTS + NAMES + LENGTHS + CODINGS + CHUNKS + HOPS
