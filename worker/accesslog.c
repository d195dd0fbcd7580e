/* Access-log lines: see accesslog.h. */
#include "worker/accesslog.h"

#include "worker/worker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void drop(struct worker *w, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (from[i] == '\n')
			count(w, WORKER_C_log_dropped);
	}
}

void accesslog_flush(struct worker *w)
{
	struct accesslog *log = &w->log;
	size_t done = 0, rest = 0;

	while (done < log->used) {
		ssize_t n = write(log->fd, log->lines + done, log->used - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done > 0)
		log->half = log->lines[done - 1] != '\n';
	/* Half a line is in the pipe: its rest has to follow, or the next line would run into it. */
	if (log->half && done < log->used)
		rest = (size_t)((char *)memchr(log->lines + done, '\n', log->used - done) - (log->lines + done)) + 1;
	drop(w, log->lines + done + rest, log->used - done - rest);
	memmove(log->lines, log->lines + done, rest);
	log->used = rest;
}

void accesslog_line(struct worker *w, const char *line, size_t len)
{
	struct accesslog *log = &w->log;

	if (log->fd == -1)
		return;
	if (log->used + len > sizeof(log->lines))
		accesslog_flush(w);
	if (log->used + len > sizeof(log->lines)) {
		count(w, WORKER_C_log_dropped);
		return;
	}
	memcpy(log->lines + log->used, line, len);
	log->used += len;
	count(w, WORKER_C_log_lines);
}
