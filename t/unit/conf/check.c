/* What no single key can tell: the whole report for each mistake, and what one would wrongly take for a mistake. */
#include "t/unit/conf/try.h"

#include "common/match.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TCP(cluster) "filters = ( { type = \"tcp_proxy\"; cluster = \"" cluster "\"; } ); "
#define HTTP(more) "filters = ( { type = \"http\"; cluster = \"c\"; " more "} ); "
#define LISTENER(name, address, port, more) \
	"{ name = \"" name "\"; address = \"" address "\"; port = " port "; " more "filter_chains = ( { " TCP("c") "} ); }"
#define CLUSTER_C "clusters = ( { name = \"c\"; } );\n"

static const struct {
	const char *text, *report;
} wrong[] = {
	/* references */
	{ "listeners = (\n{ name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( {\n" TCP("redsi") "} ); } );\n"
	  "clusters = ( { name = \"redis\"; } );",
	  "m.conf:3: listeners[0].filter_chains[0].filters[0].cluster: there is no cluster \"redsi\" (did you mean \"redis\"?)\n" },
	{ "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n{ " TCP("x") "} ); } );\n",
	  "m.conf:2: listeners[0].filter_chains[0].filters[0].cluster: there is no cluster \"x\"\n" },
	/* a cluster that could not be read is not missed as well */
	{ "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( { " TCP("x") "} ); } );\n"
	  "clusters = ( { name = 3; } );\n",
	  "m.conf:2: clusters[0].name: must be a string\n" },
	/* duplicates */
	{ CLUSTER_C "listeners = (\n" LISTENER("l", "192.0.2.1", "1", "") ",\n" LISTENER("l", "192.0.2.1", "2", "") ");",
	  "m.conf:4: listeners[1].name: \"l\" is already the name of listeners[0] (m.conf:3)\n" },
	{ "clusters = (\n{ name = \"c\"; },\n{ name = \"d\"; },\n{ name = \"c\"; } );",
	  "m.conf:4: clusters[2].name: \"c\" is already the name of clusters[0] (m.conf:2)\n" },
	{ "clusters = ( { name = \"c\"; endpoints = [ \"192.0.2.1:1\",\n\"192.0.2.1:2\",\n\"192.0.2.1:1\" ]; } );",
	  "m.conf:3: clusters[0].endpoints[2]: 192.0.2.1:1 is in this list twice\n" },
	{ "node = { address = [ \"192.0.2.1\",\n\"192.0.2.1\" ]; };", "m.conf:2: node.address[1]: 192.0.2.1 is in this list twice\n" },
	{ "intercept = { };\nservices = (\n{ name = \"a\"; port = 80; protocol = \"tcp\"; endpoints = [ ]; },\n"
	  "{ name = \"b\"; port = 80; protocol = \"tcp\"; endpoints = [ ]; } );",
	  "m.conf:4: services[1]: makes a listener \"0.0.0.0_80\", as does services[0] (m.conf:3)\n" },
	{ "intercept = { };\nservices = (\n{ name = \"a\"; port = 80; protocol = \"tcp\"; addresses = [ \"192.0.2.1\" ]; endpoints = [ ]; },\n"
	  "{ name = \"a\"; port = 80; protocol = \"tcp\"; addresses = [ \"192.0.2.2\" ]; endpoints = [ ]; } );",
	  "m.conf:4: services[1]: makes a cluster \"outbound|80||a\", as does services[0] (m.conf:3)\n" },
	{ "intercept = { };\ninbound = (\n{ port = 80; protocol = \"tcp\"; },\n{ port = 80; protocol = \"TCP\"; endpoint = \"127.0.0.1:81\"; } );",
	  "m.conf:4: inbound[1].port: 80 is already the port of inbound[0] (m.conf:3)\n" },
	{ "intercept = { };\ninbound = (\n{ port = 15006; protocol = \"tcp\"; } );",
	  "m.conf:3: inbound[0].port: 15006 is already the inbound_port of intercept (m.conf:1)\n" },
	{ "intercept = { port = 8090; };\ninbound = (\n{ port = 8090; protocol = \"tcp\"; } );",
	  "m.conf:3: inbound[0].port: 8090 is already the port of intercept (m.conf:1)\n" },
	/* one address, two listeners */
	{ CLUSTER_C "listeners = (\n" LISTENER("a", "192.0.2.1", "1", "") ",\n" LISTENER("b", "192.0.2.1", "1", "") ");",
	  "m.conf:4: listeners[1]: 192.0.2.1:1 is already bound by listeners[0] (m.conf:3)\n" },
	{ CLUSTER_C "intercept = { };\nlisteners = (\n" LISTENER("a", "192.0.2.1", "1", "") ",\n"
	  LISTENER("b", "192.0.2.1", "1", "bind_to_port = false; ") ");",
	  "m.conf:5: listeners[1]: 192.0.2.1:1 is already the destination of listeners[0] (m.conf:4)\n" },
	{ CLUSTER_C "listeners = (\n" LISTENER("a", "::", "15001", "") ");\nintercept = { };",
	  "m.conf:4: intercept: [::]:15001 is already bound by listeners[0] (m.conf:3)\n" },
	{ CLUSTER_C "listeners = (\n" LISTENER("a", "0.0.0.0", "15016", "") ");\nintercept = {\noutbound_port = \"15010-15016\"; };",
	  "m.conf:4: intercept: 0.0.0.0:15016 is already bound by listeners[0] (m.conf:3)\n" },
	/* chains */
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n"
	  "{ filter_chain_match = { destination_port = \"80-89\"; }; " TCP("c") "},\n"
	  "{ filter_chain_match = { destination_port = 85; }; " TCP("c") "} ); } );",
	  "m.conf:4: listeners[0].filter_chains[1]: selects the same connections as listeners[0].filter_chains[0] (m.conf:3)\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n{ name = \"a\"; " TCP("c") "},\n"
	  "{ name = \"b\"; filter_chain_match = { }; " TCP("c") "} ); } );",
	  "m.conf:4: listeners[0].filter_chains[1]: selects the same connections as listeners[0].filter_chains[0] (m.conf:3)\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n{ name = \"a\"; " TCP("c") "},\n"
	  "{ name = \"a\"; filter_chain_match = { destination_port = 1; }; " TCP("c") "} ); } );",
	  "m.conf:4: listeners[0].filter_chains[1].name: \"a\" is already the name of listeners[0].filter_chains[0] (m.conf:3)\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n"
	  "{ name = \"a\"; filter_chain_match = { prefix_ranges = [ \"10.0.0.0/8\", \"10.1.0.0/16\" ]; }; " TCP("c") "},\n"
	  "{ name = \"b\"; filter_chain_match = { prefix_ranges = [ \"10.1.0.0/16\", \"10.2.0.0/16\" ]; }; " TCP("c") "} ); } );",
	  "m.conf:4: listeners[0].filter_chains[1]: selects the same connections as listeners[0].filter_chains[0] (m.conf:3)\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( {\n"
	  "filter_chain_match = { prefix_ranges = [ \"10.0.0.0/8\", \"10.0.0.0/8\" ]; }; " TCP("c") "} ); } );",
	  "m.conf:3: listeners[0].filter_chains[0].filter_chain_match: a prefix is in its list twice\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n"
	  "{ filter_chain_match = { application_protocols = [ \"http/1.0\", \"http/1.1\" ]; }; " TCP("c") "},\n"
	  "{ filter_chain_match = { application_protocols = [ \"http/1.1\" ]; }; " TCP("c") "} ); } );",
	  "m.conf:4: listeners[0].filter_chains[1]: selects the same connections as listeners[0].filter_chains[0] (m.conf:3)\n" },
	/* HTTP */
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( {\n" HTTP("prefix = \"/a?b\"; ") "} ); } );",
	  "m.conf:3: listeners[0].filter_chains[0].filters[0].prefix: must be of a path: a query is not looked at\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n{ name = \"a\"; " HTTP("") "},\n"
	  "{ name = \"b\"; filter_chain_match = { destination_port = 1; }; " HTTP("timeout = \"1s\"; ") "} ); } );",
	  "m.conf:4: listeners[0].filter_chains[1].filters[0].route_config_name: \"c\" is already the route configuration of "
	  "listeners[0].filter_chains[0].filters[0] (m.conf:3), which leads elsewhere\n" },
	{ CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( {\n" HTTP("max_downstream_connection_duration = \"2s\"; ") "} ); } );",
	  "m.conf:3: listeners[0].filter_chains[0].filters[0].max_downstream_connection_duration: is no key where type = \"http\"\n" },
	{ "intercept = { };\nservices = (\n{ name = \"a\"; port = 80; protocol = \"http\"; endpoints = [ ]; },\n"
	  "{ name = \"b\"; port = 80; protocol = \"http\"; endpoints = [ ]; } );",
	  "m.conf:4: services[1].addresses: is missing, as it is in services[0] (m.conf:3): two services of protocol \"http\" at one "
	  "port are told apart by address; by host is not supported yet\n" },
	{ "intercept = { };\nservices = (\n{ name = \"a\"; port = 80; protocol = \"http\"; endpoints = [ ]; },\n"
	  "{ name = \"b\"; port = 80; protocol = \"auto\"; endpoints = [ ]; } );",
	  "m.conf:4: services[1]: makes a listener \"0.0.0.0_80\", as does services[0] (m.conf:3)\n" },
	{ "intercept = { };\nservices = ( { name = \"a\"; port = 80; protocol = \"tcp\"; endpoints = [ ];\ntimeout = \"1s\"; } );",
	  "m.conf:3: services[0].timeout: is no key where protocol = \"tcp\"\n" },
	/* keys that do not go together */
	{ "clusters = ( { name = \"c\"; type = \"original_dst\";\nendpoints = [ \"192.0.2.1:1\" ]; } );",
	  "m.conf:2: clusters[0].endpoints: a cluster of type \"original_dst\" has none\n" },
	{ "clusters = ( { name = \"c\"; type = \"original_dst\";\nlb_policy = \"round_robin\"; } );",
	  "m.conf:2: clusters[0].lb_policy: must be \"cluster_provided\" with type \"original_dst\"\n" },
	{ "clusters = ( { name = \"c\";\nlb_policy = \"cluster_provided\"; } );",
	  "m.conf:2: clusters[0].lb_policy: \"cluster_provided\" is of type \"original_dst\" only\n" },
	{ CLUSTER_C "intercept = { };\nlisteners = (\n" LISTENER("l", "192.0.2.1", "1", "use_original_dst = true; ") ");",
	  "m.conf:4: listeners[0].traffic_direction: must be \"inbound\" or \"outbound\" with use_original_dst\n" },
	{ CLUSTER_C "intercept = { };\nlisteners = (\n" LISTENER("l", "192.0.2.1", "1",
	  "use_original_dst = true; traffic_direction = \"inbound\"; bind_to_port = false; ") ");",
	  "m.conf:4: listeners[0].bind_to_port: a listener with use_original_dst must bind\n" },
	{ CLUSTER_C "intercept = { port = 8090; };\nlisteners = (\n" LISTENER("l", "192.0.2.1", "1",
	  "use_original_dst = true; traffic_direction = \"inbound\"; bind_to_port = false; ") ");",
	  "m.conf:4: listeners[0].bind_to_port: a listener with use_original_dst must bind\n" },
	{ CLUSTER_C "intercept = { port = 8090; };\nlisteners = (\n" LISTENER("virtualOutbound", "192.0.2.1", "8090",
	  "use_original_dst = true; traffic_direction = \"outbound\"; bind_to_port = false; ") ");",
	  "m.conf:4: listeners[0]: the listener \"virtualOutbound\" that intercept needs must have use_original_dst = true, "
	  "traffic_direction = \"outbound\", port = 8090\n"
	  "m.conf:4: listeners[0].bind_to_port: a listener with use_original_dst must bind\n" },
	{ CLUSTER_C "intercept = { port = 8090; };\nlisteners = (\n" LISTENER("virtualInbound", "0.0.0.0", "8090",
	  "use_original_dst = true; traffic_direction = \"inbound\"; ") ");",
	  "m.conf:4: listeners[0]: the listener \"virtualInbound\" that intercept needs must have use_original_dst = true, "
	  "traffic_direction = \"inbound\", port = 8090, bind_to_port = false\n"
	  "m.conf:4: listeners[0]: 0.0.0.0:8090 is already bound by intercept (m.conf:2)\n" },
	{ CLUSTER_C "intercept = { outbound_port = \"15001-15004\"; };\nlisteners = (\n" LISTENER("virtualOutbound", "0.0.0.0",
	  "\"15001-15003\"", "use_original_dst = true; traffic_direction = \"outbound\"; ") ");",
	  "m.conf:4: listeners[0]: the listener \"virtualOutbound\" that intercept needs must have use_original_dst = true, "
	  "traffic_direction = \"outbound\", port = \"15001-15004\"\n" },
	{ CLUSTER_C "listeners = (\n" LISTENER("a/b", "192.0.2.1", "1", "") ");",
	  "m.conf:3: listeners[0].name: must not have a \"/\": it stands between a listener and its chain\n" },
	{ CLUSTER_C "listeners = (\n" LISTENER("l", "192.0.2.1", "1", "bind_to_port = false; ") ");",
	  "m.conf:3: listeners[0].bind_to_port: nothing would reach this listener without intercept = { }\n" },
	{ "inbound = ( { port = 80; protocol = \"tcp\"; } );\nservices = ( { name = \"s\"; port = 80; protocol = \"tcp\"; endpoints = [ ]; } );",
	  "m.conf:1: inbound: nothing would reach this without intercept = { }\n"
	  "m.conf:2: services: nothing would reach this without intercept = { }\n" },
	{ "intercept = {\noutbound_port = 15006; };",
	  "m.conf:2: intercept.outbound_port: one port for both directions is written as port = 15006\n" },
	{ "intercept = {\ninbound_port = 15001; };",
	  "m.conf:2: intercept.inbound_port: one port for both directions is written as port = 15001\n" },
	{ "intercept = {\noutbound_port = \"15001-15010\"; };",
	  "m.conf:2: intercept.outbound_port: 15006 is in outbound_port and inbound_port: each direction needs its own\n" },
	{ "intercept = { port = 8090;\noutbound_port = 15001;\ninbound_port = 15006; };",
	  "m.conf:2: intercept.outbound_port: cannot be with port, which is one for both directions\n"
	  "m.conf:3: intercept.inbound_port: cannot be with port, which is one for both directions\n" },
	{ "intercept = { mode = \"tproxy\";\nport = 8090; };",
	  "m.conf:2: intercept.port: cannot be with mode = \"tproxy\", where each direction needs its own: outbound_port, inbound_port\n" },
	{ "intercept = {\ntproxy_mark = 1337;\ntproxy_route_table = 133; };",
	  "m.conf:2: intercept.tproxy_mark: is of mode = \"tproxy\" only\n"
	  "m.conf:3: intercept.tproxy_route_table: is of mode = \"tproxy\" only\n" },
	{ "intercept = { mode = \"tproxy\";\ntproxy_route_table = 253; };",
	  "m.conf:2: intercept.tproxy_route_table: 253 to 255 are the system's own (default, main, local)\n" },
	{ "intercept = { mode = \"tproxy\";\ntproxy_route_table = 255; };",
	  "m.conf:2: intercept.tproxy_route_table: 253 to 255 are the system's own (default, main, local)\n" },
	{ "intercept = { include_inbound_ports = [ 80 ];\nexclude_inbound_ports = [ 81 ]; };",
	  "m.conf:2: intercept.exclude_inbound_ports: cannot be with a list of include_inbound_ports: other ports are not caught anyway\n" },
	{ "intercept = { include_inbound_ports = [ ];\nexclude_inbound_ports = [ 81 ]; };",
	  "m.conf:2: intercept.exclude_inbound_ports: cannot be with a list of include_inbound_ports: other ports are not caught anyway\n" },
	{ "intercept = { exclude_interfaces = [ \"tap0\", \"tap1\" ];\nguest_interfaces = [ \"tap2\",\n\"tap1\" ]; };",
	  "m.conf:3: intercept.guest_interfaces[1]: \"tap1\" is in exclude_interfaces, too\n" },
	/* what could not be read has no further consequence */
	{ "intercept = {\nport = 0; outbound_port = 80; };", "m.conf:2: intercept.port: 0 is out of range (1 to 65535)\n" },
	{ "intercept = {\nmode = \"tprox\"; tproxy_mark = 7; };",
	  "m.conf:2: intercept.mode: \"tprox\" is not one of \"redirect\", \"tproxy\", \"none\" (did you mean \"tproxy\"?)\n" },
	{ "user = \"a\";\nagent_user = \"a\";", "m.conf:2: agent_user: workers and the agent must not be one user\n" },
	/* names of ours that do not fit */
	{ CLUSTER_C "intercept = { };\nlisteners = (\n" LISTENER("virtualOutbound", "0.0.0.0", "15009",
	  "use_original_dst = true; traffic_direction = \"outbound\"; ") ");",
	  "m.conf:4: listeners[0]: the listener \"virtualOutbound\" that intercept needs must have use_original_dst = true, "
	  "traffic_direction = \"outbound\", port = 15001\n" },
	{ "intercept = { };\nclusters = (\n{ name = \"BlackHoleCluster\"; endpoints = [ \"192.0.2.1:1\" ]; },\n{ name = \"PassthroughCluster\"; } );",
	  "m.conf:3: clusters[0]: the cluster \"BlackHoleCluster\" that intercept needs must have type = \"static\" and no endpoints\n"
	  "m.conf:4: clusters[1]: the cluster \"PassthroughCluster\" that intercept needs must have type = \"original_dst\" and "
	  "traffic_direction = \"outbound\"\n" },
	/* all at once, in the order of the file */
	{ "workers = 65;\nlisteners = ( { name = \"l\"; prot = 1;\nport = 0; } );\ndrain = 1;\nuser = \"\";\n",
	  "m.conf:1: workers: 65 is out of range (0 to 64)\n"
	  "m.conf:2: listeners[0].prot: unknown key (did you mean \"port\"?)\n"
	  "m.conf:2: listeners[0].address: is missing\n"
	  "m.conf:2: listeners[0].filter_chains: is missing\n"
	  "m.conf:3: listeners[0].port: 0 is out of range (1 to 65535)\n"
	  "m.conf:4: drain: unknown key\n"
	  "m.conf:5: user: must not be empty\n" },
};

Test(check, each_mistake_has_its_words)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *report = try_wrong(wrong[i].text);

		cr_expect_str_eq(report, wrong[i].report, "%s\n got: %s want: %s", wrong[i].text, report, wrong[i].report);
		free(report);
	}
}

static const char *const good[] = {
	"",
	"# nothing\n/* at all */ // here",
	"workers = 0x10;",
	/* one address, two ports; one port, two families; wildcard beside one address */
	CLUSTER_C "listeners = (" LISTENER("a", "192.0.2.1", "1", "") "," LISTENER("b", "192.0.2.1", "2", "") ");",
	CLUSTER_C "listeners = (" LISTENER("a", "0.0.0.0", "1", "") "," LISTENER("b", "::", "1", "") ");",
	CLUSTER_C "listeners = (" LISTENER("a", "0.0.0.0", "1", "") "," LISTENER("b", "192.0.2.1", "1", "") ");",
	/* a virtual listener's port is another role than the destination of a real one */
	"intercept = { }; services = ( { name = \"s\"; port = 15001; protocol = \"tcp\"; endpoints = [ ]; } );",
	/* words in any case, nothing else given */
	"intercept = { mode = \"NONE\"; }; outbound_traffic_policy = \"Registry_Only\";",
	/* strings that follow each other are one; quotes and backslashes survive */
	"node = { id = \"a\\\"b\\\\\" \"c\"; };",
	"intercept = { exclude_inbound_ports = ( 22, \"1-3\", \"3-9\", 10, 65535 ); exclude_outbound_ports = [ ]; };",
	/* two that share a route configuration */
	CLUSTER_C "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( { " HTTP("max_headers_count = 5; ") "},"
	"{ filter_chain_match = { destination_port = 2; }; " HTTP("") "} ); } );",
	/* services of HTTP at one port, of several addresses */
	"intercept = { }; services = ( { name = \"a\"; port = 80; protocol = \"HTTP\"; addresses = [ \"192.0.2.1\" ]; endpoints = [ ]; },"
	"{ name = \"b\"; port = 80; protocol = \"auto\"; addresses = [ \"192.0.2.2\" ]; endpoints = [ ]; },"
	"{ name = \"c\"; port = 80; protocol = \"http\"; endpoints = [ ]; } );",
	/* virtual ports of all forms, and the same as the service's */
	"intercept = { port = 8090; }; inbound = ( { port = 80; protocol = \"tcp\"; } ); services = ( { name = \"s\"; port = 8090;"
	"protocol = \"tcp\"; endpoints = [ ]; } );",
	"intercept = { mode = \"none\"; port = 8090; };",
	"intercept = { outbound_port = \"15007-15070\"; };",
	"intercept = { mode = \"tproxy\"; tproxy_mark = 2147483647; tproxy_route_table = 252; };"
	"inbound = ( { port = 80; protocol = \"tcp\"; }, { port = 81; protocol = \"tcp\"; endpoint = \"192.0.2.1:82\"; } );",
	CLUSTER_C "listeners = (" LISTENER("l", "192.0.2.1", "\"8000-8063\"", "use_original_dst = true; traffic_direction = \"outbound\"; ") ");",
	/* one port of a virtual listener, the destination of another; an interface is a guest's, another is left alone */
	"intercept = { exclude_interfaces = [ \"eth1\" ]; guest_interfaces = [ \"eth+\" ]; exclude_inbound_ports = [ ]; include_inbound_ports = [ ]; };",
	/* a chain for each family and port, sorted whatever their order is */
	CLUSTER_C "listeners = ( { name = \"l\"; address = [ \"::\", \"0.0.0.0\" ]; port = 1; filter_chains = ("
	"{ " TCP("c") "}, { filter_chain_match = { destination_port = 2; }; " TCP("c") "},"
	"{ filter_chain_match = { prefix_ranges = [ \"0.0.0.0/0\", \"::/0\" ]; }; " TCP("c") "},"
	"{ filter_chain_match = { prefix_ranges = [ \"10.1.0.0/16\" ]; source_prefix_ranges = ( \"192.0.2.0/24\" ); }; " TCP("c") "},"
	"{ filter_chain_match = { prefix_ranges = [ \"10.0.0.0/8\" ]; destination_port = 2; }; " TCP("c") "} ); } );",
};

Test(check, what_is_right_loads_and_prints)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct tried t = try_good(good[i]);

		tried_free(&t);
	}
}

static void assert_same(const char *one, const char *other, bool same)
{
	struct tried a = try_good(one), b = try_good(other);

	cr_assert_eq(memcmp(a.image.head->digest, b.image.head->digest, 32) == 0, same, "%s\n%s", one, other);
	tried_free(&a);
	tried_free(&b);
}

Test(check, the_digest_is_of_the_meaning)
{
	assert_same("workers = 1; user = \"x\";", "\n\n# a\nuser = \"x\";\n\nworkers = 1;", true);
	assert_same("clusters = ( { name = \"a\"; }, { name = \"b\"; } );", "clusters = (\n{ name = \"b\"; },\n{ name = \"a\"; } );", true);
	assert_same("drain_time = \"60s\";", "drain_time = \"1min\";", true);
	assert_same("intercept = { exclude_inbound_ports = [ 1, 2, 3 ]; };", "intercept = { exclude_inbound_ports = [ \"1-3\" ]; };", true);
	assert_same("intercept = { exclude_outbound_users = ( \"b\", 1000, \"a\", \"1001-1002\" ); };",
	    "intercept = { exclude_outbound_users = ( \"1000\", \"a\", 1002, 1001, \"b\", \"a\" ); };", true);
	assert_same("intercept = { exclude_outbound_ranges = [ \"10.0.0.0/8\", \"::/0\", \"10.0.0.0/8\" ]; exclude_interfaces = [ \"b\", \"a\" ]; };",
	    "intercept = { exclude_outbound_ranges = [ \"::/0\", \"10.0.0.0/8\" ]; exclude_interfaces = [ \"a\", \"b\", \"b\" ]; };", true);
	assert_same("intercept = { };", "intercept = { outbound_port = \"15001-15001\"; inbound_port = 15006; include_outbound_ranges = \"*\"; };", true);
	assert_same("intercept = { };", "intercept = { include_outbound_ranges = [ ]; };", false);
	assert_same("intercept = { exclude_outbound_users = [ \"a\" ]; };", "intercept = { exclude_outbound_groups = [ \"a\" ]; };", false);
	assert_same("intercept = { include_outbound_users = [ \"a\" ]; };", "intercept = { exclude_outbound_users = [ \"a\" ]; };", false);
	assert_same("intercept = { exclude_interfaces = [ \"a\" ]; };", "intercept = { guest_interfaces = [ \"a\" ]; };", false);
	assert_same("workers = 1;", "workers = 2;", false);
	assert_same("access_log = \"/a\";", "access_log = \"/b\";", false);
	assert_same("clusters = ( { name = \"a\"; } );", "clusters = ( { name = \"a\"; tcp_keepalive = { }; } );", false);
	assert_same("clusters = ( { name = \"a\"; endpoints = [ \"192.0.2.1:1\" ]; } );",
	    "clusters = ( { name = \"a\"; endpoints = [ \"192.0.2.1:2\" ]; } );", false);
}

/* The most names that one can say are those that fit. */
Test(check, long_names_are_refused_not_cut)
{
	char name[256], text[2048], *report;
	struct tried t;

	memset(name, 'n', sizeof(name));
	name[231 - strlen("/192.0.2.1:80")] = '\0';
	snprintf(text, sizeof(text), "clusters = ( { name = \"%s\"; endpoints = [ \"192.0.2.1:80\" ]; } );", name);
	t = try_good(text);
	tried_free(&t);
	snprintf(text, sizeof(text), "clusters = ( { name = \"%s\"; endpoints = [ \"192.0.2.1:8080\" ]; } );", name);
	report = try_wrong(text);
	cr_assert_str_eq(report, "m.conf:1: clusters[0].endpoints[0]: the names of cluster and endpoint together are longer than 231 bytes\n");
	free(report);
	snprintf(text, sizeof(text), "intercept = { };\nservices = ( { name = \"n%s\"; port = 80; protocol = \"tcp\"; endpoints = [ ]; } );", name);
	report = try_wrong(text);
	cr_assert_not_null(strstr(report, "m.conf:2: services[0].name: the name of the cluster, \"outbound|80||nn"), "%s", report);
	free(report);
}

Test(check, errors_past_a_thousand_are_counted)
{
	char *text = malloc(200000), *end = text, *report;
	int lines = 0;

	end += sprintf(end, "clusters = (\n");
	for (int i = 0; i < 1500; i++)
		end += sprintf(end, "{ name = \"c%d\"; connect_timeout = \"0ms\"; }%s\n", i, i < 1499 ? "," : "");
	sprintf(end, ");\n");
	report = try_wrong(text);
	for (const char *c = report; *c != '\0'; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 1001);
	cr_assert_not_null(strstr(report, "m.conf:1001: clusters[999].connect_timeout: 0ms is out of range"));
	cr_assert_not_null(strstr(report, "m.conf: and 500 more\n"));
	free(report);
	free(text);
}

Test(check, more_than_live_has_room_for_is_refused)
{
	char *text = malloc(8 << 20), *end = text, *report;

	end += sprintf(end, "clusters = (\n");
	for (int i = 0; i < 70000; i++)
		end += sprintf(end, "{ name = \"c%d\"; endpoints = [ \"192.0.2.1:80\" ]; }%s\n", i, i < 69999 ? "," : "");
	sprintf(end, ");\n");
	report = try_wrong(text);
	cr_assert_str_eq(report, "m.conf: 140000 listeners, chains, clusters and endpoints together, at most 131071 can be\n");
	free(report);
	free(text);
}

Test(check, fifty_thousand_clusters_load)
{
	char *text = malloc(8 << 20), *end = text;
	struct tried t;

	end += sprintf(end, "clusters = (\n");
	for (int i = 0; i < 50000; i++)
		end += sprintf(end, "{ name = \"c%d\"; endpoints = [ \"192.0.2.1:80\" ]; }%s\n", i, i < 49999 ? "," : "");
	sprintf(end, ");\n");
	t = try_text(text);
	cr_assert_eq(t.result, 0, "%s", t.report);
	cr_assert_eq(image_count(&t.image, SECTION_CLUSTERS), 50000);
	cr_assert_eq(image_count(&t.image, SECTION_ENDPOINTS), 50000);
	tried_free(&t);
	free(text);
}

Test(check, where_says_file_and_line)
{
	struct try_file files[] = { { "/m.conf", "\n@include \"c.conf\"\n", 0, 0 }, { "/c.conf", "\n\nclusters = (\n{ name = \"c\"; } );", 0, 0 }, { 0 } };
	struct tried t = try_files(files);
	const struct image_where *w;

	cr_assert_eq(t.result, 0, "%s", t.report);
	w = image_where(&t.image, image_cluster(&t.image, 0)->where);
	cr_assert_str_eq(image_where_text(&t.image, w->file), "c.conf");
	cr_assert_eq(w->line, 4);
	tried_free(&t);
}
