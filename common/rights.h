/* Giving up root: the users that workers and the agent become. */
#pragma once

#include "common/err.h"

#include <stdint.h>

/*
 * Becomes that user with its own group and no other, for good: no_new_privs, and not dumpable, so that no process of the
 * same user can trace this one (sanitizer builds stay dumpable: their leak checker traces).  Of root's capabilities only
 * those of `keep` stay, a bit 1 << CAP_... for each (capabilities(7)).  Nothing to do where root was given up before.
 * -1: no such user, or the kernel refuses.
 */
int rights_drop(const char *user, uint32_t keep, struct err *e);
