/* iptables-save's form: see saved.h. */
#include "master/saved.h"

#include <stdio.h>
#include <stdlib.h>
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

/* "[packets:bytes] ".  Not by sscanf(3), which measures all of the text that is still to come. */
static const char *read_counters(struct saved *s, const char *line, const char *end)
{
	const char *after = memchr(line, ' ', (size_t)(end - line));
	char *colon;

	s->packets = strtoull(line + 1, &colon, 10);
	s->bytes = *colon == ':' ? strtoull(colon + 1, NULL, 10) : 0;
	return after != NULL ? after + 1 : end;
}

static bool read_rule(struct saved *s, const char *line, const char *end)
{
	s->packets = s->bytes = 0;
	if (*line == '[')
		line = read_counters(s, line, end);
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
