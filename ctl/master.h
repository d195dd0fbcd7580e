/* Asking the master, for the commands that do. */
#pragma once

#include "common/control.h"
#include "ctl/ctl.h"

#define MASTER_WAIT_MS 30000u		/* where the user says nothing else */

/* A request of this kind, which waits for the default time. */
struct control_request master_request(enum control_verb);

/* 0: done; *fd_r: the text that comes with the reply, the caller's, -1 if there is none; may be NULL.
 * 1: not done, which is said, with the lines that came with it. */
int master_ask(struct ctl *, const struct control_request *, struct control_reply *, int *fd_r);

/* Asks and shows what is answered; the exit status. */
int master_order(struct ctl *, const struct control_request *);
