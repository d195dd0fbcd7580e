/* Receive buffers on loan: see buffers.h. */
#include "worker/buffers.h"

#include <errno.h>
#include <sys/mman.h>

int buffers_open(struct buffers *b, struct io_uring *ring, struct err *e)
{
	size_t ring_bytes = BUFFER_COUNT * sizeof(struct io_uring_buf), bytes = BUFFER_COUNT * BUFFER_BYTES;
	struct io_uring_buf_reg reg = { .ring_entries = BUFFER_COUNT, .bgid = BUFFER_GROUP };
	int r;

	b->ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	b->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->ring == MAP_FAILED || b->memory == MAP_FAILED)
		return err_set(e, "receive buffers: %m");
	reg.ring_addr = (uintptr_t)b->ring;
	r = io_uring_register_buf_ring(ring, &reg, 0);
	if (r < 0) {
		errno = -r;
		return err_set(e, "io_uring_register_buf_ring: %m");
	}
	io_uring_buf_ring_init(b->ring);
	for (unsigned i = 0; i < BUFFER_COUNT; i++)
		io_uring_buf_ring_add(b->ring, buffer_at(b, i), BUFFER_BYTES, (unsigned short)i, BUFFER_COUNT - 1, (int)i);
	io_uring_buf_ring_advance(b->ring, BUFFER_COUNT);
	return 0;
}

void buffer_return(struct buffers *b, unsigned id)
{
	io_uring_buf_ring_add(b->ring, buffer_at(b, id), BUFFER_BYTES, (unsigned short)id, BUFFER_COUNT - 1, 0);
	io_uring_buf_ring_advance(b->ring, 1);
}
