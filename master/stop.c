/* From SIGTERM to the end, each step begun by the end of the one before: see master.h. */
#include "master/master.h"

#include "common/log.h"
#include "master/control.h"
#include "master/intercept.h"
#include "master/listing.h"
#include "master/notify.h"
#include "master/publish.h"
#include "master/reload.h"
#include "master/sockets.h"

#include <unistd.h>

#define DRAIN_MORE_MS 2000		/* past drain_time, before SIGKILL */
#define LAST_LINES_MS 2000		/* for the agent to write what is in the pipes */
#define STOP_MORE_MS  30000		/* that stopping may take beside drain_time, rules and last lines included */

static void be_over(struct master *m)
{
	m->phase = PHASE_OVER;
	alarm_unset(&m->loop, &m->limit);
}

static void write_last_lines(struct master *m)
{
	m->phase = PHASE_LAST_LINES;
	for (uint32_t w = 0; w < m->workers; w++) {
		if (m->log_pipe[w][1] != -1)
			close(m->log_pipe[w][1]);	/* the agent reads to the end */
		m->log_pipe[w][1] = -1;
	}
	if (m->agent.pid == 0) {
		be_over(m);
		return;
	}
	child_drain(&m->agent, LAST_LINES_MS);
	alarm_set(&m->loop, &m->limit, LAST_LINES_MS + 500);
	if (m->hurry)
		child_kill(&m->agent);
}

static void rules_are_out(void *arg, bool ok, const struct err *e)
{
	struct master *m = arg;

	if (!ok) {
		log_error("interception rules are still in: %s; take them out by hand (chains MESHD_* of table nat)", e->text);
		m->exit_status = 1;
		m->rules_left = true;
	}
	write_last_lines(m);
}

/* That go out: meshd that gives up leaves them where the configuration says so. */
static bool has_rules(const struct master *m)
{
	return !m->keep_rules && m->intercept != NULL && intercept_is_present(m->intercept);
}

static void clear(struct master *m)
{
	m->phase = PHASE_CLEARING;
	alarm_unset(&m->loop, &m->limit);
	if (!has_rules(m))
		write_last_lines(m);
	else if (intercept_clear(m->intercept, true, rules_are_out, m) == -1)
		rules_are_out(m, false, &(struct err){ .text = "out of memory" });
}

static void kill_workers(struct master *m)
{
	for (uint32_t w = 0; w < m->workers; w++)
		child_kill(&m->worker[w]);
}

static uint32_t drain_ms(const struct master *m)
{
	const struct image *i = m->generations != NULL ? generation_image(m->generations) : NULL;

	return i != NULL ? image_settings(i)->drain_time_ms : 0;
}

static void drain(struct master *m)
{
	uint32_t ms = drain_ms(m);

	m->phase = PHASE_DRAINING;
	if (workers_running(m) == 0) {
		clear(m);
		return;
	}
	for (uint32_t w = 0; w < m->workers; w++)
		child_drain(&m->worker[w], ms);
	sockets_let_go(m->sockets);	/* each worker closes its own when it has taken what is queued */
	alarm_set(&m->loop, &m->limit, (uint64_t)ms + DRAIN_MORE_MS);
	if (m->hurry)
		kill_workers(m);
}

static void captures_have_ended(void *arg, bool ok, const struct err *e)
{
	struct master *m = arg;

	if (!ok)
		log_error("interception: %s", e->text);		/* clear() tries again */
	master_set_intercepting(m);
	drain(m);
}

void master_stop(struct master *m)
{
	if (master_stopping(m))
		return;
	if (m->exit_status == 0)
		log_notice("stopping");
	notify_stopping("draining", (uint64_t)drain_ms(m) + STOP_MORE_MS);
	m->phase = PHASE_RELEASING;
	alarm_unset(&m->loop, &m->limit);
	alarm_unset(&m->loop, &m->tick);
	reload_cancel(m->reload);
	if (m->listing != NULL)
		listing_cancel(m->listing);
	if (m->control != NULL)
		control_stop(m->control);
	if (!has_rules(m))
		drain(m);
	else if (intercept_release(m->intercept, captures_have_ended, m) == -1)
		captures_have_ended(m, false, &(struct err){ .text = "out of memory" });
}

void master_give_up(struct master *m, const char *why)
{
	if (master_stopping(m))
		return;
	log_error("%s", why);
	m->exit_status = 1;
	if (intercept_is_present(m->intercept) &&
	    image_settings(generation_image(m->generations))->intercept.on_exit == ON_EXIT_BLOCK) {
		m->keep_rules = m->rules_left = true;
		log_notice("interception rules are left in (intercept.on_exit is \"block\"): what they catch fails");
	}
	master_stop(m);
}

void master_fail_start(struct master *m, const char *why)
{
	if (master_stopping(m))
		return;
	log_error("start failed: %s", why);
	m->exit_status = 1;
	m->hurry = true;
	master_stop(m);
}

void master_child_ended(struct master *m)
{
	if (m->phase == PHASE_DRAINING && workers_running(m) == 0)
		clear(m);
	else if (m->phase == PHASE_LAST_LINES && m->agent.pid == 0)
		be_over(m);
	else
		master_settle(m);
}

/* What the phase waited for has not come. */
void master_stop_late(struct master *m)
{
	if (m->phase == PHASE_DRAINING) {
		log_warning("workers that do not end are killed");
		kill_workers(m);
	} else if (m->phase == PHASE_LAST_LINES) {
		log_warning("the agent does not end: killed, lines of the access log may be lost");
		child_kill(&m->agent);
	}
}

/* Rules that are being taken out are waited for even so: left in, they would cut this host off. */
void master_stop_at_once(struct master *m)
{
	log_notice("stopping at once");
	m->hurry = true;
	if (m->phase == PHASE_DRAINING)
		kill_workers(m);
	else if (m->phase == PHASE_LAST_LINES)
		child_kill(&m->agent);
}
