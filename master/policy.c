/* Policy routing and source addresses: see policy.h. */
#include "master/policy.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_SOURCE 6			/* 127.0.0.6, ::6: Istio's */

static const int families[POLICY_FAMILIES] = { AF_INET, AF_INET6 };

const char *policy_source(int family, unsigned index, char to[ADDR_STRLEN])
{
	if (family == AF_INET)
		snprintf(to, ADDR_STRLEN, "127.0.0.%u/32", FIRST_SOURCE + index);
	else
		snprintf(to, ADDR_STRLEN, "::%x/128", FIRST_SOURCE + index);
	return to;
}

/* ---- requests ---- */

struct request {
	struct nlmsghdr head;
	union {
		struct fib_rule_hdr rule;
		struct rtmsg route;
		struct ifaddrmsg address;
		char room[256];
	};
};

static void begin(struct request *q, uint16_t type, size_t size)
{
	memset(q, 0, sizeof(*q));
	q->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	q->head.nlmsg_type = type;
	q->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (type == RTM_NEWRULE || type == RTM_NEWROUTE || type == RTM_NEWADDR)
		q->head.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
}

static void attribute(struct request *q, unsigned short type, const void *value, size_t size)
{
	struct rtattr *a = (void *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(a), value, size);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_LENGTH(size));
}

static void attribute32(struct request *q, unsigned short type, uint32_t value)
{
	attribute(q, type, &value, sizeof(value));
}

/* The kernel answers before send(2) returns.  -1: errno is its answer. */
static int carry_out(const struct request *q)
{
	union {
		struct nlmsghdr head;
		char room[1024];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), r = -1;
	const struct nlmsgerr *said = NLMSG_DATA(&answer.head);

	if (fd == -1)
		return -1;
	if (send(fd, q, q->head.nlmsg_len, 0) != -1 && recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)NLMSG_LENGTH(sizeof(*said))) {
		errno = -said->error;
		r = answer.head.nlmsg_type == NLMSG_ERROR && said->error == 0 ? 0 : -1;
	}
	close(fd);
	return r;
}

/* ---- what is asked for ---- */

/* ip rule add pref 100 fwmark MARK lookup TABLE; without a number of its own it would be added as often as one asks */
static int ask_rule(uint16_t type, int family, const struct policy *p)
{
	struct request q;

	begin(&q, type, sizeof(q.rule));
	q.rule.family = (uint8_t)family;
	q.rule.action = FR_ACT_TO_TBL;
	attribute32(&q, FRA_TABLE, p->table);
	attribute32(&q, FRA_FWMARK, p->mark);
	attribute32(&q, FRA_PRIORITY, POLICY_PREFERENCE);
	return carry_out(&q);
}

/* ip route add local default dev lo table TABLE */
static int ask_route(uint16_t type, int family, const struct policy *p)
{
	struct request q;

	begin(&q, type, sizeof(q.route));
	q.route.rtm_family = (uint8_t)family;
	q.route.rtm_type = RTN_LOCAL;
	q.route.rtm_scope = RT_SCOPE_HOST;
	q.route.rtm_protocol = RTPROT_BOOT;
	attribute32(&q, RTA_TABLE, p->table);
	attribute32(&q, RTA_OIF, if_nametoindex("lo"));
	return carry_out(&q);
}

/* ip addr add ::6/128 dev lo preferred_lft 0: nobody gets it as a source who has not asked for it */
static int ask_address(uint16_t type, unsigned index)
{
	const struct ifa_cacheinfo lifetime = { .ifa_prefered = 0, .ifa_valid = UINT32_MAX };
	struct in6_addr ip = { .s6_addr = { [15] = (uint8_t)(FIRST_SOURCE + index) } };
	struct request q;

	begin(&q, type, sizeof(q.address));
	q.address.ifa_family = AF_INET6;
	q.address.ifa_prefixlen = 128;
	q.address.ifa_scope = RT_SCOPE_HOST;
	q.address.ifa_flags = IFA_F_NODAD;
	q.address.ifa_index = if_nametoindex("lo");
	attribute(&q, IFA_LOCAL, &ip, sizeof(ip));
	if (type == RTM_NEWADDR)
		attribute(&q, IFA_CACHEINFO, &lifetime, sizeof(lifetime));
	return carry_out(&q);
}

/* ---- adding ---- */

static int add_routing(struct policy *p, unsigned f, struct err *e)
{
	char opt[8];

	snprintf(opt, sizeof(opt), "%s", families[f] == AF_INET6 ? "-6 " : "");
	if (ask_route(RTM_NEWROUTE, families[f], p) == 0)
		p->route[f] = true;
	else if (errno != EEXIST)
		return err_set(e, "TPROXY needs policy routing (\"ip %sroute add local default dev lo table %u\"): %m", opt, p->table);
	if (ask_rule(RTM_NEWRULE, families[f], p) == 0)
		p->rule[f] = true;
	else if (errno != EEXIST)
		return err_set(e, "TPROXY needs policy routing (\"ip %srule add pref %d fwmark %u lookup %u\"): %m", opt, POLICY_PREFERENCE, p->mark, p->table);
	return 0;
}

static int add_sources(struct policy *p, unsigned sources, struct err *e)
{
	char address[ADDR_STRLEN];

	for (unsigned i = 0; i < sources; i++) {
		if (ask_address(RTM_NEWADDR, i) == 0)
			p->addresses |= 1u << i;
		else if (errno != EEXIST)
			return err_set(e, "%s cannot be added to lo: %m", policy_source(AF_INET6, i, address));
	}
	return 0;
}

int policy_add(struct policy *p, unsigned sources, bool ipv6, struct err *e)
{
	if (ipv6 && add_sources(p, sources, e) == -1)
		return -1;
	for (unsigned f = 0; p->table != 0 && f < (ipv6 ? POLICY_FAMILIES : POLICY_IPV6); f++) {
		if (add_routing(p, f, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- removing ---- */

static bool is_gone(int result)
{
	return result == 0 || errno == ENOENT || errno == ESRCH || errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
}

int policy_remove(struct policy *p, struct err *e)
{
	int r = 0;

	for (unsigned f = 0; f < POLICY_FAMILIES; f++) {
		const char *opt = families[f] == AF_INET6 ? "-6 " : "";

		if (p->rule[f] && !is_gone(ask_rule(RTM_DELRULE, families[f], p)))
			r = err_set(e, "ip %srule del pref %d fwmark %u lookup %u: %m", opt, POLICY_PREFERENCE, p->mark, p->table);
		else
			p->rule[f] = false;
		if (p->route[f] && !is_gone(ask_route(RTM_DELROUTE, families[f], p)))
			r = err_set(e, "ip %sroute del local default dev lo table %u: %m", opt, p->table);
		else
			p->route[f] = false;
	}
	for (unsigned i = 0; i < 32; i++) {
		char address[ADDR_STRLEN];

		if (p->addresses & 1u << i && !is_gone(ask_address(RTM_DELADDR, i)))
			r = err_set(e, "ip -6 addr del %s dev lo: %m", policy_source(AF_INET6, i, address));
		else
			p->addresses &= ~(1u << i);
	}
	return r;
}
