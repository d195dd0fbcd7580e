/* A connection to an endpoint for HTTP/1: see http_upstream.h. */
#include "worker/http_upstream.h"

#include "worker/pool.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const struct transport_user user;
static void ran_out(struct timer *);

static const unsigned link_next[] = {
	[LINK_CONNECTING] = 1u << LINK_IDLE | 1u << LINK_BUSY | 1u << LINK_CLOSING,
	[LINK_IDLE] = 1u << LINK_BUSY | 1u << LINK_CLOSING,
	[LINK_BUSY] = 1u << LINK_IDLE | 1u << LINK_CLOSING,
	[LINK_CLOSING] = 0,
};

static void enter(struct http_upstream *u, enum http_upstream_state to)
{
	if (!(link_next[u->state] & 1u << to))
		abort();
	u->state = (uint8_t)to;
}

static struct http_upstream *link_of(struct transport *t)
{
	return (struct http_upstream *)(void *)t;
}

static void count_cluster(struct http_upstream *u, unsigned counter)
{
	struct worker *w = u->transport.worker;

	live_add(&live_row(&w->live, w->index, u->up.cluster_slot)->counter[counter], 1);
}

/* ---- connecting ---- */

static struct http_upstream *link_new(struct pool *p)
{
	struct http_upstream *u = block_take(&p->worker->links);

	if (u == NULL) {
		count(p->worker, WORKER_C_shed_memory);
		return NULL;
	}
	u->pool = p;
	u->deadline.fire = ran_out;
	return u;
}

static void begin(struct http_upstream *u, const struct image_cluster *cluster, int fd)
{
	struct worker *w = u->pool->worker;

	transport_init(&u->transport, w, &user, fd);
	u->left = cluster->max_requests_per_connection != 0 ? cluster->max_requests_per_connection : UINT32_MAX;
	u->keep_ms = cluster->idle_timeout_ms != 0 && cluster->idle_timeout_ms < UINT32_MAX ? (uint32_t)cluster->idle_timeout_ms : UINT32_MAX;
	u->end_ms = cluster->max_connection_duration_ms != 0 ? w->loop.now_ms + cluster->max_connection_duration_ms : UINT64_MAX;
	u->pool->connections++;
	count_cluster(u, CLUSTER_C_cx_http1_total);
}

struct http_upstream *http_upstream_dial(struct pool *p, struct dial *d, enum conn_end *why_r)
{
	struct worker *w = p->worker;
	struct http_upstream *u = link_new(p);
	int fd;

	*why_r = END_NO_MEMORY;
	if (u == NULL)
		return NULL;
	u->up = (struct upstream){ .endpoint = p->endpoint, .cluster_slot = IMAGE_NONE, .endpoint_slot = p->endpoint_slot };
	if (!upstream_enter_cluster(w, &u->up, d->image, d->cluster))
		*why_r = END_OVERFLOW;
	else
		*why_r = upstream_open(d, &u->up, &fd);
	if (*why_r != END_NONE) {
		upstream_leave_cluster(w, &u->up);
		block_give(&w->links, u);
		return NULL;
	}
	begin(u, d->cluster, fd);
	p->connecting++;
	wheel_set(&w->wheel, &u->deadline, w->loop.now_ms + d->cluster->connect_timeout_ms);
	transport_connect(&u->transport, &u->up.endpoint);
	return u;
}

int http_upstream_adopt(struct pool *p, const struct image_cluster *cluster, struct upstream *up, int fd)
{
	struct http_upstream *u = link_new(p);

	if (u == NULL)
		return -1;
	u->up = *up;
	*up = (struct upstream)UPSTREAM_NONE;
	begin(u, cluster, fd);
	transport_read(&u->transport, false);
	enter(u, LINK_IDLE);
	pool_park(u);
	return 0;
}

static void connected(struct transport *t, int error)
{
	struct http_upstream *u = link_of(t);
	enum conn_end why = u->timed_out ? END_CONNECT_TIMEOUT : error == EADDRNOTAVAIL ? END_NO_PORT : END_CONNECT;

	wheel_clear(&t->worker->wheel, &u->deadline);
	u->pool->connecting--;
	if (error == 0 && !u->timed_out) {
		transport_read(t, false);
		enter(u, LINK_IDLE);
		pool_park(u);
		return;
	}
	upstream_failed(t->worker, &u->up, why);
	enter(u, LINK_CLOSING);
	transport_close(t, false);
	pool_not_connected(u->pool, why, u->timed_out ? ETIMEDOUT : error);
}

/* ---- with a request, and without ---- */

void http_upstream_take(struct http_upstream *u, struct stream *s)
{
	if (u->state == LINK_IDLE)
		pool_unpark(u);
	enter(u, LINK_BUSY);
	u->stream = s;
	u->sent_before = u->sent;
	u->left--;
}

/* Given up a second before that, so that no request meets its end; or, of a second, half a second. */
void http_upstream_keep_alive(struct http_upstream *u, struct http_span field)
{
	static const char name[] = "timeout=";
	const uint32_t len = sizeof(name) - 1, most = UINT32_MAX / 1000 / 10;
	uint32_t at = 0, seconds = 0, ms;

	while (at + len < field.len && strncasecmp(field.at + at, name, len) != 0)
		at++;
	at += len;
	if (at >= field.len || field.at[at] < '0' || field.at[at] > '9')
		return;
	for (; at < field.len && field.at[at] >= '0' && field.at[at] <= '9' && seconds < most; at++)
		seconds = seconds * 10 + (uint32_t)(field.at[at] - '0');
	ms = seconds > 1 ? seconds * 1000 - 1000 : seconds * 500;
	if (ms < u->keep_ms)
		u->keep_ms = ms;
}

static bool may_be_kept(struct http_upstream *u)
{
	struct worker *w = u->transport.worker;

	if (u->left == 0)
		count_cluster(u, CLUSTER_C_cx_max_requests);
	else if (w->loop.now_ms >= u->end_ms)
		count_cluster(u, CLUSTER_C_cx_max_duration);
	else
		return !u->transport.eof && !u->pool->gone && !w->draining;
	return false;
}

void http_upstream_release(struct http_upstream *u, bool keep)
{
	u->stream = NULL;
	u->kept = true;
	if (!keep || !may_be_kept(u)) {
		http_upstream_close(u, false);
		return;
	}
	transport_read(&u->transport, false);
	enter(u, LINK_IDLE);
	pool_park(u);
}

const struct addr *http_upstream_local(struct http_upstream *u)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (u->local.family == 0 && getsockname(u->transport.fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&ss, len, &u->local);
	return &u->local;
}

bool http_upstream_was_deaf(const struct http_upstream *u, int error)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (u->sent == u->sent_before || error != 0)
		return u->sent == u->sent_before;
	memset(&info, 0, sizeof(info));
	if (getsockopt(u->transport.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	return info.tcpi_bytes_acked <= u->sent_before + 1;	/* the SYN is one */
}

bool http_upstream_has_ended(struct http_upstream *u)
{
	char byte;
	ssize_t n = recv(u->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
}

/* ---- what comes ---- */

static void data(struct transport *t, char *bytes, uint32_t len, int loan)
{
	struct http_upstream *u = link_of(t);

	if (u->state == LINK_BUSY) {
		stream_response_bytes(u->stream, bytes, len, loan);
		return;
	}
	if (loan != -1)
		buffer_return(&t->worker->buffers, (unsigned)loan);
	if (len == 0) {
		transport_read(t, false);
		return;
	}
	count_cluster(u, CLUSTER_C_cx_protocol_error);		/* an answer to nothing */
	http_upstream_close(u, true);
}

static void readable(struct transport *t)
{
	struct http_upstream *u = link_of(t);

	if (u->state == LINK_BUSY)
		stream_response_readable(u->stream);
	else if (http_upstream_has_ended(u))
		http_upstream_close(u, false);
}

static void writable(struct transport *t)
{
	struct http_upstream *u = link_of(t);

	if (u->state == LINK_BUSY)
		way_writable(&u->stream->way[REQUEST]);
}

static void ended(struct transport *t, int error)
{
	struct http_upstream *u = link_of(t);

	u->by_peer = true;
	if (u->state == LINK_IDLE || (u->state == LINK_BUSY && u->kept && u->stream->state == STREAM_ASKED))
		pool_learn(u);
	if (u->state == LINK_BUSY) {
		stream_upstream_ended(u->stream, error);
		return;
	}
	http_upstream_close(u, false);
}

static void reset(struct transport *t)
{
	ended(t, ECONNRESET);
}

/* ---- the end ---- */

static void ran_out(struct timer *timer)
{
	struct http_upstream *u = (struct http_upstream *)(void *)((char *)timer - offsetof(struct http_upstream, deadline));
	uint64_t now = u->transport.worker->loop.now_ms;

	if (u->state == LINK_CONNECTING) {
		u->timed_out = true;		/* connected() goes on when the kernel has given the operation back */
		loop_cancel_fd(&u->transport.worker->loop, u->transport.fd);
	} else if (u->state == LINK_IDLE && now >= u->end_ms) {
		count_cluster(u, CLUSTER_C_cx_max_duration);
		http_upstream_close(u, false);
	} else if (u->state == LINK_IDLE && now >= u->idle_ms + u->keep_ms) {
		count_cluster(u, CLUSTER_C_cx_idle_timeout);
		http_upstream_close(u, false);
	} else if (u->state == LINK_IDLE) {
		pool_park_deadline(u);
	}
}

void http_upstream_close(struct http_upstream *u, bool by_reset)
{
	if (u->state == LINK_CLOSING)
		return;
	if (u->state == LINK_CONNECTING)
		u->pool->connecting--;
	if (u->state == LINK_IDLE)
		pool_unpark(u);
	if (u->state == LINK_BUSY && u->stream != NULL)
		count_cluster(u, CLUSTER_C_cx_destroy_active_rq);
	enter(u, LINK_CLOSING);
	u->stream = NULL;
	wheel_clear(&u->transport.worker->wheel, &u->deadline);
	transport_close(&u->transport, by_reset);
}

static void gone(struct transport *t)
{
	struct http_upstream *u = link_of(t);
	struct pool *p = u->pool;

	transport_end(t);
	wheel_clear(&t->worker->wheel, &u->deadline);
	upstream_leave(t->worker, &u->up, u->by_peer);
	upstream_leave_cluster(t->worker, &u->up);
	block_give(&p->worker->links, u);
	pool_left(p);		/* not before: the place in the limit may be waited for */
}

static const struct transport_user user = { data, ended, connected, readable, writable, reset, gone };
