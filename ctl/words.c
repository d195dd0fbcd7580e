/* Numbers and foreign text as people read them: see words.h. */
#include "ctl/words.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *words_age(uint64_t ms, char to[WORDS_MAX])
{
	unsigned long long s = ms / 1000;

	if (s >= 86400)
		snprintf(to, WORDS_MAX, "%llud%lluh", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		snprintf(to, WORDS_MAX, "%lluh%llum", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		snprintf(to, WORDS_MAX, "%llum%llus", s / 60, s % 60);
	else if (s > 0 || ms == 0)
		snprintf(to, WORDS_MAX, "%llus", s);
	else
		snprintf(to, WORDS_MAX, "%llums", (unsigned long long)ms);
	return to;
}

const char *words_bytes(uint64_t bytes, char to[WORDS_MAX])
{
	static const char units[] = "KMGTPE";
	double n = (double)bytes;
	int unit = -1;

	for (; n >= 1000 && units[unit + 1] != '\0'; unit++)
		n /= 1024;
	if (unit == -1)
		snprintf(to, WORDS_MAX, "%llu", (unsigned long long)bytes);
	else
		snprintf(to, WORDS_MAX, n < 9.95 ? "%.1f%c" : "%.0f%c", n, units[unit]);
	return to;
}

static bool is_utf8(const char *line)
{
	json_t *j = json_string(line);

	json_decref(j);
	return j != NULL;
}

char *words_harmless(char *line)
{
	bool plain = !is_utf8(line);

	for (unsigned char *c = (unsigned char *)line; *c != '\0'; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;		/* U+0080 to U+009F */

		if ((*c < 0x20 && *c != '\t') || *c == 0x7f || (plain && *c >= 0x80) || c1) {
			if (c1)
				c[1] = '?';
			*c = '?';
		}
	}
	return line;
}

char *words_read(int fd, size_t *size_r)
{
	size_t used = 0, room = 65536;
	char *text = malloc(room), *more;
	ssize_t n = 0;

	while (text != NULL && ((n = pread(fd, text + used, room - 1 - used, (off_t)used)) > 0 || (n == -1 && errno == EINTR))) {
		used += n > 0 ? (size_t)n : 0;
		if (used < room - 1)
			continue;
		if ((more = realloc(text, room *= 2)) == NULL)
			free(text);
		text = more;
	}
	if (text == NULL || n == -1) {
		free(text);
		return NULL;
	}
	text[used] = '\0';
	*size_r = used;
	return text;
}
