/*
 * A connection's life, top to bottom: see conn.h.
 *
 *   conn_accept -> where to -> dial -> open -> close -> free, with its line in the access log
 */
#include "worker/conn.h"

#include "common/match.h"
#include "worker/connections.h"
#include "worker/kin.h"
#include "worker/listener.h"
#include "worker/upstream.h"
#include "worker/worker.h"

#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IP6_SO_ORIGINAL_DST 80		/* linux/netfilter_ipv6/ip6_tables.h clashes with netinet/in.h */

static void conn_free(struct conn *);

static const unsigned conn_next[] = {
	[CONN_NEW] = 1u << CONN_CONNECTING | 1u << CONN_CLOSING,
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

struct io_uring_sqe *conn_sqe(struct conn *c, enum op_kind kind)
{
	c->inflight++;
	gauge(c->worker, WORKER_G_inflight, 1);
	return loop_sqe(&c->worker->loop, c, kind);
}

static void reset_on_close(int fd)
{
	const struct linger hard = { 1, 0 };

	if (fd != -1)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static struct live_row *row_of(struct conn *c, uint32_t slot)
{
	return live_row(&c->worker->live, c->worker->index, slot);
}

/* ---- where to ---- */

/* The destination before interception; the local address where nothing was redirected, or no address was changed. */
static void find_destination(struct conn *c, bool redirected)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = c->side[DOWNSTREAM].fd;
	struct addr local;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 || addr_from_sockaddr((struct sockaddr *)&ss, len, &local) == -1)
		memset(&local, 0, sizeof(local));
	c->destination = local;
	if (!redirected)
		return;
	len = sizeof(ss);
	if (getsockopt(fd, local.family == AF_INET ? SOL_IP : SOL_IPV6,
	    local.family == AF_INET ? SO_ORIGINAL_DST : IP6_SO_ORIGINAL_DST, &ss, &len) == -1)
		return;
	if (addr_from_sockaddr((struct sockaddr *)&ss, len, &c->destination) == -1)
		c->destination = local;
}

/* With one port for both directions, what goes to an address of ours is inbound. */
static const struct image_listener *choose_direction(struct conn *c, const struct image_listener *l)
{
	const struct image *image = &c->opening->image;
	const struct image_intercept *i = &image_settings(image)->intercept;

	if (l->kind == LISTENER_VIRTUAL_OUTBOUND && intercept_has_one_port(i) &&
	    live_address_is_ours(&c->worker->live, &c->destination))
		l = image_listener(image, i->inbound_listener);
	c->inbound = l->kind == LISTENER_VIRTUAL_INBOUND;
	return l;
}

static const struct image_listener *hand_off(struct conn *c, const struct image_listener *l)
{
	const struct image_listener *real;

	if (l->kind != LISTENER_VIRTUAL_OUTBOUND)
		return l;
	real = match_listener(&c->opening->image, &c->destination);
	return real != NULL ? real : l;
}

static bool use_listener(struct conn *c, const struct image_listener *l)
{
	struct live_row *row;

	c->listener_slot = image_slot(&c->opening->image, l->name_index);
	c->buffer_limit[UPSTREAM] = l->buffer_limit_bytes;
	row = row_of(c, c->listener_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	live_add(&row->counter[LISTENER_C_cx_total], 1);
	c->in_listener = live_announce(&c->worker->live, c->worker->index, &row->gauge[LISTENER_G_cx_active], l->max_connections);
	if (!c->in_listener)
		live_add(&row->counter[LISTENER_C_cx_overflow], 1);
	return c->in_listener;
}

static void use_chain(struct conn *c, const struct image_chain *chain)
{
	struct live_row *row;

	c->chain_slot = image_slot(&c->opening->image, chain->name_index);
	row = row_of(c, c->chain_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	live_add(&row->gauge[CHAIN_G_cx_active], 1);
	live_add(&row->counter[CHAIN_C_cx_total], 1);
}

void conn_set_deadline(struct conn *c)
{
	uint64_t at = c->idle_timeout_ms != 0 ? c->active_ms + c->idle_timeout_ms : UINT64_MAX;

	if (c->state != CONN_OPEN)
		return;
	if (c->end_ms < at)
		at = c->end_ms;
	if (at != UINT64_MAX)
		wheel_set(&c->worker->wheel, &c->deadline, at);
	else
		wheel_clear(&c->worker->wheel, &c->deadline);
}

/* The next attempt; with the last one gone, c->end says what became of it. */
static void dial(struct conn *c)
{
	const struct image_cluster *cluster = image_cluster(&c->opening->image, c->cluster_index);

	if (upstream_dial(c, &c->opening->image, cluster)) {
		wheel_set(&c->worker->wheel, &c->deadline, c->worker->loop.now_ms + cluster->connect_timeout_ms);
		return;
	}
	conn_close(c, c->end, c->end != END_NO_ENDPOINT);
}

static uint32_t choose_cluster(struct conn *c, const struct image *image, const struct image_tcp_proxy *t)
{
	const struct image_target *target = image_target(image, t->first_target), *last = target + t->target_count - 1;
	uint32_t drawn = target == last ? 0 : worker_random(c->worker, last->upto);

	while (target < last && drawn >= target->upto)
		target++;
	return target->cluster;
}

static void proxy(struct conn *c, const struct image_tcp_proxy *t)
{
	const struct image *image = &c->opening->image;
	const struct image_cluster *cluster;
	struct live_row *row;

	c->cluster_index = choose_cluster(c, image, t);
	cluster = image_cluster(image, c->cluster_index);
	c->idle_timeout_ms = t->idle_timeout_ms;
	if (t->max_duration_ms != 0)
		c->end_ms = c->born_ms + t->max_duration_ms;
	c->max_attempts = (uint16_t)t->max_connect_attempts;
	c->buffer_limit[DOWNSTREAM] = cluster->buffer_limit_bytes;
	c->cluster_slot = image_slot(image, cluster->name_index);
	row = row_of(c, c->cluster_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	c->in_cluster = live_announce(&c->worker->live, c->worker->index, &row->gauge[CLUSTER_G_cx_active], cluster->max_connections);
	conn_enter(c, CONN_CONNECTING);
	if (!c->in_cluster) {
		live_add(&row->counter[CLUSTER_C_cx_overflow], 1);
		conn_close(c, END_OVERFLOW, true);
		return;
	}
	dial(c);
	if (c->state == CONN_CONNECTING)
		flow_start(c, DOWNSTREAM);
}

static void route(struct conn *c, const struct image_listener *bound)
{
	const struct image *image = &c->opening->image;
	const struct image_listener *l = hand_off(c, choose_direction(c, bound));
	const struct image_chain *chain = match_chain(image, l, &c->destination, &c->client);
	enum conn_end refused;

	if (!use_listener(c, l)) {
		conn_close(c, END_OVERFLOW, true);
		return;
	}
	if (bound->kind != LISTENER_BOUND && (refused = kin_refuses(c)) != END_NONE) {
		conn_close(c, refused, true);
		return;
	}
	if (chain == NULL) {
		live_add(&row_of(c, c->listener_slot)->counter[LISTENER_C_no_chain], 1);
		conn_close(c, END_NO_CHAIN, false);
		return;
	}
	use_chain(c, chain);
	/* The last filter ends the chain; today tcp_proxy is the only one. */
	proxy(c, image_tcp_proxy(image, image_filter(image, chain->first_filter + chain->filter_count - 1)->index));
}

static struct conn *conn_new(struct worker *w, int fd, const struct addr *client)
{
	struct conn *c = aligned_alloc(OP_ALIGN, (sizeof(*c) + OP_ALIGN - 1) & ~(size_t)(OP_ALIGN - 1));
	struct timespec ts;

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	clock_gettime(CLOCK_REALTIME, &ts);
	c->worker = w;
	c->born_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	c->born_ms = c->active_ms = w->loop.now_ms;
	c->client = *client;
	c->id = (uint64_t)w->index << 48 | ++w->conn_number;
	c->end_ms = UINT64_MAX;
	c->side[DOWNSTREAM].fd = fd;
	c->side[UPSTREAM].fd = -1;
	c->listener_slot = c->chain_slot = c->cluster_slot = c->endpoint_slot = IMAGE_NONE;
	flow_init(&c->flow[DOWNSTREAM]);
	flow_init(&c->flow[UPSTREAM]);
	c->next = w->conns;
	c->prev = &w->conns;
	if (c->next != NULL)
		c->next->prev = &c->next;
	w->conns = c;
	count(w, WORKER_C_accepted);
	return c;
}

static struct generation *listener_generation(struct worker *w, const struct listener *l)
{
	return l->held != NULL ? l->held : w->generation;
}

/* Before anything is known or held of it: a reset, so that the client does not wait. */
static void refuse(struct worker *w, const struct listener *listener, int fd, unsigned counter)
{
	const struct image *image = &listener_generation(w, listener)->image;
	const struct image_listener *l = image_listener(image, listener->index);

	live_add(&live_row(&w->live, w->index, image_slot(image, l->name_index))->counter[counter], 1);
	reset_on_close(fd);
	close(fd);
}

void conn_accept(struct worker *w, struct listener *listener, int fd, const struct addr *client)
{
	live_word *open_now = &w->block->gauge[WORKER_G_connections];
	const struct image_listener *l;
	struct conn *c;

	if (overload_sheds(w)) {
		refuse(w, listener, fd, LISTENER_C_cx_overload_reject);
		return;
	}
	if (!live_announce(&w->live, w->index, open_now, image_settings(image_in_use(w))->max_connections)) {
		refuse(w, listener, fd, LISTENER_C_cx_global_overflow);
		return;
	}
	if ((c = conn_new(w, fd, client)) == NULL) {
		live_add(open_now, -1);
		count(w, WORKER_C_shed_memory);
		refuse(w, listener, fd, LISTENER_C_cx_overload_reject);
		return;
	}
	c->opening = generation_hold(listener_generation(w, listener));
	l = image_listener(&c->opening->image, listener->index);
	find_destination(c, l->kind != LISTENER_BOUND && !image_listener_is_transparent(&c->opening->image, l));
	route(c, l);
}

/* ---- open ---- */

static void opened(struct conn *c)
{
	conn_enter(c, CONN_OPEN);
	c->reached = true;
	c->end = END_NONE;
	c->connect_error = 0;
	generation_release(c->worker, &c->opening);
	c->active_ms = c->worker->loop.now_ms;
	conn_set_deadline(c);
	flow_open(c, DOWNSTREAM);
	if (c->state == CONN_OPEN)
		flow_start(c, UPSTREAM);
}

static void dialled(struct conn *c, int res)
{
	bool late = c->timed_out;

	c->timed_out = c->dialling = false;
	if (c->state == CONN_CLOSING)
		return;
	if (res == 0 && !late) {
		opened(c);
		return;
	}
	c->connect_error = late ? ETIMEDOUT : -res;
	upstream_give_up(c, late ? END_CONNECT_TIMEOUT : res == -EADDRNOTAVAIL ? END_NO_PORT : END_CONNECT);
	dial(c);
}

void conn_deadline(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->state == CONN_CONNECTING) {
		c->timed_out = true;		/* dialled() goes on when the kernel has given the operation back */
		loop_cancel_fd(&w->loop, c->side[UPSTREAM].fd);
	} else if (c->state == CONN_OPEN && c->draining && w->loop.now_ms >= c->end_ms) {
		conn_close(c, END_DRAINED, false);
	} else if (c->state == CONN_OPEN && w->loop.now_ms >= c->end_ms) {
		live_add(&row_of(c, c->chain_slot)->counter[CHAIN_C_max_duration], 1);
		conn_close(c, END_DURATION, false);
	} else if (c->state == CONN_OPEN && c->idle_timeout_ms != 0 && w->loop.now_ms >= c->active_ms + c->idle_timeout_ms) {
		live_add(&row_of(c, c->chain_slot)->counter[CHAIN_C_idle_timeout], 1);
		live_add(&row_of(c, c->cluster_slot)->counter[CLUSTER_C_cx_idle_timeout], 1);
		conn_close(c, END_IDLE, false);
	} else if (c->state == CONN_OPEN) {
		flow_watch(c, DOWNSTREAM);
		flow_watch(c, UPSTREAM);
		conn_set_deadline(c);
	}
}

/* Most connections end both ways at nearly the same time: only one that stays half-closed is worth watching. */
#define WATCH_AFTER_MS 50

void conn_half_closed(struct conn *c)
{
	uint64_t at = c->worker->loop.now_ms + WATCH_AFTER_MS;

	if (c->deadline.prev == NULL || c->deadline.at_ms > at)
		wheel_set(&c->worker->wheel, &c->deadline, at);
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
	    (i == UPSTREAM && c->dialling));
}

void conn_close(struct conn *c, enum conn_end why, bool reset)
{
	if (c->state == CONN_CLOSING)
		return;
	conn_enter(c, CONN_CLOSING);
	c->end = (uint8_t)why;
	c->resetting = reset;
	wheel_clear(&c->worker->wheel, &c->deadline);
	if (c->inflight > 0) {
		for (unsigned i = 0; i < 2; i++) {
			if (has_operations(c, i))
				loop_cancel_fd(&c->worker->loop, c->side[i].fd);
		}
		return;		/* conn_complete() frees with the last completion */
	}
	/* Not from under a caller that still looks at it: its turn to be freed comes with the timers. */
	wheel_set(&c->worker->wheel, &c->deadline, 0);
}

static void leave_starved(struct conn *c)
{
	struct conn **p = &c->worker->starved;

	while (*p != NULL && *p != c)
		p = &(*p)->next_starved;
	if (*p == c)
		*p = c->next_starved;
}

static void give_rows_back(struct conn *c)
{
	struct live_row *row;

	upstream_leave_endpoint(c);
	if (c->cluster_slot != IMAGE_NONE) {
		row = row_of(c, c->cluster_slot);
		if (c->in_cluster)
			live_add(&row->gauge[CLUSTER_G_cx_active], -1);
		live_add(&row->gauge[LIVE_USERS], -1);
	}
	if (c->chain_slot != IMAGE_NONE) {
		row = row_of(c, c->chain_slot);
		live_add(&row->gauge[CHAIN_G_cx_active], -1);
		live_add(&row->gauge[LIVE_USERS], -1);
	}
	row = row_of(c, c->listener_slot);
	if (c->in_listener)
		live_add(&row->gauge[LISTENER_G_cx_active], -1);
	live_add(&row->counter[LISTENER_C_cx_destroy], 1);
	live_add(&row->gauge[LIVE_USERS], -1);
}

static void conn_free(struct conn *c)
{
	struct worker *w = c->worker;

	wheel_clear(&w->wheel, &c->deadline);
	leave_starved(c);
	accesslog_connection(c);
	generation_release(w, &c->opening);
	flow_free(c, DOWNSTREAM);
	flow_free(c, UPSTREAM);
	for (int i = 0; i < 2; i++) {
		if (c->resetting)
			reset_on_close(c->side[i].fd);
		if (c->side[i].fd != -1)
			close(c->side[i].fd);
	}
	give_rows_back(c);		/* not before: another worker may take the place in a limit at once */
	gauge(w, WORKER_G_connections, -1);
	connections_forget(w, c);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	free(c);
}

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
	if (kind == OP_NONE) {			/* its timer */
		if (c->state != CONN_CLOSING)
			conn_deadline(c);
		else if (c->inflight == 0)
			conn_free(c);
		return;
	}
	dispatch(c, kind, res, flags);
	if (!(flags & IORING_CQE_F_MORE)) {
		c->inflight--;
		gauge(c->worker, WORKER_G_inflight, -1);
	}
	if (c->state == CONN_CLOSING && c->inflight == 0)
		conn_free(c);
}
