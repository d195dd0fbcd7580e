/*
 * What the codec makes of messages, for t/unit/worker/http1_h11.py.  Standard input: messages, each with a line before it:
 * "request|response METHOD upgrade(0|1) SIZE\n".  Standard output: for each its text (http1_feed.h), then an empty line.
 */
#include "t/unit/worker/http1_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t method_of(const char *word)
{
	return strcmp(word, "HEAD") == 0 ? METHOD_HEAD : strcmp(word, "CONNECT") == 0 ? METHOD_CONNECT : METHOD_GET;
}

int main(void)
{
	char side[16], method[16];
	unsigned upgrade;
	size_t size;

	while (scanf("%15s %15s %u %zu", side, method, &upgrade, &size) == 4 && getchar() == '\n' && size < 1 << 20) {
		struct feed f = {
			.request = strcmp(side, "request") == 0, .limits = feed_limits, .asked = { method_of(method), upgrade != 0 },
		};
		char *bytes = malloc(size + 1), *text;

		if (fread(bytes, 1, size, stdin) != size)
			return 1;
		text = feed_bytes(&f, bytes, size, NULL);
		printf("%s\n", text);
		free(text);
		free(bytes);
	}
	return feof(stdin) ? 0 : 1;
}
