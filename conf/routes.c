/* Route configurations: see routes.h. */
#include "conf/routes.h"

#include "conf/keys.h"

#include <stdlib.h>
#include <string.h>

static void name_route(const struct listener *l, struct filter *f)
{
	if (f->route_config_name == NULL)
		f->route_config_name = f->stat_prefix;
	if (f->virtual_host == NULL)
		f->virtual_host = f->route_config_name;
	if (!key_given(&f->origin, "use_remote_address"))
		f->use_remote_address = l->bind_to_port && !l->use_original_dst;
}

static int by_name(const void *a, const void *b)
{
	const struct filter *x = *(struct filter *const *)a, *y = *(struct filter *const *)b;
	int c = strcmp(x->route_config_name, y->route_config_name);

	if (c != 0)
		return c;
	return x->origin.line < y->origin.line ? -1 : x->origin.line > y->origin.line;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_targets(const struct filter *a, const struct filter *b)
{
	if (!same_text(a->cluster, b->cluster) || a->weighted.count != b->weighted.count)
		return false;
	for (uint32_t i = 0; i < a->weighted.count; i++) {
		const struct weighted *x = LIST_AT(a->weighted, struct weighted, i), *y = LIST_AT(b->weighted, struct weighted, i);

		if (!same_text(x->name, y->name) || x->weight != y->weight)
			return false;
	}
	return true;
}

/* Made by a plain form: where two of those meet, so do their listeners or clusters, which is said there. */
static bool is_plain(const struct filter *f)
{
	return f->origin.parent->parent == NULL;
}

/* Two that share one must say the same of it. */
static void check_shared(const struct filter *first, const struct filter *f, struct report *r)
{
	if (is_plain(first) && is_plain(f))
		return;
	if (first->origin.flawed || f->origin.flawed || (same_targets(first, f) && same_text(first->virtual_host, f->virtual_host) &&
	    same_text(first->route_name, f->route_name) && same_text(first->prefix, f->prefix) && first->timeout_ms == f->timeout_ms))
		return;
	report_key(r, &f->origin, "route_config_name", IMAGE_NONE, key_line(&f->origin, "route_config_name"),
	    "\"%s\" is already the route configuration of %s, which leads elsewhere", f->route_config_name,
	    report_place(r, &first->origin));
}

/* Those of http that have a name, which only a flawed one lacks. */
static void gather(const struct config *c, struct vec *all)
{
	for (uint32_t i = 0; i < c->listener_count; i++) {
		const struct listener *l = c->all_listeners[i];

		for (uint32_t k = 0; k < l->chains.count; k++) {
			const struct list *filters = &LIST_AT(l->chains, struct chain, k)->filters;

			for (uint32_t n = 0; n < filters->count; n++) {
				struct filter *f = LIST_AT(*filters, struct filter, n);

				if (f->type != FILTER_HTTP)
					continue;
				name_route(l, f);
				if (f->route_config_name != NULL)
					vec_push(all, sizeof(f), &f);
			}
		}
	}
}

void routes_gather(struct config *c, struct arena *arena, struct report *r)
{
	struct vec all = { 0 };
	struct filter **f;

	gather(c, &all);
	c->all_routes = arena_alloc(arena, all.count, sizeof(*f));
	f = (struct filter **)(void *)all.items;
	if (all.count > 0)
		qsort(f, all.count, sizeof(*f), by_name);
	for (size_t i = 0; i < all.count; i++) {
		struct filter *last = c->route_count > 0 ? c->all_routes[c->route_count - 1] : NULL;

		if (last != NULL && strcmp(last->route_config_name, f[i]->route_config_name) == 0)
			check_shared(last, f[i], r);
		else
			c->all_routes[c->route_count++] = f[i];
	}
	vec_free(&all);
}

uint32_t routes_find(const struct config *c, const char *name)
{
	uint32_t lo = 0, hi = c->route_count;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->all_routes[mid]->route_config_name, name) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}
