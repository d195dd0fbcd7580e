/*
 * A downstream connection and the upstream one that serves it, from accept to the log line.
 *
 *   new -> connecting -> open -> closing -> freed
 *
 * It owns both descriptors, its deadline, its two flows and its place in the rows of `live`.  `inflight` counts what
 * the kernel holds of it: freed only when that is nought.  Records of the image are copied, so it holds no generation.
 */
#pragma once

#include "common/addr.h"
#include "common/image.h"
#include "worker/flow.h"
#include "worker/loop.h"
#include "worker/wheel.h"

struct worker;
struct generation;
struct listener;

enum conn_state { CONN_NEW, CONN_CONNECTING, CONN_OPEN, CONN_CLOSING };

enum { DOWNSTREAM, UPSTREAM };		/* sides, and the directions that come from them */

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

struct side {
	int fd;				/* -1: none */
	bool nonblock;			/* O_NONBLOCK is set: ring operations that wait would fail */
};

struct conn {
	struct worker *worker;
	struct conn *next, **prev;	/* of all, the youngest first */
	uint64_t id;			/* worker << 48 | number: unique while this worker lives */
	struct conn *next_starved;
	uint16_t inflight;
	uint8_t state, end;
	bool in_listener, in_cluster, in_endpoint;	/* counted as open in the row of each */
	bool inbound;			/* it came to the virtual inbound listener, or would have, had it a port of its own */
	bool draining;			/* end_ms is when its share of the drain is over */
	bool reached;			/* the endpoint has answered: there is an address of ours towards it */
	bool dialling;			/* OP_CONNECT is in flight */
	bool timed_out;			/* the connect in flight is being cancelled: its time is over */
	bool resetting;
	bool endpoint_first;		/* it ended its direction before the client did */
	struct side side[2];
	struct flow flow[2];
	struct timer deadline;
	uint64_t active_ms;		/* when a byte was last moved */
	uint64_t idle_timeout_ms;
	uint64_t end_ms;		/* max_downstream_connection_duration; UINT64_MAX: none */
	uint64_t born_ns;		/* CLOCK_REALTIME */
	uint64_t born_ms;
	uint32_t buffer_limit[2];	/* by direction: what may wait for its peer, in bytes */
	uint32_t listener_slot, chain_slot, cluster_slot, endpoint_slot;	/* IMAGE_NONE: none */
	struct generation *opening;	/* held from accept until it is open; NULL: not any more */
	uint32_t cluster_index;		/* in that image, as is the next one */
	uint32_t first_endpoint;	/* of the first attempt; each further attempt takes the one after */
	uint16_t attempts, max_attempts;
	int connect_error;
	struct addr client, destination, endpoint;
	union { struct sockaddr sa; struct sockaddr_in in; struct sockaddr_in6 in6; } connect_to;
};

/* Takes the descriptor. */
void conn_accept(struct worker *, struct listener *, int fd, const struct addr *client);
void conn_complete(struct conn *, enum op_kind, int res, unsigned flags);
void conn_deadline(struct conn *);
/* Of idle time-out and end_ms the earlier; not before it is open. */
void conn_set_deadline(struct conn *);
/* Both ways done, or given up; `reset` sends RST instead of FIN. */
void conn_close(struct conn *, enum conn_end, bool reset);
/* A flow passed its end on, the other goes on. */
void conn_half_closed(struct conn *);

struct io_uring_sqe *conn_sqe(struct conn *, enum op_kind);
