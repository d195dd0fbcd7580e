/* intercept verify: what has to become of a connection, which address a range gives, how an arrival is judged. */
#include "ctl/verify.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define WORKER 900
#define AGENT  901

/* As the agent says it; what a test changes comes on top. */
static json_t *settings_with(const char *changes)
{
	json_t *j = json_pack("{s:s, s:b, s:i, s:i, s:i, s:s, s:[], s:[], s:[], s:s, s:[], s:[], s:[], s:s, s:[], s:s, s:[], s:b}",
	    "mode", "redirect", "in", 1, "outbound_port", 15001, "inbound_port", 15006, "inbound_sources", 1,
	    "include_inbound_ports", "*", "exclude_inbound_ports", "include_outbound_ports", "exclude_outbound_ports",
	    "include_outbound_ranges", "*", "exclude_outbound_ranges", "exclude_interfaces", "guest_interfaces",
	    "include_outbound_users", "*", "exclude_outbound_users", "include_outbound_groups", "*", "exclude_outbound_groups",
	    "exclude_dns", 0);
	json_t *more = json_loads(changes, 0, NULL);

	cr_assert_not_null(j);
	cr_assert_not_null(more, "%s", changes);
	json_object_update(j, more);
	json_decref(more);
	return j;
}

struct decision {
	char changes[160];
	char interface[16];
	bool arrives;
	unsigned uid, gid;
	char from[40], to[56];
	enum fate fate;
};

#define OUT "192.0.2.1:80"
#define OUT6 "[2001:db8::1]:80"

ParameterizedTestParameters(caught, decisions)
{
	static struct decision cases[] = {
		/* outbound: everything of everybody */
		{ "{}", "eth0", false, 0, 0, "", OUT, FATE_OUTBOUND },
		{ "{}", "eth0", false, 1000, 1000, "", OUT6, FATE_OUTBOUND },
		{ "{\"in\": false}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"mode\": \"none\"}", "eth0", false, 0, 0, "", OUT, FATE_UNKNOWN },
		{ "{\"mode\": \"none\"}", "eth0", true, 0, 0, "", OUT, FATE_UNKNOWN },
		{ "{\"mode\": \"tproxy\"}", "eth0", false, 0, 0, "", OUT, FATE_OUTBOUND },
		/* interfaces, by name and by beginning */
		{ "{\"exclude_interfaces\": [\"eth0\"]}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_interfaces\": [\"eth0\"]}", "eth00", false, 0, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"exclude_interfaces\": [\"x\", \"et+\"]}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_interfaces\": [\"+\"]}", "eth0", true, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_interfaces\": [\"lo\"]}", "lo", false, WORKER, 0, "", OUT, FATE_DIRECT },
		/* ports come before the proxy's own rules */
		{ "{\"exclude_outbound_ports\": [\"22\", \"70-90\"]}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_outbound_ports\": [\"22\", \"81-90\"]}", "eth0", false, 0, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"exclude_outbound_ports\": [\"80\"]}", "lo", false, WORKER, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_dns\": true}", "eth0", false, 0, 0, "", "192.0.2.1:53", FATE_DIRECT },
		{ "{}", "eth0", false, 0, 0, "", "192.0.2.1:53", FATE_OUTBOUND },
		/* the proxy itself */
		{ "{}", "eth0", false, WORKER, 0, "", OUT, FATE_DIRECT },
		{ "{}", "eth0", false, AGENT, 0, "", OUT, FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "", OUT, FATE_INBOUND },
		{ "{}", "lo", false, WORKER, 0, "", OUT6, FATE_INBOUND },
		{ "{\"mode\": \"tproxy\"}", "lo", false, WORKER, 0, "", OUT, FATE_INBOUND },
		{ "{\"mode\": \"tproxy\"}", "lo", false, WORKER, 0, "", "127.0.0.1:80", FATE_DIRECT },
		{ "{\"mode\": \"tproxy\"}", "lo", false, WORKER, 0, "127.0.0.6", OUT, FATE_DIRECT },
		{ "{\"mode\": \"tproxy\", \"exclude_inbound_ports\": [\"80\"]}", "lo", false, WORKER, 0, "", OUT, FATE_DIRECT },
		{ "{\"mode\": \"tproxy\", \"include_inbound_ports\": [\"81\"]}", "lo", false, WORKER, 0, "", OUT, FATE_DIRECT },
		{ "{\"mode\": \"tproxy\", \"exclude_outbound_ports\": [\"80\"]}", "lo", false, WORKER, 0, "", OUT, FATE_INBOUND },
		{ "{\"mode\": \"tproxy\", \"exclude_interfaces\": [\"lo\"]}", "lo", false, WORKER, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_inbound_ports\": [\"80\"]}", "lo", false, WORKER, 0, "", OUT, FATE_INBOUND },
		{ "{}", "lo", false, AGENT, 0, "", OUT, FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "", "127.0.0.1:80", FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "", "[::1]:80", FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "", "127.0.0.2:80", FATE_INBOUND },
		{ "{}", "lo", false, WORKER, 0, "127.0.0.6", OUT, FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "127.0.0.7", OUT, FATE_INBOUND },
		{ "{\"inbound_sources\": 3}", "lo", false, WORKER, 0, "127.0.0.8", OUT, FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "::6", OUT6, FATE_DIRECT },
		{ "{}", "lo", false, WORKER, 0, "::1", OUT6, FATE_INBOUND },
		/* lo */
		{ "{}", "lo", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{}", "lo", false, 0, 0, "", "127.0.0.1:80", FATE_DIRECT },
		{ "{\"include_outbound_ranges\": [\"127.0.0.0/8\"]}", "lo", false, 0, 0, "", "127.0.0.2:80", FATE_OUTBOUND },
		{ "{\"include_outbound_ranges\": [\"127.0.0.0/8\"]}", "lo", false, 0, 0, "", "127.0.0.1:80", FATE_DIRECT },
		{ "{\"include_outbound_ranges\": [\"127.0.0.0/8\"]}", "lo", false, WORKER, 0, "", OUT, FATE_INBOUND },
		{ "{\"include_outbound_ranges\": [\"::1/128\", \"192.0.2.0/24\"]}", "lo", false, 0, 0, "", OUT, FATE_OUTBOUND },
		/* owners */
		{ "{\"exclude_outbound_users\": [\"1000-1999\"]}", "eth0", false, 1999, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_outbound_users\": [\"1000-1999\"]}", "eth0", false, 2000, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"exclude_outbound_users\": [\"root\"]}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"include_outbound_users\": [\"7\"]}", "eth0", false, 7, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"include_outbound_users\": [\"7\"]}", "eth0", false, 8, 0, "", OUT, FATE_DIRECT },
		{ "{\"include_outbound_users\": []}", "eth0", false, 8, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_outbound_groups\": [\"7\"]}", "eth0", false, 0, 7, "", OUT, FATE_DIRECT },
		{ "{\"include_outbound_groups\": [\"7\"]}", "eth0", false, 0, 7, "", OUT, FATE_OUTBOUND },
		{ "{\"include_outbound_groups\": [\"7\"]}", "eth0", false, 7, 0, "", OUT, FATE_DIRECT },
		{ "{\"include_outbound_users\": [\"7\"]}", "lo", false, WORKER, 0, "", OUT, FATE_INBOUND },
		/* ranges: excluded ones first, then included ports, then included ones */
		{ "{\"exclude_outbound_ranges\": [\"192.0.2.0/24\"]}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_outbound_ranges\": [\"192.0.2.0/24\"], \"include_outbound_ports\": [\"80\"]}", "eth0", false, 0, 0, "", OUT,
		  FATE_DIRECT },
		{ "{\"include_outbound_ranges\": [\"198.51.100.0/24\"]}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"include_outbound_ranges\": [\"192.0.2.0/24\"]}", "eth0", false, 0, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"include_outbound_ranges\": [\"2001:db8::/32\"]}", "eth0", false, 0, 0, "", OUT6, FATE_OUTBOUND },
		{ "{\"include_outbound_ranges\": [], \"include_outbound_ports\": [\"79-80\"]}", "eth0", false, 0, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"include_outbound_ranges\": []}", "eth0", false, 0, 0, "", OUT, FATE_DIRECT },
		/* inbound */
		{ "{}", "eth0", true, 0, 0, "", OUT, FATE_INBOUND },
		{ "{\"exclude_inbound_ports\": [\"80\"]}", "eth0", true, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"include_inbound_ports\": [\"81\"]}", "eth0", true, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"include_inbound_ports\": [\"80-81\"]}", "eth0", true, 0, 0, "", OUT, FATE_INBOUND },
		{ "{\"include_inbound_ports\": []}", "eth0", true, 0, 0, "", OUT, FATE_DIRECT },
		{ "{\"exclude_outbound_ports\": [\"80\"]}", "eth0", true, 0, 0, "", OUT, FATE_INBOUND },
		/* guests */
		{ "{\"guest_interfaces\": [\"vnet+\"]}", "vnet3", true, 0, 0, "", OUT, FATE_OUTBOUND },
		{ "{\"guest_interfaces\": [\"vnet+\"]}", "eth0", true, 0, 0, "", OUT, FATE_INBOUND },
		{ "{\"guest_interfaces\": [\"vnet+\"], \"include_outbound_ranges\": []}", "vnet3", true, 0, 0, "", OUT, FATE_DIRECT },
	};

	return cr_make_param_array(struct decision, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct decision *d, caught, decisions)
{
	json_t *settings = settings_with(d->changes);
	const struct caught c = { settings, WORKER, AGENT };
	struct packet p = { .interface = d->interface, .arrives = d->arrives, .uid = d->uid, .gid = d->gid };

	if (d->from[0] != '\0')
		cr_assert_eq(addr_parse_ip(d->from, &p.from), 0);
	cr_assert_eq(addr_parse(d->to, &p.to), 0);
	cr_expect_eq(caught_decide(&c, &p), d->fate, "%s %s %s%s uid %u: %s, not %s", d->changes, d->interface, d->from, d->to, d->uid,
	    fate_word(caught_decide(&c, &p)), fate_word(d->fate));
	json_decref(settings);
}

Test(caught, who_intercepts_nothing_lets_all_pass)
{
	const struct caught c = { NULL, WORKER, AGENT };
	const struct packet p = { .interface = "eth0" };

	cr_expect_eq(caught_decide(&c, &p), FATE_DIRECT);
}

/* ---- who the probes are ---- */

struct identity {
	char changes[120];
	unsigned app_uid, app_gid, other_uid;
};

ParameterizedTestParameters(caught, identities)
{
	static struct identity cases[] = {
		{ "{}", 0, 0, 0 },
		{ "{\"exclude_outbound_users\": [\"root\"]}", 65533, 0, 0 },
		{ "{\"exclude_outbound_users\": [\"0-65530\"]}", 65533, 0, 0 },
		{ "{\"include_outbound_users\": [\"900\", \"nosuchuser\", \"1000-1999\"]}", 1000, 0, 0 },
		{ "{\"include_outbound_users\": [\"0-65532\"]}", 0, 0, 65533 },
		{ "{\"exclude_outbound_groups\": [\"0\", \"65533\"]}", 0, 65532, 0 },
	};

	return cr_make_param_array(struct identity, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct identity *i, caught, identities)
{
	json_t *settings = settings_with(i->changes);
	struct plan p = { .caught = { settings, WORKER, AGENT } };

	plan_identity(&p);
	cr_expect_eq(p.app_uid, i->app_uid, "%s: %u", i->changes, p.app_uid);
	cr_expect_eq(p.app_gid, i->app_gid, "%s: %u", i->changes, p.app_gid);
	cr_expect_eq(p.other_uid, i->other_uid, "%s: %u", i->changes, p.other_uid);
	json_decref(settings);
}

/* ---- addresses of ranges ---- */

struct range {
	char text[40];
	bool to_all, possible;
	char address[40];		/* "": any of the range */
};

ParameterizedTestParameters(caught, ranges)
{
	static struct range cases[] = {
		{ "192.0.2.0/24", false, true, "192.0.2.1" }, { "192.0.2.7/32", false, true, "192.0.2.7" },
		{ "192.0.2.6/31", false, true, "192.0.2.6" }, { "10.0.0.0/8", false, true, "10.0.0.1" },
		{ "2001:db8::/32", false, true, "2001:db8::1" },
		{ "192.0.2.0/24", true, true, "" }, { "192.0.2.0/25", true, false, "" }, { "192.0.2.7", true, false, "" },
		{ "2001:db8::/64", true, true, "" }, { "2001:db8::/97", true, false, "" },
		{ "127.0.0.0/8", false, false, "" }, { "169.254.169.254/32", false, false, "" }, { "224.0.0.0/4", true, false, "" },
		{ "fe80::/10", false, false, "" }, { "ff00::/8", true, false, "" }, { "::1/128", false, false, "" },
		{ "*", false, false, "" },
	};

	return cr_make_param_array(struct range, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct range *r, caught, ranges)
{
	char text[ADDR_STRLEN];
	struct prefix p;
	struct addr a;

	cr_assert_eq(plan_address(r->text, r->to_all, &a), r->possible, "%s", r->text);
	if (!r->possible)
		return;
	cr_assert_eq(prefix_parse(r->text, &p), 0);
	cr_expect(prefix_covers(&p, &a), "%s: %s", r->text, addr_print_ip(&a, text));
	if (r->address[0] != '\0')
		cr_expect_str_eq(addr_print_ip(&a, text), r->address);
}

/* ---- judging ---- */

struct judged {
	enum fate expected;
	enum arrival arrival;
	char listener[24], destination[32];
	bool configured, busy;		/* busy: somebody else has the port already */
	char policy[16];
	enum verdict verdict;
};

ParameterizedTestParameters(caught, verdicts)
{
	static struct judged cases[] = {
		{ FATE_DIRECT, ARRIVED_DIRECT, "", "", false, false, "ALLOW_ANY", VERDICT_GOOD },
		{ FATE_DIRECT, ARRIVED_LISTED, "virtualOutbound", OUT, false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_DIRECT, ARRIVED_ELSEWHERE, "", "", true, true, "ALLOW_ANY", VERDICT_GOOD },
		{ FATE_DIRECT, ARRIVED_ELSEWHERE, "", "", true, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_DIRECT, ARRIVED_NOWHERE, "", "", false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_DIRECT, ARRIVED_CLOSED, "", "", true, false, "REGISTRY_ONLY", VERDICT_BAD },
		{ FATE_OUTBOUND, ARRIVED_LISTED, "virtualOutbound", OUT, false, false, "ALLOW_ANY", VERDICT_GOOD },
		{ FATE_OUTBOUND, ARRIVED_LISTED, "0.0.0.0_80", OUT, false, false, "ALLOW_ANY", VERDICT_GOOD },
		{ FATE_OUTBOUND, ARRIVED_LISTED, "virtualOutbound", "192.0.2.1:81", false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_OUTBOUND, ARRIVED_LISTED, "virtualInbound", OUT, false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_OUTBOUND, ARRIVED_LISTED, "unknown", OUT, false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_OUTBOUND, ARRIVED_DIRECT, "", "", false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_OUTBOUND, ARRIVED_CLOSED, "", "", false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_OUTBOUND, ARRIVED_CLOSED, "", "", false, false, "REGISTRY_ONLY", VERDICT_GOOD },
		{ FATE_OUTBOUND, ARRIVED_CLOSED, "", "", true, false, "ALLOW_ANY", VERDICT_GOOD },
		{ FATE_OUTBOUND, ARRIVED_REFUSED, "", "", true, false, "REGISTRY_ONLY", VERDICT_BAD },
		{ FATE_INBOUND, ARRIVED_LISTED, "virtualInbound", OUT, false, false, "ALLOW_ANY", VERDICT_GOOD },
		{ FATE_INBOUND, ARRIVED_LISTED, "virtualOutbound", OUT, false, false, "ALLOW_ANY", VERDICT_BAD },
		{ FATE_INBOUND, ARRIVED_CLOSED, "", "", false, false, "REGISTRY_ONLY", VERDICT_BAD },
		{ FATE_UNKNOWN, ARRIVED_LISTED, "virtualInbound", OUT, false, false, "ALLOW_ANY", VERDICT_NONE },
	};

	return cr_make_param_array(struct judged, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct judged *j, caught, verdicts)
{
	json_t *settings = json_pack("{s:s, s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}", "outbound_traffic_policy", j->policy, "listeners",
	    "name", "virtualOutbound", "direction", "outbound", "name", "virtualInbound", "direction", "inbound",
	    "name", "0.0.0.0_80", "direction", "outbound");
	struct probe p = { .expected = j->expected, .arrival = j->arrival, .configured = j->configured, .listener = j->busy ? -1 : 9 };

	cr_assert_not_null(settings);
	cr_assert_eq(addr_parse(OUT, &p.to), 0);
	strcpy(p.seen_listener, j->listener);
	strcpy(p.seen_destination, j->destination);
	cr_expect_eq(verify_judge(&p, settings), j->verdict);
	strcpy(p.skipped, "not possible");
	cr_expect_eq(verify_judge(&p, settings), VERDICT_NONE);
	json_decref(settings);
}
