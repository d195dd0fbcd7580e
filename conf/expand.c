/* The plain forms become full ones: see expand.h. */
#include "conf/expand.h"

#include "conf/expansion.h"
#include "conf/keys.h"
#include "conf/plain_http.h"
#include "conf/routes.h"

#include <stdlib.h>
#include <string.h>

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

void *expand_own(const struct vec *v, size_t count, const char *name)
{
	return find((struct listener *const *)(void *)v->items, count, name);
}

static void sort_by_name(struct vec *v)
{
	if (v->count > 0)
		qsort(v->items, v->count, sizeof(void *), by_name);
}

/* ---- services ---- */

static void make_service_listener(struct expansion *x, const struct service *s, const char *cluster,
    const struct addr_item *at)
{
	struct plain_http http = plain_http_service(s, cluster, at != NULL ? &at->addr : NULL, x->arena);
	unsigned long long port = (unsigned long long)s->port;
	struct listener *l;
	char ip[ADDR_STRLEN];

	l = expand_listener(x, &s->origin, arena_printf(x->arena, "%s_%llu", at != NULL ? addr_print_ip(&at->addr, ip) : "0.0.0.0",
	    port), one_port(s->port), DIRECTION_OUTBOUND, s->protocol == PROTOCOL_AUTO ? 2 : 1);
	l->bind_to_port = false;
	if (at != NULL)
		expand_address(&l->addresses, x->arena, &at->addr, at->line);
	else
		expand_any_address(x, l);
	if (s->protocol != PROTOCOL_TCP)
		plain_http_chain(LIST_AT(l->chains, struct chain, 0), &http, &s->origin, x->arena);
	if (s->protocol != PROTOCOL_HTTP)
		expand_chain(x, LIST_AT(l->chains, struct chain, l->chains.count - 1), &s->origin, NULL, ANY_PORT, cluster,
		    s->idle_timeout_ms);
	expand_attempts(l->chains, s->max_connect_attempts);
}

static void make_service(struct expansion *x, const struct service *s)
{
	const char *name = arena_printf(x->arena, "outbound|%llu||%s", (unsigned long long)s->port, s->name);
	struct cluster *c = expand_cluster(x, &s->origin, name, CLUSTER_STATIC, DIRECTION_OUTBOUND);

	c->connect_timeout_ms = s->connect_timeout_ms;
	c->balancer = s->balancer;
	c->max_connections = s->max_connections;
	c->max_pending_requests = s->max_pending_requests;
	c->max_requests = s->max_requests;
	c->max_requests_per_connection = s->max_requests_per_connection;
	c->endpoints = s->endpoints;
	if (s->addresses.count == 0)
		make_service_listener(x, s, name, NULL);
	for (uint32_t i = 0; i < s->addresses.count; i++)
		make_service_listener(x, s, name, LIST_AT(s->addresses, struct addr_item, i));
}

/* One listener would have to serve them all, and choose by the host that a request names. */
static void check_http_services(struct expansion *x)
{
	const struct service **of_port = arena_alloc(x->arena, 65536, sizeof(*of_port));

	for (uint32_t i = 0; i < x->config->services.count; i++) {
		struct service *s = LIST_AT(x->config->services, struct service, i);

		if (s->origin.flawed || s->addresses.count > 0 || s->protocol != PROTOCOL_HTTP)
			continue;
		if (of_port[s->port] == NULL) {
			of_port[s->port] = s;
			continue;
		}
		s->origin.flawed = x->config->incomplete = true;
		report_key(x->report, &s->origin, "addresses", IMAGE_NONE, s->origin.line, "is missing, as it is in %s: two services of "
		    "protocol \"http\" at one port are told apart by address; by host is not supported yet",
		    report_place(x->report, &of_port[s->port]->origin));
	}
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
		expand_intercept(&x);
		check_http_services(&x);
		for (uint32_t i = 0; i < c->services.count; i++) {
			if (!LIST_AT(c->services, struct service, i)->origin.flawed)
				make_service(&x, LIST_AT(c->services, struct service, i));
		}
	}
	c->all_listeners = keep(arena, &x.listeners, &c->listener_count);
	c->all_clusters = keep(arena, &x.clusters, &c->cluster_count);
	fill_defaults(c);
	routes_gather(c, arena, report);
}
