/*
 * Deadlines.  One wheel of 1,024 ticks of 16 ms; a deadline further away than a revolution (16 s) is looked at once
 * each revolution.  Setting and clearing are O(1); a deadline fires within a tick after its time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_MS 16u
#define WHEEL_TICKS   1024u

struct timer {
	struct timer *next, **prev;	/* prev NULL: not set */
	uint64_t at_ms;
	void (*fire)(struct timer *);	/* for the loop, when it is due */
};

struct wheel {
	struct timer *ticks[WHEEL_TICKS];
	uint64_t some[WHEEL_TICKS / 64];	/* a bit for each tick that has timers: every turn asks for the next */
	uint64_t done;			/* the last tick that was looked at */
	uint32_t set;			/* timers in it */
};

void wheel_init(struct wheel *, uint64_t now_ms);
void wheel_set(struct wheel *, struct timer *, uint64_t at_ms);
void wheel_clear(struct wheel *, struct timer *);

/* Takes out one timer that is due; NULL: none. */
struct timer *wheel_due(struct wheel *, uint64_t now_ms);

/* Milliseconds to sleep at most; -1: for ever. */
int wheel_sleep_ms(const struct wheel *, uint64_t now_ms);
