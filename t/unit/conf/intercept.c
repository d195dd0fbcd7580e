/* intercept = { } in the image: what each key becomes there, and which listeners and clusters are made of it. */
#include "t/unit/conf/try.h"

#include "common/match.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct image_intercept *of(const struct tried *t)
{
	return &image_settings(&t->image)->intercept;
}

/* "80,90-99" */
static void ports(const struct tried *t, const struct image_range *r, const char *expected)
{
	char text[256] = "";
	size_t n = 0;

	for (uint32_t k = 0; k < r->count; k++) {
		const struct image_port_range *p = image_port_range(&t->image, r->first + k);

		n += (size_t)snprintf(text + n, sizeof(text) - n, p->first == p->last ? "%s%u" : "%s%u-%u", k > 0 ? "," : "", p->first, p->last);
	}
	cr_expect_str_eq(text, expected);
}

static void prefixes(const struct tried *t, const struct image_range *r, const char *expected)
{
	char text[256] = "", one[ADDR_STRLEN];
	size_t n = 0;

	for (uint32_t k = 0; k < r->count; k++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", k > 0 ? "," : "", prefix_print(image_prefix(&t->image, r->first + k), one));
	cr_expect_str_eq(text, expected);
}

static void words(const struct tried *t, const struct image_range *r, const char *expected)
{
	char text[256] = "";
	size_t n = 0;

	for (uint32_t k = 0; k < r->count; k++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", k > 0 ? "," : "", image_text(&t->image, *image_word(&t->image, r->first + k)));
	cr_expect_str_eq(text, expected);
}

Test(intercept, the_defaults_are_istios)
{
	struct tried t = try_good("intercept = { };");
	const struct image_intercept *i = of(&t);

	cr_expect_eq(i->configured, 1);
	cr_expect_eq(i->mode, INTERCEPT_REDIRECT);
	cr_expect_eq(i->manual, 0);
	cr_expect_eq(i->iptables, IPTABLES_AUTO);
	cr_expect_eq(i->on_exit, ON_EXIT_BYPASS);
	cr_expect_eq(i->outbound_port, 15001);
	cr_expect_eq(i->outbound_last, 15001);
	cr_expect_eq(i->inbound_port, 15006);
	cr_expect_not(intercept_has_one_port(i));
	cr_expect_eq(i->inbound_listener, IMAGE_NONE);
	cr_expect_eq(i->inbound_sources, 1);
	cr_expect(i->every_inbound_port && i->every_outbound_range && i->every_user && i->every_group);
	cr_expect(!i->exclude_dns && !i->drop_invalid);
	cr_expect_eq(i->tproxy_mark, 0, "of another mode");
	cr_expect_eq(i->tproxy_table, 0);
	for (const struct image_range *r = &i->include_inbound; r <= &i->exclude_groups; r++)
		cr_expect_eq(r->count, 0);
	tried_free(&t);
	t = try_good("");
	cr_expect_eq(of(&t)->configured, 0);
	tried_free(&t);
}

Test(intercept, each_key_arrives)
{
	struct tried t = try_good("intercept = { apply = \"manual\"; iptables = \"nft\"; on_exit = \"block\"; outbound_port = \"15001-15004\";\n"
	    "inbound_port = 15010; inbound_sources = 16; include_inbound_ports = ( 81, 80, \"90-99\", 82 );\n"
	    "include_outbound_ports = [ 5432 ]; exclude_outbound_ports = ( 65535, 1, \"2-3\" ); include_outbound_ranges = [ \"2001:db8::/32\", \"10.0.0.0/8\" ];\n"
	    "exclude_outbound_ranges = [ \"10.1.2.3\" ]; exclude_interfaces = [ \"veth+\", \"eth1\" ]; guest_interfaces = [ \"tap0\" ];\n"
	    "include_outbound_users = ( \"www-data\", 7, \"8-10\", \"a\" ); exclude_outbound_users = ( 4294967294, 0 );\n"
	    "include_outbound_groups = [ ]; exclude_outbound_groups = [ \"staff\" ]; exclude_dns = true; drop_invalid = true; };");
	const struct image_intercept *i = of(&t);

	cr_expect_eq(i->manual, 1);
	cr_expect_eq(i->iptables, IPTABLES_NFT);
	cr_expect_eq(i->on_exit, ON_EXIT_BLOCK);
	cr_expect_eq(i->outbound_port, 15001);
	cr_expect_eq(i->outbound_last, 15004);
	cr_expect_eq(i->inbound_port, 15010);
	cr_expect_eq(i->inbound_sources, 16);
	cr_expect(!i->every_inbound_port && !i->every_outbound_range && !i->every_user && !i->every_group);
	ports(&t, &i->include_inbound, "80-82,90-99");
	ports(&t, &i->exclude_inbound, "");
	ports(&t, &i->include_outbound, "5432");
	ports(&t, &i->exclude_outbound, "1-3,65535");
	prefixes(&t, &i->include_ranges, "10.0.0.0/8,2001:db8::/32");
	prefixes(&t, &i->exclude_ranges, "10.1.2.3/32");
	words(&t, &i->exclude_interfaces, "eth1,veth+");
	words(&t, &i->guest_interfaces, "tap0");
	words(&t, &i->include_users, "7-10,a,www-data");
	words(&t, &i->exclude_users, "0,4294967294");
	words(&t, &i->include_groups, "");
	words(&t, &i->exclude_groups, "staff");
	cr_expect(i->exclude_dns && i->drop_invalid);
	tried_free(&t);
}

static const struct image_listener *named(const struct image *i, const char *name)
{
	for (uint32_t k = 0; k < image_count(i, SECTION_LISTENERS); k++) {
		if (strcmp(image_text(i, image_listener(i, k)->name), name) == 0)
			return image_listener(i, k);
	}
	cr_assert_fail("%s", name);
	return NULL;
}

static const char *cluster_for(const struct image *i, const char *listener, const char *to)
{
	const struct image_chain *c;
	struct addr a, from;

	cr_assert_eq(addr_parse(to, &a), 0);
	cr_assert_eq(addr_parse("192.0.2.1:1", &from), 0);
	c = match_chain(i, named(i, listener), &a, APPLICATION_ANY, &from);
	cr_assert_not_null(c);
	return image_text(i, image_cluster(i, image_target(i, image_tcp_proxy(i, image_filter(i, c->first_filter)->index)->first_target)->cluster)->name);
}

static const char *bound_at(const struct image *i, const char *local)
{
	const struct image_listener *l;
	struct addr a;

	cr_assert_eq(addr_parse(local, &a), 0);
	l = match_bound(i, &a);
	return l != NULL ? image_text(i, l->name) : "none";
}

Test(intercept, one_port_is_bound_once_and_closed_in_both_directions)
{
	struct tried t = try_good("intercept = { port = 8090; }; inbound = ( { port = 80; protocol = \"tcp\"; } );\n"
	    "services = ( { name = \"s\"; port = 1; protocol = \"tcp\"; endpoints = [ ]; } );");
	const struct image *i = &t.image;
	const struct image_listener *in = image_listener(i, of(&t)->inbound_listener);

	cr_assert(intercept_has_one_port(of(&t)));
	cr_assert_eq(of(&t)->outbound_last, 8090);
	cr_assert_str_eq(image_text(i, in->name), "virtualInbound");
	cr_assert_eq(in->kind, LISTENER_VIRTUAL_INBOUND);
	cr_assert_eq(in->direction, DIRECTION_INBOUND);
	cr_assert_eq(in->bind_count, 0);
	cr_assert_eq(named(i, "virtualOutbound")->bind_count, 2);
	cr_assert_str_eq(bound_at(i, "0.0.0.0:8090"), "virtualOutbound");
	cr_assert_str_eq(bound_at(i, "[::]:8090"), "virtualOutbound");
	cr_assert_str_eq(cluster_for(i, "virtualOutbound", "192.0.2.9:8090"), "BlackHoleCluster");
	cr_assert_str_eq(cluster_for(i, "virtualInbound", "192.0.2.9:8090"), "BlackHoleCluster");
	cr_assert_str_eq(cluster_for(i, "virtualInbound", "192.0.2.9:80"), "inbound|80||");
	cr_assert_str_eq(cluster_for(i, "virtualOutbound", "192.0.2.9:80"), "PassthroughCluster");
	tried_free(&t);
}

Test(intercept, each_port_of_a_range_is_bound_and_closed)
{
	struct tried t = try_good("intercept = { outbound_port = \"15007-15070\"; };");
	const struct image *i = &t.image;
	char text[64];

	cr_assert_eq(named(i, "virtualOutbound")->bind_count, 128);
	for (int port = 15007; port <= 15070; port++) {
		snprintf(text, sizeof(text), "0.0.0.0:%d", port);
		cr_assert_str_eq(bound_at(i, text), "virtualOutbound");
		snprintf(text, sizeof(text), "[::]:%d", port);
		cr_assert_str_eq(bound_at(i, text), "virtualOutbound");
		cr_assert_str_eq(cluster_for(i, "virtualOutbound", text), "BlackHoleCluster");
	}
	cr_assert_str_eq(bound_at(i, "0.0.0.0:15071"), "none");
	cr_assert_str_eq(bound_at(i, "0.0.0.0:15006"), "virtualInbound");
	cr_assert_str_eq(cluster_for(i, "virtualOutbound", "192.0.2.9:15006"), "PassthroughCluster");
	tried_free(&t);
}

/* 64 ports at two addresses are 128 sockets. */
Test(intercept, sockets_of_a_range_are_counted)
{
	static const char form[] = "intercept = { outbound_port = \"15007-15070\"; };\nclusters = ( { name = \"c\"; } );\nlisteners = (%s);";
	char *list = malloc(200000), *text = malloc(200000), *end = list, *report;
	struct tried t;

	*list = '\0';
	for (int k = 0; k < 862; k++)			/* 992 - 128 - 2 */
		end += sprintf(end, "%s{ name = \"l%d\"; address = \"192.0.2.1\"; port = %d; filter_chains = ( { filters = "
		    "( { type = \"tcp_proxy\"; cluster = \"c\"; } ); } ); }", k > 0 ? "," : "", k, k + 1);
	sprintf(text, form, list);
	t = try_good(text);
	tried_free(&t);
	sprintf(end, ", { name = \"l\"; address = \"192.0.2.2\"; port = 1; filter_chains = ( { filters = "
	    "( { type = \"tcp_proxy\"; cluster = \"c\"; } ); } ); }");
	sprintf(text, form, list);
	report = try_wrong(text);
	cr_assert_str_eq(report, "m.conf: listeners bind 993 addresses, at most 992 can be\n");
	free(report);
	free(text);
	free(list);
}

static const struct image_cluster *cluster_named(const struct image *i, const char *name)
{
	for (uint32_t k = 0; k < image_count(i, SECTION_CLUSTERS); k++) {
		if (strcmp(image_text(i, image_cluster(i, k)->name), name) == 0)
			return image_cluster(i, k);
	}
	cr_assert_fail("%s", name);
	return NULL;
}

/* Of all chains of TCP and of HTTP. */
static uint32_t most_attempts(const struct image *i, bool http)
{
	uint32_t most = 0;

	for (uint32_t n = 0; n < image_count(i, http ? SECTION_HTTP_FILTERS : SECTION_TCP_PROXIES); n++) {
		uint32_t attempts = http ? image_http(i, n)->max_connect_attempts : image_tcp_proxy(i, n)->max_connect_attempts;

		if (attempts > most)
			most = attempts;
	}
	return most;
}

static void expect_reached(const char *mode, const char *protocol, bool transparent)
{
	static const char form[] = "intercept = { mode = \"%s\"; }; inbound = ( { port = 80; protocol = \"%s\"; connect_timeout = \"7s\"; },\n"
	    "{ port = 81; protocol = \"%s\"; endpoint = \"192.0.2.1:82\"; } );";
	const struct image_cluster *c;
	char text[512];
	struct tried t;

	snprintf(text, sizeof(text), form, mode, protocol, protocol);
	t = try_good(text);
	c = cluster_named(&t.image, "inbound|80||");
	cr_expect_eq(c->type, CLUSTER_STATIC);
	cr_expect_eq(c->endpoint_count, transparent ? 2 : 1);
	cr_expect_eq(image_endpoint(&t.image, c->first_endpoint)->addr.family, AF_INET);
	cr_expect_eq(image_endpoint(&t.image, c->first_endpoint + c->endpoint_count - 1)->addr.family, transparent ? AF_INET6 : AF_INET);
	cr_expect_eq(c->direction, DIRECTION_INBOUND);
	cr_expect_eq(c->connect_timeout_ms, 7000);
	c = cluster_named(&t.image, "inbound|81||");
	cr_expect_eq(c->type, CLUSTER_STATIC);
	cr_expect_eq(c->endpoint_count, 1);
	cr_expect_eq(most_attempts(&t.image, false), transparent && strcmp(protocol, "http") != 0 ? 2 : 1, "each endpoint is tried");
	cr_expect_eq(most_attempts(&t.image, true), transparent && strcmp(protocol, "tcp") != 0 ? 2 : 1, "each endpoint is tried");
	cr_expect_eq(of(&t)->tproxy_mark, transparent ? 1337 : 0);
	cr_expect_eq(of(&t)->tproxy_table, transparent ? 133 : 0);
	tried_free(&t);
}

Test(intercept, tproxy_reaches_the_application_in_the_family_of_its_client)
{
	static const char *const protocols[] = { "tcp", "http", "auto" };

	for (size_t k = 0; k < sizeof(protocols) / sizeof(protocols[0]); k++) {
		expect_reached("redirect", protocols[k], false);
		expect_reached("tproxy", protocols[k], true);
	}
}
