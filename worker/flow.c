/* One direction of a tunnel: see flow.h.  In the order of a byte's way: read, quiet, busy, spliced, end. */
#include "worker/flow.h"

#include "worker/conn.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPLICE_AFTER	(256u << 10)	/* bytes of a busy run */
#define SPLICE_LEAST	(64u << 10)	/* under a smaller limit two calls carry less than one copy does */
#define BYTES_A_WAKE	(1u << 20)	/* then others have their turn */
#define SMALL_BYTES	BUFFER_BYTES
#define SMALL_WAKES	8
/* One wait can bring all that there are: 33 when it is armed, 33 each time the ring runs its work before it returns; Linux
 * 6.1 does not count them at all. */
#define MULTISHOT_BYTES	(BUFFER_COUNT * BUFFER_BYTES)

static void pump(struct conn *c, unsigned d);

void flow_init(struct flow *f)
{
	memset(f, 0, sizeof(*f));
	f->pipe.fd[0] = f->pipe.fd[1] = -1;
}

static int source(struct conn *c, unsigned d)
{
	return c->side[d].fd;
}

static int sink(struct conn *c, unsigned d)
{
	return c->side[!d].fd;
}

static void fail(struct conn *c, unsigned of_side)
{
	conn_close(c, of_side == DOWNSTREAM ? END_DOWNSTREAM_RESET : END_UPSTREAM_RESET, true);
}

/* ---- counting: as the bytes move, so that a long connection shows what it does ---- */

/* Before its chain is known nothing is counted there; conn.c makes up for it. */
static void add(struct conn *c, uint32_t slot, unsigned which, uint64_t n)
{
	if (slot != IMAGE_NONE)
		live_add(&live_row(&c->head.worker->live, c->head.worker->index, slot)->counter[which], (int64_t)n);
}

static void received(struct conn *c, unsigned d, uint64_t n)
{
	c->flow[d].bytes += n;
	c->head.active_ms = c->head.worker->loop.now_ms;
	if (d == DOWNSTREAM)
		add(c, c->head.chain_slot, CHAIN_C_cx_rx_bytes, n);
	else
		add(c, c->up.cluster_slot, CLUSTER_C_cx_rx_bytes, n);
}

static void sent(struct conn *c, unsigned d, uint64_t n)
{
	c->flow[d].sent += n;
	c->head.active_ms = c->head.worker->loop.now_ms;
	if (d == DOWNSTREAM)
		add(c, c->up.cluster_slot, CLUSTER_C_cx_tx_bytes, n);
	else
		add(c, c->head.chain_slot, CHAIN_C_cx_tx_bytes, n);
}

/* ---- reading ---- */

static void set_nonblock(struct conn *c, unsigned side, bool on)
{
	int flags, fd = c->side[side].fd;

	if (c->nonblock[side] == on || (flags = fcntl(fd, F_GETFL)) == -1)
		return;
	if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0)
		c->nonblock[side] = on;
}

static void arm_data(struct conn *c, unsigned d)
{
	struct io_uring_sqe *sqe = conn_sqe(c, (enum op_kind)(OP_DATA0 + d));

	io_uring_prep_recv_multishot(sqe, source(c, d), NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	c->flow[d].reading = true;
}

static void arm_one(struct conn *c, unsigned d)
{
	struct io_uring_sqe *sqe = conn_sqe(c, (enum op_kind)(OP_DATA0 + d));

	io_uring_prep_recv(sqe, source(c, d), NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
	c->flow[d].reading = true;
}

static void arm_poll(struct conn *c, enum op_kind kind, int fd, unsigned events)
{
	io_uring_prep_poll_add(conn_sqe(c, kind), fd, events);
}

/* Reads on, if nothing that was read still waits for the peer. */
static void read_on(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	if (c->decided && d == DOWNSTREAM)
		return;
	if (f->reading || f->eof || f->starved || c->state == CONN_CLOSING || f->pipe.held > 0 ||
	    (f->pending_end > f->pending_at && !(c->sniffing && d == DOWNSTREAM)))
		return;
	if (!f->busy && c->nonblock[d] && !c->flow[!d].spliced) {
		set_nonblock(c, DOWNSTREAM, false);
		set_nonblock(c, UPSTREAM, false);
	}
	if (f->busy || c->nonblock[d]) {
		arm_poll(c, (enum op_kind)(OP_READY0 + d), source(c, d), POLLIN);
		f->reading = true;
	} else if (c->buffer_limit[d] < MULTISHOT_BYTES) {
		arm_one(c, d);
	} else {
		arm_data(c, d);
	}
}

void flow_start(struct conn *c, unsigned d)
{
	read_on(c, d);
}

void flow_retry(struct conn *c, unsigned d)
{
	c->flow[d].starved = false;
	read_on(c, d);
}

/* ---- what the peer did not take ---- */

static int keep(struct conn *c, unsigned d, const char *bytes, uint32_t len)
{
	struct flow *f = &c->flow[d];
	uint32_t used = f->pending_end - f->pending_at;
	char *bigger;

	if (len == 0)
		return 0;
	if (f->pending_at > 0 && f->pending != NULL) {
		memmove(f->pending, f->pending + f->pending_at, used);
		f->pending_at = 0;
		f->pending_end = used;
	}
	if (used + len > f->pending_size) {
		uint32_t size = (used + len + 4095) & ~4095u;

		if ((bigger = realloc(f->pending, size)) == NULL) {
			count(c->head.worker, WORKER_C_shed_memory);
			f->lost = true;
			conn_close(c, END_NO_MEMORY, true);
			return -1;
		}
		f->pending = bigger;
		f->pending_size = size;
	}
	memcpy(f->pending + f->pending_end, bytes, len);
	f->pending_end += len;
	gauge(c->head.worker, WORKER_G_buffer_bytes, len);
	return 0;
}

/* The rest of a loan comes before what has come since. */
static int keep_before(struct conn *c, unsigned d, const char *bytes, uint32_t len)
{
	struct flow *f = &c->flow[d];
	uint32_t used = f->pending_end - f->pending_at;

	if (used == 0)
		return keep(c, d, bytes, len);
	if (keep(c, d, bytes, len) == -1)		/* makes room; now rotate it to the front */
		return -1;
	memmove(f->pending + f->pending_at + len, f->pending + f->pending_at, used);
	memcpy(f->pending + f->pending_at, bytes, len);
	return 0;
}

static void forget_pending(struct conn *c, struct flow *f)
{
	gauge(c->head.worker, WORKER_G_buffer_bytes, -(int64_t)(f->pending_end - f->pending_at));
	free(f->pending);
	f->pending = NULL;
	f->pending_at = f->pending_end = f->pending_size = 0;
}

/* While nothing is read from a side, a reset of it must be seen all the same. */
static void watch(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	if (f->watching)
		return;
	f->watching = true;
	arm_poll(c, (enum op_kind)(OP_HUP0 + d), source(c, d), 0);
}

void flow_watch(struct conn *c, unsigned d)
{
	if (c->flow[d].done)
		watch(c, d);
}

static void wait_room(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	if (f->waiting_room)
		return;
	f->waiting_room = true;
	arm_poll(c, (enum op_kind)(OP_ROOM0 + d), sink(c, d), POLLOUT);
	watch(c, d);
}

/* send(2) without waiting.  Bytes taken, 0 when there is no room; -1: the connection is being reset. */
static ssize_t give(struct conn *c, unsigned d, const char *bytes, size_t len)
{
	ssize_t n;

	do
		n = send(sink(c, d), bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n >= 0) {
		sent(c, d, (uint64_t)n);
		return n;
	}
	if (errno == EAGAIN)
		return 0;
	fail(c, !d);
	return -1;
}

static void pass_end(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	if (c->sniffing && d == DOWNSTREAM)
		return;
	if (!f->eof || f->done || f->sending || f->pending_end > f->pending_at || f->pipe.held > 0 || c->state != CONN_OPEN)
		return;
	f->done = true;
	if (c->flow[!d].done) {
		conn_close(c, END_DONE, false);		/* which says the same as shutdown(2) */
		return;
	}
	c->endpoint_first = d == UPSTREAM;
	/* ENOTCONN: it is gone, which the other direction finds out after what came before. */
	if (shutdown(sink(c, d), SHUT_WR) == -1 && errno != ENOTCONN)
		fail(c, !d);
	else
		conn_half_closed(c);
}

static void flush(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];
	ssize_t n;

	if (f->sending || f->waiting_room || c->state != CONN_OPEN || (c->sniffing && d == DOWNSTREAM))
		return;
	if (f->pending_end > f->pending_at) {
		n = give(c, d, f->pending + f->pending_at, f->pending_end - f->pending_at);
		if (n == -1)
			return;
		gauge(c->head.worker, WORKER_G_buffer_bytes, -n);
		f->pending_at += (uint32_t)n;
		if (f->pending_at < f->pending_end) {
			wait_room(c, d);
			return;
		}
		forget_pending(c, f);
	}
	pass_end(c, d);
	if (c->state != CONN_CLOSING)
		read_on(c, d);
}

void flow_open(struct conn *c, unsigned d)
{
	flush(c, d);
}

/* ---- quiet ---- */

void flow_stop(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];
	struct io_uring_sqe *sqe;

	if (!f->reading || f->stopping)
		return;
	sqe = loop_sqe(&c->head.worker->loop, NULL, OP_NONE);
	io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)c | (unsigned)(OP_DATA0 + d), 0);
	f->stopping = true;
}

static void go_busy(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	f->busy = true;
	f->run = 0;
	f->small = 0;
	flow_stop(c, d);
}

/* Sends a loan by the ring.  MSG_DONTWAIT: it completes at once, so that no loan waits for a slow peer. */
static void send_loan(struct conn *c, unsigned d, unsigned id, uint32_t len)
{
	struct flow *f = &c->flow[d];

	f->loan_id = (uint16_t)id;
	f->loan_len = len;
	f->sending = true;
	io_uring_prep_send(conn_sqe(c, (enum op_kind)(OP_SENT0 + d)), sink(c, d), buffer_at(&c->head.worker->buffers, id), len,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void take_loan(struct conn *c, unsigned d, unsigned id, uint32_t len)
{
	struct flow *f = &c->flow[d];
	struct buffers *b = &c->head.worker->buffers;
	bool again = f->data_turn == (uint32_t)c->head.worker->loop.turn;

	received(c, d, len);
	f->data_turn = (uint32_t)c->head.worker->loop.turn;
	if (c->sniffing && d == UPSTREAM)
		conn_endpoint_speaks(c);
	if (c->state == CONN_OPEN && !c->sniffing && !f->sending && !f->waiting_room && f->pending_end == f->pending_at) {
		send_loan(c, d, id, len);
	} else {
		keep(c, d, buffer_at(b, id), len);
		buffer_return(b, id);
	}
	if (c->state != CONN_CLOSING && !c->sniffing && (again || len == BUFFER_BYTES || f->pending_end > f->pending_at))
		go_busy(c, d);
}

static void starve(struct conn *c, unsigned d)
{
	struct worker *w = c->head.worker;
	struct flow *f = &c->flow[d];

	count(w, WORKER_C_buffers_out);
	if (!c->flow[!d].starved) {
		c->next_starved = w->starved;
		w->starved = c;
	}
	f->starved = true;
}

void flow_data(struct conn *c, unsigned d, int res, unsigned flags)
{
	struct flow *f = &c->flow[d];

	if (!(flags & IORING_CQE_F_MORE)) {
		f->reading = false;
		f->stopping = false;
	}
	if (c->state == CONN_CLOSING) {
		if (res > 0 && c->leaving && d == DOWNSTREAM)
			keep(c, d, buffer_at(&c->head.worker->buffers, flags >> IORING_CQE_BUFFER_SHIFT), (uint32_t)res);
		f->eof = f->eof || res == 0;
		if (flags & IORING_CQE_F_BUFFER)
			buffer_return(&c->head.worker->buffers, flags >> IORING_CQE_BUFFER_SHIFT);
		return;
	}
	if (res <= 0 && (flags & IORING_CQE_F_BUFFER))
		buffer_return(&c->head.worker->buffers, flags >> IORING_CQE_BUFFER_SHIFT);
	if (res > 0)
		take_loan(c, d, flags >> IORING_CQE_BUFFER_SHIFT, (uint32_t)res);
	else if (res == 0)
		f->eof = true;
	else if (res == -ENOBUFS)
		starve(c, d);
	else if (res != -ECANCELED && res != -EAGAIN && res != -EINTR)
		fail(c, d);
	if (c->sniffing && c->state != CONN_CLOSING && d == DOWNSTREAM)
		conn_sniff(c, f->eof || f->pending_end - f->pending_at >= c->buffer_limit[d]);
	else if (c->sniffing && c->state != CONN_CLOSING && f->eof)
		conn_endpoint_speaks(c);
	if (c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN && !(c->sniffing && d == DOWNSTREAM)) {
		flush(c, d);
		return;
	}
	read_on(c, d);
	if (!f->reading && !f->starved)
		watch(c, d);
}

void flow_sent(struct conn *c, unsigned d, int res)
{
	struct flow *f = &c->flow[d];
	struct buffers *b = &c->head.worker->buffers;
	uint32_t done = res > 0 ? (uint32_t)res : 0;

	f->sending = false;
	sent(c, d, done);
	if (c->state != CONN_CLOSING && done < f->loan_len && (res >= 0 || res == -EAGAIN || res == -EINTR))
		keep_before(c, d, buffer_at(b, f->loan_id) + done, f->loan_len - done);
	buffer_return(b, f->loan_id);
	if (c->state == CONN_CLOSING)
		return;
	if (res < 0 && res != -EAGAIN && res != -EINTR) {
		fail(c, !d);
		return;
	}
	flush(c, d);
}

/* ---- busy ---- */

static void back_to_quiet(struct conn *c, unsigned d, uint64_t carried)
{
	struct flow *f = &c->flow[d];

	f->small = carried < SMALL_BYTES ? (uint8_t)(f->small + 1) : 0;
	if (f->small < SMALL_WAKES || f->pipe.held > 0)
		return;
	f->busy = f->spliced = false;
	f->run = 0;
	f->small = 0;
}

static void drop_pipe(struct conn *c, struct flow *f)
{
	pipe_give_back(c->head.worker, &f->pipe);
}

/* Pipe -> peer.  True: the pipe is empty.  False: no room, or the connection is being reset. */
static bool empty_pipe(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	while (f->pipe.held > 0) {
		ssize_t n = pipe_drain(c->head.worker, &f->pipe, sink(c, d));

		if (n > 0) {
			sent(c, d, (uint64_t)n);
			continue;
		}
		if (n == -1 && errno == EAGAIN)
			wait_room(c, d);
		else
			fail(c, !d);
		return false;
	}
	return true;
}

/* 1: go on; 0: nothing more now; -1: waits for room, or is closing. */
static int splice_once(struct conn *c, unsigned d, uint64_t *carried)
{
	struct flow *f = &c->flow[d];
	uint32_t most = c->buffer_limit[d] < PIPE_BYTES ? c->buffer_limit[d] : PIPE_BYTES;
	ssize_t n = pipe_fill(&f->pipe, source(c, d), most);

	if (n == -1)
		return errno == EAGAIN ? 0 : (fail(c, d), -1);
	if (n == 0) {
		f->eof = true;
		return 0;
	}
	received(c, d, (uint64_t)n);
	*carried += (uint64_t)n;
	return empty_pipe(c, d) ? 1 : -1;
}

static int copy_once(struct conn *c, unsigned d, uint64_t *carried)
{
	struct flow *f = &c->flow[d];
	uint32_t want = c->buffer_limit[d] < HOT_BUFFER_BYTES ? c->buffer_limit[d] : HOT_BUFFER_BYTES;
	ssize_t n = recv(source(c, d), c->head.worker->hot, want, MSG_DONTWAIT), taken;

	if (n == -1)
		return errno == EINTR ? 1 : errno == EAGAIN ? 0 : (fail(c, d), -1);
	if (n == 0) {
		f->eof = true;
		return 0;
	}
	received(c, d, (uint64_t)n);
	*carried += (uint64_t)n;
	if ((taken = give(c, d, c->head.worker->hot, (size_t)n)) == -1)
		return -1;
	if (taken < n) {
		if (keep(c, d, c->head.worker->hot + taken, (uint32_t)(n - taken)) == 0)
			wait_room(c, d);
		return -1;
	}
	return n < (ssize_t)want ? 0 : 1;
}

static void start_splicing(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	if (!f->unpaced)
		spare_pacing(c->head.worker, sink(c, d), d == DOWNSTREAM ? &c->up.endpoint : &c->head.client);
	f->unpaced = true;
	if (!pipe_borrow(c->head.worker, &f->pipe))
		return;
	set_nonblock(c, DOWNSTREAM, true);
	set_nonblock(c, UPSTREAM, true);
	f->spliced = c->nonblock[DOWNSTREAM] && c->nonblock[UPSTREAM];
	f->busy = true;		/* a quiet one that was polled: read_on() must not make the sockets blocking under it */
}

static void pump(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];
	uint64_t carried = 0;
	bool by_pipe;
	int go = 1;

	if (!f->spliced && f->run >= SPLICE_AFTER && c->buffer_limit[d] >= SPLICE_LEAST)
		start_splicing(c, d);
	by_pipe = f->spliced && pipe_borrow(c->head.worker, &f->pipe);
	while (go == 1 && carried < BYTES_A_WAKE)
		go = by_pipe ? splice_once(c, d, &carried) : copy_once(c, d, &carried);
	if (c->state == CONN_CLOSING)
		return;
	f->run = f->run + carried < SPLICE_AFTER ? (uint32_t)(f->run + carried) : SPLICE_AFTER;
	back_to_quiet(c, d, carried);
	if (f->pipe.held == 0)
		drop_pipe(c, f);	/* lent for a wake, as a receive buffer is: an idle tunnel holds none */
	if (go == -1)
		return;
	pass_end(c, d);
	if (c->state != CONN_CLOSING)
		read_on(c, d);
}

void flow_ready(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	f->reading = false;
	if (c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN && !f->sending && !f->waiting_room && f->pending_end == f->pending_at)
		pump(c, d);
	/* else the peer is not ready: flush() reads on later */
}

void flow_room(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	f->waiting_room = false;
	if (c->state == CONN_CLOSING)
		return;
	if (f->pipe.held > 0) {
		if (!empty_pipe(c, d))
			return;
		drop_pipe(c, f);
	}
	flush(c, d);
}

void flow_free(struct conn *c, unsigned d)
{
	struct flow *f = &c->flow[d];

	if (f->pending != NULL)
		forget_pending(c, f);
	drop_pipe(c, f);
}
