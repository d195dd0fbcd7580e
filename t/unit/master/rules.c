/* master/rules.c: the text of interception rules, and taking it out again. */
#include "master/rules.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct image_port_range inbound[] = { { 22, 22 }, { 8000, 8009 } }, outbound[] = { { 3306, 3306 } };

static const struct rules all = {
	.worker_uid = 901, .agent_uid = 902, .outbound_port = 15001, .inbound_port = 15006,
	.exclude_inbound = inbound, .exclude_inbound_count = 2, .exclude_outbound = outbound, .exclude_outbound_count = 1,
};

#define CHAINS ":MESHD_INBOUND - [0:0]\n:MESHD_OUTPUT - [0:0]\n:MESHD_REDIRECT - [0:0]\n:MESHD_IN_REDIRECT - [0:0]\n"

Test(rules, the_order_is_istios)
{
	char *text = rules_apply_text(&all, AF_INET, "");

	cr_assert_str_eq(text,
	    "*nat\n" CHAINS
	    "-A MESHD_REDIRECT -p tcp -j REDIRECT --to-ports 15001\n"
	    "-A MESHD_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006\n"
	    "-A MESHD_INBOUND -p tcp --dport 22 -j RETURN\n"
	    "-A MESHD_INBOUND -p tcp --dport 8000:8009 -j RETURN\n"
	    "-A MESHD_INBOUND -j MESHD_IN_REDIRECT\n"
	    "-A MESHD_OUTPUT -p tcp --dport 3306 -j RETURN\n"
	    "-A MESHD_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN\n"
	    "-A MESHD_OUTPUT -m owner --uid-owner 902 -j RETURN\n"
	    "-A MESHD_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 901 -j MESHD_IN_REDIRECT\n"
	    "-A MESHD_OUTPUT -o lo -m owner ! --uid-owner 901 -j RETURN\n"
	    "-A MESHD_OUTPUT -m owner --uid-owner 901 -j RETURN\n"
	    "-A MESHD_OUTPUT -d 127.0.0.1/32 -j RETURN\n"
	    "-A MESHD_OUTPUT -j MESHD_REDIRECT\n"
	    "-A PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-A OUTPUT -p tcp -j MESHD_OUTPUT\n"
	    "COMMIT\n");
	free(text);
}

Test(rules, ipv6_has_its_own_loopback)
{
	char *text = rules_apply_text(&all, AF_INET6, "");

	cr_assert_null(strstr(text, "127.0.0"));
	cr_assert_not_null(strstr(text, "-A MESHD_OUTPUT -s ::1/128 -o lo -j RETURN\n"));
	cr_assert_not_null(strstr(text, "! -d ::1/128 -o lo"));
	cr_assert_not_null(strstr(text, "-A MESHD_OUTPUT -d ::1/128 -j RETURN\n"));
	free(text);
}

Test(rules, one_user_for_both_needs_one_rule)
{
	struct rules r = all;
	char *text;

	r.agent_uid = r.worker_uid;
	text = rules_apply_text(&r, AF_INET, "");
	cr_assert_null(strstr(text, "-A MESHD_OUTPUT -m owner --uid-owner 902"));
	cr_assert_not_null(strstr(text, "-A MESHD_OUTPUT -m owner --uid-owner 901 -j RETURN\n"));
	free(text);
}

/* What iptables-save says of a table where rules are in already, beside those of somebody else. */
#define OTHERS_BEFORE "-A PREROUTING -p tcp -m tcp --dport 80 -j DOCKER\n"
#define OTHERS_AFTER  "-A OUTPUT -p tcp -j MESHD_OUTPUT_OF_ANOTHER\n-A DOCKER -j RETURN\n"
#define TABLE(JUMPS) "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n:MESHD_INBOUND - [0:0]\n"	\
	":MESHD_IN_REDIRECT - [0:0]\n:MESHD_OUTPUT - [0:0]\n:MESHD_OUTPUT_OF_ANOTHER - [0:0]\n:MESHD_REDIRECT - [0:0]\n"	\
	OTHERS_BEFORE JUMPS OTHERS_AFTER "-A MESHD_INBOUND -j MESHD_IN_REDIRECT\nCOMMIT\n"
#define IN  "-A PREROUTING -p tcp -j MESHD_INBOUND\n"
#define OUT "-A OUTPUT -p tcp -j MESHD_OUTPUT\n"

struct jumps {
	const char *saved;
	unsigned add_in, add_out, del_in, del_out;	/* lines that applying has to print */
	unsigned clear_in, clear_out;			/* and clearing */
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
		{ "", 1, 1, 0, 0, 0, 0 },
		{ TABLE(""), 1, 1, 0, 0, 0, 0 },
		{ TABLE(IN), 0, 1, 0, 0, 1, 0 },
		{ TABLE(IN OUT), 0, 0, 0, 0, 1, 1 },
		{ TABLE(IN IN IN OUT OUT), 0, 0, 2, 1, 3, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *apply = rules_apply_text(&all, AF_INET, rows[i].saved), *clear;

		cr_expect_eq(count(apply, "-A PREROUTING -p tcp -j MESHD_INBOUND\n"), rows[i].add_in, "row %zu", i);
		cr_expect_eq(count(apply, "-A OUTPUT -p tcp -j MESHD_OUTPUT\n"), rows[i].add_out, "row %zu", i);
		cr_expect_eq(count(apply, "-D PREROUTING -p tcp -j MESHD_INBOUND\n"), rows[i].del_in, "row %zu", i);
		cr_expect_eq(count(apply, "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"), rows[i].del_out, "row %zu", i);
		cr_expect_eq(rules_clear_text(rows[i].saved, &clear), 0);
		cr_expect_eq(clear == NULL, i == 0, "row %zu", i);
		if (clear != NULL) {
			cr_expect_eq(count(clear, "-D PREROUTING -p tcp -j MESHD_INBOUND\n"), rows[i].clear_in, "row %zu", i);
			cr_expect_eq(count(clear, "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"), rows[i].clear_out, "row %zu", i);
		}
		free(apply);
		free(clear);
	}
}

Test(rules, clearing_touches_nobody_elses)
{
	char *text;

	cr_assert_eq(rules_clear_text(TABLE(IN OUT), &text), 0);
	cr_assert_str_eq(text,
	    "*nat\n"
	    "-D PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"
	    "-F MESHD_INBOUND\n-F MESHD_OUTPUT\n-F MESHD_REDIRECT\n-F MESHD_IN_REDIRECT\n"
	    "-X MESHD_INBOUND\n-X MESHD_OUTPUT\n-X MESHD_REDIRECT\n-X MESHD_IN_REDIRECT\n"
	    "COMMIT\n");
	free(text);
	cr_assert_eq(rules_clear_text("*nat\n:DOCKER - [0:0]\n" OTHERS_BEFORE "COMMIT\n", &text), 0);
	cr_assert_null(text, "nothing of ours is there");
}

Test(rules, releasing_keeps_the_chains_and_their_rules)
{
	char *text;

	cr_assert_eq(rules_release_text(TABLE(IN OUT OUT), &text), 0);
	cr_assert_str_eq(text,
	    "*nat\n"
	    "-D PREROUTING -p tcp -j MESHD_INBOUND\n"
	    "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"
	    "-D OUTPUT -p tcp -j MESHD_OUTPUT\n"
	    "COMMIT\n");
	free(text);
	cr_assert_eq(rules_release_text(TABLE(""), &text), 0);
	cr_assert_null(text);
}

Test(rules, what_a_broken_start_left_is_cleared)
{
	char *text;

	cr_assert_eq(rules_clear_text("*nat\n:MESHD_REDIRECT - [0:0]\nCOMMIT\n", &text), 0);
	cr_assert_str_eq(text, "*nat\n-F MESHD_REDIRECT\n-X MESHD_REDIRECT\nCOMMIT\n");
	free(text);
}
