/*
 * conf/rows.c: for each key row its wrong type, below and above its range, misspelt, its limits themselves.  All of it
 * is derived from the rows, so that a new key is tested with its first build.
 */
#include "t/unit/conf/try.h"

#include "conf/keys.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key, and the keys that lead to its group. */
struct place {
	const struct key *way[8];
	const struct key_group *groups[9];
	int depth;
	const struct key *key;
};

struct text {
	char *bytes;
	size_t n;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	char *more;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&more, fmt, ap);
	va_end(ap);
	t->bytes = realloc(t->bytes, t->n + (size_t)n + 1);
	memcpy(t->bytes + t->n, more, (size_t)n + 1);
	t->n += (size_t)n;
	free(more);
}

static void add_required(struct text *, const struct key_group *, const struct key *except);

static bool is(const struct key *k, const char *name)
{
	return k != NULL && name != NULL && strcmp(k->name, name) == 0;
}

/* Of a filter's cluster and weighted_clusters one must be there, which no row can say. */
static bool is_either(const struct key_group *g, const struct key *k)
{
	return strcmp(g->name, "filter") == 0 && (is(k, "cluster") || is(k, "weighted_clusters"));
}

static void add_valid(struct text *t, const struct key *k)
{
	add(t, "%s = ", k->name);
	switch (k->type) {
	case KEY_TEXT: add(t, "\"c\""); break;
	case KEY_INTEGER:
	case KEY_PORT: add(t, "%s", k->min); break;
	case KEY_WORD: add(t, "\"%s\"", k->words[0].word); break;
	case KEY_IPS: add(t, "\"192.0.2.1\""); break;
	case KEY_ENDPOINT: add(t, "\"192.0.2.1:80\""); break;
	case KEY_ENDPOINTS: add(t, "[ ]"); break;
	case KEY_GROUPS:
		add(t, "( { ");
		add_required(t, k->group, NULL);
		add(t, "} )");
		break;
	default: cr_assert_fail("%s: a type that was never required", k->name);
	}
	add(t, "; ");
}

/* An object's kind: one that has the key under test. */
static void add_kind(struct text *t, const struct key_group *g, const struct key *under_test)
{
	const struct key *kind = key_find(g, g->kind);
	const struct key_word *w = kind->words;

	while (w->later || (under_test != NULL && under_test->kinds != 0 && !(under_test->kinds & UINT64_C(1) << w->value)))
		w++;
	add(t, "%s = \"%s\"; ", kind->name, w->word);
}

static void add_required(struct text *t, const struct key_group *g, const struct key *except)
{
	for (uint32_t i = 0; i < g->count; i++) {
		if ((g->keys[i].flags & KEY_REQUIRED) && &g->keys[i] != except && !is(&g->keys[i], g->kind))
			add_valid(t, &g->keys[i]);
	}
	if (g->kind != NULL && !is(except, g->kind))
		add_kind(t, g, except);
	if (strcmp(g->name, "filter") == 0 && !is_either(g, except))
		add(t, "cluster = \"c\"; ");
	if (is(except, "tproxy_mark") || is(except, "tproxy_route_table"))
		add(t, "mode = \"tproxy\"; ");
}

/* A list of groups, or one that takes them. */
static bool holds_groups(const struct key *k)
{
	return k->type == KEY_GROUPS || k->type == KEY_ENDPOINTS;
}

static bool begins(const struct place *p, const char *name)
{
	return strcmp(p->depth > 0 ? p->way[0]->name : p->key->name, name) == 0;
}

/* Everything that must be there on line 1, the key under test on line 2. */
static char *file_with(const struct place *p, const char *name, const char *value)
{
	struct text t = { 0 };

	if (!begins(p, "clusters"))
		add(&t, "clusters = ( { name = \"c\"; } ); ");
	if (!begins(p, "intercept"))
		add(&t, "intercept = { }; ");
	for (int i = 0; i < p->depth; i++) {
		add_required(&t, p->groups[i], p->way[i]);
		add(&t, "%s = %s", p->way[i]->name, holds_groups(p->way[i]) ? "( { " : "{ ");
	}
	add_required(&t, p->groups[p->depth], p->key);
	add(&t, "\n%s = %s;\n", name, value);
	for (int i = p->depth; i-- > 0;) {
		if (is(p->way[i], "weighted_clusters"))
			add(&t, "}, { name = \"c\"; weight = 1; ");		/* not all may weigh nothing */
		add(&t, holds_groups(p->way[i]) ? "} ); " : "}; ");
	}
	return t.bytes;
}

static char *path_of(const struct place *p, const char *name)
{
	struct text t = { 0 };

	for (int i = 0; i < p->depth; i++)
		add(&t, "%s%s.", p->way[i]->name, holds_groups(p->way[i]) ? "[0]" : "");
	add(&t, "%s", name);
	return t.bytes;
}

/* member: of a list, -1: the key itself. */
static void vexpect(const struct place *p, const char *name, int member, const char *value, const char *fmt, va_list ap)
{
	char *file = file_with(p, name, value), *path = path_of(p, name), *report = try_wrong(file), *reason, *all, index[16] = "";

	if (member >= 0)
		snprintf(index, sizeof(index), "[%d]", member);
	cr_assert_geq(vasprintf(&reason, fmt, ap), 0);
	cr_assert_geq(asprintf(&all, "m.conf:2: %s%s: %s\n", path, index, reason), 0);
	cr_assert_str_eq(report, all, "%s\n got: %s want: %s", file, report, all);
	free(file);
	free(path);
	free(report);
	free(reason);
	free(all);
}

static void expect(const struct place *p, const char *name, const char *value, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void expect(const struct place *p, const char *name, const char *value, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vexpect(p, name, -1, value, fmt, ap);
	va_end(ap);
}

static void expect_member(const struct place *p, int member, const char *value, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void expect_member(const struct place *p, int member, const char *value, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vexpect(p, p->key->name, member, value, fmt, ap);
	va_end(ap);
}

static void expect_good(const struct place *p, const char *value)
{
	char *file = file_with(p, p->key->name, value);
	struct tried t = try_good(file);

	tried_free(&t);
	free(file);
}

static void walk(const struct key_group *g, struct place *p, void (*each)(const struct place *))
{
	p->groups[p->depth] = g;
	for (uint32_t i = 0; i < g->count; i++) {
		p->key = &g->keys[i];
		each(p);
		if (g->keys[i].group != NULL) {
			p->way[p->depth++] = &g->keys[i];
			walk(g->keys[i].group, p, each);
			p->depth--;
		}
	}
}

static void every_key(void (*each)(const struct place *))
{
	struct place p = { 0 };

	walk(&keys_top, &p, each);
}

static void wrong_type(const struct place *p)
{
	bool members = key_is_list(p->key->type) || p->key->type == KEY_GROUP || p->key->type == KEY_WORDS;

	if (p->key->type == KEY_LATER)
		expect(p, p->key->name, "1", "not supported yet");
	else if (p->key->type == KEY_ELSEWHERE)
		expect(p, p->key->name, "1", "is called %s here", p->key->about);
	else
		expect(p, p->key->name, members ? "1" : "1.5", "must be %s", key_type_words(p->key));
	if (key_is_list(p->key->type) && !(p->key->flags & KEY_EVERY) && p->key->type != KEY_IPS)
		expect(p, p->key->name, "\"*\"", "must be %s", key_type_words(p->key));
}

Test(keys, a_wrong_type_is_refused)
{
	every_key(wrong_type);
}

static void misspelt(const struct place *p)
{
	char name[64];

	if (p->key->type >= KEY_LATER)
		return;
	snprintf(name, sizeof(name), "%c%s", p->key->name[0], p->key->name + 2);
	if ((p->key->flags & KEY_REQUIRED) || is_either(p->groups[p->depth], p->key))
		return;				/* is missing, too: below */
	expect(p, name, "1", "unknown key (did you mean \"%s\"?)", p->key->name);
}

Test(keys, a_misspelt_key_is_named)
{
	every_key(misspelt);
}

static void missing(const struct place *p)
{
	bool either = is_either(p->groups[p->depth], p->key);
	char *file, *path, *report, *want;

	if (!(p->key->flags & KEY_REQUIRED) && !either)
		return;
	file = file_with(p, "zzzz", "1");
	path = path_of(p, either ? "cluster" : p->key->name);
	cr_assert_geq(asprintf(&want, "m.conf:1: %s: is missing%s\n", path, either ? ", and so is weighted_clusters" : ""), 0);
	report = try_wrong(file);
	cr_assert_not_null(strstr(report, want), "%s\n got: %s want: %s", file, report, want);
	free(file);
	free(path);
	free(report);
	free(want);
}

Test(keys, a_missing_key_is_named)
{
	every_key(missing);
}

/* A row's limit moved by one of its smallest unit, as one writes it. */
static void beyond(const struct key *k, const char *written, int by, char *value, size_t size)
{
	char unit[8] = "";
	unsigned long long n = 0, factor;

	sscanf(written, "%llu%7s", &n, unit);
	factor = strcmp(unit, "s") == 0 ? 1000 : strcmp(unit, "min") == 0 ? 60000 : strcmp(unit, "h") == 0 ? 3600000 :
	    strcmp(unit, "k") == 0 ? 1024 : strcmp(unit, "m") == 0 ? 1048576 : 1;
	n = n * factor / (k->type == KEY_SECONDS ? 1000 : 1) + (unsigned long long)(long long)by;
	if (k->type == KEY_MILLISECONDS)
		snprintf(value, size, "\"%llums\"", n);
	else if (k->type == KEY_SECONDS)
		snprintf(value, size, "\"%llus\"", n);
	else
		snprintf(value, size, "%lld", (long long)n);
}

static bool is_number(enum key_type type)
{
	return type == KEY_INTEGER || type == KEY_PORT || type == KEY_MILLISECONDS || type == KEY_SECONDS || type == KEY_SIZE;
}

static void out_of_range(const struct place *p)
{
	const struct key *k = p->key;
	char value[64], bare[64];

	if (!is_number(k->type))
		return;
	for (int by = -1; by <= 1; by += 2) {
		beyond(k, by < 0 ? k->min : k->max, by, value, sizeof(value));
		if (value[0] == '"' && by < 0 && atoi(k->min) == 0)
			continue;		/* no time is below nought */
		snprintf(bare, sizeof(bare), "%s", value + (value[0] == '"'));
		bare[strcspn(bare, "\"")] = '\0';
		expect(p, k->name, value, "%s is out of range (%s to %s)", bare, k->min, k->max);
		beyond(k, by < 0 ? k->min : k->max, 0, value, sizeof(value));
		expect_good(p, value);
	}
}

Test(keys, numbers_out_of_range_are_refused_and_limits_are_not)
{
	every_key(out_of_range);
}

static void no_number_wraps(const struct place *p)
{
	static const char *const numbers[] = { "4294967296", "4294967297", "18446744073709551615", "9223372036854775807",
		"-1", "-4294967295", "65536000000" };
	const struct key *k = p->key;
	char value[64];

	for (size_t i = 0; is_number(k->type) && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		bool integer = k->type == KEY_INTEGER || k->type == KEY_PORT || k->type == KEY_SIZE;
		char *file, *report;

		snprintf(value, sizeof(value), integer ? "%s" : "\"%sh\"", numbers[i]);
		file = file_with(p, k->name, value);
		report = try_wrong(file);
		cr_assert(strncmp(report, "m.conf:2: ", 10) == 0, "%s: %s", file, report);
		free(file);
		free(report);
	}
}

Test(keys, no_number_wraps)
{
	every_key(no_number_wraps);
}

static void time_without_unit(const struct place *p)
{
	if (p->key->type == KEY_MILLISECONDS || p->key->type == KEY_SECONDS)
		expect(p, p->key->name, "5", "needs a unit: must be %s", key_type_words(p->key));
	if (p->key->type == KEY_SECONDS)
		expect(p, p->key->name, "\"1500ms\"", "\"1500ms\" must be whole seconds");
}

Test(keys, a_time_needs_a_unit)
{
	every_key(time_without_unit);
}

static void wrong_text(const struct place *p)
{
	static const char *const not_utf8[] = { "\"/\x80\"", "\"/\xc3\"", "\"/\xc0\xaf\"", "\"/\xe0\x80\xaf\"", "\"/\xed\xa0\x80\"",
		"\"/\xf4\x90\x80\x80\"", "\"/\xf0\x9f\x98\"", "\"/\xff\"" };
	const struct key *k = p->key;
	size_t max;
	char *value;

	if (k->type != KEY_TEXT && k->type != KEY_PATH && k->type != KEY_ACCOUNT)
		return;
	if (atoi(k->min) > 0)
		expect(p, k->name, "\"\"", "must not be empty");
	max = (size_t)atoi(k->max);
	value = malloc(max + 4);
	memset(value, 'x', max + 4);
	value[0] = value[max + 2] = '"';
	value[max + 3] = '\0';
	expect(p, k->name, value, "%zu bytes long, at most %s can be", max + 1, k->max);
	free(value);
	expect(p, k->name, "\"/a\\nb\"", "must not have control characters");
	for (size_t i = 0; i < sizeof(not_utf8) / sizeof(not_utf8[0]); i++)
		expect(p, k->name, not_utf8[i], "must be UTF-8");
	if (k->type == KEY_PATH)
		expect(p, k->name, "\"run/x\"", "\"run/x\" must be an absolute path");
	if (k->type == KEY_ACCOUNT)
		expect(p, k->name, "\"-u 0\"", "\"-u 0\" is not a name of a user or group");
}

Test(keys, texts_have_limits)
{
	every_key(wrong_text);
}

static void wrong_word(const struct place *p)
{
	bool list = p->key->type == KEY_WORDS;
	char value[64], *file, *report;

	if (p->key->type != KEY_WORD && !list)
		return;
	for (const struct key_word *w = p->key->words; w->word != NULL; w++) {
		snprintf(value, sizeof(value), list ? "[ \"%s\" ]" : "\"%s\"", w->word);
		if (w->later)
			expect_member(p, list ? 0 : -1, value, "\"%s\" is not supported yet", w->word);
		else if (list)
			expect_good(p, value);
	}
	if (list) {
		snprintf(value, sizeof(value), "[ \"%s\", \"%s\" ]", p->key->words[0].word, p->key->words[0].word);
		expect_member(p, 1, value, "\"%s\" is in this list twice", p->key->words[0].word);
	}
	file = file_with(p, p->key->name, list ? "[ \"zzz\" ]" : "\"zzz\"");
	report = try_wrong(file);
	cr_assert_not_null(strstr(report, ": \"zzz\" is not one of \""), "%s", report);
	free(file);
	free(report);
}

Test(keys, words_are_known_or_refused_by_name)
{
	every_key(wrong_word);
}

static void wrong_count(const struct place *p)
{
	const struct key *k = p->key;
	struct text t = { 0 };
	int max;

	if ((!key_is_list(k->type) && k->type != KEY_WORDS) || (max = atoi(k->max)) > 10000)
		return;
	if (atoi(k->min) > 0)
		expect(p, k->name, "( )", "must not be empty");
	add(&t, "( 1");
	for (int i = 0; i < max; i++)
		add(&t, ", 1");
	add(&t, " )");
	expect(p, k->name, t.bytes, "has %d members, at most %d can be", max + 1, max);
	free(t.bytes);
}

Test(keys, lists_have_limits)
{
	every_key(wrong_count);
}

#define NOT_OWNER(word) "\"" word "\" is not a name of a user or group, a number, or \"first-last\" of numbers"
#define NOT_INTERFACE(word) "\"" word "\" is not a name of an interface"

static void wrong_member(const struct place *p)
{
	static const struct { enum key_type type; const char *value, *reason; } cases[] = {
		{ KEY_ENDPOINTS, "192.0.2.1", "\"192.0.2.1\" is not \"address:port\" (IPv6: \"[address]:port\")" },
		{ KEY_ENDPOINTS, "2001:db8::1:80", "\"2001:db8::1:80\" is not \"address:port\" (IPv6: \"[address]:port\")" },
		{ KEY_ENDPOINTS, "192.0.2.1:0", "\"192.0.2.1:0\" is not \"address:port\" (IPv6: \"[address]:port\")" },
		{ KEY_ENDPOINTS, "192.0.2.1:65536", "\"192.0.2.1:65536\" is not \"address:port\" (IPv6: \"[address]:port\")" },
		{ KEY_ENDPOINTS, "0.0.0.0:80", "\"0.0.0.0:80\" is no address to connect to" },
		{ KEY_IPS, "localhost", "\"localhost\" is not an IP address" },
		{ KEY_IPS, "192.0.2.256", "\"192.0.2.256\" is not an IP address" },
		{ KEY_PREFIXES, "192.0.2.1/24", "\"192.0.2.1/24\" has bits set past its length" },
		{ KEY_PREFIXES, "192.0.2.0/33", "\"192.0.2.0/33\" is not \"address/length\"" },
		{ KEY_PREFIXES, "2001:db8::/129", "\"2001:db8::/129\" is not \"address/length\"" },
		{ KEY_PORTS, "80-79", "\"80-79\" is not \"first-last\" within 1 to 65535" },
		{ KEY_PORTS, "0-1", "\"0-1\" is not \"first-last\" within 1 to 65535" },
		{ KEY_PORTS, "1-65536", "\"1-65536\" is not \"first-last\" within 1 to 65535" },
		{ KEY_PORTS, "80", "\"80\" is not \"first-last\" within 1 to 65535" },
		{ KEY_PORTS, "80-", "\"80-\" is not \"first-last\" within 1 to 65535" },
		{ KEY_PORTS, "80-81 ", "\"80-81 \" is not \"first-last\" within 1 to 65535" },
		{ KEY_PORTS, "4294967376-4294967377", "\"4294967376-4294967377\" is not \"first-last\" within 1 to 65535" },
		{ KEY_OWNERS, "", NOT_OWNER("") }, { KEY_OWNERS, "a b", NOT_OWNER("a b") }, { KEY_OWNERS, "-1", NOT_OWNER("-1") },
		{ KEY_OWNERS, "5-4", NOT_OWNER("5-4") }, { KEY_OWNERS, "5-", NOT_OWNER("5-") }, { KEY_OWNERS, "1-2-3", NOT_OWNER("1-2-3") },
		{ KEY_OWNERS, "0-4294967295", NOT_OWNER("0-4294967295") }, { KEY_OWNERS, "4294967295", NOT_OWNER("4294967295") },
		{ KEY_OWNERS, "18446744073709551617", NOT_OWNER("18446744073709551617") }, { KEY_OWNERS, "a\\nb", NOT_OWNER("a?b") },
		{ KEY_OWNERS, "abcdefghijabcdefghijabcdefghijabc", NOT_OWNER("abcdefghijabcdefghijabcdefghijabc") },
		{ KEY_OWNERS, "\xc3\xa9", NOT_OWNER("\xc3\xa9") },
		{ KEY_INTERFACES, "", NOT_INTERFACE("") }, { KEY_INTERFACES, "eth 0", NOT_INTERFACE("eth 0") },
		{ KEY_INTERFACES, "a/b", NOT_INTERFACE("a/b") }, { KEY_INTERFACES, "+", NOT_INTERFACE("+") },
		{ KEY_INTERFACES, "..", NOT_INTERFACE("..") }, { KEY_INTERFACES, "-j", NOT_INTERFACE("-j") },
		{ KEY_INTERFACES, "!eth0", NOT_INTERFACE("!eth0") }, { KEY_INTERFACES, "eth0:1", NOT_INTERFACE("eth0:1") },
		{ KEY_INTERFACES, "a\\nb", NOT_INTERFACE("a?b") }, { KEY_INTERFACES, "a\\tb", NOT_INTERFACE("a?b") },
		{ KEY_INTERFACES, "sixteen-bytes-be", NOT_INTERFACE("sixteen-bytes-be") }, { KEY_INTERFACES, "*", NOT_INTERFACE("*") },
	};
	char value[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].type != p->key->type)
			continue;
		snprintf(value, sizeof(value), "[ \"%s\" ]", cases[i].value);
		expect_member(p, 0, value, "%s", cases[i].reason);
	}
}

Test(keys, members_of_lists_are_read_strictly)
{
	every_key(wrong_member);
}

/* "*" is in place of a list, and no member of one. */
static void every_or_a_list(const struct place *p)
{
	if (!(p->key->flags & KEY_EVERY))
		return;
	expect_good(p, "\"*\"");
	expect_good(p, "[ ]");
	expect_member(p, 0, "[ \"*\" ]", "\"*\" stands alone, in place of the list");
	expect(p, p->key->name, "\"all\"", "must be %s", key_type_words(p->key));
	expect(p, p->key->name, "1", "must be %s", key_type_words(p->key));
}

Test(keys, every_one_or_a_list_of_them)
{
	every_key(every_or_a_list);
}

static void port_or_range(const struct place *p)
{
	static const struct { const char *value, *reason; } cases[] = {
		{ "\"1-65\"", "\"1-65\" are 65 ports, at most 64 can be" },
		{ "\"1-65535\"", "\"1-65535\" are 65535 ports, at most 64 can be" },
		{ "\"9-8\"", "\"9-8\" is not \"first-last\" within 1 to 65535" },
		{ "\"0-8\"", "\"0-8\" is not \"first-last\" within 1 to 65535" },
		{ "\"65500-65536\"", "\"65500-65536\" is not \"first-last\" within 1 to 65535" },
		{ "\"80\"", "\"80\" is not \"first-last\" within 1 to 65535" },
		{ "\"*\"", "\"*\" is not \"first-last\" within 1 to 65535" },
	};

	if (p->key->type != KEY_PORT)
		return;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(p, p->key->name, cases[i].value, "%s", cases[i].reason);
	expect_good(p, "\"7-7\"");
	if (is(p->key, "port"))				/* of a listener, which is not virtual here */
		expect(p, p->key->name, "\"65472-65535\"", "a range of ports is of a listener with use_original_dst only");
	else
		expect_good(p, "\"65472-65535\"");
}

Test(keys, a_port_or_a_range)
{
	every_key(port_or_range);
}

static void good_members(const struct place *p)
{
	if (p->key->type == KEY_OWNERS)
		expect_good(p, "( \"www-data\", \"_a.b-c\", 0, 4294967294, \"7\", \"1000-1999\", \"abcdefghijabcdefghijabcdefghijab\" )");
	if (p->key->type == KEY_INTERFACES)
		expect_good(p, "[ \"eth0.100\", \"veth+\", \"br-0a_b\", \"fifteen-bytes-b\", \"lo\" ]");
	if (p->key->type == KEY_OWNERS) {
		expect_member(p, 0, "( 4294967295 )", "4294967295 is out of range (0 to 4294967294)");
		expect_member(p, 0, "( -1 )", "-1 is out of range (0 to 4294967294)");
		expect_member(p, 0, "( 1.5 )", "must be a name, a number, or \"first-last\"");
		expect_member(p, 0, "( { } )", "must be a name, a number, or \"first-last\"");
	}
	if (p->key->type == KEY_INTERFACES)
		expect_member(p, 0, "( 1 )", "must be a name of an interface in a string");
}

Test(keys, owners_and_interfaces)
{
	every_key(good_members);
}

static void about(const struct place *p)
{
	cr_assert_not_null(p->key->about, "%s", p->key->name);
}

Test(keys, each_row_has_words)
{
	every_key(about);
}

static const char *value_of(const struct key *k)
{
	switch (k->type) {
	case KEY_TEXT: case KEY_PATH: return "\"/x\"";
	case KEY_BOOL: return "true";
	case KEY_MILLISECONDS: return "\"1s\"";
	case KEY_WORDS: return "[ ]";
	case KEY_SIZE: return "4096";
	case KEY_INTEGER: return k->max;
	default: cr_assert_fail("%s: a type that no kind had alone", k->name);
	}
	return NULL;
}

/* Where an object is of a kind that has not this key. */
static void of_another_kind(const struct place *p)
{
	const struct key_group *g = p->groups[p->depth];
	const struct key *kind = g->kind != NULL ? key_find(g, g->kind) : NULL;
	struct place other = *p;
	struct key any = *p->key;
	char reason[128];

	if (p->key->kinds == 0)
		return;
	for (const struct key_word *w = kind->words; w->word != NULL; w++) {
		char *file, *report;

		if (w->later || p->key->kinds & UINT64_C(1) << w->value)
			continue;
		any.kinds = UINT64_C(1) << w->value;
		other.key = &any;
		file = file_with(&other, p->key->name, value_of(p->key));
		report = try_wrong(file);
		snprintf(reason, sizeof(reason), ": is no key where %s = ", kind->name);
		cr_assert_not_null(strstr(report, reason), "%s\n got: %s", file, report);
		free(file);
		free(report);
	}
}

Test(keys, a_key_of_another_kind_is_refused)
{
	every_key(of_another_kind);
}

static char *manual;

static void in_manual(const struct place *p)
{
	char line[128];

	if (p->key->type >= KEY_LATER)
		return;
	snprintf(line, sizeof(line), ".It Ic %s", p->key->name);
	cr_assert_not_null(strstr(manual, line), "man/meshd.conf.5 does not explain %s", p->key->name);
}

Test(keys, the_manual_has_each)
{
	manual = try_read("man/meshd.conf.5");
	every_key(in_manual);
	free(manual);
}
