/* Taking up and letting go of generations: see generation.h. */
#include "worker/generation.h"

#include "common/wire.h"
#include "worker/listener.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <unistd.h>

/* The table says what is mapped here, so that no slot is given anew under somebody who looks at it. */
static void tell(struct worker *w)
{
	uint64_t held = 0;

	for (const struct generation *g = w->generation; g != NULL; g = g->next) {
		if (g->row != IMAGE_NONE)
			held |= (uint64_t)1 << g->row;
	}
	atomic_store_explicit(&w->block->held, held, memory_order_release);
}

static void forget_unheld(struct worker *w)
{
	struct generation **p = &w->generation->next;

	while (*p != NULL) {
		struct generation *g = *p;

		if (g->holders > 0) {
			p = &g->next;
			continue;
		}
		*p = g->next;
		image_unmap(&g->image);
		free(g);
	}
	tell(w);
}

int generation_adopt(struct worker *w, int image_fd, uint64_t number, struct err *e)
{
	struct generation *g = calloc(1, sizeof(*g));
	int r = g == NULL ? err_set(e, "out of memory") : image_map(image_fd, &g->image, e);

	close(image_fd);
	if (r == -1) {
		free(g);
		return -1;
	}
	g->number = number;
	g->row = live_generation_row(&w->live, number);
	if (w->generation != NULL)
		listeners_leave(w, &g->image);
	g->next = w->generation;
	w->generation = g;
	w->log.on = w->log.fd != -1 && *image_text(&g->image, image_settings(&g->image)->access_log) != '\0';
	forget_unheld(w);
	return 0;
}

struct generation *generation_hold(struct generation *g)
{
	g->holders++;
	return g;
}

void generation_release(struct worker *w, struct generation **held)
{
	struct generation *g = *held;

	*held = NULL;
	if (g != NULL && --g->holders == 0 && g != w->generation)
		forget_unheld(w);
}
