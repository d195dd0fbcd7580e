/* Tables of messages, each fed whole, cut at every byte and a byte at a time, and what must come of it in each way. */
#pragma once

#include "t/unit/worker/http1_feed.h"

struct http1_row {
	const char *name;
	const char *bytes;
	size_t size;
	const char *want;		/* lines that the text has, in this order; where one is a refusal, it is the text's last */
};
#define BYTES(text) text, sizeof(text) - 1

void check_rows(const struct feed *, const struct http1_row *, size_t count);
