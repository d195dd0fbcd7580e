/*
 * Publishing: from the memfd that meshd-conf has filled to a generation that everybody may read.  Gives every name a
 * slot of `live`, seals, verifies, takes a row of the generation table.  The master's own tables decide; what stands
 * in `live` is for the others to read.
 */
#pragma once

#include "common/err.h"
#include "common/image.h"
#include "common/live.h"

#include <stdbool.h>
#include <stdint.h>

struct generations;

/* An image that is sealed, verified and has its slots, but no number yet. */
struct draft {
	int fd;
	struct image image;
	uint32_t *slots;		/* one reference each */
	uint32_t nslots;
};

/* What the master has sent to each worker; 0: it does not run. */
struct sent {
	uint64_t number[LIVE_WORKERS_MAX];
};

struct generations *generations_open(const struct live *, struct err *e);

/* Takes image_fd in every case.  -1/EBUSY: somebody can still write to it; -1/ENOSPC: no slots left; -1/EINVAL: it does
 * not verify, *e says where. */
int generation_fill(struct generations *, int image_fd, struct draft *draft_r, struct err *e);
void generation_drop(struct generations *, struct draft *);

/* Takes the draft when it succeeds.  -1/EBUSY: all rows are held; *e says by whom.  Sweep first. */
int generation_publish(struct generations *, struct draft *, const char *source, const struct sent *, uint64_t *number_r,
    struct err *e);

/* Gives back the rows that nobody holds any more, then the slots that no generation names and nobody uses.
 * True: something is still held that is not of the newest. */
bool generations_sweep(struct generations *, const struct sent *);

/* The newest one: NULL and -1 before the first. */
const struct image *generation_image(const struct generations *);
int generation_fd(const struct generations *);
uint64_t generation_number(const struct generations *);
bool generation_is(const struct generations *, const struct image *);	/* the same digest */

/* Has a generation that is held, or a connection, a listener, chain, cluster or endpoint of this name? */
bool generations_know(const struct generations *, enum image_name_kind, const char *name);

/* Gives back what a dead worker held. */
void generations_forget_worker(struct generations *, uint32_t worker);
