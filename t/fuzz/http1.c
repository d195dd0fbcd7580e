#include "t/fuzz/http1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must_equal(char *a, const char *b, const char *what)
{
	if (strcmp(a, b) != 0) {
		fprintf(stderr, "%s:\n%s\nand\n%s\n", what, a, b);
		abort();
	}
	free(a);
}

/* Refused, cut, or a tunnel at last: then what is sent on is not all of it. */
static bool is_whole(const char *text)
{
	size_t len = strlen(text);

	return len >= 5 && strcmp(text + len - 5, "\nend\n") == 0;
}

void fuzz_http1(const struct feed *feed, uint8_t seed, const char *bytes, size_t size)
{
	struct feed f = *feed;
	char *text = feed_bytes(&f, bytes, size, NULL), *sent, *meaning;
	size_t sent_size;

	f.first = f.piece = 1;
	must_equal(feed_bytes(&f, bytes, size, NULL), text, "a byte at a time");
	f.first = seed % 16 + 1;
	f.piece = seed / 16 + 2;
	must_equal(feed_bytes(&f, bytes, size, NULL), text, "in pieces");
	if (is_whole(text) && !f.body) {
		f.rewrite = true;
		sent = feed_bytes(&f, bytes, size, &sent_size);
		f.rewrite = false;
		f.meaning = true;
		meaning = feed_bytes(&f, bytes, size, NULL);
		f.limits = feed_limits;		/* what we add may be past the ones it came with */
		f.limits.fields = 300;
		must_equal(feed_bytes(&f, sent, sent_size, NULL), meaning, "sent on");
		free(meaning);
		free(sent);
	}
	free(text);
}
