/* worker/http1.h: chunked bodies and trailers (RFC 9112 7.1, RFC 9110 6.5), and data that is moved unseen. */
#include "t/unit/worker/http1_rows.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct feed bodies = { .body = true, .limits = { 8192, 100, 100, 20, 50 } };

#define ROWS(rows) check_rows(&bodies, rows, sizeof(rows) / sizeof(rows[0]))
#define LAST "0\r\n\r\n"

Test(http1_bodies, chunks)
{
	static const struct http1_row rows[] = {
		{ "none", BYTES(LAST), "end" },
		{ "some", BYTES("1\r\na\r\n2\r\nbc\r\n" LAST), "data abc\nend" },
		{ "hex in both cases", BYTES("a\r\n0123456789\r\nA\r\n0123456789\r\n" LAST), "data 01234567890123456789" },
		{ "leading noughts", BYTES("0001\r\na\r\n000\r\n\r\n"), "data a\nend" },
		{ "16 digits", BYTES("0000000000000001\r\na\r\n" LAST), "data a\nend" },
		{ "17 digits", BYTES("00000000000000001\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "more noughts than one reads", BYTES("00000000000000000\r\n\r\n"), "BAD_CHUNK_SIZE" },
		{ "2^63 - 1", BYTES("7fffffffffffffff\r\na"), "data a\nBAD_CUT" },
		{ "2^63", BYTES("8000000000000000\r\na"), "BAD_CHUNK_SIZE" },
		{ "2^64 and 1", BYTES("10000000000000001\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "no size", BYTES("\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "no hex", BYTES("g\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "0x", BYTES("0x1\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "plus", BYTES("+1\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "minus", BYTES("-1\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "a space before", BYTES(" 1\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "a space after", BYTES("1 \r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "HTAB after", BYTES("1\t\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "a space within", BYTES("1 1\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "an underscore", BYTES("1_0\r\n0123456789abcdef\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "NUL", BYTES("1\0\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "a comma", BYTES("1,1\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "LF alone", BYTES("1\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "CR alone", BYTES("1\ra\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "data too long", BYTES("1\r\nab\r\n" LAST), "data a\nBAD_CHUNK_END" },
		{ "data too short", BYTES("3\r\na\r\n" LAST), "data a\\x0d\\x0a\nBAD_CHUNK_END" },
		{ "LF after data", BYTES("1\r\na\n" LAST), "BAD_CHUNK_END" },
		{ "CR after data", BYTES("1\r\na\r0\r\n\r\n"), "BAD_CHUNK_END" },
		{ "nothing after data", BYTES("1\r\na" LAST), "BAD_CHUNK_END" },
		{ "LF ends it", BYTES("0\r\n\n"), "BAD_LINE_END" },
		{ "CR and something else end it", BYTES("0\r\n\rX"), "BAD_CHUNK_END" },
		{ "LF after the last size", BYTES("0\n\r\n"), "BAD_CHUNK_SIZE" },
		{ "cut in a size", BYTES("1"), "BAD_CUT" },
		{ "cut in data", BYTES("2\r\na"), "BAD_CUT" },
		{ "cut in the end", BYTES("0\r\n\r"), "BAD_CUT" },
		{ "nothing", BYTES(""), "BAD_CUT" },
	};

	ROWS(rows);
}

Test(http1_bodies, extensions)	/* RFC 9112 7.1.1; at most 20 bytes for a chunk and 50 for a body here, with their ';' */
{
	static const struct http1_row rows[] = {
		{ "a name", BYTES("1;x\r\na\r\n" LAST), "data a\nend" },
		{ "of the last chunk", BYTES("0;x=y\r\n\r\n"), "end" },
		{ "a value", BYTES("1;x=y\r\na\r\n" LAST), "data a\nend" },
		{ "a string", BYTES("1;x=\"y;\\\"\t\xff z\"\r\na\r\n" LAST), "data a\nend" },
		{ "several", BYTES("1;x;y=z;v=\"\"\r\na\r\n" LAST), "data a\nend" },
		{ "white space, which is bad but to be parsed", BYTES("1; x\t= y ;z \r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "white space within", BYTES("1; x\t= y ; z\r\na\r\n" LAST), "data a\nend" },
		{ "white space after a value", BYTES("1;x=y \r\na\r\n" LAST), "data a\nend" },
		{ "white space after a string", BYTES("1;x=\"y\" \r\na\r\n" LAST), "data a\nend" },
		{ "white space before", BYTES("1 ;x\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "nothing", BYTES("1;\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "nothing after a name", BYTES("1;x;\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "no value", BYTES("1;x=\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "no name", BYTES("1;=y\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "two values", BYTES("1;x=y=z\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "a string for a name", BYTES("1;\"x\"\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "an open string", BYTES("1;x=\"y\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "an open pair", BYTES("1;x=\"y\\\r\n\"\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "junk after a string", BYTES("1;x=\"y\"z\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "no token", BYTES("1;x(y\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "LF in a name", BYTES("1;x\n\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "LF in a string", BYTES("1;x=\"\n\"\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "CR in a name", BYTES("1;x\ry\r\na\r\n" LAST), "BAD_CHUNK_SIZE" },
		{ "NUL in a string", BYTES("1;x=\"\0\"\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "DEL in a string", BYTES("1;x=\"\x7f\"\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "as many bytes as a chunk may have", BYTES("1;0123456789012345678\r\na\r\n" LAST), "data a\nend" },
		{ "one more", BYTES("1;01234567890123456789\r\na\r\n" LAST), "BAD_CHUNK_EXT" },
		{ "as many as a body may have", BYTES("1;0123456789012345678\r\na\r\n1;0123456789012345678\r\na\r\n0;012345678\r\n\r\n"), "data aa\nend" },
		{ "one more than that", BYTES("1;0123456789012345678\r\na\r\n1;0123456789012345678\r\na\r\n0;0123456789\r\n\r\n"), "BAD_CHUNK_EXT" },
	};

	ROWS(rows);
}

Test(http1_bodies, trailers)	/* RFC 9110 6.5.1, at most 100 bytes here */
{
	static const struct http1_row rows[] = {
		{ "some", BYTES("0\r\nA: b\r\nGrpc-Status: 0\r\n\r\n"), "trailer A: b\ntrailer Grpc-Status: 0\nend" },
		{ "after data", BYTES("1\r\na\r\n0\r\nA:b\r\n\r\n"), "data a\ntrailer A: b\nend" },
		{ "digests are meant for it", BYTES("0\r\nContent-Digest: x\r\nETag: y\r\n\r\n"), "trailer Content-Digest: x\ntrailer ETag: y" },
		{ "cut", BYTES("0\r\nA: b\r\n"), "BAD_CUT" },
		{ "obs-fold", BYTES("0\r\nA: b\r\n c\r\n\r\n"), "BAD_FOLD" },
		{ "a fold of nothing", BYTES("0\r\n A: b\r\n\r\n"), "BAD_FOLD" },
		{ "bare LF", BYTES("0\r\nA: b\n\r\n"), "BAD_LINE_END" },
		{ "bare CR", BYTES("0\r\nA: b\r\r\n\r\n"), "BAD_LINE_END" },
		{ "NUL", BYTES("0\r\nA: b\0\r\n\r\n"), "BAD_LINE_END" },
		{ "a control byte", BYTES("0\r\nA: \x0b\r\n\r\n"), "BAD_FIELD_VALUE" },
		{ "a space before the colon", BYTES("0\r\nA : b\r\n\r\n"), "BAD_FIELD_NAME" },
		{ "no colon", BYTES("0\r\nA\r\n\r\n"), "BAD_FIELD_NAME" },
		{ "a request", BYTES("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "BAD_FIELD_NAME" },
		{ "no name", BYTES("0\r\n: b\r\n\r\n"), "BAD_FIELD_NAME" },
		{ "too long", BYTES("0\r\nA: 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123\r\n\r\n"), "BAD_TRAILER_LONG" },
		{ "framing", BYTES("0\r\nContent-Length: 5\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "framing of another kind", BYTES("0\r\ntransfer-encoding: chunked\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "routing", BYTES("0\r\nA: b\r\nHost: a\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "the connection", BYTES("0\r\nConnection: close\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "who asks", BYTES("0\r\nAuthorization: x\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "who asks, again", BYTES("0\r\nCOOKIE: x\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "how it is answered", BYTES("0\r\nIf-Match: x\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "where it came from", BYTES("0\r\nX-Forwarded-For: x\r\n\r\n"), "BAD_TRAILER_FIELD" },
		{ "how it is read", BYTES("0\r\nContent-Encoding: x\r\n\r\n"), "BAD_TRAILER_FIELD" },
	};

	ROWS(rows);
}

Test(http1_bodies, a_limit_of_the_whole)
{
	static const struct {
		const char *bytes;
		enum http1_body_event want;
	} rows[] = {
		{ "a\r\n0123456789\r\n0\r\n\r\n", BODY_END }, { "b\r\n", BODY_BAD }, { "9\r\n012345678\r\n2\r\n", BODY_BAD },
		{ "7fffffffffffffff\r\n", BODY_BAD },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http1_limits l = feed_limits;
		size_t at = 0, used, size = strlen(rows[i].bytes);
		enum http1_body_event event;
		enum http1_bad bad = HTTP1_OK;
		struct http1_body b;
		struct http_span data;

		l.body_bytes = 10;
		http1_body_begin(&b, (struct http_framing){ FRAMING_CHUNKED, 0 });
		do {
			event = http1_body_next(&b, rows[i].bytes + at, size - at, &l, &used, &data, &bad);
			at += used;
		} while (event == BODY_DATA || (event == BODY_MORE && at < size));
		cr_expect_eq(event, rows[i].want, "row %zu", i);
		cr_expect_eq(bad, event == BODY_BAD ? BAD_BODY_LONG : HTTP1_OK, "row %zu", i);
	}
}

Test(http1_bodies, data_moved_unseen_counts)
{
	struct http1_limits l = feed_limits;
	struct http1_body b;
	struct http_span data;
	enum http1_bad bad;
	size_t used;

	http1_body_begin(&b, (struct http_framing){ FRAMING_LENGTH, 10 });
	cr_assert_eq(http1_body_next(&b, "abc", 3, &l, &used, &data, &bad), BODY_DATA);
	cr_assert_eq(http1_body_run(&b), 7);
	http1_body_moved(&b, 7);
	cr_assert(http1_body_over(&b));
	cr_assert_eq(http1_body_next(&b, "GET", 3, &l, &used, &data, &bad), BODY_END);
	cr_assert_eq(used, 0);

	http1_body_begin(&b, (struct http_framing){ FRAMING_CHUNKED, 0 });
	cr_assert_eq(http1_body_run(&b), 0);
	cr_assert_eq(http1_body_next(&b, "ff\r\n", 4, &l, &used, &data, &bad), BODY_MORE);
	cr_assert_eq(http1_body_run(&b), 255);
	http1_body_moved(&b, 200);
	http1_body_moved(&b, 55);
	cr_assert_eq(http1_body_run(&b), 0);
	cr_assert_eq(http1_body_eof(&b), BAD_CUT);
	cr_assert_eq(http1_body_next(&b, "\r\n0\r\n\r\nX", 8, &l, &used, &data, &bad), BODY_END);
	cr_assert_eq(used, 7);
	cr_assert_eq(http1_body_eof(&b), HTTP1_OK);

	http1_body_begin(&b, (struct http_framing){ FRAMING_CLOSE, 0 });
	http1_body_moved(&b, 1000);
	cr_assert_eq(http1_body_run(&b), UINT64_MAX);
	cr_assert_eq(http1_body_next(&b, "abc", 3, &l, &used, &data, &bad), BODY_DATA);
	cr_assert_eq(data.len, 3);
	cr_assert_eq(http1_body_eof(&b), HTTP1_OK);
	http1_body_begin(&b, (struct http_framing){ FRAMING_TOLD, 1000 });
	cr_assert(http1_body_over(&b));
	cr_assert_eq(http1_body_eof(&b), HTTP1_OK);
}
