/*
 * What no single key can tell: references, duplicates, addresses that two listeners want, chains that select the same,
 * names and numbers that the image cannot hold.  After it, with an empty report, compile() cannot fail.
 */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"
#include "conf/report.h"

void check(const struct config *, struct arena *, struct report *);

/* By check(); in check_binds.c, check_chains.c, check_intercept.c. */
void check_binds(const struct config *, struct report *);
void check_intercept(const struct intercept *, struct report *);
void check_chains(const struct config *, const struct listener *, struct arena *, struct report *);
