/*
 * Reports of children that died without being asked to: the last 32, for the log and for `meshctl crashes`.  What a
 * worker has left in `live` is its own word, perhaps that of one that was taken over: numbers, each checked for its range.
 */
#pragma once

#include "common/live.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASHES_KEPT 32

struct crash {
	uint64_t at_s;			/* CLOCK_REALTIME */
	char who[16];
	int pid;
	bool by_signal;
	int number;			/* the signal, or the exit status */
	char note[96];			/* why the master has ended it, or what it said itself; "": nothing is known */
	bool has_words;			/* and with them all that follows */
	uint64_t address, operation, generation;
	unsigned frames;
	uint64_t frame[LIVE_FRAMES];	/* offset in the executable; CRASH_ELSEWHERE: in a library */
};

#define CRASH_ELSEWHERE UINT64_MAX

struct crashes {
	struct crash ring[CRASHES_KEPT];
	uint64_t count;			/* of all, kept or not */
};

/* The oldest one gives its place; all of it is nought but the time. */
struct crash *crashes_add(struct crashes *);

/* Takes the last words of a worker that has died, if they fit its death; frames past program_bytes are elsewhere.
 * In `live` nothing of them stays. */
void crash_take_words(struct crash *, struct live_crash *, uint64_t program_bytes);

/* One line, without the time. */
void crash_print(const struct crash *, char *text_r, size_t size);

/* All, the oldest first: a line each with its time, then one for each frame, which addr2line(1) understands. */
int crashes_print(const struct crashes *, int fd);
