/* ctl/proxyconfig.h: istioctl's tables of a dump with HTTP in it. */
#include "ctl/proxyconfig.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTE(name, prefix, cluster) "{\"name\": \"" name "\", \"match\": {\"prefix\": \"" prefix "\"}, \"route\": {\"cluster\": \"" cluster "\"}}"
#define VHOST(name, domains, routes) "{\"name\": \"" name "\", \"domains\": [" domains "], \"routes\": [" routes "]}"
#define CONFIG(name, vhosts) "{\"route_config\": {\"@type\": \"x\", \"name\": \"" name "\", \"virtual_hosts\": [" vhosts "]}}"

static const char routes[] = "{\"configs\": [{\"@type\": \"type.googleapis.com/envoy.admin.v3.RoutesConfigDump\", \"static_route_configs\": ["
    CONFIG("inbound|80||", VHOST("inbound|http|80", "\"*\"", ROUTE("default", "/", "inbound|80||"))) "],"
    "\"dynamic_route_configs\": ["
    CONFIG("9080", VHOST("details:9080", "\"details.default.svc.cluster.local\", \"details\", \"details.default.svc.cluster.local:9080\","
	"\"details.default.svc\", \"details.default\", \"[2001:db8::1]\", \"[2001:db8::1]:9080\"", ROUTE("default", "/", "outbound|9080||details")) ","
	VHOST("allow_any", "\"*\"", ROUTE("allow_any", "/", "PassthroughCluster")) "," VHOST("empty", "\"x.example\"", "")) ","
    CONFIG("80", VHOST("web:80", "\"web\", \"web:80\"", ROUTE("static", "/static", "a") ","
	"{\"name\": \"exact\", \"match\": {\"path\": \"/login\"}, \"route\": {\"cluster\": \"a\"}}")) "]}]}";

static char *print(const char *form, const char *document, const struct route_filter *f, bool types)
{
	json_t *j = json_loads(document, 0, NULL);
	char *printed = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&printed, &size);
	struct output *o = output_open(form, to);

	cr_assert_not_null(j);
	show_routes(o, j, f, types ? "routes" : NULL, types);
	cr_expect_eq(output_close(&o), 0);
	fclose(to);
	json_decref(j);
	return printed;
}

static void expect(const struct route_filter *f, bool types, const char *all)
{
	char *printed = print("short", routes, f, types);

	cr_expect_str_eq(printed, all, "\n%s", printed);
	free(printed);
}

Test(routes, a_row_for_each_route)
{
	expect(&(struct route_filter){ NULL, true }, false,
	    "NAME             VHOST NAME          DOMAINS                                  MATCH        VIRTUAL SERVICE\n"
	    "80               web:80              web                                      /static*\n"
	    "80               web:80              web                                      /login\n"
	    "9080             details:9080        details, details.default + 1 more...     /*\n"
	    "9080             empty               x.example                                /*           404\n"
	    "inbound|80||     inbound|http|80     *                                        /*\n");
	expect(&(struct route_filter){ "80", true }, false,
	    "NAME     VHOST NAME     DOMAINS     MATCH        VIRTUAL SERVICE\n"
	    "80       web:80         web         /static*\n"
	    "80       web:80         web         /login\n");
	expect(&(struct route_filter){ "8", true }, false, "NAME     VHOST NAME     DOMAINS     MATCH     VIRTUAL SERVICE\n");
}

Test(routes, or_for_each_configuration)
{
	expect(&(struct route_filter){ NULL, false }, false,
	    "NAME             VIRTUAL HOSTS\n80               1\n9080             3\ninbound|80||     1\n");
	expect(&(struct route_filter){ "9080", false }, true, "NAME           VIRTUAL HOSTS\nroute/9080     3\n");
}

Test(routes, as_raw_objects)
{
	char *printed = print("json", routes, &(struct route_filter){ "inbound|80||", true }, false);

	cr_expect_str_eq(printed, "[\n    {\n        \"name\": \"inbound|80||\",\n        \"virtualHosts\": [\n            {\n"
	    "                \"name\": \"inbound|http|80\",\n                \"domains\": [\n                    \"*\"\n                ],\n"
	    "                \"routes\": [\n                    {\n                        \"name\": \"default\",\n"
	    "                        \"match\": {\n                            \"prefix\": \"/\"\n                        },\n"
	    "                        \"route\": {\n                            \"cluster\": \"inbound|80||\"\n                        }\n"
	    "                    }\n                ]\n            }\n        ]\n    }\n]\n", "%s", printed);
	free(printed);
}

/* ---- listeners ---- */

struct destination_case {
	char manager[400], match[120], expected[160];
};

ParameterizedTestParameters(routes, destinations)
{
	static struct destination_case cases[] = {
		{ "\"rds\": {\"route_config_name\": \"9080\"}", "", "ALL   Route: 9080" },
		{ "\"route_config\": {\"virtual_hosts\": [" VHOST("v", "\"*\"", ROUTE("r", "/", "inbound|80||")) "]}", "\"destination_port\": 80",
		  "Addr: *:80 Cluster: inbound|80||" },
		{ "\"route_config\": {\"virtual_hosts\": [" VHOST("v", "\"*\"", ROUTE("r", "/", "InboundPassthroughCluster")) "]}",
		  "\"application_protocols\": [\"http/1.0\", \"http/1.1\"]", "App: http/1.0,http/1.1 InboundPassthroughCluster" },
		{ "\"route_config\": {\"virtual_hosts\": [" VHOST("v", "\"*\"", ROUTE("r", "/a", "c")) "]}",
		  "\"application_protocols\": [\"http/1.1\"], \"destination_port\": 1", "App: http/1.1; Addr: *:1 Inline Route: /a*" },
		{ "\"route_config\": {\"virtual_hosts\": [" VHOST("v", "\"a\", \"b\"", ROUTE("r", "/", "c") "," ROUTE("r", "/x", "c")) ","
		  VHOST("w", "\"*\"", ROUTE("r", "/", "c")) "]}", "", "ALL   Inline Route: a/b /*, /x*; /*" },
		{ "\"x\": 1", "", "ALL   HTTP" },
	};

	return cr_make_param_array(struct destination_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct destination_case *c, routes, destinations)
{
	const struct listener_filter f = { .verbose = true };
	char *document, *printed = NULL, *row;
	size_t size = 0;
	FILE *to = open_memstream(&printed, &size);
	struct output *o = output_open("short", to);
	json_t *j;

	cr_assert_geq(asprintf(&document, "{\"configs\": [{\"@type\": \"x.ListenersConfigDump\", \"dynamic_listeners\": [{\"active_state\": {"
	    "\"listener\": {\"name\": \"l\", \"address\": {\"socket_address\": {\"address\": \"::\", \"port_value\": 1}}, \"filter_chains\": ["
	    "{\"filter_chain_match\": {%s}, \"filters\": [{\"typed_config\": {\"@type\": \"v3.HttpConnectionManager\", %s}}]}]}}}]}]}",
	    c->match, c->manager), 0);
	j = json_loads(document, 0, NULL);
	cr_assert_not_null(j, "%s", document);
	show_listeners(o, j, &f, NULL, false);
	cr_expect_eq(output_close(&o), 0);
	fclose(to);
	row = strstr(printed, "::        1    ");
	cr_assert_not_null(row, "%s", printed);
	row[strcspn(row, "\n")] = '\0';
	cr_expect_str_eq(row + 15, c->expected, "%s", printed);
	free(printed);
	free(document);
	json_decref(j);
}
