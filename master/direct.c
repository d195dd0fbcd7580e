/* Interception without a running meshd: see direct.h. */
#include "master/direct.h"

#include "common/confrun.h"
#include "common/control.h"
#include "common/image.h"
#include "common/program.h"
#include "master/intercept.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/report.h"
#include "master/rundir.h"
#include "master/sole.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct outcome {
	bool over, ok;
	struct err error;
};

static const struct {
	const char *word;
	enum direct_verb verb;
} verbs[] = { { "plan", DIRECT_PLAN }, { "status", DIRECT_STATUS }, { "clear", DIRECT_CLEAR } };

enum direct_verb direct_verb(const char *word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(word, verbs[i].word) == 0)
			return verbs[i].verb;
	}
	return DIRECT_NONE;
}

static int fail(const char *why)
{
	fprintf(stderr, "meshd: %s\n", why);
	return 1;
}

static void copy(int fd, FILE *to)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		fwrite(bytes, 1, (size_t)n, to);
}

/* ---- the configuration ---- */

/* 0: *i is mapped; 1: all is said. */
static int load(const struct options *o, struct image *i)
{
	char program[PATH_MAX];
	struct confrun_options how = { .program = program, .file = o->file, .folders = o->folders, .nfolders = o->nfolders,
		.user = geteuid() == 0 ? CONF_USER : NULL, .print_fd = -1 };
	int fd = -1, report = -1, r = 1;
	struct err e;

	if (program_find("meshd-conf", program, &e) == -1)
		return fail(e.text);
	if (confrun(&how, &fd, &report, &e) == -1) {
		if (report == -1)
			return fail(e.text);
		copy(report, stderr);
	} else if (image_map(fd, i, &e) == -1) {
		fail(e.text);
	} else if (image_verify(i, &e) == -1) {
		image_unmap(i);
		fail(e.text);
	} else {
		r = 0;
	}
	if (fd != -1)
		close(fd);
	close(report);
	return r;
}

/* Of the configuration, where one is named.  0, or 1: all is said. */
static int read_configuration(const struct options *o, struct fixed *f, struct rules **rules_r)
{
	struct rules_users who;
	struct image i;
	struct err e;
	int r = 0;

	*rules_r = NULL;
	snprintf(f->runtime_dir, sizeof(f->runtime_dir), "%s", RUNDIR_DEFAULT);
	if (o->file == NULL)
		return 0;
	if (load(o, &i) != 0)
		return 1;
	if (fixed_read(f, &i, &e) == -1) {
		r = fail(e.text);
	} else if (image_settings(&i)->intercept.configured) {
		who = (struct rules_users){ f->worker_uid, f->agent_uid, f->worker_gid };
		if ((*rules_r = rules_read(&i, &who, &e)) == NULL)
			r = fail(e.text);
	}
	image_unmap(&i);
	return r;
}

/* ---- verbs ---- */

static void done(void *arg, bool ok, const struct err *e)
{
	struct outcome *o = arg;

	o->over = true;
	o->ok = ok;
	if (!ok)
		o->error = *e;
}

static int show(int fd, const char *text, const struct err *e)
{
	if (fd == -1)
		return fail(e->text);
	printf("text\t%s\n", text);
	copy(fd, stdout);
	close(fd);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* Somebody who is not root may see what would be done. */
static int show_plan(const struct rules *r, const struct intercept *in)
{
	char text[400];
	struct err e;
	int fd = report_plan(r, in, text, sizeof(text), &e);

	return show(fd, text, &e);
}

static int finish(const struct rules *r, const struct intercept *in, enum direct_verb verb, bool runs)
{
	char text[400];
	struct err e;
	int fd;

	if (verb == DIRECT_PLAN)
		return show_plan(r, in);
	if (verb == DIRECT_CLEAR) {
		printf("text\tinterception rules are out\n");
		return 0;
	}
	fd = report_status(r, in, runs, text, sizeof(text), &e);
	return show(fd, text, &e);
}

struct look {
	const struct rules *rules;
	struct intercept *in;
	enum direct_verb verb;
	bool runs;
	int status;
	struct outcome outcome;
};

/* The scene is there only now. */
static void looked(void *arg, bool ok, const struct err *e)
{
	struct look *l = arg;

	done(&l->outcome, ok, e);
	if (ok)
		l->status = finish(l->rules, l->in, l->verb, l->runs);
}

static int carry_out(struct loop *loop, struct look *l, bool force)
{
	int r = l->verb == DIRECT_CLEAR ? intercept_clear(l->in, force, looked, l) :
	    intercept_look(l->in, l->verb == DIRECT_STATUS, looked, l);

	if (r == -1)
		return fail("out of memory");
	while (!l->outcome.over)
		loop_turn(loop);
	return l->outcome.ok ? l->status : fail(l->outcome.error.text);
}

/* The rules are those of one that lives. */
static int refuse_beside(const char *dir, bool runs)
{
	char text[PATH_MAX + 120];
	pid_t pid = sole_holder();

	if (!runs && pid == 0)
		return 0;
	if (runs)
		snprintf(text, sizeof(text), "%s: meshd runs: \"meshctl intercept clear\" asks it to take the rules out", dir);
	else
		snprintf(text, sizeof(text), "another meshd (pid %d) has rules in this network namespace: ask it (meshctl -r its runtime_dir)",
		    (int)pid);
	return fail(text);
}

static int run(const struct rules *r, const char *dir, enum direct_verb verb, bool force)
{
	static struct loop loop;
	struct look l = { .rules = r, .verb = verb, .runs = rundir_is_locked(dir) };
	struct err e;
	int status;

	if (geteuid() != 0)
		return verb == DIRECT_PLAN ? show_plan(r, NULL) : fail("only root can look at the rules of this host");
	if (verb == DIRECT_CLEAR && !force && refuse_beside(dir, l.runs) != 0)
		return 1;
	loop_init(&loop);
	if ((l.in = intercept_open(&loop, dir, &e)) == NULL)
		return fail(e.text);
	if (r != NULL)
		intercept_guess(l.in, r->mark, r->table);
	status = carry_out(&loop, &l, force);
	intercept_close(l.in);
	return status;
}

int direct(const struct options *o, enum direct_verb verb, const char *rundir, bool force)
{
	static struct fixed f;
	struct rules *r;
	int status;

	if (verb == DIRECT_PLAN && o->file == NULL)
		return fail("--intercept plan: of which configuration? (-c)");
	if (read_configuration(o, &f, &r) != 0)
		return 1;
	status = run(r, rundir != NULL ? rundir : f.runtime_dir, verb, force);
	rules_free(r);
	return status;
}
