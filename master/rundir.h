/* The folder of the running daemon, its lock, its sockets; and who the users and the group of the configuration are. */
#pragma once

#include "common/err.h"
#include "common/image.h"

#include <stdbool.h>

struct fixed;
struct master;

/* The settings that only a restart changes, with the users and the group looked up. */
int fixed_read(struct fixed *, const struct image *, struct err *e);

/* Makes RUNDIR and takes its lock.  -1: another meshd has it. */
int rundir_open(struct master *, struct err *e);
/* A listening socket of that name for root and the group: SOCK_SEQPACKET or SOCK_STREAM.  -1: error. */
int rundir_listen(const struct master *, const char *name, int type, struct err *e);
/*
 * RUNDIR/alive: its shared lock is held by the master and, as heritage, by each worker, until the last has ended; the
 * word in it, "bypass" or "block", says what --post-stop is to do with the rules.  Written when a master is ready and with
 * each generation: workers without a master and --post-stop see by the time of the file that there is another one.
 */
void rundir_mark(const struct master *, enum image_on_exit);

/* For --post-stop: does a master run there? */
bool rundir_is_locked(const char *dir);
/* A descriptor of the file, not locked; -1: none was left.  *on_exit_r changes where there is a word in it. */
int rundir_look(const char *dir, enum image_on_exit *on_exit_r);

/* Removes what is in it, and itself if it was made by us.  RUNDIR/alive stays while workers of an earlier master live, and
 * while rules are in. */
void rundir_close(struct master *);
