/* Filter chains of HTTP ports: see plain_http.h. */
#include "conf/plain_http.h"

#include "conf/expand.h"
#include "conf/keys.h"

static void *make(const struct key_group *g, const struct origin *at, struct arena *arena)
{
	void *object = arena_alloc(arena, 1, g->size);

	key_init(g, object, at, arena);
	return object;
}

void plain_http_chain(struct chain *c, const struct plain_http *h, const struct origin *at, struct arena *arena)
{
	const struct key_group *chains = key_find(key_find(&keys_top, "listeners")->group, "filter_chains")->group;
	struct origin origin = { .parent = at->parent, .key = at->key, .index = at->index, .line = at->line };
	struct filter *f = make(key_find(chains, "filters")->group, &origin, arena);

	key_init(chains, c, &origin, arena);
	c->name = h->chain;
	if (h->port.first != 0 || h->sniffed) {
		c->match = make(key_find(chains, "filter_chain_match")->group, &origin, arena);
		c->match->port = h->port;
		c->match->applications = h->sniffed ? 1u << APPLICATION_HTTP10 | 1u << APPLICATION_HTTP11 : 0;
	}
	f->type = FILTER_HTTP;
	f->cluster = h->cluster;
	f->stat_prefix = h->stat_prefix;
	f->route_config_name = h->route_config;
	f->virtual_host = h->virtual_host;
	f->timeout_ms = h->timeout_ms;
	f->idle_timeout_ms = h->idle_timeout_ms;
	c->filters = (struct list){ .items = f, .count = 1 };
}

struct plain_http plain_http_inbound(const struct inbound *in, const char *cluster, struct arena *arena)
{
	unsigned long long port = (unsigned long long)in->port;
	bool sniffed = in->protocol == PROTOCOL_AUTO;

	return (struct plain_http){
		.chain = arena_printf(arena, sniffed ? "0.0.0.0_%llu-http" : "0.0.0.0_%llu", port), .port = one_port(in->port), .sniffed = sniffed,
		.cluster = cluster, .stat_prefix = arena_printf(arena, "inbound_0.0.0.0_%llu", port), .route_config = cluster,
		.virtual_host = arena_printf(arena, "inbound|http|%llu", port), .idle_timeout_ms = in->idle_timeout_ms };
}

struct plain_http plain_http_service(const struct service *s, const char *cluster, const struct addr *at, struct arena *arena)
{
	unsigned long long port = (unsigned long long)s->port;
	char ip[ADDR_STRLEN];
	const char *host = arena_printf(arena, "%s:%llu", s->name, port);

	return (struct plain_http){
		.sniffed = s->protocol == PROTOCOL_AUTO, .cluster = cluster,
		.stat_prefix = arena_printf(arena, "outbound_%s_%llu", at != NULL ? addr_print_ip(at, ip) : "0.0.0.0", port),
		.route_config = at != NULL ? host : arena_printf(arena, "%llu", port), .virtual_host = host,
		.timeout_ms = s->timeout_ms, .idle_timeout_ms = s->idle_timeout_ms };
}

struct plain_http plain_http_passthrough(const char *cluster)
{
	return (struct plain_http){
		.chain = EXPAND_INBOUND "-catchall-http", .sniffed = true, .cluster = cluster, .stat_prefix = cluster,
		.route_config = cluster, .virtual_host = "inbound|http|0", .idle_timeout_ms = 60 * 60 * 1000 };
}
