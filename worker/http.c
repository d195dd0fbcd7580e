/* What the versions of HTTP have in common: see http.h. */
#include "worker/http.h"

#include <string.h>

struct name {
	const char *text;
	uint8_t len;
};

static const struct name names[FIELD_COUNT] = {
#define X(id, text, hop) [id] = { text, sizeof(text) - 1 },
	HTTP_FIELDS(X)
#undef X
};

#define NAME_SLOTS 128u
#define NAME_MAX_LEN 31u

uint8_t http_token[256];
static uint8_t slots[NAME_SLOTS];	/* field numbers by their names' hash, each in the first free slot after it */

static unsigned hash(const char *low, size_t len)
{
	return ((unsigned)len * 5 + (unsigned char)low[0] * 3 + (unsigned char)low[len - 1] * 7 + (unsigned char)low[len / 2]) % NAME_SLOTS;
}

/* C has no way to hash the table's names when it is compiled. */
__attribute__((constructor)) static void make_tables(void)
{
	for (const char *p = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"; *p != '\0'; p++)
		http_token[(unsigned char)*p] = (uint8_t)*p;
	for (int c = 'A'; c <= 'Z'; c++)
		http_token[c] = (uint8_t)(c - 'A' + 'a');
	for (uint8_t id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
		unsigned at = hash(names[id].text, names[id].len);

		while (slots[at] != FIELD_OTHER)
			at = (at + 1) % NAME_SLOTS;
		slots[at] = id;
	}
}

enum http_field_id http_field_id(const char *name, size_t len)
{
	char low[NAME_MAX_LEN];

	if (len == 0 || len > sizeof(low))
		return FIELD_OTHER;
	for (size_t i = 0; i < len; i++)
		low[i] = (char)http_token[(unsigned char)name[i]];
	for (unsigned at = hash(low, len); slots[at] != FIELD_OTHER; at = (at + 1) % NAME_SLOTS) {
		const struct name *n = &names[slots[at]];

		if (n->len == len && memcmp(n->text, low, len) == 0)
			return slots[at];
	}
	return FIELD_OTHER;
}

struct http_span http_field_name(enum http_field_id id)
{
	return (struct http_span){ names[id].text, names[id].len };
}

struct http_field *http_find(const struct http_head *h, enum http_field_id id, struct http_field *f)
{
	struct http_field *end = h->fields + h->count;

	if (!http_has(h, id))
		return NULL;
	for (f = f == NULL ? h->fields : f + 1; f < end; f++) {
		if (f->id == id && !f->gone)
			return f;
	}
	return NULL;
}

void http_drop(struct http_head *h, enum http_field_id id)
{
	for (struct http_field *f = NULL; (f = http_find(h, id, f)) != NULL;)
		f->gone = true;
}

struct http_span http_path(const struct http_head *h)
{
	if (h->path_len != 0 || h->method == METHOD_CONNECT)
		return http_text(h, h->path_at, h->path_len);
	return (struct http_span){ h->method == METHOD_OPTIONS && h->query_len == 0 ? "*" : "/", 1 };
}

static const struct {
	uint16_t status;
	const char *words;
} reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 103, "Early Hints" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
};

struct http_span http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return (struct http_span){ reasons[i].words, (uint32_t)strlen(reasons[i].words) };
	}
	return (struct http_span){ "", 0 };
}
