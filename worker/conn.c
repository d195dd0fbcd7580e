/*
 * A tunnel's life, top to bottom: see conn.h.
 *
 *   conn_begin -> dial -> open -> close -> free, with its line in the access log
 */
#include "worker/conn.h"

#include "common/match.h"
#include "worker/accesslog.h"
#include "worker/handover.h"
#include "worker/sniff.h"
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned conn_next[] = {
	[CONN_CONNECTING] = 1u << CONN_OPEN | 1u << CONN_CLOSING,
	[CONN_OPEN] = 1u << CONN_CLOSING,
	[CONN_CLOSING] = 0,
};

static void conn_enter(struct conn *c, enum conn_state to)
{
	if (!(conn_next[c->state] & 1u << to))
		abort();
	c->state = (uint8_t)to;
}

static struct conn *conn_of(struct downstream *d)
{
	return (struct conn *)(void *)((char *)d - offsetof(struct conn, head));
}

struct io_uring_sqe *conn_sqe(struct conn *c, enum op_kind kind)
{
	c->inflight++;
	gauge(c->head.worker, WORKER_G_inflight, 1);
	return loop_sqe(&c->head.worker->loop, c, kind);
}

static struct live_row *row_of(struct conn *c, uint32_t slot)
{
	return live_row(&c->head.worker->live, c->head.worker->index, slot);
}

/* ---- opening ---- */

/* Open: of idle time-out and end_ms the earlier; before: of the attempt's and the first bytes' time. */
static void set_deadline(struct conn *c)
{
	const struct opening *o = conn_opening(c);
	uint64_t at = UINT64_MAX;

	if (c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN && !c->sniffing && c->idle_timeout_ms != 0)
		at = c->head.active_ms + c->idle_timeout_ms;
	if ((c->state == CONN_OPEN || c->sniffing) && c->head.end_ms < at)
		at = c->head.end_ms;
	if (o != NULL && o->dialling && !o->timed_out && o->dial_end_ms < at)
		at = o->dial_end_ms;
	if (o != NULL && c->sniffing && !c->decided && o->sniff_end_ms < at)
		at = o->sniff_end_ms;
	if (at != UINT64_MAX)
		wheel_set(&c->head.worker->wheel, &c->head.deadline, at);
	else
		wheel_clear(&c->head.worker->wheel, &c->head.deadline);
}

/* The next attempt, of max_attempts.  END_NONE: OP_CONNECT is in flight; else what became of the last one. */
static enum conn_end attempt(struct conn *c, enum conn_end end)
{
	struct dial *d = &c->opening->dial;

	while (d->attempts < c->opening->max_attempts) {
		if (!upstream_choose(d, &c->up))
			return END_NO_ENDPOINT;
		if ((end = upstream_open(d, &c->up, &c->side[UPSTREAM].fd)) == END_NONE) {
			upstream_connect(&c->head.worker->loop, conn_sqe(c, OP_CONNECT), c->side[UPSTREAM].fd, &c->up.endpoint);
			c->opening->dialling = true;
			return END_NONE;
		}
		if (end == END_NO_MEMORY)
			return end;		/* no socket: another endpoint would fare no better */
	}
	live_add(&row_of(c, c->up.cluster_slot)->counter[CLUSTER_C_cx_attempts_exceeded], 1);
	return end;
}

static void stay(struct conn *);

/* Where it went there is nothing, whatever it speaks: its client is told at once, as it would be without us. */
static bool has_nowhere_else(const struct conn *c)
{
	const struct opening *o = c->opening;

	return o->dial.cluster->type == CLUSTER_ORIGINAL_DST && sniff_leads_only_to(o->dial.image, o->listener,
	    &c->head.destination, &c->head.client, o->dial.cluster);
}

/* `before`: what became of the attempt before. */
static void dial(struct conn *c, enum conn_end before)
{
	enum conn_end end = attempt(c, before);

	if (end == END_NONE) {
		c->opening->dial_end_ms = c->head.worker->loop.now_ms + c->opening->dial.cluster->connect_timeout_ms;
		set_deadline(c);
	} else if (c->sniffing && end != END_LOOP) {
		c->opening->failed = (uint8_t)end;	/* the chain that is left may be another one */
		if (has_nowhere_else(c))
			stay(c);
		else
			set_deadline(c);
	} else {
		conn_close(c, end, end != END_NO_ENDPOINT);
	}
}

static void proxy(struct conn *c, const struct image *image, const struct image_tcp_proxy *t)
{
	struct worker *w = c->head.worker;
	const struct image_cluster *cluster;

	cluster = image_cluster(image, upstream_choose_cluster(w, image, t->first_target, t->target_count));
	c->idle_timeout_ms = t->idle_timeout_ms < UINT32_MAX ? (uint32_t)t->idle_timeout_ms : UINT32_MAX;
	if (t->max_duration_ms != 0)
		c->head.end_ms = c->head.born_ms + t->max_duration_ms;
	c->buffer_limit[DOWNSTREAM] = cluster->buffer_limit_bytes;
	c->opening->max_attempts = (uint16_t)t->max_connect_attempts;
	c->opening->dial.cluster = cluster;
	if (!upstream_enter_cluster(w, &c->up, image, cluster)) {
		if (c->sniffing)
			c->opening->failed = END_OVERFLOW;
		else
			conn_close(c, END_OVERFLOW, true);
		return;
	}
	dial(c, END_NONE);
}

static void use_chain(struct conn *c)
{
	downstream_use_chain(&c->head, &c->opening->generation->image, c->opening->chain);
	live_add(&row_of(c, c->head.chain_slot)->counter[CHAIN_C_cx_rx_bytes], (int64_t)c->flow[DOWNSTREAM].bytes);
}

static void no_chain(struct conn *c)
{
	live_add(&row_of(c, c->head.listener_slot)->counter[LISTENER_C_no_chain], 1);
	conn_close(c, END_NO_CHAIN, false);
}

static const struct downstream_kind tunnel;

static struct conn *conn_new(const struct arrival *a)
{
	struct opening *o = calloc(1, sizeof(*o));
	struct conn *c = o == NULL ? NULL : block_take(&a->worker->tunnels);

	if (c == NULL) {
		free(o);
		return NULL;
	}
	o->generation = a->generation;
	o->dial.worker = a->worker;
	o->dial.image = &a->generation->image;
	o->dial.client = a->client;
	o->dial.destination = a->destination;
	o->dial.inbound = a->inbound;
	o->listener = a->listener;
	o->chain = a->chain;
	o->sniff_end_ms = UINT64_MAX;
	c->opening = o;
	c->side[DOWNSTREAM].fd = a->fd;
	c->side[UPSTREAM].fd = -1;
	c->up = (struct upstream)UPSTREAM_NONE;
	c->buffer_limit[UPSTREAM] = a->listener->buffer_limit_bytes;
	flow_init(&c->flow[DOWNSTREAM]);
	flow_init(&c->flow[UPSTREAM]);
	return c;
}

/* What has come already. */
static void take_pending(struct conn *c, const struct arrival *a)
{
	struct flow *f = &c->flow[DOWNSTREAM];

	f->pending = a->pending.at;		/* and counted as buffered already */
	f->pending_end = a->pending.len;
	f->pending_size = a->pending.size;
	f->bytes = a->pending.len;
	f->eof = a->eof;
}

static void begin_sniffing(struct conn *c, const struct arrival *a)
{
	c->sniffing = true;
	if (a->listener->filters_timeout_ms != 0)
		c->opening->sniff_end_ms = c->head.born_ms + a->listener->filters_timeout_ms;
}

/* The chain's last filter, or NULL if that is not ours. */
static const struct image_tcp_proxy *tcp_proxy_of(const struct image *image, const struct image_chain *chain)
{
	const struct image_filter *last = chain == NULL ? NULL : image_filter(image, chain->first_filter + chain->filter_count - 1);

	return last != NULL && last->type == FILTER_TCP_PROXY ? image_tcp_proxy(image, last->index) : NULL;
}

int conn_begin(const struct arrival *a)
{
	const struct image *image = &a->generation->image;
	const struct image_tcp_proxy *t = tcp_proxy_of(image, a->chain);
	struct conn *c = conn_new(a);

	if (c == NULL)
		return -1;
	if (!downstream_init(&c->head, &tunnel, a)) {
		conn_close(c, END_OVERFLOW, true);
		return 0;
	}
	if (a->refused != END_NONE) {
		conn_close(c, a->refused, true);
		return 0;
	}
	take_pending(c, a);
	if (a->sniff)
		begin_sniffing(c, a);
	else if (a->chain != NULL)
		use_chain(c);
	if (t != NULL)
		proxy(c, image, t);
	else if (!a->sniff)
		no_chain(c);
	if (c->state == CONN_CONNECTING) {
		set_deadline(c);
		flow_start(c, DOWNSTREAM);
	}
	return 0;
}

static void forget_opening(struct conn *c)
{
	if (conn_opening(c) == NULL)
		return;
	generation_release(c->head.worker, &c->opening->generation);
	free(c->opening);
	c->opening = NULL;
}

static void leave(struct conn *);

/* ---- open ---- */

static void flow_take(struct conn *c, unsigned d, const struct handed *h)
{
	struct flow *f = &c->flow[d];

	flow_init(f);
	f->pending = h->pending[d].at;		/* and counted as buffered already */
	f->pending_end = h->pending[d].len;
	f->pending_size = h->pending[d].size;
	f->bytes = f->pending_end;
	f->eof = h->eof[d];
	c->side[d].fd = h->fd[d];
	c->nonblock[d] = h->nonblock[d];
	c->buffer_limit[d] = h->buffer_limit[d];
}

int conn_take_over(struct handed *h)
{
	struct conn *c = block_take(&h->head->worker->tunnels);

	if (c == NULL)
		return -1;
	downstream_move(h->head, &c->head, &tunnel);
	c->state = CONN_OPEN;
	c->reached = c->from_http = true;
	c->line = h->line;
	c->up = *h->up;
	*h->up = (struct upstream)UPSTREAM_NONE;
	c->idle_timeout_ms = h->idle_timeout_ms < UINT32_MAX ? (uint32_t)h->idle_timeout_ms : UINT32_MAX;
	flow_take(c, DOWNSTREAM, h);
	flow_take(c, UPSTREAM, h);
	live_add(&row_of(c, c->head.chain_slot)->gauge[HTTP_G_upgrades_active], 1);
	live_add(&row_of(c, c->head.chain_slot)->counter[HTTP_C_upgrades_total], 1);
	c->head.active_ms = c->head.worker->loop.now_ms;
	set_deadline(c);
	for (unsigned d = 0; d < 2 && c->state == CONN_OPEN; d++)
		flow_open(c, d);
	return 0;
}

static void opened(struct conn *c)
{
	conn_enter(c, CONN_OPEN);
	if (!c->sniffing)
		forget_opening(c);
	c->head.active_ms = c->head.worker->loop.now_ms;
	set_deadline(c);
	flow_open(c, DOWNSTREAM);
	if (c->state == CONN_OPEN)
		flow_start(c, UPSTREAM);
}

static void dialled(struct conn *c, int res)
{
	bool late = c->opening->timed_out;
	enum conn_end why;

	c->opening->timed_out = c->opening->dialling = false;
	if (c->state == CONN_CLOSING)
		return;
	if (res == 0 && !late) {
		c->reached = true;
		if (c->decided)
			leave(c);
		else
			opened(c);
		return;
	}
	c->opening->dial.error = late ? ETIMEDOUT : -res;
	why = late ? END_CONNECT_TIMEOUT : res == -EADDRNOTAVAIL ? END_NO_PORT : END_CONNECT;
	upstream_failed(c->head.worker, &c->up, why);
	close(c->side[UPSTREAM].fd);
	c->side[UPSTREAM].fd = -1;
	if (c->decided)
		leave(c);
	else
		dial(c, why);
}

/* ---- sniffing ---- */

/* It stays with the chain that it was dialled for. */
static void stay(struct conn *c)
{
	struct opening *o = c->opening;

	c->sniffing = false;
	if (o->chain == NULL) {
		no_chain(c);
		return;
	}
	use_chain(c);
	if (o->failed != END_NONE) {
		conn_close(c, (enum conn_end)o->failed, o->failed != END_NO_ENDPOINT);
	} else if (c->state == CONN_OPEN) {
		forget_opening(c);
		set_deadline(c);
		flow_open(c, DOWNSTREAM);
	}
}

/* handover_to_chain() goes on when the kernel holds nothing of it any more. */
static void leave(struct conn *c)
{
	c->sniffing = c->decided = false;
	conn_close(c, END_DONE, false);
	c->leaving = true;
}

static void go_elsewhere(struct conn *c, const struct image_chain *other)
{
	c->opening->other = other;
	if (!c->opening->dialling) {
		leave(c);
		return;
	}
	c->decided = true;
	flow_stop(c, DOWNSTREAM);
}

static void decide(struct conn *c, enum image_application application)
{
	const struct opening *o = c->opening;
	const struct image_chain *chain = match_chain(&o->generation->image, o->listener, &c->head.destination, application, &c->head.client);

	if (chain != NULL && (chain != o->chain || tcp_proxy_of(&o->generation->image, chain) == NULL))
		go_elsewhere(c, chain);
	else if (chain == NULL)
		no_chain(c);
	else
		stay(c);
}

void conn_sniff(struct conn *c, bool over)
{
	const struct flow *f = &c->flow[DOWNSTREAM];
	enum image_application application = APPLICATION_ANY;

	if (c->decided)
		return;
	if (over || (f->pending_end > f->pending_at && sniff(f->pending + f->pending_at, f->pending_end - f->pending_at, &application)))
		decide(c, application);
}

void conn_endpoint_speaks(struct conn *c)
{
	if (!c->decided)
		stay(c);
}

static void ran_out(struct conn *c)
{
	struct worker *w = c->head.worker;

	if (c->state == CONN_CONNECTING && !(c->sniffing && w->loop.now_ms >= c->head.end_ms)) {
		set_deadline(c);
	} else if (c->head.draining && w->loop.now_ms >= c->head.end_ms) {
		conn_close(c, END_DRAINED, false);
	} else if (w->loop.now_ms >= c->head.end_ms) {
		if (c->head.chain_slot != IMAGE_NONE)
			live_add(&row_of(c, c->head.chain_slot)->counter[CHAIN_C_max_duration], 1);
		conn_close(c, END_DURATION, false);
	} else if (!c->sniffing && c->idle_timeout_ms != 0 && w->loop.now_ms >= c->head.active_ms + c->idle_timeout_ms) {
		live_add(&row_of(c, c->head.chain_slot)->counter[CHAIN_C_idle_timeout], 1);
		live_add(&row_of(c, c->up.cluster_slot)->counter[CLUSTER_C_cx_idle_timeout], 1);
		conn_close(c, END_IDLE, false);
	} else {
		flow_watch(c, DOWNSTREAM);
		flow_watch(c, UPSTREAM);
		set_deadline(c);
	}
}

/* Most connections end both ways at nearly the same time: only one that stays half-closed is worth watching. */
#define WATCH_AFTER_MS 50

void conn_half_closed(struct conn *c)
{
	uint64_t at = c->head.worker->loop.now_ms + WATCH_AFTER_MS;

	if (c->head.deadline.prev == NULL || c->head.deadline.at_ms > at)
		wheel_set(&c->head.worker->wheel, &c->head.deadline, at);
}

static void hung_up(struct conn *c, unsigned d, int res)
{
	c->flow[d].watching = false;
	if (c->state != CONN_CLOSING && res > 0 && (res & POLLERR))
		conn_close(c, d == DOWNSTREAM ? END_DOWNSTREAM_RESET : END_UPSTREAM_RESET, true);
}

/* ---- close ---- */

static bool has_operations(const struct conn *c, unsigned i)
{
	const struct flow *from = &c->flow[i], *to = &c->flow[!i];

	return c->side[i].fd != -1 && (from->reading || from->watching || to->sending || to->waiting_room ||
	    (i == UPSTREAM && conn_opening(c) != NULL && c->opening->dialling));
}

void conn_close(struct conn *c, enum conn_end why, bool reset)
{
	if (c->state == CONN_CLOSING)
		return;
	conn_enter(c, CONN_CLOSING);
	c->head.end = (uint8_t)why;
	c->head.resetting = reset;
	wheel_clear(&c->head.worker->wheel, &c->head.deadline);
	if (c->inflight > 0) {
		for (unsigned i = 0; i < 2; i++) {
			if (has_operations(c, i))
				loop_cancel_fd(&c->head.worker->loop, c->side[i].fd);
		}
		return;		/* conn_complete() frees with the last completion */
	}
	/* Not from under a caller that still looks at it: its turn to be freed comes with the timers. */
	wheel_set(&c->head.worker->wheel, &c->head.deadline, 0);
}

static void leave_starved(struct conn *c)
{
	struct conn **p = &c->head.worker->starved;

	while (*p != NULL && *p != c)
		p = &(*p)->next_starved;
	if (*p == c)
		*p = c->next_starved;
}

static bool ended_by_endpoint(const struct conn *c)
{
	return c->head.end == END_DONE ? c->endpoint_first : c->head.end == END_UPSTREAM_RESET;
}

static void conn_free(struct conn *c)
{
	struct worker *w = c->head.worker;
	bool left;

	leave_starved(c);
	left = c->leaving && handover_to_chain(c) == 0;
	if (!left)
		accesslog_connection(c);
	if (c->from_http) {
		live_add(&row_of(c, c->head.chain_slot)->gauge[HTTP_G_upgrades_active], -1);
		free(c->line);
	}
	forget_opening(c);
	flow_free(c, DOWNSTREAM);
	flow_free(c, UPSTREAM);
	for (int i = 0; i < 2; i++) {
		if (c->head.resetting)
			reset_on_close(c->side[i].fd);
		if (c->side[i].fd != -1)
			close(c->side[i].fd);
	}
	upstream_leave(w, &c->up, ended_by_endpoint(c));
	upstream_leave_cluster(w, &c->up);
	if (!left)
		downstream_leave(&c->head);
	block_give(&w->tunnels, c);
}

/* ---- as one kind of downstream connection ---- */

static void deadline(struct downstream *d)
{
	struct conn *c = conn_of(d);

	const struct opening *o = conn_opening(c);
	uint64_t now = d->worker->loop.now_ms;

	if (c->state == CONN_CLOSING) {
		if (c->inflight == 0)
			conn_free(c);
	} else if (c->sniffing && !c->decided && now >= o->sniff_end_ms) {
		live_add(&row_of(c, d->listener_slot)->counter[LISTENER_C_pre_cx_timeout], 1);
		decide(c, APPLICATION_ANY);
		set_deadline(c);
	} else if (o != NULL && o->dialling && !o->timed_out && now >= o->dial_end_ms) {
		c->opening->timed_out = true;	/* dialled() goes on when the kernel has given the operation back */
		loop_cancel_fd(&d->worker->loop, c->side[UPSTREAM].fd);
		set_deadline(c);
	} else {
		ran_out(c);
	}
}

static void end_changed(struct downstream *d)
{
	set_deadline(conn_of(d));
}

static void close_it(struct downstream *d, enum conn_end why, bool reset)
{
	conn_close(conn_of(d), why, reset);
}

static void view(const struct downstream *d, struct downstream_view *v)
{
	static const char *const states[] = { [CONN_CONNECTING] = "connecting", [CONN_OPEN] = "open", [CONN_CLOSING] = NULL };
	const struct conn *c = (const struct conn *)(const void *)((const char *)d - offsetof(struct conn, head));

	*v = (struct downstream_view){ states[c->state], c->up.cluster_slot, c->up.endpoint.family != 0 ? &c->up.endpoint : NULL,
	    c->up.endpoint_slot, c->flow[DOWNSTREAM].bytes, c->flow[UPSTREAM].sent };
}

static const struct downstream_kind tunnel = { deadline, end_changed, close_it, view, NULL };

/* ---- completions: the one place that counts them ---- */

static void dispatch(struct conn *c, enum op_kind kind, int res, unsigned flags)
{
	switch (kind) {
	case OP_CONNECT:
		dialled(c, res);
		break;
	case OP_DATA0: case OP_DATA1:
		flow_data(c, kind - OP_DATA0, res, flags);
		break;
	case OP_READY0: case OP_READY1:
		flow_ready(c, kind - OP_READY0);
		break;
	case OP_SENT0: case OP_SENT1:
		flow_sent(c, kind - OP_SENT0, res);
		break;
	case OP_ROOM0: case OP_ROOM1:
		flow_room(c, kind - OP_ROOM0);
		break;
	case OP_HUP0: case OP_HUP1:
		hung_up(c, kind - OP_HUP0, res);
		break;
	default:
		abort();
	}
}

void conn_complete(struct conn *c, enum op_kind kind, int res, unsigned flags)
{
	dispatch(c, kind, res, flags);
	if (!(flags & IORING_CQE_F_MORE)) {
		c->inflight--;
		gauge(c->head.worker, WORKER_G_inflight, -1);
	}
	if (c->state == CONN_CLOSING && c->inflight == 0)
		conn_free(c);
}
