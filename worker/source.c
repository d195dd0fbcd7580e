/* The source of a connection to an endpoint: see source.h. */
#include "worker/source.h"

#include "worker/kin.h"
#include "worker/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define FIRST_SOURCE 6		/* 127.0.0.6, ::6 */

static bool is_beside_us(struct conn *c, const struct image_cluster *cluster)
{
	const struct live *live = &c->worker->live;

	return live_address_is_ours(live, &c->endpoint) ||
	    (cluster->type == CLUSTER_ORIGINAL_DST && !live_knows_all_addresses(live));
}

static bool is_loopback_itself(const struct addr *a)
{
	struct addr loopback;

	addr_parse_ip(a->family == AF_INET ? "127.0.0.1" : "::1", &loopback);
	return addr_same_ip(a, &loopback);
}

static int bind_to(int fd, const struct addr *from)
{
	struct sockaddr_storage ss;

	return bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(from, &ss));
}

/* ---- 127.0.0.6 and those after it ---- */

static int bind_in_turn(struct worker *w, const struct image_intercept *i, int family, int fd)
{
	struct addr from;

	addr_parse_ip(family == AF_INET ? "127.0.0.0" : "::", &from);
	from.ip[15] = (uint8_t)(FIRST_SOURCE + w->source_turn++ % i->inbound_sources);
	if (bind_to(fd, &from) == 0)
		return 0;
	/* ::6 is there with the rules; without them nothing captures what goes on without it. */
	return family == AF_INET6 && errno == EADDRNOTAVAIL ? 0 : -1;
}

/* ---- the client's own ---- */

static bool is_link_local(const struct addr *a)
{
	return a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool source_may_be_the_client(const struct conn *c)
{
	return c->inbound && image_settings(&c->opening->image)->intercept.mode == INTERCEPT_TPROXY && !is_link_local(&c->client);
}

static int bind_as_the_client(struct conn *c, const struct image_intercept *i, int fd)
{
	struct addr from = c->client;
	const int one = 1;

	from.port = 0;		/* not its own: where it went is often where we go, and both would be one connection */
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &i->tproxy_mark, sizeof(i->tproxy_mark)) == -1 ||
	    setsockopt(fd, from.family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
	    from.family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof(one)) == -1)
		return -1;
	return bind_to(fd, &from);
}

int source_set(struct conn *c, const struct image_cluster *cluster, int fd)
{
	const struct image_intercept *i = &image_settings(&c->opening->image)->intercept;

	if (!c->inbound)
		return 0;
	kin_mark_inbound(fd);
	if (i->mode == INTERCEPT_NONE || !is_beside_us(c, cluster))
		return 0;
	if (source_may_be_the_client(c) && c->client.family == c->endpoint.family)
		return bind_as_the_client(c, i, fd);
	if (i->inbound_sources == 1 && is_loopback_itself(&c->endpoint))
		return 0;
	return bind_in_turn(c->worker, i, c->endpoint.family, fd);
}
