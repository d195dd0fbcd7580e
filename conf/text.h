/* The text section of an image: each piece once, found again by hash. */
#pragma once

#include "conf/memory.h"

#include <stdint.h>

struct text {
	struct vec bytes;
	uint32_t *table;		/* offset + 1; 0: free */
	uint32_t size, used;		/* size: a power of two */
};

/* Offset of the piece; "" is 0. */
uint32_t text_add(struct text *, const char *piece);
void text_free(struct text *);
