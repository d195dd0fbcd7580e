/* Towards an endpoint: see upstream.h. */
#include "worker/upstream.h"

#include "common/match.h"
#include "worker/pool.h"
#include "worker/source.h"
#include "worker/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct live_row *row_of(struct worker *w, uint32_t slot)
{
	return live_row(&w->live, w->index, slot);
}

static void count_cluster(struct worker *w, const struct upstream *u, unsigned counter)
{
	live_add(&row_of(w, u->cluster_slot)->counter[counter], 1);
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

/* ---- the cluster ---- */

uint32_t upstream_choose_cluster(struct worker *w, const struct image *image, uint32_t first_target, uint32_t target_count)
{
	const struct image_target *target = image_target(image, first_target), *last = target + target_count - 1;
	uint32_t drawn = target == last ? 0 : worker_random(w, last->upto);

	while (target < last && drawn >= target->upto)
		target++;
	return target->cluster;
}

bool upstream_enter_cluster(struct worker *w, struct upstream *u, const struct image *image, const struct image_cluster *cluster)
{
	struct live_row *row;

	u->cluster_slot = image_slot(image, cluster->name_index);
	row = row_of(w, u->cluster_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	u->in_cluster = live_announce(&w->live, w->index, &row->gauge[CLUSTER_G_cx_active], cluster->max_connections);
	if (!u->in_cluster)
		live_add(&row->counter[CLUSTER_C_cx_overflow], 1);
	return u->in_cluster;
}

void upstream_leave_cluster(struct worker *w, struct upstream *u)
{
	struct live_row *row;

	if (u->cluster_slot == IMAGE_NONE)
		return;
	row = row_of(w, u->cluster_slot);
	if (u->in_cluster)
		live_add(&row->gauge[CLUSTER_G_cx_active], -1);
	live_add(&row->gauge[LIVE_USERS], -1);
	u->in_cluster = false;
	u->cluster_slot = IMAGE_NONE;
}

/* ---- choosing: a turn is an index of an endpoint; who weighs more has more turns ---- */

static uint32_t any_turn(struct worker *w, const struct image *image, const struct image_cluster *cluster)
{
	return *image_turn(image, cluster->first_turn + worker_random(w, cluster->turn_count));
}

/* Connections open now, over all workers, for each unit of weight: a is the less loaded. */
static bool less_loaded(struct worker *w, const struct image *image, uint32_t a, uint32_t b)
{
	const struct image_endpoint *pa = image_endpoint(image, a), *pb = image_endpoint(image, b);
	uint64_t na = live_sum_gauge(&w->live, image_slot(image, pa->name_index), ENDPOINT_G_cx_active);
	uint64_t nb = live_sum_gauge(&w->live, image_slot(image, pb->name_index), ENDPOINT_G_cx_active);

	return (na + 1) * pb->weight <= (nb + 1) * pa->weight;
}

static uint32_t balance(struct worker *w, const struct image *image, const struct image_cluster *cluster, uint32_t slot)
{
	uint32_t a, b;

	switch (cluster->balancer) {
	case BALANCER_RANDOM:
		return any_turn(w, image, cluster);
	case BALANCER_LEAST_REQUEST:		/* the better of two drawn at random */
		a = any_turn(w, image, cluster);
		b = any_turn(w, image, cluster);
		return less_loaded(w, image, a, b) ? a : b;
	default:		/* each worker begins elsewhere, so that few connections do not all meet the first endpoint */
		return *image_turn(image, cluster->first_turn + (w->round_robin[slot]++ + w->index) % cluster->turn_count);
	}
}

/* From `index` on, the first endpoint that may see its client's address (source.h), if there is one. */
static uint32_t prefer_family(const struct dial *d, uint32_t index)
{
	const struct image_cluster *cluster = d->cluster;

	for (uint32_t n = 0; n < cluster->endpoint_count; n++) {
		uint32_t i = (index + n) % cluster->endpoint_count;

		if (image_endpoint(d->image, cluster->first_endpoint + i)->addr.family == d->client.family)
			return i;
	}
	return index;
}

bool upstream_choose(struct dial *d, struct upstream *u)
{
	const struct image_cluster *cluster = d->cluster;
	const struct image_endpoint *endpoint;

	if (cluster->type == CLUSTER_ORIGINAL_DST) {
		u->endpoint = d->destination;
	} else if (cluster->endpoint_count == 0) {
		count_cluster(d->worker, u, CLUSTER_C_cx_none_healthy);
		return false;
	} else {
		if (d->attempts == 0)
			d->first_endpoint = balance(d->worker, d->image, cluster, u->cluster_slot) - cluster->first_endpoint;
		if (d->attempts == 0 && source_may_be_the_client(d))
			d->first_endpoint = prefer_family(d, d->first_endpoint);
		endpoint = image_endpoint(d->image,
		    cluster->first_endpoint + (d->first_endpoint + d->attempts) % cluster->endpoint_count);
		u->endpoint = endpoint->addr;
		u->endpoint_slot = image_slot(d->image, endpoint->name_index);
	}
	d->attempts++;
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

static void tell_no_port(struct worker *w, const struct upstream *u)
{
	static struct log_limit limit;
	char to[ADDR_STRLEN];

	count_cluster(w, u, CLUSTER_C_cx_no_port);
	log_limited(&limit, w->loop.now_ms, LOG_LEVEL_WARNING,
	    "no local port left towards %s: connections are shed (net.ipv4.ip_local_port_range)", addr_print(&u->endpoint, to));
}

static enum conn_end end_of_errno(struct dial *d)
{
	static struct log_limit limit;
	struct worker *w = d->worker;

	d->error = errno;
	if (errno == EADDRNOTAVAIL || errno == EADDRINUSE)
		return END_NO_PORT;
	if (errno == EMFILE || errno == ENFILE)
		pools_shed(w);		/* the next one fares better */
	count(w, d->error == EMFILE || d->error == ENFILE ? WORKER_C_shed_descriptors : WORKER_C_shed_memory);
	errno = d->error;
	log_limited(&limit, w->loop.now_ms, LOG_LEVEL_WARNING, "no socket towards an endpoint: %m: connections are shed");
	return END_NO_MEMORY;
}

static enum conn_end make_socket(struct dial *d, const struct upstream *u, int *fd_r)
{
	const int one = 1;
	int fd = socket(u->endpoint.family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	enum conn_end end;

	if (fd == -1)
		return end_of_errno(d);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_keepalive(fd, d->cluster);
	if (source_set(d, &u->endpoint, fd) == -1) {
		end = end_of_errno(d);
		close(fd);
		return end;
	}
	*fd_r = fd;
	return END_NONE;
}

void upstream_connect(struct loop *l, struct io_uring_sqe *sqe, int fd, const struct addr *endpoint)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(endpoint, &ss);

	io_uring_prep_connect(sqe, fd, loop_sockaddr(l, sqe, &ss, len), len);
}

/* ---- an attempt, counted in the rows of cluster and endpoint ---- */

static void enter_endpoint(struct worker *w, struct upstream *u)
{
	struct live_row *row;

	u->in_endpoint = true;
	count_cluster(w, u, CLUSTER_C_cx_total);
	if (u->endpoint_slot == IMAGE_NONE)
		return;
	row = row_of(w, u->endpoint_slot);
	live_add(&row->gauge[LIVE_USERS], 1);
	live_add(&row->gauge[ENDPOINT_G_cx_active], 1);
	live_add(&row->counter[ENDPOINT_C_cx_total], 1);
}

void upstream_leave(struct worker *w, struct upstream *u, bool by_endpoint)
{
	struct live_row *row;

	if (!u->in_endpoint)
		return;
	u->in_endpoint = false;
	count_cluster(w, u, CLUSTER_C_cx_destroy);
	count_cluster(w, u, by_endpoint ? CLUSTER_C_cx_destroy_remote : CLUSTER_C_cx_destroy_local);
	if (u->endpoint_slot == IMAGE_NONE)
		return;
	row = row_of(w, u->endpoint_slot);
	live_add(&row->gauge[ENDPOINT_G_cx_active], -1);
	live_add(&row->gauge[LIVE_USERS], -1);
}

void upstream_failed(struct worker *w, struct upstream *u, enum conn_end why)
{
	count_cluster(w, u, CLUSTER_C_cx_connect_fail);
	if (why == END_CONNECT_TIMEOUT)
		count_cluster(w, u, CLUSTER_C_cx_connect_timeout);
	if (why == END_NO_PORT)
		tell_no_port(w, u);
	if (u->endpoint_slot != IMAGE_NONE)
		live_add(&row_of(w, u->endpoint_slot)->counter[ENDPOINT_C_cx_connect_fail], 1);
	upstream_leave(w, u, why == END_CONNECT);
}

enum conn_end upstream_open(struct dial *d, struct upstream *u, int *fd_r)
{
	enum conn_end end;

	if (is_own_listener(d->worker, &u->endpoint)) {
		count_cluster(d->worker, u, CLUSTER_C_cx_loop_refused);
		return END_LOOP;
	}
	enter_endpoint(d->worker, u);
	if ((end = make_socket(d, u, fd_r)) != END_NONE)
		upstream_failed(d->worker, u, end);
	return end;
}
