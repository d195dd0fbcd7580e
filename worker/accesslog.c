/* Access-log lines: see accesslog.h. */
#include "worker/accesslog.h"

#include "worker/conn.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
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

/* ---- a connection's line, in Envoy's default format for TCP ---- */

static const struct {
	const char *flag, *words;
} ends[] = {
#define CONN_END_ROW(name, flag, words) [name] = { flag, words },
	CONN_ENDS(CONN_END_ROW)
#undef CONN_END_ROW
};

/* Ours towards the endpoint: asked for only where a line tells it. */
static void print_upstream_local(const struct conn *c, char text[ADDR_STRLEN])
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	if (c->side[UPSTREAM].fd != -1 && c->reached && getsockname(c->side[UPSTREAM].fd, (struct sockaddr *)&ss, &len) == 0 &&
	    addr_from_sockaddr((struct sockaddr *)&ss, len, &a) == 0)
		addr_print(&a, text);
}

/* A tunnel that was a request has its line, but for what it has carried. */
static void accesslog_request(const struct conn *c)
{
	static char line[sizeof(c->head.worker->log.lines)];
	int n = c->line == NULL ? 0 : snprintf(line, sizeof(line), "%s%llu %llu %llu%s", c->line,
	    (unsigned long long)c->flow[DOWNSTREAM].bytes, (unsigned long long)c->flow[UPSTREAM].sent,
	    (unsigned long long)(c->head.worker->loop.now_ms - c->head.born_ms), c->line + strlen(c->line) + 1);

	if (n > 0 && n < (int)sizeof(line))
		accesslog_line(c->head.worker, line, (size_t)n);
}

void accesslog_connection(const struct conn *c)
{
	char line[1400], host[ADDR_STRLEN] = "-", up[ADDR_STRLEN] = "-", down[ADDR_STRLEN], client[ADDR_STRLEN], reason[128] = "-";
	uint64_t born_ms = worker_wall_ms(c->head.worker, c->head.born_ms);
	time_t seconds = (time_t)(born_ms / 1000);
	struct tm tm;
	int n;

	if (!c->head.worker->log.on)
		return;
	if (c->from_http) {
		accesslog_request(c);
		return;
	}
	gmtime_r(&seconds, &tm);
	if (c->up.endpoint.family != 0)
		addr_print(&c->up.endpoint, host);
	print_upstream_local(c, up);
	if (conn_opening(c) != NULL && c->opening->dial.error != 0)
		snprintf(reason, sizeof(reason), "%s", strerrordesc_np(c->opening->dial.error));
	n = snprintf(line, sizeof(line), "[%04d-%02d-%02dT%02d:%02d:%02d.%03uZ] \"- - -\" 0 %s - %s \"%s\" %llu %llu %llu - \"-\" "
	    "\"-\" \"-\" \"-\" \"%s\" %s %s %s %s - -\n",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (unsigned)(born_ms % 1000), ends[c->head.end].flag, ends[c->head.end].words, reason,
	    (unsigned long long)c->flow[DOWNSTREAM].bytes, (unsigned long long)c->flow[UPSTREAM].sent,
	    (unsigned long long)(c->head.worker->loop.now_ms - c->head.born_ms), host, slot_name(c->head.worker, c->up.cluster_slot), up,
	    addr_print(&c->head.destination, down), addr_print(&c->head.client, client));
	if (n > 0 && n < (int)sizeof(line))
		accesslog_line(c->head.worker, line, (size_t)n);
}
