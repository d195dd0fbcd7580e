/* Looking through iptables-save: see found.h. */
#include "master/found.h"

#include "master/saved.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- digest: of each chain with its rules in order, added up, because chains have no order ---- */

#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static uint64_t mix(uint64_t h, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)text[i]) * FNV_PRIME;
	return (h ^ 0xff) * FNV_PRIME;		/* what comes next is another piece */
}

struct digest {
	uint64_t sum, chain;		/* of those before; of the one that is being read */
	char table[SAVED_NAME], name[SAVED_NAME];
};

static uint64_t begin_chain(const char *table, const char *chain)
{
	return mix(mix(FNV_START, table, strlen(table)), chain, strlen(chain));
}

static void end_chain(struct digest *d)
{
	if (d->name[0] != '\0')
		d->sum += d->chain;
	d->name[0] = '\0';
}

static void digest_rule(struct digest *d, const char *table, const char *chain, const char *rule, size_t n)
{
	if (!ruleset_owns(chain)) {		/* a jump, among others' rules */
		d->sum += mix(begin_chain(table, chain), rule, n);
		return;
	}
	if (strcmp(d->table, table) != 0 || strcmp(d->name, chain) != 0) {
		end_chain(d);
		snprintf(d->table, sizeof(d->table), "%s", table);
		snprintf(d->name, sizeof(d->name), "%s", chain);
		d->chain = begin_chain(table, chain);
	}
	d->chain = mix(d->chain, rule, n);
}

uint64_t found_digest(const struct ruleset *set)
{
	struct digest d = { .sum = 0 };

	for (uint32_t i = 0; i < set->count; i++) {
		const struct ruleset_row *r = &set->rows[i];

		if (r->text == NULL)
			d.sum += begin_chain(r->table, r->chain);
		else
			digest_rule(&d, r->table, r->chain, r->text, strlen(r->text));
	}
	end_chain(&d);
	return d.sum;
}

/* ---- whole or half ---- */

static bool is_declared(const char *saved, const char *table, const char *chain)
{
	struct saved s = saved_begin(saved);

	while (saved_next(&s)) {
		if (!s.is_rule && strcmp(s.table, table) == 0 && strcmp(s.chain, chain) == 0)
			return true;
	}
	return false;
}

static bool is_reached(const char *saved, const char *table, const char *chain)
{
	struct saved s = saved_begin(saved);

	while (saved_next(&s)) {
		if (s.is_rule && strcmp(s.table, table) == 0 && strcmp(s.target, chain) == 0)
			return true;
	}
	return false;
}

static void look_for_halves(const char *saved, struct found *f)
{
	struct saved s = saved_begin(saved), there = s;		/* thousands of rules jump to the same chain: it is sought once */

	while (f->half[0] == '\0' && saved_next(&s)) {
		if (!s.is_rule && ruleset_owns(s.chain) && !is_reached(saved, s.table, s.chain))
			snprintf(f->half, sizeof(f->half), "nothing jumps to chain %s of table %s", s.chain, s.table);
		if (!s.is_rule || !ruleset_owns(s.target) || (strcmp(s.target, there.target) == 0 && strcmp(s.table, there.table) == 0))
			continue;
		if (!is_declared(saved, s.table, s.target))
			snprintf(f->half, sizeof(f->half), "chain %s of table %s, to which %s jumps, is missing", s.target, s.table, s.chain);
		there = s;
	}
}

/* ---- others ---- */

static bool has_word(const struct saved *s, const char *wanted)
{
	const char *at = s->rule, *end = s->rule + s->length;
	char word[SAVED_NAME];

	while (saved_word(&at, end, word, sizeof(word))) {
		if (strcmp(word, wanted) == 0)
			return true;
	}
	return false;
}

/* The word after that one; "": there is none. */
static const char *value_of(const struct saved *s, const char *option, char to[SAVED_NAME])
{
	const char *at = s->rule, *end = s->rule + s->length;

	while (saved_word(&at, end, to, SAVED_NAME)) {
		if (strcmp(to, option) == 0 && saved_word(&at, end, to, SAVED_NAME))
			return to;
	}
	to[0] = '\0';
	return to;
}

static bool is_for_tcp(const struct saved *s)
{
	char protocol[SAVED_NAME];

	value_of(s, "-p", protocol);
	return protocol[0] == '\0' || strcmp(protocol, "tcp") == 0 || strcmp(protocol, "all") == 0;
}

/* Whoever redirects one port has something special in mind; whoever redirects all is another mesh. */
static bool is_capture(const struct saved *s)
{
	return (strcmp(s->target, "REDIRECT") == 0 || strcmp(s->target, "TPROXY") == 0) && is_for_tcp(s) &&
	    !has_word(s, "--dport") && !has_word(s, "--dports");
}

static void look_at_others(const struct saved *s, struct found *f)
{
	if (f->foreign[0] != '\0')
		return;
	if (!s->is_rule && strncmp(s->chain, "ISTIO_", 6) == 0)
		snprintf(f->foreign, sizeof(f->foreign), "chain %s of table %s", s->chain, s->table);
	else if (s->is_rule && is_capture(s))
		snprintf(f->foreign, sizeof(f->foreign), "the rule \"-t %s -A %s %.*s\"", s->table, s->chain, s->length > 256 ? 256 : s->length,
		    s->rule);
}

static void look_at_ours(const struct saved *s, struct found *f, struct digest *d)
{
	char value[SAVED_NAME];

	f->ours = true;
	if (!s->is_rule) {
		d->sum += begin_chain(s->table, s->chain);
		f->tproxy |= strcmp(s->chain, "MESHD_TPROXY") == 0;
		return;
	}
	digest_rule(d, s->table, s->chain, s->rule, (size_t)s->length);
	f->captures |= !ruleset_owns(s->chain);
	if (strcmp(s->chain, "MESHD_DIVERT") == 0 && strcmp(s->target, "MARK") == 0)
		f->mark = (uint32_t)strtoul(value_of(s, "--set-xmark", value), NULL, 16);
}

void found_look(const char *saved, struct found *f)
{
	struct saved s = saved_begin(saved);
	struct digest d = { .sum = 0 };

	*f = (struct found){ .ours = false };
	while (saved_next(&s)) {
		if (ruleset_owns(s.chain) || (s.is_rule && ruleset_owns(s.target)))
			look_at_ours(&s, f, &d);
		else
			look_at_others(&s, f);
	}
	end_chain(&d);
	f->digest = d.sum;
	if (f->ours)
		look_for_halves(saved, f);
}
