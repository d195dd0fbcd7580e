/*
 * A request and its answer: see stream.h.  In the order of its life.
 *
 *   begin -> filters -> asked -> the answer's head -> its body -> over -> freed
 */
#include "worker/stream.h"

#include "worker/handover.h"
#include "worker/http_conn.h"
#include "worker/http_log.h"
#include "worker/http_upstream.h"
#include "worker/pool.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct http_filter *const filters[] = { &filter_headers, &filter_router };
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

static const struct {
	uint16_t status;
	const char *text;
} replies[] = {
#define STREAM_REPLY(name, status, flag, details, text) [name] = { status, text },
	STREAM_ENDS(STREAM_REPLY)
#undef STREAM_REPLY
};

#define TO(state) (1u << (state))
static const unsigned stream_next[] = {
	[STREAM_NEW] = TO(STREAM_WAITING) | TO(STREAM_ASKED) | TO(STREAM_ANSWERED) | TO(STREAM_OVER),
	[STREAM_WAITING] = TO(STREAM_ASKED) | TO(STREAM_ANSWERED) | TO(STREAM_OVER),
	[STREAM_ASKED] = TO(STREAM_WAITING) | TO(STREAM_ANSWERED) | TO(STREAM_OVER),
	[STREAM_ANSWERED] = TO(STREAM_OVER),
	[STREAM_OVER] = 0,
};

static void enter(struct stream *s, enum stream_state to)
{
	if (!(stream_next[s->state] & TO(to)))
		abort();
	s->state = (uint8_t)to;
}

static void walk(struct stream *);
static void answer_goes_on(struct stream *);

/* ---- begin ---- */

static struct stream *stream_new(struct http_conn *c)
{
	struct worker *w = c->transport.worker;
	struct stream *s = slab_take(&w->slab);

	if (s == NULL) {
		count(w, WORKER_C_shed_memory);
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->arena.at = (char *)s + ((sizeof(*s) + 7) & ~(size_t)7);
	s->arena.end = (char *)s + SLAB_BYTES;
	s->worker = w;
	s->conn = c;
	s->generation = generation_hold(c->generation);
	s->http = c->http;
	s->up = (struct upstream)UPSTREAM_NONE;
	s->chain_row = live_row(&w->live, w->index, c->head.chain_slot);
	s->began_ms = w->loop.now_ms;
	s->service_ms = UINT16_MAX;
	s->request.method = METHOD_OTHER;
	s->request.minor = 1;
	way_init(&s->way[REQUEST], s, REQUEST);
	way_init(&s->way[RESPONSE], s, RESPONSE);
	live_add(&s->chain_row->counter[HTTP_C_rq_total], 1);
	live_add(&s->chain_row->gauge[HTTP_G_rq_active], 1);
	return s;
}

static enum http1_bad read_request(struct stream *s, const char *head, size_t size)
{
	struct http1_limits limits = http_limits(s->http, REQUEST);
	char *copy = arena_take(&s->arena, size);
	enum http1_bad bad;

	if (copy == NULL) {
		stream_out_of_memory(s);
		return HTTP1_OK;
	}
	memcpy(copy, head, size);
	s->request.fields = s->worker->fields;
	s->request.room = HTTP_FIELDS_MAX;
	bad = http1_parse_request(copy, size, &limits, &s->request, &s->asked);
	if (bad == HTTP1_OK)
		way_begin(&s->way[REQUEST], s->asked.framing, s->asked.framing.kind);
	return bad;
}

static void request_complete(struct stream *s)
{
	if (s->way[REQUEST].ended && s->complete_ms == 0)
		s->complete_ms = s->worker->loop.now_ms;
}

static void refuse(struct stream *s, enum http1_bad bad)
{
	s->bad = (uint8_t)bad;
	live_add(&s->chain_row->counter[HTTP_C_cx_protocol_error], 1);
	if (s->state < STREAM_ANSWERED) {
		stream_reply(s, STREAM_BAD);
		return;
	}
	stream_abort(s, STREAM_BAD);
	http_conn_stream_over(s->conn, HTTP_BREAK);
}

struct stream *stream_begin(struct http_conn *c, const char *head, size_t size, enum http1_bad bad)
{
	struct stream *s = stream_new(c);

	if (s == NULL)
		return NULL;
	c->stream = s;
	if (bad == HTTP1_OK)
		bad = read_request(s, head, size);
	request_complete(s);
	if (s->state != STREAM_NEW)
		return s;
	if (bad != HTTP1_OK)
		refuse(s, bad);
	else if (s->request.minor == 0 && !s->http->accept_http_10)
		stream_reply(s, STREAM_OLD);
	else
		walk(s);
	c->head.worker->line_count = 0;		/* where the walk has failed */
	return s;
}

struct stream *stream_begin_refused(struct http_conn *c, enum stream_end end)
{
	struct stream *s = stream_new(c);

	if (s == NULL)
		return NULL;
	c->stream = s;
	stream_reply(s, end);
	return s;
}

/* ---- filters ---- */

/* All have seen it: it goes out. */
static void ask(struct stream *s)
{
	enter(s, STREAM_ASKED);
	s->asked_ms = s->worker->loop.now_ms;
	way_put_head(&s->way[REQUEST], s->sent_head.at, s->sent_head.len);
	live_add(&s->cluster_row->counter[CLUSTER_C_rq_total], 1);
	if (s->endpoint_row != NULL)
		live_add(&s->endpoint_row->counter[ENDPOINT_C_rq_total], 1);
}

static void walk(struct stream *s)
{
	while (s->filter < FILTERS) {
		const struct http_filter *f = filters[s->filter++];
		enum verdict v = f->request != NULL ? f->request(s, &s->request) : GO;

		if (v == WAIT && s->state == STREAM_NEW)
			enter(s, STREAM_WAITING);
		if (v != GO)
			break;
		if (s->filter == FILTERS)
			ask(s);
	}
	/* The field array is the worker's: what is needed of it was written. */
	s->request.fields = NULL;
	s->request.count = 0;
}

void stream_resume(struct stream *s)
{
	if (s->filter < FILTERS) {
		walk(s);
		return;
	}
	ask(s);
	http_conn_go_on(s->conn);
}

void stream_add_line(struct stream *s, struct http_span name, struct http_span value)
{
	struct worker *w = s->worker;

	if (w->line_count < STREAM_LINES)
		w->lines[w->line_count++] = (struct http_line){ name, value };
}

struct http_span stream_upgrade_of(const struct http_head *h)
{
	for (uint16_t i = 0; i < h->count; i++) {
		if (h->fields[i].id == FIELD_UPGRADE)
			return http_value(h, &h->fields[i]);
	}
	return (struct http_span){ NULL, 0 };
}

bool stream_write_request(struct stream *s)
{
	struct worker *w = s->worker;
	struct http1_send send = {
		.framing = s->asked.framing, .lines = w->lines, .line_count = w->line_count,
		.path = s->path, .trailers = s->asked.trailers,
	};
	char *out;
	size_t len;

	w->line_count = 0;
	if (s->upgrade.len > 0)
		send.upgrade = s->upgrade;
	if ((out = arena_take(&s->arena, http1_head_room(&s->request, &send))) == NULL) {
		stream_out_of_memory(s);
		return false;
	}
	len = http1_write_request(out, &s->request, &send);
	arena_trim(&s->arena, out + len);
	s->sent_head = (struct http_span){ out, (uint32_t)len };
	return true;
}

/* ---- the request's body ---- */

bool stream_wants_request(const struct stream *s)
{
	const struct way *w = &s->way[REQUEST];

	return !w->ended && (w->broken || (s->state >= STREAM_ASKED && way_has_credit(w)));
}

size_t stream_request_bytes(struct stream *s, char *bytes, size_t len, int *loan)
{
	enum http1_bad bad;
	size_t used;

	if (!stream_wants_request(s))
		return 0;
	bad = way_take(&s->way[REQUEST], bytes, len, loan, &used);
	request_complete(s);
	if (bad != HTTP1_OK && s->state != STREAM_OVER)
		refuse(s, bad);
	return used;
}

void stream_request_flush(struct stream *s, bool more)
{
	struct http_conn *c = s->conn;
	struct way *w = &s->way[REQUEST];
	struct http_span rest;
	enum http1_bad bad;

	if (s->state == STREAM_OVER || s->state < STREAM_ASKED)
		return;
	if (more && !w->ended && c->in.len == 0 && transport_reads_alone(&c->transport)) {
		bad = way_pump(w, &rest);
		request_complete(s);
		if (s->state == STREAM_OVER)
			return;
		if (bad != HTTP1_OK)
			refuse(s, bad);
		else if (rest.len > 0 && inbuf_add(s->worker, &c->in, rest.at, rest.len) == -1)
			stream_out_of_memory(s);
	}
	if (s->state != STREAM_OVER)
		way_flush(w);
}

void stream_request_cut(struct stream *s)
{
	stream_abort(s, STREAM_CLIENT_GONE);
}

/* ---- the answer's head ---- */

static bool is_last(struct stream *s, enum http_framing_kind out)
{
	struct http_conn *c = s->conn;

	/* Behind a CONNECT that fails there may be what was meant for the tunnel. */
	return !s->asked.keep_alive || out == FRAMING_CLOSE || !s->way[REQUEST].ended || http_conn_is_ending(c) ||
	    (s->request.method == METHOD_CONNECT && !s->tunnel);
}

/* With what filters have to add; its body goes on framed as `out` says. */
static bool write_response(struct stream *s, struct http_head *head, struct http_framing out, struct http_span upgrade, bool final)
{
	struct worker *w = s->worker;
	struct http1_send send = { .framing = out, .upgrade = upgrade };
	char *text;
	size_t len;

	if (final) {
		for (unsigned i = FILTERS; i-- > 0;) {
			if (filters[i]->response != NULL)
				filters[i]->response(s, head);
		}
		s->close_after = s->close_after || (upgrade.at == NULL && is_last(s, out.kind));
		send.close = s->close_after;
		send.keep_alive = !s->close_after && s->request.minor == 0;
		send.lines = w->lines;
		send.line_count = w->line_count;
	}
	w->line_count = 0;
	if ((text = arena_take(&s->arena, http1_head_room(head, &send) + HTTP1_CHUNK_HEAD)) == NULL) {
		stream_out_of_memory(s);
		return false;
	}
	len = http1_write_response(text, head, &send);
	arena_trim(&s->arena, text + len);
	way_put_head(&s->way[RESPONSE], text, len);
	return true;
}

static void count_status(struct stream *s)
{
	unsigned class = s->status / 100u;

	if (class < 1 || class > 5)
		return;
	live_add(&s->chain_row->counter[HTTP_C_rq_completed], 1);
	live_add(&s->chain_row->counter[HTTP_C_rq_1xx + class - 1], 1);
	if (s->replied || s->cluster_row == NULL)
		return;
	live_add(&s->cluster_row->counter[CLUSTER_C_rq_completed], 1);
	live_add(&s->cluster_row->counter[CLUSTER_C_rq_1xx + class - 1], 1);
}

#define INTERIMS_MAX 16		/* an endpoint may send them for ever */

static void bad_answer(struct stream *s)
{
	live_add(&s->cluster_row->counter[CLUSTER_C_cx_protocol_error], 1);
	if (s->state < STREAM_ANSWERED) {
		stream_reply(s, STREAM_UPSTREAM_BAD);
		return;
	}
	stream_abort(s, STREAM_CUT_BAD);
	http_conn_stream_over(s->conn, HTTP_BREAK);
}

static void pass_interim(struct stream *s, struct http_head *head)
{
	const struct http_framing none = { FRAMING_NONE, 0 };

	if (++s->interims > INTERIMS_MAX) {
		bad_answer(s);
		return;
	}
	/* HTTP/1.0 knows none (RFC 9110 15.2). */
	if (s->request.minor > 0 && write_response(s, head, none, (struct http_span){ NULL, 0 }, false))
		way_flush(&s->way[RESPONSE]);
}

/* It is of this connection only, and so gone from the head already. */
static void note_patience(struct stream *s, const struct http_head *head)
{
	if (!http_has(head, FIELD_KEEP_ALIVE))
		return;
	for (const struct http_field *f = head->fields; f < head->fields + head->count; f++) {
		if (f->id == FIELD_KEEP_ALIVE)
			http_upstream_keep_alive(s->upstream, http_value(head, f));
	}
}

static void answer(struct stream *s, struct http_head *head, const struct http1_meaning *m)
{
	struct http_framing out = http1_reframe(m->framing, s->request.minor);
	struct http_span upgrade = { NULL, 0 };
	uint64_t took = s->worker->loop.now_ms - s->asked_ms;

	if (m->tunnel && !s->way[REQUEST].ended) {	/* RFC 9110 7.8: the request comes first, as a whole */
		bad_answer(s);
		return;
	}
	if (m->upgrade)
		upgrade = stream_upgrade_of(head);
	s->status = head->status;
	s->service_ms = took < UINT16_MAX ? (uint16_t)took : UINT16_MAX - 1;
	s->keep_upstream = m->keep_alive;
	note_patience(s, head);
	s->tunnel = m->tunnel;
	if (!s->way[REQUEST].ended)
		live_add(&s->chain_row->counter[HTTP_C_rq_early], 1);
	if (!write_response(s, head, out, upgrade, true))
		return;
	enter(s, STREAM_ANSWERED);
	way_begin(&s->way[RESPONSE], m->framing, out.kind);
}

/* Bytes used: 0 where the head goes on.  bytes[0] is where it begins, of which scan.bytes were looked at. */
static size_t take_head(struct stream *s, const char *bytes, size_t len)
{
	struct http1_limits limits = http_limits(s->http, RESPONSE);
	struct http1_asked asked = { s->request.method, s->upgrade.len > 0 };
	struct http_head head = { .fields = s->worker->fields, .room = HTTP_FIELDS_MAX };
	struct http1_meaning m;
	enum http1_scanned scanned;
	enum http1_bad bad;
	size_t used, size;

	scanned = http1_scan(&s->scan, bytes + s->scan.bytes, len - s->scan.bytes, &limits, &used, &bad);
	if (scanned == SCAN_MORE)
		return 0;
	size = s->scan.bytes;
	if (scanned == SCAN_BAD || (bad = http1_parse_response(bytes, size, &limits, asked, &head, &m)) != HTTP1_OK) {
		bad_answer(s);
		return len;
	}
	s->scan = (struct http1_scan){ 0 };
	if (m.interim)
		pass_interim(s, &head);
	else
		answer(s, &head, &m);
	return size;
}

/* ---- the answer's body ---- */

/* Bytes used; the others wait for credit, or for the rest of their head, or are nobody's. */
static size_t take_answer(struct stream *s, char *bytes, size_t len, int *loan)
{
	struct way *w = &s->way[RESPONSE];
	size_t used = 0, n;
	enum http1_bad bad;

	while (used < len && s->state == STREAM_ASKED && way_is_clear(w)) {
		if ((n = take_head(s, bytes + used, len - used)) == 0)
			return used;
		used += n;
	}
	if (s->state != STREAM_ANSWERED || s->replied || w->ended || s->tunnel || !way_has_credit(w) || used == len)
		return used;
	bad = way_take(w, bytes + used, len - used, loan, &n);
	if (bad != HTTP1_OK && s->state != STREAM_OVER)
		bad_answer(s);
	return used + n;
}

static void note_local(struct stream *s)
{
	if (s->worker->log.on)
		s->local = *http_upstream_local(s->upstream);
}

/* The endpoint has said all: its connection is free, if the request is with it too. */
static void answer_complete(struct stream *s)
{
	struct http_upstream *u = s->upstream;
	bool whole = way_is_over(&s->way[REQUEST]) && !s->way[REQUEST].broken;

	if (u == NULL || s->tunnel)
		return;
	note_local(s);
	s->upstream = NULL;
	if (!s->way[REQUEST].ended)
		s->way[REQUEST].broken = true;
	http_upstream_release(u, whole && s->keep_upstream && s->in.len == 0);
}

static void over(struct stream *, enum stream_end);

static void done(struct stream *s)
{
	struct http_conn *c = s->conn;
	bool said_all;

	if (s->tunnel) {
		handover_to_tunnel(s);
		return;
	}
	/* A client that has said all that it has to say, and wants no more, is not in the way of its own answer. */
	said_all = s->way[REQUEST].ended && !s->asked.keep_alive && s->request.bytes != NULL && s->bad == HTTP1_OK && c->in.len == 0;
	over(s, (enum stream_end)s->end);
	http_conn_stream_over(c, !s->close_after ? HTTP_KEEP : said_all ? HTTP_END : HTTP_LINGER);
}

/* After some of it was taken; more: there may be more than a receive buffer holds. */
static void answer_taken(struct stream *s, bool more)
{
	struct way *w = &s->way[RESPONSE];
	struct http_span rest;

	if (s->state == STREAM_OVER || s->replied)
		return;
	if (more && s->state == STREAM_ANSWERED && !w->ended && s->in.len == 0 && transport_reads_alone(&s->upstream->transport)) {
		if (way_pump(w, &rest) != HTTP1_OK && s->state != STREAM_OVER)
			bad_answer(s);
		else if (s->state != STREAM_OVER && rest.len > 0)
			s->keep_upstream = false;
		if (s->state == STREAM_OVER)
			return;
	}
	if (s->state == STREAM_ANSWERED)
		way_flush(w);
	if (s->state == STREAM_OVER)
		return;
	if (w->ended)
		answer_complete(s);
	if (s->state == STREAM_ANSWERED && (w->ended || s->tunnel) && way_is_clear(w))
		done(s);
	else if (s->upstream != NULL && !w->ended && way_is_clear(w))
		transport_read(&s->upstream->transport, false);
}

void stream_response_bytes(struct stream *s, char *bytes, uint32_t len, int loan)
{
	bool more = len == BUFFER_BYTES;
	size_t used = 0;

	live_add(&s->cluster_row->counter[CLUSTER_C_cx_rx_bytes], len);
	s->conn->head.active_ms = s->worker->loop.now_ms;
	if (s->in.len == 0)
		used = take_answer(s, bytes, len, &loan);
	if (used < len && s->state != STREAM_OVER && !s->replied && inbuf_add(s->worker, &s->in, bytes + used, len - used) == -1)
		stream_out_of_memory(s);
	if (loan != -1)
		buffer_return(&s->worker->buffers, (unsigned)loan);
	if (s->in.len > 0)
		answer_goes_on(s);
	else
		answer_taken(s, more);
}

/* What has waited. */
static void answer_goes_on(struct stream *s)
{
	size_t used = 0;

	if (s->in.len > 0 && s->state != STREAM_OVER)
		used = take_answer(s, s->in.at, s->in.len, NULL);
	if (used > 0)
		inbuf_drop(s->worker, &s->in, used);
	answer_taken(s, false);
}

/* The ring does not receive: by ourselves. */
void stream_response_readable(struct stream *s)
{
	struct transport *t = &s->upstream->transport;
	char *hot = s->worker->hot;
	ssize_t n;

	if (s->way[RESPONSE].spliced) {
		answer_taken(s, true);
		return;
	}
	n = transport_read_now(t, hot, BUFFER_BYTES);
	if (n > 0 && inbuf_add(s->worker, &s->in, hot, (size_t)n) == -1)
		stream_out_of_memory(s);
	else if (n > 0 || (n == -1 && errno == EAGAIN))
		answer_goes_on(s);
	else
		stream_upstream_ended(s, n == 0 ? 0 : errno);
}

/* ---- ends of the endpoint ---- */

static void leave_upstream(struct stream *s)
{
	struct http_upstream *u = s->upstream;

	if (s->pool != NULL)
		pool_forget(s);
	if (u != NULL)
		note_local(s);
	s->upstream = NULL;
	if (u != NULL) {
		live_add(&s->cluster_row->counter[CLUSTER_C_rq_tx_reset], !u->by_peer);
		http_upstream_close(u, true);
	}
}

/* A kept connection has ended before anything came: nobody's fault, if it may be sent again. */
static bool may_go_again(const struct stream *s, int error)
{
	return s->upstream->kept && s->replay.len > 0 && s->scan.bytes == 0 && s->interims == 0 && s->state == STREAM_ASKED &&
	    (stream_is_idempotent(s) || http_upstream_was_deaf(s->upstream, error));
}

static void go_again(struct stream *s)
{
	live_add(&s->cluster_row->counter[CLUSTER_C_rq_retry], 1);
	leave_upstream(s);
	s->sent_head = s->replay;
	s->again = true;
	s->way[REQUEST].broken = false;
	enter(s, STREAM_WAITING);
	if (pool_ask(s->worker, s) == GO)
		stream_resume(s);
}

static void answer_ended(struct stream *s)
{
	struct way *w = &s->way[RESPONSE];

	if (way_source_ended(w) != HTTP1_OK) {
		stream_abort(s, STREAM_CUT);
		http_conn_stream_over(s->conn, HTTP_BREAK);
		return;
	}
	s->keep_upstream = false;
	answer_taken(s, false);
}

void stream_upstream_ended(struct stream *s, int error)
{
	if (s->way[REQUEST].sending) {		/* which comes back now: then we know how much it has taken */
		s->lost = true;
		s->error = error;
		if (s->upstream != NULL)
			transport_shut_both(&s->upstream->transport);
		return;
	}
	s->lost = false;
	if (s->state == STREAM_ANSWERED && error == 0) {
		answer_ended(s);
	} else if (s->state == STREAM_ANSWERED) {
		stream_abort(s, STREAM_CUT);
		http_conn_stream_over(s->conn, HTTP_BREAK);
	} else if (may_go_again(s, error)) {
		go_again(s);
	} else {
		live_add(&s->cluster_row->counter[CLUSTER_C_rq_rx_reset], 1);
		stream_reply(s, STREAM_UPSTREAM_GONE);
	}
}

void stream_connected(struct stream *s, struct http_upstream *u)
{
	s->upstream = u;
	stream_resume(s);
}

void stream_not_connected(struct stream *s, enum stream_end why, int error)
{
	if (router_not_connected(s, why, error) == GO)
		stream_resume(s);
}

struct dial stream_dial(const struct stream *s)
{
	const struct downstream *head = &s->conn->head;

	return (struct dial){ .worker = s->worker, .image = &s->generation->image, .cluster = s->cluster, .client = head->client,
	    .destination = head->destination, .inbound = head->inbound, .first_endpoint = s->first_endpoint, .attempts = s->attempts };
}

/* ---- a reply of our own ---- */

#define SPAN(text) ((struct http_span){ text, sizeof(text) - 1 })

static uint16_t reply_status(const struct stream *s)
{
	return s->end == STREAM_BAD ? http1_bads[s->bad].status : replies[s->end].status;
}

static const char *reply_text(const struct stream *s)
{
	return s->end == STREAM_BAD ? http_reason(s->status).at : replies[s->end].text;
}

void stream_send_reply(struct stream *s)
{
	struct way *w = &s->way[RESPONSE];
	struct http_head head = { .minor = 1, .status = s->status };
	const char *text = reply_text(s);
	struct http_framing out = { s->request.method == METHOD_HEAD ? FRAMING_TOLD : FRAMING_LENGTH, strlen(text) };

	s->reply_due = false;
	if (out.length > 0)
		stream_add_line(s, SPAN("content-type"), SPAN("text/plain"));
	if (s->end == STREAM_OVERFLOW)
		stream_add_line(s, SPAN("x-envoy-overloaded"), SPAN("true"));
	if (!write_response(s, &head, out, (struct http_span){ NULL, 0 }, true))
		return;
	enter(s, STREAM_ANSWERED);
	way_begin(w, (struct http_framing){ FRAMING_NONE, 0 }, out.kind);
	if (out.kind == FRAMING_LENGTH) {
		w->data[0] = (struct http_span){ text, (uint32_t)out.length };
		w->bytes = out.length;
	}
	way_flush(w);
}

enum verdict stream_reply(struct stream *s, enum stream_end end)
{
	struct http_conn *c = s->conn;

	if (s->state >= STREAM_ANSWERED || s->replied) {
		stream_abort(s, end);
		http_conn_stream_over(c, HTTP_BREAK);
		return REPLIED;
	}
	leave_upstream(s);
	s->worker->line_count = 0;		/* those were for the request */
	s->end = (uint8_t)end;
	s->status = reply_status(s);
	s->replied = s->reply_due = true;
	s->close_after = end == STREAM_BAD;
	c->head.active_ms = s->worker->loop.now_ms;	/* the client has time to take it */
	if (!s->way[REQUEST].ended)
		s->way[REQUEST].broken = true;
	if (!s->way[REQUEST].begun)
		s->way[REQUEST].bad = true;		/* nobody knows what follows */
	inbuf_drop(s->worker, &s->in, s->in.len);
	/* Of the request's body what is here already is thrown away first: if that is all, its connection lives on. */
	http_conn_go_on(c);
	return REPLIED;
}

void stream_out_of_memory(struct stream *s)
{
	struct http_conn *c = s->conn;

	count(s->worker, WORKER_C_shed_memory);
	if (s->state == STREAM_OVER)
		return;
	stream_abort(s, STREAM_NO_MEMORY);
	http_conn_stream_over(c, HTTP_BREAK);
}

/* ---- ways ---- */

void stream_way_clear(struct way *w)
{
	struct stream *s = w->stream;

	if (s->lost && w->direction == REQUEST)
		stream_upstream_ended(s, s->error);
	else if (w->direction == RESPONSE && (w->ended || s->tunnel) && s->state == STREAM_ANSWERED)
		done(s);
	else if (w->direction == RESPONSE)
		answer_goes_on(s);
	else if (!w->ended)
		http_conn_go_on(s->conn);
}

void stream_way_broken(struct way *w)
{
	struct stream *s = w->stream;
	struct http_conn *c = s->conn;

	if (w->direction == RESPONSE) {
		stream_abort(s, STREAM_CLIENT_GONE);
		http_conn_stream_over(c, HTTP_BREAK);
	} else if (s->lost) {
		stream_upstream_ended(s, s->error);
	} else {
		/* An answer may have come before: it is read, and what follows it is the end, now. */
		if (s->upstream != NULL)
			transport_shut_both(&s->upstream->transport);
		http_conn_go_on(c);
	}
}

/* ---- time ---- */

static uint64_t sooner(uint64_t a, uint64_t since, uint64_t timeout)
{
	return timeout != 0 && since + timeout < a ? since + timeout : a;
}

uint64_t stream_deadline(const struct stream *s)
{
	uint64_t at = sooner(UINT64_MAX, s->conn->head.active_ms, s->http->stream_idle_timeout_ms);

	if (s->replied)
		return at;
	if (s->complete_ms == 0)
		at = sooner(at, s->began_ms, s->http->request_timeout_ms);
	else if (s->route != NULL)
		at = sooner(at, s->complete_ms, s->route->timeout_ms);
	return at;
}

static bool is_due(const struct stream *s, uint64_t since, uint64_t timeout)
{
	return timeout != 0 && s->worker->loop.now_ms >= since + timeout;
}

void stream_ran_out(struct stream *s)
{
	if (s->complete_ms == 0 && !s->replied && is_due(s, s->began_ms, s->http->request_timeout_ms)) {
		live_add(&s->chain_row->counter[HTTP_C_rq_timeout], 1);
		stream_reply(s, STREAM_REQUEST_TIMEOUT);
	} else if (s->complete_ms != 0 && s->route != NULL && !s->replied && is_due(s, s->complete_ms, s->route->timeout_ms)) {
		live_add(&s->cluster_row->counter[CLUSTER_C_rq_timeout], 1);
		if (s->endpoint_row != NULL)
			live_add(&s->endpoint_row->counter[ENDPOINT_C_rq_timeout], 1);
		stream_reply(s, STREAM_TIMEOUT);
	} else if (is_due(s, s->conn->head.active_ms, s->http->stream_idle_timeout_ms)) {
		live_add(&s->chain_row->counter[HTTP_C_rq_idle_timeout], 1);
		stream_reply(s, s->complete_ms == 0 ? STREAM_IDLE : STREAM_IDLE_ANSWER);
	}
}

/* ---- the end ---- */

void stream_leave_endpoint(struct stream *s, bool failed)
{
	if (s->endpoint_row == NULL)
		return;
	live_add(&s->endpoint_row->gauge[ENDPOINT_G_rq_active], -1);
	live_add(&s->endpoint_row->counter[failed ? ENDPOINT_C_rq_error : ENDPOINT_C_rq_success], 1);
	s->endpoint_row = NULL;
}

static void leave_rows(struct stream *s)
{
	bool failed = s->status >= 500 || s->status == 0;

	count_status(s);
	live_add(&s->chain_row->gauge[HTTP_G_rq_active], -1);
	if (s->in_cluster)
		live_add(&s->cluster_row->gauge[CLUSTER_G_rq_active], -1);
	stream_leave_endpoint(s, failed);
}

static void over(struct stream *s, enum stream_end end)
{
	struct worker *w = s->worker;

	enter(s, STREAM_OVER);
	s->end = (uint8_t)end;
	for (unsigned i = 0; i < FILTERS; i++) {
		if (filters[i]->over != NULL)
			filters[i]->over(s);
	}
	leave_upstream(s);
	if (!s->handed_over)
		http_log(s);
	leave_rows(s);
	generation_release(w, &s->generation);
	s->conn->stream = NULL;
	stream_free_if_over(s);
}

void stream_abort(struct stream *s, enum stream_end end)
{
	if (s->state == STREAM_OVER)
		return;
	live_add(&s->chain_row->counter[s->complete_ms == 0 ? HTTP_C_rq_rx_reset : HTTP_C_rq_tx_reset], 1);
	over(s, end);
}

void stream_finish(struct stream *s)
{
	over(s, (enum stream_end)s->end);
}

void stream_free_if_over(struct stream *s)
{
	if (s->way[REQUEST].sending || s->way[RESPONSE].sending)
		return;
	s->next_over = s->worker->over;
	s->worker->over = s;
}

void streams_reap(struct worker *w)
{
	struct stream *s;

	while ((s = w->over) != NULL) {
		w->over = s->next_over;
		way_free(&s->way[REQUEST]);
		way_free(&s->way[RESPONSE]);
		inbuf_drop(w, &s->in, s->in.len);
		arena_free(&s->arena);
		slab_give(&w->slab, s);
	}
}
