/*
 * Receive buffers that the kernel picks from (a provided-buffer ring, group 0): 4 KiB each, 512 KiB in all, shared by
 * all quiet connections; an idle connection holds none.  A loan lasts until the bytes were sent or copied: one turn.
 */
#pragma once

#include "common/err.h"

#include <liburing.h>

#define BUFFER_BYTES 4096u
#define BUFFER_COUNT 128u		/* a power of two */
#define BUFFER_GROUP 0

struct buffers {
	struct io_uring_buf_ring *ring;
	char *memory;
};

int buffers_open(struct buffers *, struct io_uring *, struct err *e);

static inline char *buffer_at(const struct buffers *b, unsigned id)
{
	return b->memory + (size_t)id * BUFFER_BYTES;
}

/* Gives a loan back. */
void buffer_return(struct buffers *, unsigned id);
