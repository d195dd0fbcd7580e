/*
 * Open connections, looked at and ended from outside: meshctl connections, meshctl drain; and those whose listener or
 * chain a new generation does not name any more.
 */
#pragma once

#include <stdint.h>

struct downstream;
struct worker;

/* Begins to write a line for each (common/control.h) to fd, some in each turn, then says WIRE_LISTED.  Takes fd.  A
 * listing that is still going on ends unfinished. */
void connections_list(struct worker *, int fd, uint64_t number);
/* At the end of a turn. */
void connections_list_on(struct worker *);
/* This one is about to be freed. */
void connections_forget(struct worker *, const struct downstream *);

/* WIRE_CLOSE. */
void connections_close(struct worker *, uint64_t id, const char *which, uint32_t span_ms);
/* We stop: what answers requests ends when it has none. */
void connections_drain(struct worker *, uint64_t within_ms);
/* After adoption: what has lost its listener or chain ends within drain_time. */
void connections_adopt(struct worker *);
