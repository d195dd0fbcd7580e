/* Numbers and foreign text as people read them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX 32

/* "2d3h", "1h1m", "3m5s", "12s", "250ms": the two largest units.  Returns `to`. */
const char *words_age(uint64_t ms, char to[WORDS_MAX]);
/* "512", "1.5K", "20M": of 1024 each.  Returns `to`. */
const char *words_bytes(uint64_t bytes, char to[WORDS_MAX]);

/* A line that anybody may have written, made fit for a terminal and for JSON: control characters but the tab, and what
 * is no UTF-8, become '?'.  In place; returns it. */
char *words_harmless(char *line);

/* All of a descriptor from its start, terminated; malloc'ed, the descriptor stays the caller's.  NULL: errno. */
char *words_read(int fd, size_t *size_r);
