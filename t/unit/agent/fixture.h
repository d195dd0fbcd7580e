/*
 * A small mesh for tests: an image made by hand, a `live` with two workers, and, where wanted, meshd-agent itself on a
 * socket in a folder of its own.
 *
 *   listeners 198.51.100.9_3306 (real, one unnamed chain, -> outbound|3306||mysql)
 *             virtualOutbound   (0.0.0.0 and :: 15001, black hole for its own port, else pass through: 80 of 100,
 *                                mysql: 20 of 100); at most 1000 connections
 *   clusters  BlackHoleCluster, PassthroughCluster, outbound|3306||mysql (127.0.0.1:3306, weight 3, and [::1]:3306;
 *             at most 50 connections)
 *   at most 5000 connections
 */
#pragma once

#include "common/image.h"
#include "common/live.h"

#include <sys/types.h>

enum fixture_name {		/* index in NAMES; the slot is 10 more */
	FIX_L_MYSQL, FIX_L_OUT, FIX_H_MYSQL, FIX_H_HOLE, FIX_H_PASS, FIX_C_HOLE, FIX_C_PASS, FIX_C_MYSQL, FIX_E_V4, FIX_E_V6,
	FIX_NAMES
};

#define FIXTURE_SLOT(name) ((name) + 10u)

struct fixture {
	char folder[64];
	struct live live;
	int live_fd;
	int control;		/* the master's end */
	int pipes[2];		/* the workers' write ends */
	int logfile;		/* read end of what the agent writes */
	pid_t agent;
	int pidfd;
};

/* A filled memfd.  drain_time_ms tells generations apart. */
int fixture_image(unsigned drain_time_ms);
int fixture_image_orphan(unsigned drain_time_ms, unsigned orphan_timeout_ms);
/* Two workers, generation 1 adopted by both. */
void fixture_live(struct live *, int *fd_r);

/* Starts the agent, gives it generation 1, waits until it has it. */
void fixture_start(struct fixture *);
void fixture_send(struct fixture *, unsigned type, uint64_t number, int fd);
/* The status line's number; *body_r is malloc'ed. */
int fixture_get(const struct fixture *, const char *method, const char *target, char **body_r);
/* Waits for its end, at most 5 s; its exit status. */
int fixture_wait(struct fixture *);
/* Ends it, if it runs, and removes the folder. */
void fixture_stop(struct fixture *);
