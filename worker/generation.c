/* Taking up a generation: see generation.h. */
#include "worker/generation.h"

#include "common/wire.h"
#include "worker/listener.h"
#include "worker/worker.h"

#include <unistd.h>

int generation_adopt(struct worker *w, int image_fd, uint64_t number, struct err *e)
{
	struct image image, old = w->image;
	uint32_t row = live_generation_row(&w->live, number);
	int r = image_map(image_fd, &image, e);

	close(image_fd);
	if (r == -1)
		return -1;
	if (old.head != NULL)
		listeners_leave(w, &image);
	w->image = image;
	w->generation = number;
	atomic_store_explicit(&w->block->held, row == IMAGE_NONE ? 0 : (uint64_t)1 << row, memory_order_release);
	image_unmap(&old);
	return 0;
}
