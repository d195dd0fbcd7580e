/* Sockets under HTTP connections: see transport.h. */
#include "worker/transport.h"

#include "worker/downstream.h"
#include "worker/upstream.h"
#include "worker/way.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct io_uring_sqe *prepare(struct transport *t, enum op_kind kind)
{
	t->inflight++;
	gauge(t->worker, WORKER_G_inflight, 1);
	return loop_sqe(&t->worker->loop, t, kind);
}

void transport_init(struct transport *t, struct worker *w, const struct transport_user *user, int fd)
{
	t->user = user;
	t->worker = w;
	t->fd = fd;
}

static void set_nonblock(struct transport *t, bool on)
{
	int flags;

	if (t->nonblock == on || (flags = fcntl(t->fd, F_GETFL)) == -1)
		return;
	if (fcntl(t->fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0)
		t->nonblock = on;
}

/* The ring is going to wait. */
static void block(struct transport *t)
{
	if (!t->raw)
		set_nonblock(t, false);
}

bool transport_ring_waits(struct transport *t)
{
	block(t);
	return !t->nonblock;
}

void transport_connect(struct transport *t, const struct addr *to)
{
	upstream_connect(&t->worker->loop, prepare(t, OP_CONNECTED), t->fd, to);
}

/* ---- reading ---- */

void transport_read(struct transport *t, bool many)
{
	struct io_uring_sqe *sqe;

	if (t->reading || t->starved || t->eof || t->closed)
		return;
	block(t);
	if (t->nonblock) {		/* and stays so: it would not wait */
		transport_wait_readable(t);
		return;
	}
	sqe = prepare(t, OP_READ);
	if (many)
		io_uring_prep_recv_multishot(sqe, t->fd, NULL, 0, 0);
	else
		io_uring_prep_recv(sqe, t->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	t->reading = true;
	t->many = many;
}

void transport_stop(struct transport *t)
{
	if (!t->reading || t->stopping)
		return;
	io_uring_prep_cancel64(loop_sqe(&t->worker->loop, NULL, OP_NONE), (uint64_t)(uintptr_t)t | OP_READ, 0);
	t->stopping = true;
}

ssize_t transport_read_now(struct transport *t, char *bytes, size_t size)
{
	ssize_t n;

	do
		n = recv(t->fd, bytes, size, MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n;
}

static void ended(struct transport *t, int error)
{
	t->eof = true;
	t->user->ended(t, error);
}

static void starve(struct transport *t)
{
	count(t->worker, WORKER_C_buffers_out);
	t->starved = true;
	t->next = t->worker->starved_transports;
	t->worker->starved_transports = t;
}

/* Whoever reads many goes on so: a buffer may be there again by then. */
void transports_feed(struct worker *w)
{
	struct transport *t = w->starved_transports, *next;

	for (w->starved_transports = NULL; t != NULL; t = next) {
		next = t->next;
		t->starved = false;
		transport_read(t, t->many);
	}
}

static void have_read(struct transport *t, int res, unsigned flags)
{
	int loan = flags & IORING_CQE_F_BUFFER ? (int)(flags >> IORING_CQE_BUFFER_SHIFT) : -1;

	if (!(flags & IORING_CQE_F_MORE))
		t->reading = t->stopping = false;
	if (loan != -1 && (res <= 0 || t->closed)) {
		buffer_return(&t->worker->buffers, (unsigned)loan);
		loan = -1;
	}
	if (t->closed)
		return;
	if (res > 0)
		t->user->data(t, buffer_at(&t->worker->buffers, (unsigned)loan), (uint32_t)res, loan);
	else if (res == 0)
		ended(t, 0);
	else if (res == -ENOBUFS)
		starve(t);
	else if (res == -ECANCELED || res == -EAGAIN || res == -EINTR)
		t->user->data(t, NULL, 0, -1);		/* nothing came, nothing is armed: whoever needs more reads on */
	else
		ended(t, -res);
}

/* ---- writing ---- */

void transport_write(struct transport *t, struct way *way, const struct iovec *iov, unsigned n, struct msghdr *msg, bool wait)
{
	const unsigned flags = MSG_NOSIGNAL | (wait ? MSG_WAITALL : MSG_DONTWAIT);
	struct io_uring_sqe *sqe;

	sqe = prepare(t, OP_WRITTEN);
	t->writing = way;
	if (n == 1) {
		io_uring_prep_send(sqe, t->fd, iov->iov_base, iov->iov_len, (int)flags);
		return;
	}
	*msg = (struct msghdr){ .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n };
	io_uring_prep_sendmsg(sqe, t->fd, msg, flags);
}

ssize_t transport_write_now(struct transport *t, const struct iovec *iov, unsigned n)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n };
	ssize_t sent;

	do
		sent = sendmsg(t->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	return sent;
}

/* ---- by oneself ---- */

static void wait_for(struct transport *t, enum op_kind kind, unsigned events)
{
	io_uring_prep_poll_add(prepare(t, kind), t->fd, events);
}

void transport_wait_readable(struct transport *t)
{
	if (t->reading || t->closed)
		return;
	t->reading = true;
	t->many = false;
	wait_for(t, OP_READABLE, POLLIN);
}

void transport_wait_writable(struct transport *t)
{
	if (t->waiting_room || t->closed)
		return;
	t->waiting_room = true;
	wait_for(t, OP_WRITABLE, POLLOUT);
}

void transport_watch(struct transport *t)
{
	if (t->watching || t->closed)
		return;
	t->watching = true;
	wait_for(t, OP_GONE, 0);
}

bool transport_set_raw(struct transport *t, bool on)
{
	t->raw = on;
	if (on)
		set_nonblock(t, true);
	return t->nonblock;
}

/* ---- the end ---- */

void transport_shut(struct transport *t)
{
	/* ENOTCONN: it is gone, which the next read finds out. */
	shutdown(t->fd, SHUT_WR);
}

void transport_shut_both(struct transport *t)
{
	shutdown(t->fd, SHUT_RDWR);
}

static void leave_starved(struct transport *t)
{
	struct transport **p = &t->worker->starved_transports;

	while (t->starved && *p != t)
		p = &(*p)->next;
	if (t->starved)
		*p = t->next;
	t->starved = false;
}

void transport_cancel(struct transport *t)
{
	if (t->starved) {
		leave_starved(t);
		t->user->data(t, NULL, 0, -1);
	} else if (transport_is_busy(t)) {
		loop_cancel_fd(&t->worker->loop, t->fd);
	}
}

void transport_close(struct transport *t, bool reset)
{
	if (t->closed)
		return;
	t->closed = true;
	t->resetting = reset;
	leave_starved(t);
	if (t->inflight > 0) {
		if (t->fd != -1)
			loop_cancel_fd(&t->worker->loop, t->fd);
		return;
	}
	/* Not from under a caller that still looks at it. */
	t->next = t->worker->gone;
	t->worker->gone = t;
}

void transports_reap(struct worker *w)
{
	struct transport *t;

	while ((t = w->gone) != NULL) {
		w->gone = t->next;
		t->user->gone(t);
	}
}

void transport_end(struct transport *t)
{
	if (t->resetting)
		reset_on_close(t->fd);
	if (t->fd != -1)
		close(t->fd);
	t->fd = -1;
}

int transport_give(struct transport *t)
{
	int fd = t->fd;

	t->fd = -1;
	return fd;
}

/* ---- completions ---- */

static void have_written(struct transport *t, int res)
{
	struct way *way = t->writing;

	t->writing = NULL;
	way_written(way, res);		/* also when it is closed: the bytes are free now */
}

static void dispatch(struct transport *t, enum op_kind kind, int res, unsigned flags)
{
	switch (kind) {
	case OP_READ:
		have_read(t, res, flags);
		break;
	case OP_WRITTEN:
		have_written(t, res);
		break;
	case OP_CONNECTED:
		if (!t->closed)
			t->user->connected(t, -res);
		break;
	case OP_READABLE:
		t->reading = false;
		if (!t->closed)
			t->user->readable(t);
		break;
	case OP_WRITABLE:
		t->waiting_room = false;
		if (!t->closed)
			t->user->writable(t);
		break;
	case OP_GONE:
		t->watching = false;
		if (!t->closed && res > 0 && (res & POLLERR))
			t->user->reset(t);
		else if (!t->closed)
			t->user->data(t, NULL, 0, -1);
		break;
	default:
		abort();
	}
}

void transport_complete(struct transport *t, enum op_kind kind, int res, unsigned flags)
{
	dispatch(t, kind, res, flags);
	if (flags & IORING_CQE_F_MORE)
		return;
	gauge(t->worker, WORKER_G_inflight, -1);
	if (--t->inflight == 0 && t->closed)
		t->user->gone(t);
}
