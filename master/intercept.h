/*
 * Setting and clearing interception rules: one iptables-restore document for each family, run as a child with a deadline
 * while the loop goes on.  Jobs are carried out one after the other, in order.  What is in is noted in the state file.
 */
#pragma once

#include "common/err.h"
#include "master/loop.h"
#include "master/rules.h"
#include "master/scene.h"
#include "master/state.h"

#include <stdbool.h>
#include <stdint.h>

struct intercept;

/* dir: RUNDIR, for the state file; the text stays the caller's. */
struct intercept *intercept_open(struct loop *, const char *dir, struct err *e);
/* No job runs or waits. */
void intercept_close(struct intercept *);
/* Rules that nobody has confirmed have gone out, or were to. */
void intercept_on_revert(struct intercept *, void (*reverted)(void *arg, bool ok), void *arg);
/* TPROXY's, where neither the state file nor the rules say which; else Istio's. */
void intercept_guess(struct intercept *, uint32_t mark, uint32_t table);

/* Called once, perhaps before intercept_apply() or intercept_clear() returns.  ok: done (also: there was nothing to
 * clear).  Else *e says why, and what was in before is in still. */
typedef void intercept_done(void *arg, bool ok, const struct err *e);

struct intercept_how {
	uint64_t generation;
	bool force;			/* whatever is there */
	bool confirmed;			/* these stay, even if those that they replace were to be confirmed */
	uint32_t confirm_ms;		/* not 0: out again by then, unless confirmed */
};

/* The rules are its own from then on, even when it fails.  -1: no memory, and done is not called. */
int intercept_apply(struct intercept *, struct rules *, const struct intercept_how *, intercept_done *, void *arg);
/* Nothing new is captured; what is open goes on, until intercept_clear(). */
int intercept_release(struct intercept *, intercept_done *, void *arg);
/* force: even where the state file is another network namespace's. */
int intercept_clear(struct intercept *, bool force, intercept_done *, void *arg);
/* Only looks: intercept_scene() is for done().  counters: with packets and bytes. */
int intercept_look(struct intercept *, bool counters, intercept_done *, void *arg);
/* They stay.  -1: there is nothing to confirm, or that cannot be noted. */
int intercept_confirm(struct intercept *, struct err *e);

const struct scene *intercept_scene(const struct intercept *);
const struct state *intercept_state(const struct intercept *);
/* Connections are captured, as far as we know. */
bool intercept_is_applied(const struct intercept *);
/* Something of ours may be in the tables: rules, released ones, or those of a job that runs or waits. */
bool intercept_is_present(const struct intercept *);
