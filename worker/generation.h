/*
 * The generations that this worker has mapped: the one in use, and older ones that a connection still looks into while
 * it is being opened.  A tunnel that is open has copied what it needs and holds none.  All in one thread.
 */
#pragma once

#include "common/err.h"
#include "common/image.h"

#include <stdint.h>

struct worker;

struct generation {
	struct generation *next;	/* older */
	struct image image;
	uint64_t number;
	uint32_t row;			/* of the generation table in `live`; IMAGE_NONE: it has none any more */
	uint32_t holders;
};

/* Top of a turn only.  Takes the descriptor in every case.  -1: it does not map; the old one stays in use. */
int generation_adopt(struct worker *, int image_fd, uint64_t number, struct err *e);

/* One that is in use, or that somebody holds already: counted, it stays mapped until it is released. */
struct generation *generation_hold(struct generation *);
/* Unmaps with the last holder, unless it is in use.  *held becomes NULL; NULL is fine. */
void generation_release(struct worker *, struct generation **held);
