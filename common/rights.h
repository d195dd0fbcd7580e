/* Giving up root: the users that workers and the agent become. */
#pragma once

#include "common/err.h"

/*
 * Becomes that user with its own group and no other, for good: no_new_privs, and not dumpable, so that no process of the
 * same user can trace this one (sanitizer builds stay dumpable: their leak checker traces).  Nothing to do where root was
 * given up before.  -1: no such user, or the kernel refuses.
 */
int rights_drop(const char *user, struct err *e);
