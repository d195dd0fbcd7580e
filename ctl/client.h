/* Asking meshd: the agent over HTTP (admin.sock), the master by one record (control.sock). */
#pragma once

#include "common/control.h"
#include "common/err.h"

#include <jansson.h>

/* GET of "/stats?..." from RUNDIR/admin.sock.  The answer as JSON, the caller's; NULL: *e says in whole words why. */
json_t *client_get(const char *rundir, const char *target, struct err *e);

/* Text that can stand in a query; malloc'ed, NULL without memory. */
char *client_escape(const char *text);

/* One request to the master; waits for the answer up to wait_ms.  *text_fd_r: what comes with it, -1 if nothing.
 * -1 with errno ENOENT or ECONNREFUSED: none runs. */
int client_ask_master(const char *rundir, const struct control_request *, int wait_ms, struct control_reply *,
    int *text_fd_r, struct err *e);
