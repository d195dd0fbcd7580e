/* worker/http1.h: requests that are taken, and those that are refused, with the section that says so. */
#include "t/unit/worker/http1_rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct feed requests = { .request = true, .limits = { 8192, 61440, 100, 256, 4096, 0 } };

#define ROWS(rows) check_rows(&requests, rows, sizeof(rows) / sizeof(rows[0]))
#define GET  "GET / HTTP/1.1\r\n"
#define HOST "Host: a.example\r\n"
#define POST "POST /x HTTP/1.1\r\n" HOST
#define END  "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

Test(http1_requests, start_lines)	/* RFC 9112 2.2, 2.3, 3 */
{
	static const struct http1_row rows[] = {
		{ "the least", BYTES(GET HOST END), "request GET / 1.1\nform origin\npath /\nquery \nauthority a.example\nflags keep\nbody none\nend" },
		{ "one empty line before", BYTES("\r\n" GET HOST END), "request GET / 1.1" },
		{ "two empty lines before", BYTES("\r\n\r\n" GET HOST END), "BAD_EMPTY_LINES" },
		{ "an empty line, then nothing", BYTES("\r\n"), "more" },
		{ "a bare LF before", BYTES("\n" GET HOST END), "BAD_LINE_END" },
		{ "a space before", BYTES(" " GET HOST END), "BAD_METHOD" },
		{ "cut within", BYTES(GET "Ho"), "more" },
		{ "1.0", BYTES("GET /x HTTP/1.0\r\n\r\n"), "request GET /x 1.0\nauthority \nflags\nbody none\nend" },
		{ "1.0, kept", BYTES("GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "request GET /x 1.0\nflags keep" },
		{ "1.2 is taken for 1.1", BYTES("GET / HTTP/1.2\r\n" HOST END), "request GET / 1.1" },
		{ "2.0", BYTES("GET / HTTP/2.0\r\n" HOST END), "BAD_VERSION" },
		{ "the preface of HTTP/2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "BAD_VERSION" },
		{ "0.9 with a version", BYTES("GET / HTTP/0.9\r\n" HOST END), "BAD_VERSION" },
		{ "0.9", BYTES("GET /\r\n" HOST END), "BAD_START_LINE" },
		{ "junk after the version", BYTES("GET / HTTP/1.1 \r\n" HOST END), "BAD_START_LINE" },
		{ "11", BYTES("GET / HTTP/11\r\n" HOST END), "BAD_START_LINE" },
		{ "1.10", BYTES("GET / HTTP/1.10\r\n" HOST END), "BAD_START_LINE" },
		{ "1,1", BYTES("GET / HTTP/1,1\r\n" HOST END), "BAD_START_LINE" },
		{ "lower case", BYTES("GET / http/1.1\r\n" HOST END), "BAD_START_LINE" },
		{ "another protocol", BYTES("OPTIONS / RTSP/1.0\r\n" HOST END), "BAD_START_LINE" },
		{ "no target", BYTES("GET HTTP/1.1\r\n" HOST END), "BAD_START_LINE" },
		{ "no target, two spaces", BYTES("GET  HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "two spaces after the method", BYTES("GET  / HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "two spaces before the version", BYTES("GET /  HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "HTAB after the method", BYTES("GET\t/ HTTP/1.1\r\n" HOST END), "BAD_METHOD" },
		{ "HTAB before the version", BYTES("GET /\tHTTP/1.1\r\n" HOST END), "BAD_START_LINE" },
		{ "bare LF", BYTES("GET / HTTP/1.1\nHost: a\r\n" END), "BAD_LINE_END" },
		{ "bare CR", BYTES("GET / HTTP/1.1\rHost: a\r\n" END), "BAD_LINE_END" },
		{ "CR CR LF", BYTES("GET / HTTP/1.1\r\r\n" HOST END), "BAD_LINE_END" },
		{ "NUL", BYTES("GET /\0 HTTP/1.1\r\n" HOST END), "BAD_LINE_END" },
		{ "a control byte", BYTES("GET /\x01 HTTP/1.1\r\n" HOST END), "BAD_START_LINE" },
		{ "DEL", BYTES("GET /\x7f HTTP/1.1\r\n" HOST END), "BAD_START_LINE" },
		{ "any token is a method", BYTES("M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1\r\n" HOST END), "request M-SEARCH!#$%&'*+.^_`|~ / 1.1" },
		{ "methods have a case", BYTES("get / HTTP/1.1\r\n" HOST END), "request get / 1.1" },
		{ "one that is none", BYTES("GE(T / HTTP/1.1\r\n" HOST END), "BAD_METHOD" },
		{ "one that ends in a colon", BYTES("GET: / HTTP/1.1\r\n" HOST END), "BAD_METHOD" },
		{ "TLS", BYTES("\x16\x03\x01\x02\x00\x01\x00"), "BAD_START_LINE" },
	};

	ROWS(rows);
}

Test(http1_requests, targets)	/* RFC 9112 3.2 */
{
	static const struct http1_row rows[] = {
		{ "query", BYTES("GET /a/b?c=d?e HTTP/1.1\r\n" HOST END), "path /a/b\nquery ?c=d?e" },
		{ "empty query", BYTES("GET /? HTTP/1.1\r\n" HOST END), "path /\nquery ?" },
		{ "two slashes", BYTES("GET //b HTTP/1.1\r\n" HOST END), "form origin\npath //b" },
		{ "what browsers do not encode", BYTES("GET /\"<>[]\\^`{|}%zz HTTP/1.1\r\n" HOST END), "path /\"<>[]\\x5c^`{|}%zz" },
		{ "fragment", BYTES("GET /#f HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "not ASCII", BYTES("GET /\xc3\xa9 HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "a space within", BYTES("GET /a b HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "two request lines in one", BYTES("GET /a HTTP/1.1 /b HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "relative", BYTES("GET x HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "a query alone", BYTES("GET ?x HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "absolute: its authority wins over Host", BYTES("GET http://b.example:81/x?y HTTP/1.1\r\n" HOST END),
		    "form absolute\npath /x\nquery ?y\nauthority b.example:81\nfield Host: a.example" },
		{ "absolute, malformed Host", BYTES("GET http://b.example/ HTTP/1.1\r\nHost: a b\r\n" END), "BAD_HOST" },
		{ "absolute, no Host", BYTES("GET http://b.example/ HTTP/1.1\r\n" END), "BAD_HOST_MISSING" },
		{ "absolute, two Hosts", BYTES("GET http://b.example/ HTTP/1.1\r\n" HOST HOST END), "BAD_HOST_REPEATED" },
		{ "absolute, 1.0", BYTES("GET http://b.example/ HTTP/1.0\r\n" END), "path /\nauthority b.example" },
		{ "schemes have no case", BYTES("GET HtTpS://b/ HTTP/1.1\r\n" HOST END), "form absolute https\npath /" },
		{ "absolute without a path", BYTES("GET http://b HTTP/1.1\r\n" HOST END), "form absolute\npath /\nquery \nauthority b" },
		{ "absolute with a query only", BYTES("GET http://b?x HTTP/1.1\r\n" HOST END), "form absolute\npath /\nquery ?x\nauthority b" },
		{ "OPTIONS of a whole server", BYTES("OPTIONS http://b HTTP/1.1\r\n" HOST END), "form absolute\npath *\nauthority b" },
		{ "OPTIONS of its root", BYTES("OPTIONS http://b/ HTTP/1.1\r\n" HOST END), "form absolute\npath /\nauthority b" },
		{ "absolute without a host", BYTES("GET http:///x HTTP/1.1\r\n" HOST END), "BAD_HOST" },
		{ "absolute with a user", BYTES("GET http://a@b/ HTTP/1.1\r\n" HOST END), "BAD_HOST" },
		{ "absolute with a bad port", BYTES("GET http://b:8x/ HTTP/1.1\r\n" HOST END), "BAD_HOST" },
		{ "another scheme", BYTES("GET ftp://b/ HTTP/1.1\r\n" HOST END), "BAD_SCHEME" },
		{ "a scheme and one slash", BYTES("GET http:/b/ HTTP/1.1\r\n" HOST END), "BAD_SCHEME" },
		{ "asterisk", BYTES("OPTIONS * HTTP/1.1\r\n" HOST END), "form asterisk\npath *\nauthority a.example" },
		{ "asterisk with another method", BYTES("GET * HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "asterisk and more", BYTES("OPTIONS *x HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "authority", BYTES("CONNECT b.example:443 HTTP/1.1\r\n" HOST END "\x16\x03"), "form authority\npath \nauthority b.example:443\nbody none" },
		{ "authority of IPv6", BYTES("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n" HOST END), "authority [2001:db8::1]:443" },
		{ "CONNECT without a port", BYTES("CONNECT b.example HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "CONNECT with an empty port", BYTES("CONNECT b.example: HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "CONNECT to a path", BYTES("CONNECT / HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "CONNECT in absolute form", BYTES("CONNECT http://b:443/ HTTP/1.1\r\n" HOST END), "BAD_TARGET" },
		{ "authority with another method", BYTES("GET b.example:443 HTTP/1.1\r\n" HOST END), "BAD_SCHEME" },
	};

	ROWS(rows);
}

Test(http1_requests, hosts)	/* RFC 9112 3.2, RFC 9110 7.2 */
{
	static const struct http1_row rows[] = {
		{ "none", BYTES(GET END), "BAD_HOST_MISSING" },
		{ "two", BYTES(GET HOST "host: b\r\n" END), "BAD_HOST_REPEATED" },
		{ "two equal ones", BYTES(GET HOST HOST END), "BAD_HOST_REPEATED" },
		{ "two in 1.0", BYTES("GET / HTTP/1.0\r\n" HOST HOST END), "BAD_HOST_REPEATED" },
		{ "empty", BYTES(GET "Host:\r\n" END), "BAD_HOST" },
		{ "white space only", BYTES(GET "Host: \t \r\n" END), "BAD_HOST" },
		{ "malformed in 1.0", BYTES("GET / HTTP/1.0\r\nHost: a/b\r\n" END), "BAD_HOST" },
		{ "a port", BYTES(GET "Host: a:8080\r\n" END), "authority a:8080" },
		{ "an empty port", BYTES(GET "Host: a:\r\n" END), "authority a:" },
		{ "the last port", BYTES(GET "Host: a:65535\r\n" END), "authority a:65535" },
		{ "no port", BYTES(GET "Host: a:65536\r\n" END), "BAD_HOST" },
		{ "a port that overflows", BYTES(GET "Host: a:4294967376\r\n" END), "BAD_HOST" },
		{ "a signed port", BYTES(GET "Host: a:+80\r\n" END), "BAD_HOST" },
		{ "only a port", BYTES(GET "Host: :80\r\n" END), "BAD_HOST" },
		{ "two ports", BYTES(GET "Host: a:80:80\r\n" END), "BAD_HOST" },
		{ "IPv6", BYTES(GET "Host: [::1]:80\r\n" END), "authority [::1]:80" },
		{ "IPv6, cut", BYTES(GET "Host: [::1\r\n" END), "BAD_HOST" },
		{ "IPv6, junk after it", BYTES(GET "Host: [::1]x\r\n" END), "BAD_HOST" },
		{ "IPv6 without brackets", BYTES(GET "Host: ::1\r\n" END), "BAD_HOST" },
		{ "brackets around nothing", BYTES(GET "Host: []\r\n" END), "BAD_HOST" },
		{ "brackets around a name", BYTES(GET "Host: [abc]\r\n" END), "BAD_HOST" },
		{ "what names may have", BYTES(GET "Host: a-_.~!$&'()*+,;=%2F\r\n" END), "authority a-_.~!$&'()*+,;=%2F" },
		{ "bad encoding", BYTES(GET "Host: a%2\r\n" END), "BAD_HOST" },
		{ "a list", BYTES(GET "Host: a, b\r\n" END), "BAD_HOST" },
		{ "a path", BYTES(GET "Host: a/\r\n" END), "BAD_HOST" },
		{ "a user", BYTES(GET "Host: u@a\r\n" END), "BAD_HOST" },
		{ "a scheme", BYTES(GET "Host: http://a\r\n" END), "BAD_HOST" },
		{ "a query", BYTES(GET "Host: a?b\r\n" END), "BAD_HOST" },
		{ "a backslash", BYTES(GET "Host: a\\b\r\n" END), "BAD_HOST" },
		{ "not ASCII", BYTES(GET "Host: \xc3\xa9\r\n" END), "BAD_HOST" },
	};

	ROWS(rows);
}

Test(http1_requests, fields)	/* RFC 9112 5, RFC 9110 5.5 */
{
	static const struct http1_row rows[] = {
		{ "white space around a value", BYTES(GET HOST "A: \t b c \t\r\nB:d\r\n" END), "field A: b c\nfield B: d" },
		{ "empty values", BYTES(GET HOST "A:\r\nB: \r\nC:\t \r\n" END), "field A: \nfield B: \nfield C: " },
		{ "HTAB and obs-text", BYTES(GET HOST "A: b\tc\x80\xff\r\n" END), "field A: b\\x09c\\x80\\xff" },
		{ "a colon in a value", BYTES(GET HOST "A::b:\r\n" END), "field A: :b:" },
		{ "repeated", BYTES(GET HOST "A: b\r\na: c\r\n" END), "field A: b\nfield a: c" },
		{ "obs-fold with a space", BYTES(GET HOST "A: b\r\n c\r\n" END), "BAD_FOLD" },
		{ "obs-fold with HTAB", BYTES(GET HOST "A: b\r\n\tc\r\n" END), "BAD_FOLD" },
		{ "obs-fold of nothing", BYTES(GET HOST "A: b\r\n \r\n" END), "BAD_FOLD" },
		{ "white space before the first field", BYTES(GET " A: b\r\n" HOST END), "BAD_FOLD" },
		{ "a space before the colon", BYTES(GET HOST "A : b\r\n" END), "BAD_FIELD_NAME" },
		{ "HTAB before the colon", BYTES(GET HOST "A\t: b\r\n" END), "BAD_FIELD_NAME" },
		{ "a space before the colon of Content-Length", BYTES(POST "Content-Length : 5\r\n" END "hello"), "BAD_FIELD_NAME" },
		{ "a space before the colon of Transfer-Encoding", BYTES(POST "Transfer-Encoding : chunked\r\n" END "0\r\n\r\n"), "BAD_FIELD_NAME" },
		{ "a space in a name", BYTES(GET HOST "A B: c\r\n" END), "BAD_FIELD_NAME" },
		{ "an empty name", BYTES(GET HOST ": b\r\n" END), "BAD_FIELD_NAME" },
		{ "an empty first name", BYTES(GET ": b\r\n" HOST END), "BAD_FIELD_NAME" },
		{ "no colon", BYTES(GET HOST "A\r\n" END), "BAD_FIELD_NAME" },
		{ "no colon first", BYTES(GET "A\r\n" HOST END), "BAD_FIELD_NAME" },
		{ "not ASCII in a name", BYTES(GET HOST "\xc3\xa9: b\r\n" END), "BAD_FIELD_NAME" },
		{ "a bracket in a name", BYTES(GET HOST "A(: b\r\n" END), "BAD_FIELD_NAME" },
		{ "NUL in a name", BYTES(GET HOST "A\0: b\r\n" END), "BAD_LINE_END" },
		{ "NUL in a value", BYTES(GET HOST "A: b\0c\r\n" END), "BAD_LINE_END" },
		{ "NUL begins a line", BYTES(GET HOST "\0A: b\r\n" END), "BAD_LINE_END" },
		{ "a control byte begins a line", BYTES(GET HOST "\x0b" "A: b\r\n" END), "BAD_FIELD_NAME" },
		{ "a control byte in a value", BYTES(GET HOST "A: b\x0b\r\n" END), "BAD_FIELD_VALUE" },
		{ "DEL in a value", BYTES(GET HOST "A: b\x7f\r\n" END), "BAD_FIELD_VALUE" },
		{ "bare CR in a value", BYTES(GET HOST "A: b\rc\r\n" END), "BAD_LINE_END" },
		{ "bare CR ends a value", BYTES(GET HOST "A: b\rB: c\r\n" END), "BAD_LINE_END" },
		{ "bare LF ends a value", BYTES(GET HOST "A: b\nB: c\r\n" END), "BAD_LINE_END" },
		{ "bare LF ends the head", BYTES(GET HOST "A: b\r\n\n"), "BAD_LINE_END" },
		{ "LF CR", BYTES(GET HOST "A: b\n\r\n"), "BAD_LINE_END" },
		{ "CR CR LF ends the head", BYTES(GET HOST "\r\r\n"), "BAD_LINE_END" },
		{ "CR and more where the head ends", BYTES(GET HOST "\rA: b\r\n" END), "BAD_LINE_END" },
	};

	ROWS(rows);
}

Test(http1_requests, framing)	/* RFC 9112 6, RFC 9110 8.6 */
{
	static const struct http1_row rows[] = {
		{ "length", BYTES(POST "Content-Length: 5\r\n" END "hello"), "body length 5\ndata hello\nend" },
		{ "length 0", BYTES(POST "Content-Length: 0\r\n" END), "body length 0\nend" },
		{ "of GET too", BYTES(GET HOST "content-length: 1\r\n" END "x"), "body length 1\ndata x\nend" },
		{ "leading noughts", BYTES(POST "Content-Length: 0005\r\n" END "hello"), "body length 5" },
		{ "chunked", BYTES(POST CHUNKED END "5\r\nhello\r\n0\r\n\r\n"), "body chunked\ndata hello\nend" },
		{ "chunked in any case", BYTES(POST "TRANSFER-ENCODING: ChunkeD\r\n" END "0\r\n\r\n"), "body chunked\nend" },
		{ "neither", BYTES(POST END), "body none\nend" },
		{ "pipelined", BYTES(POST "Content-Length: 1\r\n" END "x" POST CHUNKED END "1\r\ny\r\n0\r\n\r\n" GET HOST END),
		    "data x\nend\nrequest POST /x 1.1\ndata y\nend\nrequest GET / 1.1\nend" },
		{ "cut", BYTES(POST "Content-Length: 5\r\n" END "hell"), "BAD_CUT" },
		{ "both", BYTES(POST "Content-Length: 5\r\n" CHUNKED END "0\r\n\r\n"), "BAD_LENGTH_AND_CODING" },
		{ "both, the other way round", BYTES(POST CHUNKED "Content-Length: 5\r\n" END "0\r\n\r\n"), "BAD_LENGTH_AND_CODING" },
		{ "two lengths", BYTES(POST "Content-Length: 5\r\nContent-Length: 6\r\n" END "hello"), "BAD_LENGTH_REPEATED" },
		{ "two equal lengths", BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END "hello"), "BAD_LENGTH_REPEATED" },
		{ "a list", BYTES(POST "Content-Length: 5, 5\r\n" END "hello"), "BAD_LENGTH" },
		{ "a list without spaces", BYTES(POST "Content-Length: 5,5\r\n" END "hello"), "BAD_LENGTH" },
		{ "two numbers", BYTES(POST "Content-Length: 5 5\r\n" END "hello"), "BAD_LENGTH" },
		{ "plus", BYTES(POST "Content-Length: +5\r\n" END "hello"), "BAD_LENGTH" },
		{ "minus", BYTES(POST "Content-Length: -5\r\n" END "hello"), "BAD_LENGTH" },
		{ "minus nought", BYTES(POST "Content-Length: -0\r\n" END), "BAD_LENGTH" },
		{ "hex", BYTES(POST "Content-Length: 0x5\r\n" END "hello"), "BAD_LENGTH" },
		{ "a fraction", BYTES(POST "Content-Length: 5.0\r\n" END "hello"), "BAD_LENGTH" },
		{ "empty", BYTES(POST "Content-Length:\r\n" END "hello"), "BAD_LENGTH" },
		{ "quoted", BYTES(POST "Content-Length: \"5\"\r\n" END "hello"), "BAD_LENGTH" },
		{ "white space around it", BYTES(POST "Content-Length: \t 5  \r\n" END "hello"), "body length 5" },
		{ "2^63", BYTES(POST "Content-Length: 9223372036854775808\r\n" END), "BAD_LENGTH" },
		{ "2^64", BYTES(POST "Content-Length: 18446744073709551616\r\n" END), "BAD_LENGTH" },
		{ "2^64 and 5", BYTES(POST "Content-Length: 18446744073709551621\r\n" END "hello"), "BAD_LENGTH" },
		{ "enormous", BYTES(POST "Content-Length: 99999999999999999999999999999999999\r\n" END), "BAD_LENGTH" },
		{ "two codings in two fields", BYTES(POST CHUNKED CHUNKED END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "an empty second one", BYTES(POST CHUNKED "Transfer-Encoding:\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "twice", BYTES(POST "Transfer-Encoding: chunked, chunked\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "twice, with another between", BYTES(POST "Transfer-Encoding: chunked, gzip, chunked\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "gzip, chunked", BYTES(POST "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n\r\n"), "BAD_CODING" },
		{ "gzip,chunked", BYTES(POST "Transfer-Encoding: gzip,chunked\r\n" END "0\r\n\r\n"), "BAD_CODING" },
		{ "not last", BYTES(POST "Transfer-Encoding: chunked, gzip\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "gzip", BYTES(POST "Transfer-Encoding: gzip\r\n" END "x"), "BAD_CODING_ORDER" },
		{ "identity", BYTES(POST "Transfer-Encoding: identity\r\n" END "x"), "BAD_CODING_ORDER" },
		{ "xchunked", BYTES(POST "Transfer-Encoding: xchunked\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "x chunked", BYTES(POST "Transfer-Encoding: x chunked\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "chunkedx", BYTES(POST "Transfer-Encoding: chunkedx\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "a parameter", BYTES(POST "Transfer-Encoding: chunked;a=b\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "quoted coding", BYTES(POST "Transfer-Encoding: \"chunked\"\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "an empty element before", BYTES(POST "Transfer-Encoding: ,chunked\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "an empty element after", BYTES(POST "Transfer-Encoding: chunked,\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "empty coding", BYTES(POST "Transfer-Encoding:\r\n" END "x"), "BAD_CODING_ORDER" },
		{ "a control byte after it", BYTES(POST "Transfer-Encoding: chunked\x0b\r\n" END "0\r\n\r\n"), "BAD_FIELD_VALUE" },
		{ "obs-text after it", BYTES(POST "Transfer-Encoding: chunked\xa0\r\n" END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "coding in 1.0", BYTES("POST /x HTTP/1.0\r\n" CHUNKED END "0\r\n\r\n"), "BAD_CODING_FORBIDDEN" },
		{ "CONNECT with length 0", BYTES("CONNECT b:1 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END), "body none" },
		{ "CONNECT with a length", BYTES("CONNECT b:1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END "hello"), "BAD_LENGTH_FORBIDDEN" },
		{ "CONNECT with a coding", BYTES("CONNECT b:1 HTTP/1.1\r\n" HOST CHUNKED END "0\r\n\r\n"), "BAD_CODING_FORBIDDEN" },
		{ "an underscore is not a hyphen", BYTES(GET HOST "Content_Length: 5\r\n" END), "field Content_Length: 5\nend" },
	};

	ROWS(rows);
}

Test(http1_requests, connection)	/* RFC 9110 7.6.1, 7.8, 10.1; RFC 9112 9.3 */
{
	static const struct http1_row rows[] = {
		{ "close", BYTES(GET HOST "Connection: Close\r\n" END), "flags\ngone Connection: Close" },
		{ "close wins", BYTES(GET HOST "Connection: keep-alive, close\r\n" END), "flags" },
		{ "in two fields", BYTES(GET HOST "Connection: keep-alive\r\nConnection: ,close,\r\n" END), "flags" },
		{ "what it names goes", BYTES(GET HOST "A: b\r\nConnection: a, B\r\nb: c\r\nD: e\r\n" END), "gone A: b\ngone b: c\nfield D: e" },
		{ "well-known names too", BYTES(GET HOST "Connection: X-Forwarded-For\r\nX-Forwarded-For: b\r\n" END), "gone X-Forwarded-For: b" },
		{ "fields of one connection", BYTES(GET HOST "Keep-Alive: 5\r\nProxy-Connection: a\r\nTE: trailers\r\nUpgrade: b\r\n" END),
		    "flags keep trailers\ngone Keep-Alive: 5\ngone Proxy-Connection: a\ngone TE: trailers\ngone Upgrade: b" },
		{ "those for the origin pass", BYTES(GET HOST "Proxy-Authorization: a\r\nTrailer: b\r\nCookie: c\r\n" END),
		    "field Proxy-Authorization: a\nfield Trailer: b\nfield Cookie: c" },
		{ "Host is for all", BYTES(GET HOST "Connection: host\r\n" END), "BAD_CONNECTION" },
		{ "Content-Length is for all", BYTES(POST "Content-Length: 5\r\nConnection: close, Content-Length\r\n" END "hello"), "BAD_CONNECTION" },
		{ "Transfer-Encoding is ours anyway", BYTES(POST CHUNKED "Connection: Transfer-Encoding\r\n" END "0\r\n\r\n"), "body chunked\nend" },
		{ "not tokens", BYTES(GET HOST "Connection: close;x\r\n" END), "BAD_OPTIONS" },
		{ "32 options", BYTES(GET HOST "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5\r\n" END), "end" },
		{ "33 options", BYTES(GET HOST "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5,6\r\n" END), "BAD_OPTIONS" },
		{ "upgrade", BYTES(GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n" END), "flags keep upgrade\ngone Upgrade: websocket" },
		{ "upgrade without its option", BYTES(GET HOST "Upgrade: websocket\r\n" END), "flags keep" },
		{ "its option without upgrade", BYTES(GET HOST "Connection: upgrade\r\n" END), "flags keep" },
		{ "upgrade in 1.0", BYTES("GET / HTTP/1.0\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n" END), "flags" },
		{ "h2c", BYTES(GET HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n" END), "gone HTTP2-Settings: x" },
		{ "expect", BYTES(POST "Content-Length: 5\r\nExpect: 100-Continue\r\n" END "hello"), "flags keep expect\nfield Expect: 100-Continue" },
		{ "expect, chunked", BYTES(POST CHUNKED "Expect: 100-continue\r\n" END "0\r\n\r\n"), "flags keep expect" },
		{ "expect without a body", BYTES(POST "Expect: 100-continue\r\n" END), "flags keep" },
		{ "expect in 1.0", BYTES("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n" END "x"), "flags" },
		{ "expect something else", BYTES(POST "Content-Length: 1\r\nExpect: x\r\n" END "x"), "flags keep" },
		{ "trailers among others", BYTES(GET HOST "TE: gzip;q=0.5, trailers ;q=1\r\n" END), "flags keep trailers" },
		{ "no trailers", BYTES(GET HOST "TE: gzip\r\n" END), "flags keep" },
	};

	ROWS(rows);
}

static char *limited(struct http1_limits limits, const char *bytes)
{
	struct feed f = { .request = true, .limits = limits };
	char *whole = feed_bytes(&f, bytes, strlen(bytes), NULL), *slow;

	f.first = f.piece = 1;
	slow = feed_bytes(&f, bytes, strlen(bytes), NULL);
	cr_expect_str_eq(whole, slow);
	free(slow);
	return whole;
}

Test(http1_requests, limits_hold_to_the_byte)
{
	static const char bytes[] = "\r\nGET /0123456789 HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";
	const uint32_t line = 24, head = sizeof(bytes) - 3;
	static const struct {
		int line, head, fields;
		const char *want;
	} rows[] = {
		{ 0, 0, 0, "request" }, { -1, 0, 0, "BAD_LINE_LONG" }, { 0, -1, 0, "BAD_HEAD_LONG" }, { 0, 0, -1, "BAD_FIELD_COUNT" },
		{ 1000, -30, 0, "BAD_HEAD_LONG" }, { 0, -3, 0, "BAD_HEAD_LONG" }, { 0, -2, 0, "BAD_HEAD_LONG" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http1_limits l = { .line_bytes = line + (uint32_t)rows[i].line, .head_bytes = head + (uint32_t)rows[i].head,
			.fields = (uint16_t)(2 + rows[i].fields) };
		char *text = limited(l, bytes);

		cr_expect_eq(strncmp(text, rows[i].want, strlen(rows[i].want)), 0, "row %zu: %s", i, text);
		free(text);
	}
}

/* Each byte that is not a token's, anywhere in a name, and each that is. */
Test(http1_requests, every_byte_in_names_and_values)
{
	static const char tokens[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (int c = 0; c < 256; c++) {
		for (int at = 0; at < 4; at++) {
			char bytes[] = GET HOST "abc: def\r\n\r\n";
			char *place = strstr(bytes, at < 3 ? "abc" : "def") + (at < 3 ? at : 1), *text;
			bool good = at < 3 ? c != 0 && strchr(tokens, c) != NULL : (c >= ' ' && c != 0x7f) || c == '\t';

			if (at > 0 && at < 3 && c == ':')
				good = true;	/* the name ends earlier */
			*place = (char)c;
			text = feed_bytes(&requests, bytes, sizeof(bytes) - 1, NULL);
			cr_expect_eq(strstr(text, "BAD_") == NULL, good, "byte %02x at %d: %s", (unsigned)c, at, text);
			free(text);
		}
	}
}

Test(http1_requests, every_byte_in_methods_and_targets)
{
	static const char tokens[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (int c = 0; c < 256; c++) {
		for (int at = 0; at < 2; at++) {
			char bytes[] = "GxT /a HTTP/1.1\r\n" HOST END, *text;
			bool good = at == 0 ? c != 0 && strchr(tokens, c) != NULL : c > ' ' && c < 0x7f && c != '#';

			bytes[at == 0 ? 1 : 5] = (char)c;
			text = feed_bytes(&requests, bytes, sizeof(bytes) - 1, NULL);
			cr_expect_eq(strstr(text, "BAD_") == NULL, good, "byte %02x: %s", (unsigned)c, text);
			free(text);
		}
	}
}
