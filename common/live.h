/*
 * `live`: the one read-write memory that the master, the workers and the agent share.  A memfd, sparse, made by the
 * master at start and kept until it stops; reload, respawn and (later) upgrade go on with it.
 *
 * No lock.  Every word has one writer, named below; readers take what they find.  No memory safety hangs on what is in
 * it: a program uses its own copy of every index and size, and what the master reads out of it, it trusts no further
 * than a range check.
 *
 *   head                          who writes
 *     layout, addresses           master
 *     generations[64]             master
 *     directory[LIVE_SLOTS]       master        slot -> kind and name
 *   blocks[workers]
 *     want                        master
 *     crash                       that worker (the master when it is dead)
 *     adopted, held, pid, gauges, counters      that worker (the master: pid; when it is dead: held, gauges)
 *     rows[LIVE_SLOTS]            that worker (the master when it is dead: gauges)
 *
 * Counters are 64-bit words, stored relaxed by their one writer, summed by readers: a sum is what each word was at some
 * moment of the walk.
 */
#pragma once

#include "common/addr.h"
#include "common/err.h"
#include "common/image.h"
#include "common/stats.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LIVE_MAGIC	 0x00000165766c6873u
#define LIVE_SLOTS	 131072u	/* listeners, chains, clusters and endpoints at a time, old and new generations together */
#define LIVE_WORKERS_MAX 64u
#define LIVE_GENERATIONS 64u		/* a bit of `held` for each */
#define LIVE_ADDRESSES	 256u		/* of this host that are kept; past it, the check of own addresses is incomplete */
#define LIVE_SOURCE_MAX	 512u

typedef _Atomic uint64_t live_word;

static inline uint64_t live_get(const live_word *w)
{
	return atomic_load_explicit(w, memory_order_relaxed);
}

/* By the word's one writer only. */
static inline void live_set(live_word *w, uint64_t value)
{
	atomic_store_explicit(w, value, memory_order_relaxed);
}

static inline void live_add(live_word *w, int64_t n)
{
	live_set(w, live_get(w) + (uint64_t)n);
}

/*
 * A row of one slot in one worker's block.  `users` counts what holds the slot beside generations (a tunnel that has
 * outlived its cluster): while the sum over workers is not nought, the slot keeps its name.
 */
#define LIVE_GAUGES   4
#define LIVE_COUNTERS 44
struct live_row {
	live_word gauge[LIVE_GAUGES];		/* gauge[0] is `users` */
	live_word counter[LIVE_COUNTERS];
};

#define LIVE_USERS 0

#define LIVE_INDEX(KIND, GAUGES, COUNTERS)						\
	enum { KIND##_USERS = 0, GAUGES KIND##_NGAUGES };				\
	enum { COUNTERS KIND##_NCOUNTERS };						\
	_Static_assert((int)KIND##_NGAUGES <= LIVE_GAUGES, #KIND " has too many gauges");	\
	_Static_assert((int)KIND##_NCOUNTERS <= LIVE_COUNTERS, #KIND " has too many counters")
#define X_LG(f, n, w) LISTENER_G_##f,
#define X_LC(f, n, w) LISTENER_C_##f,
#define X_HG(f, n, w) CHAIN_G_##f,
#define X_HC(f, n, w) CHAIN_C_##f,
#define X_TG(f, n, w) HTTP_G_##f,
#define X_TC(f, n, w) HTTP_C_##f,
#define X_CG(f, n, w) CLUSTER_G_##f,
#define X_CC(f, n, w) CLUSTER_C_##f,
#define X_EG(f, n, w) ENDPOINT_G_##f,
#define X_EC(f, n, w) ENDPOINT_C_##f,
#define X_WG(f, n, w) WORKER_G_##f,
#define X_WC(f, n, w) WORKER_C_##f,
LIVE_INDEX(LISTENER, LISTENER_GAUGES(X_LG), LISTENER_COUNTERS(X_LC));
LIVE_INDEX(CHAIN, CHAIN_GAUGES(X_HG), CHAIN_COUNTERS(X_HC));
LIVE_INDEX(HTTP, HTTP_GAUGES(X_TG), HTTP_COUNTERS(X_TC));
LIVE_INDEX(CLUSTER, CLUSTER_GAUGES(X_CG), CLUSTER_COUNTERS(X_CC));
LIVE_INDEX(ENDPOINT, ENDPOINT_GAUGES(X_EG), ENDPOINT_COUNTERS(X_EC));
enum { WORKER_GAUGES(X_WG) WORKER_NGAUGES };
enum { WORKER_COUNTERS(X_WC) WORKER_NCOUNTERS };
#undef X_LG
#undef X_LC
#undef X_HG
#undef X_HC
#undef X_TG
#undef X_TC
#undef X_CG
#undef X_CC
#undef X_EG
#undef X_EC
#undef X_WG
#undef X_WC
#undef LIVE_INDEX

/* A chain's row keeps its meaning, whatever its filter becomes: what all have comes first. */
_Static_assert((int)HTTP_G_cx_active == (int)CHAIN_G_cx_active && (int)HTTP_C_cx_total == (int)CHAIN_C_cx_total &&
    (int)HTTP_C_cx_rx_bytes == (int)CHAIN_C_cx_rx_bytes && (int)HTTP_C_cx_tx_bytes == (int)CHAIN_C_cx_tx_bytes &&
    (int)HTTP_C_idle_timeout == (int)CHAIN_C_idle_timeout && (int)HTTP_C_max_duration == (int)CHAIN_C_max_duration &&
    (int)CHAIN_NGAUGES == 2 && (int)CHAIN_NCOUNTERS == 5, "HTTP_ begins as CHAIN_ does");

struct live_generation {		/* in any free row: see live_generation_row() */
	live_word number;		/* 0: free */
	live_word born_ns;		/* CLOCK_REALTIME */
	live_word size_bytes;
	live_word digest[4];		/* 32 bytes */
	char source[LIVE_SOURCE_MAX];	/* the file of -c */
};

struct live_entry {			/* of the directory */
	live_word kind;			/* enum image_name_kind; NAME_NONE: free.  Written last, cleared first */
	live_word birth;		/* generation that brought it */
	char name[IMAGE_NAME_MAX + 8];
};

struct live_head {
	uint64_t magic;
	uint64_t layout;		/* live_layout() of the program that made it */
	uint32_t workers;
	uint32_t zero;
	live_word born_ns;		/* start of the master */
	live_word newest;		/* number of the newest published generation */
	live_word reloads_ok, reloads_failed;
	live_word rolled_back;			/* a generation that workers died of, given up; 0: none since the last load */
	live_word intercepting;		/* bool: rules are in */
	live_word spread;		/* bool: new connections go to the least loaded worker, not by the kernel's hash */
	live_word address_count;	/* written after the addresses */
	struct addr addresses[LIVE_ADDRESSES];
	struct live_generation generations[LIVE_GENERATIONS];
	struct live_entry directory[LIVE_SLOTS];
};

/* What a worker that dies by a signal of its own says of it: written in the signal's handler, `signal` last. */
#define LIVE_FRAMES 24
struct live_crash {
	live_word signal;		/* 0: none */
	live_word address;		/* that could not be reached; 0 where the signal has none */
	live_word operation;		/* the last completion that was looked at (worker/loop.h, enum op_kind) */
	live_word generation;
	live_word frames;
	live_word frame[LIVE_FRAMES];	/* innermost first, offsets in the executable, for addr2line(1) */
};

struct live_block {
	live_word pid;			/* 0: not running */
	live_word started_ns;
	live_word want;			/* generation that the master has sent */
	live_word adopted;		/* generation in use; 0: none yet */
	live_word held;			/* bit i: holds generations[i] */
	struct live_crash crash;	/* that worker; the master clears it before the next one starts */
	live_word gauge[16];
	live_word counter[32];
	struct live_row rows[LIVE_SLOTS];
};

struct live {
	struct live_head *head;
	struct live_block *blocks;	/* `workers` of them */
	uint32_t workers;		/* own copy */
	size_t size;
};

/* The master's, once.  workers: 1 to LIVE_WORKERS_MAX.  *fd_r is a CLOEXEC memfd sealed against growing and shrinking. */
int live_create(uint32_t workers, struct live *, int *fd_r, struct err *e);
/* A child's.  -1: another layout (a program of another build), or not a `live`. */
int live_map(int fd, struct live *, struct err *e);
void live_unmap(struct live *);

/* Sizes and counts of this build, mixed into one number. */
uint64_t live_layout(void);

static inline struct live_row *live_row(const struct live *l, uint32_t worker, uint32_t slot)
{
	return &l->blocks[worker].rows[slot];
}

/* Sums over all workers. */
uint64_t live_sum_gauge(const struct live *, uint32_t slot, unsigned gauge);
uint64_t live_sum_counter(const struct live *, uint32_t slot, unsigned counter);

/*
 * An exact limit over all workers: announces one more in *own, a gauge in this worker's block, and sums the same gauge
 * of all of them.  True: taken.  False: over the limit, taken back.  Never exceeded; two at once at limit - 1 may both
 * be refused.  limit 0: none, always taken.
 */
bool live_announce(const struct live *, uint32_t worker, live_word *own, uint64_t limit);

/* The row of that generation; IMAGE_NONE: it has none (any more). */
uint32_t live_generation_row(const struct live *, uint64_t number);

/* Is it an address of this host (loopback, or in the list that the master keeps)? */
bool live_address_is_ours(const struct live *, const struct addr *ip);
/* False: the list is full, and another address may be ours too. */
static inline bool live_knows_all_addresses(const struct live *l)
{
	return live_get(&l->head->address_count) < LIVE_ADDRESSES;
}
