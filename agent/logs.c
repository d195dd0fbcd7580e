/* Lines from pipes to a file: see logs.h. */
#include "agent/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void logs_init(struct logs *l)
{
	memset(l, 0, sizeof(*l));
	l->file = -1;
}

int logs_add_pipe(struct logs *l, int fd)
{
	struct log_pipe *p = &l->pipes[l->npipes];

	if (l->npipes == LIVE_WORKERS_MAX || fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    (p->buffer = malloc(LOGS_LINE_MAX)) == NULL) {
		close(fd);
		return -1;
	}
	p->fd = fd;
	l->npipes++;
	return 0;
}

void logs_set_file(struct logs *l, int fd)
{
	if (l->file != -1)
		close(l->file);
	l->file = fd;
	l->torn = false;
}

static uint64_t count_lines(const char *from, size_t n)
{
	const char *end = from + n, *at;
	uint64_t lines = 0;

	for (; (at = memchr(from, '\n', (size_t)(end - from))) != NULL; from = at + 1)
		lines++;
	return lines;
}

/* How much of it the file took; short: errno says why. */
static size_t write_all(int fd, const char *from, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = write(fd, from + done, n - done);

		if (w == -1 && errno == EINTR)
			continue;
		if (w <= 0)
			break;
		done += (size_t)w;
	}
	return done;
}

/* Whole lines only. */
static void write_lines(struct logs *l, const char *from, size_t n, uint64_t now_ms)
{
	size_t done = 0;
	uint64_t lost;

	if (l->file == -1)
		return;
	if (!l->torn || write_all(l->file, "\n", 1) == 1) {
		done = write_all(l->file, from, n);
		l->torn = done > 0 && from[done - 1] != '\n';
	}
	l->written += count_lines(from, done);
	if (done == n)
		return;
	lost = count_lines(from + done, n - done);
	l->dropped += lost;
	log_limited(&l->limit, now_ms, LOG_LEVEL_ERROR, "access log: %m: %llu line%s dropped", (unsigned long long)lost,
	    lost == 1 ? "" : "s");
}

static void move_lines(struct logs *l, struct log_pipe *p, uint64_t now_ms)
{
	char *begin = p->buffer, *last = memrchr(p->buffer, '\n', p->used);
	size_t whole = last != NULL ? (size_t)(last + 1 - begin) : 0;

	if (p->skipping && whole > 0) {
		begin = (char *)memchr(begin, '\n', whole) + 1;		/* the end of the line that was too long */
		p->skipping = false;
	}
	if (whole > (size_t)(begin - p->buffer))
		write_lines(l, begin, whole - (size_t)(begin - p->buffer), now_ms);
	p->used -= whole;
	memmove(p->buffer, p->buffer + whole, p->used);
	if (p->skipping || p->used == LOGS_LINE_MAX) {
		l->dropped += !p->skipping;
		p->skipping = true;
		p->used = 0;
	}
}

static void end_pipe(struct logs *l, struct log_pipe *p)
{
	l->dropped += p->used > 0;		/* its writer died within a line */
	p->used = 0;
	close(p->fd);
	p->fd = -1;
}

static void read_pipe(struct logs *l, struct log_pipe *p, uint64_t now_ms)
{
	ssize_t n = read(p->fd, p->buffer + p->used, LOGS_LINE_MAX - p->used);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_pipe(l, p);
		return;
	}
	p->used += (size_t)n;
	move_lines(l, p, now_ms);
}

void logs_poll(const struct logs *l, struct pollfd *fds)
{
	for (unsigned i = 0; i < l->npipes; i++)
		fds[i] = (struct pollfd){ .fd = l->pipes[i].fd, .events = POLLIN };
}

void logs_step(struct logs *l, const struct pollfd *fds, uint64_t now_ms)
{
	for (unsigned i = 0; i < l->npipes; i++) {
		if (l->pipes[i].fd != -1 && fds[i].revents != 0)
			read_pipe(l, &l->pipes[i], now_ms);
	}
}

bool logs_dry(const struct logs *l)
{
	for (unsigned i = 0; i < l->npipes; i++) {
		if (l->pipes[i].fd != -1)
			return false;
	}
	return true;
}

void logs_close(struct logs *l)
{
	for (unsigned i = 0; i < l->npipes; i++) {
		if (l->pipes[i].fd != -1)
			close(l->pipes[i].fd);
		free(l->pipes[i].buffer);
	}
	if (l->file != -1)
		close(l->file);
	logs_init(l);
}
