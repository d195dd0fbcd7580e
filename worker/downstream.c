/*
 * A client's connection: see downstream.h.
 *
 *   accept -> is there room for it -> where was it going -> direction -> listener -> is it one of ours -> chain -> the kind
 *   that the chain's last filter makes
 */
#include "worker/downstream.h"

#include "common/match.h"
#include "worker/conn.h"
#include "worker/connections.h"
#include "worker/http_conn.h"
#include "worker/kin.h"
#include "worker/listener.h"
#include "worker/worker.h"

#include <linux/netfilter_ipv4.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IP6_SO_ORIGINAL_DST 80		/* linux/netfilter_ipv6/ip6_tables.h clashes with netinet/in.h */

void reset_on_close(int fd)
{
	const struct linger hard = { 1, 0 };

	if (fd != -1)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static struct live_row *row_of(struct downstream *d, uint32_t slot)
{
	return live_row(&d->worker->live, d->worker->index, slot);
}

/* ---- where to ---- */

/* The destination before interception; the local address where nothing was redirected, or no address was changed. */
static void find_destination(struct arrival *a, bool redirected)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr local;

	if (getsockname(a->fd, (struct sockaddr *)&ss, &len) == -1 ||
	    addr_from_sockaddr((struct sockaddr *)&ss, len, &local) == -1)
		memset(&local, 0, sizeof(local));
	a->destination = local;
	if (!redirected)
		return;
	len = sizeof(ss);
	if (getsockopt(a->fd, local.family == AF_INET ? SOL_IP : SOL_IPV6,
	    local.family == AF_INET ? SO_ORIGINAL_DST : IP6_SO_ORIGINAL_DST, &ss, &len) == -1)
		return;
	if (addr_from_sockaddr((struct sockaddr *)&ss, len, &a->destination) == -1)
		a->destination = local;
}

/* With one port for both directions, what goes to an address of ours is inbound. */
static const struct image_listener *choose_direction(struct arrival *a, const struct image_listener *l)
{
	const struct image *image = &a->generation->image;
	const struct image_intercept *i = &image_settings(image)->intercept;

	if (l->kind == LISTENER_VIRTUAL_OUTBOUND && intercept_has_one_port(i) &&
	    live_address_is_ours(&a->worker->live, &a->destination))
		l = image_listener(image, i->inbound_listener);
	a->inbound = l->kind == LISTENER_VIRTUAL_INBOUND;
	return l;
}

static const struct image_listener *hand_off(const struct arrival *a, const struct image_listener *l)
{
	const struct image_listener *real;

	if (l->kind != LISTENER_VIRTUAL_OUTBOUND)
		return l;
	real = match_listener(&a->generation->image, &a->destination);
	return real != NULL ? real : l;
}

/* ---- its rows ---- */

static bool use_listener(struct downstream *d, const struct arrival *a)
{
	struct live_row *row;

	d->listener_slot = image_slot(&a->generation->image, a->listener->name_index);
	row = row_of(d, d->listener_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	live_add(&row->counter[LISTENER_C_cx_total], 1);
	d->in_listener = live_announce(&d->worker->live, d->worker->index, &row->gauge[LISTENER_G_cx_active],
	    a->listener->max_connections);
	if (!d->in_listener)
		live_add(&row->counter[LISTENER_C_cx_overflow], 1);
	return d->in_listener;
}

void downstream_use_chain(struct downstream *d, const struct image *image, const struct image_chain *chain)
{
	struct live_row *row;

	d->chain_slot = image_slot(image, chain->name_index);
	row = row_of(d, d->chain_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	live_add(&row->gauge[CHAIN_G_cx_active], 1);
	live_add(&row->counter[CHAIN_C_cx_total], 1);
}

static void deadline(struct timer *t)
{
	struct downstream *d = (struct downstream *)(void *)((char *)t - offsetof(struct downstream, deadline));

	d->kind->deadline(d);
}

bool downstream_init(struct downstream *d, const struct downstream_kind *kind, const struct arrival *a)
{
	struct worker *w = a->worker;

	if (a->from != NULL) {
		downstream_move(a->from, d, kind);
		return true;
	}
	d->kind = kind;
	d->worker = w;
	d->deadline.fire = deadline;
	d->born_ms = d->active_ms = w->loop.now_ms;
	d->client = a->client;
	d->destination = a->destination;
	d->inbound = a->inbound;
	d->id = (uint64_t)w->index << 48 | ++w->conn_number;
	d->end_ms = UINT64_MAX;
	d->chain_slot = IMAGE_NONE;
	d->next = w->conns;
	d->prev = &w->conns;
	if (d->next != NULL)
		d->next->prev = &d->next;
	w->conns = d;
	count(w, WORKER_C_accepted);
	return use_listener(d, a);
}

void downstream_move(struct downstream *from, struct downstream *to, const struct downstream_kind *kind)
{
	struct worker *w = from->worker;

	wheel_clear(&w->wheel, &from->deadline);
	*to = *from;
	to->kind = kind;
	*to->prev = to;
	if (to->next != NULL)
		to->next->prev = &to->next;
	if (w->listing.next == from)
		w->listing.next = to;
}

void downstream_leave(struct downstream *d)
{
	struct worker *w = d->worker;
	struct live_row *row;

	wheel_clear(&w->wheel, &d->deadline);
	if (d->chain_slot != IMAGE_NONE) {
		row = row_of(d, d->chain_slot);
		live_add(&row->gauge[CHAIN_G_cx_active], -1);
		live_add(&row->gauge[LIVE_USERS], -1);
	}
	row = row_of(d, d->listener_slot);
	if (d->in_listener)
		live_add(&row->gauge[LISTENER_G_cx_active], -1);
	live_add(&row->counter[LISTENER_C_cx_destroy], 1);
	live_add(&row->gauge[LIVE_USERS], -1);
	gauge(w, WORKER_G_connections, -1);
	connections_forget(w, d);
	*d->prev = d->next;
	if (d->next != NULL)
		d->next->prev = d->prev;
}

/* ---- accept ---- */

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

/* The last filter of its chain says what it becomes. */
int downstream_begin(const struct arrival *a)
{
	const struct image *image = &a->generation->image;
	const struct image_filter *last;

	if (a->chain == NULL || a->sniff || a->refused != END_NONE)
		return conn_begin(a);
	last = image_filter(image, a->chain->first_filter + a->chain->filter_count - 1);
	return last->type == FILTER_HTTP ? http_conn_begin(a, image_http(image, last->index)) : conn_begin(a);
}

void downstream_accept(struct worker *w, struct listener *listener, int fd, const struct addr *client)
{
	live_word *open_now = &w->block->gauge[WORKER_G_connections];
	struct arrival a = { .worker = w, .fd = fd, .client = *client };
	const struct image_listener *l;

	if (overload_sheds(w)) {
		refuse(w, listener, fd, LISTENER_C_cx_overload_reject);
		return;
	}
	if (!live_announce(&w->live, w->index, open_now, image_settings(image_in_use(w))->max_connections)) {
		refuse(w, listener, fd, LISTENER_C_cx_global_overflow);
		return;
	}
	a.generation = generation_hold(listener_generation(w, listener));
	l = image_listener(&a.generation->image, listener->index);
	find_destination(&a, l->kind != LISTENER_BOUND && !image_listener_is_transparent(&a.generation->image, l));
	a.listener = hand_off(&a, choose_direction(&a, l));
	if (l->kind != LISTENER_BOUND)
		a.refused = kin_refuses(&a);
	a.sniff = match_asks_application(&a.generation->image, a.listener, &a.destination);
	a.chain = match_chain(&a.generation->image, a.listener, &a.destination, APPLICATION_ANY, &a.client);
	if (downstream_begin(&a) == 0)
		return;
	live_add(open_now, -1);
	count(w, WORKER_C_shed_memory);
	generation_release(w, &a.generation);
	refuse(w, listener, fd, LISTENER_C_cx_overload_reject);
}
