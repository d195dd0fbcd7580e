/*
 * Pipes for splice(2): lent to a direction while it holds bytes, pooled while they are empty.  A pipe of 1 MiB takes a
 * quarter of the CPU less than one of 256 KiB (fewer acknowledgements); a smaller one costs more than copying, so it is a
 * pipe of full size or none: see pipe(7), pipe-user-pages-soft.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker;

#define PIPE_BYTES	 (1024u << 10)
#define PIPES_POOLED	 16
#define PIPES_DENIED_MS	 1000		/* not asked for again so soon after the kernel gave none */

struct pipes {
	int pooled[PIPES_POOLED][2];
	unsigned n;
	uint64_t denied_ms;		/* when the kernel last gave none; 0: never */
};

/* False: there is none now; the hot buffer does as well. */
bool pipe_borrow(struct worker *, int fds[2]);
/* fds become -1.  One that still holds bytes is closed: they must not come out elsewhere. */
void pipe_give_back(struct worker *, int fds[2], bool empty);
