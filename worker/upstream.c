/* Dialling an endpoint: see upstream.h. */
#include "worker/upstream.h"

#include "common/match.h"
#include "worker/conn.h"
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
	if (match_bound(&w->image, a) == NULL && match_bound(&w->image, &any) == NULL)
		return false;
	return live_address_is_ours(&w->live, a);
}

static const struct image_endpoint *choose(struct conn *c, const struct image *image, const struct image_cluster *cluster)
{
	uint32_t n = c->worker->round_robin[c->cluster_slot]++;

	if (cluster->endpoint_count == 0)
		return NULL;
	return image_endpoint(image, cluster->first_endpoint + n % cluster->endpoint_count);
}

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

/*
 * What goes on to the application beside us has a source that the rules never capture again: 127.0.0.6, or ::1 (IPv6 has
 * no second loopback address, and an application that goes to another address of this host gets that one as its source).
 * Without it, what goes to one of our own addresses would come back to the inbound side for ever; what goes to
 * 127.0.0.1 or ::1 never does, and keeps the source that applications expect there.
 */
static bool goes_beside_us(struct worker *w, const struct image_cluster *cluster, const struct addr *to)
{
	struct addr loopback;

	if (cluster->direction != DIRECTION_INBOUND)
		return false;
	addr_parse_ip(to->family == AF_INET ? "127.0.0.1" : "::1", &loopback);
	return cluster->type == CLUSTER_ORIGINAL_DST || (live_address_is_ours(&w->live, to) && !addr_same_ip(to, &loopback));
}

static int bind_inbound_source(int fd, const struct addr *to)
{
	struct sockaddr_storage ss;
	struct addr from;
	const int one = 1;

	addr_parse_ip(to->family == AF_INET ? "127.0.0.6" : "::1", &from);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&from, &ss));
}

void upstream_no_port(struct conn *c)
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
	if (errno == EADDRNOTAVAIL || errno == EADDRINUSE) {
		upstream_no_port(c);
		return END_NO_PORT;
	}
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
	if (goes_beside_us(c->worker, cluster, &c->endpoint) && bind_inbound_source(fd, &c->endpoint) == -1) {
		c->end = (uint8_t)end_of_errno(c);
		return false;
	}
	len = addr_to_sockaddr(&c->endpoint, &ss);
	memcpy(&c->connect_to, &ss, len);
	sqe = conn_sqe(c, OP_CONNECT);
	io_uring_prep_connect(sqe, fd, &c->connect_to.sa, len);
	return true;
}

bool upstream_dial(struct conn *c, const struct image *image, const struct image_cluster *cluster)
{
	const struct image_endpoint *endpoint;
	struct live_row *row;

	if (cluster->type == CLUSTER_ORIGINAL_DST) {
		c->endpoint = c->destination;
	} else if ((endpoint = choose(c, image, cluster)) != NULL) {
		c->endpoint = endpoint->addr;
		c->endpoint_slot = image_slot(image, endpoint->name_index);
	} else {
		count_cluster(c, CLUSTER_C_cx_none_healthy);
		c->end = END_NO_ENDPOINT;
		return false;
	}
	if (is_own_listener(c->worker, &c->endpoint)) {
		count_cluster(c, CLUSTER_C_cx_loop_refused);
		c->end = END_LOOP;
		return false;
	}
	c->dialled = true;
	row = live_row(&c->worker->live, c->worker->index, c->cluster_slot);
	live_add(&row->counter[CLUSTER_C_cx_total], 1);
	live_add(&row->gauge[CLUSTER_G_cx_active], 1);
	if (c->endpoint_slot != IMAGE_NONE) {
		row = live_row(&c->worker->live, c->worker->index, c->endpoint_slot);
		live_add(&row->gauge[LIVE_USERS], 1);
		live_add(&row->counter[ENDPOINT_C_cx_total], 1);
		live_add(&row->gauge[ENDPOINT_G_cx_active], 1);
	}
	return start(c, cluster);
}
