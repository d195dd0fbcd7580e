/*
 * meshctl: what its commands share.  A command takes its operands and flags from struct ctl, asks the agent or the
 * master, and speaks to an output (output.h) that it does not know the form of.  It returns the exit status:
 * 0 done, 1 failed (it has said why), 2 not used as it should be.
 */
#pragma once

#include "ctl/output.h"

#include <stdbool.h>
#include <stdint.h>

#define CTL_FLAGS_MAX 8

struct flag {
	const char *name;	/* --name, or -n where it is one letter */
	const char *value;	/* how the manual calls it; NULL: a switch, which may be given =true or =false */
	const char *words;
	bool repeated;
};

struct command {
	const char *name, *alias;
	const struct command *sub;	/* ends with an empty one; its name is the next operand */
	int (*run)(struct ctl *);
	const char *operands;		/* for the usage line */
	int least, most;		/* how many */
	const struct flag *flags;	/* ends with an empty one */
	const char *words;
};

struct ctl {
	const char *rundir;
	struct output *out;
	const struct command *command;
	const char *given[CTL_FLAGS_MAX];	/* in the order of command->flags; NULL: not given */
	const char *folders[16];		/* of the repeated flag */
	int nfolders;
	int noperands;
	char **operands;
};

/* The value of one of the command's flags; NULL: not given. */
const char *ctl_flag(const struct ctl *, const char *name);
/* Of a switch. */
bool ctl_switch(const struct ctl *, const char *name, bool otherwise);
/* Of a flag that is a port.  0: not given; -1: not one, it is said. */
int ctl_port(const struct ctl *, const char *name);

/* "meshctl: words" on stderr. */
void ctl_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The commands. */
int command_stats(struct ctl *);
int command_status(struct ctl *);
int command_generations(struct ctl *);
int command_version(struct ctl *);
int command_listener(struct ctl *);
int command_cluster(struct ctl *);
int command_endpoint(struct ctl *);
int command_all(struct ctl *);
int command_reload(struct ctl *);
int command_intercept_apply(struct ctl *);
int command_intercept_clear(struct ctl *);
int command_check(struct ctl *);
