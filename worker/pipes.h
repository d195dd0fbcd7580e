/*
 * Pipes for splice(2): lent to a direction while it holds bytes, pooled while they are empty.  A pipe of 1 MiB takes a
 * quarter of the CPU less than one of 256 KiB (fewer acknowledgements); a smaller one costs more than copying, so it is a
 * pipe of full size or none: see pipe(7), pipe-user-pages-soft.
 */
#pragma once

#include "common/addr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct worker;

#define PIPE_BYTES	 (1024u << 10)
#define PIPES_POOLED	 16
#define PIPES_DENIED_MS	 1000		/* not asked for again so soon after the kernel gave none */

struct pipes {
	int pooled[PIPES_POOLED][2];
	unsigned n;
	uint64_t denied_ms;		/* when the kernel last gave none; 0: never */
};

struct piping {
	int fd[2];			/* -1: none */
	uint32_t held;			/* bytes in it */
};

/* False: there is none now; the hot buffer does as well.  One that is there already is kept. */
bool pipe_borrow(struct worker *, struct piping *);
/* One that still holds bytes is closed: they must not come out elsewhere. */
void pipe_give_back(struct worker *, struct piping *);

/* splice(2) without waiting, between sockets that are O_NONBLOCK.  Bytes moved; 0: the source has ended; -1: errno. */
ssize_t pipe_fill(struct piping *, int from, size_t most);
ssize_t pipe_drain(struct worker *, struct piping *, int to);

/* Between two sockets of this host nothing is congested, but a system-wide bbr paces them all the same, at a third of the
 * CPU of bytes in bulk. */
void spare_pacing(struct worker *, int fd, const struct addr *peer);
