/* Filter chains: where they lead, what they are called, and that no two of a listener select the same: see check.h. */
#include "conf/check.h"

#include "common/match.h"
#include "conf/expand.h"
#include "conf/keys.h"
#include "conf/matches.h"
#include "conf/nearest.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SUGGEST_AMONG 2000u	/* clusters, and for the first errors only: */
#define SUGGEST_ERRORS 50u	/* a suggestion is not worth a second */

static const char *nearest_cluster(const struct config *c, const char *name)
{
	unsigned best = UINT_MAX, d;
	const char *near = NULL;

	for (uint32_t i = 0; i < c->cluster_count && i < SUGGEST_AMONG; i++) {
		if ((d = nearest_distance(name, c->all_clusters[i]->name)) < best) {
			best = d;
			near = c->all_clusters[i]->name;
		}
	}
	return near != NULL && nearest_is_close(name, best) ? near : NULL;
}

static void check_cluster_named(const struct config *c, const struct origin *o, const char *key, const char *name,
    struct report *r)
{
	uint32_t line = key_line(o, key);
	const char *near;

	if (name == NULL || c->incomplete || expand_find_cluster(c, name) != NULL)
		return;
	near = r->count < SUGGEST_ERRORS ? nearest_cluster(c, name) : NULL;
	if (near != NULL)
		report_key(r, o, key, IMAGE_NONE, line, "there is no cluster \"%s\" (did you mean \"%s\"?)", name, near);
	else
		report_key(r, o, key, IMAGE_NONE, line, "there is no cluster \"%s\"", name);
}

/* One of two keys says where connections go. */
static void check_given(const struct filter *f, struct report *r)
{
	bool cluster = key_given(&f->origin, "cluster") || f->cluster != NULL;
	bool weighted = key_given(&f->origin, "weighted_clusters");

	if (cluster && weighted)
		report_key(r, &f->origin, "weighted_clusters", IMAGE_NONE, key_line(&f->origin, "weighted_clusters"),
		    "cannot be with cluster: one of the two says where connections go");
	if (!cluster && !weighted)
		report_key(r, &f->origin, "cluster", IMAGE_NONE, f->origin.line, "is missing, and so is weighted_clusters");
}

static void check_targets(const struct config *c, const struct filter *f, struct report *r)
{
	uint64_t sum = 0;

	check_given(f, r);
	check_cluster_named(c, &f->origin, "cluster", f->cluster, r);
	for (uint32_t i = 0; i < f->weighted.count; i++) {
		const struct weighted *w = LIST_AT(f->weighted, struct weighted, i);

		sum += w->weight;
		check_cluster_named(c, &w->origin, "name", w->name, r);
	}
	if (f->weighted.count > 0 && sum == 0 && !f->origin.flawed)
		report_key(r, &f->origin, "weighted_clusters", IMAGE_NONE, key_line(&f->origin, "weighted_clusters"),
		    "all weights are 0: connections would have nowhere to go");
}

static void check_prefix(const struct filter *f, struct report *r)
{
	if (f->type == FILTER_HTTP && f->prefix[strcspn(f->prefix, "?#")] != '\0')
		report_key(r, &f->origin, "prefix", IMAGE_NONE, key_line(&f->origin, "prefix"),
		    "must be of a path: a query is not looked at");
}

static void check_filter(const struct config *c, const struct filter *f, struct report *r)
{
	check_targets(c, f, r);
	check_prefix(f, r);
}

struct named {
	const char *name;
	uint32_t number;		/* of the chain */
};

static int compare_names(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	if (c != 0)
		return c;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void check_names(const struct listener *l, struct arena *arena, struct report *r)
{
	struct named *names = arena_alloc(arena, l->chains.count, sizeof(*names));

	for (uint32_t i = 0; i < l->chains.count; i++) {
		const struct chain *c = LIST_AT(l->chains, struct chain, i);

		names[i].name = matches_chain_name(c, arena);
		names[i].number = i;
		if (strlen(l->name) + 1 + strlen(names[i].name) <= IMAGE_NAME_MAX - 1)
			continue;
		report_key(r, &c->origin, c->name != NULL ? "name" : NULL, IMAGE_NONE, key_line(&c->origin, "name"),
		    "the names of listener and chain together are longer than %d bytes%s", IMAGE_NAME_MAX - 1,
		    c->name != NULL ? "" : ": give the chain a short name");
	}
	if (l->chains.count > 1)
		qsort(names, l->chains.count, sizeof(*names), compare_names);
	for (uint32_t i = 1; i < l->chains.count; i++) {
		const struct chain *a = LIST_AT(l->chains, struct chain, names[i - 1].number);
		const struct chain *b = LIST_AT(l->chains, struct chain, names[i].number);

		/* Two unnamed ones of one name select the same, which is said elsewhere. */
		if (strcmp(names[i - 1].name, names[i].name) == 0 && (a->name != NULL || b->name != NULL))
			report_key(r, &b->origin, key_given(&b->origin, "name") ? "name" : NULL, IMAGE_NONE,
			    key_line(&b->origin, "name"), "\"%s\" is already the name of %s", names[i].name,
			    report_place(r, &a->origin));
	}
}

static void report_same(const struct listener *l, const struct image_match *a, const struct image_match *b,
    struct report *r)
{
	const struct chain *x = LIST_AT(l->chains, struct chain, a->chain), *y = LIST_AT(l->chains, struct chain, b->chain);

	if (x == y)
		report_key(r, &y->origin, "filter_chain_match", IMAGE_NONE, key_line(&y->origin, "filter_chain_match"),
		    "a prefix is in its list twice");
	else
		report_key(r, &y->origin, NULL, IMAGE_NONE, y->origin.line, "selects the same connections as %s",
		    report_place(r, &x->origin));
}

/* Sorted, those that select the same are neighbours; each chain is named once. */
static void check_same(const struct listener *l, struct report *r)
{
	struct image_match *m;
	struct vec all = { 0 };
	uint32_t said = IMAGE_NONE;

	for (uint32_t i = 0; i < l->chains.count; i++) {
		const struct chain *c = LIST_AT(l->chains, struct chain, i);

		if (c->origin.flawed)
			continue;
		if (matches_count(c) <= MATCHES_MAX)
			matches_add(c, i, &all);
		else
			report_key(r, &c->origin, "filter_chain_match", IMAGE_NONE, key_line(&c->origin, "filter_chain_match"),
			    "prefix_ranges times source_prefix_ranges are more than %u", MATCHES_MAX);
		if (all.count > MATCHES_MAX * 10)
			break;				/* check_total() says it */
	}
	m = (struct image_match *)(void *)all.items;
	matches_sort(m, all.count);
	for (size_t i = 1; i < all.count; i++) {
		if (match_compare(&m[i - 1], &m[i]) == 0 && m[i].chain != said) {
			report_same(l, &m[i - 1], &m[i], r);
			said = m[i].chain;
		}
	}
	vec_free(&all);
}

void check_chains(const struct config *c, const struct listener *l, struct arena *arena, struct report *r)
{
	if (strlen(l->name) > IMAGE_NAME_MAX - 1)
		return;					/* only a plain form makes one, whose cluster's name is longer still */
	for (uint32_t i = 0; i < l->chains.count; i++) {
		const struct list *filters = &LIST_AT(l->chains, struct chain, i)->filters;

		for (uint32_t f = 0; f < filters->count; f++)
			check_filter(c, LIST_AT(*filters, struct filter, f), r);
	}
	check_names(l, arena, r);
	check_same(l, r);
}
