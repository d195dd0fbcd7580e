/* What all iptables of this host say is there, and what is to be thought of it. */
#pragma once

#include "common/err.h"
#include "master/found.h"
#include "master/iptables.h"
#include "master/state.h"

struct scene {
	char *saved[FAMILIES][VARIANTS];	/* NULL: there is none, or it is unusable */
	struct err why[FAMILIES];		/* the first that could not be asked; "" */
	bool broken[FAMILIES];			/* one did not end by itself: nothing can be said of this family */
};

void scene_forget(struct scene *);

/* The words for where: "IPv4, iptables-nft". */
const char *scene_place(int family, enum variant, char to[48]);

/* What is there of ours is not as a meshd has put it in, nor just left so by one that stopped or died. */
bool scene_is_changed(const struct state *, int family, enum variant, const struct found *);

/* -1: half of our rules is in, or somebody else's catch connections: *e names it and the remedy.  sets[]: what is wanted
 * of each family, NULL for one that has none. */
int scene_refuse(const struct scene *, const struct state *, struct ruleset *const sets[FAMILIES], struct err *e);

/* -1: rules of others would lead the workers' own connections to us. */
int scene_refuse_loop(const struct scene *, const struct rules *, struct err *e);

/* What is to be taken away beside rules where no state file says: what goes with what is found. */
void scene_guess_policy(const struct scene *, uint32_t mark, uint32_t table, struct policy *);
