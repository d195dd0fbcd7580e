/*
 * A tunnel: a client's connection and the one to an endpoint that serves it, byte by byte.
 *
 *   connecting -> open -> closing -> freed
 *
 * Where the first bytes decide the chain, it is a tunnel while they have not come, dialled as the chain says that is left when
 * they say nothing: a server that speaks first is not kept waiting, and decides too.  If they say something else, the client
 * leaves for that chain (handover.h).
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
	const struct image_listener *listener;
	const struct image_chain *chain;	/* what is dialled for; sniffing: if nothing else is found.  NULL: none */
	const struct image_chain *other;	/* leaving: this */
	uint64_t dial_end_ms;			/* of the attempt */
	uint64_t sniff_end_ms;			/* UINT64_MAX: none */
	uint16_t max_attempts;
	uint8_t failed;				/* enum conn_end: sniffing, and there is no endpoint */
	bool dialling;			/* OP_CONNECT is in flight */
	bool timed_out;			/* and is being cancelled: its time is over */
};

struct conn {
	struct downstream head;		/* first: owner of operations */
	struct conn *next_starved;
	uint16_t inflight;
	uint8_t state;
	bool reached : 1;		/* the endpoint has answered: there is an address of ours towards it */
	bool sniffing : 1;		/* not decided: nothing of the client's is passed on */
	bool decided : 1;		/* sniffing, and nothing more is read: the other chain has a use for what is being dialled */
	bool leaving : 1;		/* closing, but the client goes to another chain */
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
/* Sniffing: more of the client has come, or all that there will be (`over`); the endpoint has spoken. */
void conn_sniff(struct conn *, bool over);
void conn_endpoint_speaks(struct conn *);
/* A flow passed its end on, the other goes on. */
void conn_half_closed(struct conn *);

struct io_uring_sqe *conn_sqe(struct conn *, enum op_kind);
