/*
 * RUNDIR/intercept: what interception has put into this host, written before it is done and again after, so that whoever
 * comes later can take it out: lines "key value", 0600.  Nothing depends on it but thoroughness: rules are found without.
 */
#pragma once

#include "common/err.h"
#include "master/iptables.h"
#include "master/policy.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_FILE "intercept"

enum state_phase {
	STATE_NONE,		/* there is no file, or it is of another boot: nothing is in */
	STATE_APPLYING,		/* begun: some of it may be in */
	STATE_IN,
	STATE_RELEASED,		/* nothing new is caught, the rest is in for what is open */
};

struct state {
	enum state_phase phase;
	char version[32];
	uint64_t pid, generation;
	uint64_t since;			/* seconds of the epoch */
	uint64_t netns;			/* inode of the network namespace */
	uint64_t token;			/* not 0: they go out again at `until`, unless confirmed; drawn anew each time */
	uint64_t until;			/* seconds of the epoch */
	uint64_t digest[FAMILIES];	/* of our rules as they were found when they were in; 0: none */
	enum variant variant[FAMILIES];	/* VARIANTS: none */
	struct policy policy;
	struct policy stale;		/* of an earlier configuration: goes when the new one is in */
};

/* dir: RUNDIR.  Never fails: what cannot be read is not there. */
void state_read(const char *dir, struct state *);
/* 0 and the file is there whole, or -1 and the one before is. */
int state_write(const char *dir, const struct state *, struct err *e);
void state_remove(const char *dir);

/* A state of this boot, this namespace, this process, with nothing in yet. */
void state_begin(struct state *);
/* What it says is of another network namespace than ours. */
bool state_is_elsewhere(const struct state *);
