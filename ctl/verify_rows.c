/* What is sent, and as whom: see verify.h. */
#include "ctl/json.h"
#include "ctl/verify.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define GUEST_PORT 47808	/* where nobody is needed */

static const char *const families[] = { "IPv4", "IPv6" };
static const char *const localhost[] = { "127.0.0.1", "::1" };
static const char *const inbound_source[] = { "127.0.0.6", "::6" };

static const json_t *member(const struct plan *p, const char *key)
{
	return json_object_get(p->caught.intercept, key);
}

static const char *first_text(const struct plan *p, const char *key)
{
	const char *text = json_string_value(json_array_get(member(p, key), 0));

	return text;			/* NULL: none, or "*" */
}

/* ---- who ---- */

static bool is_ours(const struct plan *p, bool group, id_t id)
{
	return !group && (id == p->caught.worker_uid || id == p->caught.agent_uid);
}

/* Of the included ones the first, else root or one that nobody has: the first whose connections are caught, or not. */
static id_t choose_owner(const struct plan *p, const char *include, const char *exclude, bool group, bool caught)
{
	const json_t *in = member(p, include), *out = member(p, exclude);
	id_t candidates[24] = { 0 }, last;
	unsigned n = 1;

	for (size_t i = 0; i < json_array_size(in) && n < 8; i++)
		n += caught_owner(json_string_value(json_array_get(in, i)), group, &candidates[n], &last);
	for (id_t id = 65533; n < 24; id--)
		candidates[n++] = id;
	for (unsigned i = 0; i < n; i++) {
		id_t id = candidates[i];
		bool is_caught = (caught_is_all(in) || caught_has_owner(in, group, id)) && !caught_has_owner(out, group, id);

		if (is_caught == caught && !is_ours(p, group, id))
			return id;
	}
	return 0;
}

void plan_identity(struct plan *p)
{
	p->app_uid = choose_owner(p, "include_outbound_users", "exclude_outbound_users", false, true);
	p->app_gid = choose_owner(p, "include_outbound_groups", "exclude_outbound_groups", true, true);
	p->other_uid = choose_owner(p, "include_outbound_users", "exclude_outbound_users", false, false);
	p->other_gid = choose_owner(p, "include_outbound_groups", "exclude_outbound_groups", true, false);
}

/* ---- rows ---- */

static struct probe *add(struct plan *p, const char *what, const char *detail, unsigned family)
{
	struct probe *row = &p->probes[p->n++];

	*row = (struct probe){
		.listens = true, .uid = p->app_uid, .gid = p->app_gid, .fd = -1, .listener = -1, .accepted = -1,
	};
	snprintf(row->what, sizeof(row->what), "%s%s%.48s, %s", what, *detail != '\0' ? " " : "", detail, families[family]);
	return row;
}

static void skip(struct plan *p, const char *what, const char *detail, unsigned family, const char *why)
{
	snprintf(add(p, what, detail, family)->skipped, sizeof(((struct probe *)0)->skipped), "%.110s", why);
}

static struct probe *outbound(struct plan *p, const struct net *n, const char *what, const char *detail, unsigned family)
{
	struct probe *row = add(p, what, detail, family);

	row->to = n->links[0].there[family];
	return row;
}

static struct probe *inbound(struct plan *p, const struct net *n, const char *what, const char *detail, unsigned family)
{
	struct probe *row = add(p, what, detail, family);

	row->from_there = true;
	row->to = n->links[0].here[family];
	return row;
}

static struct probe *local(struct plan *p, const struct net *n, const char *what, unsigned family)
{
	struct probe *row = add(p, what, "", family);

	row->over_lo = true;
	row->to = n->links[0].here[family];
	return row;
}

static void as(struct probe *row, uid_t uid, gid_t gid)
{
	row->uid = uid;
	row->gid = gid;
}

/* What every configuration has. */
static void basic_rows(struct plan *p, const struct net *n, unsigned f)
{
	struct probe *row;

	outbound(p, n, "outbound", "", f);
	inbound(p, n, "inbound", "", f);
	as(local(p, n, "self-call: a worker to this host", f), p->caught.worker_uid, p->worker_gid);
	as(outbound(p, n, "a worker to elsewhere", "", f), p->caught.worker_uid, p->worker_gid);
	as(outbound(p, n, "the agent to elsewhere", "", f), p->caught.agent_uid, p->agent_gid);
	row = local(p, n, "a worker to the application, from", f);
	as(row, p->caught.worker_uid, p->worker_gid);
	addr_parse_ip(inbound_source[f], &row->from);
	snprintf(row->what, sizeof(row->what), "a worker to the application, from %s", inbound_source[f]);
	row = local(p, n, "an application to localhost", f);
	addr_parse_ip(localhost[f], &row->to);
	local(p, n, "an application to its own address", f);
}

static void port_row(struct plan *p, const struct net *n, const char *key, const char *what, bool arrives, unsigned f)
{
	const char *text = first_text(p, key);
	unsigned first, last;
	struct probe *row;

	if (text == NULL || !caught_port(text, &first, &last))
		return;
	row = (arrives ? inbound : outbound)(p, n, what, text, f);
	row->to.port = (uint16_t)(first != 0 ? first : 1);
	row->configured = true;
}

static void port_rows(struct plan *p, const struct net *n, unsigned f)
{
	port_row(p, n, "exclude_inbound_ports", "inbound, excluded port", true, f);
	port_row(p, n, "include_inbound_ports", "inbound, included port", true, f);
	port_row(p, n, "exclude_outbound_ports", "outbound, excluded port", false, f);
	port_row(p, n, "include_outbound_ports", "outbound, included port", false, f);
	if (json_is_true(member(p, "exclude_dns"))) {
		struct probe *row = outbound(p, n, "outbound, excluded DNS", "", f);

		row->to.port = 53;
		row->configured = true;
	}
}

/* ---- users and groups ---- */

static void owner_row(struct plan *p, const struct net *n, const char *key, bool group, unsigned f)
{
	const char *text = first_text(p, key);
	struct probe *row;
	id_t first, last;

	if (text == NULL)
		return;
	if (!caught_owner(text, group, &first, &last)) {
		skip(p, group ? "excluded group" : "excluded user", text, f, "there is no such one here");
		return;
	}
	row = outbound(p, n, group ? "outbound of excluded group" : "outbound of excluded user", text, f);
	as(row, group ? p->app_uid : first, group ? first : p->app_gid);
}

static void owner_rows(struct plan *p, const struct net *n, unsigned f)
{
	owner_row(p, n, "exclude_outbound_users", false, f);
	owner_row(p, n, "exclude_outbound_groups", true, f);
	if (!caught_is_all(member(p, "include_outbound_users")))
		as(outbound(p, n, "outbound of a user not included", "", f), p->other_uid, p->app_gid);
	if (!caught_is_all(member(p, "include_outbound_groups")))
		as(outbound(p, n, "outbound of a group not included", "", f), p->app_uid, p->other_gid);
}

/* ---- ranges ---- */

/* Does somebody on this host talk to it, or has it? */
static bool is_known(const struct addr *a)
{
	static const char *const tables[] = { "/proc/net/arp", "/proc/net/tcp" };
	char wanted[2][ADDR_STRLEN], line[512];
	struct ifaddrs *all, *i;
	bool known = false;
	uint32_t word;

	memcpy(&word, a->ip + 12, sizeof(word));
	strcat(addr_print_ip(a, wanted[0]), " ");
	snprintf(wanted[1], sizeof(wanted[1]), " %08X:", word);
	for (size_t t = 0; a->family == AF_INET && t < 2; t++) {
		FILE *f = fopen(tables[t], "re");

		while (f != NULL && fgets(line, sizeof(line), f) != NULL)
			known |= t == 0 ? strncmp(line, wanted[0], strlen(wanted[0])) == 0 : strstr(line, wanted[1]) != NULL;
		if (f != NULL)
			fclose(f);
	}
	if (getifaddrs(&all) == -1)
		return known;
	for (i = all; i != NULL; i = i->ifa_next) {
		struct addr own;

		if (i->ifa_addr != NULL && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6) &&
		    addr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &own) == 0)
			known |= addr_same_ip(&own, a);
	}
	freeifaddrs(all);
	return known;
}

/* What a host can have: not loopback, this network, multicast, link-local or reserved. */
static bool is_ordinary(const struct addr *a)
{
	if (a->family == AF_INET)
		return a->ip[12] != 0 && a->ip[12] != 127 && a->ip[12] < 224 && !(a->ip[12] == 169 && a->ip[13] == 254);
	return a->ip[0] != 0 && a->ip[0] != 0xff && a->ip[0] != 0xfe;
}

static void fill_bits(struct addr *a, unsigned from_bit, const uint8_t *with)
{
	for (unsigned bit = from_bit; bit < 128; bit++) {
		uint8_t mask = (uint8_t)(0x80u >> bit % 8);

		a->ip[bit / 8] = (uint8_t)((a->ip[bit / 8] & ~mask) | (with[bit / 8] & mask));
	}
}

bool plan_address(const char *range, bool to_all, struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };
	struct prefix p;
	uint8_t any[16];

	*a = (struct addr){ .family = 0 };
	if (prefix_parse(range, &p) != 0)
		return false;
	if (to_all && 128 - p.bits < (p.family == AF_INET ? 8 : 32))
		return false;
	for (unsigned tries = 0; tries < 16; tries++) {
		memcpy(a->ip, p.ip, sizeof(a->ip));
		a->family = p.family;
		if (getrandom(any, sizeof(any), 0) != sizeof(any))
			return false;
		if (to_all)
			fill_bits(a, p.bits, any);
		else if (p.bits < 127)
			fill_bits(a, p.bits, one);
		if (is_ordinary(a) && (!to_all || (a->ip[15] != 0 && a->ip[15] != 255 && !is_known(a))))
			return true;
	}
	return false;
}

/* The first range of the family that is not another's; NULL: none. */
static const char *first_range(const struct plan *p, const char *key, unsigned f)
{
	const json_t *list = member(p, key);
	struct prefix prefix;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text != NULL && prefix_parse(text, &prefix) == 0 && (prefix.family == AF_INET6) == (f == 1))
			return text;
	}
	return NULL;
}

static void range_row(struct plan *p, struct net *n, const char *key, const char *what, bool included, unsigned f)
{
	const char *range = first_range(p, key, f);
	struct probe *row;
	struct addr a;
	struct err e;

	if (range == NULL)
		return;
	if (!plan_address(range, included, &a)) {
		skip(p, what, range, f, included ? "its addresses may be somebody's" : "no address of it can be another host's");
	} else if (net_add_address(n, &a, included, &e) == -1) {
		skip(p, what, range, f, e.text);
	} else {
		row = add(p, what, range, f);
		row->to = a;
		row->to_device = !included && f == 0;
		if (!included && f == 1)
			row->from = n->links[0].here[1];
	}
}

/* ---- interfaces ---- */

/* "docker+": the beginning, and a number. */
static bool name_after(const char *pattern, char to[IF_NAMESIZE])
{
	size_t n = strlen(pattern);

	if (n == 0 || pattern[n - 1] != '+' || n - 1 > 12)
		return false;
	snprintf(to, IF_NAMESIZE, "%.12s", pattern);
	snprintf(to + n - 1, 4, "%u", (unsigned)getpid() % 1000);
	return true;
}

/* A link that is called as the configuration wants.  NULL: there is none; the row says why. */
static const struct net_link *special_link(struct plan *p, struct net *n, const char *key, const char *what)
{
	const char *pattern = first_text(p, key);
	char name[IF_NAMESIZE];
	struct err e;

	if (pattern == NULL)
		return NULL;
	if (!name_after(pattern, name)) {
		skip(p, what, pattern, 0, "what goes through this very interface would leave the host");
		return NULL;
	}
	if (net_add_link(n, name, &e) == 0)
		return &n->links[n->nlinks - 1];
	skip(p, what, pattern, 0, e.text);
	return NULL;
}

static void interface_rows(struct plan *p, struct net *n, unsigned families_here)
{
	const struct net_link *out = special_link(p, n, "exclude_interfaces", "excluded interface");
	unsigned index = n->nlinks - 1;

	for (unsigned f = 0; out != NULL && f < families_here; f++) {
		struct probe *row = outbound(p, n, "outbound, excluded interface", out->name, f);

		row->link = index;
		row->to = out->there[f];
		row = inbound(p, n, "inbound, excluded interface", out->name, f);
		row->link = index;
		row->to = out->here[f];
	}
}

static void guest_rows(struct plan *p, struct net *n, unsigned families_here)
{
	const struct net_link *guest = special_link(p, n, "guest_interfaces", "guest interface");
	unsigned index = n->nlinks - 1;

	for (unsigned f = 0; guest != NULL && f < families_here; f++) {
		struct probe *row = inbound(p, n, "outbound of a guest, interface", guest->name, f);

		row->link = index;
		row->to = guest->nobody[f];
		row->to.port = GUEST_PORT;
		row->listens = false;
	}
}

void plan_rows(struct plan *p, struct net *n)
{
	unsigned families_here = n->links[0].here[1].family != 0 ? 2 : 1;

	for (unsigned f = 0; f < families_here; f++)
		basic_rows(p, n, f);
	if (families_here == 1)
		skip(p, "all", "", 1, "this host has no IPv6");
	for (unsigned f = 0; f < families_here; f++) {
		port_rows(p, n, f);
		owner_rows(p, n, f);
		range_row(p, n, "exclude_outbound_ranges", "outbound, excluded range", false, f);
		range_row(p, n, "include_outbound_ranges", "outbound, included range", true, f);
	}
	interface_rows(p, n, families_here);
	guest_rows(p, n, families_here);
}
