/* reload and intercept: what meshctl asks on control.sock and what it makes of the answer.  The test is the master. */
#include "common/wire.h"
#include "t/unit/ctl/fake.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(control, .init = fake_begin, .fini = fake_end, .timeout = 30);

static struct control_request converse(const char *arguments, const struct control_reply *reply, const char *lines, char *text,
    size_t room, int *status_r)
{
	const struct fake_answer a = { reply, lines };
	struct control_request q;

	*status_r = fake_run(arguments, &a, 1, &q, text, room);
	return q;
}

Test(control, reload_waits_and_says_the_generation)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .generation = 7, .text = "generation 7 is adopted" };
	struct control_request q;
	char text[512];
	int status;

	q = converse("reload --wait --timeout 90s", &r, NULL, text, sizeof(text), &status);
	cr_expect_eq(q.magic, CONTROL_MAGIC);
	cr_expect_eq(q.verb, CONTROL_RELOAD);
	cr_expect_eq(q.flags, CONTROL_WAIT);
	cr_expect_eq(q.timeout_ms, 90000);
	cr_expect_eq(status, 0);
	cr_expect_str_eq(text, "generation 7 is adopted\n");

	q = converse("-o json reload", &r, NULL, text, sizeof(text), &status);
	cr_expect_eq(q.flags, 0);
	cr_expect_eq(q.timeout_ms, 30000);
	cr_expect_str_eq(text, "{\n    \"generation\": 7,\n    \"text\": \"generation 7 is adopted\"\n}\n");
}

Test(control, a_refused_reload_prints_the_lines_of_the_report)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .status = 1, .generation = 6, .text = "2 errors" };
	static const char lines[] = "a.conf:1: workers: x\na.conf:2: node: y\n";
	char text[512];
	int status;

	converse("reload", &r, lines, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "a.conf:1: workers: x\na.conf:2: node: y\nmeshctl: 2 errors\n");
}

Test(control, intercept_asks_for_its_verb)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "rules are in" };
	char text[512];
	int status;

	cr_expect_eq(converse("intercept apply", &r, NULL, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_APPLY);
	cr_expect_str_eq(text, "rules are in\n");
	cr_expect_eq(converse("intercept clear", &r, NULL, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_CLEAR);
	cr_expect_str_eq(text, "rules are in\n");
	cr_expect_eq(converse("intercept confirm", &r, NULL, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_CONFIRM);
}

Test(control, intercept_apply_says_how)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "rules are in" };
	struct control_request q;
	char text[512];
	int status;

	q = converse("intercept apply", &r, NULL, text, sizeof(text), &status);
	cr_expect(q.flags == 0 && q.span_ms == 0);
	q = converse("intercept apply --force --confirm 60s", &r, NULL, text, sizeof(text), &status);
	cr_expect(q.flags == CONTROL_FORCE && q.span_ms == 60000);
	cr_expect_eq(converse("intercept clear --force", &r, NULL, text, sizeof(text), &status).flags, CONTROL_FORCE);
}

Test(control, a_plan_is_text_for_iptables_restore_with_reasons)
{
	static const char lines[] =
	    "plan\tipv4\tnat\t-A MESHD_REDIRECT -p tcp -j REDIRECT --to-ports 15001\tthe outbound port\n"
	    "plan\tipv4\tnat\t-A OUTPUT -j MESHD_OUTPUT\twhat is sent\n"
	    "plan\tipv6\tip\tip -6 addr add ::6/128 dev lo\tthe source\nfinding\tthere is \x1b[1m one\nnonsense\nplan\tx\n";
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "by iptables-nft-restore" };
	char text[2048];
	int status;

	cr_expect_eq(converse("intercept plan", &r, lines, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_PLAN);
	cr_expect_eq(status, 0);
	cr_expect_str_eq(text,
	    "# ipv4, table nat\n"
	    "-A MESHD_REDIRECT -p tcp -j REDIRECT --to-ports 15001  # the outbound port\n"
	    "-A OUTPUT -j MESHD_OUTPUT                              # what is sent\n"
	    "# ipv6\n"
	    "ip -6 addr add ::6/128 dev lo  # the source\n"
	    "# by iptables-nft-restore\n"
	    "! there is ?[1m one\n");
}

Test(control, status_is_words_and_a_table)
{
	static const char lines[] =
	    "rule\tipv4\tnft\tnat\tMESHD_REDIRECT\t12\t2048\t-p tcp -j REDIRECT --to-ports 15001\n"
	    "fact\trules\tin\nfact\tversion\t0.1.0\nfact\tpid\t77\nfact\tmeshd\truns\nfact\tgeneration\t3\nfact\tage_s\t61\n"
	    "fact\tipv4\tnft\nfact\tunconfirmed_s\t9\nfact\tbeside\tip -6 addr ::6/128 dev lo\nfinding\tsomething\n";
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "interception rules: in" };
	char text[4096];
	int status;

	cr_expect_eq(converse("intercept status", &r, lines, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_STATUS);
	cr_expect_str_eq(text,
	    "rules: in, by meshd 0.1.0 (pid 77, which runs), generation 3, for 1m1s\n"
	    "iptables: nft for IPv4, none for IPv6\n"
	    "not confirmed: out again in 9 s\n"
	    "beside them: ip -6 addr ::6/128 dev lo\n"
	    "FAMILY   TABLE   CHAIN            PACKETS   BYTES   RULE\n"
	    "ipv4     nat     MESHD_REDIRECT   12        2.0K    -p tcp -j REDIRECT --to-ports 15001\n"
	    "! something\n");
	converse("-o json intercept status", &r, lines, text, sizeof(text), &status);
	cr_expect_not_null(strstr(text, "\"packets\": 12,"), "%s", text);
	cr_expect_not_null(strstr(text, "\"rules\": \"in\""), "%s", text);
}

Test(control, answers_that_are_none)
{
	const struct control_reply wrong = { .magic = 5 };
	char text[512];
	int status;

	converse("reload", NULL, NULL, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "meshctl: meshd ended without an answer\n");
	converse("reload", &wrong, NULL, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "meshctl: control.sock: not an answer of meshd\n");
}

/* The master says no and hangs up, before the request has come or with the request unread. */
static void refuse(bool let_it_come)
{
	const struct control_reply no = { .magic = CONTROL_MAGIC, .status = 1, .text = "only root and members of admin_group may ask this" };
	struct pollfd p = { .events = POLLIN };
	FILE *from = fake_start("reload");
	char text[512] = "";

	p.fd = accept(fake_listener, NULL, NULL);
	if (let_it_come)
		cr_assert_eq(poll(&p, 1, 10000), 1);
	record_send(p.fd, &no, sizeof(no), -1);
	close(p.fd);
	cr_assert_not_null(fgets(text, sizeof(text), from));
	cr_expect_str_eq(text, "meshctl: only root and members of admin_group may ask this\n");
	cr_expect_eq(WEXITSTATUS(pclose(from)), 1);
}

Test(control, who_is_not_allowed_reads_why)
{
	refuse(false);
	refuse(true);
}

/* ---- drain ---- */

struct drain_case {
	char arguments[80];
	char name[64];
	uint32_t span_ms;
};

ParameterizedTestParameters(control, drain)
{
	static struct drain_case cases[] = {
		{ "drain --listener 198.51.100.9_3306", "listener 198.51.100.9_3306", 30000 },
		{ "drain --chain a/b --over 250ms", "chain a/b", 250 },
		{ "drain --cluster 'outbound|3306||mysql' --over 10min", "cluster outbound|3306||mysql", 600000 },
		{ "drain --over=1h --endpoint 'c/[::1]:80'", "endpoint c/[::1]:80", 3600000 },
		{ "drain --all", "all", 30000 },
	};

	return cr_make_param_array(struct drain_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct drain_case *c, control, drain)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "2 workers were told" };
	struct control_request q;
	char text[512];
	int status;

	q = converse(c->arguments, &r, NULL, text, sizeof(text), &status);
	cr_expect_eq(q.verb, CONTROL_CLOSE);
	cr_expect_eq(q.number, 0);
	cr_expect_str_eq(q.name, c->name);
	cr_expect_eq(q.span_ms, c->span_ms, "%s: %u", c->arguments, q.span_ms);
	cr_expect_eq(status, 0);
	cr_expect_str_eq(text, "2 workers were told\n");
}

Test(control, a_drain_that_is_refused)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .status = 1, .text = "there is no listener \"x\"" };
	char text[512];
	int status;

	converse("drain --listener x", &r, NULL, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "meshctl: there is no listener \"x\"\n");
}

/* ---- crashes ---- */

static const char reports[] =
    "2026-11-24T10:00:00Z worker-0 (pid 7) was killed by signal 11\n    meshd-worker+0x1234\n    (in a library)\n"
    "2026-11-24T10:00:01Z worker-1 \033[2J\n";

Test(control, crashes_are_shown_as_they_are_and_as_objects)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "2 deaths" };
	json_t *expected = json_loads("[{\"time\": \"2026-11-24T10:00:00Z\", \"text\": \"worker-0 (pid 7) was killed by signal 11\","
	    "\"backtrace\": [\"meshd-worker+0x1234\", \"(in a library)\"]},"
	    "{\"time\": \"2026-11-24T10:00:01Z\", \"text\": \"worker-1 ?[2J\", \"backtrace\": []}]", 0, NULL), *got;
	char text[1024];
	int status;

	cr_expect_eq(converse("crashes", &r, reports, text, sizeof(text), &status).verb, CONTROL_CRASHES);
	cr_expect_eq(status, 0);
	cr_expect_str_eq(text, "2026-11-24T10:00:00Z worker-0 (pid 7) was killed by signal 11\n    meshd-worker+0x1234\n"
	    "    (in a library)\n2026-11-24T10:00:01Z worker-1 ?[2J\n2 deaths\n");
	converse("crashes -o json", &r, reports, text, sizeof(text), &status);
	cr_assert_not_null(got = json_loads(text, 0, NULL), "%s", text);
	cr_expect(json_equal(got, expected), "%s", text);
	json_decref(got);
	json_decref(expected);
}

/* Frames of nothing, a line of one word, half a line. */
Test(control, odd_reports_harm_nothing)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC };
	char text[1024];
	int status;

	converse("crashes -o json", &r, "    frame\nword\n\n    x", text, sizeof(text), &status);
	cr_expect_eq(status, 0);
	cr_expect_not_null(strstr(text, "\"time\": \"word\",\n        \"text\": \"\","), "%s", text);
}

Test(control, no_crashes_are_an_empty_list)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "no worker has died" };
	char text[512];
	int status;

	converse("crashes", &r, NULL, text, sizeof(text), &status);
	cr_expect_str_eq(text, "no worker has died\n");
	converse("crashes -o json", &r, NULL, text, sizeof(text), &status);
	cr_expect_str_eq(text, "[]\n");
	cr_expect_eq(status, 0);
}
