/* Taking up a generation: at the top of a turn, in place of the one before.  Connections copy what they need of an
 * image when they begin, so nothing holds the old one, and it is unmapped at once. */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct worker;

/* Takes the descriptor in every case.  -1: it does not map; the old one stays. */
int generation_adopt(struct worker *, int image_fd, uint64_t number, struct err *e);
