/* agent/dump_http.h: /config_dump and /stats of a configuration with HTTP in it, compiled as meshd-conf does. */
#include "agent/admin.h"
#include "agent/answers.h"
#include "t/unit/agent/fixture.h"
#include "t/unit/conf/try.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] =
    "intercept = { };\n"
    "inbound = ( { port = 8080; protocol = \"http\"; } );\n"
    "services = ( { name = \"web\"; port = 80; protocol = \"auto\"; timeout = \"3s\"; max_requests = 7; endpoints = [ \"192.0.2.1:80\" ]; } );\n"
    "clusters = ( { name = \"a\"; max_pending_requests = 0; }, { name = \"b\"; idle_timeout = \"30s\"; max_connection_duration = \"2min\";\n"
    "max_requests_per_connection = 5; } );\n"
    "listeners = ( { name = \"edge\"; address = \"192.0.2.9\"; port = 80; filter_chains = ( { filters = ( { type = \"http\"; prefix = \"/api\";\n"
    "stat_prefix = \"edge\"; weighted_clusters = ( { name = \"a\"; weight = 1; }, { name = \"b\"; weight = 3; } );\n"
    "max_requests_per_connection = 9; max_connection_duration = \"1h\"; upgrade_configs = [ \"connect\", \"websocket\" ]; } ); } ); } );\n";

static struct tried tried;
static struct agent a;

static void begin(void)
{
	int live;

	tried = try_good(text);
	memset(&a, 0, sizeof(a));
	logs_init(&a.logs);
	fixture_live(&a.live, &live);
	close(live);
	a.image = tried.image;
	a.generation = 1;
}

static void end(void)
{
	live_unmap(&a.live);
	tried_free(&tried);
}

TestSuite(dump, .init = begin, .fini = end);

static json_t *document(const char *path)
{
	const struct query q = { .json = true };
	const char *type;
	char *body;
	size_t size;
	json_t *j;
	json_error_t e;

	cr_assert_eq(admin_answer(&a, path, &q, &body, &size, &type), 200, "%s", body);
	j = json_loads(body, 0, &e);
	cr_assert_not_null(j, "%s: %s", e.text, body);
	free(body);
	return j;
}

/* The member of the list that has this name, by itself or in what stands under `key`. */
static json_t *named(json_t *list, const char *key, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		json_t *object = key != NULL ? json_object_get(one, key) : one;
		const char *its = json_string_value(json_object_get(object, "name"));

		if (its != NULL && strcmp(its, name) == 0)
			return object;
	}
	cr_assert_fail("no %s", name);
	return NULL;
}

static json_t *config(json_t *dump, const char *type, const char *list)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(dump, "configs"), i, one) {
		if (strstr(json_string_value(json_object_get(one, "@type")), type) != NULL)
			return json_object_get(one, list);
	}
	cr_assert_fail("no %s", type);
	return NULL;
}

static json_t *listener(json_t *dump, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(config(dump, "ListenersConfigDump", "dynamic_listeners"), i, one) {
		json_t *l = json_object_get(json_object_get(one, "active_state"), "listener");

		if (strcmp(json_string_value(json_object_get(l, "name")), name) == 0)
			return l;
	}
	cr_assert_fail("no %s", name);
	return NULL;
}

static json_t *chain(json_t *dump, const char *of, size_t n)
{
	return json_array_get(json_object_get(listener(dump, of), "filter_chains"), n);
}

static json_t *filter(json_t *chain)
{
	return json_object_get(json_array_get(json_object_get(chain, "filters"), 0), "typed_config");
}

static void expect_json(const json_t *got, const char *expected)
{
	json_t *want = json_loads(expected, JSON_DECODE_ANY, NULL);
	char *printed = json_dumps(got, JSON_ENCODE_ANY);

	cr_assert_not_null(want, "%s", expected);
	cr_expect(json_equal(got, want), "%s\n instead of %s", printed, expected);
	free(printed);
	json_decref(want);
}

#define HCM "\"@type\": \"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\","
#define ROUTES "\"@type\": \"type.googleapis.com/envoy.config.route.v3.RouteConfiguration\","
#define ROUTER "\"http_filters\": [{\"name\": \"envoy.filters.http.router\", \"typed_config\": {\"@type\": " \
	"\"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\"}}],"
#define INBOUND "{" ROUTES "\"name\": \"inbound|8080||\", \"ignore_port_in_host_matching\": true, \"virtual_hosts\": [" \
	"{\"name\": \"inbound|http|8080\", \"domains\": [\"*\"], \"routes\": [{\"name\": \"default\", \"match\": {\"prefix\": \"/\"}," \
	"\"route\": {\"cluster\": \"inbound|8080||\", \"timeout\": \"0s\"}}]}]}"

Test(dump, a_connection_manager_says_all_of_it)
{
	json_t *j = document("/config_dump");

	expect_json(filter(chain(j, "edge", 0)), "{" HCM "\"stat_prefix\": \"edge\", \"codec_type\": \"HTTP1\", \"server_name\": \"istio-envoy\","
	    "\"rds\": {\"route_config_name\": \"edge\"}," ROUTER "\"use_remote_address\": true, \"xff_num_trusted_hops\": 0,"
	    "\"generate_request_id\": true, \"preserve_external_request_id\": false, \"normalize_path\": true,"
	    "\"upgrade_configs\": [{\"upgrade_type\": \"websocket\"}, {\"upgrade_type\": \"CONNECT\"}], \"max_request_headers_kb\": 60,"
	    "\"common_http_protocol_options\": {\"idle_timeout\": \"3600s\", \"max_headers_count\": 100, \"max_response_headers_kb\": 60,"
	    "\"max_connection_duration\": \"3600s\", \"max_requests_per_connection\": 9},"
	    "\"http_protocol_options\": {\"accept_http_10\": true}, \"stream_idle_timeout\": \"300s\", \"request_timeout\": \"0s\","
	    "\"request_headers_timeout\": \"10s\", \"drain_timeout\": \"5s\", \"delayed_close_timeout\": \"1s\"}");
	expect_json(json_object_get(chain(j, "edge", 0), "metadata"),
	    "{\"filter_metadata\": {\"meshd\": {\"max_request_line_bytes\": 8192, \"max_request_bytes\": 0, \"max_pipelined_requests\": 16, \"max_connect_attempts\": 1}}}");
	json_decref(j);
}

/* Istio's inbound managers have their routes in themselves; others name them. */
Test(dump, routes_stand_where_istio_has_them)
{
	json_t *j = document("/config_dump"), *dynamics = config(j, "RoutesConfigDump", "dynamic_route_configs");
	json_t *statics = config(j, "RoutesConfigDump", "static_route_configs");

	expect_json(json_object_get(filter(chain(j, "virtualInbound", 3)), "route_config"), INBOUND);
	cr_expect_null(json_object_get(filter(chain(j, "virtualInbound", 3)), "rds"));
	expect_json(named(statics, "route_config", "inbound|8080||"), INBOUND);
	cr_expect_eq(json_array_size(statics), 2);
	expect_json(json_object_get(filter(chain(j, "0.0.0.0_80", 0)), "rds"), "{\"route_config_name\": \"80\"}");
	expect_json(named(dynamics, "route_config", "80"), "{" ROUTES "\"name\": \"80\", \"ignore_port_in_host_matching\": true,"
	    "\"virtual_hosts\": [{\"name\": \"web:80\", \"domains\": [\"*\"], \"routes\": [{\"name\": \"default\", \"match\": {\"prefix\": \"/\"},"
	    "\"route\": {\"cluster\": \"outbound|80||web\", \"timeout\": \"3s\"}}]}]}");
	expect_json(json_object_get(json_array_get(json_object_get(json_array_get(json_object_get(named(dynamics, "route_config", "edge"),
	    "virtual_hosts"), 0), "routes"), 0), "route"), "{\"timeout\": \"15s\", \"weighted_clusters\": {\"clusters\": ["
	    "{\"name\": \"a\", \"weight\": 1}, {\"name\": \"b\", \"weight\": 3}]}}");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(dynamics, 0), "version_info")), "1");
	json_decref(j);
}

Test(dump, a_sniffing_listener_says_so)
{
	json_t *j = document("/config_dump");

	expect_json(json_object_get(chain(j, "0.0.0.0_80", 0), "filter_chain_match"), "{\"application_protocols\": [\"http/1.0\", \"http/1.1\"]}");
	cr_expect_null(json_object_get(chain(j, "0.0.0.0_80", 1), "filter_chain_match"));
	expect_json(json_object_get(listener(j, "0.0.0.0_80"), "listener_filters"), "[{\"name\": \"envoy.filters.listener.http_inspector\","
	    "\"typed_config\": {\"@type\": \"type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector\"}}]");
	expect_json(json_object_get(listener(j, "0.0.0.0_80"), "listener_filters_timeout"), "\"0s\"");
	cr_expect(json_is_true(json_object_get(listener(j, "0.0.0.0_80"), "continue_on_listener_filters_timeout")));
	cr_expect_null(json_object_get(listener(j, "edge"), "listener_filters"));
	json_decref(j);
}

Test(dump, clusters_say_what_http_may)
{
	json_t *j = document("/config_dump"), *clusters = config(j, "ClustersConfigDump", "dynamic_active_clusters");
	json_t *options = json_object_get(named(clusters, "cluster", "b"), "typed_extension_protocol_options");

	expect_json(options, "{\"envoy.extensions.upstreams.http.v3.HttpProtocolOptions\": {\"@type\": "
	    "\"type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\", \"common_http_protocol_options\": {"
	    "\"idle_timeout\": \"30s\", \"max_connection_duration\": \"120s\", \"max_requests_per_connection\": 5},"
	    "\"explicit_http_config\": {\"http_protocol_options\": {}}}}");
	expect_json(json_object_get(named(clusters, "cluster", "outbound|80||web"), "circuit_breakers"),
	    "{\"thresholds\": [{\"max_pending_requests\": 1024, \"max_requests\": 7}]}");
	cr_expect_null(json_object_get(named(clusters, "cluster", "a"), "circuit_breakers"));
	json_decref(j);
	j = document("/clusters");
	expect_json(json_object_get(named(json_object_get(j, "cluster_statuses"), NULL, "outbound|80||web"), "circuit_breakers"),
	    "{\"thresholds\": [{\"max_pending_requests\": 1024, \"max_requests\": 7}]}");
	json_decref(j);
}

/* Each http chain has the names of its manager, and no tcp ones. */
Test(dump, statistics_have_the_managers_prefix)
{
	json_t *j = document("/stats"), *stats = json_object_get(j, "stats"), *one;
	unsigned http = 0, tcp = 0;
	size_t i;

	json_array_foreach(stats, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));

		http += strncmp(name, "http.edge.", 10) == 0;
		tcp += strncmp(name, "tcp.edge.", 9) == 0;
	}
	cr_expect_eq(http, HTTP_NGAUGES - 1 + HTTP_NCOUNTERS);
	cr_expect_eq(tcp, 0);
	named(stats, NULL, "http.inbound_0.0.0.0_8080.downstream_rq_5xx");
	named(stats, NULL, "tcp.outbound|80||web.downstream_cx_total");
	named(stats, NULL, "http.outbound_0.0.0.0_80.downstream_rq_active");
	named(stats, NULL, "cluster.a.upstream_rq_pending_active");
	json_decref(j);
}
