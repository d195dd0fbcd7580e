/* Deaths that follow each other: see rollback.h. */
#include "master/rollback.h"

#include "common/log.h"
#include "master/master.h"
#include "master/publish.h"
#include "master/reload.h"

#include <stdio.h>

bool deaths_add(struct deaths *d, uint64_t now_ms)
{
	d->at_ms[d->n++ % DEATHS_MOST] = now_ms;
	/* the next place in the ring is the oldest of the last ten */
	if (d->n < DEATHS_MOST || now_ms - d->at_ms[d->n % DEATHS_MOST] > DEATHS_MS)
		return false;
	d->n = 0;
	return true;
}

static void go_back(struct master *m)
{
	uint64_t bad = generation_number(m->generations);
	struct err e;

	m->went_back = true;
	if (reload_back(m->reload, &e) == 0)
		live_set(&m->live.head->rolled_back, bad);
	else
		log_error("workers have died %d times within %d s; generation %llu stays: %s", DEATHS_MOST, DEATHS_MS / 1000,
		    (unsigned long long)bad, e.text);
}

void rollback_count(struct master *m, bool killed)
{
	char why[128];

	if (m->phase != PHASE_RUNNING || (m->went_back && killed) || !deaths_add(&m->deaths, m->loop.now_ms))
		return;
	if (!m->went_back) {
		go_back(m);
		return;
	}
	snprintf(why, sizeof(why), "workers have died %d times within %d s once more: meshd gives up", DEATHS_MOST,
	    DEATHS_MS / 1000);
	master_give_up(m, why);
}

void rollback_forget(struct master *m)
{
	m->went_back = false;
	m->deaths.n = 0;
	live_set(&m->live.head->rolled_back, 0);
}
