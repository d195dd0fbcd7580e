/* Pipes for splice(2): see pipes.h. */
#include "worker/pipes.h"

#include "worker/worker.h"

#include <fcntl.h>
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

bool pipe_borrow(struct worker *w, int fds[2])
{
	struct pipes *p = &w->pipes;

	if (p->n > 0) {
		p->n--;
		fds[0] = p->pooled[p->n][0];
		fds[1] = p->pooled[p->n][1];
		return true;
	}
	if (p->denied_ms != 0 && w->loop.now_ms - p->denied_ms < PIPES_DENIED_MS)
		return false;
	if (make(fds) == -1) {
		p->denied_ms = w->loop.now_ms;
		return false;
	}
	gauge(w, WORKER_G_pipes, 1);
	return true;
}

void pipe_give_back(struct worker *w, int fds[2], bool empty)
{
	struct pipes *p = &w->pipes;

	if (empty && p->n < PIPES_POOLED) {
		p->pooled[p->n][0] = fds[0];
		p->pooled[p->n][1] = fds[1];
		p->n++;
	} else {
		close(fds[0]);
		close(fds[1]);
		gauge(w, WORKER_G_pipes, -1);
	}
	fds[0] = fds[1] = -1;
}
