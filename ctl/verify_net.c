/* A namespace for the other end of the probes: see verify.h. */
#include "ctl/run.h"
#include "ctl/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define READY_TRIES 150
#define SUBNET_BITS 29		/* one address for each end, one that nobody has */

static int enter(int ns)
{
	return setns(ns, CLONE_NEWNET);
}

/* What would happen next would happen in the wrong network. */
static void come_back(const struct net *n)
{
	if (enter(n->here) == -1)
		abort();
}

int net_open(struct net *n, struct err *e)
{
	*n = (struct net){ .there = -1, .here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) };
	if (n->here == -1 || unshare(CLONE_NEWNET) == -1) {
		err_set(e, "a network namespace: %m");
		net_close(n);
		return -1;
	}
	n->there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	come_back(n);
	if (n->there != -1)
		return 0;
	err_set(e, "/proc/self/ns/net: %m");
	net_close(n);
	return -1;
}

int net_socket(const struct net *n, bool there, int family)
{
	int fd, code;

	if (there && enter(n->there) == -1)
		return -1;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	code = errno;
	if (there)
		come_back(n);
	errno = code;
	return fd;
}

/* ---- addresses ---- */

static bool is_taken_by_route(const struct prefix *p)
{
	FILE *f = fopen("/proc/net/route", "re");
	unsigned long to, mask;
	bool taken = false;
	char line[256];
	uint32_t base;

	if (f == NULL)
		return false;
	memcpy(&base, p->ip + 12, sizeof(base));
	while (!taken && fgets(line, sizeof(line), f) != NULL) {
		/* Iface Destination Gateway Flags RefCnt Use Metric Mask; in the network's order, as one number */
		if (sscanf(line, "%*s %lx %*s %*s %*s %*s %*s %lx", &to, &mask) != 2 || (mask & htonl(0xfffe0000)) != htonl(0xfffe0000))
			continue;
		taken = (base & (uint32_t)mask) == ((uint32_t)to & (uint32_t)mask) ||
		    ((uint32_t)to & htonl(~0u << (32 - SUBNET_BITS))) == base;
	}
	fclose(f);
	return taken;
}

static bool is_taken_by_address(const struct prefix *p)
{
	struct ifaddrs *all, *i;
	bool taken = false;
	struct addr a;

	if (getifaddrs(&all) == -1)
		return false;
	for (i = all; i != NULL && !taken; i = i->ifa_next) {
		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET)
			taken = addr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in), &a) == 0 && prefix_covers(p, &a);
	}
	freeifaddrs(all);
	return taken;
}

static void number(struct addr *a, const struct prefix *p, uint8_t last)
{
	*a = (struct addr){ .family = p->family };
	memcpy(a->ip, p->ip, sizeof(a->ip));
	a->ip[15] = (uint8_t)(a->ip[15] + last);
}

static void number_ends(struct net_link *l, unsigned i, const struct prefix *p)
{
	number(&l->here[i], p, 1);
	number(&l->there[i], p, 2);
	number(&l->nobody[i], p, 3);
}

/* Out of 198.18.0.0/15, which is for measuring networks; from a place that differs from run to run. */
static int choose_v4(struct net_link *l, struct err *e)
{
	uint32_t start = 0, most = 1u << (SUBNET_BITS - 15);

	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		return err_set(e, "getrandom: %m");
	for (uint32_t i = 0; i < most; i++) {
		uint32_t base = htonl(0xc6120000u + ((start + i) % most << (32 - SUBNET_BITS)));
		struct prefix p = { .bits = 96 + SUBNET_BITS, .family = AF_INET, .ip = { [10] = 0xff, [11] = 0xff } };

		memcpy(p.ip + 12, &base, sizeof(base));
		if (is_taken_by_address(&p) || is_taken_by_route(&p))
			continue;
		number_ends(l, 0, &p);
		return 0;
	}
	return err_set(e, "no addresses of 198.18.0.0/15 are left: routes or interfaces have them");
}

/* A unique local prefix: 40 random bits. */
static void choose_v6(struct net_link *l)
{
	struct prefix p = { .bits = 126, .family = AF_INET6, .ip = { 0xfd } };

	if (getrandom(p.ip + 1, 5, 0) == 5)
		number_ends(l, 1, &p);
}

static bool has_v6(void)
{
	static const char *const switches[] = {
		"/proc/sys/net/ipv6/conf/all/disable_ipv6", "/proc/sys/net/ipv6/conf/default/disable_ipv6",
	};

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		FILE *f = fopen(switches[i], "re");
		int c = f != NULL ? fgetc(f) : EOF;

		if (f != NULL)
			fclose(f);
		if (c != '0')
			return false;
	}
	return true;
}

/* ---- links ---- */

static int run_ip(const struct net *n, bool there, const char *commands, struct err *e)
{
	static const char *const argv[] = { "ip", "-batch", "-", NULL };
	const struct run r = { .argv = argv, .input = commands, .netns = there ? n->there : -1 };

	if (run_program(&r, NULL, e) == 0)
		return 0;
	return errno == ENOENT ? err_set(e, "ip(8) is not installed (apt-get install iproute2)") : -1;
}

static const char *print_v6(const struct addr *a, const char *dev, char to[128])
{
	char ip[ADDR_STRLEN];

	to[0] = '\0';
	if (a->family != 0)
		snprintf(to, 128, "addr add %s/126 dev %s nodad\n", addr_print_ip(a, ip), dev);
	return to;
}

static int make_pair(const struct net *n, const struct net_link *l, struct err *e)
{
	char text[256], end[64];

	snprintf(text, sizeof(text), "link add %s type veth peer name %s netns /proc/%d/fd/%d\nlink set %s up\n", l->name, l->name,
	    (int)getpid(), n->there, l->name);
	snprintf(end, sizeof(end), "link set lo up\nlink set %s up\n", l->name);
	return run_ip(n, false, text, e) == -1 || run_ip(n, true, end, e) == -1 ? -1 : 0;
}

static int add_addresses(const struct net *n, const struct net_link *l, struct err *e)
{
	char here[256], there[512], end[2][ADDR_STRLEN], nobody[ADDR_STRLEN], v6[128];
	int used;

	addr_print_ip(&l->here[0], end[0]);
	addr_print_ip(&l->there[0], end[1]);
	snprintf(here, sizeof(here), "addr add %s/%d dev %s\n%s", end[0], SUBNET_BITS, l->name, print_v6(&l->here[1], l->name, v6));
	used = snprintf(there, sizeof(there), "addr add %s/%d dev %s\n%sroute add %s/32 via %s\n", end[1], SUBNET_BITS, l->name,
	    print_v6(&l->there[1], l->name, v6), addr_print_ip(&l->nobody[0], nobody), end[0]);
	if (l->here[1].family != 0)
		snprintf(there + used, sizeof(there) - (size_t)used, "route add %s/128 via %s\n", addr_print_ip(&l->nobody[1], nobody),
		    addr_print_ip(&l->here[1], end[0]));
	return run_ip(n, false, here, e) == -1 || run_ip(n, true, there, e) == -1 ? -1 : 0;
}

/* The kernel takes its time until a new link carries: before, an address of it is not quite this host's own. */
static bool is_own(const struct net *n, bool there, const struct addr *a)
{
	char ip[ADDR_STRLEN], *text = NULL;
	const char *const argv[] = { "ip", "route", "get", addr_print_ip(a, ip), NULL };
	const struct run r = { .argv = argv, .netns = there ? n->there : -1 };
	struct err e;
	bool own = run_program(&r, &text, &e) == 0 && strncmp(text, "local ", 6) == 0 && strstr(text, " dev lo ") != NULL;

	free(text);
	return own;
}

static bool is_ready(const struct net *n, const struct net_link *l)
{
	for (unsigned f = 0; f < 2; f++) {
		if (l->here[f].family != 0 && !(is_own(n, false, &l->here[f]) && is_own(n, true, &l->there[f])))
			return false;
	}
	return true;
}

static int set_up(const struct net *n, const struct net_link *l, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	if (make_pair(n, l, e) == -1 || add_addresses(n, l, e) == -1)
		return -1;
	for (unsigned i = 0; i < READY_TRIES; i++) {
		if (is_ready(n, l))
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(e, "%s: the link does not come up", l->name);
}

static void remove_link(const struct net *n, const struct net_link *l)
{
	char command[64];
	struct err e;

	snprintf(command, sizeof(command), "link del %s\n", l->name);
	run_ip(n, false, command, &e);
}

int net_add_link(struct net *n, const char *name, struct err *e)
{
	struct net_link *l = &n->links[n->nlinks];

	memset(l, 0, sizeof(*l));
	if (n->nlinks == NET_LINKS_MAX)
		return err_set(e, "too many links");
	if (strlen(name) >= sizeof(l->name) || if_nametoindex(name) != 0)
		return err_set(e, "%s: no interface can be called so", name);
	strcpy(l->name, name);
	if (choose_v4(l, e) == -1)
		return -1;
	if (has_v6())
		choose_v6(l);
	n->nlinks++;
	if (set_up(n, l, e) == 0)
		return 0;
	remove_link(n, l);
	n->nlinks--;
	return -1;
}

int net_add_address(struct net *n, const struct addr *a, bool to_all, struct err *e)
{
	const struct net_link *l = &n->links[0];
	char there[256], here[256], ip[ADDR_STRLEN], from[ADDR_STRLEN];
	int bits = a->family == AF_INET ? 32 : 128;

	addr_print_ip(a, ip);
	snprintf(there, sizeof(there), "addr add %s/%d dev %s%s\n", ip, bits, l->name, bits == 128 ? " nodad" : "");
	if (run_ip(n, true, there, e) == -1)
		return -1;
	if (to_all)
		snprintf(here, sizeof(here), "route add %s/%d dev %s\n", ip, bits, l->name);
	else if (bits == 128)
		snprintf(here, sizeof(here), "route add %s/%d from %s/128 dev %s\n", ip, bits, addr_print_ip(&l->here[1], from), l->name);
	else
		return 0;
	return run_ip(n, false, here, e);
}

/* By name, so that they are gone when we have ended; the kernel would take its time. */
void net_close(struct net *n)
{
	for (; n->nlinks > 0; n->nlinks--)
		remove_link(n, &n->links[n->nlinks - 1]);
	if (n->there != -1)
		close(n->there);
	if (n->here != -1)
		close(n->here);
	n->there = n->here = -1;
}
