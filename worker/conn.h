/*
 * A tunnel: a client's connection and the one to an endpoint that serves it, byte by byte.
 *
 *   connecting -> open -> closing -> freed
 *
 * It owns both descriptors, its two flows and its place in the rows of `live`.  `inflight` counts what the kernel holds of
 * it: freed only when that is nought.  Once it is open it holds no generation: what it needs of the image was copied.
 */
#pragma once

#include "worker/downstream.h"
#include "worker/flow.h"
#include "worker/inbuf.h"
#include "worker/loop.h"
#include "worker/upstream.h"

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING };

enum { DOWNSTREAM, UPSTREAM };		/* sides, and the directions that come from them */

struct side {
	int fd;				/* -1: none */
};

/* Until it is open. */
struct opening {
	struct dial dial;
	struct generation *generation;	/* held */
	uint16_t max_attempts;
	bool dialling;			/* OP_CONNECT is in flight */
	bool timed_out;			/* and is being cancelled: its time is over */
};

struct conn {
	struct downstream head;		/* first: owner of operations */
	struct conn *next_starved;
	uint16_t inflight;
	uint8_t state;
	bool reached : 1;		/* the endpoint has answered: there is an address of ours towards it */
	bool from_http : 1;		/* it was a request: Upgrade, CONNECT */
	bool endpoint_first : 1;	/* it ended its direction before the client did */
	bool nonblock[2];		/* O_NONBLOCK is set on that side: ring operations that wait would fail */
	struct side side[2];
	struct flow flow[2];
	struct upstream up;
	uint32_t idle_timeout_ms;	/* 0: none */
	uint32_t buffer_limit[2];	/* by direction: what may wait for its peer, in bytes */
	union {
		struct opening *opening;	/* NULL: it is open, or never was */
		char *line;			/* from_http: of the access log, to here and from here; NULL: none */
	};
};

/* What a connection that spoke HTTP hands over when it becomes a tunnel, by side or by the direction that comes from there. */
struct handed {
	struct downstream *head;
	struct upstream *up;
	int fd[2];
	bool eof[2], nonblock[2];
	struct inbuf pending[2];
	uint32_t buffer_limit[2];
	uint64_t idle_timeout_ms;
	char *line;
};

/* Takes descriptor and generation, and goes on to an endpoint as its chain says.  -1: no memory; nothing is taken. */
int conn_begin(const struct arrival *);
/* While it is being opened; NULL: it is not, or was never. */
static inline struct opening *conn_opening(const struct conn *c)
{
	return c->from_http ? NULL : c->opening;
}
/* Goes on with what is handed over, all of which it takes.  -1: no memory; nothing is taken. */
int conn_take_over(struct handed *);
void conn_complete(struct conn *, enum op_kind, int res, unsigned flags);
/* Both ways done, or given up; `reset` sends RST instead of FIN. */
void conn_close(struct conn *, enum conn_end, bool reset);
/* A flow passed its end on, the other goes on. */
void conn_half_closed(struct conn *);

struct io_uring_sqe *conn_sqe(struct conn *, enum op_kind);
