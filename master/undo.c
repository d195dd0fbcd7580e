/* Undoing what is not confirmed: see undo.h. */
#include "master/undo.h"

#include "common/log.h"
#include "master/intercept.h"
#include "master/loop.h"
#include "master/sole.h"
#include "master/state.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200		/* whether they are confirmed, or out */
#define GRACE_MS 500		/* the master does it itself, while it lives */
#define AGAIN_MS 5000		/* until it is done, or confirmed */

struct outcome {
	bool over, ok;
};

static bool is_due(const char *dir, uint64_t token)
{
	struct state s;

	state_read(dir, &s);
	return s.phase != STATE_NONE && s.token == token;
}

/* Somebody has come after a meshd that died, perhaps with another RUNDIR: that one sees to them, as long as it lives. */
static bool is_anothers(const char *dir)
{
	uint64_t holder = (uint64_t)sole_holder();
	struct state s;

	state_read(dir, &s);
	return holder != 0 && holder != s.pid;
}

static void done(void *arg, bool ok, const struct err *e)
{
	struct outcome *o = arg;

	if (!ok)
		log_error("interception rules that nobody has confirmed are still in: %s", e->text);
	*o = (struct outcome){ .over = true, .ok = ok };
}

static bool clear(const char *dir)
{
	static struct loop loop;
	struct outcome o = { .over = false };
	struct intercept *in;
	struct err e;

	loop_init(&loop);
	log_warning("interception rules were not confirmed in time, and meshd has not taken them out: they go out");
	if ((in = intercept_open(&loop, dir, &e)) == NULL || intercept_clear(in, true, done, &o) == -1) {
		log_error("interception rules that nobody has confirmed are still in: out of memory");
		return false;
	}
	while (!o.over)
		loop_turn(&loop);
	intercept_close(in);
	return o.ok;
}

static void watch(const char *dir, uint64_t token, uint64_t end_ms)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	while (is_due(dir, token)) {
		if (clock_ms() >= end_ms) {
			if (!is_anothers(dir) && clear(dir))
				return;
			end_ms = clock_ms() + AGAIN_MS;
		}
		nanosleep(&pause, NULL);
	}
}

/* The lock of RUNDIR, the mark that a worker lives, sockets: none of them is to seem to be held. */
static void leave(const char *dir, uint64_t token, uint64_t end_ms)
{
	setsid();
	close_range(STDERR_FILENO + 1, ~0u, 0);
	switch (fork()) {
	case -1:
		_exit(1);
	case 0:
		watch(dir, token, end_ms);
		_exit(0);
	default:
		_exit(0);
	}
}

int undo_start(const char *dir, uint64_t token, uint32_t in_ms, struct err *e)
{
	uint64_t end_ms = clock_ms() + in_ms + GRACE_MS;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		leave(dir, token, end_ms);
	if (pid == -1 || waitpid(pid, &status, 0) != pid || status != 0)
		return err_set(e, "interception: the process that would undo the rules cannot be started: %m");
	return 0;
}
