/*
 * Interception rules as text, each with its reason: what is wanted (rules.h) becomes rows, in the very form in which
 * iptables-save prints them.  The order is Istio's.  Own chains (MESHD_*) with one jump each from built-in ones.
 */
#pragma once

#include "master/rules.h"

#define RULESET_TEXT 4096		/* of a rule: 64 owners fit */

struct ruleset_row {
	const char *table;		/* "nat", "mangle" */
	char *chain;			/* whose rule it is: one of ours, or of a jump a built-in one */
	char *text;			/* what stands after "-A CHAIN "; NULL: the chain is there, with or without rules */
	const char *reason;
};

struct ruleset {
	struct ruleset_row *rows;
	uint32_t count, room;
	bool failed;			/* while it is made: no memory */
};

/* family: AF_INET or AF_INET6.  NULL: no memory. */
struct ruleset *ruleset_make(const struct rules *, int family);
void ruleset_free(struct ruleset *);

/* Chains of that name are ours. */
bool ruleset_owns(const char *chain);
static inline bool ruleset_is_jump(const struct ruleset_row *r)
{
	return r->text != NULL && !ruleset_owns(r->chain);
}
