/*
 * The one who takes out rules that nobody confirms: a process of its own, in no session, with nothing of the master's open,
 * which nobody's death ends.  It goes by the state file: when the token there is another, it has nothing to do any more.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

/* -1: there is none; then the rules must not go in. */
int undo_start(const char *dir, uint64_t token, uint32_t in_ms, struct err *e);
