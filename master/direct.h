/* meshd --intercept VERB: interception without a running meshd, for meshctl and for whoever has to clean up after one. */
#pragma once

#include <stdbool.h>

struct options;

enum direct_verb { DIRECT_NONE, DIRECT_PLAN, DIRECT_STATUS, DIRECT_CLEAR };

/* DIRECT_NONE: no such verb. */
enum direct_verb direct_verb(const char *word);

/* rundir NULL: of the configuration, or else the usual one.  The lines go to stdout, the exit status is returned. */
int direct(const struct options *, enum direct_verb, const char *rundir, bool force);
