/* master/ruleset.c, restore.c: the text of interception rules, and taking them out again. */
#include "master/restore.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPENING "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN "

static struct image_port_range inbound[] = { { 22, 22 }, { 8000, 8009 } }, outbound[] = { { 3306, 3306 } };

static const struct rules all = {
	.mode = INTERCEPT_REDIRECT, .worker_uid = 901, .agent_uid = 902, .outbound_port = 15001, .outbound_last = 15001,
	.inbound_port = 15006, .inbound_sources = 1, .every_inbound_port = true, .every_outbound_range = true, .every_user = true,
	.every_group = true, .mark = 1337, .table = 133, .exclude_inbound = { inbound, 2 }, .exclude_outbound = { outbound, 1 },
};

/* What applying prints, malloc'ed. */
static char *apply(const struct rules *r, int family, const char *saved)
{
	struct ruleset *set = ruleset_make(r, family);
	char *text = restore_apply(set, saved);

	ruleset_free(set);
	return text;
}

#define CHAINS ":MESHD_REDIRECT - [0:0]\n:MESHD_IN_REDIRECT - [0:0]\n:MESHD_INBOUND - [0:0]\n:MESHD_OUTPUT - [0:0]\n"

Test(rules, the_order_is_istios)
{
	char *text = apply(&all, AF_INET, "");

	cr_assert_str_eq(text,
	    "*nat\n" CHAINS
	    "-A MESHD_REDIRECT " OPENING "-j REDIRECT --to-ports 15001\n"
	    "-A MESHD_IN_REDIRECT " OPENING "-j REDIRECT --to-ports 15006\n"
	    "-A MESHD_INBOUND -m addrtype ! --dst-type LOCAL -j RETURN\n"
	    "-A MESHD_INBOUND -p tcp -m tcp --dport 22 -j RETURN\n"
	    "-A MESHD_INBOUND -p tcp -m tcp --dport 8000:8009 -j RETURN\n"
	    "-A MESHD_INBOUND -j MESHD_IN_REDIRECT\n"
	    "-A PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-A MESHD_OUTPUT -p tcp -m tcp --dport 3306 -j RETURN\n"
	    "-A MESHD_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN\n"
	    "-A MESHD_OUTPUT -m owner --uid-owner 902 -j RETURN\n"
	    "-A MESHD_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 901 -j MESHD_IN_REDIRECT\n"
	    "-A MESHD_OUTPUT -o lo -m owner ! --uid-owner 901 -j RETURN\n"
	    "-A MESHD_OUTPUT -m owner --uid-owner 901 -j RETURN\n"
	    "-A MESHD_OUTPUT -d 127.0.0.1/32 -j RETURN\n"
	    "-A MESHD_OUTPUT -j MESHD_REDIRECT\n"
	    "-A OUTPUT -j MESHD_OUTPUT\n"
	    "COMMIT\n");
	free(text);
}

/* Each of these lines is in the text, in this order; those of the second list are not in it. */
static void expect(const struct rules *r, int family, const char *const *lines, const char *const *absent)
{
	char *text = apply(r, family, ""), line[512];
	const char *at = text;

	for (; *lines != NULL; lines++) {
		const char *found;

		snprintf(line, sizeof(line), "\n%s\n", *lines);
		found = strstr(at, line);
		cr_expect_not_null(found, "%s: not there, or not in order: %s", *lines, text);
		at = found != NULL ? found + 1 : at;
	}
	for (; *absent != NULL; absent++)
		cr_expect_null(strstr(text, *absent), "%s: %s", *absent, text);
	free(text);
}

#define LINES(...) (const char *const []){ __VA_ARGS__, NULL }
#define NONE (const char *const []){ NULL }

Test(rules, ipv6_has_its_own_loopback)
{
	expect(&all, AF_INET6, LINES("-A MESHD_OUTPUT -s ::6/128 -o lo -j RETURN",
	    "-A MESHD_OUTPUT ! -d ::1/128 -o lo -p tcp -m owner --uid-owner 901 -j MESHD_IN_REDIRECT",
	    "-A MESHD_OUTPUT -d ::1/128 -j RETURN"), LINES("127.0.0"));
}

Test(rules, one_user_for_both_needs_one_rule)
{
	struct rules r = all;

	r.agent_uid = r.worker_uid;
	expect(&r, AF_INET, LINES("-A MESHD_OUTPUT -m owner --uid-owner 901 -j RETURN"), LINES("--uid-owner 902"));
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
	return p;
}

Test(rules, ranges_ports_and_owners)
{
	struct prefix in[] = { prefix("10.0.0.0/8"), prefix("2001:db8::/32"), prefix("0.0.0.0/0") }, out[] = { prefix("10.1.0.0/16") };
	struct owner users[] = { { 1000, 1999 }, { 7, 7 } }, groups[] = { { 5, 5 }, { 6, 6 } };
	char *excluded[] = { (char *)(uintptr_t)"eth1" }, *guests[] = { (char *)(uintptr_t)"tap+" };
	struct rules r = all;

	r.every_outbound_range = false;
	r.include_ranges = (struct prefixes){ in, 3 };
	r.exclude_ranges = (struct prefixes){ out, 1 };
	r.include_outbound = (struct ports){ outbound, 1 };
	r.exclude_outbound.count = 0;
	r.exclude_dns = true;
	r.every_user = false;
	r.include_users = (struct owners){ users, 2 };
	r.exclude_groups = (struct owners){ groups, 2 };
	r.exclude_interfaces = (struct names){ excluded, 1 };
	r.guest_interfaces = (struct names){ guests, 1 };
	r.outbound_last = 15004;
	r.inbound_sources = 2;
	expect(&r, AF_INET, LINES("-A MESHD_REDIRECT " OPENING "-j REDIRECT --to-ports 15001-15004",
	    "-A MESHD_INBOUND -i eth1 -j RETURN",
	    "-A MESHD_INBOUND -d 10.0.0.0/8 -i tap+ -j MESHD_REDIRECT",
	    "-A MESHD_INBOUND -i tap+ -j MESHD_REDIRECT",
	    "-A MESHD_INBOUND -i tap+ -j RETURN",
	    "-A MESHD_INBOUND -j MESHD_IN_REDIRECT",
	    "-A MESHD_OUTPUT -o eth1 -j RETURN",
	    "-A MESHD_OUTPUT -p tcp -m tcp --dport 53 -j RETURN",
	    "-A MESHD_OUTPUT -p udp -m udp --dport 53 -j RETURN",
	    "-A MESHD_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN",
	    "-A MESHD_OUTPUT -s 127.0.0.7/32 -o lo -j RETURN",
	    "-A MESHD_OUTPUT -m owner --uid-owner 901 -j RETURN",
	    "-A MESHD_OUTPUT -m owner ! --uid-owner 1000-1999 -m owner ! --uid-owner 7 -j RETURN",
	    "-A MESHD_OUTPUT -m owner --gid-owner 5 -j RETURN",
	    "-A MESHD_OUTPUT -m owner --gid-owner 6 -j RETURN",
	    "-A MESHD_OUTPUT -d 127.0.0.1/32 -j RETURN",
	    "-A MESHD_OUTPUT -d 10.1.0.0/16 -j RETURN",
	    "-A MESHD_OUTPUT -p tcp -m tcp --dport 3306 -j MESHD_REDIRECT",
	    "-A MESHD_OUTPUT -d 10.0.0.0/8 -j MESHD_REDIRECT",
	    "-A MESHD_OUTPUT -j MESHD_REDIRECT"), LINES("2001:db8"));
	r.include_ranges.count = 2;
	expect(&r, AF_INET6, LINES("-A MESHD_OUTPUT -d 2001:db8::/32 -j MESHD_REDIRECT"),
	    LINES("10.", "-A MESHD_OUTPUT -j MESHD_REDIRECT"));
}

Test(rules, an_empty_list_of_users_is_nobody)
{
	struct rules r = all;

	r.every_user = false;
	expect(&r, AF_INET, LINES("-A MESHD_OUTPUT -j RETURN", "-A MESHD_OUTPUT -j MESHD_REDIRECT"), NONE);
}

Test(rules, loopback_is_caught_where_it_is_named)
{
	struct prefix in[] = { prefix("127.1.0.0/16") };
	struct rules r = all;

	r.every_outbound_range = false;
	r.include_ranges = (struct prefixes){ in, 1 };
	expect(&r, AF_INET, LINES("-A MESHD_OUTPUT -d 127.1.0.0/16 -j MESHD_REDIRECT"), LINES("! --uid-owner 901"));
	expect(&r, AF_INET6, LINES("-A MESHD_OUTPUT -d ::1/128 -j RETURN"), LINES("! --uid-owner 901"));
}

Test(rules, inbound_by_list_or_not_at_all)
{
	struct rules r = all;

	r.every_inbound_port = false;
	r.include_inbound = (struct ports){ inbound, 2 };
	expect(&r, AF_INET, LINES("-A MESHD_INBOUND -p tcp -m tcp --dport 22 -j MESHD_IN_REDIRECT",
	    "-A MESHD_INBOUND -p tcp -m tcp --dport 8000:8009 -j MESHD_IN_REDIRECT"), LINES("-A MESHD_INBOUND -j MESHD_IN_REDIRECT"));
	r.include_inbound.count = 0;
	expect(&r, AF_INET, LINES("-A OUTPUT -j MESHD_OUTPUT"), LINES("PREROUTING", "MESHD_INBOUND"));
}

Test(rules, tproxy_is_istios_too)
{
	char eth9[] = "eth9", *interface[] = { eth9 }, *text;
	struct rules r = all;

	r.mode = INTERCEPT_TPROXY;
	r.drop_invalid = true;
	r.exclude_inbound.count = 1;
	r.exclude_interfaces = (struct names){ interface, 1 };
	text = apply(&r, AF_INET, "");
	*strstr(text, "*nat") = '\0';
	cr_assert_str_eq(text,
	    "*mangle\n:MESHD_DROP - [0:0]\n:MESHD_DIVERT - [0:0]\n:MESHD_TPROXY - [0:0]\n:MESHD_INBOUND - [0:0]\n:MESHD_OUTPUT - [0:0]\n"
	    "-A MESHD_DROP -j DROP\n"
	    "-A PREROUTING -m conntrack --ctstate INVALID -j MESHD_DROP\n"
	    "-A MESHD_DIVERT -j MARK --set-xmark 0x539/0xffffffff\n"
	    "-A MESHD_DIVERT -j ACCEPT\n"
	    "-A MESHD_TPROXY ! -d 127.0.0.1/32 " OPENING "-j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff\n"
	    "-A MESHD_INBOUND -m mark --mark 0x539 -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff\n"
	    "-A MESHD_INBOUND -m mark --mark 0x539 -j RETURN\n"
	    "-A MESHD_INBOUND -m conntrack --ctdir REPLY -j RETURN\n"
	    "-A MESHD_INBOUND -i eth9 -j RETURN\n"
	    "-A MESHD_INBOUND -s 127.0.0.6/32 -i lo -j RETURN\n"
	    "-A MESHD_INBOUND -m addrtype ! --dst-type LOCAL -j RETURN\n"
	    "-A MESHD_INBOUND -i lo -m mark ! --mark 0x53a -j RETURN\n"
	    "-A MESHD_INBOUND -p tcp -m tcp --dport 22 -j RETURN\n"
	    "-A MESHD_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j MESHD_DIVERT\n"
	    "-A MESHD_INBOUND -p tcp -j MESHD_TPROXY\n"
	    "-A PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-A MESHD_OUTPUT -o lo -m mark --mark 0x539 -j RETURN\n"
	    "-A MESHD_OUTPUT -m connmark --mark 0x539 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff\n"
	    "-A MESHD_OUTPUT -o eth9 -j RETURN\n"
	    "-A MESHD_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --uid-owner 901 -j MARK --set-xmark 0x53a/0xffffffff\n"
	    "-A OUTPUT -p tcp -j MESHD_OUTPUT\n"
	    "COMMIT\n");
	free(text);
	expect(&r, AF_INET, LINES("*nat", "-A OUTPUT -j MESHD_OUTPUT"), LINES("MESHD_IN_REDIRECT"));
}

Test(rules, each_rule_has_a_reason)
{
	struct rules r = all;
	struct ruleset *set;

	r.mode = INTERCEPT_TPROXY;
	set = ruleset_make(&r, AF_INET6);
	for (uint32_t i = 0; i < set->count; i++)
		cr_expect_eq(set->rows[i].text == NULL, set->rows[i].reason == NULL, "%s", set->rows[i].text);
	ruleset_free(set);
}

/* What iptables-save says of a table where rules are in already, beside those of somebody else. */
#define OTHERS_BEFORE "-A PREROUTING -p tcp -m tcp --dport 80 -m comment --comment \"not -j MESHD_INBOUND\" -j DOCKER\n"
#define OTHERS_AFTER  "-A OUTPUT -p tcp -j NOT_MESHD_OUTPUT\n-A DOCKER -j RETURN\n"
#define TABLE(JUMPS) "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n:MESHD_INBOUND - [0:0]\n"	\
	":MESHD_IN_REDIRECT - [0:0]\n:MESHD_OUTPUT - [0:0]\n:NOT_MESHD_OUTPUT - [0:0]\n:MESHD_REDIRECT - [0:0]\n"		\
	OTHERS_BEFORE JUMPS OTHERS_AFTER "-A MESHD_INBOUND -j MESHD_IN_REDIRECT\nCOMMIT\n"
#define IN  "-A PREROUTING -p tcp -j MESHD_INBOUND\n"
#define OUT "-A OUTPUT -j MESHD_OUTPUT\n"
#define OLD "-A OUTPUT -p tcp -j MESHD_OUTPUT\n"		/* of an earlier meshd */

struct jumps {
	const char *saved;
	unsigned add_in, add_out, del_in, del_out, del_old;	/* lines that applying has to print */
	unsigned clear_in, clear_out, clear_old;		/* and clearing */
};

static unsigned count(const char *text, const char *line)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, line)) != NULL; p++)
		n += p == text || p[-1] == '\n';
	return n;
}

Test(rules, there_is_one_jump_each_however_many_there_were)
{
	static const struct jumps rows[] = {
		{ "", 1, 1, 0, 0, 0, 0, 0, 0 },
		{ TABLE(""), 1, 1, 0, 0, 0, 0, 0, 0 },
		{ TABLE(IN), 0, 1, 0, 0, 0, 1, 0, 0 },
		{ TABLE(IN OUT), 0, 0, 0, 0, 0, 1, 1, 0 },
		{ TABLE(IN IN IN OUT OUT), 0, 0, 2, 1, 0, 3, 2, 0 },
		{ TABLE(IN OLD), 0, 1, 0, 0, 1, 1, 0, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = apply(&all, AF_INET, rows[i].saved), *clear;

		cr_expect_eq(count(text, "-A PREROUTING -p tcp -j MESHD_INBOUND\n"), rows[i].add_in, "row %zu", i);
		cr_expect_eq(count(text, "-A OUTPUT -j MESHD_OUTPUT\n"), rows[i].add_out, "row %zu", i);
		cr_expect_eq(count(text, "-D PREROUTING -p tcp -j MESHD_INBOUND\n"), rows[i].del_in, "row %zu", i);
		cr_expect_eq(count(text, "-D OUTPUT -j MESHD_OUTPUT\n"), rows[i].del_out, "row %zu", i);
		cr_expect_eq(count(text, "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"), rows[i].del_old, "row %zu", i);
		cr_expect_eq(restore_clear(rows[i].saved, &clear), 0);
		cr_expect_eq(clear == NULL, i == 0, "row %zu", i);
		if (clear != NULL) {
			cr_expect_eq(count(clear, "-D PREROUTING -p tcp -j MESHD_INBOUND\n"), rows[i].clear_in, "row %zu", i);
			cr_expect_eq(count(clear, "-D OUTPUT -j MESHD_OUTPUT\n"), rows[i].clear_out, "row %zu", i);
			cr_expect_eq(count(clear, "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"), rows[i].clear_old, "row %zu", i);
		}
		free(text);
		free(clear);
	}
}

Test(rules, clearing_touches_nobody_elses)
{
	char *text;

	cr_assert_eq(restore_clear(TABLE(IN OUT), &text), 0);
	cr_assert_str_eq(text,
	    "*nat\n"
	    "-D PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-D OUTPUT -j MESHD_OUTPUT\n"
	    "-F MESHD_INBOUND\n-F MESHD_IN_REDIRECT\n-F MESHD_OUTPUT\n-F MESHD_REDIRECT\n"
	    "-X MESHD_INBOUND\n-X MESHD_IN_REDIRECT\n-X MESHD_OUTPUT\n-X MESHD_REDIRECT\n"
	    "COMMIT\n");
	free(text);
	cr_assert_eq(restore_clear("*nat\n:DOCKER - [0:0]\n" OTHERS_BEFORE "COMMIT\n", &text), 0);
	cr_assert_null(text, "nothing of ours is there");
}

Test(rules, a_chain_that_is_wanted_no_more_goes)
{
	static const char saved[] = "*mangle\n:PREROUTING ACCEPT [0:0]\n:MESHD_DROP - [0:0]\n"
	    "[3:120] -A PREROUTING -m conntrack --ctstate INVALID -j MESHD_DROP\n[3:120] -A MESHD_DROP -j DROP\nCOMMIT\n";
	char *text = apply(&all, AF_INET, saved);

	cr_expect_not_null(strstr(text, "*mangle\n-D PREROUTING -m conntrack --ctstate INVALID -j MESHD_DROP\n-F MESHD_DROP\n"
	    "-X MESHD_DROP\nCOMMIT\n*nat\n"), "%s", text);
	free(text);
}

Test(rules, releasing_keeps_the_chains_and_their_rules)
{
	static const char tproxy[] = "*mangle\n:MESHD_INBOUND - [0:0]\n:MESHD_TPROXY - [0:0]\n-A PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-A MESHD_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --on-port 15006\nCOMMIT\n";
	char *text;

	cr_assert_eq(restore_release(TABLE(IN OUT OUT), &text), 0);
	cr_assert_str_eq(text,
	    "*nat\n"
	    "-D PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-D OUTPUT -j MESHD_OUTPUT\n"
	    "-D OUTPUT -j MESHD_OUTPUT\n"
	    "COMMIT\n");
	free(text);
	cr_assert_eq(restore_release(tproxy, &text), 0);
	cr_assert_str_eq(text, "*mangle\n-D MESHD_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --on-port 15006\nCOMMIT\n");
	free(text);
	cr_assert_eq(restore_release(TABLE(""), &text), 0);
	cr_assert_null(text);
}

Test(rules, what_a_broken_start_left_is_cleared)
{
	char *text;

	cr_assert_eq(restore_clear("*nat\n:MESHD_REDIRECT - [0:0]\nCOMMIT\n", &text), 0);
	cr_assert_str_eq(text, "*nat\n-F MESHD_REDIRECT\n-X MESHD_REDIRECT\nCOMMIT\n");
	free(text);
}
