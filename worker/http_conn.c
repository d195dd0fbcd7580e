/* A client's connection that speaks HTTP/1: see http_conn.h.  Begin, bytes, requests, deadlines, end. */
#include "worker/http_conn.h"

#include "worker/handover.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One wait can bring all receive buffers that there are (flow.c): a smaller limit is kept by single receives. */
#define MULTISHOT_BYTES (BUFFER_COUNT * BUFFER_BYTES)

#define TO(state) (1u << (state))
static const unsigned http_conn_next[] = {
	[HTTP_IDLE] = TO(HTTP_HEAD) | TO(HTTP_BUSY) | TO(HTTP_CLOSING),
	[HTTP_HEAD] = TO(HTTP_BUSY) | TO(HTTP_CLOSING),
	[HTTP_BUSY] = TO(HTTP_IDLE) | TO(HTTP_LINGERING) | TO(HTTP_CLOSING),
	[HTTP_LINGERING] = TO(HTTP_CLOSING),
	[HTTP_CLOSING] = 0,
};

static void enter(struct http_conn *c, enum http_conn_state to)
{
	if (!(http_conn_next[c->state] & TO(to)))
		abort();
	c->state = (uint8_t)to;
	c->since_ms = c->transport.worker->loop.now_ms;
	if (to != HTTP_CLOSING)
		http_conn_hurry(c);
}

struct http_conn *http_conn_of(struct downstream *d)
{
	return (struct http_conn *)(void *)((char *)d - offsetof(struct http_conn, head));
}

static struct http_conn *conn_of(struct transport *t)
{
	return (struct http_conn *)(void *)t;
}

static struct live_row *row_of(struct http_conn *c)
{
	return live_row(&c->head.worker->live, c->head.worker->index, c->head.chain_slot);
}

static void count_chain(struct http_conn *c, unsigned counter)
{
	live_add(&row_of(c)->counter[counter], 1);
}

/* ---- begin ---- */

static const struct downstream_kind kind;
static const struct transport_user user;
static void read_on(struct http_conn *);

int http_conn_begin(const struct arrival *a, const struct image_http *http)
{
	struct http_conn *c = block_take(&a->worker->http_conns);
	bool room;

	if (c == NULL)
		return -1;
	transport_init(&c->transport, a->worker, &user, a->fd);
	a->worker->nhttp_conns++;
	c->generation = a->generation;
	c->http = http;
	c->buffer_limit = a->listener->buffer_limit_bytes;
	c->scan.request = true;
	c->since_ms = a->worker->loop.now_ms;
	room = downstream_init(&c->head, &kind, a);
	downstream_use_chain(&c->head, &a->generation->image, a->chain);
	if (!room) {
		http_conn_close(c, END_OVERFLOW, true);
		return 0;
	}
	if (http->max_connection_duration_ms != 0)
		c->head.end_ms = c->head.born_ms + http->max_connection_duration_ms;
	http_conn_hurry(c);
	c->in = a->pending;
	c->received = a->pending.len;
	live_add(&row_of(c)->counter[HTTP_C_cx_rx_bytes], a->pending.len);
	c->transport.eof = a->eof;
	http_conn_go_on(c);
	return 0;
}

bool http_conn_is_ending(const struct http_conn *c)
{
	const struct worker *w = c->head.worker;

	return w->draining || c->head.draining || w->loop.now_ms >= c->head.end_ms || (c->transport.eof && c->in.len == 0) ||
	    (c->http->max_requests_per_connection != 0 && c->requests >= c->http->max_requests_per_connection);
}

/* ---- bytes ---- */

static unsigned empty_lines(const struct inbuf *b, size_t from)
{
	const char *at = b->at + (from > 3 ? from - 3 : 0), *end = b->at + b->len;
	unsigned n = 0;

	while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
		at += 4;
		n++;
	}
	return n;
}

static void out_of_memory(struct http_conn *c)
{
	http_conn_close(c, END_NO_MEMORY, true);
}

static void hold(struct http_conn *c, const char *bytes, size_t len)
{
	uint32_t before = c->in.len;

	if (inbuf_add(c->head.worker, &c->in, bytes, len) == -1)
		out_of_memory(c);
	else
		c->waiting = (uint16_t)(c->waiting + empty_lines(&c->in, before));
}

static bool is_full(const struct http_conn *c)
{
	return c->in.len >= c->buffer_limit || c->waiting >= c->http->max_pipelined_requests;
}

static void read_on(struct http_conn *c)
{
	struct transport *t = &c->transport;
	struct stream *s = c->stream;
	bool many = !c->uploads && c->buffer_limit >= MULTISHOT_BYTES;

	if (c->state == HTTP_CLOSING)
		return;
	if (c->state == HTTP_BUSY && s != NULL && !s->way[REQUEST].ended) {
		if (t->many) {
			c->uploads = true;
			transport_stop(t);
		}
		if (c->in.len == 0 && stream_wants_request(s))
			transport_read(t, false);
	} else if (c->state == HTTP_BUSY && is_full(c)) {
		if (t->many)
			transport_stop(t);
	} else {
		transport_read(t, many && c->state != HTTP_LINGERING);
	}
}

/* Bytes used: 0 where the head goes on. */
static size_t take_head(struct http_conn *c, const char *bytes, size_t len)
{
	struct http1_limits limits = http_limits(c->http, REQUEST);
	enum http1_bad bad;
	size_t used, size;
	uint8_t lead;

	if (http1_scan(&c->scan, bytes + c->scan.bytes, len - c->scan.bytes, &limits, &used, &bad) == SCAN_MORE) {
		if (c->state == HTTP_IDLE)
			enter(c, HTTP_HEAD);
		return 0;
	}
	size = bad == HTTP1_OK ? c->scan.bytes : len;
	lead = c->scan.lead;
	c->scan = (struct http1_scan){ .request = true };
	c->requests++;
	if (c->waiting > 0)
		c->waiting--;
	enter(c, HTTP_BUSY);
	if (stream_begin(c, bytes + lead, size - lead, bad) == NULL)
		out_of_memory(c);
	return size;
}

static size_t take(struct http_conn *c, char *bytes, size_t len, int *loan)
{
	size_t used = 0, n;

	do {
		if (c->state == HTTP_BUSY)
			n = c->stream != NULL ? stream_request_bytes(c->stream, bytes + used, len - used, loan) : 0;
		else if (c->state == HTTP_IDLE || c->state == HTTP_HEAD)
			n = take_head(c, bytes + used, len - used);
		else
			return len;
		used += n;
	} while (n > 0 && used < len);
	return used;
}

/* Its FIN has come, and all before it was looked at. */
static void client_has_ended(struct http_conn *c)
{
	struct stream *s = c->stream;

	if (c->state != HTTP_BUSY) {
		http_conn_close(c, END_DONE, false);
	} else if (s != NULL && !s->way[REQUEST].ended) {
		if (c->in.len > 0 && !s->way[REQUEST].broken)
			return;			/* the rest of it waits for credit */
		stream_request_cut(s);
		http_conn_close(c, END_DOWNSTREAM_RESET, false);
	} else {
		transport_watch(&c->transport);	/* it may still want its answer, until a reset says no */
	}
}

/* After bytes were looked at; more: there may be more than a receive buffer holds. */
static void settle(struct http_conn *c, bool more)
{
	if (c->stream != NULL && c->stream->reply_due)
		stream_send_reply(c->stream);
	if (c->state == HTTP_BUSY && c->stream != NULL && c->stream->tunnel) {
		if (way_is_clear(&c->stream->way[RESPONSE]))
			handover_to_tunnel(c->stream);
		return;
	}
	if (c->state == HTTP_BUSY && c->stream != NULL)
		stream_request_flush(c->stream, more);
	if (c->state == HTTP_CLOSING)
		return;
	if (c->state == HTTP_BUSY)
		http_conn_hurry(c);
	if (c->transport.eof)
		client_has_ended(c);
	else
		read_on(c);
}

void http_conn_go_on(struct http_conn *c)
{
	size_t used;

	if (c->feeding || c->state == HTTP_CLOSING)
		return;
	c->feeding = true;
	while (c->in.len > 0 && c->state != HTTP_CLOSING && (used = take(c, c->in.at, c->in.len, NULL)) > 0)
		inbuf_drop(c->head.worker, &c->in, used);
	c->feeding = false;
	if (c->in.len == 0)
		c->waiting = 0;
	settle(c, false);
}

static void data(struct transport *t, char *bytes, uint32_t len, int loan)
{
	struct http_conn *c = conn_of(t);
	struct worker *w = t->worker;
	size_t used = 0;

	c->received += len;
	c->head.active_ms = w->loop.now_ms;
	live_add(&row_of(c)->counter[HTTP_C_cx_rx_bytes], len);
	if (c->state == HTTP_LINGERING) {
		used = len;
	} else if (c->in.len == 0 && len > 0) {
		c->feeding = true;
		used = take(c, bytes, len, &loan);
		c->feeding = false;
	}
	if (used < len && c->state != HTTP_CLOSING)
		hold(c, bytes + used, len - used);
	if (loan != -1)
		buffer_return(&w->buffers, (unsigned)loan);
	if (c->in.len > 0)
		http_conn_go_on(c);
	else
		settle(c, len == BUFFER_BYTES);
}

/* The ring does not receive: by ourselves. */
static void readable(struct transport *t)
{
	struct http_conn *c = conn_of(t);
	char *hot = t->worker->hot;
	ssize_t n;

	if (c->stream != NULL && c->stream->way[REQUEST].spliced) {
		settle(c, true);
		return;
	}
	n = transport_read_now(t, hot, BUFFER_BYTES);

	if (n > 0) {
		c->received += (uint64_t)n;
		hold(c, hot, (size_t)n);
	} else if (n == 0) {
		t->eof = true;
	} else if (errno != EAGAIN) {
		http_conn_close(c, END_DOWNSTREAM_RESET, true);
	}
	http_conn_go_on(c);
}

static void ended(struct transport *t, int error)
{
	struct http_conn *c = conn_of(t);

	if (error != 0)
		http_conn_close(c, END_DOWNSTREAM_RESET, true);
	else
		http_conn_go_on(c);
}

static void reset(struct transport *t)
{
	http_conn_close(conn_of(t), END_DOWNSTREAM_RESET, true);
}

static void writable(struct transport *t)
{
	struct stream *s = conn_of(t)->stream;

	if (s != NULL)
		way_writable(&s->way[RESPONSE]);
}

/* ---- between requests ---- */

static void linger(struct http_conn *c)
{
	if (c->transport.eof || c->http->delayed_close_timeout_ms == 0) {
		http_conn_close(c, END_DONE, false);
		return;
	}
	transport_shut(&c->transport);
	enter(c, HTTP_LINGERING);
	read_on(c);
}

/* Why it was the last one, where that is not the client's wish. */
static void count_last(struct http_conn *c)
{
	if (c->head.worker->draining || c->head.draining)
		count_chain(c, HTTP_C_cx_drain_close);
	else if (c->http->max_requests_per_connection != 0 && c->requests >= c->http->max_requests_per_connection)
		count_chain(c, HTTP_C_cx_max_requests);
}

void http_conn_stream_over(struct http_conn *c, enum http_after after)
{
	c->stream = NULL;
	if (c->state == HTTP_CLOSING)
		return;
	if (after != HTTP_KEEP && after != HTTP_BREAK)
		count_last(c);
	switch (after) {
	case HTTP_KEEP:
		enter(c, HTTP_IDLE);
		http_conn_go_on(c);
		break;
	case HTTP_END:
		http_conn_close(c, END_DONE, false);
		break;
	case HTTP_LINGER:
		linger(c);
		break;
	case HTTP_BREAK:
		http_conn_close(c, END_DONE, true);
		break;
	}
}

/* ---- deadlines ---- */

static uint64_t after(const struct http_conn *c, uint64_t timeout_ms)
{
	return timeout_ms != 0 ? c->since_ms + timeout_ms : UINT64_MAX;
}

static uint64_t deadline_of(const struct http_conn *c)
{
	uint64_t at = UINT64_MAX, end = c->head.end_ms;

	switch (c->state) {
	case HTTP_IDLE:
		at = after(c, c->http->idle_timeout_ms);
		break;
	case HTTP_HEAD:
		at = after(c, c->http->request_headers_timeout_ms);
		break;
	case HTTP_BUSY:
		at = c->stream != NULL ? stream_deadline(c->stream) : UINT64_MAX;
		if (end != UINT64_MAX)
			end += c->http->drain_timeout_ms;
		break;
	case HTTP_LINGERING:
		at = after(c, c->http->delayed_close_timeout_ms);
		break;
	}
	return end < at ? end : at;
}

void http_conn_hurry(struct http_conn *c)
{
	uint64_t at = deadline_of(c);

	if (at != UINT64_MAX && (c->head.deadline.prev == NULL || at < c->head.deadline.at_ms))
		wheel_set(&c->head.worker->wheel, &c->head.deadline, at);
}

static void ran_out(struct http_conn *c)
{
	switch (c->state) {
	case HTTP_IDLE:
		count_chain(c, HTTP_C_idle_timeout);
		http_conn_close(c, END_IDLE, false);
		break;
	case HTTP_HEAD:
		count_chain(c, HTTP_C_rq_header_timeout);
		enter(c, HTTP_BUSY);
		if (stream_begin_refused(c, STREAM_HEAD_TIMEOUT) == NULL)
			out_of_memory(c);
		break;
	case HTTP_BUSY:
		if (c->stream != NULL)
			stream_ran_out(c->stream);
		break;
	case HTTP_LINGERING:
		count_chain(c, HTTP_C_cx_delayed_close_timeout);
		http_conn_close(c, END_DONE, false);
		break;
	}
}

static void its_end_has_come(struct http_conn *c)
{
	if (!c->head.draining)
		count_chain(c, HTTP_C_max_duration);
	http_conn_close(c, c->head.draining ? END_DRAINED : END_DURATION, false);
}

static void deadline(struct downstream *d)
{
	struct http_conn *c = http_conn_of(d);
	uint64_t now = d->worker->loop.now_ms, end = d->end_ms;

	if (c->state == HTTP_CLOSING)
		return;
	if (c->state == HTTP_BUSY && end != UINT64_MAX)
		end += c->http->drain_timeout_ms;	/* its answer is the last one */
	if (now >= end)
		its_end_has_come(c);
	else if (now >= deadline_of(c))
		ran_out(c);
	if (c->state != HTTP_CLOSING)
		http_conn_hurry(c);
}

static void end_changed(struct downstream *d)
{
	struct http_conn *c = http_conn_of(d);

	if (c->state != HTTP_CLOSING)
		http_conn_hurry(c);
}

/* ---- the end ---- */

/* What that is for the request that is under way. */
static enum stream_end end_of_stream(enum conn_end why)
{
	switch (why) {
	case END_DURATION: return STREAM_DURATION;
	case END_DRAINED: return STREAM_DRAINED;
	case END_KILLED: return STREAM_KILLED;
	case END_NO_MEMORY: return STREAM_NO_MEMORY;
	default: return STREAM_CLIENT_GONE;
	}
}

void http_conn_close(struct http_conn *c, enum conn_end why, bool by_reset)
{
	if (c->state == HTTP_CLOSING)
		return;
	enter(c, HTTP_CLOSING);
	c->head.end = (uint8_t)why;
	wheel_clear(&c->head.worker->wheel, &c->head.deadline);
	if (c->stream != NULL) {
		count_chain(c, HTTP_C_cx_destroy_active_rq);
		stream_abort(c->stream, end_of_stream(why));
	}
	transport_close(&c->transport, by_reset);
}

void http_conn_leave(struct http_conn *c)
{
	enter(c, HTTP_CLOSING);
	c->handed_over = true;
	transport_close(&c->transport, false);
}

static void gone(struct transport *t)
{
	struct http_conn *c = conn_of(t);
	struct worker *w = t->worker;

	inbuf_drop(w, &c->in, c->in.len);
	transport_end(t);
	generation_release(w, &c->generation);
	if (!c->handed_over)
		downstream_leave(&c->head);
	block_give(&w->http_conns, c);
	w->nhttp_conns--;
}

static const struct transport_user user = { data, ended, NULL, readable, writable, reset, gone };

static void close_it(struct downstream *d, enum conn_end why, bool by_reset)
{
	http_conn_close(http_conn_of(d), why, by_reset);
}

static void view(const struct downstream *d, struct downstream_view *v)
{
	static const char *const states[] = { "idle", "idle", "busy", "closing", NULL };
	const struct http_conn *c = (const struct http_conn *)(const void *)((const char *)d - offsetof(struct http_conn, head));
	const struct stream *s = c->stream;

	*v = (struct downstream_view){ states[c->state], IMAGE_NONE, NULL, IMAGE_NONE, c->received, c->sent };
	if (s == NULL)
		return;
	v->cluster_slot = s->up.cluster_slot;
	v->endpoint = s->up.endpoint.family != 0 ? &s->up.endpoint : NULL;
	v->endpoint_slot = s->up.endpoint_slot;
}

static bool adopt(struct downstream *d, uint32_t index)
{
	struct http_conn *c = http_conn_of(d);
	struct worker *w = d->worker;
	const struct image *image = image_in_use(w);
	const struct image_chain *chain = image_chain(image, index);
	const struct image_filter *last = image_filter(image, chain->first_filter + chain->filter_count - 1);

	if (last->type != FILTER_HTTP)
		return false;
	if (c->state == HTTP_CLOSING)
		return true;
	generation_release(w, &c->generation);
	c->generation = generation_hold(w->generation);
	c->http = image_http(image, last->index);
	http_conn_hurry(c);
	return true;
}

static const struct downstream_kind kind = { deadline, end_changed, close_it, view, adopt };
