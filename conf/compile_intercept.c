/*
 * intercept = { } in an image.  Lists are sorted there, each member once, neighbours made one, so that files which say
 * the same in another order mean the same.
 */
#include "conf/compiler.h"

#include "conf/expand.h"

#include <stdlib.h>
#include <string.h>

static int by_port(const void *a, const void *b)
{
	const struct image_port_range *x = a, *y = b;

	return (int)x->first - (int)y->first;
}

static void add_ports(struct compiler *c, const struct list *l, struct image_range *to)
{
	struct image_port_range *r = arena_alloc(&c->arena, l->count, sizeof(*r));
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->count; i++)
		r[i] = LIST_AT(*l, struct port_item, i)->range;
	if (l->count > 0)
		qsort(r, l->count, sizeof(*r), by_port);
	for (uint32_t i = 0; i < l->count; i++) {
		if (n == 0 || r[i].first > r[n - 1].last + 1)
			r[n++] = r[i];
		else if (r[i].last > r[n - 1].last)
			r[n - 1].last = r[i].last;
	}
	*to = (struct image_range){ count_of(c, SECTION_PORTS), n };
	for (uint32_t i = 0; i < n; i++)
		push(c, SECTION_PORTS, &r[i]);
}

static int by_prefix(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct prefix));
}

static void add_prefixes(struct compiler *c, const struct list *l, struct image_range *to)
{
	struct prefix *p = arena_alloc(&c->arena, l->count, sizeof(*p));

	for (uint32_t i = 0; i < l->count; i++)
		p[i] = LIST_AT(*l, struct prefix_item, i)->prefix;
	if (l->count > 0)
		qsort(p, l->count, sizeof(*p), by_prefix);
	to->first = count_of(c, SECTION_PREFIXES);
	for (uint32_t i = 0; i < l->count; i++) {
		if (i == 0 || by_prefix(&p[i - 1], &p[i]) != 0)
			push(c, SECTION_PREFIXES, &p[i]);
	}
	to->count = count_of(c, SECTION_PREFIXES) - to->first;
}

static void add_word(struct compiler *c, struct image_range *to, const char *word)
{
	uint32_t offset = text_add(&c->text, word);

	push(c, SECTION_WORDS, &offset);
	to->count++;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts them; each once. */
static void add_words(struct compiler *c, const char **words, uint32_t count, struct image_range *to)
{
	if (count > 0)
		qsort(words, count, sizeof(*words), by_text);
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(words[i - 1], words[i]) != 0)
			add_word(c, to, words[i]);
	}
}

static void add_interfaces(struct compiler *c, const struct list *l, struct image_range *to)
{
	const char **words = arena_alloc(&c->arena, l->count, sizeof(*words));

	for (uint32_t i = 0; i < l->count; i++)
		words[i] = LIST_AT(*l, struct interface_item, i)->name;
	to->first = count_of(c, SECTION_WORDS);
	add_words(c, words, l->count, to);
}

static int by_number(const void *a, const void *b)
{
	const struct owner_item *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static void add_numbers(struct compiler *c, struct owner_item *o, uint32_t count, struct image_range *to)
{
	uint32_t n = 0;

	if (count > 0)
		qsort(o, count, sizeof(*o), by_number);
	for (uint32_t i = 0; i < count; i++) {
		if (n == 0 || o[i].first > o[n - 1].last + 1)		/* the largest number is no owner: it cannot wrap */
			o[n++] = o[i];
		else if (o[i].last > o[n - 1].last)
			o[n - 1].last = o[i].last;
	}
	for (uint32_t i = 0; i < n; i++)
		add_word(c, to, o[i].first == o[i].last ? arena_printf(&c->arena, "%u", o[i].first) :
		    arena_printf(&c->arena, "%u-%u", o[i].first, o[i].last));
}

/* Numbers, then names: whether two of them are one, only the host knows. */
static void add_owners(struct compiler *c, const struct list *l, struct image_range *to)
{
	struct owner_item *numbers = arena_alloc(&c->arena, l->count, sizeof(*numbers));
	const char **names = arena_alloc(&c->arena, l->count, sizeof(*names));
	uint32_t n = 0, k = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		const struct owner_item *o = LIST_AT(*l, struct owner_item, i);

		if (o->name != NULL)
			names[k++] = o->name;
		else
			numbers[n++] = *o;
	}
	to->first = count_of(c, SECTION_WORDS);
	add_numbers(c, numbers, n, to);
	add_words(c, names, k, to);
}

/* Listeners lie in the image in this order. */
static uint32_t inbound_index(const struct config *f)
{
	uint32_t i = 0;

	while (strcmp(f->all_listeners[i]->name, EXPAND_INBOUND) != 0)
		i++;
	return i;
}

static void add_lists(struct compiler *c, const struct intercept *i, struct image_intercept *to)
{
	add_ports(c, &i->include_inbound, &to->include_inbound);
	add_ports(c, &i->exclude_inbound, &to->exclude_inbound);
	add_ports(c, &i->include_outbound, &to->include_outbound);
	add_ports(c, &i->exclude_outbound, &to->exclude_outbound);
	add_prefixes(c, &i->include_ranges, &to->include_ranges);
	add_prefixes(c, &i->exclude_ranges, &to->exclude_ranges);
	add_interfaces(c, &i->exclude_interfaces, &to->exclude_interfaces);
	add_interfaces(c, &i->guest_interfaces, &to->guest_interfaces);
	add_owners(c, &i->include_users, &to->include_users);
	add_owners(c, &i->exclude_users, &to->exclude_users);
	add_owners(c, &i->include_groups, &to->include_groups);
	add_owners(c, &i->exclude_groups, &to->exclude_groups);
}

void compile_intercept(struct compiler *c, const struct intercept *i, struct image_intercept *to)
{
	struct image_port_range outbound = intercept_outbound(i), inbound = intercept_inbound(i);

	to->configured = 1;
	to->mode = (uint8_t)i->mode;
	to->manual = (uint8_t)i->manual;
	to->iptables = (uint8_t)i->iptables;
	to->on_exit = (uint8_t)i->on_exit;
	to->exclude_dns = (uint8_t)i->exclude_dns;
	to->drop_invalid = (uint8_t)i->drop_invalid;
	to->inbound_sources = (uint8_t)i->inbound_sources;
	to->every_inbound_port = i->include_inbound.every;
	to->every_outbound_range = i->include_ranges.every;
	to->every_user = i->include_users.every;
	to->every_group = i->include_groups.every;
	to->outbound_port = outbound.first;
	to->outbound_last = outbound.last;
	to->inbound_port = inbound.first;
	to->inbound_listener = i->port != 0 ? inbound_index(c->config) : IMAGE_NONE;
	to->tproxy_mark = (uint32_t)i->tproxy_mark;
	to->tproxy_table = (uint32_t)i->tproxy_table;
	add_lists(c, i, to);
}
