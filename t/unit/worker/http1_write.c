/* worker/http.h and worker/http1_write.h: look-ups, and heads as they go on, word for word. */
#include "worker/http1_write.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct http1_limits limits = { 8192, 61440, 100, 256, 4096, 0 };
static struct http_field fields[100];

#define SPAN(text) ((struct http_span){ text, sizeof(text) - 1 })
#define HEAD "Host: a\r\nAccept: b\r\nX:c\r\nY: \t\r\nConnection: z, close\r\nZ: z\r\nTE: trailers\r\nUpgrade: w\r\nUser-Agent:  d \r\nCookie: e\r\n\r\n"

static struct http_head request(const char *bytes)
{
	struct http_head h = { .fields = fields, .room = 100 };
	struct http1_meaning m;

	cr_assert_eq(http1_parse_request(bytes, strlen(bytes), &limits, &h, &m), HTTP1_OK);
	return h;
}

/* Into exactly as much as http1_head_room() asks for: sanitizers see to the rest. */
static void expect(const struct http_head *h, const struct http1_send *s, bool response, const char *want)
{
	size_t most = http1_head_room(h, s);
	char *out = malloc(most);
	size_t n = response ? http1_write_response(out, h, s) : http1_write_request(out, h, s);

	cr_expect(n < most);
	cr_expect(n == strlen(want) && memcmp(out, want, n) == 0, "%.*s\nis not\n%s", (int)n, out, want);
	free(out);
}

Test(http1_write, requests)
{
	struct http_head h = request("POST /x?y HTTP/1.0\r\n" HEAD);
	struct http_line lines[] = { { SPAN("x-request-id"), SPAN("1") }, { SPAN("x-forwarded-proto"), SPAN("http") } };
	struct http1_send plain = { .framing = { FRAMING_LENGTH, UINT64_MAX } };
	struct http1_send full = {
		.framing = { FRAMING_CHUNKED, 0 }, .lines = lines, .line_count = 2, .path = SPAN("/n"), .authority = SPAN("b:80"),
		.upgrade = SPAN("websocket"), .close = true, .trailers = true,
	};

	expect(&h, &plain, false, "POST /x?y HTTP/1.1\r\nHost: a\r\nAccept: b\r\nX: c\r\nY: \r\nUser-Agent: d\r\nCookie: e\r\n"
	    "Content-Length: 18446744073709551615\r\n\r\n");
	http_drop(&h, FIELD_USER_AGENT);
	cr_assert_null(http_find(&h, FIELD_USER_AGENT, NULL));
	expect(&h, &full, false, "POST /n HTTP/1.1\r\nHost: b:80\r\nAccept: b\r\nX: c\r\nY: \r\nCookie: e\r\n"
	    "x-request-id: 1\r\nx-forwarded-proto: http\r\nTransfer-Encoding: chunked\r\n"
	    "Connection: Upgrade, TE, close\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n");
}

Test(http1_write, targets)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ "GET http://b:81/c?d HTTP/1.1", "GET /c?d HTTP/1.1\r\nHost: b:81\r\n\r\n" },
		{ "GET http://b?d HTTP/1.1", "GET /?d HTTP/1.1\r\nHost: b\r\n\r\n" },
		{ "OPTIONS http://b HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n" },
		{ "OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" },
		{ "OPTIONS http://b?c HTTP/1.1", "OPTIONS /?c HTTP/1.1\r\nHost: b\r\n\r\n" },
		{ "CONNECT b:443 HTTP/1.1", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char bytes[256];
		struct http_head h;

		snprintf(bytes, sizeof(bytes), "%s\r\nHost: a\r\n\r\n", rows[i].line);
		h = request(bytes);
		expect(&h, &(struct http1_send){ .framing = { FRAMING_NONE, 0 } }, false, rows[i].want);
	}
}

Test(http1_write, the_longest_head_fits)
{
	char bytes[2048] = "CONNECT b.example:443 HTTP/1.1\r\nHost: a\r\n", *at = bytes + strlen(bytes);
	struct http1_send s = { .upgrade = SPAN("w"), .close = true, .trailers = true, .framing = { FRAMING_LENGTH, UINT64_MAX } };
	char *out;
	size_t most;
	struct http_head h;

	for (int i = 0; i < 90; i++)
		at += sprintf(at, "a:\r\n");
	strcpy(at, "\r\n");
	h = request(bytes);
	most = http1_head_room(&h, &s);
	out = malloc(most);
	cr_expect(http1_write_request(out, &h, &s) < most);
	free(out);
}

Test(http1_write, responses)
{
	static const char bytes[] = "HTTP/1.0 200 Fine\r\nServer: a\r\nTrailer: b\r\nContent-Length: 5\r\nKeep-Alive: c\r\nDate: d\r\n\r\n";
	struct http_head h = { .fields = fields, .room = 100 }, ours = { .status = 431 };
	struct http_line line = { SPAN("server"), SPAN("istio-envoy") };
	struct http1_meaning m;

	cr_assert_eq(http1_parse_response(bytes, sizeof(bytes) - 1, &limits, (struct http1_asked){ METHOD_GET, false }, &h, &m), HTTP1_OK);
	expect(&h, &(struct http1_send){ .framing = m.framing }, true,
	    "HTTP/1.1 200 Fine\r\nServer: a\r\nDate: d\r\nContent-Length: 5\r\n\r\n");
	http_drop(&h, FIELD_SERVER);
	expect(&h, &(struct http1_send){ .framing = { FRAMING_CHUNKED, 0 }, .lines = &line, .line_count = 1, .keep_alive = true }, true,
	    "HTTP/1.1 200 Fine\r\nTrailer: b\r\nDate: d\r\nserver: istio-envoy\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
	expect(&h, &(struct http1_send){ .framing = { FRAMING_CLOSE, 0 }, .close = true, .keep_alive = true }, true,
	    "HTTP/1.1 200 Fine\r\nDate: d\r\nConnection: close\r\n\r\n");
	expect(&h, &(struct http1_send){ .framing = { FRAMING_TOLD, 7 } }, true, "HTTP/1.1 200 Fine\r\nDate: d\r\nContent-Length: 7\r\n\r\n");
	expect(&ours, &(struct http1_send){ .framing = { FRAMING_LENGTH, 0 }, .close = true }, true,
	    "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	ours.status = 999;
	expect(&ours, &(struct http1_send){ .framing = { FRAMING_NONE, 0 } }, true, "HTTP/1.1 999 \r\n\r\n");
}

Test(http1_write, chunks_and_their_end)
{
	static const uint64_t sizes[] = { 1, 15, 16, 255, 256, 4095, 4096, 65536, 1ull << 32, UINT64_MAX };
	static const char bytes[] = "A:b\r\nC: d\r\n\r\n";
	struct http_head t = { .fields = fields, .room = 100 };
	char out[64], want[64];
	size_t n;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		n = http1_write_chunk(out, sizes[i]);
		snprintf(want, sizeof(want), "%" PRIx64 "\r\n", sizes[i]);
		cr_expect(n == strlen(want) && memcmp(out, want, n) == 0);
	}
	cr_expect_eq(http1_write_end(out, NULL), 5);
	cr_expect_eq(http1_end_room(NULL), 5);
	cr_expect_eq(memcmp(out, "0\r\n\r\n", 5), 0);
	cr_assert_eq(http1_parse_trailers(bytes, sizeof(bytes) - 1, &limits, &t), HTTP1_OK);
	n = http1_write_end(out, &t);
	cr_expect(n <= http1_end_room(&t));
	cr_expect(n == 17 && memcmp(out, "0\r\nA: b\r\nC: d\r\n\r\n", 17) == 0, "%.*s", (int)n, out);
}

Test(http1_write, to_each_client_its_framing)
{
	cr_expect_eq(http1_reframe((struct http_framing){ FRAMING_CLOSE, 0 }, 1).kind, FRAMING_CHUNKED);
	cr_expect_eq(http1_reframe((struct http_framing){ FRAMING_CHUNKED, 0 }, 0).kind, FRAMING_CLOSE);
	cr_expect_eq(http1_reframe((struct http_framing){ FRAMING_LENGTH, 5 }, 0).length, 5);
	cr_expect_eq(http1_reframe((struct http_framing){ FRAMING_TOLD, 5 }, 0).kind, FRAMING_TOLD);
	cr_expect_eq(http1_reframe((struct http_framing){ FRAMING_NONE, 0 }, 0).kind, FRAMING_NONE);
}

Test(http1_write, every_name_is_found_in_any_case)
{
	for (unsigned id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
		struct http_span name = http_field_name(id);
		char upper[64];

		for (uint32_t i = 0; i < name.len; i++)
			upper[i] = name.at[i] >= 'a' && name.at[i] <= 'z' ? (char)(name.at[i] - 32) : name.at[i];
		cr_expect_eq(http_field_id(name.at, name.len), id, "%s", name.at);
		cr_expect_eq(http_field_id(upper, name.len), id, "%s", name.at);
		cr_expect_neq(http_field_id(name.at, name.len - 1), id);
		upper[name.len - 1] = '_';
		cr_expect_neq(http_field_id(upper, name.len), id);
	}
	cr_expect_eq(http_field_id("", 0), FIELD_OTHER);
	cr_expect_eq(http_field_id("a-name-that-is-longer-than-any-of-the-table", 43), FIELD_OTHER);
	cr_expect_eq(http_field_id("ho\xf3t", 4), FIELD_OTHER);
}

Test(http1_write, fields_are_found_one_after_the_other)
{
	struct http_head h = request("GET / HTTP/1.1\r\nHost: a\r\nCookie: b\r\nDate: c\r\ncookie: d\r\nCookie: e\r\n\r\n");
	struct http_field *f = http_find(&h, FIELD_COOKIE, NULL);

	cr_assert(f == &h.fields[1] && http_value(&h, f).at[0] == 'b');
	f = http_find(&h, FIELD_COOKIE, f);
	cr_assert(f == &h.fields[3]);
	h.fields[4].gone = true;
	cr_assert_null(http_find(&h, FIELD_COOKIE, f));
	cr_assert(http_has(&h, FIELD_DATE) && !http_has(&h, FIELD_SERVER));
	cr_assert_null(http_find(&h, FIELD_SERVER, NULL));
}

Test(http1_write, every_refusal_has_a_status_and_words)
{
	for (unsigned bad = HTTP1_OK + 1; bad < HTTP1_BAD_COUNT; bad++) {
		cr_expect(http1_bads[bad].status >= 400 && http1_bads[bad].status < 506);
		cr_expect(http_reason(http1_bads[bad].status).len > 0, "%u", http1_bads[bad].status);
		cr_expect(strpbrk(http1_bads[bad].details, " \t") == NULL, "a word of the access log");
		cr_expect(http1_bads[bad].words[0] != '\0');
	}
}
