/* The folder of the running daemon, its lock, its sockets; and who the users and the group of the configuration are. */
#pragma once

#include "common/err.h"

struct fixed;
struct image;
struct master;

/* The settings that only a restart changes, with the users and the group looked up. */
int fixed_read(struct fixed *, const struct image *, struct err *e);

/* Makes RUNDIR and takes its lock.  -1: another meshd has it. */
int rundir_open(struct master *, struct err *e);
/* A listening socket of that name for root and the group: SOCK_SEQPACKET or SOCK_STREAM.  -1: error. */
int rundir_listen(const struct master *, const char *name, int type, struct err *e);
/* Removes what is in it, and itself if it was made by us. */
void rundir_close(struct master *);
