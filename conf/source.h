/*
 * The text of a configuration: every file of it, asked for one by one, with @include expanded and comments gone, and a
 * map from each line of that text to where it was written.  Nothing that would upset the parser gets past here: no
 * "@" outside of strings, no string over a line's end, no NUL, no number that does not fit, no deep nesting.
 */
#pragma once

#include "conf/memory.h"
#include "conf/report.h"

#include <stdint.h>
#include <sys/types.h>

#define SOURCE_BYTES_MAX	(32u << 20)	/* of all files together */
#define SOURCE_DEPTH_MAX	16		/* @include within @include */
#define SOURCE_NESTING_MAX	32		/* groups and lists in each other */
#define SOURCE_TOKENS_MAX	5000000u	/* each may become a setting of about 100 bytes */
#define SOURCE_SETTINGS_MAX	256		/* in one group; libconfig compares each with all the others */

/* Opens a file by its absolute path, read-only.  -1: errno as in common/ask.h. */
typedef int (*source_open)(void *arg, const char *path);

struct source_file {
	const char *name;		/* as it is shown */
	dev_t dev;
	ino_t ino;
};

struct source_piece {			/* from this line of the text on, until the next piece */
	uint32_t line;
	uint32_t file;
	uint32_t file_line;
};

struct source {
	struct vec text;		/* terminated */
	struct vec files;		/* struct source_file */
	struct vec pieces;		/* struct source_piece, by line */
	struct arena arena;
};

/* file: as the user named it; folder: where it is if it is relative.  -1: what is wrong has been reported. */
int source_load(struct source *, const char *file, const char *folder, source_open, void *arg, struct report *);
void source_free(struct source *);

/* Where a line of the text was written.  Line 0: file_line 0 of the first file. */
void source_place(const struct source *, uint32_t line, const char **file_r, uint32_t *file_line_r);
