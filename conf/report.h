/* Every error of one load, in the order of the file. */
#pragma once

#include "conf/memory.h"

#include <stdint.h>

#define REPORT_MAX 1000		/* lines; what follows is counted */

struct source;
struct origin;

struct report {
	const struct source *source;
	struct arena arena;
	struct vec entries;
	uint64_t count;		/* of all errors, those not kept included */
};

/* line: of the expanded text; 0: the file as a whole.  path: "" where there is none. */
void report_add(struct report *, uint32_t line, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* About a key of an object, or (key NULL) about the object; index: of a list's member, IMAGE_NONE for none. */
void report_key(struct report *, const struct origin *, const char *key, uint32_t index, uint32_t line,
    const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* "listeners[0].filter_chains[1]", or "" for the top level; in the report's memory. */
const char *report_path(struct report *, const struct origin *);
/* "listeners[0] (file:line)": for errors that name a second place. */
const char *report_place(struct report *, const struct origin *);

/* Sorts and writes all, a line each.  -1: errno. */
int report_write(struct report *, int fd);
void report_free(struct report *);
