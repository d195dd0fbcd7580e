/* Dialling an endpoint: see upstream.h. */
#include "worker/upstream.h"

#include "common/match.h"
#include "worker/conn.h"
#include "worker/source.h"
#include "worker/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void count_cluster(struct conn *c, unsigned counter)
{
	live_add(&live_row(&c->worker->live, c->worker->index, c->cluster_slot)->counter[counter], 1);
}

/* A listener of ours at a local address is never dialled: it would come back for ever. */
static bool is_own_listener(struct worker *w, const struct addr *a)
{
	struct addr any = { .port = a->port, .family = a->family };

	if (a->family == AF_INET)
		any.ip[10] = any.ip[11] = 0xff;
	if (match_bound(image_in_use(w), a) == NULL && match_bound(image_in_use(w), &any) == NULL)
		return false;
	return live_address_is_ours(&w->live, a);
}

/* ---- choosing: a turn is an index of an endpoint; who weighs more has more turns ---- */

static uint32_t any_turn(struct conn *c, const struct image *image, const struct image_cluster *cluster)
{
	return *image_turn(image, cluster->first_turn + worker_random(c->worker, cluster->turn_count));
}

/* Connections open now, over all workers, for each unit of weight: a is the less loaded. */
static bool less_loaded(struct conn *c, const struct image *image, uint32_t a, uint32_t b)
{
	const struct image_endpoint *pa = image_endpoint(image, a), *pb = image_endpoint(image, b);
	uint64_t na = live_sum_gauge(&c->worker->live, image_slot(image, pa->name_index), ENDPOINT_G_cx_active);
	uint64_t nb = live_sum_gauge(&c->worker->live, image_slot(image, pb->name_index), ENDPOINT_G_cx_active);

	return (na + 1) * pb->weight <= (nb + 1) * pa->weight;
}

static uint32_t balance(struct conn *c, const struct image *image, const struct image_cluster *cluster)
{
	struct worker *w = c->worker;
	uint32_t a, b;

	switch (cluster->balancer) {
	case BALANCER_RANDOM:
		return any_turn(c, image, cluster);
	case BALANCER_LEAST_REQUEST:		/* the better of two drawn at random */
		a = any_turn(c, image, cluster);
		b = any_turn(c, image, cluster);
		return less_loaded(c, image, a, b) ? a : b;
	default:		/* each worker begins elsewhere, so that few connections do not all meet the first endpoint */
		return *image_turn(image, cluster->first_turn + (w->round_robin[c->cluster_slot]++ + w->index) % cluster->turn_count);
	}
}

/* From `index` on, the first endpoint that may see its client's address (source.h), if there is one. */
static uint32_t prefer_family(struct conn *c, const struct image *image, const struct image_cluster *cluster, uint32_t index)
{
	for (uint32_t n = 0; n < cluster->endpoint_count; n++) {
		uint32_t i = (index + n) % cluster->endpoint_count;

		if (image_endpoint(image, cluster->first_endpoint + i)->addr.family == c->client.family)
			return i;
	}
	return index;
}

/* The endpoint of this attempt, in c->endpoint.  False: the cluster has none. */
static bool choose(struct conn *c, const struct image *image, const struct image_cluster *cluster)
{
	const struct image_endpoint *endpoint;

	if (cluster->type == CLUSTER_ORIGINAL_DST) {
		c->endpoint = c->destination;
		return true;
	}
	if (cluster->endpoint_count == 0)
		return false;
	if (c->attempts == 0)
		c->first_endpoint = balance(c, image, cluster) - cluster->first_endpoint;
	if (c->attempts == 0 && source_may_be_the_client(c))
		c->first_endpoint = prefer_family(c, image, cluster, c->first_endpoint);
	endpoint = image_endpoint(image, cluster->first_endpoint + (c->first_endpoint + c->attempts) % cluster->endpoint_count);
	c->endpoint = endpoint->addr;
	c->endpoint_slot = image_slot(image, endpoint->name_index);
	return true;
}

/* ---- a socket towards it ---- */

static void set_keepalive(int fd, const struct image_cluster *cluster)
{
	const int one = 1, probes = (int)cluster->keepalive_probes, time = (int)cluster->keepalive_time_s,
	    interval = (int)cluster->keepalive_interval_s;

	if (!cluster->keepalive)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (probes != 0)
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	if (time != 0)
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &time, sizeof(time));
	if (interval != 0)
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
}

static void tell_no_port(struct conn *c)
{
	static struct log_limit limit;
	char to[ADDR_STRLEN];

	count_cluster(c, CLUSTER_C_cx_no_port);
	log_limited(&limit, c->worker->loop.now_ms, LOG_LEVEL_WARNING,
	    "no local port left towards %s: connections are shed (net.ipv4.ip_local_port_range)", addr_print(&c->endpoint, to));
}

static enum conn_end end_of_errno(struct conn *c)
{
	static struct log_limit limit;
	struct worker *w = c->worker;

	c->connect_error = errno;
	if (errno == EADDRNOTAVAIL || errno == EADDRINUSE)
		return END_NO_PORT;
	count(w, errno == EMFILE || errno == ENFILE ? WORKER_C_shed_descriptors : WORKER_C_shed_memory);
	log_limited(&limit, w->loop.now_ms, LOG_LEVEL_WARNING, "no socket towards an endpoint: %m: connections are shed");
	return END_NO_MEMORY;
}

static bool start(struct conn *c, const struct image_cluster *cluster)
{
	const int one = 1;
	int fd = socket(c->endpoint.family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	struct io_uring_sqe *sqe;
	struct sockaddr_storage ss;
	socklen_t len;

	if (fd == -1) {
		c->end = (uint8_t)end_of_errno(c);
		return false;
	}
	c->side[UPSTREAM].fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_keepalive(fd, cluster);
	if (source_set(c, cluster, fd) == -1) {
		c->end = (uint8_t)end_of_errno(c);
		return false;
	}
	len = addr_to_sockaddr(&c->endpoint, &ss);
	memcpy(&c->connect_to, &ss, len);
	sqe = conn_sqe(c, OP_CONNECT);
	io_uring_prep_connect(sqe, fd, &c->connect_to.sa, len);
	c->dialling = true;
	return true;
}

/* ---- an attempt, counted in the rows of cluster and endpoint ---- */

static void enter_endpoint(struct conn *c)
{
	struct live_row *row;

	c->in_endpoint = true;
	count_cluster(c, CLUSTER_C_cx_total);
	if (c->endpoint_slot == IMAGE_NONE)
		return;
	row = live_row(&c->worker->live, c->worker->index, c->endpoint_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	live_add(&row->gauge[ENDPOINT_G_cx_active], 1);
	live_add(&row->counter[ENDPOINT_C_cx_total], 1);
}

static bool ended_by_endpoint(const struct conn *c)
{
	if (c->end == END_DONE)
		return c->endpoint_first;
	return c->end == END_CONNECT || c->end == END_UPSTREAM_RESET;
}

void upstream_leave_endpoint(struct conn *c)
{
	struct live_row *row;

	if (!c->in_endpoint)
		return;
	c->in_endpoint = false;
	count_cluster(c, CLUSTER_C_cx_destroy);
	count_cluster(c, ended_by_endpoint(c) ? CLUSTER_C_cx_destroy_remote : CLUSTER_C_cx_destroy_local);
	if (c->endpoint_slot == IMAGE_NONE)
		return;
	row = live_row(&c->worker->live, c->worker->index, c->endpoint_slot);
	live_add(&row->gauge[ENDPOINT_G_cx_active], -1);
	live_add(&row->gauge[LIVE_USERS], -1);
}

void upstream_give_up(struct conn *c, enum conn_end why)
{
	c->end = (uint8_t)why;
	count_cluster(c, CLUSTER_C_cx_connect_fail);
	if (why == END_CONNECT_TIMEOUT)
		count_cluster(c, CLUSTER_C_cx_connect_timeout);
	if (why == END_NO_PORT)
		tell_no_port(c);
	if (c->endpoint_slot != IMAGE_NONE)
		live_add(&live_row(&c->worker->live, c->worker->index, c->endpoint_slot)->counter[ENDPOINT_C_cx_connect_fail], 1);
	upstream_leave_endpoint(c);
	if (c->side[UPSTREAM].fd != -1)
		close(c->side[UPSTREAM].fd);
	c->side[UPSTREAM].fd = -1;
}

bool upstream_dial(struct conn *c, const struct image *image, const struct image_cluster *cluster)
{
	while (c->attempts < c->max_attempts) {
		if (!choose(c, image, cluster)) {
			count_cluster(c, CLUSTER_C_cx_none_healthy);
			c->end = END_NO_ENDPOINT;
			return false;
		}
		c->attempts++;
		if (is_own_listener(c->worker, &c->endpoint)) {
			count_cluster(c, CLUSTER_C_cx_loop_refused);
			c->end = END_LOOP;
			continue;
		}
		enter_endpoint(c);
		if (start(c, cluster))
			return true;
		upstream_give_up(c, c->end);
		if (c->end != END_NO_PORT)
			return false;		/* no socket: another endpoint would fare no better */
	}
	count_cluster(c, CLUSTER_C_cx_attempts_exceeded);
	return false;
}
