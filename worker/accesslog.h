/* Access-log lines on their way to the agent: gathered in a turn, written together to the worker's pipe.  A full pipe
 * drops lines and counts them: the log never holds up traffic. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct worker;

struct accesslog {
	int fd;			/* the pipe; -1: none */
	bool on;		/* the generation in use wants lines, and there is a pipe for them */
	size_t used;
	bool half;		/* lines begins with the rest of one whose beginning is in the pipe */
	char lines[32768];
};

void accesslog_line(struct worker *, const char *line, size_t len);
/* The line of one that ends, while its descriptors are still open. */
void accesslog_connection(const struct conn *);
/* At the end of a turn. */
void accesslog_flush(struct worker *);
