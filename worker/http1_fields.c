/*
 * Field lines (RFC 9112 5) of heads and trailer sections.
 *
 * llhttp finds names and values; where it is laxer than the RFC, or laxer in one of its versions than in another, we look
 * again: names (token, no space before the colon), and in http1_scan.c line ends, folds and control bytes.  It gets a start
 * line of ours: it knows a fixed list of methods and versions, and passes targets that are malformed.
 */
#include "worker/http1_inside.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#define START "GET / HTTP/1.1\r\n"
#define OPTIONS_MAX 32		/* each is looked for among all the fields */

struct reading {
	struct http_head *head;
	uint16_t most;
	enum http1_bad bad;
};

static int on_name(llhttp_t *p, const char *at, size_t len)
{
	struct reading *r = p->data;
	struct http_head *h = r->head;
	struct http_field *f = &h->fields[h->count];

	if (h->count == r->most || len > UINT16_MAX) {
		r->bad = h->count == r->most ? BAD_FIELD_COUNT : BAD_HEAD_LONG;
		return -1;
	}
	h->count++;
	f->name = (uint32_t)(at - h->bytes);
	f->name_len = (uint16_t)len;
	f->value = f->name + (uint32_t)len + 1;
	f->value_len = 0;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
	struct reading *r = p->data;
	struct http_field *f = &r->head->fields[r->head->count - 1];

	while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	if (len > 0)			/* an empty one may be said to lie after its line */
		f->value = (uint32_t)(at - r->head->bytes);
	f->value_len = (uint32_t)len;
	return 0;
}

static int on_end(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_end,
};

/* A token, and its colon right after it. */
static bool is_name(const char *at, uint16_t len)
{
	for (uint16_t i = 0; i < len; i++) {
		if (http_token[(unsigned char)at[i]] == 0)
			return false;
	}
	return len > 0 && at[len] == ':';
}

/*
 * Numbers the fields.  They must lie one after the other from `at`, with nothing between them but what the grammar has:
 * where llhttp and http1_scan() saw different lines, nobody goes on.  Where the last one ends is in *end_r.
 */
static enum http1_bad number(struct http_head *h, uint32_t at, uint32_t *end_r)
{
	static const uint64_t hop = 0
#define X(id, text, is_hop) | (uint64_t)is_hop << id
	    HTTP_FIELDS(X)
#undef X
	    ;

	for (struct http_field *f = h->fields; f < h->fields + h->count; f++) {
		const char *name = h->bytes + f->name;

		if (f->name != at || !is_name(name, f->name_len))
			return BAD_FIELD_NAME;
		for (at = f->value + f->value_len; h->bytes[at] == ' ' || h->bytes[at] == '\t';)
			at++;
		at += 2;		/* CRLF */
		f->id = (uint8_t)http_field_id(name, f->name_len);
		f->gone = hop >> f->id & 1;
		h->present |= (uint64_t)1 << f->id;
	}
	*end_r = at;
	return HTTP1_OK;
}

/* llhttp looks at framing fields too, and stops at some of what is wrong with them. */
static enum http1_bad refused(const struct http_head *h, llhttp_errno_t error)
{
	switch (error) {
	case HPE_INVALID_CONTENT_LENGTH:
		return BAD_LENGTH;
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return http_has(h, FIELD_TRANSFER_ENCODING) ? BAD_LENGTH_AND_CODING : BAD_LENGTH_REPEATED;
	case HPE_INVALID_TRANSFER_ENCODING:
		return BAD_CODING_ORDER;
	default:
		return BAD_FIELD_NAME;
	}
}

enum http1_bad http1_read_fields(struct http_head *h, uint32_t at, const struct http1_limits *l)
{
	struct reading r = { .head = h, .most = h->room < l->fields ? h->room : l->fields };
	enum http1_bad bad;
	llhttp_errno_t error;
	uint32_t end;
	llhttp_t p;

	h->count = 0;
	h->present = 0;
	llhttp_init(&p, HTTP_REQUEST, &settings);
	p.data = &r;
	llhttp_execute(&p, START, sizeof(START) - 1);
	error = llhttp_execute(&p, h->bytes + at, h->size - at);
	if (r.bad != HTTP1_OK)
		return r.bad;
	bad = number(h, at, &end);
	if (bad != HTTP1_OK)
		return bad;
	if (error != HPE_PAUSED)
		return refused(h, error);
	return end + 2 == h->size ? HTTP1_OK : BAD_LINE_END;
}

/* The next element of a list (RFC 9110 5.6.1) without the white space around it; empty ones are passed over. */
static bool next_element(struct http_span *list, struct http_span *element_r)
{
	while (list->len > 0) {
		const char *comma = memchr(list->at, ',', list->len);
		struct http_span e = { list->at, comma != NULL ? (uint32_t)(comma - list->at) : list->len };
		uint32_t past = comma != NULL ? e.len + 1 : e.len;

		list->at += past;
		list->len -= past;
		for (; e.len > 0 && (*e.at == ' ' || *e.at == '\t'); e.at++)
			e.len--;
		while (e.len > 0 && (e.at[e.len - 1] == ' ' || e.at[e.len - 1] == '\t'))
			e.len--;
		if (e.len > 0) {
			*element_r = e;
			return true;
		}
	}
	return false;
}

static bool is_word(struct http_span s, const char *word)
{
	return strlen(word) == s.len && strncasecmp(s.at, word, s.len) == 0;
}

bool http1_lists(const struct http_head *h, enum http_field_id id, const char *word)
{
	struct http_span list, e;

	if (!http_has(h, id))
		return false;
	for (const struct http_field *f = h->fields; f < h->fields + h->count; f++) {
		if (f->id != id)
			continue;
		list = http_value(h, f);
		while (next_element(&list, &e)) {
			const char *mark = memchr(e.at, ';', e.len);

			for (e.len = mark != NULL ? (uint32_t)(mark - e.at) : e.len; e.len > 0 && (e.at[e.len - 1] == ' ' || e.at[e.len - 1] == '\t');)
				e.len--;
			if (is_word(e, word))
				return true;
		}
	}
	return false;
}

static void drop_named(struct http_head *h, struct http_span name)
{
	for (struct http_field *f = h->fields; f < h->fields + h->count; f++) {
		if (f->name_len == name.len && strncasecmp(h->bytes + f->name, name.at, name.len) == 0)
			f->gone = true;
	}
}

/*
 * One connection option.  Host and Content-Length are for all recipients, and no sender has a reason to name them (RFC 9110
 * 7.6.1): dropped they would change what the message means, kept they would mean two things on the two sides.
 * Transfer-Encoding is ours anyway.
 */
static enum http1_bad take_option(struct http_head *h, struct http_span option, unsigned *options)
{
	static const struct {
		const char *word;
		unsigned option;
	} known[] = {
		{ "keep-alive", OPTION_KEEP_ALIVE },
		{ "close", OPTION_CLOSE },
		{ "upgrade", OPTION_UPGRADE },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (is_word(option, known[i].word)) {
			*options |= known[i].option;
			return HTTP1_OK;
		}
	}
	for (uint32_t i = 0; i < option.len; i++) {
		if (http_token[(unsigned char)option.at[i]] == 0)
			return BAD_OPTIONS;
	}
	switch (http_field_id(option.at, option.len)) {
	case FIELD_HOST:
	case FIELD_CONTENT_LENGTH:
		return BAD_CONNECTION;
	default:
		drop_named(h, option);
		return HTTP1_OK;
	}
}

enum http1_bad http1_read_connection(struct http_head *h, unsigned *options_r)
{
	struct http_span list, option;
	enum http1_bad bad;
	unsigned count = 0;

	*options_r = 0;
	if (!http_has(h, FIELD_CONNECTION))
		return HTTP1_OK;
	for (const struct http_field *f = h->fields; f < h->fields + h->count; f++) {
		if (f->id != FIELD_CONNECTION)
			continue;
		list = http_value(h, f);
		while (next_element(&list, &option)) {
			if (count++ == OPTIONS_MAX)
				return BAD_OPTIONS;
			bad = take_option(h, option, options_r);
			if (bad != HTTP1_OK)
				return bad;
		}
	}
	return HTTP1_OK;
}
