/* The source of a connection to an endpoint: see source.h. */
#include "worker/source.h"

#include "worker/kin.h"
#include "worker/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define FIRST_SOURCE 6		/* 127.0.0.6, ::6 */

static bool is_beside_us(const struct dial *d, const struct addr *endpoint)
{
	const struct live *live = &d->worker->live;

	return live_address_is_ours(live, endpoint) ||
	    (d->cluster->type == CLUSTER_ORIGINAL_DST && !live_knows_all_addresses(live));
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

bool source_may_be_the_client(const struct dial *d)
{
	return d->inbound && image_settings(d->image)->intercept.mode == INTERCEPT_TPROXY && !is_link_local(&d->client);
}

static bool is_the_client(const struct dial *d, const struct addr *endpoint)
{
	return source_may_be_the_client(d) && d->client.family == endpoint->family && is_beside_us(d, endpoint);
}

struct source source_of(const struct dial *d, const struct addr *endpoint)
{
	struct source s = { .inbound = d->inbound };

	if (is_the_client(d, endpoint))
		s.client = d->client;
	s.client.port = 0;	/* not its own: where it went is often where we go, and both would be one connection */
	return s;
}

static int bind_as_the_client(const struct addr *client, const struct image_intercept *i, int fd)
{
	const int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &i->tproxy_mark, sizeof(i->tproxy_mark)) == -1 ||
	    setsockopt(fd, client->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
	    client->family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof(one)) == -1)
		return -1;
	return bind_to(fd, client);
}

int source_set(const struct dial *d, const struct addr *endpoint, int fd)
{
	const struct image_intercept *i = &image_settings(d->image)->intercept;
	struct source s = source_of(d, endpoint);

	if (!d->inbound)
		return 0;
	kin_mark_inbound(fd);
	if (s.client.family != 0)
		return bind_as_the_client(&s.client, i, fd);
	if (i->mode == INTERCEPT_NONE || !is_beside_us(d, endpoint) || (i->inbound_sources == 1 && is_loopback_itself(endpoint)))
		return 0;
	return bind_in_turn(d->worker, i, endpoint->family, fd);
}
