/*
 * What a program says to its operator: lines on stderr, with the priority prefix of sd-daemon(3) where the journal
 * listens (JOURNAL_STREAM) and the program's name elsewhere.  Libraries report (err.h), programs log.
 * Never on a request's way without a limit: log_limited() is for what a peer's bytes can trigger.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the program ("meshd", "worker 1"); level LOG_LEVEL_INFO until log_set_level(). */
void log_open(const char *who);
void log_set_level(enum log_level);
enum log_level log_level(void);

void log_line(enum log_level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* At most one line each second for each place; says how many were held back. */
struct log_limit {
	uint64_t last_ms;
	uint64_t held;
};
void log_limited(struct log_limit *, uint64_t now_ms, enum log_level, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
