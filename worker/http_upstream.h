/*
 * A connection to an endpoint, for one request at a time.
 *
 *   connecting -> idle <-> busy -> closing -> freed
 *
 * It belongs to a pool from its first day.  A receive is armed while it is idle, so that its end is seen at once, and takes
 * the answer when it is busy.
 */
#pragma once

#include "worker/http.h"
#include "worker/transport.h"
#include "worker/upstream.h"
#include "worker/wheel.h"

struct pool;
struct stream;

enum http_upstream_state { LINK_CONNECTING, LINK_IDLE, LINK_BUSY, LINK_CLOSING };

struct http_upstream {
	struct transport transport;		/* first: owner of operations */
	struct upstream up;
	struct pool *pool;
	struct http_upstream *next, **prev;	/* in the pool's list of idle ones, the freshest first */
	struct stream *stream;			/* while it is busy */
	struct timer deadline;
	uint64_t idle_ms;			/* since when it is idle */
	uint64_t end_ms;			/* of its greatest age; UINT64_MAX: none */
	uint64_t sent_before;			/* bytes that were sent for earlier requests */
	uint64_t sent;
	uint32_t keep_ms;			/* how long it is kept without a request */
	struct addr local;			/* ours towards the endpoint, for the log; family 0: not asked for yet */
	uint32_t left;				/* requests that may still be sent on it */
	uint8_t state;
	bool timed_out : 1;			/* the connect is being cancelled */
	bool kept : 1;				/* it has waited in the pool, or has had a request: the endpoint may have tired of it */
	bool by_peer : 1;			/* the endpoint ended it */
};

/* NULL: why says so, error is errno.  OP_CONNECTED is in flight. */
struct http_upstream *http_upstream_dial(struct pool *, struct dial *, enum conn_end *why_r);
/* One that is open already, idle from now on.  -1: no memory; nothing is taken. */
int http_upstream_adopt(struct pool *, const struct image_cluster *, struct upstream *, int fd);
void http_upstream_close(struct http_upstream *, bool reset);
/* To the stream; from it. */
void http_upstream_take(struct http_upstream *, struct stream *);
/* What the endpoint says of its patience, "timeout=5, max=100". */
void http_upstream_keep_alive(struct http_upstream *, struct http_span field);
/* For the next request, if it may be kept. */
void http_upstream_release(struct http_upstream *, bool keep);
/*
 * Has the endpoint taken nothing of what was sent since http_upstream_take()?  For a connection that has ended; error is how,
 * 0 by FIN, which acknowledges what came before it.  A reset acknowledges nothing: what was sent may have been read.
 */
bool http_upstream_was_deaf(const struct http_upstream *, int error);
/* Our address towards the endpoint; family 0: there is none. */
const struct addr *http_upstream_local(struct http_upstream *);
/* Has it ended, though nobody has told us yet? */
bool http_upstream_has_ended(struct http_upstream *);
