/* Own addresses: see addresses.h. */
#include "master/addresses.h"

#include "common/live.h"
#include "common/log.h"
#include "master/master.h"
#include "master/publish.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOTICES_PER_TURN 64

struct addresses {
	struct master *m;
	struct source notices;
};

struct list {
	struct addr addrs[LIVE_ADDRESSES];
	unsigned n;
	bool full;
};

static bool has(const struct list *l, const struct addr *a)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (addr_same_ip(&l->addrs[i], a))
			return true;
	}
	return false;
}

static void add(struct list *l, const struct addr *a)
{
	if (addr_is_loopback(a) || addr_is_any(a) || has(l, a))
		return;
	if (l->n == LIVE_ADDRESSES) {
		l->full = true;
		return;
	}
	l->addrs[l->n] = *a;
	l->addrs[l->n++].port = 0;
}

/* getifaddrs(3) is an RTM_GETADDR dump; the kernel alone answers it. */
static int collect_interfaces(struct list *l)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) == -1)
		return -1;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct addr a;
		socklen_t len;

		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		len = i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
		if (addr_from_sockaddr(i->ifa_addr, len, &a) == 0)
			add(l, &a);
	}
	freeifaddrs(all);
	return 0;
}

static void collect_configured(struct list *l, const struct image *i)
{
	const struct image_settings *s = image_settings(i);

	for (uint32_t k = 0; k < s->address_count; k++)
		add(l, image_address(i, s->first_address + k));
}

/* Readers do not lock: what stays keeps its place, so that an address that this host has is found throughout; what
 * is gone is overwritten by the last one, and the count falls after that. */
static void store(struct live_head *h, const struct list *l)
{
	uint64_t n = live_get(&h->address_count);
	struct list kept = { .n = 0 };

	for (uint64_t i = 0; i < n; ) {
		if (has(l, &h->addresses[i])) {
			kept.addrs[kept.n++] = h->addresses[i++];
			continue;
		}
		h->addresses[i] = h->addresses[--n];
		atomic_store_explicit(&h->address_count, n, memory_order_release);
	}
	for (unsigned i = 0; i < l->n; i++) {
		if (has(&kept, &l->addrs[i]))
			continue;
		h->addresses[n++] = l->addrs[i];
		atomic_store_explicit(&h->address_count, n, memory_order_release);
	}
}

void addresses_refresh(struct addresses *a)
{
	static struct log_limit limit;
	const struct image *i = generation_image(a->m->generations);
	struct list l = { .n = 0 };

	if (i != NULL)
		collect_configured(&l, i);
	if (collect_interfaces(&l) == -1) {
		log_limited(&limit, a->m->loop.now_ms, LOG_LEVEL_WARNING, "own addresses: %m");
		return;
	}
	if (l.full)
		log_limited(&limit, a->m->loop.now_ms, LOG_LEVEL_WARNING, "this host has more than %u addresses: the check that "
		    "no listener of ours is dialled does not know them all", LIVE_ADDRESSES);
	store(a->m->live.head, &l);
}

static void noticed(void *arg, short revents)
{
	struct addresses *a = arg;
	char buf[8192];

	(void)revents;
	/* What they say is read again as a whole; a lost one (ENOBUFS) costs nothing that way. */
	for (int n = 0; n < NOTICES_PER_TURN; n++) {
		if (recv(a->notices.fd, buf, sizeof(buf), MSG_DONTWAIT) == -1 && errno != ENOBUFS && errno != EINTR)
			break;
	}
	addresses_refresh(a);
}

struct addresses *addresses_open(struct master *m, struct err *e)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	struct addresses *a = calloc(1, sizeof(*a));
	int fd;

	if (a == NULL) {
		err_set(e, "own addresses: out of memory");
		return NULL;
	}
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd == -1 || bind(fd, (struct sockaddr *)&nl, sizeof(nl)) == -1) {
		err_set(e, "own addresses: rtnetlink: %m");
		if (fd != -1)
			close(fd);
		free(a);
		return NULL;
	}
	a->m = m;
	a->notices = (struct source){ .fd = fd, .events = POLLIN, .ready = noticed, .arg = a };
	loop_add(&m->loop, &a->notices);
	return a;
}
