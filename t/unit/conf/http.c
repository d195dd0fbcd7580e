/* HTTP: what the plain forms become, what keys become numbers, which chain a connection's first bytes choose. */
#include "t/unit/conf/try.h"

#include "common/match.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct image_listener *listener(const struct image *i, const char *name)
{
	for (uint32_t k = 0; k < image_count(i, SECTION_LISTENERS); k++) {
		if (strcmp(image_text(i, image_listener(i, k)->name), name) == 0)
			return image_listener(i, k);
	}
	cr_assert_fail("no listener %s", name);
	return NULL;
}

static struct addr address(const char *text)
{
	struct addr a;

	cr_assert_eq(addr_parse(text, &a), 0);
	return a;
}

/* The filter of the chain for this destination; NULL: there is no chain. */
static const struct image_filter *filter_for(const struct image *i, const char *name, const char *to, enum image_application a,
    const char *from)
{
	struct addr destination = address(to), source = address(from);
	const struct image_chain *c = match_chain(i, listener(i, name), &destination, a, &source);

	return c != NULL ? image_filter(i, c->first_filter) : NULL;
}

static bool asks(const struct image *i, const char *name, const char *to)
{
	struct addr destination = address(to);

	return match_asks_application(i, listener(i, name), &destination);
}

static const struct image_http *http_of(const struct image *i, const struct image_filter *f)
{
	cr_assert_not_null(f);
	cr_assert_eq(f->type, FILTER_HTTP);
	return image_http(i, f->index);
}

static void expect_tcp(const struct image *i, const struct image_filter *f, const char *cluster)
{
	cr_assert_not_null(f);
	cr_assert_eq(f->type, FILTER_TCP_PROXY);
	cr_expect_str_eq(image_text(i, image_cluster(i, image_target(i, image_tcp_proxy(i, f->index)->first_target)->cluster)->name), cluster);
}

static void expect_http(const struct image *i, const struct image_filter *f, const char *stat_prefix, const char *route_config,
    const char *vhost, const char *cluster, uint64_t timeout_ms)
{
	const struct image_http *h = http_of(i, f);
	const struct image_route_config *rc = image_route_config(i, h->route_config);
	const struct image_vhost *v = match_vhost(i, rc, "any.example:80", 14);
	const struct image_route *r = match_route(i, rc, "any.example:80", 14, "/x", 2);

	cr_assert_not_null(r);
	cr_expect_str_eq(image_text(i, h->stat_prefix), stat_prefix);
	cr_expect_str_eq(image_text(i, rc->name), route_config);
	cr_expect_str_eq(image_text(i, v->name), vhost);
	cr_expect_str_eq(image_text(i, r->name), "default");
	cr_expect_str_eq(image_text(i, image_cluster(i, image_target(i, r->first_target)->cluster)->name), cluster);
	cr_expect_eq(r->timeout_ms, timeout_ms);
	cr_expect_eq(h->use_remote_address, 0);
}

#define FROM "192.0.2.99:1000"

Test(http, an_inbound_port_gets_istios_names)
{
	struct tried t = try_good("intercept = { };\ninbound = ( { port = 9080; protocol = \"http\"; idle_timeout = \"7s\"; } );");
	const struct image *i = &t.image;
	const struct image_filter *f = filter_for(i, "virtualInbound", "192.0.2.1:9080", APPLICATION_ANY, FROM);

	cr_expect_not(asks(i, "virtualInbound", "192.0.2.1:9080"));
	expect_http(i, f, "inbound_0.0.0.0_9080", "inbound|9080||", "inbound|http|9080", "inbound|9080||", 0);
	cr_expect_eq(http_of(i, f)->idle_timeout_ms, 7000);
	tried_free(&t);
}

Test(http, a_service_has_a_listener_for_each_address)
{
	struct tried t = try_good("intercept = { };\nservices = ( { name = \"details\"; port = 9080; protocol = \"http\"; endpoints = [ ]; },\n"
	    "{ name = \"reviews\"; port = 9080; protocol = \"http\"; addresses = [ \"192.0.2.7\", \"2001:db8::7\" ]; timeout = \"3s\";\n"
	    "max_pending_requests = 5; max_requests = 6; max_requests_per_connection = 7; endpoints = [ ]; } );");
	const struct image *i = &t.image;

	expect_http(i, filter_for(i, "0.0.0.0_9080", "192.0.2.1:9080", APPLICATION_ANY, FROM), "outbound_0.0.0.0_9080", "9080",
	    "details:9080", "outbound|9080||details", 0);
	expect_http(i, filter_for(i, "192.0.2.7_9080", "192.0.2.7:9080", APPLICATION_ANY, FROM), "outbound_192.0.2.7_9080", "reviews:9080",
	    "reviews:9080", "outbound|9080||reviews", 3000);
	expect_http(i, filter_for(i, "2001:db8::7_9080", "[2001:db8::7]:9080", APPLICATION_ANY, FROM), "outbound_2001:db8::7_9080",
	    "reviews:9080", "reviews:9080", "outbound|9080||reviews", 3000);
	cr_expect_eq(image_count(i, SECTION_ROUTE_CONFIGS), 3, "one is shared; InboundPassthroughCluster's is there");
	for (uint32_t k = 0; k < image_count(i, SECTION_CLUSTERS); k++) {
		const struct image_cluster *c = image_cluster(i, k);

		if (strcmp(image_text(i, c->name), "outbound|9080||reviews") != 0)
			continue;
		cr_expect_eq(c->max_pending_requests, 5);
		cr_expect_eq(c->max_requests, 6);
		cr_expect_eq(c->max_requests_per_connection, 7);
		cr_expect_eq(c->idle_timeout_ms, 3600000);
	}
	tried_free(&t);
}

Test(http, auto_is_decided_by_the_first_bytes)
{
	struct tried t = try_good("intercept = { };\ninbound = ( { port = 80; protocol = \"auto\"; }, { port = 81; protocol = \"tcp\"; } );\n"
	    "services = ( { name = \"s\"; port = 90; protocol = \"auto\"; max_connect_attempts = 3; timeout = \"1s\"; endpoints = [ ]; } );");
	const struct image *i = &t.image;
	const struct image_filter *f;

	cr_expect(asks(i, "virtualInbound", "192.0.2.1:80"));
	expect_tcp(i, filter_for(i, "virtualInbound", "192.0.2.1:80", APPLICATION_ANY, FROM), "inbound|80||");
	for (unsigned a = APPLICATION_HTTP10; a <= APPLICATION_HTTP11; a++) {
		expect_http(i, filter_for(i, "virtualInbound", "192.0.2.1:80", a, FROM), "inbound_0.0.0.0_80", "inbound|80||", "inbound|http|80",
		    "inbound|80||", 0);
		expect_tcp(i, filter_for(i, "virtualInbound", "192.0.2.1:81", a, FROM), "inbound|81||");
	}
	cr_expect_not(asks(i, "virtualInbound", "192.0.2.1:81"));
	f = filter_for(i, "0.0.0.0_90", "192.0.2.1:90", APPLICATION_ANY, FROM);
	expect_tcp(i, f, "outbound|90||s");
	cr_expect_eq(image_tcp_proxy(i, f->index)->max_connect_attempts, 3);
	f = filter_for(i, "0.0.0.0_90", "192.0.2.1:90", APPLICATION_HTTP11, FROM);
	cr_expect_eq(image_http(i, f->index)->max_connect_attempts, 3);
	expect_http(i, filter_for(i, "0.0.0.0_90", "192.0.2.1:90", APPLICATION_HTTP11, FROM), "outbound_0.0.0.0_90", "90", "s:90", "outbound|90||s", 1000);
	tried_free(&t);
}

Test(http, what_passes_through_inbound_is_sniffed_outbound_is_not)
{
	struct tried t = try_good("intercept = { };");
	const struct image *i = &t.image;

	cr_expect(asks(i, "virtualInbound", "192.0.2.1:1"));
	expect_tcp(i, filter_for(i, "virtualInbound", "192.0.2.1:1", APPLICATION_ANY, FROM), "InboundPassthroughCluster");
	expect_http(i, filter_for(i, "virtualInbound", "192.0.2.1:1", APPLICATION_HTTP11, FROM), "InboundPassthroughCluster",
	    "InboundPassthroughCluster", "inbound|http|0", "InboundPassthroughCluster", 0);
	cr_expect_not(asks(i, "virtualInbound", "192.0.2.1:15006"));
	expect_tcp(i, filter_for(i, "virtualInbound", "192.0.2.1:15006", APPLICATION_HTTP11, FROM), "BlackHoleCluster");
	cr_expect_not(asks(i, "virtualOutbound", "192.0.2.1:1"));
	expect_tcp(i, filter_for(i, "virtualOutbound", "192.0.2.1:1", APPLICATION_HTTP11, FROM), "PassthroughCluster");
	tried_free(&t);
}

/* With one port for both directions, and with a range of them, what is sniffed stays so. */
Test(http, ports_of_interception_are_not_sniffed)
{
	static const char *const ports[] = { "port = 8090;", "outbound_port = \"15007-15010\"; inbound_port = 8090;" };
	char text[256];

	for (size_t k = 0; k < 2; k++) {
		struct tried t;

		snprintf(text, sizeof(text), "intercept = { %s };\ninbound = ( { port = 80; protocol = \"auto\"; } );", ports[k]);
		t = try_good(text);
		cr_expect_not(asks(&t.image, "virtualInbound", "192.0.2.1:8090"));
		expect_tcp(&t.image, filter_for(&t.image, "virtualInbound", "192.0.2.1:8090", APPLICATION_HTTP11, FROM), "BlackHoleCluster");
		cr_expect(asks(&t.image, "virtualInbound", "192.0.2.1:80"));
		cr_expect(asks(&t.image, "virtualInbound", "192.0.2.1:8091"));
		tried_free(&t);
	}
}

#define CHAIN(match, cluster) "{ filter_chain_match = { " match " }; filters = ( { type = \"tcp_proxy\"; cluster = \"" cluster "\"; } ); }"

/* Envoy's steps: the destination decides before the application, that before the source, and nothing goes back. */
Test(http, the_most_specific_chain_at_each_step)
{
	struct tried t = try_good("clusters = ( { name = \"a\"; }, { name = \"b\"; }, { name = \"c\"; }, { name = \"d\"; } );\n"
	    "listeners = ( { name = \"l\"; address = \"0.0.0.0\"; port = 80; filter_chains = (\n"
	    CHAIN("prefix_ranges = [ \"192.0.2.0/24\" ]; application_protocols = [ \"http/1.1\" ]; source_prefix_ranges = [ \"10.0.0.0/8\" ];", "a") ",\n"
	    CHAIN("prefix_ranges = [ \"192.0.2.0/24\" ];", "b") ",\n"
	    CHAIN("application_protocols = [ \"http/1.0\", \"http/1.1\" ];", "c") ",\n"
	    CHAIN("prefix_ranges = [ \"198.51.100.0/24\" ]; application_protocols = [ \"http/1.0\" ];", "d") " ); } );");
	const struct image *i = &t.image;

	expect_tcp(i, filter_for(i, "l", "192.0.2.1:80", APPLICATION_HTTP11, "10.1.1.1:1"), "a");
	cr_expect_null(filter_for(i, "l", "192.0.2.1:80", APPLICATION_HTTP11, "11.1.1.1:1"), "no way back to b");
	expect_tcp(i, filter_for(i, "l", "192.0.2.1:80", APPLICATION_HTTP10, "10.1.1.1:1"), "b");
	expect_tcp(i, filter_for(i, "l", "192.0.2.1:80", APPLICATION_ANY, "10.1.1.1:1"), "b");
	expect_tcp(i, filter_for(i, "l", "203.0.113.1:80", APPLICATION_HTTP10, "10.1.1.1:1"), "c");
	cr_expect_null(filter_for(i, "l", "203.0.113.1:80", APPLICATION_ANY, "10.1.1.1:1"));
	expect_tcp(i, filter_for(i, "l", "198.51.100.1:80", APPLICATION_HTTP10, "10.1.1.1:1"), "d");
	cr_expect_null(filter_for(i, "l", "198.51.100.1:80", APPLICATION_HTTP11, "10.1.1.1:1"), "no way back to c");
	cr_expect_null(filter_for(i, "l", "198.51.100.1:80", APPLICATION_ANY, "10.1.1.1:1"));
	cr_expect(asks(i, "l", "192.0.2.1:80"));
	tried_free(&t);
}

#define LISTENER(filter) "clusters = ( { name = \"c\"; }, { name = \"d\"; } );\n" \
	"listeners = ( { name = \"l\"; address = \"0.0.0.0\"; port = 80; listener_filters_timeout = \"250ms\"; filter_chains = ( { filters = ( { " filter " } ); } ); } );"

Test(http, a_range_of_ports_has_each_application_at_each)
{
	struct tried t = try_good("clusters = ( { name = \"a\"; }, { name = \"b\"; } );\n"
	    "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = (\n"
	    CHAIN("destination_port = \"8000-8002\"; application_protocols = [ \"http/1.0\", \"http/1.1\" ];", "a") ",\n"
	    CHAIN("destination_port = \"8000-8002\";", "b") " ); } );");
	const struct image *i = &t.image;
	char to[32];

	cr_expect_eq(listener(i, "l")->match_count, 9);
	for (int port = 7999; port <= 8003; port++) {
		bool inside = port >= 8000 && port <= 8002;

		snprintf(to, sizeof(to), "192.0.2.9:%d", port);
		cr_expect_eq(asks(i, "l", to), inside);
		for (unsigned a = APPLICATION_ANY; a < APPLICATIONS; a++) {
			if (inside)
				expect_tcp(i, filter_for(i, "l", to, a, FROM), a == APPLICATION_ANY ? "b" : "a");
			else
				cr_expect_null(filter_for(i, "l", to, a, FROM));
		}
	}
	tried_free(&t);
}

Test(http, defaults_are_envoys_or_safe_ones)
{
	struct tried t = try_good(LISTENER("type = \"http_connection_manager\"; cluster = \"c\";"));
	const struct image *i = &t.image;
	const struct image_http *h = image_http(i, 0);
	const struct image_route *r = image_route(i, 0);

	cr_expect_eq(image_listener(i, 0)->filters_timeout_ms, 250);
	cr_expect_eq(h->max_request_line_bytes, 8192);
	cr_expect_eq(h->max_request_headers_bytes, 60 * 1024);
	cr_expect_eq(h->max_response_headers_bytes, 60 * 1024);
	cr_expect_eq(h->max_headers_count, 100);
	cr_expect_eq(h->max_requests_per_connection, 0);
	cr_expect_eq(h->max_pipelined_requests, 16);
	cr_expect_eq(h->max_request_bytes, 0);
	cr_expect_eq(h->request_headers_timeout_ms, 10000);
	cr_expect_eq(h->delayed_close_timeout_ms, 1000);
	cr_expect_eq(h->drain_timeout_ms, 5000);
	cr_expect_eq(h->idle_timeout_ms, 3600000);
	cr_expect_eq(h->stream_idle_timeout_ms, 300000);
	cr_expect_eq(h->request_timeout_ms, 0);
	cr_expect_eq(h->max_connection_duration_ms, 0);
	cr_expect_eq(h->xff_num_trusted_hops, 0);
	cr_expect_eq(h->upgrades, UPGRADE_WEBSOCKET);
	cr_expect(h->generate_request_id && !h->preserve_external_request_id && h->normalize_path && h->accept_http_10);
	cr_expect(h->use_remote_address, "at a bound listener");
	cr_expect_str_eq(image_text(i, h->server_name), "istio-envoy");
	cr_expect_str_eq(image_text(i, h->stat_prefix), "c");
	cr_expect_str_eq(image_text(i, image_route_config(i, 0)->name), "c");
	cr_expect_str_eq(image_text(i, image_vhost(i, 0)->name), "c");
	cr_expect_str_eq(image_text(i, r->name), "default");
	cr_expect_str_eq(image_text(i, r->text), "/");
	cr_expect_eq(r->timeout_ms, 15000);
	tried_free(&t);
}

Test(http, every_key_has_its_place)
{
	struct tried t = try_good(LISTENER("type = \"http\"; weighted_clusters = ( { name = \"c\"; weight = 1; }, { name = \"d\"; weight = 3; } );\n"
	    "stat_prefix = \"s\"; idle_timeout = \"1s\"; route_config_name = \"rc\"; virtual_host = \"vh\"; route_name = \"r\"; prefix = \"/p\";\n"
	    "timeout = \"2s\"; server_name = \"x\"; max_request_line_bytes = \"1k\"; max_request_headers_kb = 2; max_response_headers_kb = 3;\n"
	    "max_headers_count = 4; max_requests_per_connection = 5; max_pipelined_requests = 6; max_request_bytes = \"7m\"; request_headers_timeout = \"7s\";\n"
	    "request_timeout = \"8s\"; stream_idle_timeout = \"9s\"; max_connection_duration = \"10s\"; delayed_close_timeout = \"11s\";\n"
	    "drain_timeout = \"12s\"; generate_request_id = false; preserve_external_request_id = true; use_remote_address = false;\n"
	    "xff_num_trusted_hops = 13; normalize_path = false; accept_http_10 = false; max_connect_attempts = 14; upgrade_configs = [ \"CONNECT\" ];"));
	const struct image *i = &t.image;
	const struct image_http *h = image_http(i, 0);
	const struct image_route *r = image_route(i, 0);
	const uint64_t got[] = { h->idle_timeout_ms, r->timeout_ms, h->max_request_line_bytes, h->max_request_headers_bytes,
		h->max_response_headers_bytes, h->max_headers_count, h->max_requests_per_connection, h->max_pipelined_requests,
		h->request_headers_timeout_ms, h->request_timeout_ms, h->stream_idle_timeout_ms, h->max_connection_duration_ms,
		h->delayed_close_timeout_ms, h->drain_timeout_ms, h->generate_request_id, h->preserve_external_request_id,
		h->use_remote_address, h->xff_num_trusted_hops, h->normalize_path, h->accept_http_10, h->upgrades, r->target_count,
		image_target(i, r->first_target + 1)->upto, h->max_connect_attempts, h->max_request_bytes };
	const uint64_t want[] = { 1000, 2000, 1024, 2048, 3072, 4, 5, 6, 7000, 8000, 9000, 10000, 11000, 12000, 0, 1, 0, 13, 0, 0,
		UPGRADE_CONNECT, 2, 4, 14, 7 << 20 };

	cr_expect_arr_eq(got, want, sizeof(want));
	cr_expect_str_eq(image_text(i, h->stat_prefix), "s");
	cr_expect_str_eq(image_text(i, h->server_name), "x");
	cr_expect_str_eq(image_text(i, image_route_config(i, 0)->name), "rc");
	cr_expect_str_eq(image_text(i, image_vhost(i, 0)->name), "vh");
	cr_expect_str_eq(image_text(i, r->name), "r");
	cr_expect_null(match_route(i, image_route_config(i, 0), "x", 1, "/", 1));
	cr_expect_eq(match_route(i, image_route_config(i, 0), "x", 1, "/pq?z", 5), r);
	tried_free(&t);
}

Test(http, a_sniffed_chain_without_a_name_is_called_by_its_match)
{
	struct tried t = try_good("clusters = ( { name = \"c\"; } );\nlisteners = ( { name = \"l\"; address = \"0.0.0.0\"; port = 80; filter_chains = (\n"
	    CHAIN("destination_port = 80; application_protocols = ( \"http/1.1\", \"http/1.0\" );", "c") " ); } );");
	const struct image *i = &t.image;

	cr_expect_str_eq(image_text(i, image_name(i, image_chain(i, 0)->name_index)->name), "l/port=80,app=http/1.0,app=http/1.1");
	cr_expect_not_null(strstr(t.printed, "application_protocols = [ \"http/1.0\", \"http/1.1\" ];"), "%s", t.printed);
	tried_free(&t);
}
