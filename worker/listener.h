/* A listening socket of this worker, bound here (virtual ones) or handed over by the master.  Never closed while it is
 * named by the image: only the master's close resets what is queued. */
#pragma once

#include "common/addr.h"
#include "common/err.h"
#include "worker/loop.h"

struct worker;

struct listener {
	struct listener *next;
	struct addr addr;
	int fd;
	uint32_t index;			/* of the listener in the image in use */
	bool armed, gone;		/* an accept is in flight; the image names it no more */
};

/* Takes a listening socket (inherited, or WIRE_LISTEN). */
int listener_add(struct worker *, int fd, struct err *e);
/* Binds the virtual listeners that nobody handed over; tells the master of each. */
int listeners_bind(struct worker *, struct err *e);
/* After adoption: finds each in the new image, begins to accept, lets go of what is no longer named. */
void listeners_adopt(struct worker *);
void listener_accepted(struct worker *, struct listener *, int res);
void listener_ready(struct worker *, struct listener *);
/* Serves what is queued, then accepts no more. */
void listeners_stop(struct worker *);
