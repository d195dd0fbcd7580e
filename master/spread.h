/*
 * Which worker a new connection goes to.  The kernel spreads the connections of a SO_REUSEPORT group by a hash, which
 * leaves few long ones uneven: 4 connections on 2 workers have the busier at 1.39 times the mean.  A program of type
 * BPF_PROG_TYPE_SK_REUSEPORT chooses the least loaded worker instead, by an array of loads that it shares with them:
 *
 *   - the program adds 1 to the worker that it chooses, so that a burst within one turn is spread too;
 *   - each worker stores its true number of connections over its word once a turn (what was counted and never arrived
 *     is forgotten so);
 *   - the master stores SPREAD_DEAD for a worker that is not running.
 *
 * Where bpf(2) is not allowed, the hash stays; spread_open() says why.  See bpf(2), SO_ATTACH_REUSEPORT_EBPF in socket(7).
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define SPREAD_DEAD ((uint64_t)1 << 62)		/* adding to it does not wrap */

struct spread;

/* The array of loads.  -1: not allowed or not known here, the hash stays. */
int spread_open(unsigned workers, struct spread **spread_r, struct err *e);

/* The descriptor of the array, which workers map (HERITAGE_SPREAD): LIVE_WORKERS_MAX words, by worker. */
int spread_fd(const struct spread *);

/* fds: one listening socket of the group for each worker, in worker order; they stay the caller's.  The kernel forgets the
 * program with the group's last socket.  -1: this group keeps the hash. */
int spread_group(const struct spread *, const int *fds, struct err *e);

/* A worker that is not running; it stores its own load when it serves again. */
void spread_forget_worker(struct spread *, unsigned worker);
