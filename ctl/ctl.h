/*
 * meshctl: what its commands share.  A command takes its operands and flags from struct ctl, asks the agent or the
 * master, and speaks to an output (output.h) that it does not know the form of.  It returns the exit status:
 * 0 done, 1 failed (it has said why), 2 not used as it should be.
 */
#pragma once

#include "common/addr.h"
#include "ctl/output.h"

#include <stdbool.h>
#include <stdint.h>

#define CTL_FLAGS_MAX 12

struct flag {
	const char *name;	/* --name, or -n where it is one letter */
	const char *value;	/* how the manual calls it; NULL: a switch, which may be given =true or =false */
	const char *words;
	bool repeated;
};

struct command {
	const char *name, *alias;
	const struct command *sub;	/* ends with an empty one; its name is the next operand */
	int (*run)(struct ctl *);	/* beside `sub`: without such an operand */
	const char *operands;		/* for the usage line */
	int least, most;		/* how many */
	const struct flag *flags;	/* ends with an empty one */
	const char *words;
};

struct ctl {
	const char *rundir;
	struct output *out;
	const struct command *parent, *command;	/* parent: whose subcommand it is, NULL: nobody's */
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
/* Of a flag that is one of these words (NULL ends them), in whatever case.  0: it is, or is not given; -1: it is said. */
int ctl_word(const struct ctl *, const char *name, const char *const *words);
/* Of a flag that is an IP address, as meshd writes it: 0, *address_r is NULL where it is not given; -1: not one, it is said. */
int ctl_address(const struct ctl *, const char *name, char to[ADDR_STRLEN], const char **address_r);
/* Of a flag that is a time, "250ms" to "2h" and at most most_ms: 0, *ms_r is set where it is given; -1: not one, it is said. */
int ctl_duration(const struct ctl *, const char *name, uint32_t most_ms, uint32_t *ms_r);
/* A number and nothing else.  False: it is none, or past `most`. */
bool ctl_number(const char *text, uint64_t most, uint64_t *number_r);

/* "meshctl: words" on stderr. */
void ctl_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Lines "file:line: path: reason" that come with a refusal go to stderr as they are.  fd stays the caller's. */
void ctl_copy_report(int fd);

/* The commands. */
int command_stats(struct ctl *);
int command_status(struct ctl *);
int command_generations(struct ctl *);
int command_version(struct ctl *);
int command_listener(struct ctl *);
int command_cluster(struct ctl *);
int command_route(struct ctl *);
int command_endpoint(struct ctl *);
int command_all(struct ctl *);
int command_reload(struct ctl *);
int command_intercept_apply(struct ctl *);
int command_intercept_confirm(struct ctl *);
int command_intercept_clear(struct ctl *);
int command_intercept_plan(struct ctl *);
int command_intercept_status(struct ctl *);
int command_intercept_verify(struct ctl *);
int command_doctor(struct ctl *);
int command_check(struct ctl *);
int command_connections(struct ctl *);
int command_connections_kill(struct ctl *);
int command_crashes(struct ctl *);
int command_drain(struct ctl *);
int command_names(struct ctl *);
