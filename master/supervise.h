/*
 * Children: starting, watching by pidfd, starting again, and what each has been sent.  What a child is to know is kept
 * as a state (newest generation, log file, drain), not as a queue of messages: one that does not read costs nothing,
 * and when it reads again it gets the newest of each.
 */
#pragma once

#include "common/err.h"
#include "common/live.h"
#include "master/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_DEATHS 10			/* within CHILD_DEATHS_MS: a start fails, an agent is started again only after a pause */
#define CHILD_DEATHS_MS 10000

struct master;
struct sent;

struct child {
	struct master *m;
	bool is_agent;
	uint32_t index;			/* of a worker */
	char name[16];			/* "worker 3", "agent" */

	pid_t pid;			/* 0: it does not run */
	int pidfd;
	int control;			/* -1: none, or it has hung up */
	struct source end, messages;

	uint64_t sent;			/* generation; 0: none */
	bool adopted;			/* has said so since it was started */
	bool log_file_wanted;		/* agent: has to be told of the log file */
	bool drain_wanted, drain_sent;
	bool killed;			/* by us */
	uint32_t drain_ms;
	char failed[240];		/* what its WIRE_FAILED said */
	char why[96];			/* we have ended it, though not to stop; "": we have not */
	uint64_t ping;			/* the number of the latest (watchdog.h) */
	bool pinged;			/* with that number; else its socket was full */
	unsigned unanswered;		/* for how many seconds; 0: it is answered */

	uint64_t deaths_ms[CHILD_DEATHS];	/* the latest ones, a ring */
	unsigned ndeaths;
	uint64_t pause_ms;		/* grows while it goes on dying */
	struct alarm again;
};

void child_init(struct child *, struct master *, bool is_agent, uint32_t index);
/* -1: it does not run; it is tried again after a pause only by child_start_again(). */
int child_start(struct child *, struct err *e);
/* Sends what it has not been told yet, as far as it takes it. */
void child_tell(struct child *);
void child_drain(struct child *, uint32_t ms);
void child_kill(struct child *);

/* The number of the newest generation that this worker says it uses, at most what it was sent; 0: none. */
uint64_t child_adopted(const struct child *);

void children_sent(const struct master *, struct sent *sent_r);
void workers_tell(struct master *);
unsigned workers_running(const struct master *);
