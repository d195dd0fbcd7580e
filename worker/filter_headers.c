/*
 * The fields that a proxy of Envoy's kind sets: on requests x-request-id, x-forwarded-for and -proto, on answers server, date
 * and x-envoy-upstream-service-time.
 */
#include "worker/http_conn.h"
#include "worker/path.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SPAN(text) ((struct http_span){ text, sizeof(text) - 1 })

static struct http_span value_of(const struct http_head *h, enum http_field_id id)
{
	const struct http_field *f = http_has(h, id) ? http_find(h, id, NULL) : NULL;

	return f != NULL ? http_value(h, f) : (struct http_span){ NULL, 0 };
}

static void add(struct stream *s, enum http_field_id id, struct http_span value)
{
	stream_add_line(s, http_field_name(id), value);
}

/* ---- requests ---- */

#define UUID_LEN 36

/* RFC 9562 5.4, version 4. */
static void make_uuid(struct worker *w, char out[UUID_LEN])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t bits[2] = { worker_random_bits(w), worker_random_bits(w) };

	bits[0] = (bits[0] & ~0xf000ull) | 0x4000;
	bits[1] = (bits[1] & ~(3ull << 62)) | 2ull << 62;
	for (unsigned i = 0, at = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[at++] = '-';
		out[at++] = hex[bits[i / 16] >> (60 - i % 16 * 4) & 15];
	}
}

/* At the edge of the mesh nobody's word is taken for it. */
static void set_request_id(struct stream *s, struct http_head *h)
{
	bool edge = s->http->use_remote_address && !s->http->preserve_external_request_id;
	char *id;

	if (http_has(h, FIELD_X_REQUEST_ID) && edge && s->http->generate_request_id)
		http_drop(h, FIELD_X_REQUEST_ID);
	s->id = value_of(h, FIELD_X_REQUEST_ID);
	if (s->id.at != NULL || !s->http->generate_request_id || (id = arena_take(&s->arena, UUID_LEN)) == NULL)
		return;
	make_uuid(s->worker, id);
	s->id = (struct http_span){ id, UUID_LEN };
	add(s, FIELD_X_REQUEST_ID, s->id);
}

/* Which of them is the client, for those that ask: as many trusted proxies back as there are. */
static void set_external_address(struct stream *s, struct http_head *h, struct http_span before)
{
	const char *end = before.at + before.len, *at = end;
	char *own;

	for (uint32_t hops = s->http->xff_num_trusted_hops; hops > 0 && before.len > 0; hops--) {
		end = at;
		while (at > before.at && at[-1] != ',')
			at--;
		if (hops > 1 && at > before.at)
			at--;
	}
	while (at < end && *at == ' ')
		at++;
	http_drop(h, FIELD_X_ENVOY_EXTERNAL_ADDRESS);
	if (at < end)
		add(s, FIELD_X_ENVOY_EXTERNAL_ADDRESS, (struct http_span){ at, (uint32_t)(end - at) });
	else if ((own = arena_take(&s->arena, ADDR_STRLEN)) != NULL)
		add(s, FIELD_X_ENVOY_EXTERNAL_ADDRESS, (struct http_span){ own, (uint32_t)strlen(addr_print_ip(&s->conn->head.client, own)) });
}

/* The client's address behind those that it says it has come for. */
static void set_forwarded_for(struct stream *s, struct http_head *h)
{
	struct http_span before = value_of(h, FIELD_X_FORWARDED_FOR);
	char *all;
	size_t len = 0;

	s->forwarded = before;
	if (!s->http->use_remote_address || (all = arena_take(&s->arena, before.len + 2 + ADDR_STRLEN)) == NULL)
		return;
	if (before.len > 0) {
		memcpy(all, before.at, before.len);
		memcpy(all + before.len, ",", 1);
		len = before.len + 1;
	}
	len += strlen(addr_print_ip(&s->conn->head.client, all + len));
	set_external_address(s, h, before);
	http_drop(h, FIELD_X_FORWARDED_FOR);
	s->forwarded = (struct http_span){ all, (uint32_t)len };
	add(s, FIELD_X_FORWARDED_FOR, s->forwarded);
}

/* What a trusted proxy says of it is believed. */
static void set_forwarded_proto(struct stream *s, struct http_head *h)
{
	if (s->http->use_remote_address && s->http->xff_num_trusted_hops == 0)
		http_drop(h, FIELD_X_FORWARDED_PROTO);
	if (!http_has(h, FIELD_X_FORWARDED_PROTO) || http_find(h, FIELD_X_FORWARDED_PROTO, NULL) == NULL)
		add(s, FIELD_X_FORWARDED_PROTO, SPAN("http"));
}

#define FORWARDS_MOST 1000000000ul
#define FORWARDS_LEN  10		/* of that */

/* RFC 9110 7.6.2: of these two methods it is lowered, and nought goes no further. */
static enum verdict count_forward(struct stream *s, struct http_head *h)
{
	struct http_span left = value_of(h, FIELD_MAX_FORWARDS);
	unsigned long n = 0;
	char *text;

	if (left.len == 0 || (h->method != METHOD_OPTIONS && h->method != METHOD_TRACE))
		return GO;
	for (uint32_t i = 0; i < left.len; i++) {
		if (left.at[i] < '0' || left.at[i] > '9')
			return GO;
		n = n * 10 + (unsigned long)(left.at[i] - '0');
		n = n > FORWARDS_MOST ? FORWARDS_MOST : n;
	}
	if (n == 0)
		return stream_reply(s, h->method == METHOD_TRACE ? STREAM_LAST_TRACE : STREAM_LAST_HOP);
	if ((text = arena_take(&s->arena, FORWARDS_LEN + 1)) == NULL) {
		stream_out_of_memory(s);
		return REPLIED;
	}
	http_drop(h, FIELD_MAX_FORWARDS);
	add(s, FIELD_MAX_FORWARDS, (struct http_span){ text, (uint32_t)sprintf(text, "%lu", n - 1) });
	return GO;
}

static bool set_path(struct stream *s, const struct http_head *h)
{
	struct http_span path = http_path(h), query = http_query(h);
	char *out;

	if (!s->http->normalize_path || !path_needs_normalizing(path))
		return true;
	if ((out = arena_take(&s->arena, path.len + query.len)) == NULL)
		return false;
	path.len = (uint32_t)path_normalize(out, path);
	if (query.len > 0)
		memcpy(out + path.len, query.at, query.len);
	s->path = (struct http_span){ out, path.len + query.len };
	return true;
}

static enum verdict request(struct stream *s, struct http_head *h)
{
	s->agent = value_of(h, FIELD_USER_AGENT);
	set_request_id(s, h);
	set_forwarded_for(s, h);
	set_forwarded_proto(s, h);
	if (!set_path(s, h)) {
		stream_out_of_memory(s);
		return REPLIED;
	}
	return http_has(h, FIELD_MAX_FORWARDS) ? count_forward(s, h) : GO;
}

/* ---- answers ---- */

/* RFC 9110 5.6.7, made once a second. */
static struct http_span date(struct worker *w)
{
	static char text[32];
	static time_t of;
	time_t now = (time_t)(worker_wall_ms(w, w->loop.now_ms) / 1000);
	struct tm tm;

	if (now != of) {
		of = now;
		gmtime_r(&now, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return (struct http_span){ text, (uint32_t)strlen(text) };
}

static struct http_span decimal(char digits[5], uint16_t n)
{
	char *at = digits + 5;

	do
		*--at = (char)('0' + n % 10);
	while ((n = (uint16_t)(n / 10)) > 0);
	return (struct http_span){ at, (uint32_t)(digits + 5 - at) };
}

static void response(struct stream *s, struct http_head *h)
{
	static char number[5];
	const char *server = image_text(&s->generation->image, s->http->server_name);

	if (!http_has(h, FIELD_DATE))
		add(s, FIELD_DATE, date(s->worker));
	if (*server != '\0') {
		http_drop(h, FIELD_SERVER);
		add(s, FIELD_SERVER, (struct http_span){ server, (uint32_t)strlen(server) });
	}
	if (s->replied)
		return;
	http_drop(h, FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME);
	add(s, FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME, decimal(number, s->service_ms));
}

const struct http_filter filter_headers = { "headers", request, response, NULL };
