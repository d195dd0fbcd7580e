/* From text to model, by the rows of keys.h.  Each reader has one function here. */
#pragma once

#include "conf/model.h"
#include "conf/report.h"
#include "conf/source.h"

struct reading;		/* what the model's strings live in */

/* -1: the text does not parse, *c is empty.  0: *c is filled as far as it could be; what is wrong is in the report.
 * Either way *reading_r goes to read_free() after the model's last use. */
int read_libconfig(const struct source *, struct config *c, struct arena *, struct report *, struct reading **reading_r);
void read_free(struct reading **);
