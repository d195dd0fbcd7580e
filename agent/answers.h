/*
 * What the agent answers over HTTP, a function for each path.  Each writes its whole answer to `out` and returns the
 * HTTP status; none blocks.  A stream that failed (no memory) is the caller's to see.
 */
#pragma once

#include "agent/agent.h"

#include <stdbool.h>
#include <stdio.h>

struct query {
	const char *filter;	/* a regular expression, found anywhere in a name; NULL: all */
	bool json;		/* ?format=json */
	bool used_only;		/* no zeros */
};

typedef unsigned answer_fn(const struct agent *, const struct query *, FILE *out);

answer_fn answer_stats;			/* stats.c */
answer_fn answer_clusters;		/* clusters.c */
answer_fn answer_config_dump;		/* config_dump.c */
answer_fn answer_settings;		/* settings.c */
answer_fn answer_server_info;		/* status.c */
answer_fn answer_ready;
answer_fn answer_status;
answer_fn answer_generations;
answer_fn answer_names;
answer_fn answer_version;
