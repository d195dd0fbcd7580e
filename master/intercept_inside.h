/* The inside of intercept.h, for the files that are it: jobs (intercept.c), and what one of them does (intercept_decide.c). */
#pragma once

#include "master/intercept.h"

#define SLOTS (FAMILIES * VARIANTS)
#define GUESS_MARK  1337
#define GUESS_TABLE 133

enum job_kind { JOB_APPLY, JOB_RELEASE, JOB_CLEAR, JOB_LOOK };

struct job {
	enum job_kind kind;
	struct rules *rules;		/* of an apply: this job's */
	struct intercept_how how;
	bool counters;
	bool undoing;			/* an apply that has failed puts back what was in before */
	bool retried;			/* somebody changed the table between save and restore */
	struct err error;		/* of the apply, while undoing */
	intercept_done *done;
	void *arg;
	struct job *next;
};

enum step { STEP_LOOK, STEP_RESTORE, STEP_VERIFY };

struct intercept {
	struct loop *loop;
	const char *dir;
	struct job *jobs;		/* the first one runs */
	enum step step;
	int slot;			/* family and kind of iptables that is run */
	struct iptables_run run;
	struct scene scene;
	char *texts[FAMILIES][VARIANTS];	/* to be restored */
	enum variant chosen[FAMILIES];
	struct state state;
	struct state before;		/* this job */
	struct rules *last;		/* what is in, by this process */
	uint32_t guess_mark, guess_table;
	struct alarm revert;
	void (*reverted)(void *arg, bool ok);
	void *reverted_arg;
	bool applied, present;
};

/* What is to be in when the first job has ended; NULL: nothing. */
const struct rules *intercept_wanted(const struct intercept *);

/*
 * All has been looked at: makes the texts that are to be restored, notes what will be in, and puts in what has to be there
 * before rules.  -1: refused; *begun_r: something may be in already.
 */
int intercept_decide(struct intercept *, bool *begun_r, struct err *e);
