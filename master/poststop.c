/* After the master: see poststop.h. */
#include "master/poststop.h"

#include "common/confrun.h"
#include "common/control.h"
#include "common/image.h"
#include "common/log.h"
#include "common/program.h"
#include "master/intercept.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/rundir.h"
#include "master/sole.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200		/* whether a worker still lives */

struct outcome {
	bool over, ok;
};

/* ---- what to go by ---- */

/* The file may have been broken since; the running meshd has left its word in RUNDIR, if that is where it always is. */
static void read_settings(const struct options *o, struct fixed *f, enum image_on_exit *on_exit_r)
{
	char program[PATH_MAX];
	struct confrun_options how = {
		.program = program, .file = o->file, .folders = o->folders, .nfolders = o->nfolders,
		.user = geteuid() == 0 ? CONF_USER : NULL, .print_fd = -1,
	};
	int fd = -1, report = -1;
	struct image i;
	struct err e;

	snprintf(f->runtime_dir, sizeof(f->runtime_dir), "%s", RUNDIR_DEFAULT);
	*on_exit_r = ON_EXIT_BYPASS;
	if (program_find("meshd-conf", program, &e) == -1 || confrun(&how, &fd, &report, &e) == -1) {
		log_warning("%s: %s: runtime_dir is taken to be %s", o->file, e.text, RUNDIR_DEFAULT);
	} else if (image_map(fd, &i, &e) == 0) {
		if (image_verify(&i, &e) == 0) {
			snprintf(f->runtime_dir, sizeof(f->runtime_dir), "%s", image_text(&i, image_settings(&i)->runtime_dir));
			*on_exit_r = image_settings(&i)->intercept.on_exit;
		}
		image_unmap(&i);
	}
	if (fd != -1)
		close(fd);
	if (report != -1)
		close(report);
}

/* ---- taking them out ---- */

static void cleared(void *arg, bool ok, const struct err *e)
{
	struct outcome *o = arg;

	if (!ok)
		log_error("interception rules are still in: %s", e->text);
	*o = (struct outcome){ .over = true, .ok = ok };
}

static int clear(const char *dir)
{
	static struct loop loop;
	struct outcome o = { .over = false };
	struct intercept *in;
	struct err e;

	loop_init(&loop);
	if ((in = intercept_open(&loop, dir, &e)) == NULL || intercept_clear(in, true, cleared, &o) == -1) {
		log_error("interception rules are still in: out of memory");
		return 1;
	}
	while (!o.over)
		loop_turn(&loop);
	intercept_close(in);
	if (o.ok)
		log_notice("no worker lives: no interception rules are in");
	return o.ok ? 0 : 1;
}

/* ---- while workers serve ---- */

static void wait_and_clear(int alive, const char *dir)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	struct stat before, now;

	if (fstat(alive, &before) == -1)
		return;
	while (flock(alive, LOCK_EX | LOCK_NB) == -1) {
		nanosleep(&pause, NULL);
		/* another master is ready: the rules are its own now */
		if (fstat(alive, &now) == -1 || now.st_mtim.tv_sec != before.st_mtim.tv_sec ||
		    now.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
			return;
	}
	if (sole_holder() == 0)		/* else they are another's by now */
		clear(dir);
}

static int leave_waiting(int alive, const char *dir)
{
	log_notice("workers still serve: the interception rules stay until the last has ended");
	switch (fork()) {
	case -1:
		log_error("fork: %m: the interception rules stay");
		return 1;
	case 0:
		setsid();
		wait_and_clear(alive, dir);
		return 0;
	default:
		return 0;
	}
}

int post_stop(const struct options *o)
{
	static struct fixed f;
	enum image_on_exit on_exit;
	struct state state;
	int alive, status;
	pid_t other;

	read_settings(o, &f, &on_exit);
	if (rundir_is_locked(f.runtime_dir)) {
		log_error("%s: meshd runs: nothing is done", f.runtime_dir);
		return 1;
	}
	if ((other = sole_holder()) != 0) {
		log_notice("another meshd (pid %d) has the rules of this network namespace: nothing is done", (int)other);
		return 0;
	}
	alive = rundir_look(f.runtime_dir, &on_exit);
	state_read(f.runtime_dir, &state);
	if (state.phase != STATE_NONE && state.token != 0) {
		log_notice("the interception rules were not confirmed: they are not left in");
		on_exit = ON_EXIT_BYPASS;
	}
	if (on_exit == ON_EXIT_BLOCK) {
		log_notice("interception rules are left as they are (intercept.on_exit is \"block\"): what they catch fails");
		status = 0;
	} else if (alive != -1 && flock(alive, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		status = leave_waiting(alive, f.runtime_dir);
	} else {
		status = clear(f.runtime_dir);
	}
	if (alive != -1)
		close(alive);
	return status;
}
