/*
 * Running meshd-conf: every load of a configuration is one short-lived child without rights, which asks for files
 * (common/ask.h).  Used by the master (reload, under its own event loop) and by `meshd -n` and `meshctl check` (which
 * wait).  The child runs with its own limits (memory, CPU, descriptors, file size) and a deadline; no file that it is
 * given can harm the one who started it.
 */
#pragma once

#include "common/err.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef MESHD_SANITIZERS		/* many times slower, on whatever else the machine does */
#define CONFRUN_DEADLINE_MS 120000
#else
#define CONFRUN_DEADLINE_MS 20000
#endif
#define CONFRUN_EXIT_MEMORY 3		/* meshd-conf's status where it ran out of memory */

struct confrun_options {
	const char *program;		/* absolute path of meshd-conf */
	const char *file;		/* the configuration, as the user named it; relative: to the working folder */
	const char *const *folders;	/* files may be opened below these only; NULL: wherever the caller's rights reach */
	int nfolders;
	const char *user;		/* the child becomes this user; NULL: stays what the caller is */
	int print_fd;			/* the expanded configuration goes here; -1: not wanted */
};

struct confrun;

/* Starts the child.  -1: nothing runs. */
int confrun_start(const struct confrun_options *, struct confrun **run_r, struct err *e);

/* What to wait for; *timeout_ms_r shrinks to the deadline. */
void confrun_poll(const struct confrun *, struct pollfd fds[2], int *timeout_ms_r);

/* Serves what is ready, never blocks.  True: it has ended, call confrun_finish(). */
bool confrun_step(struct confrun *);

/* Once it has ended: the signal that ended it, with its pid; 0: none did. */
int confrun_signal(const struct confrun *, pid_t *pid_r);

/*
 * Frees.  0: *image_fd_r is the filled, unsealed memfd, which no other process has open for writing any more.
 * -1: the configuration is refused or the child failed; *image_fd_r is -1.
 * In both cases *report_r is a memfd with lines "file:line: path: reason\n" (or "file: reason\n"), readable from its
 * start, never -1 and never empty after -1; the caller owns both.
 */
int confrun_finish(struct confrun **, int *image_fd_r, int *report_r);

/* The three together, waiting.  -1 with *report_r -1: nothing ran, *e says why. */
int confrun(const struct confrun_options *, int *image_fd_r, int *report_r, struct err *e);
