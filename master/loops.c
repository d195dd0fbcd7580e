/*
 * Would a worker's own connection come back to us?  It is led through table nat's OUTPUT as the kernel would, as far as its
 * rules can be told to be about every such connection, or about none: see found_loop() in found.h.
 */
#include "master/found.h"
#include "master/saved.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 32			/* of chains that jump to chains; the kernel allows no circle */

enum way {
	WAY_ON,				/* what comes after is asked */
	WAY_OVER,			/* accepted, or led elsewhere: nothing asks any more */
	WAY_LOOP,
};

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

struct search {
	const char *saved;
	const struct rules *r;
	struct saved loop;		/* where it ends */
};

struct rule {
	enum match match;
	bool meant;			/* for the worker, by its very number */
	bool ours;			/* leads to a port of ours */
};

static bool in_range(const char *text, uint32_t id)
{
	char *end;
	unsigned long first = strtoul(text, &end, 10), last = *end == '-' ? strtoul(end + 1, NULL, 10) : first;

	return id >= first && id <= last;
}

static bool is_our_port(const struct rules *r, unsigned long first, unsigned long last)
{
	return (first <= r->outbound_last && last >= r->outbound_port) || (first <= r->inbound_port && last >= r->inbound_port);
}

/* "15001", "15001-15016"; of DNAT "127.0.0.1:15001". */
static bool leads_to_us(const struct rules *r, const char *option, const char *value)
{
	unsigned long first, last;
	char *end;

	if (strcmp(option, "--to-destination") == 0) {
		const char *colon = strrchr(value, ':');

		if (colon == NULL || (*value != '[' && strchr(value, ':') != colon))
			return false;
		value = colon + 1;
	} else if (strcmp(option, "--to-ports") != 0) {
		return false;
	}
	first = strtoul(value, &end, 10);
	last = *end == '-' ? strtoul(end + 1, NULL, 10) : first;
	return is_our_port(r, first, last);
}

static void narrow(struct rule *to, enum match m)
{
	if (m < to->match)
		to->match = m;
}

/* An option of a match, with its value. */
static void read_option(struct rule *to, const struct rules *r, const char *option, const char *value, bool not)
{
	bool uid = strcmp(option, "--uid-owner") == 0;

	if (uid || strcmp(option, "--gid-owner") == 0) {
		bool same = in_range(value, uid ? r->worker_uid : r->worker_gid);

		narrow(to, same != not ? MATCH_YES : MATCH_NO);
		to->meant |= same && !not;
	} else if (strcmp(option, "-p") == 0) {
		bool tcp = strcmp(value, "tcp") == 0 || strcmp(value, "all") == 0;

		narrow(to, tcp != not ? MATCH_YES : MATCH_NO);
	} else if (strcmp(option, "-m") != 0 && strcmp(option, "--comment") != 0) {
		narrow(to, MATCH_MAYBE);
	}
}

static struct rule read_rule(const struct saved *s, const struct rules *r)
{
	const char *at = s->rule, *end = s->rule + s->length;
	char word[SAVED_NAME], value[SAVED_NAME];
	struct rule to = { .match = MATCH_YES };
	bool not = false, target = false;

	while (saved_word(&at, end, word, sizeof(word))) {
		const char *next = at;

		if (strcmp(word, "!") == 0) {
			not = true;
			continue;
		}
		if (word[0] != '-')
			continue;
		if (!saved_word(&next, end, value, sizeof(value)))
			value[0] = '\0';
		if (strcmp(word, "-j") == 0 || strcmp(word, "-g") == 0)
			target = true;
		else if (target)
			to.ours |= leads_to_us(r, word, value);
		else
			read_option(&to, r, word, value, not);
		not = false;
	}
	return to;
}

static enum way walk(struct search *q, const char *chain, int depth);

static bool is_one_of(const char *target, const char *const *words)
{
	while (*words != NULL && strcmp(target, *words) != 0)
		words++;
	return *words != NULL;
}

static enum way follow(struct search *q, const struct saved *s, const struct rule *rule, bool *left, int depth)
{
	static const char *const ends[] = { "ACCEPT", "DROP", "REDIRECT", "DNAT", NULL }, *const goes_on[] = { "", "LOG", "MARK", "CONNMARK", NULL };
	enum way way;

	if (rule->ours && !rule->meant) {
		q->loop = *s;
		return WAY_LOOP;
	}
	if (is_one_of(s->target, goes_on))
		return WAY_ON;
	if (strcmp(s->target, "RETURN") == 0) {
		*left = rule->match == MATCH_YES;
		return WAY_ON;
	}
	if (is_one_of(s->target, ends))
		return rule->match == MATCH_YES ? WAY_OVER : WAY_ON;
	way = depth < DEPTH ? walk(q, s->target, depth + 1) : WAY_ON;
	if (way == WAY_LOOP)
		return way;
	*left = rule->match == MATCH_YES && (way == WAY_OVER || s->goes);
	return rule->match == MATCH_YES ? way : WAY_ON;
}

static enum way walk(struct search *q, const char *chain, int depth)
{
	struct saved s = saved_begin(q->saved);
	bool left = false;

	while (!left && saved_next(&s)) {
		struct rule rule;
		enum way way;

		if (!s.is_rule || strcmp(s.table, "nat") != 0 || strcmp(s.chain, chain) != 0)
			continue;
		rule = read_rule(&s, q->r);
		if (rule.match == MATCH_NO)
			continue;
		if ((way = follow(q, &s, &rule, &left, depth)) != WAY_ON)
			return way;
	}
	return WAY_ON;
}

bool found_loop(const char *saved, const struct rules *r, char *text, unsigned size, char *chain, unsigned chain_size)
{
	struct search q = { .saved = saved, .r = r };

	if (walk(&q, "OUTPUT", 0) != WAY_LOOP)
		return false;
	snprintf(text, size, "-A %s %.*s", q.loop.chain, q.loop.length, q.loop.rule);
	snprintf(chain, chain_size, "%s", q.loop.chain);
	return true;
}
