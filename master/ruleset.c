/* Rows of rules: see ruleset.h. */
#include "master/ruleset.h"

#include "master/policy.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "MESHD_"
/*
 * Only what opens a connection is caught.  Where nothing has followed connections before, the kernel takes the next segment
 * of an open one for the first of a new one: caught in its middle, it would be reset.
 */
#define OPENING "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN "
#define MAPPED_BITS 96			/* of an IPv4 prefix in its mapped form (common/addr.h) */

/* What differs between the families. */
struct loopback {
	const char *address;		/* "127.0.0.1/32" */
	const char *any;		/* TPROXY's --on-ip */
	int family;
};

static const struct loopback ipv4 = { "127.0.0.1/32", "0.0.0.0", AF_INET }, ipv6 = { "::1/128", "::", AF_INET6 };

struct maker {
	struct ruleset *set;
	const struct rules *r;
	const struct loopback *lo;
	const char *table;
};

bool ruleset_owns(const char *chain)
{
	return strncmp(chain, PREFIX, strlen(PREFIX)) == 0;
}

/* ---- rows ---- */

static void add_row(struct maker *m, const char *chain, char *text, const char *reason)
{
	struct ruleset *s = m->set;

	if (s->count == s->room) {
		uint32_t room = s->room == 0 ? 32 : s->room * 2;
		struct ruleset_row *more = realloc(s->rows, room * sizeof(*more));

		if (more == NULL) {
			s->failed = true;
			free(text);
			return;
		}
		s->rows = more;
		s->room = room;
	}
	s->rows[s->count] = (struct ruleset_row){ .table = m->table, .chain = strdup(chain), .text = text, .reason = reason };
	s->failed |= s->rows[s->count++].chain == NULL;
}

static void chain(struct maker *m, const char *name)
{
	add_row(m, name, NULL, NULL);
}

__attribute__((format(printf, 4, 5)))
static void rule(struct maker *m, const char *chain_name, const char *reason, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		m->set->failed = true;
	else
		add_row(m, chain_name, text, reason);
	va_end(ap);
}

/* "22" or "8000:8009". */
static const char *ports_text(const struct image_port_range *p, char to[16])
{
	if (p->first == p->last)
		snprintf(to, 16, "%u", p->first);
	else
		snprintf(to, 16, "%u:%u", p->first, p->last);
	return to;
}

static const char *owner_text(const struct owner *o, char to[24])
{
	if (o->first == o->last)
		snprintf(to, 24, "%u", o->first);
	else
		snprintf(to, 24, "%u-%u", o->first, o->last);
	return to;
}

/* Each of these ports of TCP. */
static void port_rules(struct maker *m, const char *chain_name, const struct ports *p, const char *match, const char *target,
    const char *reason)
{
	char text[16];

	for (uint32_t i = 0; i < p->count; i++)
		rule(m, chain_name, reason, "-p tcp -m tcp --dport %s %s-j %s", ports_text(&p->ranges[i], text), match, target);
}

static void interface_rules(struct maker *m, const char *chain_name, char way, const struct names *n, const char *reason)
{
	for (uint32_t i = 0; i < n->count; i++)
		rule(m, chain_name, reason, "-%c %s -j RETURN", way, n->names[i]);
}

/* As iptables-save writes it, "" where the prefix is the whole family; NULL: of the other family. */
static const char *prefix_text(const struct maker *m, const struct prefix *p, char to[ADDR_STRLEN + 4])
{
	char text[ADDR_STRLEN];

	if (p->family != m->lo->family)
		return NULL;
	if (p->bits == (p->family == AF_INET ? MAPPED_BITS : 0))
		return "";
	snprintf(to, ADDR_STRLEN + 4, "-d %s ", prefix_print(p, text));
	return to;
}

/* ---- nat: outbound ---- */

static bool is_in_loopback(const struct prefix *p)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (p->family == AF_INET)
		return p->bits > MAPPED_BITS && p->ip[12] == 127;
	return memcmp(p->ip, one, sizeof(one)) == 0;
}

/* Somebody wants what stays on this host to be caught. */
static bool includes_loopback(const struct rules *r)
{
	for (uint32_t i = 0; !r->every_outbound_range && i < r->include_ranges.count; i++) {
		if (is_in_loopback(&r->include_ranges.prefixes[i]))
			return true;
	}
	return false;
}

static void source_rules(struct maker *m, const char *table_chain, char way)
{
	char address[ADDR_STRLEN];

	for (unsigned i = 0; i < m->r->inbound_sources; i++)
		rule(m, table_chain, "from the inbound side to the application beside it: never again", "-s %s -%c lo -j RETURN",
		    policy_source(m->lo->family, i, address), way);
}

static void worker_rules(struct maker *m)
{
	const unsigned worker = m->r->worker_uid;

	/* before the rules of the worker, whose second one would send it on over lo */
	if (m->r->agent_uid != m->r->worker_uid)
		rule(m, "MESHD_OUTPUT", "the agent's own connections", "-m owner --uid-owner %u -j RETURN", m->r->agent_uid);
	/* with TPROXY the mark leads it there (mangle) */
	if (m->r->mode == INTERCEPT_REDIRECT)
		rule(m, "MESHD_OUTPUT", "a program calls a service of this host: the outbound side has chosen it, the inbound side must see it",
		    "! -d %s -o lo -p tcp -m owner --uid-owner %u -j MESHD_IN_REDIRECT", m->lo->address, worker);
	if (!includes_loopback(m->r))
		rule(m, "MESHD_OUTPUT", "what stays on this host is not caught", "-o lo -m owner ! --uid-owner %u -j RETURN", worker);
	rule(m, "MESHD_OUTPUT", "a worker's own connections: without this rule they would loop", "-m owner --uid-owner %u -j RETURN", worker);
}

/* Included owners are the exception of one rule, because a rule for each would let all others pass: "none of these". */
static void included_owners(struct maker *m, const struct owners *o, const char *option, const char *reason)
{
	char text[RULESET_TEXT] = "", one[24];
	size_t used = 0;

	for (uint32_t i = 0; i < o->count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "-m owner ! %s %s ", option, owner_text(&o->owners[i], one));
	rule(m, "MESHD_OUTPUT", reason, "%s-j RETURN", text);
}

static void excluded_owners(struct maker *m, const struct owners *o, const char *option, const char *reason)
{
	char one[24];

	for (uint32_t i = 0; i < o->count; i++)
		rule(m, "MESHD_OUTPUT", reason, "-m owner %s %s -j RETURN", option, owner_text(&o->owners[i], one));
}

static void owner_rules(struct maker *m)
{
	const struct rules *r = m->r;

	if (!r->every_user)
		included_owners(m, &r->include_users, "--uid-owner", "only these users (include_outbound_users)");
	excluded_owners(m, &r->exclude_users, "--uid-owner", "exclude_outbound_users");
	if (!r->every_group)
		included_owners(m, &r->include_groups, "--gid-owner", "only these groups (include_outbound_groups)");
	excluded_owners(m, &r->exclude_groups, "--gid-owner", "exclude_outbound_groups");
}

static void range_rules(struct maker *m, const char *chain_name, const struct prefixes *p, const char *match, const char *target,
    const char *reason)
{
	char to[ADDR_STRLEN + 4];
	const char *text;

	for (uint32_t i = 0; i < p->count; i++) {
		if ((text = prefix_text(m, &p->prefixes[i], to)) != NULL)
			rule(m, chain_name, reason, "%s%s-j %s", text, match, target);
	}
}

static void outbound_rules(struct maker *m)
{
	const struct rules *r = m->r;

	interface_rules(m, "MESHD_OUTPUT", 'o', &r->exclude_interfaces, "exclude_interfaces");
	port_rules(m, "MESHD_OUTPUT", &r->exclude_outbound, "", "RETURN", "exclude_outbound_ports");
	if (r->exclude_dns) {
		rule(m, "MESHD_OUTPUT", "exclude_dns", "-p tcp -m tcp --dport 53 -j RETURN");
		rule(m, "MESHD_OUTPUT", "exclude_dns", "-p udp -m udp --dport 53 -j RETURN");
	}
	source_rules(m, "MESHD_OUTPUT", 'o');
	worker_rules(m);
	owner_rules(m);
	rule(m, "MESHD_OUTPUT", "explicitly to this host itself", "-d %s -j RETURN", m->lo->address);
	range_rules(m, "MESHD_OUTPUT", &r->exclude_ranges, "", "RETURN", "exclude_outbound_ranges");
	port_rules(m, "MESHD_OUTPUT", &r->include_outbound, "", "MESHD_REDIRECT", "include_outbound_ports");
	if (r->every_outbound_range)
		rule(m, "MESHD_OUTPUT", "all else goes to the outbound port", "-j MESHD_REDIRECT");
	else
		range_rules(m, "MESHD_OUTPUT", &r->include_ranges, "", "MESHD_REDIRECT", "include_outbound_ranges");
}

/* ---- nat: inbound ---- */

/* Traffic of virtual machines behind these interfaces is as if it were this host's own. */
static void guest_rules(struct maker *m)
{
	const struct rules *r = m->r;
	char match[32];

	for (uint32_t i = 0; i < r->guest_interfaces.count; i++) {
		const char *name = r->guest_interfaces.names[i];

		snprintf(match, sizeof(match), "-i %s ", name);
		if (r->every_outbound_range)
			rule(m, "MESHD_INBOUND", "what guests send is outbound (guest_interfaces)", "%s-j MESHD_REDIRECT", match);
		else
			range_rules(m, "MESHD_INBOUND", &r->include_ranges, match, "MESHD_REDIRECT",
			    "what guests send to these is outbound (guest_interfaces)");
		rule(m, "MESHD_INBOUND", "what guests send is never inbound", "-i %s -j RETURN", name);
	}
}

/* A host may pass on the packets of others, of its containers for one: no application of its own serves those. */
static void forwarded_rule(struct maker *m)
{
	rule(m, "MESHD_INBOUND", "what this host only passes on", "-m addrtype ! --dst-type LOCAL -j RETURN");
}

static void inbound_rules(struct maker *m)
{
	const struct rules *r = m->r;

	forwarded_rule(m);
	if (r->every_inbound_port) {
		port_rules(m, "MESHD_INBOUND", &r->exclude_inbound, "", "RETURN", "exclude_inbound_ports");
		rule(m, "MESHD_INBOUND", "all else goes to the inbound port", "-j MESHD_IN_REDIRECT");
	} else {
		port_rules(m, "MESHD_INBOUND", &r->include_inbound, "", "MESHD_IN_REDIRECT", "include_inbound_ports");
	}
}

static bool has_nat_inbound(const struct rules *r)
{
	return r->guest_interfaces.count > 0 || (r->mode == INTERCEPT_REDIRECT && rules_catch_inbound(r));
}

static void nat_table(struct maker *m)
{
	const struct rules *r = m->r;

	m->table = "nat";
	chain(m, "MESHD_REDIRECT");
	if (r->outbound_last == r->outbound_port)
		rule(m, "MESHD_REDIRECT", "the outbound port", OPENING "-j REDIRECT --to-ports %u", r->outbound_port);
	else
		rule(m, "MESHD_REDIRECT", "the outbound ports: the kernel takes a free one", OPENING "-j REDIRECT --to-ports %u-%u",
		    r->outbound_port, r->outbound_last);
	if (r->mode == INTERCEPT_REDIRECT) {
		chain(m, "MESHD_IN_REDIRECT");
		rule(m, "MESHD_IN_REDIRECT", "the inbound port", OPENING "-j REDIRECT --to-ports %u", r->inbound_port);
	}
	if (has_nat_inbound(r)) {
		chain(m, "MESHD_INBOUND");
		interface_rules(m, "MESHD_INBOUND", 'i', &r->exclude_interfaces, "exclude_interfaces");
		guest_rules(m);
		if (r->mode == INTERCEPT_REDIRECT)
			inbound_rules(m);
		rule(m, "PREROUTING", "what comes to this host", "-p tcp -j MESHD_INBOUND");
	}
	chain(m, "MESHD_OUTPUT");
	outbound_rules(m);
	rule(m, "OUTPUT", "what programs of this host send", "-j MESHD_OUTPUT");
}

/* ---- mangle ---- */

static void drop_rules(struct maker *m)
{
	m->table = "mangle";
	chain(m, "MESHD_DROP");
	rule(m, "MESHD_DROP", "drop_invalid: the kernel would answer them with a reset", "-j DROP");
	rule(m, "PREROUTING", "packets of no connection", "-m conntrack --ctstate INVALID -j MESHD_DROP");
}

/* What is open keeps its way by the mark, what is new goes to the inbound port. */
static void tproxy_pair(struct maker *m, const char *ports, const char *reason)
{
	rule(m, "MESHD_INBOUND", "what is open stays with the socket that has it", "%s-m conntrack --ctstate RELATED,ESTABLISHED -j MESHD_DIVERT",
	    ports);
	rule(m, "MESHD_INBOUND", reason, "%s-j MESHD_TPROXY", ports);
}

static void tproxy_ports(struct maker *m)
{
	const struct rules *r = m->r;
	char text[16], match[64];

	if (r->every_inbound_port) {
		port_rules(m, "MESHD_INBOUND", &r->exclude_inbound, "", "RETURN", "exclude_inbound_ports");
		tproxy_pair(m, "-p tcp ", "all else goes to the inbound port");
		return;
	}
	for (uint32_t i = 0; i < r->include_inbound.count; i++) {
		snprintf(match, sizeof(match), "-p tcp -m tcp --dport %s ", ports_text(&r->include_inbound.ranges[i], text));
		tproxy_pair(m, match, "include_inbound_ports");
	}
}

static void tproxy_inbound(struct maker *m)
{
	const struct rules *r = m->r;
	const unsigned mark = r->mark;

	chain(m, "MESHD_INBOUND");
	/* the worker's way to the application and back, also where lo is an interface to leave alone */
	rule(m, "MESHD_INBOUND", "a worker calls the application as its client: the answers are to come back",
	    "-m mark --mark 0x%x -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", mark);
	rule(m, "MESHD_INBOUND", "and is not caught again", "-m mark --mark 0x%x -j RETURN", mark);
	/* else a forwarded connection that is left alone would lose its answers: MESHD_DIVERT takes what is ESTABLISHED */
	rule(m, "MESHD_INBOUND", "answers to what this host, or one behind it, has begun", "-m conntrack --ctdir REPLY -j RETURN");
	interface_rules(m, "MESHD_INBOUND", 'i', &r->exclude_interfaces, "exclude_interfaces");
	interface_rules(m, "MESHD_INBOUND", 'i', &r->guest_interfaces, "what guests send is never inbound");
	source_rules(m, "MESHD_INBOUND", 'i');
	forwarded_rule(m);
	rule(m, "MESHD_INBOUND", "what stays on this host is not caught, but for calls of its own services", "-i lo -m mark ! --mark 0x%x -j RETURN",
	    mark + 1);
	tproxy_ports(m);
}

static void tproxy_output(struct maker *m)
{
	const struct rules *r = m->r;

	chain(m, "MESHD_OUTPUT");
	rule(m, "MESHD_OUTPUT", "a worker calls the application as its client", "-o lo -m mark --mark 0x%x -j RETURN", r->mark);
	rule(m, "MESHD_OUTPUT", "answers of the application to the client go to the worker",
	    "-m connmark --mark 0x%x -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", r->mark);
	interface_rules(m, "MESHD_OUTPUT", 'o', &r->exclude_interfaces, "exclude_interfaces");
	rule(m, "MESHD_OUTPUT", "a program calls a service of this host: the inbound side must see it",
	    "! -d %s -o lo -m owner --uid-owner %u -j MARK --set-xmark 0x%x/0xffffffff", m->lo->address, r->worker_uid, r->mark + 1);
}

static void tproxy_table(struct maker *m)
{
	const struct rules *r = m->r;

	m->table = "mangle";
	chain(m, "MESHD_DIVERT");
	rule(m, "MESHD_DIVERT", "the mark that leads to this host (ip rule)", "-j MARK --set-xmark 0x%x/0xffffffff", r->mark);
	rule(m, "MESHD_DIVERT", "and no rule of this table after it", "-j ACCEPT");
	chain(m, "MESHD_TPROXY");
	rule(m, "MESHD_TPROXY", "the inbound port, with the destination kept",
	    "! -d %s " OPENING "-j TPROXY --on-port %u --on-ip %s --tproxy-mark 0x%x/0xffffffff", m->lo->address, r->inbound_port,
	    m->lo->any, r->mark);
	tproxy_inbound(m);
	rule(m, "PREROUTING", "what comes to this host", "-p tcp -j MESHD_INBOUND");
	tproxy_output(m);
	rule(m, "OUTPUT", "what this host sends", "-p tcp -j MESHD_OUTPUT");
}

/* ---- all ---- */

struct ruleset *ruleset_make(const struct rules *r, int family)
{
	struct maker m = { .r = r, .lo = family == AF_INET ? &ipv4 : &ipv6 };

	if ((m.set = calloc(1, sizeof(*m.set))) == NULL)
		return NULL;
	if (r->drop_invalid)
		drop_rules(&m);
	if (r->mode == INTERCEPT_TPROXY && rules_catch_inbound(r))
		tproxy_table(&m);
	nat_table(&m);
	if (!m.set->failed)
		return m.set;
	ruleset_free(m.set);
	return NULL;
}

void ruleset_free(struct ruleset *s)
{
	for (uint32_t i = 0; s != NULL && i < s->count; i++) {
		free(s->rows[i].chain);
		free(s->rows[i].text);
	}
	if (s != NULL)
		free(s->rows);
	free(s);
}
