/* Memory of streams: see arena.h. */
#include "worker/arena.h"

#include <stdint.h>
#include <stdlib.h>

struct slab_block {
	struct slab_block *next;
};

#ifdef MESHD_SANITIZERS		/* which are to see each block's end */
#define SLAB_POOLED_HERE 0u
#else
#define SLAB_POOLED_HERE SLAB_POOLED
#endif

void *slab_take(struct slab *s)
{
	struct slab_block *b = s->free;

	if (b == NULL)
		return malloc(SLAB_BYTES);
	s->free = b->next;
	s->count--;
	return b;
}

void slab_give(struct slab *s, void *block)
{
	struct slab_block *b = block;

	if (s->count == SLAB_POOLED_HERE) {
		free(block);
		return;
	}
	b->next = s->free;
	s->free = b;
	s->count++;
}

struct arena_more {
	struct arena_more *next;
};

#define MORE_BYTES 4096u

static size_t rounded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

void *arena_take(struct arena *a, size_t size)
{
	struct arena_more *more;
	size_t room;
	char *piece;

	size = rounded(size);
	if ((size_t)(a->end - a->at) < size) {
		room = size > MORE_BYTES - sizeof(*more) ? size : MORE_BYTES - sizeof(*more);	/* a multiple of 8 */
		if ((more = malloc(sizeof(*more) + room)) == NULL)
			return NULL;
		more->next = a->more;
		a->more = more;
		a->at = (char *)(more + 1);
		a->end = a->at + room;
	}
	piece = a->at;
	a->at += size;
	return piece;
}

void arena_trim(struct arena *a, char *end)
{
	a->at = (char *)rounded((uintptr_t)end);
}

bool arena_extend(struct arena *a, char *end, size_t size)
{
	if ((char *)rounded((uintptr_t)end) != a->at || size > (size_t)(a->end - end))
		return false;
	a->at = (char *)rounded((uintptr_t)end + size);
	return true;
}

void arena_free(struct arena *a)
{
	struct arena_more *more = a->more, *next;

	for (; more != NULL; more = next) {
		next = more->next;
		free(more);
	}
	a->more = NULL;
}
