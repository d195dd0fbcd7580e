/* What an intercept job is to restore: see intercept_inside.h. */
#include "master/intercept_inside.h"

#include "common/log.h"
#include "master/restore.h"
#include "master/undo.h"

#include <netinet/in.h>
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

/* One kind of iptables that fails is as if it were not there; but not the one that has our rules. */
static int check_noted(const struct intercept *in, int family, struct err *e)
{
	const struct state *st = &in->state;

	if (st->phase == STATE_NONE || state_is_elsewhere(st) || st->variant[family] == VARIANTS ||
	    in->scene.saved[family][st->variant[family]] != NULL || in->scene.why[family].text[0] == '\0')
		return 0;
	*e = in->scene.why[family];
	return -1;
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
	if (check_noted(in, family, e) == -1)
		return -1;
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

/* Of both, what is wanted to *p, what is not to *stale. */
static void sort_policy(struct policy *p, struct policy *stale, const struct policy *wanted, struct err *e)
{
	uint32_t sources = p->addresses | stale->addresses;
	struct policy other;

	stale->addresses = 0;
	if ((p->mark != wanted->mark || p->table != wanted->table) && stale->mark == wanted->mark && stale->table == wanted->table) {
		/* back again */
		other = *p;
		*p = *stale;
		*stale = other;
	}
	if (p->mark != wanted->mark || p->table != wanted->table) {
		/* one that is older yet: from one that was killed before it could remove it */
		if (p->routing != 0 && stale->routing != 0 && policy_remove(stale, e) == -1)
			log_warning("interception: %s", e->text);
		if (p->routing != 0)
			*stale = *p;
		*p = (struct policy){ .mark = wanted->mark, .table = wanted->table };
	}
	p->addresses = sources & wanted->addresses;
	stale->addresses = sources & ~wanted->addresses;
}

/* What would be ours, were all of it added. */
static struct policy plan_policy(struct intercept *in, const struct rules *r, struct err *e)
{
	struct policy wanted = { .addresses = (1u << r->inbound_sources) - 1 };
	bool ipv6 = in->chosen[FAMILY_IPV6] != VARIANTS;

	if (r->mode == INTERCEPT_TPROXY && rules_catch_inbound(r)) {
		wanted.mark = r->mark;
		wanted.table = r->table;
		wanted.routing = policy_routing(AF_INET) | (ipv6 ? policy_routing(AF_INET6) : 0);
	}
	sort_policy(&in->state.policy, &in->state.stale, &wanted, e);
	wanted.routing |= in->state.policy.routing;
	wanted.addresses = in->state.policy.addresses | (ipv6 ? wanted.addresses : 0);
	return wanted;
}

/* All of it is noted before it is done: one who is killed between the two leaves nothing that nobody knows of. */
static int add_policy(struct intercept *in, const struct rules *r, const struct policy *all, struct err *e)
{
	struct state noted = in->state;

	noted.policy = *all;
	if (state_write(in->dir, &noted, e) == -1)
		return -1;
	if (policy_add(&in->state.policy, r->inbound_sources, in->chosen[FAMILY_IPV6] != VARIANTS, e) == -1)
		return -1;
	return state_write(in->dir, &in->state, e);
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

/* Of what is put back: the process that was to undo it may have seen that it was to be replaced, and has ended. */
static int renew_promise(struct intercept *in, const struct intercept_how *how, struct err *e)
{
	const struct state *s = &in->state;
	uint64_t now = clock_ms(), at = in->revert.at_ms;

	if (s->token == 0 || (how->confirm_ms == 0 && !how->confirmed))
		return 0;
	return state_write(in->dir, s, e) == -1 ? -1 : undo_start(in->dir, s->token, at > now ? (uint32_t)(at - now) : 0, e);
}

static int begin_apply(struct intercept *in, const struct rules *r, struct err *e)
{
	struct job *j = in->jobs;
	struct state *s = &in->state;
	const struct policy policy = s->policy, stale = s->stale;
	struct policy all;

	if (!j->undoing)
		in->before = *s;
	state_begin(s);
	s->policy = policy;
	s->stale = stale;
	s->token = in->before.token;
	s->until = in->before.until;
	s->generation = j->undoing ? in->before.generation : j->how.generation;
	if (in->before.phase == STATE_IN && in->present)
		s->since = in->before.since;
	memcpy(s->variant, in->chosen, sizeof(s->variant));
	all = plan_policy(in, r, e);
	if ((j->undoing ? renew_promise(in, &j->how, e) : promise_undo(in, &j->how, e)) == -1)
		return -1;
	return add_policy(in, r, &all, e);
}

/* What is to go out has to be seen. */
static int check_seen(const struct intercept *in, struct err *e)
{
	for (int f = 0; f < FAMILIES; f++) {
		bool seen = false;

		for (int v = 0; v < VARIANTS; v++)
			seen |= in->scene.saved[f][v] != NULL;
		if (check_noted(in, f, e) == -1)
			return -1;
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

/* Of one who is killed half-way a part may be left, and nobody but us has made it one. */
static void begin_clear(struct intercept *in)
{
	struct err e;

	if (in->state.phase != STATE_IN)
		return;
	in->state.phase = STATE_APPLYING;
	if (state_write(in->dir, &in->state, &e) == -1)
		log_warning("interception: %s", e.text);
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
	} else if (result == 0 && j->kind != JOB_RELEASE) {
		begin_clear(in);
	}
	for (int f = 0; f < FAMILIES; f++)
		ruleset_free(sets[f]);
	return result;
}
