/*
 * A configuration that workers die of: ten deaths within ten seconds publish the one before it again, ten more stop
 * meshd.  A load that is taken begins the count anew.  SIGKILL is somebody else's doing (a hand, or want of memory): it
 * may send the generation back, but nobody is served better by a meshd that stops for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DEATHS_MOST 10
#define DEATHS_MS   10000

struct master;

struct deaths {
	uint64_t at_ms[DEATHS_MOST];	/* a ring */
	unsigned n;
};

/* True: it is the tenth within ten seconds; counting begins anew. */
bool deaths_add(struct deaths *, uint64_t now_ms);

/* A worker has died that the master had not asked to; killed: by SIGKILL. */
void rollback_count(struct master *, bool killed);
/* A load was taken. */
void rollback_forget(struct master *);
