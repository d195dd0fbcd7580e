/*
 * One direction of a tunnel: bytes from one socket to the other, under credit.
 *
 * Quiet: a multishot receive with small buffers on loan; what comes is sent by the ring within the turn.
 * Busy:  the ring says when the source is readable; then recv(2) and send(2) through the worker's one hot buffer,
 *        copying only what the peer did not take.  After 256 KiB, splice(2) through a pooled pipe.
 * A busy direction that carries little goes back to quiet.  Nobody reads on while its peer has not taken what is there.
 */
#pragma once

#include "worker/pipes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct worker;

struct flow {
	char *pending;			/* bytes that the peer did not take yet */
	uint32_t pending_at, pending_end, pending_size;
	struct piping pipe;		/* lent while it holds bytes */
	uint64_t bytes, sent;		/* received from the source; taken by the peer's socket */
	uint32_t run;			/* bytes of a busy run, up to where it is spliced */
	uint32_t data_turn;		/* low bits of the turn of the last completion with data */
	uint32_t loan_len;		/* being sent by the ring out of loan_id */
	uint16_t loan_id;
	uint8_t small;			/* wake-ups in a row that carried little */
	bool busy : 1, spliced : 1;
	bool unpaced : 1;		/* the sink's congestion control was looked at */
	bool reading : 1;		/* OP_DATA or OP_READY is armed */
	bool stopping : 1;		/* OP_DATA is being cancelled */
	bool sending : 1;		/* OP_SENT is in flight */
	bool waiting_room : 1;		/* OP_ROOM is armed */
	bool watching : 1;		/* OP_HUP is armed */
	bool eof : 1, done : 1;		/* the source has ended; the end was passed on */
	bool starved : 1;		/* waits for a receive buffer */
	bool lost : 1;			/* there was no memory for what has come */
};

void flow_init(struct flow *);
/* Begins to read from the source; what comes before the peer is there waits in `pending`. */
void flow_start(struct conn *, unsigned direction);
/* Reads no more for the moment; what the kernel has taken still comes. */
void flow_stop(struct conn *, unsigned direction);
/* The peer is there now. */
void flow_open(struct conn *, unsigned direction);
/* Completions. */
void flow_data(struct conn *, unsigned direction, int res, unsigned flags);
void flow_sent(struct conn *, unsigned direction, int res);
/* Whatever the poll says: the calls that follow say what is the matter. */
void flow_ready(struct conn *, unsigned direction);
void flow_room(struct conn *, unsigned direction);
/* Tries again after ENOBUFS. */
void flow_retry(struct conn *, unsigned direction);
/* Of a direction that has ended: its source is watched for a reset from now on. */
void flow_watch(struct conn *, unsigned direction);
/* Gives back memory and pipe. */
void flow_free(struct conn *, unsigned direction);
