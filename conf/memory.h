/*
 * Memory of one load.  meshd-conf lives for one file and has a limit: where memory ends, the program ends, with a status
 * of its own that confrun.c puts into words.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena {
	struct arena_block *newest;
};

void *arena_alloc(struct arena *, size_t count, size_t size);		/* zeroed; never NULL, even for count 0 */
char *arena_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_free(struct arena *);

/* An array that grows, of records of one size. */
struct vec {
	char *items;
	size_t count, room, size;
};

void *vec_push(struct vec *, size_t size, const void *record);		/* the copy; valid until the next push */
void vec_bytes(struct vec *, const void *bytes, size_t count);		/* records of one byte */
void vec_free(struct vec *);
