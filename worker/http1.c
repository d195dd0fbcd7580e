/* Whole heads: start lines, and what a head says about its message and connection (RFC 9112 2 to 6 and 9). */
#include "worker/http1_inside.h"

#include <string.h>
#include <strings.h>

const struct http1_bad_row http1_bads[HTTP1_BAD_COUNT] = {
#define X(id, status, details, words) [id] = { status, details, words },
	HTTP1_BADS(X)
#undef X
};

static const struct {
	const char *text;
	uint8_t len, id;
} methods[] = {
	{ "GET", 3, METHOD_GET },
	{ "POST", 4, METHOD_POST },
	{ "HEAD", 4, METHOD_HEAD },
	{ "PUT", 3, METHOD_PUT },
	{ "DELETE", 6, METHOD_DELETE },
	{ "OPTIONS", 7, METHOD_OPTIONS },
	{ "PATCH", 5, METHOD_PATCH },
	{ "CONNECT", 7, METHOD_CONNECT },
	{ "TRACE", 5, METHOD_TRACE },
};
_Static_assert(sizeof(methods) / sizeof(methods[0]) == METHOD_COUNT - 1, "each method but OTHER has a row");

static uint8_t method_id(const char *at, size_t len)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].len == len && memcmp(methods[i].text, at, len) == 0)
			return methods[i].id;
	}
	return METHOD_OTHER;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x", 8 bytes; a later 1.x is taken for 1.1 (RFC 9110 2.5). */
static enum http1_bad read_version(const char *at, uint8_t *minor_r)
{
	if (memcmp(at, "HTTP/", 5) != 0 || !is_digit(at[5]) || at[6] != '.' || !is_digit(at[7]))
		return BAD_START_LINE;
	*minor_r = at[7] == '0' ? 0 : 1;
	return at[5] == '1' ? HTTP1_OK : BAD_VERSION;
}

#define VERSION_LEN 8u

/* method SP target SP version; *next_r: where the line after it begins. */
static enum http1_bad read_request_line(struct http_head *h, uint32_t *next_r)
{
	const char *end = memchr(h->bytes, '\r', h->size);
	uint32_t len = end != NULL ? (uint32_t)(end - h->bytes) : 0, at = 0;
	enum http1_bad bad;

	*next_r = len + 2;
	while (at < len && http_token[(unsigned char)h->bytes[at]] != 0)
		at++;
	if (at == 0 || at == len || h->bytes[at] != ' ')
		return BAD_METHOD;
	h->method_at = 0;
	h->method_len = at;
	h->method = method_id(h->bytes, at);
	if (len - at < 2 + VERSION_LEN || h->bytes[len - VERSION_LEN - 1] != ' ')
		return BAD_START_LINE;
	bad = read_version(h->bytes + len - VERSION_LEN, &h->minor);
	if (bad != HTTP1_OK)
		return bad;
	h->target_at = at + 1;
	h->target_len = len - VERSION_LEN - 1 - h->target_at;
	return http1_read_target(h);
}

/* version SP 3DIGIT [ SP reason ]: the last space too is often left out. */
static enum http1_bad read_status_line(struct http_head *h, uint32_t *next_r)
{
	const char *end = memchr(h->bytes, '\r', h->size), *code = h->bytes + VERSION_LEN + 1;
	uint32_t len = end != NULL ? (uint32_t)(end - h->bytes) : 0;
	enum http1_bad bad;

	*next_r = len + 2;
	if (len < VERSION_LEN + 4 || code[-1] != ' ')
		return BAD_START_LINE;
	bad = read_version(h->bytes, &h->minor);
	if (bad != HTTP1_OK)
		return bad;
	if (code[0] < '1' || !is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) || (len > VERSION_LEN + 4 && code[3] != ' '))
		return BAD_START_LINE;
	h->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + code[2] - '0');
	h->reason_at = len > VERSION_LEN + 4 ? VERSION_LEN + 5 : len;
	h->reason_len = len - h->reason_at;
	return HTTP1_OK;
}

/* The only field with this number; its repetition is `bad`. */
static enum http1_bad only(const struct http_head *h, enum http_field_id id, enum http1_bad bad, const struct http_field **f_r)
{
	*f_r = NULL;
	for (const struct http_field *f = h->fields; f < h->fields + h->count; f++) {
		if (f->id != id)
			continue;
		if (*f_r != NULL)
			return bad;
		*f_r = f;
	}
	return HTTP1_OK;
}

/* Host (RFC 9112 3.2): where the target has an authority, Host must be well-formed all the same, and is replaced. */
static enum http1_bad read_host(struct http_head *h)
{
	const struct http_field *f;
	enum http1_bad bad = only(h, FIELD_HOST, BAD_HOST_REPEATED, &f);

	if (bad != HTTP1_OK)
		return bad;
	if (f == NULL)
		return h->minor == 0 ? HTTP1_OK : BAD_HOST_MISSING;
	if (!http1_is_authority(h->bytes + f->value, f->value_len, false))
		return BAD_HOST;
	if (h->authority_len == 0) {
		h->authority_at = f->value;
		h->authority_len = f->value_len;
	}
	return HTTP1_OK;
}

/* Content-Length: one field with one number (RFC 9110 8.6 lets equal ones be taken for one, and be refused). */
static enum http1_bad read_length(const struct http_head *h, uint64_t *length_r)
{
	const struct http_field *f;
	enum http1_bad bad = only(h, FIELD_CONTENT_LENGTH, BAD_LENGTH_REPEATED, &f);
	struct http_span v;

	if (bad != HTTP1_OK)
		return bad;
	v = http_value(h, f);
	*length_r = 0;
	for (uint32_t i = 0; i < v.len; i++) {
		if (!is_digit(v.at[i]) || *length_r > (HTTP1_LENGTH_MAX - 9) / 10)
			return BAD_LENGTH;
		*length_r = *length_r * 10 + (uint64_t)(v.at[i] - '0');
	}
	return v.len > 0 ? HTTP1_OK : BAD_LENGTH;
}

/*
 * Transfer-Encoding: "chunked" and nothing else.  A request whose last coding is not chunked has no length that one could
 * know (RFC 9112 6.3: 400); one with more codings than we know is not implemented (6.1: 501).
 */
static enum http1_bad read_coding(const struct http_head *h)
{
	static const char chunked[] = "chunked";
	const uint32_t len = sizeof(chunked) - 1;
	const struct http_field *f;
	enum http1_bad bad = only(h, FIELD_TRANSFER_ENCODING, BAD_CODING_ORDER, &f);
	struct http_span v;

	if (bad != HTTP1_OK)
		return bad;
	if (h->minor == 0)
		return BAD_CODING_FORBIDDEN;	/* RFC 9112 6.1: faulty framing */
	v = http_value(h, f);
	if (v.len < len || strncasecmp(v.at + v.len - len, chunked, len) != 0)
		return BAD_CODING_ORDER;
	if (v.len == len)
		return HTTP1_OK;
	/* With something before it: other codings, or more of this one, or another word that ends like it. */
	for (uint32_t i = 0; i + 2 * len <= v.len; i++) {
		if (strncasecmp(v.at + i, chunked, len) == 0)
			return BAD_CODING_ORDER;
	}
	for (v.len -= len; v.len > 0 && (v.at[v.len - 1] == ' ' || v.at[v.len - 1] == '\t');)
		v.len--;
	return v.len > 1 && v.at[v.len - 1] == ',' ? BAD_CODING : BAD_CODING_ORDER;
}

/* What the framing fields say, before method or status change it. */
static enum http1_bad read_framing(const struct http_head *h, struct http_framing *framing)
{
	enum http1_bad bad;

	*framing = (struct http_framing){ .kind = FRAMING_NONE };
	if (http_has(h, FIELD_TRANSFER_ENCODING)) {
		bad = read_coding(h);
		if (bad == HTTP1_OK && http_has(h, FIELD_CONTENT_LENGTH))
			bad = BAD_LENGTH_AND_CODING;
		framing->kind = FRAMING_CHUNKED;
		return bad;
	}
	if (!http_has(h, FIELD_CONTENT_LENGTH))
		return HTTP1_OK;
	framing->kind = FRAMING_LENGTH;
	return read_length(h, &framing->length);
}

/* A message that has no body by what it is.  "Content-Length: 0" says so once more; anything else says otherwise. */
static enum http1_bad must_be_empty(struct http_framing *framing)
{
	if (framing->kind == FRAMING_CHUNKED)
		return BAD_CODING_FORBIDDEN;
	if (framing->kind == FRAMING_LENGTH && framing->length > 0)
		return BAD_LENGTH_FORBIDDEN;
	framing->kind = FRAMING_NONE;
	return HTTP1_OK;
}

static void read_persistence(const struct http_head *h, unsigned options, struct http1_meaning *m)
{
	m->keep_alive = !(options & OPTION_CLOSE) && (h->minor > 0 || options & OPTION_KEEP_ALIVE);
}

static void begin(struct http_head *h, const char *bytes, size_t size, struct http1_meaning *m)
{
	*h = (struct http_head){ .bytes = bytes, .size = (uint32_t)size, .fields = h->fields, .room = h->room };
	*m = (struct http1_meaning){ .framing = { .kind = FRAMING_NONE } };
}

enum http1_bad http1_parse_request(const char *bytes, size_t size, const struct http1_limits *l, struct http_head *h, struct http1_meaning *m)
{
	enum http1_bad bad;
	unsigned options;
	uint32_t at;

	begin(h, bytes, size, m);
	bad = read_request_line(h, &at);
	if (bad == HTTP1_OK)
		bad = http1_read_fields(h, at, l);
	if (bad == HTTP1_OK)
		bad = http1_read_connection(h, &options);
	if (bad == HTTP1_OK)
		bad = read_host(h);
	if (bad == HTTP1_OK)
		bad = read_framing(h, &m->framing);
	if (bad == HTTP1_OK && h->method == METHOD_CONNECT)
		bad = must_be_empty(&m->framing);	/* RFC 9110 9.3.6: what follows is the tunnel's */
	if (bad == HTTP1_OK && l->body_bytes != 0 && m->framing.kind == FRAMING_LENGTH && m->framing.length > l->body_bytes)
		bad = BAD_BODY_LONG;
	if (bad != HTTP1_OK)
		return bad;
	read_persistence(h, options, m);
	if (h->minor > 0) {		/* RFC 9110 7.8, 10.1.1: 1.0 has neither */
		m->upgrade = options & OPTION_UPGRADE && http_has(h, FIELD_UPGRADE) && h->method != METHOD_CONNECT;
		m->expect_continue = (m->framing.kind == FRAMING_CHUNKED || m->framing.length > 0) && http1_lists(h, FIELD_EXPECT, "100-continue");
		m->trailers = http1_lists(h, FIELD_TE, "trailers");
	}
	return HTTP1_OK;
}

static enum http1_bad read_switch(const struct http_head *h, unsigned options, struct http1_asked asked, struct http1_meaning *m)
{
	if (!asked.upgrade || h->minor == 0 || !(options & OPTION_UPGRADE) || !http_has(h, FIELD_UPGRADE))
		return BAD_UPGRADE;
	m->tunnel = m->upgrade = true;
	return must_be_empty(&m->framing);
}

/* RFC 9112 6.3, in its order. */
static enum http1_bad read_response_framing(const struct http_head *h, unsigned options, struct http1_asked asked, struct http1_meaning *m)
{
	enum http1_bad bad;

	if (asked.method == METHOD_CONNECT && h->status / 100 == 2) {
		m->tunnel = true;	/* its framing fields are to be ignored */
		return HTTP1_OK;
	}
	bad = read_framing(h, &m->framing);
	if (bad != HTTP1_OK)
		return bad;
	if (h->status == 101)
		return read_switch(h, options, asked, m);
	if (h->status / 100 == 1 || h->status == 204) {
		m->interim = h->status != 204;
		return must_be_empty(&m->framing);
	}
	if (asked.method == METHOD_HEAD || h->status == 304) {
		m->framing.kind = m->framing.kind == FRAMING_LENGTH ? FRAMING_TOLD : FRAMING_NONE;
		return HTTP1_OK;
	}
	if (m->framing.kind == FRAMING_NONE)
		m->framing.kind = FRAMING_CLOSE;
	return HTTP1_OK;
}

enum http1_bad http1_parse_response(const char *bytes, size_t size, const struct http1_limits *l, struct http1_asked asked, struct http_head *h,
    struct http1_meaning *m)
{
	enum http1_bad bad;
	unsigned options;
	uint32_t at;

	begin(h, bytes, size, m);
	bad = read_status_line(h, &at);
	if (bad == HTTP1_OK)
		bad = http1_read_fields(h, at, l);
	if (bad == HTTP1_OK)
		bad = http1_read_connection(h, &options);
	if (bad == HTTP1_OK)
		bad = read_response_framing(h, options, asked, m);
	if (bad != HTTP1_OK)
		return bad;
	read_persistence(h, options, m);
	m->keep_alive = m->keep_alive && !m->tunnel && m->framing.kind != FRAMING_CLOSE;
	return HTTP1_OK;
}

/*
 * Not in trailers (RFC 9110 6.5.1): what frames, routes or names the message or its connection, says who may, or changes how
 * the head is to be taken.  Whoever merges trailers into the head would believe it late.  In lower case; with '*' what begins so.
 */
static const char *const not_trailers[] = {
	"age", "authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range", "content-type",
	"cookie", "date", "expect", "expires", "forwarded", "host", "http2-settings", "if-*", "keep-alive", "location", "max-forwards",
	"pragma", "proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "retry-after", "set-cookie", "te", "trailer",
	"transfer-encoding", "upgrade", "vary", "via", "warning", "www-authenticate", "x-envoy-*", "x-forwarded-*", "x-real-ip",
	"x-request-id",
};

static bool may_trail(struct http_span name)
{
	for (size_t i = 0; i < sizeof(not_trailers) / sizeof(not_trailers[0]); i++) {
		const char *not = not_trailers[i];
		size_t len = strlen(not);

		if (not[len - 1] == '*' ? name.len >= len - 1 && strncasecmp(name.at, not, len - 1) == 0 :
		    name.len == len && strncasecmp(name.at, not, len) == 0)
			return false;
	}
	return true;
}

enum http1_bad http1_parse_trailers(const char *bytes, size_t size, const struct http1_limits *l, struct http_head *h)
{
	enum http1_bad bad;

	*h = (struct http_head){ .bytes = bytes, .size = (uint32_t)size, .fields = h->fields, .room = h->room };
	bad = http1_read_fields(h, 0, l);
	for (const struct http_field *f = h->fields; bad == HTTP1_OK && f < h->fields + h->count; f++) {
		if (!may_trail(http_name(h, f)))
			bad = BAD_TRAILER_FIELD;
	}
	return bad;
}
