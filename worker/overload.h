/*
 * Overload: what a worker refuses before it runs out, and what it gives back afterwards.  A new connection is shed
 * (reset, counted, one log line a second) when
 *   - descriptors: it would leave fewer than a reserve for what is open already (pipes, retries);
 *   - memory: bytes wait in buffers for slow peers, more than OVERLOAD_BUFFER_BYTES in this worker;
 *   - lag: each of the last two turns took longer than OVERLOAD_LAG_MS, so that everybody who is served already waits too long.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker;

#define OVERLOAD_BUFFER_BYTES ((uint64_t)1 << 30)
#define OVERLOAD_LAG_MS	      1000u

struct overload {
	uint64_t turn_began_ms;
	uint64_t turn_ms, lag_ms;	/* what the last turn took; the less of the last two: a pause of the host is no overload */
	uint64_t second_ms;		/* when the worst lag of a second was last told, and memory looked after */
	uint64_t worst_lag_ms;
	uint64_t peak;			/* connections, since memory was last given back */
};

void overload_init(struct worker *);
/* Should one more connection be shed?  Counts and says why. */
bool overload_sheds(struct worker *);
/* Around a turn. */
void overload_turn_begins(struct worker *);
void overload_turn_ends(struct worker *);
/* Something is left to do within a second, though nothing else happens. */
bool overload_waits(const struct worker *);
