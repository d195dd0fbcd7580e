/* Pieces of what the plain forms become: see expansion.h. */
#include "conf/expansion.h"

#include "conf/keys.h"

#include <string.h>

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

static void *make(struct expansion *x, const struct key_group *g, const struct origin *at)
{
	void *object = arena_alloc(x->arena, 1, g->size);
	struct origin origin = { .parent = at->parent, .key = at->key, .index = at->index, .line = at->line };

	key_init(g, object, &origin, x->arena);
	return object;
}

void expand_address(struct list *list, struct arena *arena, const struct addr *a, uint32_t line)
{
	struct addr_item *items = arena_alloc(arena, list->count + 1, sizeof(*items));

	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count] = (struct addr_item){ .addr = *a, .line = line };
	list->items = items;
	list->count++;
}

void expand_any_address(struct expansion *x, struct listener *l)
{
	struct addr a;

	addr_parse_ip("0.0.0.0", &a);
	expand_address(&l->addresses, x->arena, &a, l->origin.line);
	addr_parse_ip("::", &a);
	expand_address(&l->addresses, x->arena, &a, l->origin.line);
}

void expand_chain(struct expansion *x, struct chain *c, const struct origin *at, const char *name,
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
	if (idle_timeout_ms != IDLE_DEFAULT)
		f->idle_timeout_ms = idle_timeout_ms;
	c->filters = (struct list){ .items = f, .count = 1 };
}

void expand_attempts(struct list chains, uint64_t max_connect_attempts)
{
	for (uint32_t i = 0; i < chains.count; i++)
		LIST_AT(LIST_AT(chains, struct chain, i)->filters, struct filter, 0)->max_connect_attempts = max_connect_attempts;
}

struct listener *expand_listener(struct expansion *x, const struct origin *at, const char *name,
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

struct cluster *expand_cluster(struct expansion *x, const struct origin *at, const char *name, uint64_t type,
    uint64_t direction)
{
	struct cluster *c = make(x, group_of(&keys_top, "clusters"), at);

	c->name = name;
	c->type = type;
	c->direction = direction;
	vec_push(&x->clusters, sizeof(c), &c);
	return c;
}
