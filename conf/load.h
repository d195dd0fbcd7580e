/* A whole load: source, read, expand, check, compile, print.  What meshd-conf does, without how it got its descriptors. */
#pragma once

#include "conf/source.h"

struct load {
	const char *file, *folder;	/* as for source_load() */
	source_open open;
	void *arg;
	int image_fd, report_fd;
	int print_fd;			/* -1: not wanted */
};

/* 0: the image is written.  -1: the report is. */
int load(const struct load *);
