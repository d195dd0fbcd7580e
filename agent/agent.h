/*
 * What meshd-agent holds: one generation of the configuration, the counters in `live`, the log's pipes and file.
 * One thread, one poll loop (main.c); every answer over HTTP is made from this, whole, within one turn.
 */
#pragma once

#include "agent/logs.h"
#include "common/image.h"
#include "common/live.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct agent {
	int control;			/* -1: the master is gone */
	pid_t master;
	struct live live;
	struct image image;		/* the newest; mapped from the first image on */
	uint64_t generation;
	struct logs logs;
	uint64_t orphan_ns;		/* when the master was found to be gone, CLOCK_REALTIME; 0: it lives */
	bool ending;			/* at end_ms, or when the pipes are at their end: there is nothing more to wait for */
	uint64_t end_ms;
};

/* Sums over the workers of what one name of the image counts; 0 where the image names no row of `live`. */
uint64_t agent_gauge(const struct agent *, uint32_t name_index, unsigned gauge);
uint64_t agent_counter(const struct agent *, uint32_t name_index, unsigned counter);

/* Sums over the workers of what they count about themselves. */
uint64_t agent_workers_gauge(const struct agent *, unsigned gauge);
uint64_t agent_workers_counter(const struct agent *, unsigned counter);
/* Of a gauge that no sum makes sense of. */
uint64_t agent_workers_greatest(const struct agent *, unsigned gauge);

/* Sums over the listeners, or the clusters, of the generation in use. */
uint64_t agent_listeners_counter(const struct agent *, unsigned counter);
uint64_t agent_clusters_counter(const struct agent *, unsigned counter);

/* Until when the workers serve without a master, CLOCK_REALTIME; only of an agent whose master is gone. */
uint64_t agent_orphan_end_ns(const struct agent *);

/* Drops the generation in use and takes this one; the descriptor stays the caller's.  -1: the old one stays. */
int agent_adopt(struct agent *, int image_fd, uint64_t number, struct err *e);
