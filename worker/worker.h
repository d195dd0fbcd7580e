/* One worker: what its rooms share.  Made in main.c, never copied, one in a process. */
#pragma once

#include "common/image.h"
#include "common/live.h"
#include "common/log.h"
#include "worker/accesslog.h"
#include "worker/arena.h"
#include "worker/blocks.h"
#include "worker/buffers.h"
#include "worker/generation.h"
#include "worker/http.h"
#include "worker/loop.h"
#include "worker/overload.h"
#include "worker/pipes.h"
#include "worker/wheel.h"

#include <time.h>

struct conn;
struct downstream;
struct listener;
struct pool;
struct stream;
struct transport;

#define HTTP_FIELDS_MAX	 1000u		/* max_headers_count at most */
#define STREAM_LINES	 12u		/* fields that filters add to a head */
#define HOT_BUFFER_BYTES (128u << 10)	/* what one read of a busy direction takes at most */

struct worker {
	struct loop loop;
	struct wheel wheel;
	struct buffers buffers;
	struct overload overload;
	struct accesslog log;
	struct live live;
	struct live_block *block;	/* our own */
	live_word *loads;		/* by worker; NULL: connections are spread by the kernel's hash */
	uint32_t index;

	struct generation *generation;	/* in use; older ones that are still looked into follow it */

	int control;			/* SOCK_SEQPACKET to the master; -1: it is gone */
	struct listener *listeners;
	unsigned nlisteners;
	uint64_t descriptors;		/* RLIMIT_NOFILE; connections have less (control.c) */
	uint64_t accept_again_ms;	/* nothing could be accepted; 0: not so */
	int spare_fd;			/* given up for a moment to shed when descriptors are out */
	struct downstream *conns;	/* all of them */
	uint64_t conn_number;		/* of the youngest */
	struct {			/* connections.h */
		int fd;			/* -1: none going on */
		uint64_t number;
		struct downstream *next;
	} listing;
	struct conn *starved;		/* wait for a receive buffer */
	struct transport *starved_transports;
	struct transport *gone;		/* closed, with nothing in flight */
	struct stream *over;		/* to be freed at the end of the turn */
	struct slab slab;		/* of streams */
	struct blocks tunnels, http_conns, links;
	struct pool **pools;		/* POOL_BUCKETS */
	uint64_t nhttp_conns, nlinks;	/* of each so many are there */
	/* of the head that is being read or made */
	struct http_field fields[HTTP_FIELDS_MAX];
	struct http_line lines[STREAM_LINES];
	unsigned line_count;
	uint32_t *round_robin;		/* by slot */
	uint64_t random;		/* state of worker_random() */
	uint64_t wall_ms, wall_at_ms;	/* CLOCK_REALTIME when loop.now_ms was wall_at_ms, within the last second */
	char *hot;			/* HOT_BUFFER_BYTES */
	struct pipes pipes;
	uint32_t source_turn;		/* source.h */
	struct {			/* kin.h */
		int fd;			/* NETLINK_SOCK_DIAG; -1: nobody is asked */
		uint32_t asked;
		uid_t uid;		/* that our sockets have */
	} kin;

	int alive;			/* RUNDIR/alive; -1: not given */
	struct timespec alive_at;	/* its time when the master went: later, another one is ready */
	uint64_t orphan_end_ms;		/* the master is gone, and this is how long it is done without */
	bool draining;
	uint64_t drain_end_ms;
	bool first_adopted;
};

static inline const struct image *image_in_use(const struct worker *w)
{
	return &w->generation->image;
}

/* xorshift64*, for spreading load and for names, not for secrets. */
static inline uint64_t worker_random_bits(struct worker *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1du;
}

/* Below n, n > 0. */
static inline uint32_t worker_random(struct worker *w, uint32_t n)
{
	return (uint32_t)((worker_random_bits(w) >> 32) * n >> 32);
}

/* From connections, for what the master sends: the listening sockets of one reload. */
static inline uint64_t descriptors_kept(const struct worker *w)
{
	return w->descriptors / 8 < 128 ? w->descriptors / 8 : 128;
}

/* What the wall clock shows, or showed, at a moment of loop.now_ms. */
static inline uint64_t worker_wall_ms(struct worker *w, uint64_t at_ms)
{
	struct timespec ts;

	if (w->wall_at_ms == 0 || w->loop.now_ms - w->wall_at_ms >= 1000) {
		clock_gettime(CLOCK_REALTIME, &ts);
		w->wall_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
		w->wall_at_ms = w->loop.now_ms;
	}
	return w->wall_ms + at_ms - w->wall_at_ms;
}

/* "-": there is none. */
static inline const char *slot_name(const struct worker *w, uint32_t slot)
{
	return slot == IMAGE_NONE ? "-" : w->live.head->directory[slot].name;
}

static inline void count(struct worker *w, unsigned counter)
{
	live_add(&w->block->counter[counter], 1);
}

static inline void gauge(struct worker *w, unsigned g, int64_t n)
{
	live_add(&w->block->gauge[g], n);
}
