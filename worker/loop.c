/* The ring: see loop.h. */
#include "worker/loop.h"

#include "worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CQ_ENTRIES 8192
#define COMPLETIONS_A_TURN 1024		/* then timers and the log have their moment */

uint64_t loop_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* liburing 2.3 declares io_uring_enable_rings() and its like, and does not export them. */
static int ring_register(struct io_uring *ring, unsigned opcode, const void *arg, unsigned n)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, opcode, arg, n) == -1 ? -errno : 0;
}

int loop_open(struct loop *l, struct err *e)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
		    IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = CQ_ENTRIES,
	};
	int r;

	if ((l->sockaddrs = calloc(SQ_ENTRIES, sizeof(*l->sockaddrs))) == NULL)
		return err_set(e, "%m");
	r = io_uring_queue_init_params(SQ_ENTRIES, &l->ring, &p);
	l->now_ms = loop_clock_ms();
	l->turn = 0;
	if (r >= 0)
		return 0;
	errno = -r;
	if (r == -EINVAL)
		return err_set(e, "io_uring: this kernel is too old: Linux 6.1 is needed");
	if (r == -EPERM || r == -ENOSYS)
		return err_set(e, "io_uring is forbidden here (%m): see kernel.io_uring_disabled, or the container's profile");
	return err_set(e, "io_uring: %m");
}

/* All that this program ever asks of the ring.  seccomp does not see what goes through it, so the ring is told itself. */
static const uint8_t allowed[] = {
	IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_RECV, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
};

int loop_enable(struct loop *l, struct err *e)
{
	struct io_uring_restriction r[sizeof(allowed) + 1] = { 0 };
	int failed;

	for (unsigned i = 0; i < sizeof(allowed); i++)
		r[i] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = allowed[i] };
	r[sizeof(allowed)] = (struct io_uring_restriction){
		.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_BUFFER_SELECT,
	};
	if ((failed = ring_register(&l->ring, IORING_REGISTER_RESTRICTIONS, r, sizeof(r) / sizeof(r[0]))) < 0 ||
	    (failed = ring_register(&l->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0)) < 0) {
		errno = -failed;
		return err_set(e, "io_uring: restricting the ring: %m");
	}
	return 0;
}

struct io_uring_sqe *loop_sqe(struct loop *l, void *owner, enum op_kind kind)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	while (sqe == NULL) {
		io_uring_submit(&l->ring);
		sqe = io_uring_get_sqe(&l->ring);
	}
	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = (uint64_t)(uintptr_t)owner | kind;
	return sqe;
}

struct sockaddr *loop_sockaddr(struct loop *l, const struct io_uring_sqe *sqe, const struct sockaddr_storage *ss, socklen_t len)
{
	struct sockaddr_in6 *room = &l->sockaddrs[sqe - l->ring.sq.sqes];

	memcpy(room, ss, len);
	return (struct sockaddr *)room;
}

void loop_cancel_fd(struct loop *l, int fd)
{
	struct io_uring_sqe *sqe = loop_sqe(l, NULL, OP_NONE);

	io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
}

static void wait_for(struct loop *l, int timeout_ms)
{
	struct __kernel_timespec ts = { timeout_ms / 1000, (timeout_ms % 1000) * 1000000LL };
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, timeout_ms < 0 ? NULL : &ts, NULL);
}

void loop_turn(struct worker *w, int timeout_ms)
{
	struct loop *l = &w->loop;
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	wait_for(l, timeout_ms);
	l->now_ms = loop_clock_ms();
	l->turn++;
	overload_turn_begins(w);
	if (io_uring_cq_has_overflow(&l->ring))
		count(w, WORKER_C_cq_overflow);
	io_uring_for_each_cqe(&l->ring, head, cqe) {
		uint64_t data = cqe->user_data;
		enum op_kind kind = (enum op_kind)(data & (OP_ALIGN - 1));

		n++;
		l->last = kind;
		if (kind != OP_NONE)
			worker_complete(w, (void *)(uintptr_t)(data & ~(uint64_t)(OP_ALIGN - 1)), kind, cqe->res, cqe->flags);
		if (n == COMPLETIONS_A_TURN)
			break;
	}
	io_uring_cq_advance(&l->ring, n);
	live_add(&w->block->counter[WORKER_C_completions], n);
	count(w, WORKER_C_turns);
}
