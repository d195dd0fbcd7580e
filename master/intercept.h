/*
 * Setting and clearing interception rules: one iptables-restore transaction for each family, run as a child with a
 * deadline while the loop goes on.  Jobs are carried out one after the other, in order.
 */
#pragma once

#include "common/err.h"
#include "master/loop.h"
#include "master/rules.h"

#include <stdbool.h>

struct intercept;

struct intercept *intercept_open(struct loop *, struct err *e);
/* No job runs or waits. */
void intercept_close(struct intercept *);

/* Called once, perhaps before intercept_apply() or intercept_clear() returns.  ok: done (also: there was nothing to
 * clear).  Else *e says why, and what was in before is in still. */
typedef void intercept_done(void *arg, bool ok, const struct err *e);

/* Copies what it needs.  -1: no memory, and done is not called. */
int intercept_apply(struct intercept *, const struct rules *, intercept_done *, void *arg);
/* Nothing new is captured; what is open goes on, until intercept_clear(). */
int intercept_release(struct intercept *, intercept_done *, void *arg);
int intercept_clear(struct intercept *, intercept_done *, void *arg);

/* Connections are captured, as far as we know. */
bool intercept_is_applied(const struct intercept *);
/* Something of ours may be in the tables: rules, released ones, or those of a job that runs or waits. */
bool intercept_is_present(const struct intercept *);
