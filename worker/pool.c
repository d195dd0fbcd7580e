/* Connections to one endpoint: see pool.h. */
#include "worker/pool.h"

#include "worker/http_conn.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void try_again(struct timer *);

static struct live_row *cluster_row(const struct pool *p)
{
	return live_row(&p->worker->live, p->worker->index, p->cluster_slot);
}

/* ---- one for each endpoint, and each source ---- */

static struct pool **bucket(struct worker *w, const struct upstream *up, const struct source *s)
{
	uint32_t of_client = s->client.family != 0 ? (uint32_t)addr_hash(&s->client) * 2246822519u : 0;

	return &w->pools[(addr_hash(&up->endpoint) ^ up->cluster_slot * 2654435761u ^ of_client) % POOL_BUCKETS];
}

static bool is_for(const struct pool *p, const struct upstream *up, const struct source *s)
{
	return p->cluster_slot == up->cluster_slot && addr_equal(&p->endpoint, &up->endpoint) &&
	    p->source.inbound == s->inbound && addr_equal(&p->source.client, &s->client);
}

static struct pool *find(struct worker *w, const struct upstream *up, const struct source *s)
{
	struct pool *p = *bucket(w, up, s);

	while (p != NULL && !is_for(p, up, s))
		p = p->next;
	return p;
}

static struct pool *make(struct worker *w, const struct upstream *up, const struct source *s)
{
	struct pool **head = bucket(w, up, s), *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->worker = w;
	p->cluster_slot = up->cluster_slot;
	p->endpoint_slot = up->endpoint_slot;
	p->endpoint = up->endpoint;
	p->source = *s;
	p->last_waiting = &p->first_waiting;
	p->again.fire = try_again;
	p->learnt_ms = UINT32_MAX;
	p->next = *head;
	p->prev = head;
	if (p->next != NULL)
		p->next->prev = &p->next;
	*head = p;
	return p;
}

/* What was learnt of an endpoint outlives its connections; but there is no end of original destinations, nor of clients. */
static void free_if_empty(struct pool *p)
{
	if (p->connections > 0 || p->waiting > 0 || (!p->gone && p->endpoint_slot != IMAGE_NONE && p->source.client.family == 0))
		return;
	wheel_clear(&p->worker->wheel, &p->again);
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	free(p);
}

/* ---- waiting ---- */

static bool wait_in(struct pool *p, struct stream *s)
{
	struct live_row *row = cluster_row(p);

	live_add(&row->counter[CLUSTER_C_rq_pending_total], 1);
	if (!live_announce(&p->worker->live, p->worker->index, &row->gauge[CLUSTER_G_rq_pending_active], s->cluster->max_pending_requests)) {
		live_add(&row->counter[CLUSTER_C_rq_pending_overflow], 1);
		return false;
	}
	s->pool = p;
	s->next_waiting = NULL;
	s->prev_waiting = p->last_waiting;
	*p->last_waiting = s;
	p->last_waiting = &s->next_waiting;
	p->waiting++;
	return true;
}

static void wait_no_more(struct stream *s)
{
	struct pool *p = s->pool;

	*s->prev_waiting = s->next_waiting;
	if (s->next_waiting != NULL)
		s->next_waiting->prev_waiting = s->prev_waiting;
	else
		p->last_waiting = s->prev_waiting;
	p->waiting--;
	s->pool = NULL;
	live_add(&cluster_row(p)->gauge[CLUSTER_G_rq_pending_active], -1);
}

void pool_forget(struct stream *s)
{
	struct pool *p = s->pool;

	live_add(&cluster_row(p)->counter[CLUSTER_C_rq_cancelled], 1);
	wait_no_more(s);
	free_if_empty(p);
}

/* ---- new connections ---- */

static enum stream_end end_of(enum conn_end why)
{
	switch (why) {
	case END_CONNECT: return STREAM_NO_CONNECTION;
	case END_CONNECT_TIMEOUT: return STREAM_CONNECT_TIMEOUT;
	case END_NO_MEMORY: return STREAM_NO_MEMORY;
	default: return STREAM_NO_LOCAL;
	}
}

/* A place in the cluster's limit that nobody here needs. */
static void make_place(struct pool *p)
{
	struct worker *w = p->worker;

	for (unsigned i = 0; i < POOL_BUCKETS; i++) {
		for (struct pool *other = w->pools[i]; other != NULL; other = other->next) {
			if (other->cluster_slot == p->cluster_slot && other->idle != NULL) {
				http_upstream_close(other->idle, false);
				return;
			}
		}
	}
}

/* Another connection, for those who wait; as long as the limit allows. */
static enum conn_end dial(struct pool *p, int *error_r)
{
	const struct stream *s = p->first_waiting;
	enum conn_end why = END_NONE;
	struct dial d = stream_dial(s);

	p->limited = s->cluster->max_connections != 0;
	while (why == END_NONE && p->connecting < p->waiting)
		http_upstream_dial(p, &d, &why);
	*error_r = d.error;
	if (why == END_OVERFLOW) {
		make_place(p);
		wheel_set(&p->worker->wheel, &p->again, p->worker->loop.now_ms + WHEEL_TICK_MS);
		return END_NONE;
	}
	return why;
}

static void try_again(struct timer *t)
{
	struct pool *p = (struct pool *)(void *)((char *)t - offsetof(struct pool, again));
	enum conn_end why = END_NONE;
	int error = 0;

	if (p->waiting > p->connecting)
		why = dial(p, &error);
	if (why != END_NONE)
		pool_not_connected(p, why, error);
}

void pool_not_connected(struct pool *p, enum conn_end why, int error)
{
	struct stream *s = p->first_waiting;

	if (s == NULL)
		return;
	live_add(&cluster_row(p)->counter[CLUSTER_C_rq_pending_failure], 1);
	wait_no_more(s);
	free_if_empty(p);
	stream_not_connected(s, end_of(why), error);
}

/* ---- kept ones ---- */

#define CROSSING_MS 20u			/* a request and the end of its connection may cross each other within this */
#define LEARNT_FOR_MS 60000u		/* an endpoint that restarts closes all of them, and says nothing of its patience by that */

/* How long it was idle is how long others may be. */
void pool_learn(struct http_upstream *u)
{
	struct pool *p = u->pool;
	uint64_t now = p->worker->loop.now_ms, idle = now - u->idle_ms;

	if (idle <= p->learnt_ms || now - p->learnt_at_ms > LEARNT_FOR_MS) {
		p->learnt_ms = idle < UINT32_MAX ? (uint32_t)idle : UINT32_MAX;
		p->learnt_at_ms = now;
	}
}

/* Its end may be on its way, as far as anybody can tell. */
static bool is_doubtful(const struct pool *p, const struct http_upstream *u)
{
	uint64_t now = p->worker->loop.now_ms;

	return now - u->idle_ms + CROSSING_MS >= p->learnt_ms && now - p->learnt_at_ms <= LEARNT_FOR_MS;
}

static struct http_upstream *take_kept(struct pool *p, const struct stream *s)
{
	struct http_upstream *u;

	while ((u = p->idle) != NULL) {
		if (stream_is_idempotent(s))
			return u;
		if (is_doubtful(p, u))		/* and it cannot be sent twice */
			return NULL;
		if (!http_upstream_has_ended(u))
			return u;
		http_upstream_close(u, false);
	}
	return NULL;
}

enum verdict pool_ask(struct worker *w, struct stream *s)
{
	struct dial d = stream_dial(s);
	struct source source = source_of(&d, &s->up.endpoint);
	struct pool *p = find(w, &s->up, &source);
	struct http_upstream *u;
	enum conn_end why = END_NONE;
	int error = 0;

	if (p == NULL && (p = make(w, &s->up, &source)) == NULL) {
		stream_out_of_memory(s);
		return REPLIED;
	}
	if (!s->again && (u = take_kept(p, s)) != NULL) {
		s->upstream = u;
		http_upstream_take(u, s);
		return GO;
	}
	if (!wait_in(p, s)) {
		free_if_empty(p);
		return stream_reply(s, STREAM_OVERFLOW);
	}
	if (p->connecting < p->waiting)
		why = dial(p, &error);
	if (why == END_NONE)
		return WAIT;
	wait_no_more(s);
	free_if_empty(p);
	return router_not_connected(s, end_of(why), error);
}

int pool_offer(struct worker *w, const struct dial *d, struct upstream *up, int fd)
{
	struct source source = source_of(d, &up->endpoint);
	struct pool *p = find(w, up, &source);

	if (p == NULL && (p = make(w, up, &source)) == NULL)
		return -1;
	if (!p->gone && http_upstream_adopt(p, d->cluster, up, fd) == 0)
		return 0;
	free_if_empty(p);
	return -1;
}

void pool_park_deadline(struct http_upstream *u)
{
	uint64_t at = u->idle_ms + u->keep_ms;

	if (u->end_ms < at)
		at = u->end_ms;
	if (u->deadline.prev == NULL || at < u->deadline.at_ms)
		wheel_set(&u->pool->worker->wheel, &u->deadline, at);
}

/* Somebody, in whichever worker, waits for a place that this one takes. */
static bool is_wanted(const struct pool *p)
{
	return p->limited && live_sum_gauge(&p->worker->live, p->cluster_slot, CLUSTER_G_rq_pending_active) > 0;
}

void pool_park(struct http_upstream *u)
{
	struct pool *p = u->pool;
	struct stream *s = p->first_waiting;

	u->idle_ms = p->worker->loop.now_ms;
	if (s != NULL && u->kept && !stream_is_idempotent(s) && is_doubtful(p, u)) {
		http_upstream_close(u, false);		/* another one is on its way */
		return;
	}
	if (s != NULL) {
		wait_no_more(s);
		http_upstream_take(u, s);
		stream_connected(s, u);
		return;
	}
	if (is_wanted(p)) {
		http_upstream_close(u, false);
		return;
	}
	u->kept = true;
	u->next = p->idle;
	u->prev = &p->idle;
	if (u->next != NULL)
		u->next->prev = &u->next;
	p->idle = u;
	pool_park_deadline(u);
}

void pool_unpark(struct http_upstream *u)
{
	if (u->prev == NULL)
		return;
	*u->prev = u->next;
	if (u->next != NULL)
		u->next->prev = u->prev;
	u->prev = NULL;
}

void pool_left(struct pool *p)
{
	p->connections--;
	if (p->again.prev != NULL)
		wheel_set(&p->worker->wheel, &p->again, 0);
	free_if_empty(p);
}

/* ---- generations ---- */

void pools_adopt(struct worker *w, const uint32_t *named)
{
	for (unsigned i = 0; i < POOL_BUCKETS; i++) {
		for (struct pool *p = w->pools[i], *next; p != NULL; p = next) {
			next = p->next;
			p->gone = named == NULL || !named[p->cluster_slot] || (p->endpoint_slot != IMAGE_NONE && !named[p->endpoint_slot]);
			while (p->gone && p->idle != NULL)
				http_upstream_close(p->idle, false);
			free_if_empty(p);
		}
	}
}
