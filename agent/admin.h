/*
 * HTTP on RUNDIR/admin.sock: libmicrohttpd without a thread of its own, driven by the agent's poll loop.  GET only;
 * connections, their memory and their time are limited.  Who may connect is the socket's mode and group.
 */
#pragma once

#include "agent/agent.h"
#include "common/err.h"

struct admin;

/* Takes the listening socket in every case.  The agent must outlive what is returned. */
int admin_open(const struct agent *, int listen_fd, struct admin **admin_r, struct err *e);
/* A descriptor that is readable when there is something to do. */
int admin_fd(const struct admin *);
/* How long to wait at most; -1: for ever. */
int admin_timeout_ms(const struct admin *);
void admin_step(struct admin *);
void admin_close(struct admin **);

/* One answer, without a connection: *body_r is malloc'ed, *type_r is static.  Returns the HTTP status. */
struct query;
unsigned admin_answer(const struct agent *, const char *path, const struct query *, char **body_r, size_t *size_r,
    const char **type_r);
