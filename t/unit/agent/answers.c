/* agent/answers.h: names and sums of statistics, filters, what a dump says; without a process. */
#include "agent/admin.h"
#include "agent/answers.h"
#include "agent/text.h"
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
	live_set(&a.live.blocks[0].gauge[WORKER_G_pipes], 2);
	live_set(&a.live.blocks[1].gauge[WORKER_G_pipes], 3);
	live_set(&a.live.blocks[0].gauge[WORKER_G_lag_ms], 30);
	live_set(&a.live.blocks[1].gauge[WORKER_G_lag_ms], 20);
	body = ask("/stats", &q, 200);
	cr_expect(has(body, "listener.0.0.0.0_15001.downstream_cx_total: 3\n"), "%s", body);
	cr_expect(has(body, "tcp.both.downstream_cx_total: 110\n"), "%s", body);
	cr_expect(has(body, "cluster.PassthroughCluster.upstream_cx_active: 4\n"), "%s", body);
	cr_expect(has(body, "worker.1.accepted: 6\n"), "%s", body);
	cr_expect(has(body, "server.accepted: 6\n"), "%s", body);
	cr_expect(has(body, "server.pipes: 5\n"), "%s", body);
	cr_expect(has(body, "server.loop_lag_ms: 30\n"), "%s", body);
	cr_expect(!has(body, "users"), "%s", body);
	cr_expect(!has(body, "worker.0.accepted"), "%s", body);
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

/* The object of a dump at this path, borrowed; the names end with NULL, an index is "0". */
static json_t *at(json_t *j, const char *const *path)
{
	for (; *path != NULL; path++)
		j = json_is_array(j) ? json_array_get(j, (size_t)atoi(*path)) : json_object_get(j, *path);
	return j;
}

#define AT(j, ...) at(j, (const char *const []){ __VA_ARGS__, NULL })
#define CLUSTER(j, n) AT(j, "configs", "1", "dynamic_active_clusters", n, "cluster")
#define PROXY(j, l, c) AT(j, "configs", "2", "dynamic_listeners", l, "active_state", "listener", "filter_chains", c, \
	"filters", "0", "typed_config")

static void expect_json(json_t *got, const char *expected)
{
	json_t *want = json_loads(expected, JSON_DECODE_ANY, NULL);
	char *text = json_dumps(got, JSON_ENCODE_ANY);

	cr_assert_not_null(want, "%s", expected);
	cr_expect(json_equal(got, want), "%s instead of %s", text, expected);
	free(text);
	json_decref(want);
}

Test(answers, limits_and_weights_have_envoys_names)
{
	json_t *j = document("/config_dump");

	expect_json(PROXY(j, "1", "1"), "{\"@type\": \"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy\","
	    "\"stat_prefix\": \"both\", \"idle_timeout\": \"0s\", \"max_connect_attempts\": 3,"
	    "\"max_downstream_connection_duration\": \"90s\", \"weighted_clusters\": {\"clusters\": ["
	    "{\"name\": \"PassthroughCluster\", \"weight\": 80}, {\"name\": \"outbound|3306||mysql\", \"weight\": 20}]}}");
	cr_expect_null(json_object_get(PROXY(j, "0", "0"), "weighted_clusters"));
	cr_expect_null(json_object_get(PROXY(j, "0", "0"), "max_downstream_connection_duration"));
	expect_json(AT(CLUSTER(j, "2"), "lb_policy"), "\"LEAST_REQUEST\"");
	expect_json(AT(CLUSTER(j, "2"), "circuit_breakers"), "{\"thresholds\": [{\"max_connections\": 50}]}");
	expect_json(AT(CLUSTER(j, "2"), "load_assignment", "endpoints", "0", "lb_endpoints", "0", "load_balancing_weight"), "3");
	expect_json(AT(CLUSTER(j, "1"), "lb_policy"), "\"CLUSTER_PROVIDED\"");
	cr_expect_null(AT(CLUSTER(j, "1"), "circuit_breakers"));
	expect_json(AT(j, "configs", "0", "bootstrap", "layered_runtime", "layers", "0", "static_layer"),
	    "{\"overload.global_downstream_max_connections\": 5000,"
	    "\"envoy.resource_limits.listener.virtualOutbound.connection_limit\": 1000}");
	json_decref(j);
}

Test(answers, an_unnamed_chain_has_no_name)
{
	json_t *j = document("/config_dump");
	static const char *const chains[] = {
		"configs", "2", "dynamic_listeners", "0", "active_state", "listener", "filter_chains", "0", NULL
	};

	cr_expect_not_null(at(j, chains));
	cr_expect_null(json_object_get(at(j, chains), "name"));
	json_decref(j);
}

Test(answers, clusters_say_weight_limit_and_what_is_open)
{
	const struct query q = { 0 };
	char *body;
	json_t *j;

	live_set(&row(0, FIX_E_V4)->gauge[ENDPOINT_G_cx_active], 5);
	live_set(&row(1, FIX_E_V4)->gauge[ENDPOINT_G_cx_active], 2);
	body = ask("/clusters", &q, 200);
	cr_expect(has(body, "outbound|3306||mysql::127.0.0.1:3306::cx_active::7\n"), "%s", body);
	cr_expect(has(body, "outbound|3306||mysql::127.0.0.1:3306::weight::3\n"), "%s", body);
	cr_expect(has(body, "outbound|3306||mysql::default_priority::max_connections::50\n"), "%s", body);
	cr_expect(!has(body, "BlackHoleCluster::default_priority"), "%s", body);
	free(body);
	j = document("/clusters");
	expect_json(AT(j, "cluster_statuses", "2", "circuit_breakers"), "{\"thresholds\": [{\"max_connections\": 50}]}");
	expect_json(AT(j, "cluster_statuses", "2", "host_statuses", "0", "weight"), "3");
	expect_json(AT(j, "cluster_statuses", "2", "host_statuses", "0", "stats", "0", "value"), "7");
	json_decref(j);
}

Test(answers, names_are_those_of_live)
{
	json_t *j = document("/meshd/names");

	expect_json(j, "{\"listeners\": [\"198.51.100.9_3306\", \"virtualOutbound\"], \"chains\": [\"198.51.100.9_3306/any\","
	    "\"virtualOutbound/virtualOutbound-blackhole\", \"virtualOutbound/virtualOutbound-catchall-tcp\"],"
	    "\"clusters\": [\"BlackHoleCluster\", \"PassthroughCluster\", \"outbound|3306||mysql\"],"
	    "\"endpoints\": [\"outbound|3306||mysql/127.0.0.1:3306\", \"outbound|3306||mysql/[::1]:3306\"]}");
	json_decref(j);
}

Test(answers, settings_are_in_the_words_of_the_manual)
{
	json_t *j = document("/meshd/settings"), *i = json_object_get(j, "intercept");

	expect_json(AT(j, "user"), "\"nobody\"");
	expect_json(AT(j, "max_connections"), "5000");
	expect_json(AT(j, "outbound_traffic_policy"), "\"ALLOW_ANY\"");
	expect_json(AT(j, "listeners"), "[{\"name\": \"198.51.100.9_3306\", \"direction\": \"outbound\", \"binds\": [], \"tcp_backlog_size\": 1024},"
	    "{\"name\": \"virtualOutbound\", \"direction\": \"outbound\", \"binds\": [\"0.0.0.0:15001\", \"[::]:15001\"],"
	    "\"tcp_backlog_size\": 1024}]");
	expect_json(AT(i, "mode"), "\"redirect\"");
	expect_json(AT(i, "in"), "true");
	expect_json(AT(i, "include_inbound_ports"), "\"*\"");
	expect_json(AT(i, "exclude_inbound_ports"), "[]");
	expect_json(AT(i, "exclude_outbound_ports"), "[\"22\", \"8000-8010\"]");
	expect_json(AT(i, "exclude_outbound_ranges"), "[\"192.0.2.0/24\"]");
	expect_json(AT(i, "exclude_interfaces"), "[\"eth1\"]");
	expect_json(AT(i, "exclude_outbound_users"), "[\"1000-1999\"]");
	expect_json(AT(i, "include_outbound_groups"), "\"*\"");
	json_decref(j);
}

/* ---- status ---- */

struct load_case {
	int64_t open[2];		/* of each worker; less than none while one is replaced */
	double imbalance;		/* -1: null */
};

ParameterizedTestParameters(answers, imbalance)
{
	static struct load_case cases[] = {
		{ { 0, 0 }, -1 }, { { 4, 4 }, 1 }, { { 6, 2 }, 1.5 }, { { 5, 0 }, 2 }, { { -3, 5 }, 2 }, { { -3, 0 }, -1 },
		{ { INT64_MAX, INT64_MAX }, 1 },
	};

	return cr_make_param_array(struct load_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct load_case *c, answers, imbalance, .init = begin, .fini = end)
{
	json_t *j, *got;

	for (unsigned w = 0; w < 2; w++)
		live_set(&a.live.blocks[w].gauge[WORKER_G_connections], (uint64_t)c->open[w]);
	j = document("/meshd/status");
	got = AT(j, "connections", "imbalance");
	if (c->imbalance < 0)
		cr_expect(json_is_null(got));
	else
		cr_expect_float_eq(json_real_value(got), c->imbalance, 1e-6, "%f", json_real_value(got));
	json_decref(j);
}

Test(answers, status_says_spread_limits_and_what_was_shed)
{
	json_t *j = document("/meshd/status");

	expect_json(AT(j, "connections"), "{\"open\": 0, \"limit\": 5000, \"spread\": \"hash\", \"imbalance\": null}");
	expect_json(AT(j, "orphaned"), "null");
	expect_json(AT(j, "problems"), "[]");
	json_decref(j);

	live_set(&a.live.head->spread, 1);
	live_set(&a.live.blocks[0].counter[WORKER_C_shed_memory], 1);
	live_set(&a.live.blocks[1].counter[WORKER_C_shed_lag], 7);
	live_set(&a.live.blocks[1].gauge[WORKER_G_lag_ms], 120);
	live_set(&row(0, FIX_L_OUT)->counter[LISTENER_C_cx_overflow], 2);
	live_set(&row(1, FIX_L_MYSQL)->counter[LISTENER_C_cx_overflow], 1);
	live_set(&row(1, FIX_L_OUT)->counter[LISTENER_C_cx_global_overflow], 4);
	live_set(&row(1, FIX_C_MYSQL)->counter[CLUSTER_C_cx_overflow], 5);
	live_set(&row(0, FIX_C_MYSQL)->counter[CLUSTER_C_cx_no_port], 6);
	j = document("/meshd/status");
	expect_json(AT(j, "connections", "spread"), "\"bpf\"");
	expect_json(AT(j, "workers", "1", "lag_ms"), "120");
	expect_json(AT(j, "shed"), "{\"descriptors\": 0, \"memory\": 1, \"lag\": 7, \"listener_limit\": 3, \"total_limit\": 4,"
	    "\"cluster_limit\": 5, \"no_local_port\": 6, \"log_lines\": 0}");
	expect_json(AT(j, "problems"), "[\"connections shed for want of memory: 1\","
	    "\"connections shed while the event loop lagged behind: 7\", \"connections refused over max_connections: 4\","
	    "\"connections refused over max_connections of a listener: 3\","
	    "\"connections refused over max_connections of a cluster: 5\", \"connects that found no local port: 6\"]");
	json_decref(j);
}

/* Serving on without a master is not draining; it is once orphan_timeout has passed. */
Test(answers, orphans_serve_and_then_drain)
{
	int image = fixture_image_orphan(100, 60000);
	struct err e;
	json_t *j;

	cr_assert_eq(agent_adopt(&a, image, 1, &e), 0, "%s", e.text);
	close(image);
	a.ending = true;
	a.orphan_ns = text_now_ns() - 10 * 1000000000ull;
	j = document("/meshd/status");
	expect_json(AT(j, "state"), "\"LIVE\"");
	expect_json(AT(j, "orphaned", "left_s"), "50");
	expect_json(AT(j, "problems"), "[\"the master is gone: workers serve for 50 s more, then drain\"]");
	json_decref(j);
	a.orphan_ns -= 60 * 1000000000ull;
	j = document("/meshd/status");
	expect_json(AT(j, "state"), "\"DRAINING\"");
	expect_json(AT(j, "orphaned", "left_s"), "0");
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
