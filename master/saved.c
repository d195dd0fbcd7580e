/* iptables-save's form: see saved.h. */
#include "master/saved.h"

#include <stdio.h>
#include <string.h>

bool saved_word(const char **at, const char *end, char *to, unsigned size)
{
	const char *c = *at;
	bool quoted = false;
	unsigned n = 0;

	while (c < end && *c == ' ')
		c++;
	if (c == end)
		return false;
	for (; c < end && (quoted || *c != ' '); c++) {
		if (*c == '"') {
			quoted = !quoted;
			continue;
		}
		if (*c == '\\' && quoted && c + 1 < end)
			c++;
		if (n + 1 < size)
			to[n++] = *c;
	}
	to[n] = '\0';
	*at = c;
	return true;
}

static void read_target(struct saved *s)
{
	const char *at = s->rule, *end = s->rule + s->length;
	char word[SAVED_NAME];

	s->target[0] = '\0';
	while (saved_word(&at, end, word, sizeof(word))) {
		if (strcmp(word, "-j") != 0 && strcmp(word, "-g") != 0)
			continue;
		s->goes = word[1] == 'g';
		saved_word(&at, end, s->target, sizeof(s->target));
		return;
	}
}

static bool read_chain(struct saved *s, const char *line, const char *end)
{
	char policy[SAVED_NAME];

	if (!saved_word(&line, end, s->chain, sizeof(s->chain)) || !saved_word(&line, end, policy, sizeof(policy)))
		return false;
	s->is_rule = false;
	s->built_in = strcmp(policy, "-") != 0;
	return true;
}

static bool read_rule(struct saved *s, const char *line, const char *end)
{
	unsigned long long packets, bytes;

	s->packets = s->bytes = 0;
	if (*line == '[' && sscanf(line, "[%llu:%llu]", &packets, &bytes) == 2) {
		s->packets = packets;
		s->bytes = bytes;
		line = memchr(line, ' ', (size_t)(end - line));
		line = line != NULL ? line + 1 : end;
	}
	if (end - line < 4 || strncmp(line, "-A ", 3) != 0)
		return false;
	line += 3;
	saved_word(&line, end, s->chain, sizeof(s->chain));
	while (line < end && *line == ' ')
		line++;
	while (end > line && end[-1] == ' ')
		end--;
	s->is_rule = true;
	s->goes = false;
	s->rule = line;
	s->length = (int)(end - line);
	read_target(s);
	return true;
}

bool saved_next(struct saved *s)
{
	while (*s->at != '\0') {
		const char *line = s->at, *end = line + strcspn(line, "\n");

		s->at = *end == '\n' ? end + 1 : end;
		if (*line == '*')
			snprintf(s->table, sizeof(s->table), "%.*s", (int)(end - line - 1), line + 1);
		else if (*line == ':' && read_chain(s, line + 1, end))
			return true;
		else if ((*line == '-' || *line == '[') && read_rule(s, line, end))
			return true;
	}
	return false;
}
