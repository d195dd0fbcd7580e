/*
 * A system-call filter for a program of ours that has all it needs (seccomp(2), by libseccomp): what a room allows, and
 * what every program may do: its memory without executable pages, time, ending itself.  All else fails with EPERM: a
 * call that some libc makes for its own sake must not take the program down.
 *
 * For good, for this process and what it might start.  no_new_privs, or CAP_SYS_ADMIN, has to be there.
 */
#pragma once

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/* A call whose argument `arg`, under `mask`, has to be `value`, and the one after it `next_value` under `next_mask`.
 * Several for one call: one of them. */
struct cage_rule {
	int call;		/* SCMP_SYS(name) of <seccomp.h> */
	unsigned arg;
	uint64_t mask, value;
	uint64_t next_mask, next_value;		/* 0: not looked at */
};

#define CAGE_ARG(call, arg, mask, value) { SCMP_SYS(call), arg, mask, value, 0, 0 }

/* plain: calls that are harmless whatever their arguments.  -1: the kernel refuses the filter. */
int cage(const int *plain, size_t nplain, const struct cage_rule *rules, size_t nrules, struct err *e);
