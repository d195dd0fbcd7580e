/*
 * What a program of ours inherits from the one that started it: an index (argv[1]) and a list of named descriptors,
 * from 3 upwards, in the form of sd_listen_fds_with_names(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES.  Nothing else:
 * descriptors 0 to 2 are /dev/null, stdout and stderr of the starter, every other one is closed before exec.
 * First start, respawn and, later, upgrade use this one list.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* The names, each said once.  Several descriptors may bear one name; their order is kept. */
#define HERITAGE_CONTROL "control"	/* SOCK_SEQPACKET to the master (common/wire.h): worker, agent */
#define HERITAGE_LIVE    "live"		/* memfd, read-write (common/live.h): worker, agent */
#define HERITAGE_LOG     "log"		/* pipe: a worker's write end; in the agent the read ends, in worker order */
#define HERITAGE_LISTEN  "listen"	/* bound, listening sockets; which one it is, getsockname(2) tells: worker */
#define HERITAGE_SPREAD  "spread"	/* array map of loads (master/spread.h), LIVE_WORKERS_MAX words; absent without bpf: worker */
#define HERITAGE_ALIVE   "alive"	/* RUNDIR/alive with a shared lock on it, until the last who has it ends: worker */
#define HERITAGE_ADMIN   "admin"	/* RUNDIR/admin.sock, listening: agent */
#define HERITAGE_LOGFILE "logfile"	/* the access log, O_APPEND; absent when it is off: agent */
#define HERITAGE_ASK     "ask"		/* SOCK_SEQPACKET to the starter (common/ask.h): meshd-conf */
#define HERITAGE_IMAGE   "image"	/* memfd to fill: meshd-conf */
#define HERITAGE_REPORT  "report"	/* errors go here, a line each: meshd-conf */
#define HERITAGE_PRINT   "print"	/* the expanded configuration goes here, if present: meshd-conf */

#define HERITAGE_MAX 1000		/* descriptors; a worker has one listening socket for each bound address */

/* ---- in the child ---- */

struct heritage {
	int n;
	struct heritage_fd {
		char name[16];
		int fd;		/* CLOEXEC is set; -1 once taken */
	} fds[HERITAGE_MAX];
};

/* Reads the environment and clears it.  -1: not started by one of ours (LISTEN_PID is not this process, or a
 * descriptor in the list is not open); *e says what is wrong. */
int heritage_receive(struct heritage *, struct err *e);

/* The first descriptor of that name, which the caller owns from then on.  -1: none (left). */
int heritage_take(struct heritage *, const char *name);

/* ---- in the parent ---- */

struct heritage_gift {
	const char *name;
	int fd;			/* stays the caller's */
};

struct heritage_spawn {
	const char *path;		/* absolute */
	char *const *argv;		/* NULL-terminated */
	const struct heritage_gift *gifts;
	int ngifts;
	/* Runs in the child between fork and exec (drop rights, set limits); async-signal-safe calls only.
	 * A non-zero return ends the child with status 127.  NULL: nothing to do. */
	int (*prepare)(void *arg);
	void *arg;
};

/* fork + exec.  Signal mask and handlers are as exec leaves them with an empty mask; PR_SET_PDEATHSIG is not set (a
 * child outlives its master for orphan_timeout).  *pidfd_r is CLOEXEC.  -1: nothing was started. */
int heritage_spawn(const struct heritage_spawn *, pid_t *pid_r, int *pidfd_r, struct err *e);
