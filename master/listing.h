/*
 * Listing all open connections: every worker writes its own lines, and when all have, or have died, or the time is up,
 * a copy that no worker can reach goes to those who asked.  One listing at a time: requests that come while one runs
 * are answered by the next, which begins after them.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define LISTING_MS    5000
#define LISTING_BYTES (64u << 20)	/* of lines; what is longer is cut */

struct listing;
struct master;

struct listing *listing_open(struct master *, struct err *e);

/* The ticket is among those that control_listed() answers, not before the loop's next turn. */
uint64_t listing_request(struct listing *);
/* Nobody is answered. */
void listing_cancel(struct listing *);

/* What this worker has yet to be sent.  -1: nothing. */
int listing_unsent(const struct listing *, uint32_t worker, uint64_t *number_r);
void listing_mark_sent(struct listing *, uint32_t worker);
/* It says that it has written its lines; any number may come. */
void listing_answered(struct listing *, uint32_t worker, uint64_t number);
void listing_forget_worker(struct listing *, uint32_t worker);
