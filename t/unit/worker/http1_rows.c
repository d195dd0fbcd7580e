#include "t/unit/worker/http1_rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Each line of `want` is found in the text, after the one before it. */
static bool has_lines(const char *text, const char *want)
{
	while (*want != '\0') {
		size_t len = strcspn(want, "\n");
		const char *at = text;

		while (strncmp(at, want, len) != 0 || at[len] != '\n') {
			at = strchr(at, '\n');
			if (at == NULL || *++at == '\0')
				return false;
		}
		text = at + len + 1;
		want += len + (want[len] == '\n');
	}
	return true;
}

static bool is_refused(const char *text)
{
	const char *bad = strstr(text, "BAD_");

	return bad != NULL && (bad == text || bad[-1] == '\n');
}

static void check_want(const struct http1_row *row, const char *text)
{
	const char *bad = strstr(row->want, "BAD_");

	cr_expect(is_refused(text) == (bad != NULL) && has_lines(text, row->want), "%s: expected\n%s\nin:\n%s", row->name, row->want, text);
}

static void check_same(const struct feed *f, const struct http1_row *row, const char *text, const char *how)
{
	char *again = feed_bytes(f, row->bytes, row->size, NULL);

	cr_expect_str_eq(again, text, "%s %s (%zu, %zu):\n%s\nwhole:\n%s", row->name, how, f->first, f->piece, again, text);
	free(again);
}

/* What we send on is accepted, and means the same. */
static void check_rewritten(const struct feed *f, const struct http1_row *row)
{
	struct feed onward = *f, meaning = *f;
	char *sent, *first, *second;
	size_t size;

	onward.rewrite = meaning.meaning = true;
	sent = feed_bytes(&onward, row->bytes, row->size, &size);
	first = feed_bytes(&meaning, row->bytes, row->size, NULL);
	second = feed_bytes(&meaning, sent, size, NULL);
	cr_expect_str_eq(first, second, "%s, sent on as\n%s", row->name, sent);
	free(sent);
	free(first);
	free(second);
}

void check_rows(const struct feed *feed, const struct http1_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct feed f = *feed;
		char *text = feed_bytes(&f, rows[i].bytes, rows[i].size, NULL);

		check_want(&rows[i], text);
		f.piece = 1;
		f.first = 1;
		check_same(&f, &rows[i], text, "a byte at a time");
		f.piece = 0;
		for (f.first = 1; f.first < rows[i].size; f.first++)
			check_same(&f, &rows[i], text, "cut");
		f.first = 0;
		if (!is_refused(text) && strstr(text, "more\n") == NULL && strstr(text, "tunnel ") == NULL && !f.body)
			check_rewritten(&f, &rows[i]);
		free(text);
	}
}
