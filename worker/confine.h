/*
 * What a worker may still do once it serves: a system-call filter (seccomp(2)), besides the ring's own (loop.h).  It
 * opens nothing, starts nothing, traces nobody, maps nothing executable; sockets are of IP only.  What is forbidden
 * fails with EPERM: a call that some libc makes for its own sake must not take the traffic down.
 */
#pragma once

#include "common/err.h"

/* After the rights were dropped (no_new_privs is set).  -1: the kernel refuses the filter. */
int confine(struct err *e);
