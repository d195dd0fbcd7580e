/* Policy routing and source addresses: see policy.h. */
#include "master/policy.h"

#include <errno.h>
#include <fcntl.h>
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
#define PREFERENCE   100
#define PREFERENCE_WORDS "pref 100 "	/* ahead of what others may have; whom it does not concern passes it by */

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

/* Without a number of its own it would be added as often as one asks. */
static void begin_rule(struct request *q, uint16_t type, int family, const struct policy *p)
{
	begin(q, type, sizeof(q->rule));
	q->rule.family = (uint8_t)family;
	q->rule.action = FR_ACT_TO_TBL;
	attribute32(q, FRA_TABLE, p->table);
	attribute32(q, FRA_PRIORITY, PREFERENCE);
}

static int ask_mark(uint16_t type, int family, const struct policy *p)
{
	struct request q;

	begin_rule(&q, type, family, p);
	attribute32(&q, FRA_FWMARK, p->mark);
	return carry_out(&q);
}

/*
 * Where the application answers from 127.0.0.1 to its client's address, the kernel looks for a way before any rule of
 * iptables could mark the answer, and refuses one that leaves the host.
 */
static int ask_loopback(uint16_t type, int family, const struct policy *p)
{
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK & IN_CLASSA_NET) };
	const uint8_t tcp = IPPROTO_TCP;
	struct request q;

	begin_rule(&q, type, family, p);
	q.rule.src_len = 8;
	attribute(&q, FRA_SRC, &loopback, sizeof(loopback));
	attribute(&q, FRA_IP_PROTO, &tcp, sizeof(tcp));
	return carry_out(&q);
}

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

/* By the bits of struct policy, which the state file keeps: routes ahead of the rules that lead to them. */
static const struct {
	int family;
	uint16_t add, remove;
	int (*ask)(uint16_t type, int family, const struct policy *);
	const char *object, *selector;	/* of ip(8) */
	const char *reason;
} routing[] = {
	{ AF_INET, RTM_NEWROUTE, RTM_DELROUTE, ask_route, "route", "local default dev lo", "all of this table is for this host" },
	{ AF_INET6, RTM_NEWROUTE, RTM_DELROUTE, ask_route, "route", "local default dev lo", "all of this table is for this host" },
	{ AF_INET, RTM_NEWRULE, RTM_DELRULE, ask_mark, "rule", NULL, "what bears the mark goes by that table" },
	{ AF_INET6, RTM_NEWRULE, RTM_DELRULE, ask_mark, "rule", NULL, "what bears the mark goes by that table" },
	{ AF_INET, RTM_NEWRULE, RTM_DELRULE, ask_loopback, "rule", "from 127.0.0.0/8 ipproto tcp",
		"an application at 127.0.0.1 answers its client through this host" },
};
#define NROUTING (sizeof(routing) / sizeof(routing[0]))

uint32_t policy_routing(int family)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < NROUTING; i++)
		bits |= routing[i].family == family ? 1u << i : 0;
	return bits;
}

bool policy_words(const struct policy *p, unsigned bit, const char *verb, char text[POLICY_TEXT], int *family_r, const char **reason_r)
{
	char mark[24];
	bool rule;

	if (bit >= NROUTING)
		return false;
	rule = strcmp(routing[bit].object, "rule") == 0;
	snprintf(mark, sizeof(mark), "fwmark %u", p->mark);
	snprintf(text, POLICY_TEXT, "ip %s%s %s %s%s %s %u", routing[bit].family == AF_INET6 ? "-6 " : "", routing[bit].object, verb,
	    rule ? PREFERENCE_WORDS : "", routing[bit].selector != NULL ? routing[bit].selector : mark, rule ? "lookup" : "table", p->table);
	*family_r = routing[bit].family;
	*reason_r = routing[bit].reason;
	return true;
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

static int refuse(const struct policy *p, unsigned bit, const char *verb, struct err *e)
{
	char text[POLICY_TEXT];
	const char *reason;
	int family;

	policy_words(p, bit, verb, text, &family, &reason);
	return err_set(e, "TPROXY needs policy routing (%s): %m", text);
}

static int add_routing(struct policy *p, bool ipv6, struct err *e)
{
	for (unsigned i = 0; i < NROUTING; i++) {
		if (routing[i].family == AF_INET6 && !ipv6)
			continue;
		if (routing[i].ask(routing[i].add, routing[i].family, p) == 0)
			p->routing |= 1u << i;
		else if (errno != EEXIST)
			return refuse(p, i, "add", e);
	}
	return 0;
}

static int add_sources(struct policy *p, unsigned sources, struct err *e)
{
	char address[ADDR_STRLEN];

	for (unsigned i = 0; i < sources; i++) {
		if (ask_address(RTM_NEWADDR, i) == 0)
			p->addresses |= 1u << i;
		else if (errno == EACCES)	/* IPv6 is switched off on lo (disable_ipv6): nothing goes over it */
			return 0;
		else if (errno != EEXIST)
			return err_set(e, "%s cannot be added to lo: %m", policy_source(AF_INET6, i, address));
	}
	return 0;
}

/* Where it is switched off, nothing of it can be added, and nothing comes. */
static bool ipv6_is_off(void)
{
	char word = '0';
	int fd = open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", O_RDONLY | O_CLOEXEC);
	bool off = fd == -1 || (read(fd, &word, 1) == 1 && word != '0');

	if (fd != -1)
		close(fd);
	return off;
}

int policy_add(struct policy *p, unsigned sources, bool ipv6, struct err *e)
{
	ipv6 = ipv6 && !ipv6_is_off();
	if (ipv6 && add_sources(p, sources, e) == -1)
		return -1;
	return p->table != 0 ? add_routing(p, ipv6, e) : 0;
}

/* ---- finding ---- */

/* Of an answer to a dump: the table, if it is our rule for this mark. */
static uint32_t table_of(const struct nlmsghdr *h, uint32_t mark)
{
	const struct rtattr *a = (const void *)((const char *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct fib_rule_hdr)));
	int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(sizeof(struct fib_rule_hdr));
	uint32_t values[FRA_MAX + 1] = { 0 };

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type <= FRA_MAX && RTA_PAYLOAD(a) == sizeof(uint32_t))
			memcpy(&values[a->rta_type], RTA_DATA(a), sizeof(uint32_t));
	}
	return values[FRA_PRIORITY] == PREFERENCE && values[FRA_FWMARK] == mark ? values[FRA_TABLE] : 0;
}

/* True: there is more to come. */
static bool read_rules(const char *bytes, ssize_t n, uint32_t mark, uint32_t *table)
{
	const struct nlmsghdr *h = (const void *)bytes;

	for (size_t left = n > 0 ? (size_t)n : 0; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type != RTM_NEWRULE)
			return false;
		if (*table == 0)
			*table = table_of(h, mark);
	}
	return n > 0;
}

uint32_t policy_find_table(uint32_t mark)
{
	union {
		struct nlmsghdr head;
		char bytes[32768];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	uint32_t table = 0;
	struct request q;

	if (fd == -1)
		return 0;
	begin(&q, RTM_GETRULE, sizeof(q.rule));
	q.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (send(fd, &q, q.head.nlmsg_len, 0) != -1) {
		while (read_rules(answer.bytes, recv(fd, answer.bytes, sizeof(answer.bytes), 0), mark, &table))
			;
	}
	close(fd);
	return table;
}

/* ---- removing ---- */

static bool is_gone(int result)
{
	return result == 0 || errno == ENOENT || errno == ESRCH || errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
}

int policy_remove(struct policy *p, struct err *e)
{
	int r = 0;

	for (unsigned i = NROUTING; i-- > 0; ) {		/* rules ahead of the routes that they lead to */
		if (p->routing & 1u << i && !is_gone(routing[i].ask(routing[i].remove, routing[i].family, p)))
			r = refuse(p, i, "del", e);
		else
			p->routing &= ~(1u << i);
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
