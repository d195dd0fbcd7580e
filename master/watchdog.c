/* Pings: see watchdog.h. */
#include "master/watchdog.h"

#include "common/log.h"
#include "common/wire.h"
#include "master/master.h"
#include "master/notify.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define PING_MS	     1000
#define ABORT_AFTER  10			/* pings of ours, not seconds: where the whole machine stood still, nobody is late */
#define KILL_AFTER   12

struct watchdog {
	struct master *m;
	struct alarm ping, notify;
	uint64_t notify_ms;
};

/* One at a time: one that does not read finds no heap of them. */
static void ping_one(struct child *c)
{
	struct wire w = { .type = WIRE_PING, .number = c->ping + 1 };

	c->pinged = wire_send(c->control, &w, -1) == 0;
	if (c->pinged)
		c->ping++;
}

static void look_at(struct child *c)
{
	if (c->pid == 0 || c->control == -1 || !c->adopted || c->drain_wanted)
		return;
	if (c->unanswered == 0 || !c->pinged)
		ping_one(c);
	c->unanswered++;
	if (c->unanswered == ABORT_AFTER + 1) {
		snprintf(c->why, sizeof(c->why), "it did not answer for %d s", ABORT_AFTER);
		log_error("%s (pid %d) has not answered for %d s: it is ended", c->name, (int)c->pid, ABORT_AFTER);
		kill(c->pid, SIGABRT);		/* not reaped yet, so still this very process */
	} else if (c->unanswered == KILL_AFTER + 1) {
		kill(c->pid, SIGKILL);
	}
}

static void ping(void *arg)
{
	struct watchdog *d = arg;

	for (uint32_t w = 0; w < d->m->workers; w++)
		look_at(&d->m->worker[w]);
	look_at(&d->m->agent);			/* its death counts for no roll-back: supervise.c */
	alarm_set(&d->m->loop, &d->ping, PING_MS);
}

static void tell_systemd(void *arg)
{
	struct watchdog *d = arg;

	notify_alive();
	alarm_set(&d->m->loop, &d->notify, d->notify_ms);
}

struct watchdog *watchdog_open(struct master *m, struct err *e)
{
	struct watchdog *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		err_set(e, "watchdog: out of memory");
		return NULL;
	}
	d->m = m;
	d->ping = (struct alarm){ .ring = ping, .arg = d };
	d->notify = (struct alarm){ .ring = tell_systemd, .arg = d };
	d->notify_ms = notify_watchdog_ms() / 2;
	alarm_set(&m->loop, &d->ping, PING_MS);
	if (d->notify_ms > 0)
		alarm_set(&m->loop, &d->notify, d->notify_ms);
	return d;
}
