/* proxy-config listener: istioctl's table of listeners, a row for each filter chain (--verbose=false: for each listener). */
#include "ctl/json.h"
#include "ctl/proxyconfig.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Text that grows; what does not fit is cut. */
struct line {
	char text[1024];
	size_t n;
};

static void put(struct line *l, const char *text)
{
	size_t n = strlen(text);

	if (n >= sizeof(l->text) - l->n)
		n = sizeof(l->text) - 1 - l->n;
	memcpy(l->text + l->n, text, n);
	l->n += n;
	l->text[l->n] = '\0';
}

static int port_of(const json_t *listener)
{
	return (int)json_number(json_at(listener, "address", "socket_address", NULL), "port_value");
}

static const char *first_address(const json_t *listener)
{
	return json_text(json_at(listener, "address", "socket_address", NULL), "address");
}

static void addresses_of(const json_t *listener, struct line *to)
{
	const json_t *more;
	size_t i;

	put(to, first_address(listener));
	json_array_foreach(json_object_get(listener, "additional_addresses"), i, more) {
		put(to, ",");
		put(to, json_text(json_at(more, "address", "socket_address", NULL), "address"));
	}
}

static bool has_address(const json_t *listener, const char *address)
{
	const json_t *more;
	size_t i;

	if (strcasecmp(first_address(listener), address) == 0)
		return true;
	json_array_foreach(json_object_get(listener, "additional_addresses"), i, more) {
		if (strcasecmp(json_text(json_at(more, "address", "socket_address", NULL), "address"), address) == 0)
			return true;
	}
	return false;
}

static bool is_filter(const json_t *filter, const char *type)
{
	return strstr(json_text(json_object_get(filter, "typed_config"), "@type"), type) != NULL;
}

static const char *type_of(const json_t *listener)
{
	static const char *const words[] = { "UNKNOWN", "TCP", "HTTP", "HTTP+TCP" };
	const json_t *chain, *filter;
	unsigned found = 0;
	size_t i, k;

	json_array_foreach(json_object_get(listener, "filter_chains"), i, chain) {
		json_array_foreach(json_object_get(chain, "filters"), k, filter)
			found |= (is_filter(filter, "TcpProxy") ? 1u : 0) | (is_filter(filter, "HttpConnectionManager") ? 2u : 0);
	}
	return words[found];
}

/* ---- a chain: what it matches, where it leads ---- */

static void prefixes(const json_t *ranges, struct line *to)
{
	const json_t *range;
	char length[16];
	size_t i;

	json_array_foreach(ranges, i, range) {
		snprintf(length, sizeof(length), "/%d", (int)json_number(range, "prefix_len"));
		put(to, i > 0 ? "," : "");
		put(to, json_text(range, "address_prefix"));
		put(to, length);
	}
}

static void protocols(const json_t *names, struct line *to)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		put(to, i > 0 ? "," : "App: ");
		put(to, json_is_string(name) ? json_string_value(name) : "");
	}
}

static void match_of(const json_t *chain, struct line *to)
{
	const json_t *match = json_object_get(chain, "filter_chain_match");
	const json_t *ranges = json_object_get(match, "prefix_ranges");
	int port = (int)json_number(match, "destination_port");
	char text[16] = "";

	if (port != 0)
		snprintf(text, sizeof(text), ":%d", port);
	protocols(json_object_get(match, "application_protocols"), to);
	if (json_array_size(ranges) > 0 || port != 0) {
		put(to, to->n > 0 ? "; Addr: " : "Addr: ");
		put(to, json_array_size(ranges) > 0 ? "" : "*");
		prefixes(ranges, to);
		put(to, text);
	}
	if (json_array_size(json_object_get(match, "source_prefix_ranges")) > 0) {
		put(to, to->n > 0 ? "; Source: " : "Source: ");
		prefixes(json_object_get(match, "source_prefix_ranges"), to);
	}
	if (to->n == 0)
		put(to, "ALL");
}

/* "Clusters: v1 (80), v2 (20)"; istioctl shows nothing of them. */
static void weighted_clusters(const json_t *clusters, struct line *to)
{
	const json_t *one;
	char weight[32];
	size_t i;

	json_array_foreach(clusters, i, one) {
		put(to, i > 0 ? ", " : "Clusters: ");
		put(to, json_text(one, "name"));
		snprintf(weight, sizeof(weight), " (%lld)", (long long)json_number(one, "weight"));
		put(to, weight);
	}
}

/* istioctl's rule for PassthroughCluster, BlackHoleCluster and their like */
static void cluster_destination(const char *cluster, struct line *to)
{
	if (strstr(cluster, "Cluster") == NULL)
		put(to, "Cluster: ");
	put(to, cluster);
}

static void tcp_proxy_destination(const json_t *proxy, struct line *to)
{
	const char *cluster = json_text(proxy, "cluster");

	if (*cluster == '\0')
		weighted_clusters(json_at(proxy, "weighted_clusters", "clusters", NULL), to);
	else
		cluster_destination(cluster, to);
}

/* The cluster that every request goes to; "": there is no such one. */
static const char *only_cluster(const json_t *vhosts)
{
	const json_t *vhost = json_array_get(vhosts, 0), *domains = json_object_get(vhost, "domains");
	const json_t *routes = json_object_get(vhost, "routes"), *route = json_array_get(routes, 0);
	const char *domain = json_string_value(json_array_get(domains, 0));

	if (json_array_size(vhosts) != 1 || json_array_size(domains) != 1 || json_array_size(routes) != 1 || domain == NULL ||
	    strcmp(domain, "*") != 0 || strcmp(json_text(json_object_get(route, "match"), "prefix"), "/") != 0)
		return "";
	return json_text(json_object_get(route, "route"), "cluster");
}

/* as istioctl writes it: "Inline Route: a.example/b.example /x, /y" */
static void inline_destination(const json_t *vhosts, struct line *to)
{
	const json_t *vhost, *domain, *route;
	char match[1100];
	size_t i, k;

	json_array_foreach(vhosts, i, vhost) {
		const json_t *domains = json_object_get(vhost, "domains");

		put(to, i > 0 ? "; " : "Inline Route: ");
		json_array_foreach(domains, k, domain) {
			const char *text = json_is_string(domain) ? json_string_value(domain) : "";

			if (json_array_size(domains) == 1 && strcmp(text, "*") == 0)
				break;
			put(to, k > 0 ? "/" : "");
			put(to, text);
			put(to, k + 1 == json_array_size(domains) ? " " : "");
		}
		json_array_foreach(json_object_get(vhost, "routes"), k, route) {
			put(to, k > 0 ? ", " : "");
			put(to, route_match_text(route, match, sizeof(match)));
		}
	}
}

static void http_destination(const json_t *manager, struct line *to)
{
	const json_t *vhosts = json_at(manager, "route_config", "virtual_hosts", NULL);
	const char *name = json_text(json_object_get(manager, "rds"), "route_config_name"), *cluster = only_cluster(vhosts);

	if (*cluster != '\0') {
		cluster_destination(cluster, to);
	} else if (vhosts != NULL) {
		inline_destination(vhosts, to);
	} else if (*name != '\0') {
		put(to, "Route: ");
		put(to, name);
	} else {
		put(to, "HTTP");
	}
}

static void destination_of(const json_t *chain, struct line *to)
{
	const json_t *filter;
	size_t i;

	json_array_foreach(json_object_get(chain, "filters"), i, filter) {
		if (is_filter(filter, "HttpConnectionManager"))
			http_destination(json_object_get(filter, "typed_config"), to);
		else if (is_filter(filter, "TcpProxy"))
			tcp_proxy_destination(json_object_get(filter, "typed_config"), to);
		else
			continue;
		return;
	}
	put(to, "Non-HTTP/Non-TCP");
}

/* ---- the table ---- */

static int by_destination_down(const void *a, const void *b)
{
	struct line x = { "", 0 }, y = { "", 0 };

	destination_of(*(json_t *const *)a, &x);
	destination_of(*(json_t *const *)b, &y);
	return strcmp(y.text, x.text);
}

static int by_port(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int c;

	if (port_of(x) != port_of(y))
		return port_of(x) < port_of(y) ? -1 : 1;
	if ((c = strcmp(first_address(x), first_address(y))) != 0)
		return c;
	return strcmp(type_of(x), type_of(y));
}

static void print_chains(struct output *o, const json_t *listener, const char *const *row, bool types)
{
	json_t *chains = json_copy(json_object_get(listener, "filter_chains"));
	const json_t *chain;
	size_t i;

	sort_array(chains, by_destination_down);
	json_array_foreach(chains, i, chain) {
		struct line match = { "", 0 }, destination = { "", 0 };
		const char *cells[] = { row[0], row[1], row[2], match.text, destination.text };

		match_of(chain, &match);
		destination_of(chain, &destination);
		output_row(o, types ? cells : cells + 1);
	}
	json_decref(chains);
}

static void print_listener(struct output *o, const json_t *listener, const struct listener_filter *f, bool types)
{
	struct line name = { "", 0 }, addresses = { "", 0 };
	char port[16];
	const char *cells[] = { name.text, addresses.text, port, type_of(listener) };
	json_t *item = json_camel(listener);

	put(&name, "listener/");
	put(&name, json_text(listener, "name"));
	addresses_of(listener, &addresses);
	snprintf(port, sizeof(port), "%d", port_of(listener));
	if (f->verbose)
		print_chains(o, listener, cells, types);
	else
		output_row(o, types ? cells : cells + 1);
	json_object_del(item, "@type");
	output_item(o, item);
	json_decref(item);
}

static bool passes(const json_t *listener, const struct listener_filter *f)
{
	return (f->address == NULL || has_address(listener, f->address)) &&
	    (f->port == 0 || port_of(listener) == f->port) &&
	    (f->type == NULL || strcasecmp(type_of(listener), f->type) == 0);
}

void show_listeners(struct output *o, const json_t *config_dump, const struct listener_filter *f, const char *key, bool types)
{
	static const char *const verbose[] = { "NAME", "ADDRESSES", "PORT", "MATCH", "DESTINATION", NULL };
	static const char *const brief[] = { "NAME", "ADDRESSES", "PORT", "TYPE", NULL };
	const struct list list = { key, (f->verbose ? verbose : brief) + !types, 1 };
	json_t *listeners = dump_objects(config_dump, ".ListenersConfigDump", "static_listeners", "dynamic_listeners",
	    "active_state", "listener", NULL);
	const json_t *listener;
	size_t i;

	output_head(o, &list);
	sort_array(listeners, by_port);
	json_array_foreach(listeners, i, listener) {
		if (passes(listener, f))
			print_listener(o, listener, f, types);
	}
	json_decref(listeners);
}
