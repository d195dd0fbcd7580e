/*
 * Route configurations: each http filter says one, by its own keys; filters that give it one name share it.  What has no
 * default in its row gets one.
 */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"
#include "conf/report.h"

/* Fills all_routes: from then on, and with all_listeners whole. */
void routes_gather(struct config *, struct arena *, struct report *);

/* Where it is in all_routes, which has it. */
uint32_t routes_find(const struct config *, const char *name);
