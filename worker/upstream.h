/*
 * Towards an endpoint: choosing one of a cluster, a socket for it, its place in limits and rows.  It serves whoever opens
 * connections: a tunnel has one of its own (conn.h), a pool keeps them for the requests to come (pool.h).
 */
#pragma once

#include "common/addr.h"
#include "common/image.h"
#include "worker/downstream.h"
#include "worker/loop.h"

#include <stdbool.h>

/* What is known of the other end while the connection is there. */
struct upstream {
	struct addr endpoint;
	uint32_t cluster_slot, endpoint_slot;	/* IMAGE_NONE: none */
	bool in_cluster : 1;			/* takes a place of max_connections */
	bool in_endpoint : 1;			/* counted as open in the row of the endpoint */
};

/* What is needed only until it is open. */
struct dial {
	struct worker *worker;
	const struct image *image;
	const struct image_cluster *cluster;	/* in it */
	struct addr client, destination;	/* whom it is for */
	bool inbound;				/* as in struct arrival */
	uint32_t first_endpoint;		/* of the first attempt; each further attempt takes the one after */
	uint16_t attempts;			/* so far */
	int error;				/* errno of the last one */
};

#define UPSTREAM_NONE { .cluster_slot = IMAGE_NONE, .endpoint_slot = IMAGE_NONE }

/* By weight, of those of a tcp_proxy or a route. */
uint32_t upstream_choose_cluster(struct worker *, const struct image *, uint32_t first_target, uint32_t target_count);

/* A place among the connections to the cluster.  False: there is none, counted. */
bool upstream_enter_cluster(struct worker *, struct upstream *, const struct image *, const struct image_cluster *);
void upstream_leave_cluster(struct worker *, struct upstream *);

/* The endpoint of the next attempt: its address and slot.  False: the cluster has none, counted. */
bool upstream_choose(struct dial *, struct upstream *);

/* A socket for it, which may not be there for good reason: END_LOOP, END_NO_PORT (another endpoint may do better),
 * END_NO_MEMORY.  END_NONE: *fd_r is the caller's, and the attempt is counted. */
enum conn_end upstream_open(struct dial *, struct upstream *, int *fd_r);
/* Prepares the operation; nothing of it has to outlive the call. */
void upstream_connect(struct loop *, struct io_uring_sqe *, int fd, const struct addr *endpoint);
/* The attempt has failed: counted, and left. */
void upstream_failed(struct worker *, struct upstream *, enum conn_end why);

/* The connection ends: by the endpoint, or by us. */
void upstream_leave(struct worker *, struct upstream *, bool by_endpoint);
