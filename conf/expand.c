/* The plain forms become full ones: see expand.h. */
#include "conf/expand.h"

#include "conf/keys.h"

#include <stdlib.h>
#include <string.h>

#define BLACK_HOLE	"BlackHoleCluster"
#define PASSTHROUGH	"PassthroughCluster"
#define INBOUND_PASS	"InboundPassthroughCluster"

struct expansion {
	struct config *config;
	struct arena *arena;
	struct report *report;
	struct vec listeners, clusters;		/* pointers */
	size_t own_listeners, own_clusters;	/* those of the file, sorted by name, come first */
};

/* The group that the objects under a key of another group are of. */
static const struct key_group *group_of(const struct key_group *g, const char *key)
{
	return key_find(g, key)->group;
}

static const struct key_group *listener_group(void)
{
	return group_of(&keys_top, "listeners");
}

static const struct key_group *chain_group(void)
{
	return group_of(listener_group(), "filter_chains");
}

/* An object that stands, for errors, where the plain form stands that it comes from. */
static void *make(struct expansion *x, const struct key_group *g, const struct origin *at)
{
	void *object = arena_alloc(x->arena, 1, g->size);
	struct origin origin = { .parent = at->parent, .key = at->key, .index = at->index, .line = at->line };

	key_init(g, object, &origin, x->arena);
	return object;
}

static int by_name(const void *a, const void *b)
{
	const struct listener *x = *(struct listener *const *)a, *y = *(struct listener *const *)b;
	int c = strcmp(x->name, y->name);

	if (c != 0)
		return c;
	return x->origin.line < y->origin.line ? -1 : x->origin.line > y->origin.line;
}

/* Both kinds begin with an origin and a name, which is all that sorting and finding look at. */
_Static_assert(offsetof(struct listener, name) == offsetof(struct cluster, name), "by_name() serves both");

static void *find(struct listener *const *sorted, size_t count, const char *name)
{
	size_t lo = 0, hi = count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(sorted[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < count && strcmp(sorted[lo]->name, name) == 0 ? sorted[lo] : NULL;
}

struct cluster *expand_find_cluster(const struct config *c, const char *name)
{
	return find((struct listener *const *)(void *)c->all_clusters, c->cluster_count, name);
}

struct listener *expand_find_listener(const struct config *c, const char *name)
{
	return find(c->all_listeners, c->listener_count, name);
}

static void sort_by_name(struct vec *v)
{
	if (v->count > 0)
		qsort(v->items, v->count, sizeof(void *), by_name);
}

static void *own(const struct vec *v, size_t count, const char *name)
{
	return find((struct listener *const *)(void *)v->items, count, name);
}

/* ---- pieces ---- */

static void add_item(struct list *list, struct arena *arena, const struct addr *a, uint32_t line)
{
	struct addr_item *items = arena_alloc(arena, list->count + 1, sizeof(*items));

	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count] = (struct addr_item){ .addr = *a, .line = line };
	list->items = items;
	list->count++;
}

/* 0.0.0.0 and ::, which together are every address. */
static void any_address(struct expansion *x, struct listener *l)
{
	struct addr a;

	addr_parse_ip("0.0.0.0", &a);
	add_item(&l->addresses, x->arena, &a, l->origin.line);
	addr_parse_ip("::", &a);
	add_item(&l->addresses, x->arena, &a, l->origin.line);
}

#define ANY_PORT (struct image_port_range){ 0 }

static struct image_port_range one_port(uint64_t port)
{
	return (struct image_port_range){ (uint16_t)port, (uint16_t)port };
}

static void fill_chain(struct expansion *x, struct chain *c, const struct origin *at, const char *name,
    struct image_port_range port, const char *cluster, uint64_t idle_timeout_ms)
{
	struct origin origin = { .parent = at->parent, .key = at->key, .index = at->index, .line = at->line };
	struct filter *f = make(x, group_of(chain_group(), "filters"), at);

	key_init(chain_group(), c, &origin, x->arena);
	c->name = name;
	if (port.first != 0) {
		c->match = make(x, group_of(chain_group(), "filter_chain_match"), at);
		c->match->port = port;
	}
	f->cluster = f->stat_prefix = cluster;
	if (idle_timeout_ms != UINT64_MAX)
		f->idle_timeout_ms = idle_timeout_ms;
	c->filters = (struct list){ .items = f, .count = 1 };
}

#define IDLE_DEFAULT UINT64_MAX

static struct listener *make_listener(struct expansion *x, const struct origin *at, const char *name,
    struct image_port_range port, uint64_t direction, uint32_t chains)
{
	struct listener *l = make(x, listener_group(), at);

	l->name = name;
	l->port = port;
	l->direction = direction;
	l->chains = (struct list){ .items = arena_alloc(x->arena, chains, sizeof(struct chain)), .count = chains };
	vec_push(&x->listeners, sizeof(l), &l);
	return l;
}

static struct cluster *make_cluster(struct expansion *x, const struct origin *at, const char *name, uint64_t type,
    uint64_t direction)
{
	struct cluster *c = make(x, group_of(&keys_top, "clusters"), at);

	c->name = name;
	c->type = type;
	c->direction = direction;
	vec_push(&x->clusters, sizeof(c), &c);
	return c;
}

/* ---- intercept ---- */

/* Defaults of one mode only, and of ports where one does not serve both directions. */
static void complete(struct intercept *i)
{
	if (i->port == 0 && i->outbound_port.first == 0)
		i->outbound_port = one_port(15001);
	if (i->port == 0 && i->inbound_port == 0)
		i->inbound_port = 15006;
	if (i->mode == INTERCEPT_TPROXY && i->tproxy_mark == 0)
		i->tproxy_mark = 1337;
	if (i->mode == INTERCEPT_TPROXY && i->tproxy_table == 0)
		i->tproxy_table = 133;
}

/* What the file has under a name of ours is taken, if it can do the work. */
static bool has_listener(struct expansion *x, const char *name, struct image_port_range port, uint64_t direction)
{
	struct listener *l = own(&x->listeners, x->own_listeners, name);
	bool binds = direction == DIRECTION_OUTBOUND || x->config->intercept->port == 0;
	const char *ports = arena_printf(x->arena, port.first == port.last ? "%u" : "\"%u-%u\"", port.first, port.last);

	if (l == NULL)
		return false;
	if (!l->origin.flawed && (!l->use_original_dst || l->direction != direction || l->port.first != port.first ||
	    l->port.last != port.last || l->bind_to_port != binds))
		report_key(x->report, &l->origin, NULL, IMAGE_NONE, l->origin.line, "the listener \"%s\" that intercept needs "
		    "must have use_original_dst = true, traffic_direction = \"%s\", port = %s%s", name,
		    direction == DIRECTION_INBOUND ? "inbound" : "outbound", ports, binds ? "" : ", bind_to_port = false");
	return true;
}

static void want_cluster(struct expansion *x, const char *name, uint64_t type, uint64_t direction)
{
	struct cluster *c = own(&x->clusters, x->own_clusters, name);

	if (c == NULL) {
		make_cluster(x, &x->config->intercept->origin, name, type, direction);
		return;
	}
	if (!c->origin.flawed && (c->type != type || c->endpoints.count != 0 ||
	    (type == CLUSTER_ORIGINAL_DST && c->direction != direction)))
		report_key(x->report, &c->origin, NULL, IMAGE_NONE, c->origin.line, "the cluster \"%s\" that intercept needs "
		    "must have type = \"%s\"%s", name, type == CLUSTER_STATIC ? "static" : "original_dst",
		    type == CLUSTER_STATIC ? " and no endpoints" : direction == DIRECTION_INBOUND ?
		    " and traffic_direction = \"inbound\"" : " and traffic_direction = \"outbound\"");
}

static void make_outbound(struct expansion *x)
{
	const struct intercept *i = x->config->intercept;
	const char *rest = x->config->policy == POLICY_ALLOW_ANY ? PASSTHROUGH : BLACK_HOLE;
	struct image_port_range port = intercept_outbound(i);
	struct listener *l;

	if (has_listener(x, EXPAND_OUTBOUND, port, DIRECTION_OUTBOUND))
		return;
	l = make_listener(x, &i->origin, EXPAND_OUTBOUND, port, DIRECTION_OUTBOUND, 2);
	l->use_original_dst = true;
	any_address(x, l);
	fill_chain(x, LIST_AT(l->chains, struct chain, 0), &i->origin, EXPAND_OUTBOUND "-blackhole", port, BLACK_HOLE,
	    IDLE_DEFAULT);
	fill_chain(x, LIST_AT(l->chains, struct chain, 1), &i->origin, EXPAND_OUTBOUND "-catchall-tcp", ANY_PORT, rest,
	    IDLE_DEFAULT);
}

static const char *inbound_cluster(struct expansion *x, const struct inbound *in)
{
	return arena_printf(x->arena, "inbound|%llu||", (unsigned long long)in->port);
}

static void make_inbound(struct expansion *x)
{
	const struct intercept *i = x->config->intercept;
	const struct list *inbound = &x->config->inbound;
	struct image_port_range port = intercept_inbound(i);
	struct listener *l;
	struct chain *chain;
	uint32_t n = 2;

	if (has_listener(x, EXPAND_INBOUND, port, DIRECTION_INBOUND)) {
		if (inbound->count > 0)
			report_key(x->report, &x->config->origin, "inbound", IMAGE_NONE, key_line(&x->config->origin, "inbound"),
			    "cannot be with a listener \"" EXPAND_INBOUND "\" in the file: its chains are written there");
		return;
	}
	l = make_listener(x, &i->origin, EXPAND_INBOUND, port, DIRECTION_INBOUND, inbound->count + 2);
	l->use_original_dst = true;
	l->bind_to_port = i->port == 0;			/* the outbound one does it for both */
	any_address(x, l);
	fill_chain(x, LIST_AT(l->chains, struct chain, 0), &i->origin, EXPAND_INBOUND "-blackhole", port, BLACK_HOLE,
	    IDLE_DEFAULT);
	fill_chain(x, LIST_AT(l->chains, struct chain, 1), &i->origin, EXPAND_INBOUND, ANY_PORT, INBOUND_PASS, IDLE_DEFAULT);
	for (uint32_t k = 0; k < inbound->count; k++) {
		const struct inbound *in = LIST_AT(*inbound, struct inbound, k);

		if (in->origin.flawed)
			continue;
		chain = LIST_AT(l->chains, struct chain, n++);
		fill_chain(x, chain, &in->origin, arena_printf(x->arena, "0.0.0.0_%llu", (unsigned long long)in->port),
		    one_port(in->port), inbound_cluster(x, in), in->idle_timeout_ms);
		if (i->mode == INTERCEPT_TPROXY && in->endpoint.addr.family == 0)
			LIST_AT(chain->filters, struct filter, 0)->max_connect_attempts = 2;	/* each of its endpoints */
	}
	l->chains.count = n;
}

static void add_loopback(struct expansion *x, struct cluster *c, const struct inbound *in, const char *ip)
{
	struct addr a;

	addr_parse_ip(ip, &a);
	a.port = (uint16_t)in->port;
	add_item(&c->endpoints, x->arena, &a, key_line(&in->origin, "endpoint"));
}

/* An application that is to see the client's address is reached in the client's family (worker/source.h): one of each.
 * Not at the address that the client went to: our connection would look like another one of the client's, from a port that
 * it may use itself. */
static void make_inbound_clusters(struct expansion *x)
{
	for (uint32_t k = 0; k < x->config->inbound.count; k++) {
		const struct inbound *in = LIST_AT(x->config->inbound, struct inbound, k);
		struct cluster *c;

		if (in->origin.flawed)
			continue;
		c = make_cluster(x, &in->origin, inbound_cluster(x, in), CLUSTER_STATIC, DIRECTION_INBOUND);
		c->connect_timeout_ms = in->connect_timeout_ms;
		if (in->endpoint.addr.family != 0) {
			add_item(&c->endpoints, x->arena, &in->endpoint.addr, key_line(&in->origin, "endpoint"));
			continue;
		}
		add_loopback(x, c, in, "127.0.0.1");
		if (x->config->intercept->mode == INTERCEPT_TPROXY)
			add_loopback(x, c, in, "::1");
	}
}

/* Two of one port would make two of everything; once says it. */
static void check_inbound_ports(struct expansion *x)
{
	const struct origin **of_port = arena_alloc(x->arena, 65536, sizeof(*of_port));
	const struct intercept *i = x->config->intercept;
	const char *own_key = i->port != 0 ? "port" : "inbound_port";

	for (uint32_t k = 0; k < x->config->inbound.count; k++) {
		struct inbound *in = LIST_AT(x->config->inbound, struct inbound, k);

		if (in->origin.flawed)
			continue;
		if (of_port[in->port] == NULL && in->port != intercept_inbound(i).first) {
			of_port[in->port] = &in->origin;
			continue;
		}
		in->origin.flawed = true;
		report_key(x->report, &in->origin, "port", IMAGE_NONE, key_line(&in->origin, "port"),
		    "%llu is already the %s of %s", (unsigned long long)in->port, of_port[in->port] != NULL ? "port" : own_key,
		    report_place(x->report, of_port[in->port] != NULL ? of_port[in->port] : &i->origin));
	}
}

/* ---- services ---- */

static void make_service_listener(struct expansion *x, const struct service *s, const char *cluster,
    const struct addr_item *at)
{
	unsigned long long port = (unsigned long long)s->port;
	struct listener *l;
	struct chain *chain;
	char ip[ADDR_STRLEN];

	l = make_listener(x, &s->origin, arena_printf(x->arena, "%s_%llu", at != NULL ? addr_print_ip(&at->addr, ip) : "0.0.0.0",
	    port), one_port(s->port), DIRECTION_OUTBOUND, 1);
	l->bind_to_port = false;
	if (at != NULL)
		add_item(&l->addresses, x->arena, &at->addr, at->line);
	else
		any_address(x, l);
	chain = LIST_AT(l->chains, struct chain, 0);
	fill_chain(x, chain, &s->origin, NULL, ANY_PORT, cluster, s->idle_timeout_ms);
	LIST_AT(chain->filters, struct filter, 0)->max_connect_attempts = s->max_connect_attempts;
}

static void make_service(struct expansion *x, const struct service *s)
{
	const char *name = arena_printf(x->arena, "outbound|%llu||%s", (unsigned long long)s->port, s->name);
	struct cluster *c = make_cluster(x, &s->origin, name, CLUSTER_STATIC, DIRECTION_OUTBOUND);

	c->connect_timeout_ms = s->connect_timeout_ms;
	c->balancer = s->balancer;
	c->max_connections = s->max_connections;
	c->endpoints = s->endpoints;
	if (s->addresses.count == 0)
		make_service_listener(x, s, name, NULL);
	for (uint32_t i = 0; i < s->addresses.count; i++)
		make_service_listener(x, s, name, LIST_AT(s->addresses, struct addr_item, i));
}

/* ---- the whole ---- */

static void refuse_without_intercept(struct expansion *x, const char *key, const struct list *l)
{
	const struct origin *top = &x->config->origin;

	if (l->count == 0 || x->config->intercept != NULL)
		return;
	x->config->incomplete = true;
	if (!key_given(top, "intercept"))
		report_key(x->report, top, key, IMAGE_NONE, key_line(top, key), "nothing would reach this without intercept = { }");
}

static void take_own(struct expansion *x)
{
	struct config *c = x->config;

	for (uint32_t i = 0; i < c->listeners.count; i++) {
		struct listener *l = LIST_AT(c->listeners, struct listener, i);

		if (l->name != NULL)
			vec_push(&x->listeners, sizeof(l), &l);
	}
	for (uint32_t i = 0; i < c->clusters.count; i++) {
		struct cluster *k = LIST_AT(c->clusters, struct cluster, i);

		if (k->name != NULL)
			vec_push(&x->clusters, sizeof(k), &k);
		else
			c->incomplete = true;
	}
	for (uint32_t i = 0; i < c->inbound.count; i++)
		c->incomplete |= LIST_AT(c->inbound, struct inbound, i)->origin.flawed;
	for (uint32_t i = 0; i < c->services.count; i++)
		c->incomplete |= LIST_AT(c->services, struct service, i)->origin.flawed;
	sort_by_name(&x->listeners);
	sort_by_name(&x->clusters);
	x->own_listeners = x->listeners.count;
	x->own_clusters = x->clusters.count;
}

static void name_statistics(struct filter *f)
{
	if (f->stat_prefix != NULL)
		return;
	f->stat_prefix = f->cluster;
	if (f->stat_prefix == NULL && f->weighted.count > 0)
		f->stat_prefix = LIST_AT(f->weighted, struct weighted, 0)->name;
}

/* Defaults that hang on other keys. */
static void fill_defaults(struct config *c)
{
	for (uint32_t i = 0; i < c->cluster_count; i++) {
		struct cluster *k = c->all_clusters[i];

		if (!key_given(&k->origin, "lb_policy") && k->type == CLUSTER_ORIGINAL_DST)
			k->balancer = BALANCER_CLUSTER_PROVIDED;
	}
	for (uint32_t i = 0; i < c->listener_count; i++) {
		struct list *chains = &c->all_listeners[i]->chains;

		for (uint32_t j = 0; j < chains->count; j++) {
			struct list *filters = &LIST_AT(*chains, struct chain, j)->filters;

			for (uint32_t f = 0; f < filters->count; f++)
				name_statistics(LIST_AT(*filters, struct filter, f));
		}
	}
}

static void *keep(struct arena *a, struct vec *v, uint32_t *count_r)
{
	void *items = arena_alloc(a, v->count, sizeof(void *));

	sort_by_name(v);
	if (v->count > 0)
		memcpy(items, v->items, v->count * sizeof(void *));
	*count_r = (uint32_t)v->count;
	vec_free(v);
	return items;
}

void expand(struct config *c, struct arena *arena, struct report *report)
{
	struct expansion x = { .config = c, .arena = arena, .report = report };

	take_own(&x);
	refuse_without_intercept(&x, "inbound", &c->inbound);
	refuse_without_intercept(&x, "services", &c->services);
	if (c->intercept != NULL) {
		complete(c->intercept);
		want_cluster(&x, BLACK_HOLE, CLUSTER_STATIC, DIRECTION_NONE);
		want_cluster(&x, PASSTHROUGH, CLUSTER_ORIGINAL_DST, DIRECTION_OUTBOUND);
		want_cluster(&x, INBOUND_PASS, CLUSTER_ORIGINAL_DST, DIRECTION_INBOUND);
		check_inbound_ports(&x);
		make_outbound(&x);
		make_inbound(&x);
		make_inbound_clusters(&x);
		for (uint32_t i = 0; i < c->services.count; i++) {
			if (!LIST_AT(c->services, struct service, i)->origin.flawed)
				make_service(&x, LIST_AT(c->services, struct service, i));
		}
	}
	c->all_listeners = keep(arena, &x.listeners, &c->listener_count);
	c->all_clusters = keep(arena, &x.clusters, &c->cluster_count);
	fill_defaults(c);
}
