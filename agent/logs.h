/*
 * The access log: lines come from a pipe of each worker and go to one file.  A line is written whole or not at all,
 * however the pipes cut it; what a full disk does not take is dropped and counted, and the workers never notice.
 */
#pragma once

#include "common/live.h"
#include "common/log.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGS_LINE_MAX 65536u		/* a longer line is dropped */

struct logs {
	int file;			/* -1: the log is off; lines are read and forgotten */
	bool torn;			/* the file ends within a line that the disk cut */
	uint64_t written, dropped;	/* lines */
	struct log_limit limit;
	unsigned npipes;
	struct log_pipe {
		int fd;			/* -1: at its end */
		bool skipping;		/* within a line that is too long */
		size_t used;
		char *buffer;		/* LOGS_LINE_MAX */
	} pipes[LIVE_WORKERS_MAX];
};

void logs_init(struct logs *);
/* Takes the descriptor, a pipe's read end.  -1: too many, or no memory; it is closed. */
int logs_add_pipe(struct logs *, int fd);
/* Takes the descriptor; -1 switches the log off. */
void logs_set_file(struct logs *, int fd);

/* What to wait for; npipes entries. */
void logs_poll(const struct logs *, struct pollfd *);
/* Moves what those have, at most a buffer of each. */
void logs_step(struct logs *, const struct pollfd *, uint64_t now_ms);
/* Has every pipe come to its end?  True where there are none. */
bool logs_dry(const struct logs *);

void logs_close(struct logs *);
