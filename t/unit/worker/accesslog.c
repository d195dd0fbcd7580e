/* worker/accesslog.h: what the pipe does not take is dropped and counted by whole lines, however it fills up. */
#include "worker/worker.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 777		/* no divisor of a page */

static size_t read_all(int fd, char *to, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while (used < size && (n = read(fd, to + used, size - used)) > 0)
		used += (size_t)n;
	return used;
}

Test(accesslog, a_full_pipe_loses_whole_lines)
{
	struct worker *w = calloc(1, sizeof(*w));
	size_t used, lines = 0;
	char line[LINE_BYTES], *text = malloc(1 << 20);
	int fds[2];

	w->block = calloc(1, sizeof(*w->block));
	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
	w->log.fd = fds[1];
	memset(line, 'x', sizeof(line));
	line[0] = '[';
	line[sizeof(line) - 1] = '\n';
	for (unsigned turn = 0; turn < 60; turn++) {		/* nobody reads: full in the middle of a line, and stays so */
		for (unsigned i = 0; i < 11; i++)
			accesslog_line(w, line, sizeof(line));
		accesslog_flush(w);
	}
	used = read_all(fds[0], text, 1 << 20);
	accesslog_line(w, line, sizeof(line));
	accesslog_flush(w);
	used += read_all(fds[0], text + used, (1 << 20) - used);
	for (const char *at = text; at < text + used; at += LINE_BYTES, lines++)
		cr_assert_eq(memcmp(at, line, LINE_BYTES), 0, "line %zu", lines);
	cr_assert_eq(lines + live_get(&w->block->counter[WORKER_C_log_dropped]), 661);
	close(fds[0]);
	close(fds[1]);
	free(w->block);
	free(w);
	free(text);
}
