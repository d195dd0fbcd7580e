/* From one kind of connection to another: see handover.h. */
#include "worker/handover.h"

#include "worker/conn.h"
#include "worker/http_conn.h"
#include "worker/http_log.h"
#include "worker/http_upstream.h"
#include "worker/pool.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <stdlib.h>

static struct inbuf take(struct inbuf *b)
{
	struct inbuf taken = *b;

	*b = (struct inbuf){ 0 };
	return taken;
}

void handover_to_tunnel(struct stream *s)
{
	struct http_conn *c = s->conn;
	struct transport *down = &c->transport, *up = &s->upstream->transport;
	struct handed h = {
		.head = &c->head, .up = &s->upstream->up, .fd = { down->fd, up->fd }, .eof = { down->eof, up->eof },
		.nonblock = { down->nonblock, up->nonblock }, .buffer_limit = { s->cluster->buffer_limit_bytes, c->buffer_limit },
		.idle_timeout_ms = s->http->stream_idle_timeout_ms,
	};
	struct http_upstream *u = s->upstream;

	if (transport_is_busy(down) || transport_is_busy(up)) {
		transport_cancel(down);
		transport_cancel(up);
		return;
	}
	if (s->worker->log.on)
		s->local = *http_upstream_local(u);
	h.line = http_log_save(s);
	h.pending[DOWNSTREAM] = c->in;
	h.pending[UPSTREAM] = s->in;
	s->handed_over = true;
	if (conn_take_over(&h) == -1) {
		free(h.line);
		s->handed_over = false;
		stream_out_of_memory(s);
		return;
	}
	take(&c->in);
	take(&s->in);
	transport_give(down);
	transport_give(up);
	s->upstream = NULL;
	u->stream = NULL;
	http_upstream_close(u, false);
	stream_finish(s);
	http_conn_leave(c);
}

int handover_to_chain(struct conn *c)
{
	struct opening *o = c->opening;
	struct flow *f = &c->flow[DOWNSTREAM];
	struct arrival a = {
		.worker = c->head.worker, .fd = c->side[DOWNSTREAM].fd, .client = c->head.client, .destination = c->head.destination,
		.inbound = c->head.inbound, .generation = o->generation, .listener = o->listener, .chain = o->other, .from = &c->head, .eof = f->eof,
		.pending = { f->pending, f->pending_end, f->pending_size },
	};

	if (f->lost || f->pending_at > 0)
		return -1;
	if (c->reached && !c->flow[UPSTREAM].eof && c->flow[UPSTREAM].bytes == 0 &&
	    pool_offer(a.worker, &o->dial, &c->up, c->side[UPSTREAM].fd) == 0)
		c->side[UPSTREAM].fd = -1;
	if (downstream_begin(&a) == -1)
		return -1;
	f->pending = NULL;
	f->pending_at = f->pending_end = f->pending_size = 0;
	c->side[DOWNSTREAM].fd = -1;
	o->generation = NULL;
	return 0;
}
