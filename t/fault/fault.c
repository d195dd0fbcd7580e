/*
 * The faults of meshd-worker-faulty: see fault.h.  The linker's --wrap puts these functions before the real ones.
 *
 * An operation of the ring that is to fail gets no descriptor, so that the kernel does nothing for it, and its completion
 * is told as the table has it: nothing that it reports as not done was done.
 */
#include "t/fault/fault.h"

#include "worker/buffers.h"
#include "worker/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPOILT_MAX 256

#define WRAP(type, name, ...)			\
	type __real_##name(__VA_ARGS__);	\
	type __wrap_##name(__VA_ARGS__);	\
	type __wrap_##name(__VA_ARGS__)

static struct fault_file *file;
static unsigned ring_entries;

static struct spoilt {
	uint64_t data;
	int value;
} spoilt[SPOILT_MAX];
static unsigned nspoilt;

/* Before main(): the worker gives up its rights and its system calls early. */
__attribute__((constructor)) static void map_table(void)
{
	const char *path = getenv(FAULT_FILE), *entries = getenv(FAULT_RING);
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

	if (entries != NULL)
		ring_entries = (unsigned)strtoul(entries, NULL, 10);
	if (path == NULL)
		return;
	file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED) {
		fprintf(stderr, "%s: %m\n", path);
		_exit(1);
	}
	close(fd);
}

/* The row that lets this occurrence fail, or NULL. */
static const struct fault *due(const char *name, int only)
{
	for (unsigned i = 0; file != NULL && i < FAULT_ROWS; i++) {
		struct fault *f = &file->row[i];
		uint32_t n;

		if (!atomic_load(&f->armed) || strcmp(f->name, name) != 0 || (f->only != -1 && f->only != only))
			continue;
		n = atomic_fetch_add(&f->seen, 1) + 1;
		if (n < f->first || n - f->first >= f->times)
			continue;
		atomic_fetch_add(&f->hit, 1);
		return f;
	}
	return NULL;
}

static bool fails(const char *name, int only)
{
	const struct fault *f = due(name, only);

	if (f == NULL)
		return false;
	errno = -f->value;
	return true;
}

/* -1: fails; else how many bytes it may move. */
static ssize_t allowance(const char *name, int only, size_t len)
{
	const struct fault *f = due(name, only);

	if (f == NULL)
		return (ssize_t)len;
	if (f->value >= 0)
		return (size_t)f->value < len ? f->value : (ssize_t)len;
	errno = -f->value;
	return -1;
}

/* ---- system calls ---- */

WRAP(int, socket, int family, int type, int protocol)
{
	return fails("socket", -1) ? -1 : __real_socket(family, type, protocol);
}

WRAP(int, setsockopt, int fd, int level, int option, const void *value, socklen_t len)
{
	return fails("setsockopt", option) ? -1 : __real_setsockopt(fd, level, option, value, len);
}

WRAP(int, getsockopt, int fd, int level, int option, void *value, socklen_t *len)
{
	return fails("getsockopt", option) ? -1 : __real_getsockopt(fd, level, option, value, len);
}

WRAP(int, bind, int fd, const struct sockaddr *sa, socklen_t len)
{
	return fails("bind", -1) ? -1 : __real_bind(fd, sa, len);
}

WRAP(int, accept4, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	return fails("accept4", -1) ? -1 : __real_accept4(fd, sa, len, flags);
}

WRAP(int, getsockname, int fd, struct sockaddr *sa, socklen_t *len)
{
	return fails("getsockname", -1) ? -1 : __real_getsockname(fd, sa, len);
}

WRAP(int, shutdown, int fd, int how)
{
	return fails("shutdown", -1) ? -1 : __real_shutdown(fd, how);
}

WRAP(int, pipe2, int fds[2], int flags)
{
	return fails("pipe2", -1) ? -1 : __real_pipe2(fds, flags);
}

WRAP(int, fcntl, int fd, int command, ...)
{
	va_list ap;
	long arg;

	va_start(ap, command);
	arg = va_arg(ap, long);
	va_end(ap);
	return fails("fcntl", command) ? -1 : __real_fcntl(fd, command, arg);
}

WRAP(ssize_t, send, int fd, const void *bytes, size_t len, int flags)
{
	ssize_t n = allowance("send", -1, len);

	return n == -1 ? -1 : __real_send(fd, bytes, (size_t)n, flags);
}

WRAP(ssize_t, sendmsg, int fd, const struct msghdr *msg, int flags)
{
	size_t all = 0;
	ssize_t n;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		all += msg->msg_iov[i].iov_len;
	n = allowance("sendmsg", -1, all);
	if (n == -1)
		return -1;
	if ((size_t)n == all)
		return __real_sendmsg(fd, msg, flags);
	return __real_send(fd, msg->msg_iov->iov_base, (size_t)n < msg->msg_iov->iov_len ? (size_t)n : msg->msg_iov->iov_len, flags);
}

WRAP(ssize_t, recv, int fd, void *bytes, size_t len, int flags)
{
	ssize_t n = allowance("recv", -1, len);

	return n == -1 ? -1 : __real_recv(fd, bytes, (size_t)n, flags);
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t len)
{
	ssize_t n = allowance("write", -1, len);

	return n == -1 ? -1 : __real_write(fd, bytes, (size_t)n);
}

/* only: 0 from a socket, 1 to one. */
WRAP(ssize_t, splice, int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags)
{
	int type, to_socket;
	socklen_t size = sizeof(type);
	ssize_t n;

	to_socket = __real_getsockopt(in, SOL_SOCKET, SO_TYPE, &type, &size) == -1;
	n = allowance("splice", to_socket, len);
	return n == -1 ? -1 : __real_splice(in, in_at, out, out_at, (size_t)n, flags);
}

/* ---- memory ---- */

WRAP(void *, malloc, size_t size)
{
	return fails("malloc", -1) ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, size_t n, size_t size)
{
	return fails("calloc", -1) ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, void *old, size_t size)
{
	return fails("realloc", -1) ? NULL : __real_realloc(old, size);
}

WRAP(void *, aligned_alloc, size_t alignment, size_t size)
{
	return fails("aligned_alloc", -1) ? NULL : __real_aligned_alloc(alignment, size);
}

/* ---- the ring ---- */

static const char *const kinds[] = {
#define KIND_NAME(kind, words) #kind,
	OPERATIONS(KIND_NAME)
#undef KIND_NAME
};

static void spoil(struct io_uring_sqe *sqe)
{
	enum op_kind kind = (enum op_kind)(sqe->user_data & (OP_ALIGN - 1));
	const struct fault *f = kind == OP_NONE || nspoilt == SPOILT_MAX ? NULL : due(kinds[kind], -1);

	if (f == NULL)
		return;
	if (sqe->opcode == IORING_OP_SENDMSG && f->value >= 0) {	/* of its first piece */
		const struct msghdr *msg = (const struct msghdr *)(uintptr_t)sqe->addr;

		sqe->opcode = IORING_OP_SEND;
		sqe->addr = (uint64_t)(uintptr_t)msg->msg_iov->iov_base;
		sqe->len = (uint32_t)msg->msg_iov->iov_len;
	}
	if (sqe->opcode == IORING_OP_SEND && f->value >= 0) {
		if ((uint32_t)f->value < sqe->len)
			sqe->len = (uint32_t)f->value;
		return;
	}
	sqe->fd = -1;
	spoilt[nspoilt++] = (struct spoilt){ sqe->user_data, f->value };
}

/* Those that the kernel has not been told of yet. */
static void spoil_pending(struct io_uring *ring)
{
	static unsigned upto;

	if ((int)(ring->sq.sqe_head - upto) > 0)
		upto = ring->sq.sqe_head;
	for (; upto != ring->sq.sqe_tail; upto++)
		spoil(&ring->sq.sqes[upto & ring->sq.ring_mask]);
}

WRAP(int, io_uring_submit, struct io_uring *ring)
{
	if (fails("io_uring_submit", -1))
		return -errno;
	spoil_pending(ring);
	return __real_io_uring_submit(ring);
}

WRAP(int, io_uring_submit_and_wait_timeout, struct io_uring *ring, struct io_uring_cqe **cqe, unsigned n,
    struct __kernel_timespec *ts, sigset_t *mask)
{
	if (fails("io_uring_wait", -1))
		return -errno;
	spoil_pending(ring);
	return __real_io_uring_submit_and_wait_timeout(ring, cqe, n, ts, mask);
}

WRAP(int, io_uring_queue_init_params, unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	if (ring_entries != 0) {
		entries = ring_entries;
		p->cq_entries = 2 * ring_entries;
	}
	return __real_io_uring_queue_init_params(entries, ring, p);
}

WRAP(void, buffer_return, struct buffers *b, unsigned id)
{
	if (file != NULL)
		atomic_fetch_add(&file->on_loan, -1);
	__real_buffer_return(b, id);
}

WRAP(void, worker_complete, struct worker *w, void *owner, enum op_kind kind, int res, unsigned flags)
{
	uint64_t data = (uint64_t)(uintptr_t)owner | kind;

	if (file != NULL && (flags & IORING_CQE_F_BUFFER))
		atomic_fetch_add(&file->on_loan, 1);
	for (unsigned i = 0; res == -EBADF && i < nspoilt; i++) {
		if (spoilt[i].data != data)
			continue;
		res = spoilt[i].value;
		spoilt[i] = spoilt[--nspoilt];
		break;
	}
	__real_worker_complete(w, owner, kind, res, flags);
}
