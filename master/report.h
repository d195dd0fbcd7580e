/* Interception in lines for meshctl (common/control.h): what would be done, and what is. */
#pragma once

#include "common/err.h"
#include "master/intercept.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Both: a memfd, the caller's, at its start; text_r: a line that sums it up.  -1: *e says why.
 * The rules are those of the configuration, NULL: it has no intercept.
 */

/* After a look; in NULL: nobody has looked. */
int report_plan(const struct rules *, const struct intercept *in, char *text_r, size_t size, struct err *e);
/* After a look with counters.  rules NULL: there is no configuration; runs: the meshd whose rules they would be does. */
int report_status(const struct rules *, const struct intercept *in, bool runs, char *text_r, size_t size, struct err *e);
