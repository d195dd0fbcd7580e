/*
 * Memory of one stream: taken in pieces, given back all at once.  The stream and its first pieces lie in one block of a
 * slab; what does not fit there is taken from malloc(3), and freed with the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SLAB_BYTES  2048u
#define SLAB_POOLED 512u		/* blocks that are kept: 1 MiB */

struct slab {
	struct slab_block *free;
	unsigned count;
};

/* NULL: out of memory. */
void *slab_take(struct slab *);
void slab_give(struct slab *, void *block);

struct arena {
	char *at, *end;			/* of the block in use, both multiples of 8 */
	struct arena_more *more;
};

/* NULL: out of memory.  Aligned to 8. */
void *arena_take(struct arena *, size_t size);
/* The piece that was taken last needs no more than up to here. */
void arena_trim(struct arena *, char *end);
/* The piece that ends here grows by so many bytes where it lies; false: it cannot. */
bool arena_extend(struct arena *, char *end, size_t size);
/* What it took beyond the first block. */
void arena_free(struct arena *);
