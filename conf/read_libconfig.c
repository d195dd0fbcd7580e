/* From libconfig's tree to the model: see read.h. */
#include "conf/read.h"

#include "common/confrun.h"
#include "conf/keys.h"

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef MESHD_SANITIZERS
/* libconfig 1.5 forgets the string that it was reading when a syntax error ends the parse. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}
#endif

struct reading {
	config_t tree;
};

struct reader {
	struct arena *arena;
	struct report *report;
};

static int read_group(struct reader *, const config_setting_t *, const struct key_group *, void *object,
    const struct origin *at);

static uint32_t line_of(const config_setting_t *s)
{
	return config_setting_source_line(s);
}

static int to_scalar(const config_setting_t *s, struct scalar *v)
{
	memset(v, 0, sizeof(*v));
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
		v->kind = SCALAR_INTEGER;
		v->integer = config_setting_get_int(s);
		return 0;
	case CONFIG_TYPE_INT64:
		v->kind = SCALAR_INTEGER;
		v->integer = config_setting_get_int64(s);
		return 0;
	case CONFIG_TYPE_FLOAT:
		v->kind = SCALAR_FLOAT;
		return 0;
	case CONFIG_TYPE_BOOL:
		v->kind = SCALAR_BOOL;
		v->truth = config_setting_get_bool(s);
		return 0;
	case CONFIG_TYPE_STRING:
		v->kind = SCALAR_TEXT;
		v->text = config_setting_get_string(s);
		return 0;
	default:
		return -1;
	}
}

static int refuse_type(struct reader *r, const struct key *k, const struct origin *o, uint32_t index, uint32_t line)
{
	report_key(r->report, o, k->name, index, line, "must be %s", key_type_words(k));
	return -1;
}

/* A value, or one member of a list. */
static int read_scalar(struct reader *r, const config_setting_t *s, const struct key *k, const struct origin *o,
    uint32_t index, void *slot)
{
	struct scalar v;
	struct err e;

	if (to_scalar(s, &v) == -1) {
		if (index == IMAGE_NONE)
			return refuse_type(r, k, o, index, line_of(s));
		v.kind = SCALAR_FLOAT;			/* a member's setter says what a member must be */
	}
	if (key_set(k, &v, slot, &e) == 0)
		return 0;
	report_key(r->report, o, k->name, index, line_of(s), "%s", e.text);
	return -1;
}

/* An endpoint in its long form. */
static int read_endpoint(struct reader *r, const config_setting_t *s, const struct key *k, const struct origin *at,
    struct addr_item *item)
{
	struct endpoint *e = arena_alloc(r->arena, 1, k->group->size);

	if (read_group(r, s, k->group, e, at) == -1)
		return -1;
	*item = e->address;
	item->weight = (uint32_t)e->weight;
	return 0;
}

static void set_line(const struct key *k, void *item, uint32_t line)
{
	switch (k->type) {
	case KEY_PREFIXES: ((struct prefix_item *)item)->line = line; break;
	case KEY_PORTS: ((struct port_item *)item)->line = line; break;
	case KEY_OWNERS: ((struct owner_item *)item)->line = line; break;
	case KEY_INTERFACES: ((struct interface_item *)item)->line = line; break;
	default: ((struct addr_item *)item)->line = line; break;
	}
}

static int read_member(struct reader *r, const config_setting_t *s, const struct key *k, const struct origin *o,
    uint32_t index, void *item)
{
	struct origin at = { .parent = o, .key = k->name, .index = index, .line = line_of(s) };

	if (k->type == KEY_GROUPS) {
		if (config_setting_type(s) == CONFIG_TYPE_GROUP)
			return read_group(r, s, k->group, item, &at);
		key_init(k->group, item, &at, r->arena);
		((struct origin *)item)->flawed = true;
		report_key(r->report, o, k->name, index, line_of(s), "must be a group { }");
		return -1;
	}
	if (k->type == KEY_ENDPOINTS && config_setting_type(s) == CONFIG_TYPE_GROUP)
		return read_endpoint(r, s, k, &at, item);
	set_line(k, item, line_of(s));
	return read_scalar(r, s, k, o, index, item);
}

/* In place of the default. */
static int read_words(struct reader *r, const config_setting_t *s, const struct key *k, const struct origin *o, void *slot)
{
	uint32_t count = (uint32_t)config_setting_length(s);
	int result = 0;
	struct err e;

	if (config_setting_type(s) != CONFIG_TYPE_LIST && config_setting_type(s) != CONFIG_TYPE_ARRAY)
		return refuse_type(r, k, o, IMAGE_NONE, line_of(s));
	if (key_check_count(k, count, &e) == -1) {
		report_key(r->report, o, k->name, IMAGE_NONE, line_of(s), "%s", e.text);
		return -1;
	}
	memset(slot, 0, sizeof(uint64_t));
	for (uint32_t i = 0; i < count; i++) {
		if (read_scalar(r, config_setting_get_elem(s, i), k, o, i, slot) == -1)
			result = -1;
	}
	return result;
}

static bool is_every(const config_setting_t *s, const struct key *k)
{
	return (k->flags & KEY_EVERY) && config_setting_type(s) == CONFIG_TYPE_STRING && strcmp(config_setting_get_string(s), "*") == 0;
}

/* Members that could not be read are left out, but objects, which are marked, so that their numbers stay. */
static int read_list(struct reader *r, const config_setting_t *s, const struct key *k, const struct origin *o,
    struct list *list)
{
	bool alone = config_setting_type(s) == CONFIG_TYPE_STRING && k->type == KEY_IPS;
	uint32_t count = alone ? 1 : (uint32_t)config_setting_length(s);
	size_t size = key_item_size(k);
	int result = 0;
	struct err e;

	if ((list->every = is_every(s, k)))
		return 0;
	if (!alone && config_setting_type(s) != CONFIG_TYPE_LIST && config_setting_type(s) != CONFIG_TYPE_ARRAY)
		return refuse_type(r, k, o, IMAGE_NONE, line_of(s));
	if (key_check_count(k, count, &e) == -1) {
		report_key(r->report, o, k->name, IMAGE_NONE, line_of(s), "%s", e.text);
		return -1;
	}
	list->items = arena_alloc(r->arena, count, size);
	for (uint32_t i = 0; i < count; i++) {
		const config_setting_t *member = alone ? s : config_setting_get_elem(s, i);

		if (read_member(r, member, k, o, alone ? IMAGE_NONE : i, (char *)list->items + list->count * size) == -1) {
			result = -1;
			if (k->type != KEY_GROUPS)
				continue;
		}
		list->count++;
	}
	return result;
}

static int read_object(struct reader *r, const config_setting_t *s, const struct key *k, const struct origin *o,
    void **slot)
{
	struct origin at = { .parent = o, .key = k->name, .index = IMAGE_NONE, .line = line_of(s) };

	if (config_setting_type(s) != CONFIG_TYPE_GROUP)
		return refuse_type(r, k, o, IMAGE_NONE, line_of(s));
	*slot = arena_alloc(r->arena, 1, k->group->size);
	return read_group(r, s, k->group, *slot, &at);
}

static int read_unknown(struct reader *r, const config_setting_t *s, struct origin *o)
{
	const char *name = config_setting_name(s), *near = key_nearest(o->group, name);

	if (near != NULL)
		report_key(r->report, o, name, IMAGE_NONE, line_of(s), "unknown key (did you mean \"%s\"?)", near);
	else
		report_key(r->report, o, name, IMAGE_NONE, line_of(s), "unknown key");
	return -1;
}

static int read_key(struct reader *r, const config_setting_t *s, struct origin *o)
{
	const struct key *k = key_find(o->group, config_setting_name(s));
	void *slot;

	if (k == NULL)
		return read_unknown(r, s, o);
	o->lines[k - o->group->keys] = line_of(s);
	if (k->type >= KEY_LATER) {
		report_key(r->report, o, k->name, IMAGE_NONE, line_of(s), k->type == KEY_LATER ? "%s" : "is called %s here", k->about);
		return -1;
	}
	slot = (char *)o + k->offset;
	if (key_is_list(k->type))
		return read_list(r, s, k, o, slot);
	if (k->type == KEY_GROUP)
		return read_object(r, s, k, o, slot);
	if (k->type == KEY_WORDS)
		return read_words(r, s, k, o, slot);
	if (k->type == KEY_ENDPOINT)
		((struct addr_item *)slot)->line = line_of(s);
	return read_scalar(r, s, k, o, IMAGE_NONE, slot);
}

static int require_keys(struct reader *r, const struct origin *o)
{
	int result = 0;

	for (uint32_t i = 0; i < o->group->count; i++) {
		if ((o->group->keys[i].flags & KEY_REQUIRED) && o->lines[i] == 0) {
			report_key(r->report, o, o->group->keys[i].name, IMAGE_NONE, o->line, "is missing");
			result = -1;
		}
	}
	return result;
}

/* Keys that are of objects of another kind. */
static int refuse_strangers(struct reader *r, const struct origin *o)
{
	int result = 0;

	for (uint32_t i = 0; i < o->group->count; i++) {
		const struct key *k = &o->group->keys[i];

		if (o->lines[i] == 0 || key_fits(k, o))
			continue;
		report_key(r->report, o, k->name, IMAGE_NONE, o->lines[i], "is no key where %s = \"%s\"", o->group->kind, key_kind_word(o));
		result = -1;
	}
	return result;
}

/* Objects that the file does not have but every configuration has. */
static void add_always(struct reader *r, struct origin *o)
{
	for (uint32_t i = 0; i < o->group->count; i++) {
		const struct key *k = &o->group->keys[i];
		struct origin at = { .parent = o, .key = k->name, .index = IMAGE_NONE };
		void **slot = (void **)(void *)((char *)o + k->offset);

		if ((k->flags & KEY_ALWAYS) && *slot == NULL) {
			*slot = arena_alloc(r->arena, 1, k->group->size);
			key_init(k->group, *slot, &at, r->arena);
		}
	}
}

static int read_group(struct reader *r, const config_setting_t *s, const struct key_group *g, void *object,
    const struct origin *at)
{
	struct origin *o = object;

	key_init(g, object, at, r->arena);
	for (int i = 0; i < config_setting_length(s); i++) {
		if (read_key(r, config_setting_get_elem(s, (unsigned)i), o) == -1)
			o->flawed = true;
	}
	if (require_keys(r, o) == -1)
		o->flawed = true;
	if (!o->flawed && refuse_strangers(r, o) == -1)
		o->flawed = true;
	add_always(r, o);
	return o->flawed ? -1 : 0;
}

/* libconfig's own words are few: "syntax error", "duplicate setting name", ... */
static void report_syntax(struct reader *r, const config_t *tree)
{
	const char *text = config_error_text(tree);

	if (text != NULL && strstr(text, "mismatched element") != NULL)
		text = "an array [ ] has values of one type; ( ) takes any";
	else if (text == NULL || strcmp(text, "syntax error") == 0)
		text = "this line, or the end of the one before, is not of the form name = value;";
	report_add(r->report, config_error_line(tree) > 0 ? (uint32_t)config_error_line(tree) : 0, "syntax", "%s", text);
}

int read_libconfig(const struct source *source, struct config *c, struct arena *arena, struct report *report,
    struct reading **reading_r)
{
	struct origin top = { .index = IMAGE_NONE };
	struct reader r = { arena, report };

	memset(c, 0, sizeof(*c));
	if ((*reading_r = calloc(1, sizeof(**reading_r))) == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	config_init(&(*reading_r)->tree);
	if (config_read_string(&(*reading_r)->tree, source->text.items) != CONFIG_TRUE) {
		report_syntax(&r, &(*reading_r)->tree);
		return -1;
	}
	read_group(&r, config_root_setting(&(*reading_r)->tree), &keys_top, c, &top);
	return 0;
}

void read_free(struct reading **reading)
{
	if (*reading == NULL)
		return;
	config_destroy(&(*reading)->tree);
	free(*reading);
	*reading = NULL;
}
