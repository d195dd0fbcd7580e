/* One direction of a stream: see way.h.  In the order of a byte's way: taken apart, put together, sent, kept. */
#include "worker/way.h"

#include "worker/http_conn.h"
#include "worker/http_upstream.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <errno.h>
#include <string.h>

/* Of chunk extensions, which nobody reads. */
#define CHUNK_EXT_BYTES 1024u
#define BODY_EXT_BYTES	(16u << 10)

#define JOIN_BYTES   1024u		/* so few are copied behind the head: one piece costs less than two */
#define REPLAY_BYTES BUFFER_BYTES	/* a whole request of so many is kept, to be sent again */
#define BYTES_A_WAKE (1u << 20)		/* then others have their turn */

struct http1_limits http_limits(const struct image_http *h, unsigned direction)
{
	return (struct http1_limits){
		.line_bytes = direction == REQUEST ? h->max_request_line_bytes : h->max_response_headers_bytes,
		.head_bytes = direction == REQUEST ? h->max_request_headers_bytes : h->max_response_headers_bytes,
		.fields = (uint16_t)h->max_headers_count,
		.ext_chunk = CHUNK_EXT_BYTES,
		.ext_body = BODY_EXT_BYTES,
		.body_bytes = direction == REQUEST ? h->max_request_bytes : 0,
	};
}

void way_init(struct way *w, struct stream *s, unsigned direction)
{
	w->stream = s;
	w->direction = (uint8_t)direction;
	w->loan = -1;
	w->pipe.fd[0] = w->pipe.fd[1] = -1;
}

void way_begin(struct way *w, struct http_framing in, enum http_framing_kind out)
{
	http1_body_begin(&w->body, in);
	w->out = (uint8_t)out;
	w->begun = true;
	w->ended = http1_body_over(&w->body);
}

static struct worker *worker_of(const struct way *w)
{
	return w->stream->worker;
}

/* NULL: it is gone. */
static struct transport *end_of(const struct way *w, unsigned side)
{
	struct stream *s = w->stream;

	if (side == REQUEST)
		return &s->conn->transport;
	return s->upstream != NULL ? &s->upstream->transport : NULL;
}

static struct transport *source(const struct way *w)
{
	return end_of(w, w->direction);
}

static struct transport *sink(const struct way *w)
{
	return end_of(w, !w->direction);
}

static void count_received(struct way *w, size_t n)
{
	struct stream *s = w->stream;

	if (w->direction == REQUEST) {
		s->conn->received += n;
		live_add(&s->chain_row->counter[HTTP_C_cx_rx_bytes], (int64_t)n);
	} else {
		live_add(&s->cluster_row->counter[CLUSTER_C_cx_rx_bytes], (int64_t)n);
	}
	s->conn->head.active_ms = worker_of(w)->loop.now_ms;
}

static void count_sent(struct way *w, size_t n)
{
	struct stream *s = w->stream;

	if (w->direction == RESPONSE) {
		s->conn->sent += n;
		live_add(&s->chain_row->counter[HTTP_C_cx_tx_bytes], (int64_t)n);
	} else {
		if (s->upstream != NULL)
			s->upstream->sent += n;
		live_add(&s->cluster_row->counter[CLUSTER_C_cx_tx_bytes], (int64_t)n);
	}
	s->conn->head.active_ms = worker_of(w)->loop.now_ms;
}

static void return_loan(struct way *w)
{
	if (w->loan != -1)
		buffer_return(&worker_of(w)->buffers, (unsigned)w->loan);
	w->loan = -1;
}

/* ---- taking apart ---- */

/* The end as it will be sent: the last chunk, with the trailers that came. */
static enum http1_bad make_end(struct way *w)
{
	static const char last[] = "\r\n0\r\n\r\n";
	struct worker *wk = worker_of(w);
	struct http1_limits limits = http_limits(w->stream->http, w->direction);
	struct http_head trailers = { .fields = wk->fields, .room = HTTP_FIELDS_MAX };
	enum http1_bad bad = HTTP1_OK;
	char *text;

	if (w->trailers.len > 0)
		bad = http1_parse_trailers(w->trailers.at, w->trailers.len, &limits, &trailers);
	if (bad != HTTP1_OK || w->out != FRAMING_CHUNKED)
		return bad;
	w->end = (struct http_span){ last, sizeof(last) - 1 };
	if (trailers.count == 0)
		return HTTP1_OK;
	if ((text = arena_take(&w->stream->arena, 2 + http1_end_room(&trailers))) == NULL) {
		stream_out_of_memory(w->stream);
		return HTTP1_OK;
	}
	memcpy(text, last, 2);
	w->end = (struct http_span){ text, 2 + (uint32_t)http1_write_end(text + 2, &trailers) };
	return HTTP1_OK;
}

/* Data of one event, moved together where it lies. */
static void gather(struct http_span *all, struct http_span piece)
{
	if (all->len == 0)
		all->at = piece.at;
	else if (all->at + all->len != piece.at)
		memmove((char *)(uintptr_t)all->at + all->len, piece.at, piece.len);
	all->len += piece.len;
}

static enum http1_bad take_apart(struct way *w, char *bytes, size_t len, size_t *used_r, struct http_span *data_r)
{
	struct http1_limits limits = http_limits(w->stream->http, w->direction);
	enum http1_bad bad = HTTP1_OK;
	struct http_span piece;
	size_t used;

	*used_r = w->bad ? len : 0;
	*data_r = (struct http_span){ NULL, 0 };
	while (!w->ended && !w->bad) {
		switch (http1_body_next(&w->body, bytes + *used_r, len - *used_r, &limits, &used, &piece, &bad)) {
		case BODY_MORE:
			*used_r += used;
			return HTTP1_OK;
		case BODY_DATA:
			gather(data_r, piece);
			break;
		case BODY_TRAILER:
			if (inbuf_add(worker_of(w), &w->trailers, piece.at, piece.len) == -1) {
				stream_out_of_memory(w->stream);
				return HTTP1_OK;
			}
			break;
		case BODY_END:
			w->ended = true;
			bad = make_end(w);
			break;
		case BODY_BAD:
			break;
		}
		*used_r += used;
		w->bad = bad != HTTP1_OK;
	}
	return bad;
}

enum http1_bad way_source_ended(struct way *w)
{
	enum http1_bad bad = w->ended ? HTTP1_OK : http1_body_eof(&w->body);

	if (bad != HTTP1_OK || w->ended)
		return bad;
	w->ended = true;
	return make_end(w);
}

void way_put_head(struct way *w, const char *bytes, size_t len)
{
	w->head = (struct http_span){ bytes, (uint32_t)len };
}

/* ---- putting together ---- */

static void piece(struct way *w, const char *at, size_t len)
{
	if (len > 0)
		w->iov[w->pieces++] = (struct iovec){ (void *)(uintptr_t)at, len };
}

/* All that waits becomes w->iov; the number of bytes. */
static size_t put_together(struct way *w)
{
	size_t data = w->data[0].len + w->data[1].len, total = 0;

	w->pieces = 0;
	piece(w, w->head.at, w->head.len);
	if (data > 0 && w->out == FRAMING_CHUNKED)
		piece(w, w->chunk, http1_write_chunk(w->chunk, data));
	piece(w, w->data[0].at, w->data[0].len);
	piece(w, w->data[1].at, w->data[1].len);
	if (w->end.len > 0)		/* begins with the end of the chunk before it */
		piece(w, data > 0 ? w->end.at : w->end.at + 2, data > 0 ? w->end.len : w->end.len - 2);
	else if (data > 0 && w->out == FRAMING_CHUNKED)
		piece(w, "\r\n", 2);
	for (unsigned i = 0; i < w->pieces; i++)
		total += w->iov[i].iov_len;
	w->head.len = w->data[0].len = w->data[1].len = w->end.len = 0;
	return total;
}

static void copy_pieces(const struct way *w, unsigned from, char *to)
{
	for (unsigned i = from; i < w->pieces; i++) {
		memcpy(to, w->iov[i].iov_base, w->iov[i].iov_len);
		to += w->iov[i].iov_len;
	}
}

/* A little behind a head becomes one piece with it, and so does a whole request that may have to be sent again. */
static void join(struct way *w, bool headed, size_t total, bool replay)
{
	char *first = w->iov[0].iov_base, *end = first + w->iov[0].iov_len, *all = first;
	size_t rest = total - w->iov[0].iov_len;

	if (!headed || w->pieces < 2 || rest > (replay ? REPLAY_BYTES : JOIN_BYTES))
		return;
	if (arena_extend(&w->stream->arena, end, rest)) {
		copy_pieces(w, 1, end);
	} else if (replay && (all = arena_take(&w->stream->arena, total)) != NULL) {
		copy_pieces(w, 0, all);
	} else {
		return;
	}
	w->iov[0] = (struct iovec){ all, total };
	w->pieces = 1;
	return_loan(w);
}

/* ---- sending ---- */

static void stop_splicing(struct way *w)
{
	pipe_give_back(worker_of(w), &w->pipe);
	if (!w->spliced)
		return;
	w->spliced = false;
	for (unsigned side = 0; side < 2; side++) {
		if (end_of(w, side) != NULL)
			transport_set_raw(end_of(w, side), false);
	}
}

static void broken(struct way *w)
{
	w->broken = true;
	return_loan(w);
	stop_splicing(w);
	inbuf_drop(worker_of(w), &w->kept, w->kept.len);
	stream_way_broken(w);
}

/* All but the first `done` bytes of the pieces. */
static int keep(struct way *w, size_t done)
{
	for (unsigned i = 0; i < w->pieces; i++) {
		const char *at = w->iov[i].iov_base;
		size_t len = w->iov[i].iov_len, skip = done < len ? done : len;

		done -= skip;
		if (skip < len && inbuf_add(worker_of(w), &w->kept, at + skip, len - skip) == -1) {
			return_loan(w);
			stream_out_of_memory(w->stream);
			return -1;
		}
	}
	return_loan(w);
	return 0;
}

static void send_kept(struct way *w)
{
	struct transport *t = sink(w);

	if (w->kept.len == 0 || w->sending)
		return;
	if (!transport_ring_waits(t)) {
		transport_wait_writable(t);
		return;
	}
	w->iov[0] = (struct iovec){ w->kept.at, w->kept.len };
	w->pieces = 1;
	w->sending = w->sending_kept = true;
	transport_write(t, w, w->iov, 1, &w->msg, true);
}

static void throw_away(struct way *w)
{
	return_loan(w);
	put_together(w);
}

void way_flush(struct way *w)
{
	struct transport *t = sink(w);
	struct stream *s = w->stream;
	bool headed = w->head.len > 0, replay;
	size_t total;

	if (w->sending || w->kept.len > 0)
		return;
	if (w->broken || t == NULL || t->closed) {
		throw_away(w);
		return;
	}
	if ((total = put_together(w)) == 0)
		return;
	replay = w->direction == REQUEST && headed && w->ended && s->upstream->kept;
	join(w, headed, total, replay);
	if (replay && w->pieces == 1)
		s->replay = (struct http_span){ w->iov[0].iov_base, (uint32_t)total };
	if (!transport_ring_waits(t)) {
		if (keep(w, 0) == 0)
			send_kept(w);
		return;
	}
	w->sending = true;
	transport_write(t, w, w->iov, w->pieces, &w->msg, w->loan == -1);
}

/* By itself, for what lies in the hot buffer. */
static void send_now(struct way *w)
{
	struct transport *t = sink(w);
	ssize_t n;

	if (w->broken || t == NULL || t->closed) {
		throw_away(w);
		return;
	}
	if (put_together(w) == 0)
		return;
	n = transport_write_now(t, w->iov, w->pieces);
	if (n == -1 && errno != EAGAIN) {
		broken(w);
		return;
	}
	if (n > 0)
		count_sent(w, (size_t)n);
	if (keep(w, n > 0 ? (size_t)n : 0) == 0)
		send_kept(w);
}

/* Bytes of somebody's buffer: with the head if they can be sent again with it. */
static void make_last(struct way *w)
{
	struct http_span *data = &w->data[0];
	char *copy;

	if (data->len == 0)
		return;
	if (w->head.len > 0 && data->len <= REPLAY_BYTES && (copy = arena_take(&w->stream->arena, data->len)) != NULL) {
		memcpy(copy, data->at, data->len);
		data->at = copy;
		return;
	}
	put_together(w);
	if (keep(w, 0) == 0)
		send_kept(w);
}

enum http1_bad way_take(struct way *w, char *bytes, size_t len, int *loan, size_t *used_r)
{
	struct http_span data;
	enum http1_bad bad = take_apart(w, bytes, len, used_r, &data);

	w->bytes += data.len;
	if (bad != HTTP1_OK || w->stream->state == STREAM_OVER || w->broken)
		return bad;
	w->data[0] = data;
	if (loan == NULL) {
		make_last(w);
	} else if (data.len > 0) {
		w->loan = *loan;
		*loan = -1;
	}
	return HTTP1_OK;
}

/* ---- long bodies ---- */

#define SPLICE_AFTER (256u << 10)
#define SPLICE_LEAST (64u << 10)	/* fewer are not worth it */

static const struct addr *peer_of(const struct way *w)
{
	return w->direction == REQUEST ? &w->stream->up.endpoint : &w->stream->conn->head.client;
}

/* With so many bytes more than were pumped before. */
static bool is_long(const struct way *w, size_t more)
{
	return w->run + more >= SPLICE_AFTER && w->out == FRAMING_LENGTH && w->stream->conn->buffer_limit >= SPLICE_LEAST &&
	    http1_body_run(&w->body) >= SPLICE_LEAST;
}

static bool start_splicing(struct way *w)
{
	struct transport *from = source(w), *to = sink(w);

	if (!is_long(w, 0) || w->broken || w->kept.len > 0 || w->sending || to == NULL)
		return false;
	send_now(w);		/* what came by the ring */
	if (!way_is_clear(w) || w->broken || w->stream->state == STREAM_OVER)
		return false;
	if (!to->unpaced)
		spare_pacing(worker_of(w), to->fd, peer_of(w));
	to->unpaced = true;
	if (!pipe_borrow(worker_of(w), &w->pipe))
		return false;
	w->spliced = true;
	if (transport_set_raw(from, true) && transport_set_raw(to, true))
		return true;
	stop_splicing(w);
	return false;
}

/* True: the pipe is empty. */
static bool drain(struct way *w)
{
	struct transport *to = sink(w);
	ssize_t n;

	while (w->pipe.held > 0) {
		if (to == NULL || to->closed || ((n = pipe_drain(worker_of(w), &w->pipe, to->fd)) == -1 && errno != EAGAIN)) {
			broken(w);
			return false;
		}
		if (n <= 0) {
			transport_wait_writable(to);
			return false;
		}
		count_sent(w, (size_t)n);
	}
	return true;
}

static void pump_spliced(struct way *w)
{
	struct http1_limits limits = http_limits(w->stream->http, w->direction);
	uint64_t run, most = w->stream->conn->buffer_limit;
	size_t carried = 0, used;
	struct http_span none;
	enum http1_bad bad;
	ssize_t n;

	if (most > PIPE_BYTES)
		most = PIPE_BYTES;
	if (!drain(w))
		return;
	while (carried < BYTES_A_WAKE && !w->ended) {
		run = http1_body_run(&w->body);
		if ((n = pipe_fill(&w->pipe, source(w)->fd, run < most ? run : most)) <= 0) {
			if (n == 0 || errno != EAGAIN)
				stop_splicing(w);	/* the next read by the ring tells what it is */
			return;
		}
		carried += (size_t)n;
		w->bytes += (uint64_t)n;
		count_received(w, (size_t)n);
		http1_body_moved(&w->body, (uint64_t)n);
		if (http1_body_over(&w->body))
			w->ended = http1_body_next(&w->body, "", 0, &limits, &used, &none, &bad) == BODY_END;
		if (w->ended)
			transport_set_raw(source(w), false);	/* it may be another's before the pipe is empty */
		if (!drain(w))
			return;
	}
	if (w->ended)
		stop_splicing(w);
}

enum http1_bad way_pump(struct way *w, struct http_span *rest_r)
{
	struct worker *wk = worker_of(w);
	struct transport *from = source(w);
	size_t want = w->stream->conn->buffer_limit < HOT_BUFFER_BYTES ? w->stream->conn->buffer_limit : HOT_BUFFER_BYTES;
	size_t used, carried = 0;
	enum http1_bad bad = HTTP1_OK;

	*rest_r = (struct http_span){ NULL, 0 };
	if (w->spliced || start_splicing(w)) {
		pump_spliced(w);
		return HTTP1_OK;
	}
	while (carried < BYTES_A_WAKE && !w->ended && w->kept.len == 0 && !w->sending) {
		ssize_t n = transport_read_now(from, wk->hot, want);
		struct http_span data;

		if (n <= 0)
			break;		/* whatever it is: the next read by the ring tells of it */
		count_received(w, (size_t)n);
		carried += (size_t)n;
		w->run = (size_t)n < SPLICE_AFTER - w->run ? w->run + (uint32_t)n : SPLICE_AFTER;
		bad = take_apart(w, wk->hot, (size_t)n, &used, &data);
		w->bytes += data.len;
		if (bad != HTTP1_OK || w->stream->state == STREAM_OVER)
			break;
		w->data[1] = data;
		send_now(w);
		*rest_r = (struct http_span){ wk->hot + used, (uint32_t)((size_t)n - used) };
		if (w->stream->state == STREAM_OVER || n < (ssize_t)want || is_long(w, carried))
			break;
		if (start_splicing(w)) {
			pump_spliced(w);
			return HTTP1_OK;
		}
	}
	return bad;
}

static void go_on(struct way *w)
{
	if (w->kept.len > 0)
		send_kept(w);
	else if (!way_is_clear(w))
		way_flush(w);
	else
		stream_way_clear(w);
}

void way_written(struct way *w, int res)
{
	struct stream *s = w->stream;
	bool kept = w->sending_kept;
	size_t done = res > 0 ? (size_t)res : 0;

	w->sending = w->sending_kept = false;
	if (s->state == STREAM_OVER) {
		stream_free_if_over(s);
		return;
	}
	count_sent(w, done);
	if (sink(w) == NULL || (res < 0 && res != -EAGAIN && res != -EINTR)) {
		broken(w);
		return;
	}
	if (kept)
		inbuf_drop(worker_of(w), &w->kept, done);
	else if (keep(w, done) == -1)
		return;
	go_on(w);
}

void way_writable(struct way *w)
{
	struct transport *t = sink(w);
	ssize_t n;

	if (w->pipe.held > 0) {
		if (!drain(w))
			return;
		if (w->ended)
			stop_splicing(w);
		stream_way_clear(w);
		return;
	}
	if (w->kept.len == 0 || w->sending)
		return;
	n = transport_write_now(t, &(struct iovec){ w->kept.at, w->kept.len }, 1);
	if (n == -1 && errno != EAGAIN) {
		broken(w);
		return;
	}
	if (n > 0) {
		count_sent(w, (size_t)n);
		inbuf_drop(worker_of(w), &w->kept, (size_t)n);
	}
	go_on(w);
}

void way_free(struct way *w)
{
	struct worker *wk = worker_of(w);

	return_loan(w);
	pipe_give_back(wk, &w->pipe);
	inbuf_drop(wk, &w->kept, w->kept.len);
	inbuf_drop(wk, &w->trailers, w->trailers.len);
}
