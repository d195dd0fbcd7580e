/* agent/answers.h: names and sums of statistics, filters, what a dump says; without a process. */
#include "agent/admin.h"
#include "agent/answers.h"
#include "common/stats.h"
#include "t/unit/agent/fixture.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct agent a;

static void begin(void)
{
	struct err e;
	int live, image = fixture_image(100);

	memset(&a, 0, sizeof(a));
	logs_init(&a.logs);
	fixture_live(&a.live, &live);
	cr_assert_eq(agent_adopt(&a, image, 1, &e), 0, "%s", e.text);
	close(image);
	close(live);
}

static void end(void)
{
	image_unmap(&a.image);
	live_unmap(&a.live);
}

TestSuite(answers, .init = begin, .fini = end);

static char *ask(const char *path, const struct query *q, unsigned status)
{
	const char *type;
	char *body;
	size_t size;
	unsigned got = admin_answer(&a, path, q, &body, &size, &type);

	cr_expect_eq(got, status, "%s: %u: %s", path, got, body);
	return body;
}

static bool has(const char *body, const char *text)
{
	return strstr(body, text) != NULL;
}

static struct live_row *row(unsigned worker, unsigned name)
{
	return live_row(&a.live, worker, FIXTURE_SLOT(name));
}

Test(answers, statistics_are_summed_over_workers_and_chains)
{
	const struct query q = { .used_only = true };
	char *body;

	live_set(&row(0, FIX_L_OUT)->counter[LISTENER_C_cx_total], 1);
	live_set(&row(1, FIX_L_OUT)->counter[LISTENER_C_cx_total], 2);
	live_set(&row(0, FIX_H_HOLE)->counter[CHAIN_C_cx_total], 10);	/* both chains have the prefix "both" */
	live_set(&row(1, FIX_H_PASS)->counter[CHAIN_C_cx_total], 100);
	live_set(&row(1, FIX_C_PASS)->gauge[CLUSTER_G_cx_active], 4);
	live_set(&row(1, FIX_C_PASS)->gauge[LIVE_USERS], 9);
	live_set(&a.live.blocks[1].counter[WORKER_C_accepted], 6);
	body = ask("/stats", &q, 200);
	cr_expect(has(body, "listener.0.0.0.0_15001.downstream_cx_total: 3\n"), "%s", body);
	cr_expect(has(body, "tcp.both.downstream_cx_total: 110\n"), "%s", body);
	cr_expect(has(body, "cluster.PassthroughCluster.upstream_cx_active: 4\n"), "%s", body);
	cr_expect(has(body, "worker.1.accepted: 6\n"), "%s", body);
	cr_expect(has(body, "server.accepted: 6\n"), "%s", body);
	cr_expect(!has(body, "users"), "%s", body);
	cr_expect(!has(body, "worker.0."), "%s", body);
	free(body);
}

Test(answers, every_name_of_the_lists_is_there_and_in_order)
{
	const struct query q = { 0 };
	char *body = ask("/stats", &q, 200), *line, *rest, last[256] = "", name[256];

#define IN(scope) snprintf(name, sizeof(name), scope ".%s: ", n); cr_expect(has(body, name), "no %s", name);
#define L(f, n_, w) { const char *n = n_; IN("listener.198.51.100.9_3306") }
#define H(f, n_, w) { const char *n = n_; IN("tcp.outbound|3306||mysql") }
#define C(f, n_, w) { const char *n = n_; IN("cluster.outbound|3306||mysql") }
#define W(f, n_, w) { const char *n = n_; IN("worker.1") IN("server") }
#define S(f, n_, w) { const char *n = n_; IN("server") }
	LISTENER_GAUGES(L) LISTENER_COUNTERS(L) CHAIN_GAUGES(H) CHAIN_COUNTERS(H) CLUSTER_GAUGES(C) CLUSTER_COUNTERS(C)
	WORKER_GAUGES(W) WORKER_COUNTERS(W) SERVER_VALUES(S)
	for (rest = body; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " "), line);
		cr_expect_gt(strcmp(name, last), 0, "%s after %s", name, last);
		strcpy(last, name);
	}
	free(body);
}

Test(answers, a_slot_out_of_range_counts_nothing)
{
	uint32_t *slots = (uint32_t *)(uintptr_t)image_section(&a.image, SECTION_SLOTS);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct query q = { .filter = "mysql.upstream_cx_total" };
	char *body;

	cr_assert_eq(mprotect((void *)((uintptr_t)slots & ~(page - 1)), page, PROT_READ | PROT_WRITE), 0);
	slots[FIX_C_MYSQL] = LIVE_SLOTS;
	body = ask("/stats", &q, 200);
	cr_expect_str_eq(body, "cluster.outbound|3306||mysql.upstream_cx_total: 0\n");
	free(body);
}

/* ---- filters: what a user may type ---- */

struct filter_case {
	char text[64];
	unsigned status;
	char answer[64];		/* how it begins */
};

ParameterizedTestParameters(answers, filters)
{
	static struct filter_case cases[] = {
		{ "^server\\.concurrency$", 200, "server.concurrency: 2\n" },
		{ "uptime|concurrency", 200, "server.concurrency: 2\n" },
		{ "PASSTHROUGH", 200, "" },
		{ "(?i)passthroughcluster.upstream_cx_total", 200, "cluster.PassthroughCluster.upstream_cx_total: 0\n" },
		{ "", 200, "cluster.BlackHoleCluster." },
		{ "(", 400, "filter: missing closing parenthesis at byte" },
		{ "[z-a]", 400, "filter: range out of order" },
		{ "(((x{1,60000}){1,60000}){1,60000}){1,60000}", 400, "filter: " },
		{ "^(([a-z._])+)+[!?]", 400, "filter: takes too long" },
	};

	return cr_make_param_array(struct filter_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct filter_case *c, answers, filters, .init = begin, .fini = end)
{
	const struct query q = { .filter = c->text };
	char *body = ask("/stats", &q, c->status);

	cr_expect_eq(strncmp(body, c->answer, strlen(c->answer)), 0, "%s: %.100s", c->text, body);
	free(body);
}

Test(answers, a_filter_has_a_limit_of_length)
{
	char text[300];
	const struct query q = { .filter = text };

	memset(text, 'x', sizeof(text));
	text[257] = '\0';
	free(ask("/stats", &q, 400));
	text[256] = '\0';
	free(ask("/stats", &q, 200));
}

/* ---- documents ---- */

static json_t *document(const char *path)
{
	const struct query q = { .json = true };
	char *body = ask(path, &q, 200);
	json_t *j = json_loads(body, JSON_REJECT_DUPLICATES, NULL);

	cr_assert_not_null(j, "%s: %s", path, body);
	free(body);
	return j;
}

Test(answers, json_has_the_values_of_the_text)
{
	json_t *j, *stat;
	size_t i, found = 0;

	live_set(&row(0, FIX_C_MYSQL)->counter[CLUSTER_C_cx_rx_bytes], 1ull << 40);
	j = document("/stats");
	json_array_foreach(json_object_get(j, "stats"), i, stat) {
		if (strcmp(json_string_value(json_object_get(stat, "name")),
		    "cluster.outbound|3306||mysql.upstream_cx_rx_bytes_total") == 0)
			found += json_integer_value(json_object_get(stat, "value")) == 1ll << 40;
	}
	cr_expect_eq(found, 1);
	json_decref(j);
}

Test(answers, the_dump_says_what_the_image_says)
{
	json_t *j = document("/config_dump"), *listener, *chain;
	const char *address, *cluster, *more, *last;
	int port, destination;

	listener = json_array_get(json_object_get(j, "configs"), 2);
	listener = json_array_get(json_object_get(listener, "dynamic_listeners"), 1);
	listener = json_object_get(json_object_get(listener, "active_state"), "listener");
	cr_assert_eq(json_unpack(listener, "{s:{s:{s:s, s:i}}, s:[{s:{s:{s:s}}}]}", "address", "socket_address", "address",
	    &address, "port_value", &port, "additional_addresses", "address", "socket_address", "address", &more), 0);
	cr_expect_str_eq(address, "0.0.0.0");
	cr_expect_str_eq(more, "::");
	cr_expect_eq(port, 15001);
	cr_expect(json_is_true(json_object_get(listener, "use_original_dst")));
	chain = json_array_get(json_object_get(listener, "filter_chains"), 0);
	cr_assert_eq(json_unpack(chain, "{s:{s:i}, s:[{s:{s:s, s:s}}]}", "filter_chain_match", "destination_port", &destination,
	    "filters", "typed_config", "cluster", &cluster, "idle_timeout", &last), 0);
	cr_expect_eq(destination, 15001);
	cr_expect_str_eq(cluster, "BlackHoleCluster");
	cr_expect_str_eq(last, "1.500s");
	cr_expect_null(json_object_get(json_array_get(json_object_get(listener, "filter_chains"), 1), "filter_chain_match"));
	json_decref(j);
}

Test(answers, readiness_follows_the_workers)
{
	const struct query q = { 0 };
	char *body;

	live_set(&a.live.blocks[1].adopted, 0);
	body = ask("/ready", &q, 503);
	cr_expect_str_eq(body, "INITIALIZING\n");
	free(body);
	live_set(&a.live.blocks[1].adopted, 1);
	a.ending = true;
	body = ask("/ready", &q, 503);
	cr_expect_str_eq(body, "DRAINING\n");
	free(body);
}

Test(answers, generations_name_their_holders)
{
	json_t *j, *one;

	live_set(&a.live.head->generations[40].number, 2);
	live_set(&a.live.head->newest, 2);
	live_set(&a.live.blocks[1].adopted, 2);
	live_set(&a.live.blocks[1].held, 1ull << 40 | 1ull << 3);
	j = document("/meshd/generations");
	one = json_array_get(json_object_get(j, "generations"), 0);
	cr_expect_eq(json_array_size(json_object_get(one, "workers")), 2, "the old one is held by both");
	cr_expect(json_is_false(json_object_get(one, "newest")));
	one = json_array_get(json_object_get(j, "generations"), 1);
	cr_expect_eq(json_integer_value(json_array_get(json_object_get(one, "workers"), 0)), 1);
	cr_expect(json_is_true(json_object_get(one, "newest")));
	json_decref(j);
	memset(a.live.head->generations[3].source, 0xff, LIVE_SOURCE_MAX);
	json_decref(document("/meshd/generations"));
}
