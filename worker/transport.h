/*
 * One socket under an HTTP connection, downstream or upstream: read with credit, write, close.  Plain now; TLS will sit here.
 *
 * It is the owner of its operations: its address is aligned to OP_ALIGN, and whoever embeds it (first) is freed by `gone`
 * only, which is called once, when it was closed and the kernel holds nothing of it any more.
 */
#pragma once

#include "common/addr.h"
#include "worker/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct transport;
struct way;
struct worker;

/* Not called any more once it is closed, but for `gone`. */
struct transport_user {
	/* `loan` (buffers.h) is the callee's now. */
	void (*data)(struct transport *, char *bytes, uint32_t len, int loan);
	/* Nothing more will be read: 0 is a FIN, else errno of what was no end. */
	void (*ended)(struct transport *, int error);
	void (*connected)(struct transport *, int error);
	void (*readable)(struct transport *);
	void (*writable)(struct transport *);
	/* It was being watched, and is reset. */
	void (*reset)(struct transport *);
	void (*gone)(struct transport *);
};

struct transport {
	const struct transport_user *user;
	struct worker *worker;
	struct transport *next;		/* starved, or about to be gone */
	struct way *writing;		/* whose bytes OP_WRITTEN is to tell of: it lives until then */
	int fd;
	uint16_t inflight;
	bool reading : 1;		/* OP_READ or OP_READABLE is armed */
	bool many : 1;			/* and it is multishot */
	bool stopping : 1;		/* and it is being cancelled */
	bool starved : 1;		/* waits for a receive buffer */
	bool eof : 1;			/* ended() was called */
	bool watching : 1;		/* OP_GONE is armed */
	bool waiting_room : 1;		/* OP_WRITABLE is armed */
	bool nonblock : 1;		/* O_NONBLOCK is set: ring operations that wait would fail */
	bool raw : 1;			/* somebody moves bytes by himself, and keeps it so */
	bool unpaced : 1;		/* spare_pacing() was here */
	bool closed : 1;
	bool resetting : 1;		/* its end is a reset */
};

void transport_init(struct transport *, struct worker *, const struct transport_user *, int fd);
void transport_connect(struct transport *, const struct addr *);

/* The next bytes; many: and those after them, until transport_stop().  While something is armed already: nothing. */
void transport_read(struct transport *, bool many);
/* Ends a multishot receive; what the kernel has taken already still comes.  transport_reads_alone() when it is over. */
void transport_stop(struct transport *);
/* Nothing that was received is on its way past us: recv(2) continues where the last data() ended. */
static inline bool transport_reads_alone(const struct transport *t)
{
	return !t->reading && !t->starved;
}
/* recv(2) without waiting: -1 EAGAIN, or an error that ended() will tell of. */
ssize_t transport_read_now(struct transport *, char *bytes, size_t size);

/* One at a time.  Bytes, and msg where there is more than one piece, are the way's until way_written().  wait: it takes as
 * long as the peer needs (MSG_WAITALL); else what the peer's window does not take at once is left. */
void transport_write(struct transport *, struct way *, const struct iovec *, unsigned n, struct msghdr *msg, bool wait);
/* sendmsg(2) without waiting.  -1: EAGAIN, or an error that the next read tells of. */
ssize_t transport_write_now(struct transport *, const struct iovec *, unsigned n);

/* A send by the ring waits for room; false: it is O_NONBLOCK, and stays so. */
bool transport_ring_waits(struct transport *);

/* For who moves bytes by itself: readable(), writable() are called once. */
void transport_wait_readable(struct transport *);
void transport_wait_writable(struct transport *);
/* On: it is O_NONBLOCK until off; what waits in the ring then waits for readiness.  False: it is not. */
bool transport_set_raw(struct transport *, bool on);
/* A reset is told of though nothing is read. */
void transport_watch(struct transport *);

/* Is anything armed? */
static inline bool transport_is_busy(const struct transport *t)
{
	return t->reading || t->starved || t->watching || t->waiting_room || t->writing != NULL;
}
/* Gives up whatever is: data() with nothing tells when something has come back. */
void transport_cancel(struct transport *);

/* Says FIN now; it can be read on. */
void transport_shut(struct transport *);
/* Both ways: what has come is still read, and then it is over. */
void transport_shut_both(struct transport *);
/* Cancels what is armed; the descriptor is closed by transport_end() in gone(). */
void transport_close(struct transport *, bool reset);
void transport_end(struct transport *);
/* The descriptor is the caller's from now on.  Nothing may be armed. */
int transport_give(struct transport *);

void transport_complete(struct transport *, enum op_kind, int res, unsigned flags);
/* Once a turn: those that wait for receive buffers; those that were closed with nothing in flight. */
void transports_feed(struct worker *);
void transports_reap(struct worker *);
