/*
 * One meshd sets the rules of a network namespace: a second one would put its own in place of the first's, and take them
 * out when it stops.  The claim is an abstract unix socket (unix(7)): it belongs to the network namespace, and goes with
 * the process that holds it, however that ends.
 */
#pragma once

#include "common/err.h"

#include <sys/types.h>

/* The claim, CLOEXEC: never handed to a child.  -1: another root's meshd has it; *e names its pid.  A name that some other
 * user holds is no claim: *fd_r is -1 then, and the start goes on. */
int sole_claim(int *fd_r, struct err *e);
/* The root's process that has it; 0: none. */
pid_t sole_holder(void);
