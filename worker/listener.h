/* A listening socket of this worker, bound here (virtual ones) or handed over by the master, which keeps a duplicate:
 * what is queued outlives this worker.  When no image names it any more, or the worker drains, what is queued is taken
 * and then it is closed here too. */
#pragma once

#include "common/addr.h"
#include "common/err.h"
#include "worker/loop.h"

struct generation;
struct image;
struct worker;

struct listener {
	struct listener *next;
	struct addr addr;
	int fd;
	uint32_t index;			/* of the listener in the image in use; IMAGE_NONE: not adopted yet */
	struct sockaddr_storage peer;	/* of the accept in flight */
	socklen_t peer_len;
	bool armed, leaving;		/* an accept is in flight; closed when that has come back */
	struct generation *held;	/* while leaving: that accept may bring one more, and this says where to */
};

/* Takes a listening socket (inherited, or WIRE_LISTEN). */
int listener_add(struct worker *, int fd, struct err *e);
/* Binds the virtual listeners that nobody handed over; tells the master of each. */
int listeners_bind(struct worker *, struct err *e);
/* Before adoption, while the old image still tells where connections go: takes what is queued on each that the next
 * image does not name, and lets go of it. */
void listeners_leave(struct worker *, const struct image *next);
/* After adoption: finds each in the new image, begins to accept. */
void listeners_adopt(struct worker *);
void listener_accepted(struct worker *, struct listener *, int res);
void listener_ready(struct worker *, struct listener *);
/* At the end of a turn: goes on where nothing could be accepted for a while. */
void listeners_rested(struct worker *);
/* Takes what is queued, then accepts no more. */
void listeners_stop(struct worker *);
