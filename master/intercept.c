/*
 * Jobs: see intercept.h.  A job looks at what every iptables of the host says, decides, restores, and looks again: whether it
 * has been done, and, after an apply, how the rules look when nobody has touched them.
 */
#include "master/intercept_inside.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define REVERT_AGAIN_MS 5000

static void ran(void *arg, char *output, bool unusable, const struct err *e);
static void next_slot(struct intercept *in);
static void revert(void *arg);

struct intercept *intercept_open(struct loop *l, const char *dir, struct err *e)
{
	struct intercept *in = calloc(1, sizeof(*in));

	if (in == NULL) {
		err_set(e, "interception: out of memory");
		return NULL;
	}
	in->loop = l;
	in->dir = dir;
	in->run = (struct iptables_run){ .done = ran, .arg = in };
	in->revert = (struct alarm){ .ring = revert, .arg = in };
	iptables_init(&in->run, l);
	intercept_guess(in, GUESS_MARK, GUESS_TABLE);
	state_read(dir, &in->state);
	return in;
}

static void forget_texts(struct intercept *in)
{
	for (int f = 0; f < FAMILIES; f++) {
		for (int v = 0; v < VARIANTS; v++)
			free(in->texts[f][v]);
	}
	memset(in->texts, 0, sizeof(in->texts));
}

void intercept_close(struct intercept *in)
{
	alarm_unset(in->loop, &in->revert);
	forget_texts(in);
	scene_forget(&in->scene);
	rules_free(in->last);
	free(in);
}

void intercept_on_revert(struct intercept *in, void (*reverted)(void *arg, bool ok), void *arg)
{
	in->reverted = reverted;
	in->reverted_arg = arg;
}

void intercept_guess(struct intercept *in, uint32_t mark, uint32_t table)
{
	in->guess_mark = mark != 0 ? mark : GUESS_MARK;
	in->guess_table = table != 0 ? table : GUESS_TABLE;
}

const struct scene *intercept_scene(const struct intercept *in)
{
	return &in->scene;
}

const struct state *intercept_state(const struct intercept *in)
{
	return &in->state;
}

bool intercept_is_applied(const struct intercept *in)
{
	return in->applied;
}

bool intercept_is_present(const struct intercept *in)
{
	const struct job *j = in->jobs;

	while (j != NULL && j->kind == JOB_LOOK)
		j = j->next;
	return in->present || j != NULL;
}

/* ---- the end of a job ---- */

/* What is in is this job's from now on. */
static void keep_rules(struct intercept *in, struct job *j)
{
	rules_free(in->last);
	in->last = j->kind == JOB_APPLY ? j->rules : NULL;
	if (j->kind == JOB_APPLY)
		j->rules = NULL;
}

static void end_job(struct intercept *in, bool ok, const struct err *e)
{
	struct job *j = in->jobs;
	bool more;

	in->jobs = j->next;
	more = in->jobs != NULL;
	forget_texts(in);
	if (ok && j->kind != JOB_LOOK)
		in->applied = j->kind == JOB_APPLY;
	if (ok && (j->kind == JOB_APPLY || j->kind == JOB_CLEAR)) {
		in->present = j->kind == JOB_APPLY;
		keep_rules(in, j);
	}
	j->done(j->arg, ok, e);
	if (in->jobs == NULL || more)
		scene_forget(&in->scene);
	rules_free(j->rules);
	free(j);
	if (more) {		/* one that done() has added to an empty list runs already */
		in->step = STEP_LOOK;
		in->slot = -1;
		next_slot(in);
	}
}

/* Begins anew to look. */
static void look_again(struct intercept *in)
{
	scene_forget(&in->scene);
	forget_texts(in);
	in->step = STEP_LOOK;
	in->slot = -1;
	next_slot(in);
}

/*
 * An apply that has failed half-way puts back what was in by this process, or else takes out all of both families, so that
 * nothing is half captured; its own error is what is told.
 */
static void fail_job(struct intercept *in, const struct err *e)
{
	struct job *j = in->jobs;

	if (j->undoing) {
		log_error("interception: what was in before cannot be put back: %s", e->text);
		in->applied = in->present = true;		/* for all that we know */
		end_job(in, false, &j->error);
		return;
	}
	if (j->kind != JOB_APPLY || in->step == STEP_LOOK) {
		end_job(in, false, e);
		return;
	}
	j->error = *e;
	j->undoing = true;
	j->retried = false;
	look_again(in);
}

/* ---- done ---- */

static void decide(struct intercept *in)
{
	bool begun = false;
	struct err e;
	int r = intercept_decide(in, &begun, &e);

	if (r == 0 || begun)
		in->step = STEP_RESTORE;
	in->slot = -1;
	if (r == 0)
		next_slot(in);
	else
		fail_job(in, &e);
}

static void set_revert(struct intercept *in, uint32_t ms)
{
	if (in->state.token == 0)
		alarm_unset(in->loop, &in->revert);
	else if (ms != 0)
		alarm_set(in->loop, &in->revert, ms);
}

static void applied(struct intercept *in)
{
	struct job *j = in->jobs;
	struct err e;

	in->state.phase = STATE_IN;
	if (policy_remove(&in->state.stale, &e) == -1)
		log_warning("interception: %s", e.text);
	if (state_write(in->dir, &in->state, &e) == -1)
		log_warning("interception: %s", e.text);
	if (j->undoing) {
		end_job(in, false, &j->error);
		return;
	}
	set_revert(in, j->how.confirm_ms);
	end_job(in, true, NULL);
}

static void cleared(struct intercept *in)
{
	struct job *j = in->jobs;
	struct err e;

	if (policy_remove(&in->state.policy, &e) == -1 || policy_remove(&in->state.stale, &e) == -1) {
		fail_job(in, &e);
		return;
	}
	alarm_unset(in->loop, &in->revert);
	state_remove(in->dir);
	state_begin(&in->state);
	in->state.phase = STATE_NONE;
	if (!j->undoing) {
		end_job(in, true, NULL);
		return;
	}
	in->applied = in->present = false;
	end_job(in, false, &j->error);
}

static void released(struct intercept *in)
{
	struct err e;

	if (in->state.phase != STATE_NONE) {
		in->state.phase = STATE_RELEASED;
		if (state_write(in->dir, &in->state, &e) == -1)
			log_warning("interception: %s", e.text);
	}
	end_job(in, true, NULL);
}

static void restored(struct intercept *in)
{
	if (in->jobs->kind == JOB_RELEASE) {
		released(in);
		return;
	}
	in->step = STEP_VERIFY;
	in->slot = -1;
	next_slot(in);
}

static void step_done(struct intercept *in)
{
	if (in->step == STEP_VERIFY && intercept_wanted(in) != NULL)
		applied(in);
	else if (in->step == STEP_VERIFY)
		cleared(in);
	else if (in->step == STEP_RESTORE)
		restored(in);
	else if (in->jobs->kind == JOB_LOOK)
		end_job(in, true, NULL);
	else
		decide(in);
}

/* ---- one program after the other ---- */

static bool is_due(const struct intercept *in, int f, enum variant v)
{
	switch (in->step) {
	case STEP_LOOK:
		return iptables_family_is_there(f) && iptables_has(v, f);
	case STEP_RESTORE:
		return in->texts[f][v] != NULL;
	default:
		return intercept_wanted(in) != NULL ? in->chosen[f] == v : in->texts[f][v] != NULL;
	}
}

static void next_slot(struct intercept *in)
{
	enum iptables_verb verb = in->step == STEP_RESTORE ? IPTABLES_RESTORE : IPTABLES_SAVE;
	struct err e;

	while (++in->slot < SLOTS) {
		int f = in->slot / VARIANTS;
		enum variant v = (enum variant)(in->slot % VARIANTS);

		if (!is_due(in, f, v))
			continue;
		if (iptables_start(&in->run, v, f, verb, in->texts[f][v], in->jobs->counters, &e) == 0)
			return;
		if (in->step == STEP_VERIFY)
			continue;
		fail_job(in, &e);
		return;
	}
	step_done(in);
}

static void looked(struct intercept *in, int f, enum variant v, char *output, bool unusable, const struct err *e)
{
	in->scene.saved[f][v] = output;
	if (output == NULL && in->scene.why[f].text[0] == '\0')
		in->scene.why[f] = *e;
	in->scene.broken[f] |= output == NULL && !unusable;
	next_slot(in);
}

/* Programs have been seen that do nothing and say that they have done it. */
static void verified(struct intercept *in, int f, enum variant v, char *output)
{
	bool wanted = intercept_wanted(in) != NULL;
	struct found found;
	struct err e;

	found_look(output != NULL ? output : "", &found);
	if (wanted)
		in->state.digest[f] = found.digest;
	if (output != NULL && found.ours != wanted) {
		err_set(&e, "%s: has ended well, and the rules are %s", iptables_program(v, f, IPTABLES_RESTORE), wanted ? "not in" : "still in");
		fail_job(in, &e);
	} else {
		next_slot(in);
	}
	free(output);
}

static void ran(void *arg, char *output, bool unusable, const struct err *e)
{
	struct intercept *in = arg;
	int f = in->slot / VARIANTS;
	enum variant v = (enum variant)(in->slot % VARIANTS);

	if (in->step == STEP_LOOK) {
		looked(in, f, v, output, unusable, e);
		return;
	}
	if (in->step == STEP_VERIFY) {
		verified(in, f, v, output);
		return;
	}
	free(output);
	if (output != NULL) {
		next_slot(in);
	} else if (unusable && !in->jobs->retried) {
		in->jobs->retried = true;
		look_again(in);
	} else {
		fail_job(in, e);
	}
}

/* ---- asking ---- */

static int add_job(struct intercept *in, const struct job *like)
{
	struct job *j = malloc(sizeof(*j)), **p = &in->jobs;

	if (j == NULL)
		return -1;
	*j = *like;
	while (*p != NULL)
		p = &(*p)->next;
	*p = j;
	if (in->jobs == j)
		look_again(in);
	return 0;
}

int intercept_apply(struct intercept *in, struct rules *r, const struct intercept_how *how, intercept_done *done, void *arg)
{
	const struct job j = { .kind = JOB_APPLY, .rules = r, .how = *how, .done = done, .arg = arg };

	if (add_job(in, &j) == 0)
		return 0;
	rules_free(r);
	return -1;
}

int intercept_release(struct intercept *in, intercept_done *done, void *arg)
{
	const struct job j = { .kind = JOB_RELEASE, .done = done, .arg = arg };

	return add_job(in, &j);
}

int intercept_clear(struct intercept *in, bool force, intercept_done *done, void *arg)
{
	const struct job j = { .kind = JOB_CLEAR, .how = { .force = force }, .done = done, .arg = arg };

	return add_job(in, &j);
}

int intercept_look(struct intercept *in, bool counters, intercept_done *done, void *arg)
{
	const struct job j = { .kind = JOB_LOOK, .counters = counters, .done = done, .arg = arg };

	return add_job(in, &j);
}

/* ---- what has to be confirmed ---- */

int intercept_confirm(struct intercept *in, struct err *e)
{
	struct state s = in->state;

	for (const struct job *j = in->jobs; j != NULL; j = j->next) {
		if (j->kind == JOB_CLEAR)
			return err_set(e, "the rules are going out: it is too late to confirm them");
		if (j->kind == JOB_APPLY && j->how.confirm_ms != 0)
			return err_set(e, "the rules that are to be confirmed are not in yet");
	}
	if (s.token == 0)
		return err_set(e, "there are no rules that wait to be confirmed");
	s.token = s.until = 0;
	if (state_write(in->dir, &s, e) == -1)
		return -1;
	in->state = s;
	alarm_unset(in->loop, &in->revert);
	return 0;
}

static void revert_done(void *arg, bool ok, const struct err *e)
{
	struct intercept *in = arg;

	if (!ok) {
		log_error("interception rules that nobody has confirmed are still in: %s", e->text);
		alarm_set(in->loop, &in->revert, REVERT_AGAIN_MS);
	}
	if (in->reverted != NULL)
		in->reverted(in->reverted_arg, ok);
}

static void revert(void *arg)
{
	struct intercept *in = arg;

	log_warning("interception rules were not confirmed in time: they go out");
	if (intercept_clear(in, true, revert_done, in) == -1)
		revert_done(in, false, &(struct err){ .text = "out of memory" });
}
