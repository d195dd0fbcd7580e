/* Shedding and giving back: see overload.h. */
#include "worker/overload.h"

#include "worker/pool.h"
#include "worker/worker.h"

#include <malloc.h>

#define DESCRIPTORS_EACH    2		/* client and endpoint */
#define BURST		    256		/* connections: fewer leave nothing worth a call */
#define DESCRIPTORS_RESERVE 64		/* own ones, listeners, and a few pipes */

void overload_init(struct worker *w)
{
	w->overload.second_ms = w->loop.now_ms;
}

/* Pipes are counted by the gauge; a limit smaller than the reserve leaves it to accept(2) to say no. */
static bool descriptors_are_short(const struct worker *w)
{
	uint64_t tunnels = live_get(&w->block->gauge[WORKER_G_connections]) - w->nhttp_conns;
	uint64_t used = tunnels * DESCRIPTORS_EACH + w->nhttp_conns + w->nlinks + live_get(&w->block->gauge[WORKER_G_pipes]) * 2 +
	    w->nlisteners;

	return w->descriptors > 4 * DESCRIPTORS_RESERVE &&
	    used + DESCRIPTORS_EACH + DESCRIPTORS_RESERVE + descriptors_kept(w) > w->descriptors;
}

bool overload_sheds(struct worker *w)
{
	static struct log_limit limit;
	const char *why;

	if (descriptors_are_short(w) && pools_shed(w) == 0) {
		count(w, WORKER_C_shed_descriptors);
		why = "descriptors are short (raise LimitNOFILE)";
	} else if (live_get(&w->block->gauge[WORKER_G_buffer_bytes]) > OVERLOAD_BUFFER_BYTES) {
		count(w, WORKER_C_shed_memory);
		why = "too much waits in buffers for slow peers";
	} else if (w->overload.lag_ms > OVERLOAD_LAG_MS) {
		count(w, WORKER_C_shed_lag);
		why = "the event loop lags behind";
	} else {
		return false;
	}
	log_limited(&limit, w->loop.now_ms, LOG_LEVEL_WARNING, "connections are shed: %s", why);
	return true;
}

void overload_turn_begins(struct worker *w)
{
	w->overload.turn_began_ms = w->loop.now_ms;
}

static bool burst_is_over(const struct worker *w)
{
	return w->overload.peak >= BURST && live_get(&w->block->gauge[WORKER_G_connections]) <= w->overload.peak / 2;
}

bool overload_waits(const struct worker *w)
{
	return burst_is_over(w) || live_get(&w->block->gauge[WORKER_G_lag_ms]) != 0;
}

/* malloc keeps what a burst has used, in pieces between what is still there. */
static void give_memory_back(struct worker *w)
{
	if (!burst_is_over(w))
		return;
	malloc_trim(0);
	w->overload.peak = live_get(&w->block->gauge[WORKER_G_connections]);
}

void overload_turn_ends(struct worker *w)
{
	struct overload *o = &w->overload;
	uint64_t now_ms = loop_clock_ms(), connections = live_get(&w->block->gauge[WORKER_G_connections]);

	if (connections > o->peak)
		o->peak = connections;
	o->lag_ms = o->turn_ms;
	o->turn_ms = now_ms - o->turn_began_ms;
	if (o->turn_ms < o->lag_ms)
		o->lag_ms = o->turn_ms;
	if (o->turn_ms > o->worst_lag_ms)
		o->worst_lag_ms = o->turn_ms;
	if (now_ms - o->second_ms < 1000)
		return;
	live_set(&w->block->gauge[WORKER_G_lag_ms], o->worst_lag_ms);
	o->worst_lag_ms = 0;
	o->second_ms = now_ms;
	give_memory_back(w);
}
