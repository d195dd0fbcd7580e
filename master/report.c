/* Lines for meshctl: see report.h. */
#include "master/report.h"

#include "master/saved.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static FILE *begin(struct err *e)
{
	int fd = memfd_create("meshd-intercept", MFD_CLOEXEC);
	FILE *f = fd != -1 ? fdopen(fd, "w+") : NULL;

	if (f == NULL) {
		err_set(e, "no memory for the answer: %m");
		if (fd != -1)
			close(fd);
	}
	return f;
}

/* A descriptor of its own. */
static int end(FILE *f, struct err *e)
{
	int fd = fflush(f) == 0 && !ferror(f) ? dup(fileno(f)) : -1;

	if (fd == -1)
		err_set(e, "no memory for the answer: %m");
	else
		lseek(fd, 0, SEEK_SET);
	fclose(f);
	return fd;
}

/* ---- plan ---- */

static void plan_policy(FILE *f, const struct rules *r, int family)
{
	const struct policy p = { .mark = r->mark, .table = r->table };
	const char *name = iptables_family(family), *reason;
	char address[ADDR_STRLEN], text[POLICY_TEXT];
	int af;

	for (unsigned i = 0; family == FAMILY_IPV6 && i < r->inbound_sources; i++)
		fprintf(f, "plan\t%s\tip\tip -6 addr add %s dev lo preferred_lft 0\tthe source by which the application beside is called\n", name,
		    policy_source(AF_INET6, i, address));
	for (unsigned bit = 0; r->mode == INTERCEPT_TPROXY && rules_catch_inbound(r) &&
	    policy_words(&p, bit, "add", text, &af, &reason); bit++) {
		if (af == iptables_af(family))
			fprintf(f, "plan\t%s\tip\t%s\t%s\n", name, text, reason);
	}
}

static int plan_family(FILE *f, const struct rules *r, int family, struct err *e)
{
	struct ruleset *set = ruleset_make(r, iptables_af(family));

	if (set == NULL)
		return err_set(e, "out of memory");
	plan_policy(f, r, family);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct ruleset_row *row = &set->rows[i];

		if (row->text != NULL)
			fprintf(f, "plan\t%s\t%s\t-A %s %s\t%s\n", iptables_family(family), row->table, row->chain, row->text, row->reason);
	}
	ruleset_free(set);
	return 0;
}

static enum variant chosen(const struct rules *r, const struct scene *s, int family)
{
	return iptables_family_is_there(family) ? iptables_choose(r->iptables, s->saved[family]) : VARIANTS;
}

/* What applying would say now. */
static int plan_findings(FILE *f, const struct rules *r, const struct intercept *in)
{
	const struct scene *s = intercept_scene(in);
	struct ruleset *sets[FAMILIES] = { NULL };
	struct err why;
	int result = 0;

	for (int k = 0; k < FAMILIES && result == 0; k++) {
		if (chosen(r, s, k) != VARIANTS && (sets[k] = ruleset_make(r, iptables_af(k))) == NULL)
			result = -1;
	}
	if (result == 0 && scene_refuse(s, intercept_state(in), sets, &why) == -1)
		fprintf(f, "finding\t%s\n", why.text);
	for (int k = 0; k < FAMILIES; k++)
		ruleset_free(sets[k]);
	return result;
}

/* "IPv4 by iptables-nft-restore, IPv6 by ip6tables-nft-restore, each in one document" */
static void plan_text(const struct rules *r, const struct intercept *in, char *text, size_t size)
{
	size_t used = 0;

	if (in == NULL) {
		snprintf(text, size, "what is there already is looked at by root only");
		return;
	}
	for (int k = 0; k < FAMILIES; k++) {
		enum variant v = chosen(r, intercept_scene(in), k);

		used += (size_t)snprintf(text + used, size - used, "%s%s %s%s", k > 0 ? ", " : "", k == FAMILY_IPV4 ? "IPv4" : "IPv6",
		    v == VARIANTS ? "not at all" : "by ", v == VARIANTS ? "" : iptables_program(v, k, IPTABLES_RESTORE));
	}
	snprintf(text + used, size - used, ", each in one document");
}

int report_plan(const struct rules *r, const struct intercept *in, char *text, size_t size, struct err *e)
{
	FILE *f;

	if (r == NULL || r->mode == INTERCEPT_NONE)
		return err_set(e, "the configuration sets no rules (%s)", r == NULL ? "it has no intercept" : "intercept.mode");
	if ((f = begin(e)) == NULL)
		return -1;
	for (int k = 0; k < FAMILIES; k++) {
		if (plan_family(f, r, k, e) == -1) {
			fclose(f);
			return -1;
		}
	}
	if (in != NULL && plan_findings(f, r, in) == -1) {
		fclose(f);
		return err_set(e, "out of memory");
	}
	plan_text(r, in, text, size);
	return end(f, e);
}

/* ---- status ---- */

struct sum {
	bool ours, captures, half;
};

static void list_rules(FILE *f, const char *saved, int family, enum variant v)
{
	struct saved s = saved_begin(saved);

	while (saved_next(&s)) {
		if (s.is_rule && (ruleset_owns(s.chain) || ruleset_owns(s.target)))
			fprintf(f, "rule\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%.*s\n", iptables_family(family), iptables_variant(v),
			    s.table, s.chain, s.packets, s.bytes, s.length, s.rule);
	}
}

static void look(FILE *f, const struct scene *s, const struct state *st, struct sum *sum)
{
	char place[48];
	struct found found;

	for (int k = 0; k < FAMILIES; k++) {
		for (int v = 0; v < VARIANTS; v++) {
			if (s->saved[k][v] == NULL)
				continue;
			found_look(s->saved[k][v], &found);
			list_rules(f, s->saved[k][v], k, (enum variant)v);
			sum->ours |= found.ours;
			sum->captures |= found.captures;
			scene_place(k, (enum variant)v, place);
			if (found.foreign[0] != '\0')
				fprintf(f, "finding\tsomebody else's rules catch connections (%s): %s\n", place, found.foreign);
			if (!scene_is_changed(st, k, (enum variant)v, &found))
				continue;
			sum->half = true;
			fprintf(f, "finding\tmeshd's rules are not whole (%s): %s\n", place,
			    found.half[0] != '\0' ? found.half : "they are not as meshd has put them in");
		}
	}
}

static bool is_alive(const struct state *st)
{
	return st->pid != 0 && (kill((pid_t)st->pid, 0) == 0 || errno == EPERM);
}

/* In the words by which it was added. */
static void note_beside(FILE *f, const struct policy *p)
{
	char address[ADDR_STRLEN], text[POLICY_TEXT];
	const char *reason;
	int af;

	for (unsigned i = 0; i < 32; i++) {
		if (p->addresses & 1u << i)
			fprintf(f, "fact\tbeside\tip -6 addr add %s dev lo\n", policy_source(AF_INET6, i, address));
	}
	for (unsigned bit = 0; policy_words(p, bit, "add", text, &af, &reason); bit++) {
		if (p->routing & 1u << bit)
			fprintf(f, "fact\tbeside\t%s\n", text);
	}
}

static void note_state(FILE *f, const struct state *st, bool runs)
{
	uint64_t now = (uint64_t)time(NULL);

	if (st->phase == STATE_NONE)
		return;
	fprintf(f, "fact\tversion\t%s\nfact\tpid\t%" PRIu64 "\nfact\tmeshd\t%s\n", st->version, st->pid,
	    (runs && st->pid == (uint64_t)getpid()) || is_alive(st) ? "runs" : "is gone");
	fprintf(f, "fact\tgeneration\t%" PRIu64 "\nfact\tsince\t%" PRIu64 "\nfact\tage_s\t%" PRIu64 "\n", st->generation, st->since,
	    now > st->since ? now - st->since : 0);
	for (int k = 0; k < FAMILIES; k++) {
		if (st->variant[k] != VARIANTS)
			fprintf(f, "fact\t%s\t%s\n", iptables_family(k), iptables_variant(st->variant[k]));
	}
	if (st->token != 0)
		fprintf(f, "fact\tunconfirmed_s\t%" PRIu64 "\n", st->until > now ? st->until - now : 0);
	note_beside(f, &st->policy);
}

static const char *word_for(const struct sum *s, const struct state *st)
{
	if (!s->ours)
		return st->phase == STATE_IN ? "lost" : "out";
	if (s->half)
		return "partly";
	return s->captures && st->phase != STATE_RELEASED ? "in" : "released";
}

int report_status(const struct rules *r, const struct intercept *in, bool runs, char *text, size_t size, struct err *e)
{
	const struct scene *s = intercept_scene(in);
	const struct state nobodys = { .phase = STATE_NONE }, *st = intercept_state(in);
	struct sum sum = { .ours = false };
	FILE *f = begin(e);
	struct err why;
	const char *word;

	if (f == NULL)
		return -1;
	if (state_is_elsewhere(st)) {
		fprintf(f, "finding\tthe note in runtime_dir is of another network namespace\n");
		st = &nobodys;
	}
	look(f, s, st, &sum);
	if (r != NULL && r->mode == INTERCEPT_NONE && scene_refuse_loop(s, r, &why) == -1)
		fprintf(f, "finding\t%s\n", why.text);
	for (int k = 0; k < FAMILIES; k++) {
		if (s->why[k].text[0] != '\0')
			fprintf(f, "finding\t%s\n", s->why[k].text);
	}
	word = word_for(&sum, st);
	if (strcmp(word, "lost") == 0)
		fprintf(f, "finding\tmeshd's rules were in, and somebody has taken them out: meshctl intercept apply puts them in again\n");
	fprintf(f, "fact\trules\t%s\n", strcmp(word, "lost") == 0 ? "out" : word);
	note_state(f, st, runs);
	snprintf(text, size, "interception rules: %s", word);
	return end(f, e);
}
