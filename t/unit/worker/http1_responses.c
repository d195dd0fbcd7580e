/* worker/http1.h: responses that are taken, and those that are refused, with the section that says so. */
#include "t/unit/worker/http1_rows.h"

#include <criterion/criterion.h>

#define LIMITS { 8192, 61440, 100, 256, 4096, 0 }
static const struct feed to_get = { .asked = { METHOD_GET, false }, .limits = LIMITS };
static const struct feed to_head = { .asked = { METHOD_HEAD, false }, .limits = LIMITS };
static const struct feed to_connect = { .asked = { METHOD_CONNECT, false }, .limits = LIMITS };
static const struct feed to_upgrade = { .asked = { METHOD_GET, true }, .limits = LIMITS };

#define ROWS(feed, rows) check_rows(feed, rows, sizeof(rows) / sizeof(rows[0]))
#define OK   "HTTP/1.1 200 OK\r\n"
#define NONE "HTTP/1.1 204 No Content\r\n"
#define END  "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define LENGTH "Content-Length: 5\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Connection: upgrade\r\nUpgrade: websocket\r\n"

Test(http1_responses, status_lines)	/* RFC 9112 4 */
{
	static const struct http1_row rows[] = {
		{ "the usual", BYTES(OK LENGTH END "hello"), "response 200 1.1 OK\nflags keep\nbody length 5\ndata hello\nend" },
		{ "1.0", BYTES("HTTP/1.0 200 OK\r\n" LENGTH END "hello"), "response 200 1.0 OK\nflags\nbody length 5\ndata hello\nend" },
		{ "1.0, kept", BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" LENGTH END "hello"), "flags keep" },
		{ "1.3", BYTES("HTTP/1.3 200 OK\r\n" LENGTH END "hello"), "response 200 1.1 OK" },
		{ "no reason", BYTES("HTTP/1.1 200 \r\n" LENGTH END "hello"), "response 200 1.1 " },
		{ "no reason, no space", BYTES("HTTP/1.1 200\r\n" LENGTH END "hello"), "response 200 1.1 " },
		{ "any reason", BYTES("HTTP/1.1 200  a\t\xff\r\n" LENGTH END "hello"), "response 200 1.1  a\\x09\\xff" },
		{ "a control byte in it", BYTES("HTTP/1.1 200 a\x01\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "NUL in it", BYTES("HTTP/1.1 200 a\0\r\n" LENGTH END "hello"), "BAD_LINE_END" },
		{ "bare CR in it", BYTES("HTTP/1.1 200 a\rb\r\n" LENGTH END "hello"), "BAD_LINE_END" },
		{ "bare LF", BYTES("HTTP/1.1 200 OK\n" LENGTH END "hello"), "BAD_LINE_END" },
		{ "999", BYTES("HTTP/1.1 999 a\r\n" LENGTH END "hello"), "response 999 1.1 a" },
		{ "099", BYTES("HTTP/1.1 099 a\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "two digits", BYTES("HTTP/1.1 20 a\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "four digits", BYTES("HTTP/1.1 2000 a\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "no digit", BYTES("HTTP/1.1 2x0 a\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "no status", BYTES("HTTP/1.1\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "two spaces", BYTES("HTTP/1.1  200 a\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "HTAB", BYTES("HTTP/1.1\t200 a\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "2.0", BYTES("HTTP/2.0 200 a\r\n" LENGTH END "hello"), "BAD_VERSION" },
		{ "another protocol", BYTES("ICY 200 OK\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "lower case", BYTES("http/1.1 200 OK\r\n" LENGTH END "hello"), "BAD_START_LINE" },
		{ "no head at all", BYTES("hello\r\n\r\n"), "BAD_START_LINE" },
		{ "an empty line before", BYTES("\r\n" OK LENGTH END "hello"), "BAD_EMPTY_LINES" },
		{ "obs-fold", BYTES(OK "A: b\r\n c\r\n" LENGTH END "hello"), "BAD_FOLD" },
		{ "a space before the colon", BYTES(OK "A : b\r\n" LENGTH END "hello"), "BAD_FIELD_NAME" },
		{ "a control byte", BYTES(OK "A: \x02\r\n" LENGTH END "hello"), "BAD_FIELD_VALUE" },
		{ "cut within", BYTES(OK "Con"), "more" },
	};

	ROWS(&to_get, rows);
}

Test(http1_responses, framing)	/* RFC 9112 6.3, RFC 9110 8.6 */
{
	static const struct http1_row rows[] = {
		{ "until it closes", BYTES(OK END "hello"), "flags\nbody close\ndata hello\nend" },
		{ "until it closes at once", BYTES(OK END), "flags\nbody close\nend" },
		{ "chunked", BYTES(OK CHUNKED END "5\r\nhello\r\n0\r\nA: b\r\n\r\n"), "flags keep\nbody chunked\ndata hello\ntrailer A: b\nend" },
		{ "length 0", BYTES(OK "Content-Length: 0\r\n" END OK "Content-Length: 0\r\n" END), "body length 0\nend\nresponse 200 1.1 OK\nend" },
		{ "closing", BYTES(OK LENGTH "Connection: close\r\n" END "hello"), "flags\nbody length 5" },
		{ "cut length", BYTES(OK LENGTH END "hell"), "BAD_CUT" },
		{ "cut chunk", BYTES(OK CHUNKED END "5\r\nhell"), "BAD_CUT" },
		{ "cut before the last chunk", BYTES(OK CHUNKED END "5\r\nhello\r\n"), "BAD_CUT" },
		{ "cut before the empty line", BYTES(OK CHUNKED END "5\r\nhello\r\n0\r\n"), "BAD_CUT" },
		{ "both", BYTES(OK LENGTH CHUNKED END "0\r\n\r\n"), "BAD_LENGTH_AND_CODING" },
		{ "both, the other way round", BYTES(OK CHUNKED LENGTH END "0\r\n\r\n"), "BAD_LENGTH_AND_CODING" },
		{ "two lengths", BYTES(OK LENGTH LENGTH END "hello"), "BAD_LENGTH_REPEATED" },
		{ "a list", BYTES(OK "Content-Length: 5, 5\r\n" END "hello"), "BAD_LENGTH" },
		{ "no number", BYTES(OK "Content-Length: x\r\n" END "hello"), "BAD_LENGTH" },
		{ "too large", BYTES(OK "Content-Length: 9223372036854775808\r\n" END "hello"), "BAD_LENGTH" },
		{ "gzip, chunked", BYTES(OK "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n\r\n"), "BAD_CODING" },
		{ "gzip", BYTES(OK "Transfer-Encoding: gzip\r\n" END "x"), "BAD_CODING_ORDER" },
		{ "twice", BYTES(OK CHUNKED CHUNKED END "0\r\n\r\n"), "BAD_CODING_ORDER" },
		{ "coding in 1.0", BYTES("HTTP/1.0 200 OK\r\n" CHUNKED END "0\r\n\r\n"), "BAD_CODING_FORBIDDEN" },
		{ "Connection: content-length", BYTES(OK LENGTH "Connection: content-length\r\n" END "hello"), "BAD_CONNECTION" },
		{ "of one connection", BYTES(OK LENGTH "Keep-Alive: timeout=5\r\nConnection: x\r\nX: y\r\n" END "hello"), "gone Keep-Alive: timeout=5\ngone X: y" },
		{ "upgrade offered", BYTES(OK LENGTH UPGRADE END "hello"), "flags keep\ngone Upgrade: websocket" },
		{ "proxy authentication passes", BYTES("HTTP/1.1 407 a\r\nProxy-Authenticate: b\r\n" LENGTH END "hello"), "field Proxy-Authenticate: b" },
	};

	ROWS(&to_get, rows);
}

Test(http1_responses, those_without_a_body)	/* RFC 9112 6.1, 6.3, RFC 9110 15.2, 15.3.5, 15.4.5 */
{
	static const struct http1_row rows[] = {
		{ "continue", BYTES("HTTP/1.1 100 Continue\r\n" END OK LENGTH END "hello"),
		    "response 100 1.1 Continue\nflags keep interim\nbody none\nend\nresponse 200 1.1 OK\ndata hello\nend" },
		{ "hints twice", BYTES("HTTP/1.1 103 a\r\nLink: b\r\n" END "HTTP/1.1 103 a\r\n" END NONE END),
		    "flags keep interim\nfield Link: b\nend\nflags keep interim\nend\nresponse 204 1.1 No Content\nend" },
		{ "interim with a length", BYTES("HTTP/1.1 100 a\r\n" LENGTH END "hello"), "BAD_LENGTH_FORBIDDEN" },
		{ "interim with a coding", BYTES("HTTP/1.1 103 a\r\n" CHUNKED END), "BAD_CODING_FORBIDDEN" },
		{ "204", BYTES(NONE END OK LENGTH END "hello"), "flags keep\nbody none\nend\nresponse 200 1.1 OK" },
		{ "204 with length 0", BYTES(NONE "Content-Length: 0\r\n" END), "body none\nend" },
		{ "204 with a length", BYTES(NONE LENGTH END "hello"), "BAD_LENGTH_FORBIDDEN" },
		{ "204 with a coding", BYTES(NONE CHUNKED END "0\r\n\r\n"), "BAD_CODING_FORBIDDEN" },
		{ "304", BYTES("HTTP/1.1 304 a\r\n" LENGTH END NONE END), "flags keep\nbody told 5\nend\nresponse 204 1.1 No Content" },
		{ "304 with a coding", BYTES("HTTP/1.1 304 a\r\n" CHUNKED END NONE END), "flags keep\nbody none\nend\nresponse 204 1.1 No Content" },
		{ "304 with neither", BYTES("HTTP/1.1 304 a\r\n" END NONE END), "flags keep\nbody none\nend\nresponse 204 1.1 No Content" },
		{ "101 not asked for", BYTES(SWITCH UPGRADE END "x"), "BAD_UPGRADE" },
	};
	static const struct http1_row heads[] = {
		{ "HEAD", BYTES(OK LENGTH END OK END), "flags keep\nbody told 5\nend\nflags keep\nbody none\nend" },
		{ "HEAD of a chunked one", BYTES(OK CHUNKED END OK END), "body none\nend\nresponse 200 1.1 OK" },
		{ "HEAD with both", BYTES(OK CHUNKED LENGTH END), "BAD_LENGTH_AND_CODING" },
		{ "HEAD with a bad length", BYTES(OK "Content-Length: 5x\r\n" END), "BAD_LENGTH" },
	};

	ROWS(&to_get, rows);
	ROWS(&to_head, heads);
}

Test(http1_responses, tunnels)	/* RFC 9110 7.8, 9.3.6, 15.2.2 */
{
	static const struct http1_row upgrades[] = {
		{ "101", BYTES(SWITCH UPGRADE END "\x81\r\n"), "response 101 1.1 Switching Protocols\nflags upgrade\nbody none\ntunnel \\x81\\x0d\\x0a" },
		{ "101 after 100", BYTES("HTTP/1.1 100 a\r\n" END SWITCH UPGRADE END), "end\nresponse 101 1.1 Switching Protocols\ntunnel " },
		{ "101 without Upgrade", BYTES(SWITCH "Connection: upgrade\r\n" END), "BAD_UPGRADE" },
		{ "101 without Connection", BYTES(SWITCH "Upgrade: a\r\n" END), "BAD_UPGRADE" },
		{ "101 in 1.0", BYTES("HTTP/1.0 101 a\r\n" UPGRADE END), "BAD_UPGRADE" },
		{ "101 with a length", BYTES(SWITCH UPGRADE LENGTH END "hello"), "BAD_LENGTH_FORBIDDEN" },
		{ "101 with a coding", BYTES(SWITCH UPGRADE CHUNKED END "0\r\n\r\n"), "BAD_CODING_FORBIDDEN" },
		{ "declined", BYTES(OK LENGTH END "hello"), "flags keep\nbody length 5\ndata hello\nend" },
	};
	static const struct http1_row connects[] = {
		{ "200", BYTES(OK END "hello"), "flags\nbody none\ntunnel hello" },
		{ "299", BYTES("HTTP/1.1 299 a\r\n" END "hello"), "tunnel hello" },
		{ "its length is ignored", BYTES(OK LENGTH END "hello"), "body none\ntunnel hello" },
		{ "so is its coding", BYTES(OK CHUNKED LENGTH END "hello"), "BAD_LENGTH_AND_CODING" },
		{ "so is chunked", BYTES(OK CHUNKED END "hello"), "body none\ntunnel hello" },
		{ "refused", BYTES("HTTP/1.1 403 a\r\n" LENGTH END "hello"), "body length 5\ndata hello\nend" },
		{ "101 to CONNECT", BYTES(SWITCH UPGRADE END), "BAD_UPGRADE" },
	};

	ROWS(&to_upgrade, upgrades);
	ROWS(&to_connect, connects);
}
