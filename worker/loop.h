/*
 * The ring.  One io_uring_enter a turn: submit what the last turn prepared, wait, reap.
 * user_data is a pointer aligned to 64 bytes with the kind of operation in its low bits: no allocation for an
 * operation, and what the kernel holds is counted by its owner (conn.h).
 */
#pragma once

#include "common/err.h"
#include "common/operations.h"

#include <liburing.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

#define OP_ENUM(kind, words) kind,
enum op_kind { OPERATIONS(OP_ENUM) OP_KINDS };
#undef OP_ENUM

#define OP_ALIGN 64

#define SQ_ENTRIES 1024

struct loop {
	struct io_uring ring;
	struct sockaddr_in6 *sockaddrs;	/* one for each entry of the submission queue */
	uint64_t now_ms;	/* CLOCK_MONOTONIC, read once a turn */
	uint64_t turn;
	enum op_kind last;	/* of the completion that was looked at last */
};

/* Linux 6.1 and io_uring allowed, or -1 with words that say what to do.  The ring is made disabled: registering buffers
 * comes next, then loop_enable(). */
int loop_open(struct loop *, struct err *e);

/* Restricts the ring to the operations of this program, for good, and lets it run. */
int loop_enable(struct loop *, struct err *e);

/* Never NULL: a full submission queue is submitted mid-turn. */
struct io_uring_sqe *loop_sqe(struct loop *, void *owner, enum op_kind);

/* An address that lasts until this operation is submitted: then the kernel has its own copy. */
struct sockaddr *loop_sockaddr(struct loop *, const struct io_uring_sqe *, const struct sockaddr_storage *, socklen_t);

/* Ends everything armed on this descriptor; each ends with its own completion. */
void loop_cancel_fd(struct loop *, int fd);

/* One turn: waits at most timeout_ms (-1: for ever), hands each completion to worker_complete(). */
void loop_turn(struct worker *, int timeout_ms);

/* main.c: by kind to the room it belongs to. */
void worker_complete(struct worker *, void *owner, enum op_kind, int res, unsigned flags);

uint64_t loop_clock_ms(void);
