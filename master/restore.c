/* Documents for iptables-restore: see restore.h. */
#include "master/restore.h"

#include "master/saved.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tables[] = { "mangle", "nat", "raw" };
#define NTABLES (sizeof(tables) / sizeof(tables[0]))

static const struct ruleset nothing;

/* ---- questions to what is there ---- */

static bool is_ours(const struct saved *s)
{
	return ruleset_owns(s->chain) || (s->is_rule && ruleset_owns(s->target));
}

static bool is_jump(const struct saved *s)
{
	return s->is_rule && !ruleset_owns(s->chain) && ruleset_owns(s->target);
}

static bool same_rule(const struct saved *s, const struct ruleset_row *r)
{
	return r->text != NULL && strcmp(s->table, r->table) == 0 && strcmp(s->chain, r->chain) == 0 &&
	    (int)strlen(r->text) == s->length && memcmp(s->rule, r->text, (size_t)s->length) == 0;
}

static bool table_has_ours(const char *saved, const char *table)
{
	struct saved s = saved_begin(saved);

	while (saved_next(&s)) {
		if (strcmp(s.table, table) == 0 && is_ours(&s))
			return true;
	}
	return false;
}

static unsigned count_rule(const char *saved, const struct ruleset_row *r)
{
	struct saved s = saved_begin(saved);
	unsigned n = 0;

	while (saved_next(&s))
		n += s.is_rule && same_rule(&s, r);
	return n;
}

/* ---- questions to what is wanted ---- */

static bool wants_table(const struct ruleset *set, const char *table)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (strcmp(set->rows[i].table, table) == 0)
			return true;
	}
	return false;
}

static bool wants_chain(const struct ruleset *set, const struct saved *s)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct ruleset_row *r = &set->rows[i];

		if (r->text == NULL && strcmp(r->table, s->table) == 0 && strcmp(r->chain, s->chain) == 0)
			return true;
	}
	return false;
}

static bool wants_jump(const struct ruleset *set, const struct saved *s)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (ruleset_is_jump(&set->rows[i]) && same_rule(s, &set->rows[i]))
			return true;
	}
	return false;
}

/* ---- one table ---- */

/* Of a jump that is there more than once, the last stays. */
static void print_surplus_jumps(FILE *f, const struct ruleset *set, const char *table, const char *saved)
{
	struct saved s = saved_begin(saved);

	while (saved_next(&s)) {
		if (is_jump(&s) && strcmp(s.table, table) == 0 && !wants_jump(set, &s))
			fprintf(f, "-D %s %.*s\n", s.chain, s.length, s.rule);
	}
	for (uint32_t i = 0; i < set->count; i++) {
		const struct ruleset_row *r = &set->rows[i];

		if (!ruleset_is_jump(r) || strcmp(r->table, table) != 0)
			continue;
		for (unsigned n = count_rule(saved, r); n > 1; n--)
			fprintf(f, "-D %s %s\n", r->chain, r->text);
	}
}

static void print_wanted(FILE *f, const struct ruleset *set, const char *table, const char *saved)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct ruleset_row *r = &set->rows[i];

		if (r->text == NULL || strcmp(r->table, table) != 0)
			continue;
		if (!ruleset_is_jump(r) || count_rule(saved, r) == 0)
			fprintf(f, "-A %s %s\n", r->chain, r->text);
	}
}

/* Chains of ours that are not wanted: option F empties them, X removes them.  All are emptied before one goes, because
 * they jump to each other. */
static void print_leftovers(FILE *f, const struct ruleset *set, const char *table, const char *saved, char option)
{
	struct saved s = saved_begin(saved);

	while (saved_next(&s)) {
		if (!s.is_rule && ruleset_owns(s.chain) && strcmp(s.table, table) == 0 && !wants_chain(set, &s))
			fprintf(f, "-%c %s\n", option, s.chain);
	}
}

static void print_table(FILE *f, const struct ruleset *set, const char *table, const char *saved)
{
	if (!wants_table(set, table) && !table_has_ours(saved, table))
		return;
	fprintf(f, "*%s\n", table);
	for (uint32_t i = 0; i < set->count; i++) {
		if (set->rows[i].text == NULL && strcmp(set->rows[i].table, table) == 0)
			fprintf(f, ":%s - [0:0]\n", set->rows[i].chain);	/* makes it, or empties it */
	}
	print_surplus_jumps(f, set, table, saved);
	print_wanted(f, set, table, saved);
	print_leftovers(f, set, table, saved, 'F');
	print_leftovers(f, set, table, saved, 'X');
	fprintf(f, "COMMIT\n");
}

/* ---- documents ---- */

static char *finish(FILE *f, char **text)
{
	if (fclose(f) == 0)
		return *text;
	free(*text);
	return NULL;
}

char *restore_apply(const struct ruleset *set, const char *saved)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	for (size_t i = 0; i < NTABLES; i++)
		print_table(f, set, tables[i], saved);
	return finish(f, &text);
}

/* An empty document is none. */
static int answer(char *text, char **text_r)
{
	*text_r = NULL;
	if (text == NULL)
		return -1;
	if (*text == '\0')
		free(text);
	else
		*text_r = text;
	return 0;
}

int restore_clear(const char *saved, char **text_r)
{
	return answer(restore_apply(&nothing, saved), text_r);
}

static bool is_capture(const struct saved *s)
{
	return (is_jump(s) && strcmp(s->table, "nat") == 0) ||
	    (s->is_rule && ruleset_owns(s->chain) && strcmp(s->target, "TPROXY") == 0);
}

int restore_release(const char *saved, char **text_r)
{
	struct saved s = saved_begin(saved);
	char *text = NULL, table[SAVED_NAME] = "";
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return -1;
	while (saved_next(&s)) {
		if (!is_capture(&s))
			continue;
		if (strcmp(table, s.table) != 0)
			fprintf(f, "%s*%s\n", *table != '\0' ? "COMMIT\n" : "", s.table);
		snprintf(table, sizeof(table), "%s", s.table);
		fprintf(f, "-D %s %.*s\n", s.chain, s.length, s.rule);
	}
	if (*table != '\0')
		fprintf(f, "COMMIT\n");
	return answer(finish(f, &text), text_r);
}
