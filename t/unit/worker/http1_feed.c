#include "t/unit/worker/http1_feed.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct http1_limits feed_limits = { .line_bytes = 8192, .head_bytes = 61440, .fields = 100, .ext_chunk = 256, .ext_body = 4096 };

const char *const feed_bads[HTTP1_BAD_COUNT] = {
	[HTTP1_OK] = "OK",
#define X(id, status, details, words) [id] = #id,
	HTTP1_BADS(X)
#undef X
};

struct text {
	char *at;
	size_t used, size;
};

static char *room(struct text *t, size_t bytes)
{
	if (t->used + bytes + 1 > t->size) {
		t->size = 2 * t->size + bytes + 1;
		t->at = realloc(t->at, t->size);
	}
	return t->at + t->used;
}

static void add_bytes(struct text *t, const char *at, size_t len)
{
	if (len > 0)
		memcpy(room(t, len), at, len);
	t->used += len;
}

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->used += (size_t)vsnprintf(room(t, 256), 256, format, args);
	va_end(args);
}

static void add_span(struct text *t, const char *word, struct http_span s, const char *after)
{
	add(t, "%s", word);
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.at[i] < ' ' || s.at[i] > '~' || s.at[i] == '\\')
			add(t, "\\x%02x", (unsigned char)s.at[i]);
		else
			add(t, "%c", s.at[i]);
	}
	add(t, "%s", after);
}

struct feeding {
	const struct feed *f;
	const char *bytes;
	size_t size, at;		/* fed so far */
	size_t end;			/* of the piece that is being fed */
	struct text text, head, data, trailers;	/* the latter three: of this message */
	struct http_field fields[300];
	struct http_head h;
	struct http1_meaning m;
	struct http_framing onward;	/* of the body as we send it */
};

/* The next piece; false: there is none. */
static bool next_piece(struct feeding *g)
{
	size_t piece = g->end == 0 ? g->f->first : g->f->piece;

	if (g->end == g->size)
		return false;
	g->end += piece == 0 || piece > g->size - g->end ? g->size - g->end : piece;
	return true;
}

static void show_fields(struct feeding *g, const struct http_head *h, const char *word)
{
	for (uint16_t i = 0; i < h->count; i++) {
		const struct http_field *f = &h->fields[i];
		bool ours = f->id == FIELD_HOST || f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_TRAILER;

		if (g->f->meaning && (f->gone || ours))
			continue;
		add_span(&g->text, f->gone ? "gone " : word, http_name(h, f), "");
		add_span(&g->text, ": ", http_value(h, f), "\n");
	}
}

static void show_framing(struct feeding *g, struct http_framing framing)
{
	static const char *const words[] = {
		[FRAMING_NONE] = "none", [FRAMING_LENGTH] = "length", [FRAMING_CHUNKED] = "chunked", [FRAMING_CLOSE] = "close", [FRAMING_TOLD] = "told",
	};

	add(&g->text, "body %s", words[framing.kind]);
	if (framing.kind == FRAMING_LENGTH || framing.kind == FRAMING_TOLD)
		add(&g->text, " %" PRIu64, framing.length);
	add(&g->text, "\n");
}

static void show_head(struct feeding *g)
{
	static const char *const forms[] = {
		[FORM_ORIGIN] = "origin", [FORM_ABSOLUTE] = "absolute", [FORM_AUTHORITY] = "authority", [FORM_ASTERISK] = "asterisk",
	};
	const struct http_head *h = &g->h;
	const struct http1_meaning *m = &g->m;

	if (g->f->request) {
		add_span(&g->text, "request ", http_text(h, h->method_at, h->method_len), "");
		if (!g->f->meaning) {
			add_span(&g->text, " ", http_text(h, h->target_at, h->target_len), "");
			add(&g->text, " 1.%u\nform %s%s", h->minor, forms[h->form], h->https ? " https" : "");
		}
		add_span(&g->text, "\npath ", http_path(h), "\n");
		add_span(&g->text, "query ", http_query(h), "\n");
		if (!g->f->meaning || h->authority_len > 0)
			add_span(&g->text, "authority ", http_authority(h), "\n");
		else
			add(&g->text, "authority example\n");
	} else {
		add(&g->text, "response %u", h->status);
		if (!g->f->meaning)
			add(&g->text, " 1.%u", h->minor);
		add_span(&g->text, " ", http_text(h, h->reason_at, h->reason_len), "\n");
	}
	if (!g->f->meaning)
		add(&g->text, "flags%s%s%s%s%s\n", m->keep_alive ? " keep" : "", m->upgrade ? " upgrade" : "", m->expect_continue ? " expect" : "",
		    m->trailers ? " trailers" : "", m->interim ? " interim" : "");
	show_framing(g, g->f->meaning ? g->onward : m->framing);
	show_fields(g, h, "field ");
}

static void send_head(struct feeding *g)
{
	struct http1_send s = { .framing = g->onward, .close = !g->m.keep_alive && !g->m.interim && !g->m.tunnel, .trailers = g->m.trailers };
	struct http_field *f = NULL;
	size_t most;
	char *at;

	for (uint16_t i = 0; g->m.upgrade && i < g->h.count; i++) {
		if (g->h.fields[i].id == FIELD_UPGRADE)
			f = &g->h.fields[i];
	}
	if (f != NULL)
		s.upgrade = http_value(&g->h, f);
	if (g->f->request && g->h.authority_len == 0)
		s.authority = (struct http_span){ "example", 7 };
	most = http1_head_room(&g->h, &s);
	at = malloc(most);
	add_bytes(&g->text, at, g->f->request ? http1_write_request(at, &g->h, &s) : http1_write_response(at, &g->h, &s));
	free(at);
}

static bool parse_head(struct feeding *g, size_t lead)
{
	const char *at = g->head.at + lead;
	size_t size = g->head.used - lead;
	enum http1_bad bad;

	g->h = (struct http_head){ .fields = g->fields, .room = sizeof(g->fields) / sizeof(g->fields[0]) };
	bad = g->f->request ? http1_parse_request(at, size, &g->f->limits, &g->h, &g->m) :
	    http1_parse_response(at, size, &g->f->limits, g->f->asked, &g->h, &g->m);
	if (bad != HTTP1_OK) {
		add(&g->text, "%s\n", feed_bads[bad]);
		return false;
	}
	g->onward = g->f->request ? g->m.framing : http1_reframe(g->m.framing, 1);
	if (g->f->rewrite)
		send_head(g);
	else
		show_head(g);
	return true;
}

/* Nothing behind it: a sanitizer sees whoever reads on. */
static void shrink(struct text *t)
{
	t->at = realloc(t->at, t->used);
	t->size = t->used;
}

/* A whole head; false: refused, or the bytes are over. */
static bool take_head(struct feeding *g)
{
	struct http1_scan scan = { .request = g->f->request };
	enum http1_scanned scanned;
	enum http1_bad bad;
	size_t used;

	g->head.used = 0;
	do {
		scanned = http1_scan(&scan, g->bytes + g->at, g->end - g->at, &g->f->limits, &used, &bad);
		add_bytes(&g->head, g->bytes + g->at, used);
		g->at += used;
	} while (scanned == SCAN_MORE && next_piece(g));
	if (g->head.used > 0)
		shrink(&g->head);
	if (scanned == SCAN_HEAD)
		return parse_head(g, scan.lead);
	if (scanned == SCAN_BAD)
		add(&g->text, "%s\n", feed_bads[bad]);
	else if (g->head.used > 0)
		add(&g->text, "more\n");
	return false;
}

static void show_data(struct feeding *g)
{
	if (g->data.used > 0 && !g->f->rewrite)
		add_span(&g->text, "data ", (struct http_span){ g->data.at, (uint32_t)g->data.used }, "\n");
}

static void send_data(struct feeding *g, struct http_span data)
{
	char head[HTTP1_CHUNK_HEAD];

	if (g->onward.kind == FRAMING_CHUNKED)
		add_bytes(&g->text, head, http1_write_chunk(head, data.len));
	add_bytes(&g->text, data.at, data.len);
	if (g->onward.kind == FRAMING_CHUNKED)
		add_bytes(&g->text, "\r\n", 2);
}

/* The message is over: its trailers. */
static bool finish(struct feeding *g)
{
	struct http_head h = { .fields = g->fields, .room = sizeof(g->fields) / sizeof(g->fields[0]) };
	enum http1_bad bad = HTTP1_OK;

	show_data(g);
	if (g->trailers.used > 0) {
		shrink(&g->trailers);
		bad = http1_parse_trailers(g->trailers.at, g->trailers.used, &g->f->limits, &h);
	}
	if (bad != HTTP1_OK) {
		add(&g->text, "%s\n", feed_bads[bad]);
		return false;
	}
	if (!g->f->rewrite) {
		show_fields(g, &h, "trailer ");
		add(&g->text, "end\n");
	} else if (g->onward.kind == FRAMING_CHUNKED) {
		char *at = malloc(http1_end_room(&h));

		add_bytes(&g->text, at, http1_write_end(at, &h));
		free(at);
	}
	return true;
}

static bool take_body(struct feeding *g, struct http_framing framing)
{
	enum http1_body_event event;
	struct http1_body body;
	struct http_span data;
	enum http1_bad bad;
	size_t used;

	g->data.used = g->trailers.used = 0;
	http1_body_begin(&body, framing);
	do {
		event = http1_body_next(&body, g->bytes + g->at, g->end - g->at, &g->f->limits, &used, &data, &bad);
		g->at += used;
		if (event == BODY_DATA && g->f->rewrite)
			send_data(g, data);
		if (event == BODY_DATA)
			add_bytes(&g->data, data.at, data.len);
		if (event == BODY_TRAILER)
			add_bytes(&g->trailers, data.at, data.len);
	} while (event == BODY_DATA || event == BODY_TRAILER || (event == BODY_MORE && next_piece(g)));
	if (event == BODY_MORE && (bad = http1_body_eof(&body)) == HTTP1_OK)
		event = BODY_END;
	if (event == BODY_END)
		return finish(g);
	show_data(g);
	add(&g->text, "%s\n", feed_bads[bad]);
	return false;
}

char *feed_bytes(const struct feed *f, const char *bytes, size_t size, size_t *size_r)
{
	struct feeding *g = calloc(1, sizeof(*g));
	struct http_framing chunked = { .kind = FRAMING_CHUNKED };
	char *text;

	g->f = f;
	g->bytes = bytes;
	g->size = size;
	next_piece(g);
	if (f->body) {
		g->onward = chunked;
		take_body(g, chunked);
	} else {
		while (take_head(g)) {
			if (g->m.tunnel || (f->request && g->h.method == METHOD_CONNECT)) {
				if (!f->rewrite)
					add_span(&g->text, "tunnel ", (struct http_span){ bytes + g->at, (uint32_t)(size - g->at) }, "\n");
				break;
			}
			if (!take_body(g, g->m.framing))
				break;
		}
	}
	*room(&g->text, 0) = '\0';
	if (size_r != NULL)
		*size_r = g->text.used;
	text = g->text.at;
	free(g->head.at);
	free(g->data.at);
	free(g->trailers.at);
	free(g);
	return text;
}
