/* The worker's end of the socket to the master (common/wire.h). */
#pragma once

#include <stdint.h>

struct worker;

/* Waits for the next message by the ring. */
void control_arm(struct worker *);
/* Takes what waits; true: go on listening. */
void control_ready(struct worker *);
/* Takes what is queued, accepts no more, and ends within that time. */
void control_drain(struct worker *, uint64_t within_ms);
/* Without a master: drains when orphan_timeout is over.  When another master is ready its workers take over: nothing is
 * accepted from then on, and what is open has the same time as without. */
void control_orphan(struct worker *);
/* A generation is in use: into the table, and the master is woken. */
void control_adopted(struct worker *);
