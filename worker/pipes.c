/* Pipes for splice(2): see pipes.h. */
#include "worker/pipes.h"

#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int make(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		fds[0] = fds[1] = -1;
		return -1;
	}
	if (fcntl(fds[1], F_SETPIPE_SZ, (int)PIPE_BYTES) != -1)
		return 0;
	close(fds[0]);
	close(fds[1]);
	fds[0] = fds[1] = -1;
	return -1;
}

bool pipe_borrow(struct worker *w, struct piping *piping)
{
	struct pipes *p = &w->pipes;

	if (piping->fd[0] != -1)
		return true;
	if (p->n > 0) {
		p->n--;
		piping->fd[0] = p->pooled[p->n][0];
		piping->fd[1] = p->pooled[p->n][1];
		return true;
	}
	if (p->denied_ms != 0 && w->loop.now_ms - p->denied_ms < PIPES_DENIED_MS)
		return false;
	if (make(piping->fd) == -1) {
		p->denied_ms = w->loop.now_ms;
		return false;
	}
	gauge(w, WORKER_G_pipes, 1);
	return true;
}

void pipe_give_back(struct worker *w, struct piping *piping)
{
	struct pipes *p = &w->pipes;

	if (piping->fd[0] == -1)
		return;
	if (piping->held == 0 && p->n < PIPES_POOLED) {
		p->pooled[p->n][0] = piping->fd[0];
		p->pooled[p->n][1] = piping->fd[1];
		p->n++;
	} else {
		close(piping->fd[0]);
		close(piping->fd[1]);
		gauge(w, WORKER_G_pipes, -1);
	}
	*piping = (struct piping){ { -1, -1 }, 0 };
}

static ssize_t splice_on(int from, int to, size_t most)
{
	ssize_t n;

	do
		n = splice(from, NULL, to, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n == -1 && errno == EINTR);
	return n;
}

ssize_t pipe_fill(struct piping *p, int from, size_t most)
{
	ssize_t n = splice_on(from, p->fd[1], most);

	if (n > 0)
		p->held += (uint32_t)n;
	return n;
}

ssize_t pipe_drain(struct worker *w, struct piping *p, int to)
{
	ssize_t n = splice_on(p->fd[0], to, p->held);

	if (n > 0) {
		p->held -= (uint32_t)n;
		live_add(&w->block->counter[WORKER_C_spliced_bytes], n);
	}
	return n;
}

/* Reno is in every kernel and allowed to everybody. */
void spare_pacing(struct worker *w, int fd, const struct addr *peer)
{
	static const char plain[] = "reno";

	if (live_address_is_ours(&w->live, peer))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof(plain) - 1);
}
