/*
 * What connections are open, as the workers tell it to the master.  The lines are the workers' words, and one of them may
 * have been taken over: nothing in them is taken as more than text and numbers.
 */
#pragma once

#include "ctl/ctl.h"

#include <stddef.h>

struct connection {
	uint64_t id, worker, age_ms, idle_ms, received, sent;
	const char *state, *client, *destination, *listener, *chain, *cluster, *endpoint;	/* in the text of the answer */
};

struct listing {
	char *text;
	struct connection *all;
	size_t n;
	bool partial;			/* lines are missing or are none: it is said */
};

/* The oldest first; listing_free() is the caller's.  -1: there is none, it is said. */
int listing_get(struct ctl *, struct listing *);
void listing_free(struct listing *);
