/* Running ip(8), iptables-save and the like: found where meshd itself looks, bounded in time and output. */
#pragma once

#include "common/err.h"

#include <limits.h>
#include <stdbool.h>

struct run {
	const char *const *argv;	/* [0] is the program's name */
	const char *input;		/* NULL: none */
	int netns;			/* of the network namespace to run in; -1: this one */
	bool empty_netns;		/* in a new one, of which nothing is left */
};

/* 0, *path_r (PATH_MAX); -1: not installed. */
int run_find(const char *name, char path_r[PATH_MAX]);

/*
 * 0: it ended with status 0, *out_r (may be NULL) is what it printed, malloc'ed.
 * -1: *e has what it said, in one line; errno is ENOENT where there is no such program.
 */
int run_program(const struct run *, char **out_r, struct err *e);
