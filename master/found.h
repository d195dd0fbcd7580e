/*
 * What the tables of a host hold, as iptables-save says: rules of ours, whole or not, and of others that catch what we
 * would.  Pure functions of its text.
 */
#pragma once

#include "common/err.h"
#include "master/ruleset.h"

#include <stdbool.h>
#include <stdint.h>

struct found {
	bool ours;			/* chains or jumps */
	bool captures;			/* a jump of ours is there */
	bool tproxy;			/* ours has table mangle's chains for TPROXY */
	uint32_t mark;			/* that they set; 0: none */
	uint64_t digest;		/* of ours */
	char half[200];			/* what is missing of ours; "": nothing is */
	char foreign[400];		/* somebody else's that catches connections too; "": none */
};

void found_look(const char *saved, struct found *);

/* Of what is wanted: found_look() has the same when just that is in. */
uint64_t found_digest(const struct ruleset *);

/*
 * A rule of table nat, whosever, that would lead a worker's own connections to a port of ours, where they would loop.
 * True: there is one, text_r has it and chain_r where it stands.
 */
bool found_loop(const char *saved, const struct rules *, char *text_r, unsigned size, char *chain_r, unsigned chain_size);
