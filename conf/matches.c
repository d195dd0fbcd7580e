/* Which connections a filter chain selects: see matches.h. */
#include "conf/matches.h"

#include "common/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t at_least_one(const struct list *l)
{
	return l->count > 0 ? l->count : 1;
}

uint64_t matches_count(const struct chain *c)
{
	const struct chain_match *m = c->match;
	uint64_t applications;

	if (m == NULL)
		return 1;
	applications = (uint64_t)__builtin_popcountll(m->applications);
	return at_least_one(&m->destinations) * (applications > 0 ? applications : 1) * at_least_one(&m->sources) *
	    (m->port.last - m->port.first + 1u);
}

static struct prefix prefix_or_any(const struct list *l, uint32_t i)
{
	return l->count > 0 ? LIST_AT(*l, struct prefix_item, i)->prefix : (struct prefix){ 0 };
}

static void add(const struct chain_match *m, const struct image_match *of, uint32_t d, uint32_t s, struct vec *out)
{
	struct image_match match = *of;

	match.destination = prefix_or_any(&m->destinations, d);
	match.source = prefix_or_any(&m->sources, s);
	vec_push(out, sizeof(match), &match);
}

/* of: port, application and chain. */
static void add_prefixes_of(const struct chain_match *m, const struct image_match *of, struct vec *out)
{
	for (uint32_t d = 0; d < at_least_one(&m->destinations); d++) {
		for (uint32_t s = 0; s < at_least_one(&m->sources); s++)
			add(m, of, d, s, out);
	}
}

void matches_add(const struct chain *c, uint32_t number, struct vec *out)
{
	static const struct chain_match everything;
	const struct chain_match *m = c->match != NULL ? c->match : &everything;

	for (uint32_t port = m->port.first; port <= m->port.last; port++) {
		for (unsigned a = 0; a < APPLICATIONS; a++) {
			struct image_match of = { .port = (uint16_t)port, .application = (uint8_t)a, .chain = number };

			if (m->applications & 1u << a || (a == APPLICATION_ANY && m->applications == 0))
				add_prefixes_of(m, &of, out);
		}
	}
}

static int in_order(const void *a, const void *b)
{
	const struct image_match *x = a, *y = b;
	int c = match_compare(x, y);

	if (c != 0)
		return c;
	return x->chain < y->chain ? -1 : x->chain > y->chain;
}

void matches_sort(struct image_match *m, size_t count)
{
	if (count > 0)
		qsort(m, count, sizeof(*m), in_order);
}

static int by_prefix(const void *a, const void *b)
{
	const struct prefix *x = &((const struct prefix_item *)a)->prefix, *y = &((const struct prefix_item *)b)->prefix;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	if (x->bits != y->bits)
		return x->bits < y->bits ? -1 : 1;
	return memcmp(x->ip, y->ip, sizeof(x->ip));
}

/* Sorted, so that two files which say the same in another order mean the same chain. */
static const char *add_prefixes(const char *name, const char *word, const struct list *l, struct arena *arena)
{
	struct prefix_item *sorted = arena_alloc(arena, l->count, sizeof(*sorted));
	char *text = arena_alloc(arena, strlen(name) + (size_t)l->count * (ADDR_STRLEN + 8) + 1, 1), *end;
	char buf[ADDR_STRLEN];

	end = stpcpy(text, name);
	if (l->count == 0)
		return text;
	memcpy(sorted, l->items, l->count * sizeof(*sorted));
	qsort(sorted, l->count, sizeof(*sorted), by_prefix);
	for (uint32_t i = 0; i < l->count; i++)
		end += sprintf(end, "%s%s=%s", end != text ? "," : "", word, prefix_print(&sorted[i].prefix, buf));
	return text;
}

const char *matches_chain_name(const struct chain *c, struct arena *arena)
{
	const struct chain_match *m = c->match;
	const char *name = "";

	if (c->name != NULL)
		return c->name;
	if (m == NULL)
		return "any";
	if (m->port.first != 0)
		name = arena_printf(arena, m->port.first == m->port.last ? "port=%u" : "port=%u-%u", m->port.first, m->port.last);
	name = add_prefixes(name, "dst", &m->destinations, arena);
	for (unsigned a = 0; a < APPLICATIONS; a++) {
		if (m->applications & 1u << a)
			name = arena_printf(arena, "%s%sapp=%s", name, *name != '\0' ? "," : "", match_application_name(a));
	}
	name = add_prefixes(name, "src", &m->sources, arena);
	return *name != '\0' ? name : "any";
}
