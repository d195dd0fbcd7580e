/* What an intercept job is to restore: see intercept_inside.h. */
#include "master/intercept_inside.h"

#include "common/log.h"
#include "master/restore.h"
#include "master/undo.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

const struct rules *intercept_wanted(const struct intercept *in)
{
	const struct job *j = in->jobs;

	if (j->kind != JOB_APPLY)
		return NULL;
	return j->undoing ? in->last : j->rules;
}

/* IPv6 may be absent, from the kernel or as a program; IPv4 may not, where rules are wanted. */
static int choose(struct intercept *in, int family, const struct rules *r, struct err *e)
{
	const struct scene *s = &in->scene;

	in->chosen[family] = VARIANTS;
	if (!iptables_family_is_there(family)) {
		log_notice("this kernel has no IPv6: rules for IPv4 only");
		return 0;
	}
	in->chosen[family] = s->broken[family] ? VARIANTS : iptables_choose(r->iptables, s->saved[family]);
	if (in->chosen[family] != VARIANTS)
		return 0;
	if (s->why[family].text[0] != '\0') {
		*e = s->why[family];
		return -1;
	}
	err_set(e, "%s was not found: install it (apt-get install iptables)", iptables_program(
	    r->iptables == IPTABLES_NFT ? VARIANT_NFT : r->iptables == IPTABLES_LEGACY ? VARIANT_LEGACY : VARIANT_PLAIN, family, IPTABLES_SAVE));
	if (family == FAMILY_IPV4)
		return -1;
	log_notice("%s: rules for IPv4 only", e->text);
	return 0;
}

static int make_sets(struct intercept *in, const struct rules *r, struct ruleset *sets[FAMILIES], struct err *e)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (choose(in, f, r, e) == -1)
			return -1;
		if (in->chosen[f] != VARIANTS && (sets[f] = ruleset_make(r, iptables_af(f))) == NULL)
			return err_set(e, "interception: out of memory");
	}
	return 0;
}

/* Of one kind of iptables: what is wanted, if it is the one that was chosen, else nothing. */
static int make_text(struct intercept *in, int f, int v, const struct ruleset *set, struct err *e)
{
	const char *saved = in->scene.saved[f][v];
	int r = 0;

	if (saved == NULL)
		return 0;
	if (set != NULL && (int)in->chosen[f] == v)
		r = (in->texts[f][v] = restore_apply(set, saved)) != NULL ? 0 : -1;
	else if (in->jobs->kind == JOB_RELEASE)
		r = restore_release(saved, &in->texts[f][v]);
	else
		r = restore_clear(saved, &in->texts[f][v]);
	return r == 0 ? 0 : err_set(e, "%s: out of memory", iptables_program((enum variant)v, f, IPTABLES_RESTORE));
}

static int make_texts(struct intercept *in, struct ruleset *const sets[FAMILIES], struct err *e)
{
	for (int f = 0; f < FAMILIES; f++) {
		for (int v = 0; v < VARIANTS; v++) {
			if (make_text(in, f, v, sets[f], e) == -1)
				return -1;
		}
	}
	return 0;
}

/* ---- what goes in beside rules, and the note of it ---- */

static bool anything_found(const struct intercept *in)
{
	struct found f;

	for (int k = 0; k < FAMILIES; k++) {
		for (int v = 0; v < VARIANTS; v++) {
			if (in->scene.saved[k][v] == NULL)
				continue;
			found_look(in->scene.saved[k][v], &f);
			if (f.ours)
				return true;
		}
	}
	return false;
}

/* Without a note, what is there goes with the rules that are found; what is not there is no loss to remove. */
static void take_note(struct intercept *in)
{
	if (in->state.phase != STATE_NONE && !state_is_elsewhere(&in->state))
		return;
	state_begin(&in->state);
	in->state.phase = STATE_NONE;
	if (anything_found(in))
		scene_guess_policy(&in->scene, in->guess_mark, in->guess_table, &in->state.policy);
}

static void plan_policy(struct intercept *in, const struct rules *r)
{
	struct policy *p = &in->state.policy;
	uint32_t wanted_sources = (1u << r->inbound_sources) - 1;
	bool routing = r->mode == INTERCEPT_TPROXY && rules_catch_inbound(r);

	in->stale = (struct policy){ .addresses = p->addresses & ~wanted_sources };
	p->addresses &= wanted_sources;
	if (!routing || p->mark != r->mark || p->table != r->table) {
		struct policy other = *p;

		other.addresses = in->stale.addresses;
		in->stale = other;
		*p = (struct policy){ .addresses = p->addresses };
	}
	if (routing) {
		p->mark = r->mark;
		p->table = r->table;
	}
}

/* The one who takes them out again has to be there before they are in. */
static int promise_undo(struct intercept *in, const struct intercept_how *how, struct err *e)
{
	struct state *s = &in->state;

	if (how->confirmed)
		s->token = s->until = 0;
	if (how->confirm_ms == 0)
		return 0;
	if (getrandom(&s->token, sizeof(s->token), 0) != sizeof(s->token) || s->token == 0)
		return err_set(e, "interception: no random number: %m");
	s->until = (uint64_t)time(NULL) + (how->confirm_ms + 999) / 1000;
	if (state_write(in->dir, s, e) == -1)
		return -1;
	return undo_start(in->dir, s->token, how->confirm_ms, e);
}

static int begin_apply(struct intercept *in, const struct rules *r, struct err *e)
{
	struct job *j = in->jobs;
	struct state *s = &in->state;
	struct policy policy = s->policy;

	if (!j->undoing)
		in->before = *s;
	state_begin(s);
	s->policy = policy;
	s->token = in->before.token;
	s->until = in->before.until;
	s->generation = j->undoing ? in->before.generation : j->how.generation;
	if (in->before.phase == STATE_IN && in->present)
		s->since = in->before.since;
	memcpy(s->variant, in->chosen, sizeof(s->variant));
	plan_policy(in, r);
	if ((j->undoing ? 0 : promise_undo(in, &j->how, e)) == -1 || state_write(in->dir, s, e) == -1)
		return -1;
	if (policy_add(&s->policy, r->inbound_sources, in->chosen[FAMILY_IPV6] != VARIANTS, e) == -1)
		return -1;
	return state_write(in->dir, s, e);
}

/* What is to go out has to be seen. */
static int check_seen(const struct intercept *in, struct err *e)
{
	for (int f = 0; f < FAMILIES; f++) {
		bool seen = false;

		for (int v = 0; v < VARIANTS; v++)
			seen |= in->scene.saved[f][v] != NULL;
		if (in->scene.broken[f] || (!seen && in->scene.why[f].text[0] != '\0')) {
			*e = in->scene.why[f];
			return -1;
		}
	}
	return 0;
}

static int make_all(struct intercept *in, const struct rules *r, struct ruleset *sets[FAMILIES], struct err *e)
{
	const struct job *j = in->jobs;

	if (r == NULL && check_seen(in, e) == -1)
		return -1;
	if (r != NULL && make_sets(in, r, sets, e) == -1)
		return -1;
	if (r != NULL && !j->undoing && !j->how.force && scene_refuse(&in->scene, &in->state, sets, e) == -1)
		return -1;
	take_note(in);
	return make_texts(in, sets, e);
}

int intercept_decide(struct intercept *in, bool *begun_r, struct err *e)
{
	struct ruleset *sets[FAMILIES] = { NULL };
	const struct job *j = in->jobs;
	const struct rules *r = intercept_wanted(in);
	int result;

	if (j->kind == JOB_CLEAR && !j->how.force && state_is_elsewhere(&in->state))
		return err_set(e, "%s/%s: these rules are in another network namespace: clear them there, or forget them with --force",
		    in->dir, STATE_FILE);
	result = make_all(in, r, sets, e);
	if (result == 0 && r != NULL) {
		*begun_r = true;
		result = begin_apply(in, r, e);
	}
	for (int f = 0; f < FAMILIES; f++)
		ruleset_free(sets[f]);
	return result;
}
