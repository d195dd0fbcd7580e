/* What can be done with the rows: see keys.h. */
#include "conf/keys.h"

#include "conf/keys_net.h"
#include "conf/nearest.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const type_words[] = {
	[KEY_TEXT] = "a string", [KEY_PATH] = "an absolute path in a string", [KEY_ACCOUNT] = "a name in a string",
	[KEY_BOOL] = "true or false", [KEY_INTEGER] = "an integer",
	[KEY_MILLISECONDS] = "a time in a string, such as \"250ms\", \"15s\", \"10min\", \"1h\"",
	[KEY_SECONDS] = "a time in a string, such as \"15s\", \"10min\", \"1h\"",
	[KEY_SIZE] = "a number of bytes, such as 65536, \"64k\", \"1m\"", [KEY_WORD] = "a word in a string",
	[KEY_WORDS] = "a list of words in strings",
	[KEY_ENDPOINT] = "\"address:port\"", [KEY_ENDPOINTS] = "a list of \"address:port\" and { address = ...; weight = ...; }",
	[KEY_IPS] = "an IP address, or a list of them", [KEY_PREFIXES] = "a list of \"address/length\"",
	[KEY_PORT] = "a port, or \"first-last\"", [KEY_PORTS] = "a list of ports, such as 22, \"8000-8099\"",
	[KEY_OWNERS] = "a list of names and numbers, such as \"www-data\", 1000, \"2000-2999\"",
	[KEY_INTERFACES] = "a list of names of interfaces, such as \"eth1\", \"veth+\"",
	[KEY_GROUP] = "a group { }", [KEY_GROUPS] = "a list of groups ( { }, { } )", [KEY_LATER] = "absent",
	[KEY_ELSEWHERE] = "absent",
};

/* With KEY_EVERY. */
static const char *const every_words[] = {
	[KEY_PORTS] = "\"*\", or a list of ports, such as 22, \"8000-8099\"",
	[KEY_PREFIXES] = "\"*\", or a list of \"address/length\"",
	[KEY_OWNERS] = "\"*\", or a list of names and numbers, such as \"www-data\", 1000, \"2000-2999\"",
};

const char *key_type_words(const struct key *k)
{
	return k->flags & KEY_EVERY ? every_words[k->type] : type_words[k->type];
}

bool key_is_list(enum key_type type)
{
	static const bool lists[] = { [KEY_ENDPOINTS] = true, [KEY_IPS] = true, [KEY_PREFIXES] = true, [KEY_PORTS] = true,
		[KEY_OWNERS] = true, [KEY_INTERFACES] = true, [KEY_GROUPS] = true, [KEY_ELSEWHERE] = false };

	return lists[type];
}

size_t key_item_size(const struct key *k)
{
	switch (k->type) {
	case KEY_PREFIXES: return sizeof(struct prefix_item);
	case KEY_PORTS: return sizeof(struct port_item);
	case KEY_OWNERS: return sizeof(struct owner_item);
	case KEY_INTERFACES: return sizeof(struct interface_item);
	case KEY_GROUPS: return k->group->size;
	default: return sizeof(struct addr_item);
	}
}

static int wrong_type(const struct key *k, struct err *e)
{
	return err_set(e, "must be %s", key_type_words(k));
}

/* Digits, then a unit's name; the product in *value_r.  -1: not of that form.  Too large: UINT64_MAX. */
static int parse_with_unit(const char *text, const struct key_word *units, uint64_t *value_r)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t n = 0;

	if (digits == 0)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			n = UINT64_MAX;
	}
	for (; units->word != NULL; units++) {
		if (strcasecmp(text + digits, units->word) == 0) {
			if (__builtin_mul_overflow(n, units->value, value_r))
				*value_r = UINT64_MAX;
			return 0;
		}
	}
	return -1;
}

static const struct key_word time_units[] = {
	{ "ms", 1, false }, { "s", 1000, false }, { "min", 60 * 1000, false }, { "h", 60 * 60 * 1000, false }, { 0 },
};
static const struct key_word size_units[] = {
	{ "", 1, false }, { "k", 1024, false }, { "m", 1024 * 1024, false }, { 0 },
};

/* A number as rows write it: their min, max, and def. */
static uint64_t row_number(const struct key *k, const char *text)
{
	bool is_time = k->type == KEY_MILLISECONDS || k->type == KEY_SECONDS;
	uint64_t n = 0;

	parse_with_unit(text, is_time ? time_units : size_units, &n);
	return k->type == KEY_SECONDS ? n / 1000 : n;
}

static int check_range(const struct key *k, uint64_t n, const char *written, struct err *e)
{
	if (n >= row_number(k, k->min) && n <= row_number(k, k->max))
		return 0;
	return err_set(e, "%.64s is out of range (%s to %s)", written, k->min, k->max);
}

static int set_number(const struct key *k, uint64_t n, const char *written, void *slot, struct err *e)
{
	if (check_range(k, n, written, e) == -1)
		return -1;
	memcpy(slot, &n, sizeof(n));
	return 0;
}

static int set_integer(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	char written[32];

	if (v->kind != SCALAR_INTEGER)
		return wrong_type(k, e);
	snprintf(written, sizeof(written), "%lld", (long long)v->integer);
	return set_number(k, v->integer < 0 ? UINT64_MAX : (uint64_t)v->integer, written, slot, e);
}

static int set_size(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	uint64_t n;

	if (v->kind == SCALAR_INTEGER)
		return set_integer(k, v, slot, e);
	if (v->kind != SCALAR_TEXT || parse_with_unit(v->text, size_units, &n) == -1)
		return wrong_type(k, e);
	return set_number(k, n, v->text, slot, e);
}

static int set_time(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	uint64_t ms;

	if (v->kind == SCALAR_INTEGER)
		return err_set(e, "needs a unit: must be %s", key_type_words(k));
	if (v->kind != SCALAR_TEXT || parse_with_unit(v->text, time_units, &ms) == -1)
		return wrong_type(k, e);
	if (k->type == KEY_MILLISECONDS)
		return set_number(k, ms, v->text, slot, e);
	if (ms != UINT64_MAX && ms % 1000 != 0)
		return err_set(e, "\"%.32s\" must be whole seconds", v->text);
	return set_number(k, ms / 1000, v->text, slot, e);
}

static int set_bool(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	uint64_t truth = v->truth;

	if (v->kind != SCALAR_BOOL)
		return wrong_type(k, e);
	memcpy(slot, &truth, sizeof(truth));
	return 0;
}

static int unknown_word(const struct key *k, const char *text, struct err *e)
{
	unsigned best = UINT_MAX, d;
	const char *near = NULL;
	char all[256] = "";
	size_t n = 0;

	for (const struct key_word *w = k->words; w->word != NULL; w++) {
		if (w->later)
			continue;
		if ((d = nearest_distance(text, w->word)) < best) {
			best = d;
			near = w->word;
		}
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s\"%s\"", n > 0 ? ", " : "", w->word);
	}
	if (near != NULL && nearest_is_close(text, best))
		return err_set(e, "\"%.64s\" is not one of %s (did you mean \"%s\"?)", text, all, near);
	return err_set(e, "\"%.64s\" is not one of %s", text, all);
}

static int find_word(const struct key *k, const struct scalar *v, uint64_t *value_r, struct err *e)
{
	if (v->kind != SCALAR_TEXT)
		return err_set(e, "must be %s", type_words[KEY_WORD]);
	for (const struct key_word *w = k->words; w->word != NULL; w++) {
		if (strcasecmp(v->text, w->word) != 0)
			continue;
		if (w->later)
			return err_set(e, "\"%s\" is not supported yet", w->word);
		*value_r = w->value;
		return 0;
	}
	return unknown_word(k, v->text, e);
}

static int set_word(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	uint64_t value;

	if (find_word(k, v, &value, e) == -1)
		return -1;
	memcpy(slot, &value, sizeof(value));
	return 0;
}

/* One more of them. */
static int add_word(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	uint64_t value, all;

	if (find_word(k, v, &value, e) == -1)
		return -1;
	memcpy(&all, slot, sizeof(all));
	if (all & value)
		return err_set(e, "\"%.64s\" is in this list twice", v->text);
	all |= value;
	memcpy(slot, &all, sizeof(all));
	return 0;
}

/* Bytes that follow the first of a sequence; 0 for ASCII; -1: it begins none. */
static int utf8_more(unsigned char first)
{
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

/* Names are shown as JSON, which is UTF-8; without overlong forms, surrogates, and what lies past U+10FFFF. */
static bool is_utf8(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	while (*c != '\0') {
		unsigned char first = *c++;
		int more = utf8_more(first);

		if (more == -1 || (first == 0xe0 && *c < 0xa0) || (first == 0xed && *c > 0x9f) || (first == 0xf0 && *c < 0x90) ||
		    (first == 0xf4 && *c > 0x8f))
			return false;
		for (; more > 0; more--) {
			if ((*c++ & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

bool key_is_account(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

	return text[0] != '\0' && strchr(letters, text[0]) != NULL && text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-")] == '\0';
}

static int set_text(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	size_t n;

	if (v->kind != SCALAR_TEXT)
		return wrong_type(k, e);
	n = strlen(v->text);
	if (n < row_number(k, k->min))
		return err_set(e, "must not be empty");
	if (n > row_number(k, k->max))
		return err_set(e, "%zu bytes long, at most %s can be", n, k->max);
	for (const char *c = v->text; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(e, "must not have control characters");
	}
	if (!is_utf8(v->text))
		return err_set(e, "must be UTF-8");
	if (k->type == KEY_PATH && n > 0 && v->text[0] != '/')
		return err_set(e, "\"%.256s\" must be an absolute path", v->text);
	if (k->type == KEY_ACCOUNT && !key_is_account(v->text))
		return err_set(e, "\"%.64s\" is not a name of a user or group", v->text);
	memcpy(slot, &v->text, sizeof(v->text));
	return 0;
}

static int (*const setters[])(const struct key *, const struct scalar *, void *, struct err *) = {
	[KEY_TEXT] = set_text, [KEY_PATH] = set_text, [KEY_ACCOUNT] = set_text, [KEY_BOOL] = set_bool,
	[KEY_INTEGER] = set_integer, [KEY_MILLISECONDS] = set_time, [KEY_SECONDS] = set_time, [KEY_SIZE] = set_size,
	[KEY_WORD] = set_word, [KEY_WORDS] = add_word, [KEY_ENDPOINT] = key_set_addr, [KEY_ENDPOINTS] = key_set_addr,
	[KEY_IPS] = key_set_addr, [KEY_PREFIXES] = key_set_prefix, [KEY_PORT] = key_set_port, [KEY_PORTS] = key_set_ports,
	[KEY_OWNERS] = key_set_owner, [KEY_INTERFACES] = key_set_interface,
};

int key_set(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	return setters[k->type](k, v, slot, e);
}

int key_check_count(const struct key *k, uint32_t count, struct err *e)
{
	if (count < row_number(k, k->min))
		return err_set(e, "must not be empty");
	if (count > row_number(k, k->max))
		return err_set(e, "has %u members, at most %s can be", count, k->max);
	return 0;
}

const struct key *key_find(const struct key_group *g, const char *name)
{
	for (uint32_t i = 0; i < g->count; i++) {
		if (strcmp(g->keys[i].name, name) == 0)
			return &g->keys[i];
	}
	return NULL;
}

const char *key_nearest(const struct key_group *g, const char *name)
{
	unsigned best = UINT_MAX, d;
	const char *near = NULL;

	for (uint32_t i = 0; i < g->count; i++) {
		d = g->keys[i].type >= KEY_LATER ? UINT_MAX : nearest_distance(name, g->keys[i].name);
		if (d < best) {
			best = d;
			near = g->keys[i].name;
		}
	}
	return near != NULL && nearest_is_close(name, best) ? near : NULL;
}

static uint64_t kind_of(const void *object)
{
	const struct origin *o = object;
	uint64_t kind;

	memcpy(&kind, (const char *)object + key_find(o->group, o->group->kind)->offset, sizeof(kind));
	return kind;
}

bool key_fits(const struct key *k, const void *object)
{
	return k->kinds == 0 || (k->kinds & UINT64_C(1) << kind_of(object)) != 0;
}

const char *key_kind_word(const void *object)
{
	const struct key_group *g = ((const struct origin *)object)->group;
	const struct key_word *w = key_find(g, g->kind)->words;

	while (w->later || w->value != kind_of(object))
		w++;
	return w->word;
}

/* A default goes the same way as what a user writes. */
static void set_default(const struct key *k, void *object)
{
	struct scalar v = { .kind = SCALAR_TEXT, .text = k->def };

	if (k->flags & KEY_EVERY) {
		((struct list *)(void *)((char *)object + k->offset))->every = strcmp(k->def, "*") == 0;
		return;
	}
	if (k->type == KEY_BOOL)
		v = (struct scalar){ .kind = SCALAR_BOOL, .truth = strcmp(k->def, "true") == 0 };
	else if (k->type == KEY_INTEGER)
		v = (struct scalar){ .kind = SCALAR_INTEGER, .integer = (int64_t)row_number(k, k->def) };
	key_set(k, &v, (char *)object + k->offset, NULL);
}

void key_init(const struct key_group *g, void *object, const struct origin *at, struct arena *arena)
{
	struct origin *origin = object;

	*origin = *at;
	origin->group = g;
	origin->lines = arena_alloc(arena, g->count, sizeof(origin->lines[0]));
	for (uint32_t i = 0; i < g->count; i++) {
		if (g->keys[i].def != NULL)
			set_default(&g->keys[i], object);
	}
}

static uint32_t line_of(const struct origin *o, const char *name)
{
	const struct key *k = o->group != NULL ? key_find(o->group, name) : NULL;

	return k != NULL ? o->lines[k - o->group->keys] : 0;
}

uint32_t key_line(const struct origin *o, const char *name)
{
	uint32_t line = line_of(o, name);

	return line != 0 ? line : o->line;
}

bool key_given(const struct origin *o, const char *name)
{
	return line_of(o, name) != 0;
}
