/*
 * Reading a file's characters as libconfig will: where comments, strings, numbers and groups begin and end, so that
 * @include is seen where it counts and what would upset the parser is refused here, with its own line.
 */
#pragma once

#include "conf/grammar.h"
#include "conf/memory.h"

#include <stddef.h>
#include <stdint.h>

struct scan_nesting {
	struct scan_level {
		char open;
		enum grammar_state state;
		uint32_t file, line, settings;
		struct scan_name {
			size_t at, size;	/* in the text */
		} names[256];			/* SOURCE_SETTINGS_MAX, `settings` of them in use */
	} levels[33];			/* SOURCE_NESTING_MAX and the top */
	uint32_t depth, tokens;
};

enum scan_result { SCAN_END, SCAN_INCLUDE, SCAN_ERROR };

struct scan {
	const char *bytes;		/* of one file */
	size_t size, at;
	uint32_t file, line;		/* line: of what is at `at` */
	uint32_t depth_before;		/* groups open where the file began: it may not close them */
	struct scan_nesting *nesting;
	struct vec *text;		/* what libconfig gets is added here */
	struct scan_name name;		/* the newest */
	char path[4096];		/* SCAN_INCLUDE: what stands in its string */
	char error[256];		/* SCAN_ERROR */
	uint32_t error_line;
};

/* On until the end, an @include (its line is consumed but for the newline), or an error. */
enum scan_result scan_next(struct scan *);

/* After an error: what the file has opened is closed, and whatever follows it in the file that includes it is right. */
void scan_give_up(struct scan *);
