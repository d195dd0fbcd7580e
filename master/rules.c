/* Out of an image: see rules.h. */
#include "master/rules.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Lists have one form, so that one loop fills and one frees them. */
struct list {
	void *items;
	uint32_t count;
};

enum list_kind { LIST_PORTS, LIST_PREFIXES, LIST_NAMES, LIST_USERS, LIST_GROUPS };

#define LIST(KIND, MEMBER, IMAGE, KEY) { KIND, offsetof(struct rules, MEMBER), offsetof(struct image_intercept, IMAGE), KEY }
static const struct {
	enum list_kind kind;
	size_t to, from;
	const char *key;
} lists[] = {
	LIST(LIST_PORTS, include_inbound, include_inbound, "include_inbound_ports"),
	LIST(LIST_PORTS, exclude_inbound, exclude_inbound, "exclude_inbound_ports"),
	LIST(LIST_PORTS, include_outbound, include_outbound, "include_outbound_ports"),
	LIST(LIST_PORTS, exclude_outbound, exclude_outbound, "exclude_outbound_ports"),
	LIST(LIST_PREFIXES, include_ranges, include_ranges, "include_outbound_ranges"),
	LIST(LIST_PREFIXES, exclude_ranges, exclude_ranges, "exclude_outbound_ranges"),
	LIST(LIST_NAMES, exclude_interfaces, exclude_interfaces, "exclude_interfaces"),
	LIST(LIST_NAMES, guest_interfaces, guest_interfaces, "guest_interfaces"),
	LIST(LIST_USERS, include_users, include_users, "include_outbound_users"),
	LIST(LIST_USERS, exclude_users, exclude_users, "exclude_outbound_users"),
	LIST(LIST_GROUPS, include_groups, include_groups, "include_outbound_groups"),
	LIST(LIST_GROUPS, exclude_groups, exclude_groups, "exclude_outbound_groups"),
};
#define NLISTS (sizeof(lists) / sizeof(lists[0]))

static struct list *list_of(struct rules *r, size_t which)
{
	return (struct list *)(void *)((char *)r + lists[which].to);
}

static int no_memory(struct err *e)
{
	return err_set(e, "interception: out of memory");
}

static int read_names(struct list *l, const struct image *i, const struct image_range *from, struct err *e)
{
	char **names = calloc(from->count + 1, sizeof(*names));

	l->items = names;
	for (; names != NULL && l->count < from->count; l->count++) {
		if ((names[l->count] = strdup(image_text(i, *image_word(i, from->first + l->count)))) == NULL)
			return no_memory(e);
	}
	return names != NULL ? 0 : no_memory(e);
}

static int read_owners(struct list *l, const struct image *i, const struct image_range *from, size_t which, struct err *e)
{
	enum owner_kind kind = lists[which].kind == LIST_USERS ? OWNER_USER : OWNER_GROUP;
	struct owner *owners;

	if (from->count > OWNERS_MAX)
		return err_set(e, "intercept.%s: %u of them: at most %d can be", lists[which].key, from->count, OWNERS_MAX);
	if ((owners = calloc(from->count + 1, sizeof(*owners))) == NULL)
		return no_memory(e);
	l->items = owners;
	for (; l->count < from->count; l->count++) {
		const char *word = image_text(i, *image_word(i, from->first + l->count));

		if (owner_find(kind, lists[which].key, word, &owners[l->count], e) == -1)
			return -1;
	}
	return 0;
}

static int read_records(struct list *l, const void *first, size_t size, uint32_t count, struct err *e)
{
	if ((l->items = calloc(count + 1, size)) == NULL)
		return no_memory(e);
	if (count > 0)
		memcpy(l->items, first, count * size);
	l->count = count;
	return 0;
}

static int read_list(struct rules *r, size_t which, const struct image *i, struct err *e)
{
	const struct image_range *from = (const void *)((const char *)&image_settings(i)->intercept + lists[which].from);
	struct list *l = list_of(r, which);

	switch (lists[which].kind) {
	case LIST_PORTS:
		return read_records(l, image_port_range(i, from->first), sizeof(struct image_port_range), from->count, e);
	case LIST_PREFIXES:
		return read_records(l, image_prefix(i, from->first), sizeof(struct prefix), from->count, e);
	case LIST_NAMES:
		return read_names(l, i, from, e);
	default:
		return read_owners(l, i, from, which, e);
	}
}

static void read_settings(struct rules *r, const struct image_intercept *n, const struct rules_users *who)
{
	*r = (struct rules){
		.mode = n->mode, .iptables = n->iptables,
		.worker_uid = who->worker_uid, .agent_uid = who->agent_uid, .worker_gid = who->worker_gid,
		.outbound_port = n->outbound_port, .outbound_last = n->outbound_last, .inbound_port = n->inbound_port,
		.inbound_sources = n->inbound_sources, .every_inbound_port = n->every_inbound_port,
		.every_outbound_range = n->every_outbound_range, .every_user = n->every_user, .every_group = n->every_group,
		.exclude_dns = n->exclude_dns, .drop_invalid = n->drop_invalid, .mark = n->tproxy_mark, .table = n->tproxy_table,
	};
}

struct rules *rules_read(const struct image *i, const struct rules_users *who, struct err *e)
{
	struct rules *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		no_memory(e);
		return NULL;
	}
	read_settings(r, &image_settings(i)->intercept, who);
	for (size_t which = 0; which < NLISTS; which++) {
		if (read_list(r, which, i, e) == -1) {
			rules_free(r);
			return NULL;
		}
	}
	return r;
}

void rules_free(struct rules *r)
{
	if (r == NULL)
		return;
	for (size_t which = 0; which < NLISTS; which++) {
		struct list *l = list_of(r, which);

		for (uint32_t k = 0; lists[which].kind == LIST_NAMES && k < l->count; k++)
			free(((char **)l->items)[k]);
		free(l->items);
	}
	free(r);
}

bool rules_catch_inbound(const struct rules *r)
{
	return r->every_inbound_port || r->include_inbound.count > 0;
}

/* ---- two images ---- */

static enum image_section section_of(enum list_kind kind)
{
	return kind == LIST_PORTS ? SECTION_PORTS : kind == LIST_PREFIXES ? SECTION_PREFIXES : SECTION_WORDS;
}

static bool same_words(const struct image *a, uint32_t first_a, const struct image *b, uint32_t first_b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(image_text(a, *image_word(a, first_a + i)), image_text(b, *image_word(b, first_b + i))) != 0)
			return false;
	}
	return true;
}

static bool same_range(const struct image *a, const struct image *b, size_t offset, enum image_section s)
{
	const struct image_range *x = (const void *)((const char *)&image_settings(a)->intercept + offset);
	const struct image_range *y = (const void *)((const char *)&image_settings(b)->intercept + offset);
	size_t size = image_record_size(s);

	if (x->count != y->count || x->count == 0)
		return x->count == y->count;
	if (s == SECTION_WORDS)
		return same_words(a, x->first, b, y->first, x->count);
	return memcmp((const char *)image_section(a, s) + x->first * size, (const char *)image_section(b, s) + y->first * size,
	    x->count * size) == 0;
}

bool rules_differ(const struct image *old, const struct image *new)
{
	const struct image_intercept *o = &image_settings(old)->intercept, *n = &image_settings(new)->intercept;

	for (size_t i = 0; i < NLISTS; i++) {
		if (!same_range(old, new, lists[i].from, section_of(lists[i].kind)))
			return true;
	}
	return o->exclude_dns != n->exclude_dns || o->drop_invalid != n->drop_invalid ||
	    o->every_inbound_port != n->every_inbound_port || o->every_outbound_range != n->every_outbound_range ||
	    o->every_user != n->every_user || o->every_group != n->every_group;
}
