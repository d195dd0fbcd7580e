/* Messages as we send them: see http1_write.h. */
#include "worker/http1_write.h"

#include <string.h>

/* More than all that is written beside what is counted: version, status, framing, Connection, Upgrade, TE, line ends. */
#define OWN_ROOM 256u

static char *put(char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static char *put_span(char *at, struct http_span s)
{
	return s.len > 0 ? put(at, s.at, s.len) : at;
}

#define PUT(at, text) put(at, text, sizeof(text) - 1)

static char *put_decimal(char *at, uint64_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return put(at, p, (size_t)(digits + sizeof(digits) - p));
}

/* Is the field's line in the head, line end and all, as we would write it? */
static bool is_usual(const struct http_head *h, const struct http_field *f)
{
	const char *end = h->bytes + f->value + f->value_len;

	return f->value == f->name + f->name_len + 2u && h->bytes[f->value - 1] == ' ' && end[0] == '\r';
}

static uint32_t line_len(const struct http_field *f)
{
	return f->value + f->value_len + 2 - f->name;
}

static bool passes(const struct http_field *f, uint64_t not)
{
	return !f->gone && !(not >> f->id & 1);
}

/* What passes; `not` has a bit for each number that does not.  Neighbours that can go as they came are copied at once. */
static char *put_fields(char *at, const struct http_head *h, uint64_t not)
{
	for (uint16_t i = 0; i < h->count;) {
		const struct http_field *f = &h->fields[i], *first = f;
		uint32_t len = 0;

		for (; i < h->count && passes(f, not) && is_usual(h, f); f = &h->fields[++i])
			len += line_len(f);
		if (len > 0) {
			at = put(at, h->bytes + first->name, len);
			continue;
		}
		if (passes(f, not)) {
			at = put_span(at, http_name(h, f));
			at = PUT(at, ": ");
			at = put_span(at, http_value(h, f));
			at = PUT(at, "\r\n");
		}
		i++;
	}
	return at;
}

static char *put_lines(char *at, const struct http1_send *s)
{
	for (size_t i = 0; i < s->line_count; i++) {
		const struct http_line *l = &s->lines[i];

		at = put_span(at, l->name);
		at = PUT(at, ": ");
		at = put_span(at, l->value);
		at = PUT(at, "\r\n");
	}
	return at;
}

static char *put_framing(char *at, const struct http1_send *s)
{
	if (s->framing.kind == FRAMING_CHUNKED)
		return PUT(at, "Transfer-Encoding: chunked\r\n");
	if (s->framing.kind != FRAMING_LENGTH && s->framing.kind != FRAMING_TOLD)
		return at;
	at = PUT(at, "Content-Length: ");
	at = put_decimal(at, s->framing.length);
	return PUT(at, "\r\n");
}

/* Connection with its options, and the fields that they stand for. */
static char *put_connection(char *at, const struct http1_send *s)
{
	static const char begin[] = "Connection: ", next[] = ", ";
	const char *between = begin;

#define OPTION(word) \
	do { \
		at = put(at, between, strlen(between)); \
		at = PUT(at, word); \
		between = next; \
	} while (0)
	if (s->upgrade.at != NULL)
		OPTION("Upgrade");
	if (s->trailers)
		OPTION("TE");
	if (s->close)
		OPTION("close");
	else if (s->keep_alive)
		OPTION("keep-alive");
#undef OPTION
	if (between == next)
		at = PUT(at, "\r\n");
	if (s->upgrade.at != NULL) {
		at = PUT(at, "Upgrade: ");
		at = put_span(at, s->upgrade);
		at = PUT(at, "\r\n");
	}
	return s->trailers ? PUT(at, "TE: trailers\r\n") : at;
}

size_t http1_head_room(const struct http_head *h, const struct http1_send *s)
{
	/* A field may grow by the space after its colon; CONNECT writes the authority twice. */
	size_t room = OWN_ROOM + (size_t)h->size + h->count + 2 * (size_t)h->authority_len;

	room += s->path.len + 2 * (size_t)s->authority.len + s->upgrade.len;

	for (size_t i = 0; i < s->line_count; i++)
		room += s->lines[i].name.len + s->lines[i].value.len + 4;
	return room;
}

/* Trailer announces fields that only chunked carries (RFC 9110 6.6.2). */
static uint64_t ours(const struct http1_send *s)
{
	return 1ull << FIELD_CONTENT_LENGTH | 1ull << FIELD_TRANSFER_ENCODING | 1ull << FIELD_CONNECTION |
	    (s->framing.kind != FRAMING_CHUNKED ? 1ull << FIELD_TRAILER : 0);
}

static char *put_rest(char *at, const struct http_head *h, const struct http1_send *s, uint64_t not)
{
	at = put_fields(at, h, not);
	at = put_lines(at, s);
	at = put_framing(at, s);
	at = put_connection(at, s);
	return PUT(at, "\r\n");
}

size_t http1_write_request(char *out, const struct http_head *h, const struct http1_send *s)
{
	struct http_span authority = s->authority.at != NULL ? s->authority : http_authority(h);
	char *at = put_span(out, http_text(h, h->method_at, h->method_len));

	at = PUT(at, " ");
	if (h->method == METHOD_CONNECT) {
		at = put_span(at, authority);
	} else if (s->path.at != NULL) {
		at = put_span(at, s->path);
	} else {
		at = put_span(at, http_path(h));
		at = put_span(at, http_query(h));
	}
	at = PUT(at, " HTTP/1.1\r\nHost: ");
	at = put_span(at, authority);
	at = PUT(at, "\r\n");
	return (size_t)(put_rest(at, h, s, ours(s) | 1ull << FIELD_HOST) - out);
}

size_t http1_write_response(char *out, const struct http_head *h, const struct http1_send *s)
{
	char *at = PUT(out, "HTTP/1.1 ");

	at = put_decimal(at, h->status);
	at = PUT(at, " ");
	at = put_span(at, h->bytes != NULL ? http_text(h, h->reason_at, h->reason_len) : http_reason(h->status));
	at = PUT(at, "\r\n");
	return (size_t)(put_rest(at, h, s, ours(s)) - out);
}

struct http_framing http1_reframe(struct http_framing framing, uint8_t client_minor)
{
	if (framing.kind == FRAMING_CHUNKED || framing.kind == FRAMING_CLOSE)
		framing.kind = client_minor > 0 ? FRAMING_CHUNKED : FRAMING_CLOSE;
	return framing;
}

size_t http1_write_chunk(char out[HTTP1_CHUNK_HEAD], uint64_t size)
{
	unsigned digits = size == 0 ? 1 : (67u - (unsigned)__builtin_clzll(size)) / 4;

	for (unsigned i = 0; i < digits; i++)
		out[i] = "0123456789abcdef"[size >> 4 * (digits - 1 - i) & 15];
	PUT(out + digits, "\r\n");
	return digits + 2;
}

size_t http1_end_room(const struct http_head *trailers)
{
	return 5 + (trailers != NULL ? (size_t)trailers->size + trailers->count : 0);
}

size_t http1_write_end(char *out, const struct http_head *trailers)
{
	char *at = PUT(out, "0\r\n");

	if (trailers != NULL)
		at = put_fields(at, trailers, 0);
	return (size_t)(PUT(at, "\r\n") - out);
}
