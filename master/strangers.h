/*
 * What runs as one of meshd's own users and is not meshd's: its connections would pass by the rules, unseen.  Only
 * processes in this network namespace count; a container elsewhere may use the same number.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct process {
	char name[16];
	char state;
	uid_t uid, socket_uid;		/* effective; and the one that its sockets get (fsuid) */
};

/* Of the text of /proc/PID/status.  -1: not one. */
int process_parse(const char *status, struct process *);

/* Workers and agents, of an earlier master too, are no strangers; nor is what has ended. */
bool process_is_stranger(const struct process *, uid_t worker_uid, uid_t agent_uid);

struct fixed;

/* -1: there is one, *e names it and the remedy. */
int strangers_refuse(const struct fixed *, struct err *e);
