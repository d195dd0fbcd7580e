/* Reading a file's characters as libconfig will: see scan.h. */
#include "conf/scan.h"

#include "conf/source.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

_Static_assert(sizeof(((struct scan_nesting *)0)->levels) / sizeof(struct scan_level) == SOURCE_NESTING_MAX + 1,
    "a level for each group and the top");
_Static_assert(sizeof(((struct scan_level *)0)->names) / sizeof(struct scan_name) == SOURCE_SETTINGS_MAX, "a name for each");

static int fail(struct scan *s, uint32_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(struct scan *s, uint32_t line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, ap);
	va_end(ap);
	s->error_line = line;
	return -1;
}

static void emit(struct scan *s, const char *bytes, size_t n)
{
	vec_bytes(s->text, bytes, n);
}

static int peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->size ? (unsigned char)s->bytes[s->at + ahead] : -1;
}

/* What kind of token comes must fit. */
static int take(struct scan *s, enum grammar_token token)
{
	struct scan_level *level = &s->nesting->levels[s->nesting->depth];
	const char *wrong = grammar_next(level->open, token, &level->state);

	return wrong == NULL ? 0 : fail(s, s->line, "%s", wrong);
}

static void skip_line_comment(struct scan *s)
{
	while (s->at < s->size && s->bytes[s->at] != '\n')
		s->at++;
}

static int skip_comment(struct scan *s)
{
	uint32_t began = s->line;

	for (s->at += 2; s->at < s->size; s->at++) {
		if (s->bytes[s->at] == '\n') {
			s->line++;
			emit(s, "\n", 1);
		}
		if (s->bytes[s->at] == '*' && peek(s, 1) == '/') {
			s->at += 2;
			emit(s, " ", 1);
			return 0;
		}
	}
	return fail(s, began, "this comment has no end");
}

static int copy_string(struct scan *s)
{
	size_t began = s->at++;

	for (; s->at < s->size; s->at++) {
		int c = peek(s, 0);

		if (c == '"') {
			s->at++;
			emit(s, s->bytes + began, s->at - began);
			return 0;
		}
		if (c == '\\' && peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0')
			return fail(s, s->line, "a string must not have the byte 0x00");
		if (c == '\\' && peek(s, 1) >= ' ')
			s->at++;
		else if (c == '\n')
			break;
		else if ((c < ' ' && c != '\t') || c == 0x7f)
			return fail(s, s->line, "a string must not have the byte 0x%02x", c);
	}
	return fail(s, s->line, "this string does not end on its line");
}

static bool is_truth(const char *word, size_t n)
{
	return (n == 4 && strncasecmp(word, "true", 4) == 0) || (n == 5 && strncasecmp(word, "false", 5) == 0);
}

static int copy_name(struct scan *s)
{
	size_t began = s->at;

	while (isalnum(peek(s, 0)) || peek(s, 0) == '_' || peek(s, 0) == '-' || peek(s, 0) == '*')
		s->at++;
	s->name = (struct scan_name){ s->text->count, s->at - began };
	emit(s, s->bytes + began, s->at - began);
	return take(s, is_truth(s->bytes + began, s->at - began) ? TOKEN_SCALAR : TOKEN_NAME);
}

/* libconfig wraps an int that does not fit unless it ends in L, which it gets here. */
static int copy_number(struct scan *s)
{
	char word[64];
	size_t began = s->at, n;
	long long value;
	char *end;

	while (isalnum(peek(s, 0)) || (peek(s, 0) != -1 && strchr("+-.", peek(s, 0)) != NULL))
		s->at++;
	n = s->at - began;
	if (n >= sizeof(word))
		return fail(s, s->line, "this number is too long");
	memcpy(word, s->bytes + began, n);
	word[n] = '\0';
	emit(s, word, n);
	errno = 0;
	value = strtoll(word, &end, word[0] == '0' && (word[1] == 'x' || word[1] == 'X') ? 16 : 10);
	if (end[strspn(end, "L")] != '\0')
		return 0;			/* a float, or nothing that libconfig knows */
	if (errno == ERANGE)
		return fail(s, s->line, "%s is too large a number", word);
	if (*end == '\0' && (value > INT_MAX || value < INT_MIN))
		emit(s, "L", 1);
	return 0;
}

static int open_level(struct scan *s, char c)
{
	struct scan_nesting *n = s->nesting;
	struct scan_level *level;

	if (take(s, TOKEN_OPEN) == -1)
		return -1;
	if (n->depth == SOURCE_NESTING_MAX)
		return fail(s, s->line, "more than %d groups and lists in each other", SOURCE_NESTING_MAX);
	level = &n->levels[++n->depth];
	level->open = c;
	level->state = grammar_inside(c);
	level->file = s->file;
	level->line = s->line;
	level->settings = 0;
	return 0;
}

static int close_level(struct scan *s, char c)
{
	struct scan_nesting *n = s->nesting;
	struct scan_level *level = &n->levels[n->depth];
	char fits = c == '}' ? '{' : c == ')' ? '(' : '[';

	if (n->depth == s->depth_before)
		return fail(s, s->line, "\"%c\" closes nothing", c);
	if (level->open != fits)
		return fail(s, s->line, "\"%c\" does not close the \"%c\" of line %u", c, level->open, level->line);
	if (take(s, TOKEN_CLOSE) == -1)
		return -1;
	n->depth--;
	return 0;
}

/* @include "path", alone on its line. */
static int read_include(struct scan *s)
{
	const char *start = s->bytes + s->at, *end = memchr(start, '\n', s->size - s->at), *p = start + 8, *quote;
	size_t n;

	if (end == NULL)
		end = s->bytes + s->size;
	if ((size_t)(end - start) < 8 || memcmp(start, "@include", 8) != 0)
		return fail(s, s->line, "\"@\" is known in @include \"file\" only");
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	quote = p < end && *p == '"' ? memchr(p + 1, '"', (size_t)(end - p - 1)) : NULL;
	if (quote == NULL || quote == p + 1)
		return fail(s, s->line, "@include needs a file in quotes: @include \"file\"");
	n = (size_t)(quote - p - 1);
	if (n >= sizeof(s->path))
		return fail(s, s->line, "@include: the path is too long");
	memcpy(s->path, p + 1, n);
	s->path[n] = '\0';
	for (const char *c = s->path; c < s->path + n; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '\\')
			return fail(s, s->line, "@include: the path has a backslash or a control character");
	}
	for (p = quote + 1; p < end && (*p == ' ' || *p == '\t' || *p == '\r'); p++)
		;
	if (p < end && *p != '#' && !(p + 1 < end && p[0] == '/' && p[1] == '/'))
		return fail(s, s->line, "@include stands alone on its line");
	s->at = (size_t)(end - s->bytes);
	return 1;
}

static bool begins_line(const struct scan *s)
{
	size_t i = s->at;

	while (i > 0 && (s->bytes[i - 1] == ' ' || s->bytes[i - 1] == '\t'))
		i--;
	return i == 0 || s->bytes[i - 1] == '\n';
}

static bool is_name(const struct scan *s, const struct scan_name *n)
{
	return n->size == s->name.size && memcmp(s->text->items + n->at, s->text->items + s->name.at, n->size) == 0;
}

/* What stands before "=" or ":".  libconfig says that a name is there twice, but not which. */
static int add_setting(struct scan *s)
{
	struct scan_level *level = &s->nesting->levels[s->nesting->depth];

	if (take(s, TOKEN_EQUALS) == -1)
		return -1;
	if (s->name.size == 0)
		return 0;			/* it stood in a file that could not be read */
	for (uint32_t i = 0; i < level->settings; i++) {
		if (is_name(s, &level->names[i]))
			return fail(s, s->line, "\"%.*s\" is already in this group", (int)(s->name.size < 64 ? s->name.size : 64),
			    s->text->items + s->name.at);
	}
	if (level->settings == SOURCE_SETTINGS_MAX)
		return fail(s, s->line, "more than %d settings in one group", SOURCE_SETTINGS_MAX);
	level->names[level->settings++] = s->name;
	s->name.size = 0;
	return 0;
}

static int copy_mark(struct scan *s, int c)
{
	char one = (char)c;
	int r = 0;

	if (c == '{' || c == '(' || c == '[')
		r = open_level(s, one);
	else if (c == '}' || c == ')' || c == ']')
		r = close_level(s, one);
	else if (c == '=' || c == ':')
		r = add_setting(s);
	else if (c == ',' || c == ';')
		r = take(s, c == ',' ? TOKEN_COMMA : TOKEN_SEMICOLON);
	else
		return c > ' ' && c < 0x7f ? fail(s, s->line, "\"%c\" has no meaning here", c) :
		    fail(s, s->line, "the byte 0x%02x has no meaning here", c);
	s->at++;
	emit(s, &one, 1);
	return r;
}

static int copy_space(struct scan *s, int c)
{
	if (c == '\n')
		s->line++;
	emit(s, c == '\n' ? "\n" : " ", 1);
	s->at++;
	return 0;
}

/* One token.  1: an @include. */
static int step(struct scan *s)
{
	int c = peek(s, 0);

	if (c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == '\f')
		return copy_space(s, c);
	if (c == '#' || (c == '/' && peek(s, 1) == '/'))
		return skip_line_comment(s), 0;
	if (c == '/' && peek(s, 1) == '*')
		return skip_comment(s);
	if (c == '@')
		return begins_line(s) ? read_include(s) : fail(s, s->line, "@include stands alone on its line");
	if (c != ',' && c != ';' && ++s->nesting->tokens > SOURCE_TOKENS_MAX)
		return fail(s, s->line, "more than %u names, values and brackets", SOURCE_TOKENS_MAX);
	if (c == '"')
		return take(s, TOKEN_STRING) == -1 ? -1 : copy_string(s);
	if (isalpha(c) || c == '*')
		return copy_name(s);
	if (isdigit(c) || c == '+' || c == '-' || c == '.')
		return take(s, TOKEN_SCALAR) == -1 ? -1 : copy_number(s);
	return copy_mark(s, c);
}

void scan_give_up(struct scan *s)
{
	s->nesting->depth = s->depth_before;
	s->nesting->levels[s->depth_before].state = EXPECT_ANY;
}

enum scan_result scan_next(struct scan *s)
{
	const struct scan_level *level;

	while (s->at < s->size) {
		int r = step(s);

		if (r != 0)
			return r == 1 ? SCAN_INCLUDE : SCAN_ERROR;
	}
	if (s->nesting->depth == s->depth_before)
		return SCAN_END;
	level = &s->nesting->levels[s->nesting->depth];
	fail(s, level->line, "this \"%c\" is not closed in this file", level->open);
	return SCAN_ERROR;
}
