/*
 * The master's loop: descriptors to wait for and moments to wake at.  Level-triggered (poll(2)): there are few, and
 * nothing is lost when a handler takes only part of what waits.  Sources and alarms live inside what they serve.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOURCES 512	/* 64 workers with two each, clients, and a few more */

struct source {
	int fd;				/* -1: nothing is waited for just now */
	short events;			/* POLLIN, POLLOUT; may be changed at any time */
	void (*ready)(void *arg, short revents);
	void *arg;
	bool listed;
};

struct alarm {
	uint64_t at_ms;			/* 0: not set */
	void (*ring)(void *arg);
	void *arg;
	struct alarm *next;
};

struct loop {
	struct source *sources[LOOP_SOURCES];
	int nsources;			/* with holes until the next turn */
	struct alarm *alarms;		/* those set */
	uint64_t now_ms;		/* CLOCK_MONOTONIC at the last return of poll */
	void (*before)(void *arg);	/* runs ahead of each poll; NULL: nothing to do */
	void *before_arg;
};

void loop_init(struct loop *);
/* False: LOOP_SOURCES are there already. */
bool loop_add(struct loop *, struct source *);
void loop_remove(struct loop *, struct source *);	/* may be called from its own handler; not listed is fine */

void alarm_set(struct loop *, struct alarm *, uint64_t in_ms);
void alarm_unset(struct loop *, struct alarm *);

/* Waits and serves once. */
void loop_turn(struct loop *);

uint64_t clock_ms(void);
