/*
 * The master: what its rooms share.  One in the process, made in main.c.  A way through its life: loading the first
 * configuration -> workers adopt -> rules -> running -> captures end -> workers drain -> rules out -> the agent writes the
 * rest -> over.
 */
#pragma once

#include "common/err.h"
#include "common/image.h"
#include "common/live.h"
#include "master/crashes.h"
#include "master/intercept.h"
#include "master/loop.h"
#include "master/rollback.h"
#include "master/supervise.h"

#include <limits.h>
#include <sys/types.h>

struct addresses;
struct control;
struct generations;
struct listing;
struct reload;
struct sockets;
struct spread;
struct watchdog;

enum phase {
	PHASE_LOADING,		/* the first configuration */
	PHASE_ADOPTING,		/* workers bind and take up generation 1 */
	PHASE_RULES,		/* the agent is there, interception rules go in */
	PHASE_RUNNING,
	PHASE_RELEASING,	/* stopping: nothing is captured any more */
	PHASE_DRAINING,		/* stopping: workers serve what is open */
	PHASE_CLEARING,		/* stopping: what is left of the rules goes */
	PHASE_LAST_LINES,	/* stopping: the agent writes what is left in the pipes */
	PHASE_OVER,
};

struct options {
	const char *file;		/* -c, as the user named it */
	const char **folders;		/* its folder and each -I */
	int nfolders;
};

/* What only a restart changes. */
struct fixed {
	char user[64], agent_user[64], admin_group[64];
	char runtime_dir[PATH_MAX];
	uint32_t workers_wanted;	/* as configured: 0 is one for each core */
	struct image_intercept intercept;	/* what of it only a restart changes; the ranges are of no image */
	uid_t worker_uid, agent_uid;
	gid_t worker_gid, admin_gid;
};

struct master {
	struct options options;
	struct loop loop;
	enum phase phase;
	int exit_status;
	bool hurry;			/* a second SIGTERM */
	bool keep_rules;		/* over the stop */

	struct fixed fixed;
	int lock_fd, alive_fd;			/* of RUNDIR, see rundir.h */
	int sole_fd;				/* the claim on this network namespace, see sole.h; -1: none */
	bool beside_orphans;			/* workers of a master that died may serve the same ports */
	bool made_runtime_dir;
	bool rules_left;			/* rules may be in that nobody has in hand */

	struct live live;
	int live_fd;
	uint32_t workers;
	struct generations *generations;
	struct sockets *sockets;
	struct spread *spread;			/* NULL: bpf(2) is not to be had */
	struct reload *reload;
	struct control *control;
	struct intercept *intercept;
	struct listing *listing;
	struct watchdog *watchdog;
	struct addresses *addresses;

	struct child worker[LIVE_WORKERS_MAX];
	struct child agent;
	struct crashes crashes;
	struct deaths deaths;
	bool went_back;				/* the generation before was published again, or there was none */
	char worker_program[PATH_MAX], agent_program[PATH_MAX];
	int log_pipe[LIVE_WORKERS_MAX][2];	/* read end, write end; kept over a worker's death */
	int admin_fd;
	int log_file;			/* the access log; -1: off */
	char log_path[PATH_MAX];

	uint64_t rules_generation;	/* rules wait for this generation to be adopted; 0: none do */
	bool rules_running;
	struct source signals;
	struct alarm tick;		/* while something is held or not adopted yet: messages may get lost, the table not */
	struct alarm limit;		/* of a phase of start or stop */
};

/* The first configuration is good: makes everything that hangs on it, ahead of publishing. */
int master_set_up(struct master *, const struct image *, struct err *e);
/* Generation 1 is published: starts the workers. */
int master_begin(struct master *, struct err *e);
/* Runs until it is over; the exit status. */
int master_run(struct master *);

/* Something may have been adopted, or somebody died. */
void master_settle(struct master *);
/* The oldest generation that a worker may still use; 0: one uses none yet. */
uint64_t master_slowest(const struct master *);
/* Who has not adopted this generation: "worker 1, worker 3". */
void master_name_slow(const struct master *, uint64_t number, char *text_r, size_t size);

/* Ends the start with an error, undoing what was done. */
void master_fail_start(struct master *, const char *why);
/* Stops with status 1; what becomes of the rules, the configuration says (intercept.on_exit). */
void master_give_up(struct master *, const char *why);
void master_stop(struct master *);
void master_stop_at_once(struct master *);	/* it is stopping already */
void master_stop_late(struct master *);		/* its `limit` has rung while it stops */
/* A worker or the agent has ended. */
void master_child_ended(struct master *);

/* The agent is there: puts the rules in, where they are to come by themselves, and runs. */
void master_first_rules(struct master *);
/* It is ready. */
void master_run_now(struct master *);
/* Sets interception as the newest generation has it.  -1: it is not begun, and done is not called; *e says why. */
int master_apply_rules(struct master *, const struct intercept_how *, intercept_done *done, void *arg, struct err *e);
/* The rules of an image.  NULL: they cannot be had, *e says why. */
struct rules *master_read_rules(const struct master *, const struct image *, struct err *e);
/* All workers have adopted a generation that changes rules. */
void master_change_rules(struct master *);
void master_set_intercepting(struct master *);

/* The access log.  -1: it cannot be opened. */
int log_file_open(const char *path, struct err *e);
/* Takes fd, -1: off; the agent is told. */
void master_set_log_file(struct master *, int fd, const char *path);
/* It may have been renamed. */
void master_reopen_log(struct master *);

static inline bool master_stopping(const struct master *m)
{
	return m->phase >= PHASE_RELEASING;
}

