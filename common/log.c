/* Lines for the operator: see log.h.  One write(2) a line, so that lines of several processes do not mix. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	char who[32];
	enum log_level level;
	bool journal;
} state = { "meshd", LOG_LEVEL_INFO, false };

void log_open(const char *who)
{
	snprintf(state.who, sizeof(state.who), "%s", who);
	state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	state.level = level;
}

enum log_level log_level(void)
{
	return state.level;
}

static void write_line(enum log_level level, const char *text)
{
	static const int priority[] = { 3, 4, 5, 6, 7 };		/* syslog(3) */
	static const char *const word[] = { "error: ", "warning: ", "", "", "debug: " };
	char line[2048];
	int n;

	if (state.journal)
		n = snprintf(line, sizeof(line), "<%d>%s: %s\n", priority[level], state.who, text);
	else
		n = snprintf(line, sizeof(line), "%s: %s%s\n", state.who, word[level], text);
	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (write(STDERR_FILENO, line, n) == -1)
		return;			/* nowhere left to say so */
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[1900];
	int saved = errno;
	va_list ap;

	if (level > state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	write_line(level, text);
	errno = saved;
}

void log_limited(struct log_limit *limit, uint64_t now_ms, enum log_level level, const char *fmt, ...)
{
	char text[1900];
	int saved = errno;
	va_list ap;
	int n;

	if (level > state.level)
		return;
	if (limit->last_ms != 0 && now_ms - limit->last_ms < 1000) {
		limit->held++;
		return;
	}
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (limit->held > 0 && n > 0 && n < (int)sizeof(text))
		snprintf(text + n, sizeof(text) - n, " (and %llu more like it)", (unsigned long long)limit->held);
	limit->held = 0;
	limit->last_ms = now_ms;
	write_line(level, text);
	errno = saved;
}
