/* The decisions of the rules: see caught.h. */
#include "ctl/caught.h"

#include "ctl/json.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fate_word(enum fate f)
{
	static const char *const words[] = {
		[FATE_DIRECT] = "direct", [FATE_OUTBOUND] = "outbound", [FATE_INBOUND] = "inbound", [FATE_UNKNOWN] = "?",
	};

	return words[f];
}

/* ---- lists ---- */

bool caught_is_all(const json_t *list)
{
	return json_is_string(list);
}

/* "7" or "7-9". */
static bool span(const char *text, unsigned long most, unsigned long *first_r, unsigned long *last_r)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*first_r = *last_r = strtoul(text, &end, 10);
	if (end[0] == '-' && end[1] >= '0' && end[1] <= '9')
		*last_r = strtoul(end + 1, &end, 10);
	return *end == '\0' && *first_r <= *last_r && *last_r <= most;
}

bool caught_port(const char *text, unsigned *first_r, unsigned *last_r)
{
	unsigned long first, last;

	if (!span(text, 65535, &first, &last))
		return false;
	*first_r = (unsigned)first;
	*last_r = (unsigned)last;
	return true;
}

static const char *text_at(const json_t *list, size_t i)
{
	const char *text = json_string_value(json_array_get(list, i));

	return text != NULL ? text : "";
}

bool caught_has_port(const json_t *ports, unsigned port)
{
	unsigned first, last;

	for (size_t i = 0; i < json_array_size(ports); i++) {
		if (caught_port(text_at(ports, i), &first, &last) && first <= port && port <= last)
			return true;
	}
	return false;
}

bool caught_has_address(const json_t *ranges, const struct addr *a)
{
	struct prefix p;

	for (size_t i = 0; i < json_array_size(ranges); i++) {
		if (prefix_parse(text_at(ranges, i), &p) == 0 && prefix_covers(&p, a))
			return true;
	}
	return false;
}

bool caught_has_interface(const json_t *names, const char *name)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *pattern = text_at(names, i);
		size_t n = strlen(pattern);

		if (n > 0 && pattern[n - 1] == '+' ? strncmp(pattern, name, n - 1) == 0 : strcmp(pattern, name) == 0)
			return true;
	}
	return false;
}

bool caught_owner(const char *text, bool group, id_t *first_r, id_t *last_r)
{
	const struct passwd *pw = group ? NULL : getpwnam(text);
	const struct group *gr = group ? getgrnam(text) : NULL;
	unsigned long first, last;

	if (pw == NULL && gr == NULL && !span(text, UINT32_MAX - 1, &first, &last))
		return false;
	if (pw != NULL)
		first = last = pw->pw_uid;
	else if (gr != NULL)
		first = last = gr->gr_gid;
	*first_r = (id_t)first;
	*last_r = (id_t)last;
	return true;
}

bool caught_has_owner(const json_t *owners, bool group, id_t id)
{
	id_t first, last;

	for (size_t i = 0; i < json_array_size(owners); i++) {
		if (caught_owner(text_at(owners, i), group, &first, &last) && first <= id && id <= last)
			return true;
	}
	return false;
}

/* ---- decisions ---- */

static const json_t *member(const struct caught *c, const char *key)
{
	return json_object_get(c->intercept, key);
}

static struct addr ip(const char *text)
{
	struct addr a = { .family = 0 };

	addr_parse_ip(text, &a);
	return a;
}

/* 127.0.0.1 and ::1 alone, as the rules have them. */
static bool is_localhost(const struct addr *a)
{
	const struct addr v4 = ip("127.0.0.1"), v6 = ip("::1");

	return addr_same_ip(a, &v4) || addr_same_ip(a, &v6);
}

/* 127.0.0.6, ::6 and the addresses after it. */
static bool is_inbound_source(const struct caught *c, const struct addr *a)
{
	const struct addr first = ip(a->family == AF_INET ? "127.0.0.6" : "::6");
	json_int_t n = json_number(c->intercept, "inbound_sources");

	return memcmp(first.ip, a->ip, sizeof(first.ip) - 1) == 0 && a->ip[15] >= first.ip[15] && a->ip[15] < first.ip[15] + n;
}

/* Somebody wants loopback addresses caught: what goes over lo is then looked at as anything else. */
static bool includes_loopback(const struct caught *c)
{
	const json_t *ranges = member(c, "include_outbound_ranges");
	struct prefix p;

	for (size_t i = 0; i < json_array_size(ranges); i++) {
		struct addr a = { .family = 0 };

		if (prefix_parse(text_at(ranges, i), &p) != 0)
			continue;
		memcpy(a.ip, p.ip, sizeof(a.ip));
		a.family = p.family;
		if (addr_is_loopback(&a))
			return true;
	}
	return false;
}

static bool is_excluded_owner(const struct caught *c, const struct packet *p)
{
	const json_t *users = member(c, "include_outbound_users"), *groups = member(c, "include_outbound_groups");

	return (!caught_is_all(users) && !caught_has_owner(users, false, p->uid)) ||
	    caught_has_owner(member(c, "exclude_outbound_users"), false, p->uid) ||
	    (!caught_is_all(groups) && !caught_has_owner(groups, true, p->gid)) ||
	    caught_has_owner(member(c, "exclude_outbound_groups"), true, p->gid);
}

static bool is_included_range(const struct caught *c, const struct addr *to)
{
	const json_t *ranges = member(c, "include_outbound_ranges");

	return caught_is_all(ranges) || caught_has_address(ranges, to);
}

static enum fate decide_arriving(const struct caught *c, const struct packet *p)
{
	const json_t *ports = member(c, "include_inbound_ports");

	if (caught_has_interface(member(c, "guest_interfaces"), p->interface))
		return is_included_range(c, &p->to) ? FATE_OUTBOUND : FATE_DIRECT;
	if (caught_has_interface(member(c, "exclude_interfaces"), p->interface))
		return FATE_DIRECT;
	if (caught_is_all(ports))
		return caught_has_port(member(c, "exclude_inbound_ports"), p->to.port) ? FATE_DIRECT : FATE_INBOUND;
	return caught_has_port(ports, p->to.port) ? FATE_INBOUND : FATE_DIRECT;
}

/* A self-call with TPROXY is marked, and then looked at as what arrives is. */
static enum fate decide_marked(const struct caught *c, const struct packet *p)
{
	return is_inbound_source(c, &p->from) || is_localhost(&p->to) ? FATE_DIRECT : decide_arriving(c, p);
}

static enum fate decide_leaving(const struct caught *c, const struct packet *p)
{
	bool lo = strcmp(p->interface, "lo") == 0, worker = p->uid == c->worker_uid;

	if (lo && worker && strcmp(json_text(c->intercept, "mode"), "tproxy") == 0)
		return decide_marked(c, p);
	if (caught_has_interface(member(c, "exclude_interfaces"), p->interface) ||
	    caught_has_port(member(c, "exclude_outbound_ports"), p->to.port) ||
	    (json_is_true(member(c, "exclude_dns")) && p->to.port == 53) || (lo && is_inbound_source(c, &p->from)) ||
	    (!worker && p->uid == c->agent_uid))
		return FATE_DIRECT;
	if (worker)
		return lo && !is_localhost(&p->to) ? FATE_INBOUND : FATE_DIRECT;
	if ((lo && !includes_loopback(c)) || is_excluded_owner(c, p) || is_localhost(&p->to) ||
	    caught_has_address(member(c, "exclude_outbound_ranges"), &p->to))
		return FATE_DIRECT;
	return caught_has_port(member(c, "include_outbound_ports"), p->to.port) || is_included_range(c, &p->to) ?
	    FATE_OUTBOUND : FATE_DIRECT;
}

enum fate caught_decide(const struct caught *c, const struct packet *p)
{
	if (!json_is_object(c->intercept))
		return FATE_DIRECT;
	if (strcmp(json_text(c->intercept, "mode"), "none") == 0)
		return FATE_UNKNOWN;
	if (!json_is_true(member(c, "in")))
		return FATE_DIRECT;
	return p->arrives ? decide_arriving(c, p) : decide_leaving(c, p);
}
