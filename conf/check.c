/* What no single key can tell, listeners and clusters: see check.h. */
#include "conf/check.h"

#include "common/confrun.h"
#include "common/live.h"
#include "common/match.h"
#include "conf/expand.h"
#include "conf/keys.h"
#include "conf/matches.h"
#include "conf/turns.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPORT(r, origin, key, ...) report_key(r, origin, key, IMAGE_NONE, key_line(origin, key), __VA_ARGS__)

/* Two neighbours of one name in an array sorted by (name, line). */
static void check_names(const struct listener *const *sorted, uint32_t count, const char *what, struct report *r)
{
	for (uint32_t i = 1; i < count; i++) {
		const struct listener *a = sorted[i - 1], *b = sorted[i];

		if (strcmp(a->name, b->name) != 0)
			continue;
		if (key_given(&b->origin, "name"))
			REPORT(r, &b->origin, "name", "\"%s\" is already the name of %s", b->name, report_place(r, &a->origin));
		else
			report_key(r, &b->origin, NULL, IMAGE_NONE, b->origin.line, "makes a %s \"%s\", as does %s", what, b->name,
			    report_place(r, &a->origin));
	}
}

static bool has_virtual_outbound(const struct config *c)
{
	for (uint32_t i = 0; i < c->listener_count; i++) {
		const struct listener *l = c->all_listeners[i];

		if (l->use_original_dst && (l->direction == DIRECTION_OUTBOUND || l->origin.flawed))
			return true;
	}
	return key_given(&c->origin, "intercept");
}

/* Whether it is the inbound side of one port for both directions, for which the outbound side binds. */
static bool is_second(const struct config *c, const struct listener *l)
{
	return c->intercept != NULL && c->intercept->port != 0 && l->direction == DIRECTION_INBOUND && l->name != NULL &&
	    strcmp(l->name, EXPAND_INBOUND) == 0;
}

static void check_listener(const struct config *c, const struct listener *l, bool reachable, struct report *r)
{
	if (l->name != NULL && strchr(l->name, '/') != NULL)
		REPORT(r, &l->origin, "name", "must not have a \"/\": it stands between a listener and its chain");
	if (l->use_original_dst && !l->bind_to_port && !is_second(c, l))
		REPORT(r, &l->origin, "bind_to_port", "a listener with use_original_dst must bind");
	if (l->use_original_dst && l->direction == DIRECTION_NONE)
		REPORT(r, &l->origin, "traffic_direction", "must be \"inbound\" or \"outbound\" with use_original_dst");
	if (!l->use_original_dst && l->port.first != l->port.last)
		REPORT(r, &l->origin, "port", "a range of ports is of a listener with use_original_dst only");
	if (!l->bind_to_port && !reachable)
		REPORT(r, &l->origin, "bind_to_port", "nothing would reach this listener without intercept = { }");
}

static int by_address(const void *a, const void *b)
{
	const struct addr_item *x = *(const struct addr_item *const *)a, *y = *(const struct addr_item *const *)b;
	int c = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (c != 0)
		return c;
	return x < y ? -1 : x > y;
}

/* Members of a list that stand there twice.  The members are those of one array, so that pointers keep their order. */
static void check_twice(const struct list *l, const struct origin *o, const char *key, struct report *r)
{
	const struct addr_item *items = l->items, **sorted;
	char text[ADDR_STRLEN];

	if (l->count < 2 || o->flawed)
		return;				/* a flawed list has lost members, and their numbers with them */
	if ((sorted = reallocarray(NULL, l->count, sizeof(*sorted))) == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	for (uint32_t i = 0; i < l->count; i++)
		sorted[i] = &items[i];
	qsort(sorted, l->count, sizeof(*sorted), by_address);
	for (uint32_t i = 1; i < l->count; i++) {
		const struct addr *a = &sorted[i]->addr;

		if (memcmp(&sorted[i - 1]->addr, a, sizeof(*a)) == 0)
			report_key(r, o, key, (uint32_t)(sorted[i] - items), sorted[i]->line, "%s is in this list twice",
			    a->port != 0 ? addr_print(a, text) : addr_print_ip(a, text));
	}
	free(sorted);
}

static void check_cluster(const struct cluster *c, struct report *r)
{
	size_t room = IMAGE_NAME_MAX - 1 - strlen(c->name);
	char text[ADDR_STRLEN];

	if (strlen(c->name) > IMAGE_NAME_MAX - 1) {
		REPORT(r, &c->origin, "name", "the name of the cluster, \"%s\", is longer than %d bytes", c->name, IMAGE_NAME_MAX - 1);
		return;
	}
	if (c->type == CLUSTER_ORIGINAL_DST && c->endpoints.count > 0)
		REPORT(r, &c->origin, "endpoints", "a cluster of type \"original_dst\" has none");
	if (c->type == CLUSTER_ORIGINAL_DST && c->balancer != BALANCER_CLUSTER_PROVIDED)
		REPORT(r, &c->origin, "lb_policy", "must be \"cluster_provided\" with type \"original_dst\"");
	if (c->type == CLUSTER_STATIC && c->balancer == BALANCER_CLUSTER_PROVIDED)
		REPORT(r, &c->origin, "lb_policy", "\"cluster_provided\" is of type \"original_dst\" only");
	check_twice(&c->endpoints, &c->origin, "endpoints", r);
	for (uint32_t i = 0; i < c->endpoints.count; i++) {
		const struct addr_item *e = LIST_AT(c->endpoints, struct addr_item, i);

		if (strlen(addr_print(&e->addr, text)) + 1 > room) {
			report_key(r, &c->origin, "endpoints", i, e->line, "the names of cluster and endpoint together are longer "
			    "than %d bytes", IMAGE_NAME_MAX - 1);
			return;			/* once says it */
		}
	}
}

/* Everything that gets a row in `live`. */
static void check_total(const struct config *c, struct report *r)
{
	uint64_t n = (uint64_t)c->listener_count + c->cluster_count, matches = 0, turns = 0;

	for (uint32_t i = 0; i < c->listener_count; i++) {
		const struct list *chains = &c->all_listeners[i]->chains;

		n += chains->count;
		for (uint32_t k = 0; k < chains->count; k++)
			matches += matches_count(LIST_AT(*chains, struct chain, k));
	}
	for (uint32_t i = 0; i < c->cluster_count; i++) {
		n += c->all_clusters[i]->endpoints.count;
		turns += turns_count(&c->all_clusters[i]->endpoints);
	}
	if (n > LIVE_SLOTS - 1)			/* slot 0 is none */
		report_add(r, 0, "", "%llu listeners, chains, clusters and endpoints together, at most %u can be",
		    (unsigned long long)n, LIVE_SLOTS - 1);
	if (matches > MATCHES_MAX * 10)
		report_add(r, 0, "", "the filter chains select by %llu combinations of prefixes, at most %u can be",
		    (unsigned long long)matches, MATCHES_MAX * 10);
	if (turns > TURNS_TOTAL_MAX)
		report_add(r, 0, "", "the weights of all endpoints need %llu turns, at most %u can be: smaller weights, or equal "
		    "ones, need fewer", (unsigned long long)turns, TURNS_TOTAL_MAX);
}

static void check_top(const struct config *c, struct report *r)
{
	if (c->intercept != NULL)
		check_intercept(c->intercept, r);
	if (c->node != NULL)
		check_twice(&c->node->addresses, &c->node->origin, "address", r);
	if (strcmp(c->user, c->agent_user) == 0)
		REPORT(r, &c->origin, key_given(&c->origin, "agent_user") ? "agent_user" : "user",
		    "workers and the agent must not be one user");
}

static void check_services(const struct config *c, struct report *r)
{
	for (uint32_t i = 0; i < c->services.count; i++) {
		const struct service *s = LIST_AT(c->services, struct service, i);

		check_twice(&s->addresses, &s->origin, "addresses", r);
	}
}

void check(const struct config *c, struct arena *arena, struct report *r)
{
	bool reachable = has_virtual_outbound(c);

	check_top(c, r);
	check_services(c, r);
	check_names((const struct listener *const *)c->all_listeners, c->listener_count, "listener", r);
	check_names((const struct listener *const *)(void *)c->all_clusters, c->cluster_count, "cluster", r);
	check_total(c, r);
	check_binds(c, r);
	for (uint32_t i = 0; i < c->cluster_count; i++)
		check_cluster(c->all_clusters[i], r);
	for (uint32_t i = 0; i < c->listeners.count; i++) {
		const struct listener *l = LIST_AT(c->listeners, struct listener, i);

		check_listener(c, l, reachable, r);
		check_twice(&l->addresses, &l->origin, "address", r);
	}
	for (uint32_t i = 0; i < c->listener_count; i++)
		check_chains(c, c->all_listeners[i], arena, r);
}
