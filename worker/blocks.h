/*
 * Memory for connections: blocks of one size, aligned to OP_ALIGN, out of pages of 64 KiB.  malloc(3) takes 420 bytes for an
 * aligned block of 288.  A page without a block in use is given back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct blocks {
	struct blocks_page *partial;	/* with place in them */
	uint32_t size;			/* a multiple of OP_ALIGN */
};

void blocks_init(struct blocks *, size_t size);
/* All noughts.  NULL: out of memory. */
void *block_take(struct blocks *);
void block_give(struct blocks *, void *block);
