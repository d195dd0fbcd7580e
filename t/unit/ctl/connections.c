/* connections: what is chosen of the workers' lines, how it is shown, what is ended. */
#include "t/unit/ctl/fake.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct control_reply good = { .magic = CONTROL_MAGIC };

/* Not in the order of their ages. */
static const char lines[] =
    "1\t0\t5000\t100\topen\t192.0.2.1:1001\t198.51.100.9:3306\t198.51.100.9_3306\t198.51.100.9_3306/any\toutbound|3306||mysql\t"
    "127.0.0.1:3306\t10\t20480\n"
    "281474976710657\t1\t3600000\t0\topen\t192.0.2.2:1002\t203.0.113.7:80\tvirtualOutbound\tvirtualOutbound/pass\t"
    "PassthroughCluster\t203.0.113.7:80\t1\t2\n"
    "2\t0\t250\t250\tconnecting\t[2001:db8::1]:1003\t198.51.100.9:3306\t198.51.100.9_3306\t198.51.100.9_3306/any\t"
    "outbound|3306||mysql\t[::1]:3306\t0\t0\n"
    "3\t0\t250\t250\tnew\t192.0.2.1:1004\t-\tvirtualOutbound\t-\t-\t-\t0\t0\n";

TestSuite(connections, .init = fake_begin, .fini = fake_end, .timeout = 30);

Test(connections, the_table_is_sorted_by_age)
{
	const struct fake_answer a = { &good, lines };
	struct control_request q;
	char text[4096];

	cr_expect_eq(fake_run("connections", &a, 1, &q, text, sizeof(text)), 0);
	cr_expect_eq(q.verb, CONTROL_CONNECTIONS);
	cr_expect_str_eq(text,
	    "ID               WORKER  AGE    IDLE   STATE       CLIENT              DESTINATION        LISTENER           "
	    "CLUSTER               ENDPOINT        RX  TX\n"
	    "281474976710657  1       1h0m   0s     open        192.0.2.2:1002      203.0.113.7:80     virtualOutbound    "
	    "PassthroughCluster    203.0.113.7:80  1   2\n"
	    "1                0       5s     100ms  open        192.0.2.1:1001      198.51.100.9:3306  198.51.100.9_3306  "
	    "outbound|3306||mysql  127.0.0.1:3306  10  20K\n"
	    "2                0       250ms  250ms  connecting  [2001:db8::1]:1003  198.51.100.9:3306  198.51.100.9_3306  "
	    "outbound|3306||mysql  [::1]:3306      0   0\n"
	    "3                0       250ms  250ms  new         192.0.2.1:1004      -                  virtualOutbound    "
	    "-                     -               0   0\n", "%s", text);
}

Test(connections, json_has_all_fields_as_they_are)
{
	const struct fake_answer a = { &good, lines };
	json_t *all, *expected = json_loads("{\"id\": 1, \"worker\": 0, \"ageMs\": 5000, \"idleMs\": 100, \"state\": \"open\","
	    "\"client\": \"192.0.2.1:1001\", \"destination\": \"198.51.100.9:3306\", \"listener\": \"198.51.100.9_3306\","
	    "\"chain\": \"198.51.100.9_3306/any\", \"cluster\": \"outbound|3306||mysql\", \"endpoint\": \"127.0.0.1:3306\","
	    "\"received\": 10, \"sent\": 20480}", 0, NULL);
	char text[8192];

	cr_expect_eq(fake_run("connections -o json", &a, 1, NULL, text, sizeof(text)), 0);
	cr_assert_not_null(all = json_loads(text, 0, NULL), "%s", text);
	cr_expect_eq(json_array_size(all), 4);
	cr_expect(json_equal(json_array_get(all, 1), expected), "%s", text);
	json_decref(all);
	json_decref(expected);
}

struct filter_case {
	char arguments[96];
	char ids[64];			/* that are shown */
};

ParameterizedTestParameters(connections, filters)
{
	static struct filter_case cases[] = {
		{ "", "281474976710657 1 2 3 " },
		{ "--listener virtualOutbound", "281474976710657 3 " },
		{ "--listener virtual", "" },
		{ "--chain 198.51.100.9_3306/any", "1 2 " },
		{ "--cluster 'outbound|3306||mysql'", "1 2 " },
		{ "--endpoint 127.0.0.1:3306", "1 " },
		{ "--endpoint 'outbound|3306||mysql/[::1]:3306'", "2 " },
		{ "--endpoint 'outbound|3306||mysql/'", "" },
		{ "--worker 1", "281474976710657 " },
		{ "--worker 0 --older 250ms --older 1s", "1 " },
		{ "--older 250ms", "281474976710657 1 2 3 " },
		{ "--older 251ms", "281474976710657 1 " },
		{ "--older 2h", "" },
		{ "--client 192.0.2.1", "1 3 " },
		{ "--client 192.0.2.1:1004", "3 " },
		{ "--client 192.0.2.0/24", "281474976710657 1 3 " },
		{ "--client 2001:db8::/32", "2 " },
		{ "--client [2001:db8::1]:1003", "2 " },
		{ "--client 192.0.2.1 --listener virtualOutbound", "3 " },
	};

	return cr_make_param_array(struct filter_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct filter_case *c, connections, filters)
{
	const struct fake_answer a = { &good, lines };
	char arguments[128], text[4096], ids[128] = "", *rest = text, *line;

	snprintf(arguments, sizeof(arguments), "connections %s", c->arguments);
	cr_expect_eq(fake_run(arguments, &a, 1, NULL, text, sizeof(text)), 0, "%s", text);
	cr_assert_not_null(strsep(&rest, "\n"));
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%.*s ", (int)strcspn(line, " "), line);
	cr_expect_str_eq(ids, c->ids, "%s: %s", c->arguments, text);
}

/* ---- what is not as it should be ---- */

struct usage_case {
	char arguments[64];
	char words[64];
};

ParameterizedTestParameters(connections, usage)
{
	static struct usage_case cases[] = {
		{ "connections --kill", "which? (--all: all of them)" },
		{ "connections --worker 64", "--worker 64: a number up to 63" },
		{ "connections --worker -1", "--worker -1: a number up to 63" },
		{ "connections --older 5", "--older 5: a time such as 30s" },
		{ "connections --older 1001h", "at most 1000h" },
		{ "connections --older 0s", "a time such as 30s" },
		{ "connections --client localhost", "--client localhost: an address" },
		{ "connections --client 192.0.2.1/24", "--client 192.0.2.1/24: an address" },
		{ "connections kill", "kill: an operand is missing" },
		{ "connections kill 1 x", "x: not the ID of a connection" },
		{ "connections kill 0", "0: not the ID" },
		{ "connections kill 18446744073709551617", "not the ID" },
		{ "connections --worker 1 kill 5", "connections kill: flags belong after it" },
		{ "connections list", "meshctl: connections: no command \"list\"" },
		{ "drain", "one of --listener, --chain" },
		{ "drain --all --listener x", "drain: only one of --listener, --chain" },
		{ "drain --all --over 0s", "--over 0s: a time such as 30s is needed" },
		{ "drain --all --over 61min", "at most 1h" },
		{ "drain --all --over 4294967297h", "at most 1h" },
		{ "names colour", "names colour: listener, chain" },
		{ "names", "an operand is missing" },
	};

	return cr_make_param_array(struct usage_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct usage_case *c, connections, usage)
{
	char text[4096];

	cr_expect_eq(fake_run(c->arguments, NULL, 0, NULL, text, sizeof(text)), 2, "%s: %s", c->arguments, text);
	cr_expect_not_null(strstr(text, c->words), "%s: %s", c->arguments, text);
}

Test(connections, a_name_that_is_too_long_is_no_request)
{
	char arguments[400], text[4096];

	snprintf(arguments, sizeof(arguments), "drain --cluster %0300d", 0);
	cr_expect_eq(fake_run(arguments, NULL, 0, NULL, text, sizeof(text)), 2);
	cr_expect_not_null(strstr(text, "the name is too long"), "%s", text);
}

/* A worker that was taken over writes what it likes. */
Test(connections, odd_lines_are_counted_and_harm_nothing)
{
	const struct fake_answer a = { &good, "1\t0\t1\t1\topen\n\n"
	    "x\t0\t1\t1\topen\ta\tb\tc\td\te\tf\t1\t1\n"
	    "0\t0\t1\t1\topen\ta\tb\tc\td\te\tf\t1\t1\n"
	    "1\t0\t1\t1\topen\ta\tb\tc\td\te\tf\t1\t1\tmore\n"
	    "1\t0\t-1\t1\topen\ta\tb\tc\td\te\tf\t1\t1\n"
	    "1\t0\t99999999999999999999\t1\topen\ta\tb\tc\td\te\tf\t1\t1\n"
	    "7\t0\t1\t1\t\033[2J\ta\tb\tc\td\t\377\tf\t1\t9223372036854775807\nhalf" };
	char text[4096];

	cr_expect_eq(fake_run("connections", &a, 1, NULL, text, sizeof(text)), 1);
	cr_expect_not_null(strstr(text, "meshctl: lines of the answer that are not understood: 7\n"), "%s", text);
	cr_expect_not_null(strstr(text, "7   0       1ms  1ms   ?[2J"), "%s", text);
	cr_expect_null(strchr(text, '\033'));
	cr_expect_null(strchr(text, '\377'));
	cr_expect_eq(fake_run("connections -o json 2>/dev/null", &a, 1, NULL, text, sizeof(text)), 1);
}

Test(connections, a_list_that_is_not_whole_says_so)
{
	static const struct control_reply partial = { .magic = CONTROL_MAGIC, .text = "worker-1 did not answer" };
	const struct fake_answer a = { &partial, lines };
	char text[4096];

	cr_expect_eq(fake_run("connections", &a, 1, NULL, text, sizeof(text)), 1);
	cr_expect_not_null(strstr(text, "meshctl: worker-1 did not answer\n"));
	cr_expect_not_null(strstr(text, "192.0.2.1:1004"));
}

Test(connections, none_is_an_empty_table)
{
	const struct fake_answer a = { &good, NULL };
	char text[4096];

	cr_expect_eq(fake_run("connections", &a, 1, NULL, text, sizeof(text)), 0);
	cr_expect_eq(strncmp(text, "ID  WORKER  AGE", 15), 0, "%s", text);
	cr_expect_eq(fake_run("connections -o json", &a, 1, NULL, text, sizeof(text)), 0);
	cr_expect_str_eq(text, "[]\n");
}

/* ---- ending ---- */

Test(connections, kill_ends_what_is_shown_and_nothing_else)
{
	const struct fake_answer a[] = { { &good, lines }, { &good, NULL }, { &good, NULL } };
	struct control_request q[3];
	char text[4096];

	cr_expect_eq(fake_run("connections --kill --listener 198.51.100.9_3306", a, 3, q, text, sizeof(text)), 0, "%s", text);
	for (unsigned i = 1; i < 3; i++) {
		cr_expect_eq(q[i].verb, CONTROL_CLOSE);
		cr_expect_eq(q[i].number, i);
		cr_expect_eq(q[i].span_ms, 0);
	}
	cr_expect_not_null(strstr(text, "\n1   0"), "%s", text);
	cr_expect_not_null(strstr(text, "\n2   0"), "%s", text);
	cr_expect_null(strstr(text, "\n3   0"), "%s", text);
}

Test(connections, kill_of_all)
{
	const struct fake_answer a[] = { { &good, lines }, { &good, NULL }, { &good, NULL }, { &good, NULL }, { &good, NULL } };
	struct control_request q[5];
	char text[4096];

	cr_expect_eq(fake_run("connections --kill --all", a, 5, q, text, sizeof(text)), 0);
	cr_expect_eq(q[1].number, 281474976710657u);
	cr_expect_eq(q[4].number, 3);
}

Test(connections, kill_stops_where_the_master_refuses)
{
	static const struct control_reply no = { .magic = CONTROL_MAGIC, .status = 1, .text = "meshd is stopping" };
	const struct fake_answer a[] = { { &good, lines }, { &good, NULL }, { &no, NULL } };
	char text[4096];

	cr_expect_eq(fake_run("connections --kill --all", a, 3, NULL, text, sizeof(text)), 1);
	cr_expect_not_null(strstr(text, "meshctl: meshd is stopping\n"));
	cr_expect_not_null(strstr(text, "281474976710657"), "what was ended before is shown: %s", text);
	cr_expect_null(strstr(text, "192.0.2.1:1001"), "%s", text);
}

Test(connections, kill_by_id_says_what_is_not_there)
{
	const struct fake_answer a[] = { { &good, lines }, { &good, NULL }, { &good, NULL } };
	struct control_request q[3];
	char text[4096];

	cr_expect_eq(fake_run("connections kill 3 99 281474976710657", a, 3, q, text, sizeof(text)), 1);
	cr_expect_eq(q[1].number, 3);
	cr_expect_eq(q[2].number, 281474976710657u);
	cr_expect_not_null(strstr(text, "meshctl: no connection 99\n"), "%s", text);
}
