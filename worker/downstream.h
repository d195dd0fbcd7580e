/*
 * A client's connection: what all kinds of them have in common, from accept to the end.  It is embedded in a tunnel
 * (conn.h) or in a connection that speaks HTTP (http_conn.h), which own descriptors, operations and memory.
 */
#pragma once

#include "common/addr.h"
#include "common/image.h"
#include "worker/inbuf.h"
#include "worker/wheel.h"

struct downstream;
struct generation;
struct listener;
struct worker;

/* Why a connection ended: one row makes the log's flag, the counter's side and the words. */
#define CONN_ENDS(X)									\
	X(END_NONE, "-", "-")								\
	X(END_DONE, "-", "-")								\
	X(END_NO_CHAIN, "NR", "filter_chain_not_found")					\
	X(END_NO_ENDPOINT, "UH", "no_healthy_upstream")					\
	X(END_CONNECT, "UF,URX", "upstream_connect_failure")				\
	X(END_CONNECT_TIMEOUT, "UF,URX", "connect_timeout")				\
	X(END_LOOP, "UF,URX", "loop_refused")						\
	X(END_NO_PORT, "UF,URX", "no_local_port")					\
	X(END_OVERFLOW, "UO", "max_connections")					\
	X(END_DURATION, "DT", "max_downstream_connection_duration")			\
	X(END_NO_MEMORY, "OM", "out_of_memory")						\
	X(END_IDLE, "SI", "idle_timeout")						\
	X(END_DOWNSTREAM_RESET, "DR", "downstream_reset")				\
	X(END_UPSTREAM_RESET, "UR", "upstream_reset")					\
	X(END_DRAINED, "-", "drain_time")						\
	X(END_KILLED, "-", "closed_by_operator")

#define CONN_END_NAME(name, flag, words) name,
enum conn_end { CONN_ENDS(CONN_END_NAME) };
#undef CONN_END_NAME

/* What meshctl connections shows beside the head. */
struct downstream_view {
	const char *state;		/* NULL: it is ending, and not shown */
	uint32_t cluster_slot;		/* IMAGE_NONE: none now, as is endpoint */
	const struct addr *endpoint;
	uint32_t endpoint_slot;
	uint64_t received, sent;	/* from and to the client */
};

struct downstream_kind {
	void (*deadline)(struct downstream *);
	void (*end_changed)(struct downstream *);	/* end_ms is another one: it comes to look at it in time */
	void (*close)(struct downstream *, enum conn_end, bool reset);
	void (*view)(const struct downstream *, struct downstream_view *);
	/* A new generation is in use, and names its chain: goes on with that.  False: that is another kind of chain now.
	 * NULL: needs none, and ends by itself. */
	bool (*adopt)(struct downstream *, uint32_t chain);
};

struct downstream {
	const struct downstream_kind *kind;
	struct worker *worker;
	struct downstream *next, **prev;	/* of all, the youngest first */
	struct timer deadline;
	uint64_t id;			/* worker << 48 | number: unique while this worker lives */
	uint64_t active_ms;		/* when a byte was last moved */
	uint64_t end_ms;		/* of its greatest age, or of its share of a drain; UINT64_MAX: none */
	uint64_t born_ms;
	struct addr client, destination;
	uint32_t listener_slot, chain_slot;	/* IMAGE_NONE: none */
	uint8_t end;			/* enum conn_end */
	bool in_listener : 1;		/* counted as open in its row */
	bool inbound : 1;		/* see struct arrival */
	bool draining : 1;		/* end_ms is when its share of the drain is over */
	bool resetting : 1;		/* its end is a reset */
};

/* One that was accepted, on its way to its chain.  The kind that takes it takes descriptor and generation. */
struct arrival {
	struct worker *worker;
	int fd;
	struct addr client, destination;
	struct generation *generation;		/* held */
	const struct image_listener *listener;
	const struct image_chain *chain;	/* NULL: none matches */
	bool inbound;				/* it came to the virtual inbound listener, or would have, had it a port of its own */
	bool sniff;				/* another one may match when its first bytes have come */
	enum conn_end refused;			/* it is one of ours that came back, and ends at once */
	/* of one whose first bytes have come: */
	struct downstream *from;		/* what it was so far; NULL: nothing */
	struct inbuf pending;
	bool eof;
};

/* Goes on as its chain says: takes descriptor, generation and pending bytes.  -1: no memory; nothing is taken. */
int downstream_begin(const struct arrival *);
/* Takes the descriptor. */
void downstream_accept(struct worker *, struct listener *, int fd, const struct addr *client);

/* Into the list of all, and counted in its listener's row; the rest is nought.  One that was something before is moved.
 * False: over the listener's limit, and it
 * is to be closed with END_OVERFLOW. */
bool downstream_init(struct downstream *, const struct downstream_kind *, const struct arrival *);
/* Counted in its chain's row. */
void downstream_use_chain(struct downstream *, const struct image *, const struct image_chain *);
/* Is at another place, as another kind; what it was in is nothing any more. */
void downstream_move(struct downstream *from, struct downstream *to, const struct downstream_kind *);
/* Out of list, rows and limits.  After its descriptors were closed, not before: another worker may take its place at once. */
void downstream_leave(struct downstream *);

void reset_on_close(int fd);
