/* The expanded configuration: see print.h.  Which keys there are, the rows say. */
#include "conf/print.h"

#include "conf/keys.h"

#include <string.h>

struct printer {
	FILE *out;
	const struct config *config;
};

static void print_group(const struct printer *, const struct key_group *, const void *object, int depth);

static void indent(const struct printer *p, int depth)
{
	for (int i = 0; i < depth; i++)
		fputc('\t', p->out);
}

static void print_text(const struct printer *p, const char *text)
{
	fputc('"', p->out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', p->out);
		fputc(*text, p->out);
	}
	fputc('"', p->out);
}

static void print_time(const struct printer *p, uint64_t ms)
{
	static const struct { uint64_t ms; const char *unit; } units[] = { { 3600000, "h" }, { 60000, "min" }, { 1000, "s" } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms != 0 && ms % units[i].ms == 0) {
			fprintf(p->out, "\"%llu%s\"", (unsigned long long)(ms / units[i].ms), units[i].unit);
			return;
		}
	}
	fprintf(p->out, ms == 0 ? "\"0s\"" : "\"%llums\"", (unsigned long long)ms);
}

static void print_size(const struct printer *p, uint64_t bytes)
{
	if (bytes != 0 && bytes % (1 << 20) == 0)
		fprintf(p->out, "\"%llum\"", (unsigned long long)(bytes >> 20));
	else if (bytes != 0 && bytes % 1024 == 0)
		fprintf(p->out, "\"%lluk\"", (unsigned long long)(bytes >> 10));
	else
		fprintf(p->out, "%llu", (unsigned long long)bytes);
}

static void print_word(const struct printer *p, const struct key_word *w, uint64_t value)
{
	while (w->later || w->value != value)
		w++;
	print_text(p, w->word);
}

static void print_words(const struct printer *p, const struct key *k, uint64_t bits)
{
	const char *between = " ";

	fputc('[', p->out);
	for (const struct key_word *w = k->words; w->word != NULL; w++) {
		if (w->later || !(bits & w->value))
			continue;
		fputs(between, p->out);
		print_text(p, w->word);
		between = ", ";
	}
	fputs(" ]", p->out);
}

static void print_number(const struct printer *p, const struct key *k, uint64_t n)
{
	switch (k->type) {
	case KEY_BOOL: fputs(n ? "true" : "false", p->out); break;
	case KEY_MILLISECONDS: print_time(p, n); break;
	case KEY_SECONDS: print_time(p, n * 1000); break;
	case KEY_SIZE: print_size(p, n); break;
	case KEY_WORD: print_word(p, k->words, n); break;
	case KEY_WORDS: print_words(p, k, n); break;
	default: fprintf(p->out, "%llu", (unsigned long long)n); break;
	}
}

static void print_endpoint(const struct printer *p, const struct addr_item *i)
{
	char text[ADDR_STRLEN];

	if (addr_item_weight(i) == 1) {
		print_text(p, addr_print(&i->addr, text));
		return;
	}
	fprintf(p->out, "{ address = \"%s\"; weight = %u; }", addr_print(&i->addr, text), i->weight);
}

static void print_ports(const struct printer *p, const struct image_port_range *r)
{
	fprintf(p->out, r->first == r->last ? "%u" : "\"%u-%u\"", r->first, r->last);
}

static void print_owner(const struct printer *p, const struct owner_item *o)
{
	if (o->name != NULL)
		print_text(p, o->name);
	else
		fprintf(p->out, o->first == o->last ? "%u" : "\"%u-%u\"", o->first, o->last);
}

static void print_member(const struct printer *p, const struct key *k, const struct list *l, uint32_t i)
{
	char text[ADDR_STRLEN];

	switch (k->type) {
	case KEY_ENDPOINTS:
		print_endpoint(p, LIST_AT(*l, struct addr_item, i));
		break;
	case KEY_PREFIXES:
		print_text(p, prefix_print(&LIST_AT(*l, struct prefix_item, i)->prefix, text));
		break;
	case KEY_PORTS:
		print_ports(p, &LIST_AT(*l, struct port_item, i)->range);
		break;
	case KEY_OWNERS:
		print_owner(p, LIST_AT(*l, struct owner_item, i));
		break;
	case KEY_INTERFACES:
		print_text(p, LIST_AT(*l, struct interface_item, i)->name);
		break;
	default:
		print_text(p, addr_print_ip(&LIST_AT(*l, struct addr_item, i)->addr, text));
		break;
	}
}

static void print_list(const struct printer *p, const struct key *k, const struct list *l, int depth)
{
	/* an array takes one type only */
	bool mixed = k->type == KEY_PORTS || k->type == KEY_OWNERS || k->type == KEY_ENDPOINTS;

	if (l->every) {
		fprintf(p->out, "%s = \"*\";\n", k->name);
		return;
	}
	fprintf(p->out, "%s = %c ", k->name, mixed ? '(' : '[');
	for (uint32_t i = 0; i < l->count; i++) {
		if (i > 0 && i % 4 == 0) {
			fputs(",\n", p->out);
			indent(p, depth + 1);
		} else if (i > 0) {
			fputs(", ", p->out);
		}
		print_member(p, k, l, i);
	}
	fprintf(p->out, " %c;\n", mixed ? ')' : ']');
}

/* One of a list's objects.  Everything's listeners and clusters are not those of the file alone. */
static const void *object_at(const struct printer *p, const struct key *k, const struct list *l, uint32_t i)
{
	if ((const void *)l == &p->config->listeners)
		return p->config->all_listeners[i];
	if ((const void *)l == &p->config->clusters)
		return p->config->all_clusters[i];
	return (const char *)l->items + (size_t)i * k->group->size;
}

static uint32_t object_count(const struct printer *p, const struct list *l)
{
	if ((const void *)l == &p->config->listeners)
		return p->config->listener_count;
	return (const void *)l == &p->config->clusters ? p->config->cluster_count : l->count;
}

static void print_objects(const struct printer *p, const struct key *k, const struct list *l, int depth)
{
	uint32_t count = object_count(p, l);

	if (count == 0)
		return;
	indent(p, depth);
	fprintf(p->out, "%s = (\n", k->name);
	for (uint32_t i = 0; i < count; i++) {
		indent(p, depth + 1);
		fputs("{\n", p->out);
		print_group(p, k->group, object_at(p, k, l, i), depth + 2);
		indent(p, depth + 1);
		fputs(i + 1 < count ? "},\n" : "}\n", p->out);
	}
	indent(p, depth);
	fputs(");\n", p->out);
}

static void print_object(const struct printer *p, const struct key *k, const void *object, int depth)
{
	if (object == NULL)
		return;
	indent(p, depth);
	fprintf(p->out, "%s = {\n", k->name);
	print_group(p, k->group, object, depth + 1);
	indent(p, depth);
	fputs("};\n", p->out);
}

static void print_value(const struct printer *p, const struct key *k, const void *slot, int depth)
{
	const char *text;
	uint64_t n;

	if (k->type == KEY_TEXT || k->type == KEY_PATH || k->type == KEY_ACCOUNT) {
		memcpy(&text, slot, sizeof(text));
		if (text == NULL)
			return;
		indent(p, depth);
		fprintf(p->out, "%s = ", k->name);
		print_text(p, text);
	} else if (k->type == KEY_PORT) {
		if (((const struct image_port_range *)slot)->first == 0)
			return;				/* not given */
		indent(p, depth);
		fprintf(p->out, "%s = ", k->name);
		print_ports(p, slot);
	} else {
		memcpy(&n, slot, sizeof(n));
		if ((k->type == KEY_INTEGER || k->type == KEY_WORDS) && k->def == NULL && !(k->flags & KEY_REQUIRED) && n == 0)
			return;				/* not given, and nought is not in its range */
		indent(p, depth);
		fprintf(p->out, "%s = ", k->name);
		print_number(p, k, n);
	}
	fputs(";\n", p->out);
}

static void print_key(const struct printer *p, const struct key *k, const void *object, int depth)
{
	const void *slot = (const char *)object + k->offset;

	if (k->type >= KEY_LATER || (k->flags & KEY_PLAIN) || !key_fits(k, object))
		return;
	if (k->type == KEY_GROUP) {
		print_object(p, k, *(void *const *)slot, depth);
	} else if (k->type == KEY_GROUPS) {
		print_objects(p, k, slot, depth);
	} else if (key_is_list(k->type)) {
		if (((const struct list *)slot)->count == 0 && !(k->flags & KEY_EVERY))
			return;
		indent(p, depth);
		print_list(p, k, slot, depth);
	} else {
		print_value(p, k, slot, depth);
	}
}

static void print_group(const struct printer *p, const struct key_group *g, const void *object, int depth)
{
	for (uint32_t i = 0; i < g->count; i++)
		print_key(p, &g->keys[i], object, depth);
}

void print_config(const struct config *c, FILE *out)
{
	struct printer p = { out, c };

	print_group(&p, &keys_top, c, 0);
}
