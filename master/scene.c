/* Judging what is there: see scene.h. */
#include "master/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_SOURCE 0xffffu

void scene_forget(struct scene *s)
{
	for (int f = 0; f < FAMILIES; f++) {
		for (int v = 0; v < VARIANTS; v++)
			free(s->saved[f][v]);
	}
	*s = (struct scene){ .broken = { false } };
}

const char *scene_place(int family, enum variant v, char to[48])
{
	const char *save = iptables_program(v, family, IPTABLES_SAVE);

	snprintf(to, 48, "%s, %.*s", family == FAMILY_IPV4 ? "IPv4" : "IPv6", (int)(strrchr(save, '-') - save), save);
	return to;
}

/* Left by a meshd that died while it set them, or stopped: not whole, and no riddle. */
static bool is_known(const struct state *st, int family, enum variant v, const struct found *f)
{
	if (st->phase == STATE_APPLYING || st->phase == STATE_RELEASED)
		return true;
	return st->phase == STATE_IN && st->variant[family] == v && st->digest[family] == f->digest;
}

bool scene_is_changed(const struct state *st, int family, enum variant v, const struct found *f)
{
	return f->ours && !is_known(st, family, v, f) && ((st->phase == STATE_IN && st->variant[family] == v) || f->half[0] != '\0');
}

static bool is_wanted(const struct ruleset *set, const struct found *f)
{
	return set != NULL && found_digest(set) == f->digest;
}

static int refuse_one(int family, enum variant v, const struct found *f, const struct state *st, const struct ruleset *set, struct err *e)
{
	char place[48];

	scene_place(family, v, place);
	if (f->foreign[0] != '\0')
		return err_set(e, "interception: somebody else's rules catch connections already (%s): %s: take them out, "
		    "or put these in beside them with \"meshctl intercept apply --force\"", place, f->foreign);
	if (!scene_is_changed(st, family, v, f) || is_wanted(set, f))
		return 0;
	if (f->half[0] == '\0')
		return err_set(e, "interception: the rules of meshd (%s) are not as it put them in: somebody has changed chains MESHD_*, or the "
		    "jumps to them: take them out (meshctl intercept clear), or replace them (meshctl intercept apply --force)", place);
	return err_set(e, "interception: a part of meshd's rules is in (%s): %s: take it out (meshctl intercept clear), or replace "
	    "it (meshctl intercept apply --force)", place, f->half);
}

int scene_refuse(const struct scene *s, const struct state *st, struct ruleset *const sets[FAMILIES], struct err *e)
{
	struct found f;

	for (int k = 0; k < FAMILIES; k++) {
		for (int v = 0; v < VARIANTS; v++) {
			if (s->saved[k][v] == NULL)
				continue;
			found_look(s->saved[k][v], &f);
			if (refuse_one(k, (enum variant)v, &f, st, sets[k], e) == -1)
				return -1;
		}
	}
	return 0;
}

int scene_refuse_loop(const struct scene *s, const struct rules *r, struct err *e)
{
	char rule[400], chain[64], place[48];

	for (int k = 0; k < FAMILIES; k++) {
		for (int v = 0; v < VARIANTS; v++) {
			if (s->saved[k][v] == NULL || !found_loop(s->saved[k][v], r, rule, sizeof(rule), chain, sizeof(chain)))
				continue;
			scene_place(k, (enum variant)v, place);
			return err_set(e, "interception: the workers' own connections would come back to them and loop, by the rule "
			    "\"-t nat %s\" (%s): let them pass ahead of it: %s -t nat -I %s -m owner --uid-owner %u -j RETURN", rule, place,
			    strchr(place, ' ') + 1, chain, (unsigned)r->worker_uid);
		}
	}
	return 0;
}

void scene_guess_policy(const struct scene *s, uint32_t mark, uint32_t table, struct policy *p)
{
	struct found f;
	uint32_t found;

	*p = (struct policy){ .mark = mark, .table = table };
	for (int k = 0; k < FAMILIES; k++) {
		for (int v = 0; v < VARIANTS; v++) {
			if (s->saved[k][v] == NULL)
				continue;
			found_look(s->saved[k][v], &f);
			if (f.tproxy)
				p->routing |= policy_routing(iptables_af(k));
			if (f.tproxy && f.mark != 0)
				p->mark = f.mark;
			if (f.ours && k == FAMILY_IPV6)
				p->addresses = EVERY_SOURCE;
		}
	}
	if (p->routing != 0 && (found = policy_find_table(p->mark)) != 0)
		p->table = found;
}
