/* Interception rules in the master's life: see captures.h and master.h. */
#include "master/captures.h"

#include "common/log.h"
#include "master/control.h"
#include "master/intercept.h"
#include "master/master.h"
#include "master/publish.h"
#include "master/strangers.h"

#include <stdio.h>

/* ---- applying ---- */

struct rules *master_read_rules(const struct master *m, const struct image *i, struct err *e)
{
	const struct rules_users who = { m->fixed.worker_uid, m->fixed.agent_uid, m->fixed.worker_gid };

	return rules_read(i, &who, e);
}

int master_apply_rules(struct master *m, const struct intercept_how *how, intercept_done *done, void *arg, struct err *e)
{
	struct intercept_how h = *how;
	struct rules *r;

	if (strangers_refuse(&m->fixed, e) == -1)
		return -1;
	if ((r = master_read_rules(m, generation_image(m->generations), e)) == NULL)
		return -1;
	h.generation = generation_number(m->generations);
	return intercept_apply(m->intercept, r, &h, done, arg) == 0 ? 0 : err_set(e, "interception: out of memory");
}

void master_set_intercepting(struct master *m)
{
	live_set(&m->live.head->intercepting, intercept_is_applied(m->intercept));
}

static void reverted(void *arg, bool ok)
{
	(void)ok;
	master_set_intercepting(arg);
}

struct intercept *captures_open(struct master *m, struct err *e)
{
	struct intercept *in = intercept_open(&m->loop, m->fixed.runtime_dir, e);

	if (in == NULL)
		return NULL;
	intercept_on_revert(in, reverted, m);
	intercept_guess(in, m->fixed.intercept.tproxy_mark, m->fixed.intercept.tproxy_table);
	return in;
}

/* ---- at a reload ---- */

/* What is caught has changed and all workers have adopted that. */
static void changed(void *arg, bool ok, const struct err *e)
{
	struct master *m = arg;
	char text[1024];

	m->rules_running = false;
	m->rules_generation = 0;
	master_set_intercepting(m);
	snprintf(text, sizeof(text), "interception: the rules stay as they were: %.900s", ok ? "" : e->text);
	if (!ok)
		log_error("%s", text);
	else
		log_notice("interception rules are as generation %llu has them", (unsigned long long)generation_number(m->generations));
	if (master_stopping(m))
		return;
	if (!ok)
		control_refused(m->control, text);
	control_settle(m->control);
}

void master_change_rules(struct master *m)
{
	const struct intercept_how how = { .generation = 0 };
	struct err e;

	if (!intercept_is_applied(m->intercept)) {	/* mode none, or an administrator has cleared them */
		m->rules_generation = 0;
		return;
	}
	m->rules_running = true;
	if (master_apply_rules(m, &how, changed, m, &e) == -1)
		changed(m, false, &e);
}

/* ---- at the start ---- */

static void first_done(void *arg, bool ok, const struct err *e)
{
	struct master *m = arg;

	master_set_intercepting(m);
	if (master_stopping(m))
		return;
	if (ok)
		master_run_now(m);
	else
		master_fail_start(m, e->text);
}

/* Rules of others, where they set them: are they such that we can live with them? */
static void looked(void *arg, bool ok, const struct err *e)
{
	struct master *m = arg;
	struct rules *r = NULL;
	struct err why = ok ? (struct err){ .text = "" } : *e;

	if (ok && m->fixed.intercept.configured && m->fixed.intercept.mode == INTERCEPT_NONE) {
		r = master_read_rules(m, generation_image(m->generations), &why);
		ok = r != NULL && scene_refuse_loop(intercept_scene(m->intercept), r, &why) == 0;
	}
	rules_free(r);
	first_done(m, ok, &why);
}

/* Rules that an earlier meshd has left where none are to be. */
static bool has_leftovers(const struct master *m)
{
	return m->rules_left || m->fixed.intercept.manual || intercept_state(m->intercept)->phase != STATE_NONE;
}

void master_first_rules(struct master *m)
{
	const struct image_intercept *i = &m->fixed.intercept;
	const struct intercept_how how = { .confirmed = true };
	struct err e;

	err_set(&e, "interception: out of memory");
	if (i->mode != INTERCEPT_NONE && !i->manual) {
		if (master_apply_rules(m, &how, first_done, m, &e) == -1)
			master_fail_start(m, e.text);
	} else if (!i->configured && !has_leftovers(m)) {
		master_run_now(m);
	} else if ((has_leftovers(m) ? intercept_clear(m->intercept, true, looked, m) :
	    intercept_look(m->intercept, false, looked, m)) == -1) {
		master_fail_start(m, e.text);
	}
}
