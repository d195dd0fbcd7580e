/* One load of texts in memory, for the tests of conf/. */
#pragma once

#include "common/image.h"

#include <stdint.h>

struct try_file {
	const char *path;		/* absolute */
	const char *text;		/* NULL: opening fails with `error` */
	int error;
	size_t size;			/* 0: to its nought */
};

struct tried {
	int result;			/* of load() */
	char *report;			/* terminated */
	char *printed;			/* the expanded file, "" after a failure */
	struct image image;		/* after a success */
};

/* Loads "m.conf" in "/"; files ends with a NULL path. */
struct tried try_files(const struct try_file *files);
struct tried try_text(const char *text);
void tried_free(struct tried *);

/* What is wrong with a text: its whole report, the caller's.  Fails the test if nothing is. */
char *try_wrong(const char *text);

/* Fails the test unless the text loads, verifies, and its expanded form has the same digest.  The caller's. */
struct tried try_good(const char *text);

/* A file of the source tree, the caller's. */
char *try_read(const char *path);
