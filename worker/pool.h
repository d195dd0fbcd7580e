/*
 * The connections of this worker to one endpoint: idle ones to be used again, streams that wait for one.  It is there while
 * there is anything of it.  Where the endpoint sees whose connection it is (source.h), that one has a pool of its own.
 *
 * A connection that becomes free goes to whoever has waited longest.  Where max_connections of the cluster forbids a new one,
 * a stream waits until one is free here, or until a place in the limit is, which is tried again every tick; the limit is over
 * all workers, so a connection that nobody here needs is closed instead of kept while others wait for a place.
 */
#pragma once

#include "common/addr.h"
#include "worker/source.h"
#include "worker/http_upstream.h"

struct stream;
struct worker;

#define POOL_BUCKETS 1024u

struct pool {
	struct worker *worker;
	struct pool *next, **prev;		/* in its bucket */
	uint32_t cluster_slot, endpoint_slot;
	struct addr endpoint;
	struct source source;			/* whose requests */
	struct http_upstream *idle;		/* the freshest first */
	struct stream *first_waiting, **last_waiting;
	struct timer again;			/* tries for a place in the limit */
	uint32_t connections;			/* of it, in any state */
	uint32_t waiting;
	uint32_t connecting;
	uint32_t learnt_ms;			/* the endpoint has closed one that was idle for so long; UINT32_MAX: none lately */
	uint64_t learnt_at_ms;
	bool limited;				/* max_connections: an idle one takes somebody's place */
	bool gone;				/* the generation in use does not name it: nothing is kept */
};

/* A connection to stream->up.endpoint for the stream: GO, it has one; WAIT, stream_connected() or stream_not_connected() comes; REPLIED. */
enum verdict pool_ask(struct worker *, struct stream *);
/* A connection that is open and had no use: idle from now on.  Takes descriptor and places in limits and rows; -1: does not. */
int pool_offer(struct worker *, const struct dial *, struct upstream *, int fd);
/* The stream does not wait any more. */
void pool_forget(struct stream *);

/* From its connections. */
void pool_not_connected(struct pool *, enum conn_end why, int error);
/* It is idle: to whoever waits, or kept. */
void pool_park(struct http_upstream *);
void pool_unpark(struct http_upstream *);
/* Its next deadline, while it is kept. */
void pool_park_deadline(struct http_upstream *);
/* The endpoint has closed one that was idle, or that had been until it got a request: which may not have been there yet. */
void pool_learn(struct http_upstream *);
/* One was freed. */
void pool_left(struct pool *);

/* After adoption: named[slot] is 0 where the generation does not name it any more; NULL: not known. */
void pools_adopt(struct worker *, const uint32_t *named);
