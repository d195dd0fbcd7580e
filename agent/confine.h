/*
 * What the agent may still do once it answers: use the descriptors that it has, take others by message, accept on the
 * admin socket.  It opens nothing, starts nothing, makes no socket of its own.
 */
#pragma once

#include "common/err.h"

/* After rights were dropped and the HTTP server was made.  -1: the kernel refuses the filter. */
int confine(struct err *e);
