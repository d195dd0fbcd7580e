/* Every error of one load: see report.h. */
#include "conf/report.h"

#include "conf/model.h"
#include "conf/source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SHOWN 512		/* bytes; a key's name is as long as a user makes it */

struct entry {
	uint32_t line, order;
	const char *path, *reason;
};

static void add(struct report *r, uint32_t line, const char *path, const char *fmt, va_list ap)
{
	struct entry e = { .line = line, .order = (uint32_t)r->entries.count };
	char reason[1024];

	if (r->count++ >= REPORT_MAX)
		return;
	vsnprintf(reason, sizeof(reason), fmt, ap);
	e.path = arena_printf(&r->arena, "%.*s", PATH_SHOWN, path);
	e.reason = arena_printf(&r->arena, "%s", reason);
	vec_push(&r->entries, sizeof(e), &e);
}

void report_add(struct report *r, uint32_t line, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, line, path, fmt, ap);
	va_end(ap);
}

void report_key(struct report *r, const struct origin *o, const char *key, uint32_t index, uint32_t line,
    const char *fmt, ...)
{
	const char *path = report_path(r, o);
	va_list ap;

	if (key != NULL)
		path = arena_printf(&r->arena, "%s%s%s", path, *path != '\0' ? "." : "", key);
	if (index != IMAGE_NONE)
		path = arena_printf(&r->arena, "%s[%u]", path, index);
	va_start(ap, fmt);
	add(r, line, path, fmt, ap);
	va_end(ap);
}

const char *report_path(struct report *r, const struct origin *o)
{
	const char *before;

	if (o->parent == NULL)
		return "";
	before = report_path(r, o->parent);		/* as deep as the keys' groups lie in each other */
	if (o->index == IMAGE_NONE)
		return arena_printf(&r->arena, "%s%s%s", before, *before != '\0' ? "." : "", o->key);
	return arena_printf(&r->arena, "%s%s%s[%u]", before, *before != '\0' ? "." : "", o->key, o->index);
}

const char *report_place(struct report *r, const struct origin *o)
{
	const char *file;
	uint32_t line;

	source_place(r->source, o->line, &file, &line);
	return arena_printf(&r->arena, "%s (%s:%u)", report_path(r, o), file, line);
}

static int by_line(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* What a user wrote is shown as it is, except where it would end the line or upset a terminal. */
static void clean(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

static char *entry_text(struct report *r, const struct entry *e)
{
	const char *file, *gap = *e->path != '\0' ? ": " : "";
	uint32_t line;
	char *text;

	source_place(r->source, e->line, &file, &line);
	if (line != 0)
		text = arena_printf(&r->arena, "%s:%u: %s%s%s", file, line, e->path, gap, e->reason);
	else
		text = arena_printf(&r->arena, "%s: %s%s%s", file, e->path, gap, e->reason);
	clean(text);
	return text;
}

int report_write(struct report *r, int fd)
{
	struct entry *entries = (struct entry *)(void *)r->entries.items;

	if (r->entries.count > 0)
		qsort(entries, r->entries.count, sizeof(*entries), by_line);
	for (size_t i = 0; i < r->entries.count; i++) {
		if (dprintf(fd, "%s\n", entry_text(r, &entries[i])) < 0)
			return -1;
	}
	if (r->count > REPORT_MAX) {
		const char *file;
		uint32_t line;

		source_place(r->source, 0, &file, &line);
		return dprintf(fd, "%s: and %llu more\n", file, (unsigned long long)(r->count - REPORT_MAX)) < 0 ? -1 : 0;
	}
	return 0;
}

void report_free(struct report *r)
{
	vec_free(&r->entries);
	arena_free(&r->arena);
}
