/*
 * RUNDIR/control.sock: requests of meshctl (common/control.h).  A client costs a place until its deadline, nothing more;
 * when all places are taken, others wait in the socket's queue.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct control;
struct master;

/* Takes the listening socket when it succeeds. */
struct control *control_open(struct master *, int listen_fd, struct err *e);
/* Everybody who waits is answered that meshd stops, and so is who comes later. */
void control_stop(struct control *);

/* A load has ended that answers all tickets up to this one.  The report stays the caller's; -1: none. */
void control_loaded(struct control *, uint64_t ticket, bool ok, const char *text, int report_fd);
/* All have adopted a generation, and its interception rules could not be put in: who waits is told. */
void control_refused(struct control *, const char *text);
/* Workers may have adopted: who waits for that may be answered. */
void control_settle(struct control *);
/* A listing has ended that answers all tickets up to this one.  text: what is missing; the list stays the caller's. */
void control_listed(struct control *, uint64_t ticket, bool ok, const char *text, int list_fd);
