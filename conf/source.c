/* The text of a configuration, its @include expanded: see source.h. */
#include "conf/source.h"

#include "common/ask.h"
#include "conf/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One load; `open` holds the files that include the one being read. */
struct loading {
	struct source *source;
	struct report *report;
	const char *folder;
	source_open open;
	void *arg;
	struct scan_nesting nesting;
	uint32_t stack[SOURCE_DEPTH_MAX + 1];
	uint32_t depth;
	uint32_t line;				/* of the text, where the next byte goes */
};

static struct source_file *file_at(const struct source *s, size_t i)
{
	return &((struct source_file *)(void *)s->files.items)[i];
}

static void begin_piece(struct loading *l, uint32_t file, uint32_t file_line)
{
	struct source_piece p = { l->line, file, file_line };

	vec_push(&l->source->pieces, sizeof(p), &p);
}

static const char *reason_of(int error)
{
	switch (error) {
	case EISDIR: return "is a folder";
	case EINVAL: return "is not a regular file";
	case EPERM: return "lies outside of the folders that may be read (-I adds one)";
	case EFBIG: return "is larger than 16 MiB";
	case EDQUOT: return "all files together are larger than 32 MiB";
	case EMFILE: return "is one file too many: at most 1024 are read";
	default: return strerror(error);
	}
}

/* The bytes of a file, which may change while it is read.  -1: errno; no more is read than there is room for. */
static int read_all(int fd, struct vec *bytes, size_t room)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		vec_bytes(bytes, buf, (size_t)n);
		if (bytes->count > ASK_FILE_MAX) {
			errno = EFBIG;
			return -1;
		}
		if (bytes->count > room) {
			errno = EDQUOT;
			return -1;
		}
	}
	return 0;
}

/* Relative to the folder of the file that includes it, in the words of that file. */
static char *shown_name(struct loading *l, const char *path)
{
	const char *by = l->depth > 0 ? file_at(l->source, l->stack[l->depth - 1])->name : "";
	const char *slash = strrchr(by, '/');

	if (path[0] == '/' || slash == NULL)
		return arena_printf(&l->source->arena, "%s", path);
	return arena_printf(&l->source->arena, "%.*s/%s", (int)(slash - by), by, path);
}

static int open_file(struct loading *l, const char *name)
{
	char path[ASK_PATH_MAX];
	int n;

	if (name[0] == '/')
		n = snprintf(path, sizeof(path), "%s", name);
	else
		n = snprintf(path, sizeof(path), "%s/%s", l->folder, name);
	if (n < 0 || n >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return l->open(l->arg, path);
}

/* "a includes b includes a", if the file is one of those being read. */
static const char *cycle_of(struct loading *l, const struct source_file *f)
{
	const char *words = NULL;

	for (uint32_t i = 0; i < l->depth; i++) {
		const struct source_file *open = file_at(l->source, l->stack[i]);

		if (words != NULL)
			words = arena_printf(&l->source->arena, "%s includes %s", words, open->name);
		else if (open->dev == f->dev && open->ino == f->ino)
			words = open->name;
	}
	return words != NULL ? arena_printf(&l->source->arena, "%s includes %s", words, f->name) : NULL;
}

/* What stands before a reason: nothing for the first file. */
static const char *include_words(struct loading *l, const char *path)
{
	return l->depth > 0 ? arena_printf(&l->source->arena, "@include \"%s\"", path) : "";
}

static int refuse(struct loading *l, const char *path, const char *reason)
{
	report_add(l->report, l->depth > 0 ? l->line : 0, include_words(l, path), "%s", reason);
	return -1;
}

static int fetch(struct loading *l, const char *path, struct source_file *f, struct vec *bytes)
{
	const char *cycle;
	struct stat st;
	int fd, r, error;
	size_t room;

	f->name = shown_name(l, path);
	if ((fd = open_file(l, f->name)) == -1)
		return refuse(l, path, reason_of(errno));
	if (fstat(fd, &st) == -1) {
		close(fd);
		return refuse(l, path, reason_of(errno));
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	if ((cycle = cycle_of(l, f)) != NULL) {
		close(fd);
		return refuse(l, path, cycle);
	}
	room = l->source->text.count < SOURCE_BYTES_MAX ? SOURCE_BYTES_MAX - l->source->text.count : 0;
	r = read_all(fd, bytes, room);
	error = errno;
	close(fd);
	return r == -1 ? refuse(l, path, reason_of(error)) : 0;
}

static int load_file(struct loading *l, const char *path);

/* The line of the text that this line of a file being read has become. */
static uint32_t text_line(const struct loading *l, uint32_t file, uint32_t file_line)
{
	const struct source_piece *p = (const struct source_piece *)(void *)l->source->pieces.items;
	size_t i = l->source->pieces.count;

	while (i-- > 0) {
		if (p[i].file == file && p[i].file_line <= file_line)
			return p[i].line + (file_line - p[i].file_line);
	}
	return l->line;
}

static void skip_mark(struct scan *s)
{
	if (s->size >= 3 && memcmp(s->bytes, "\xef\xbb\xbf", 3) == 0)
		s->at = 3;			/* a byte order mark */
}

/* Scans one file; an @include in it comes back to load_file(), at most SOURCE_DEPTH_MAX deep. */
static int expand(struct loading *l, uint32_t file, const struct vec *bytes)
{
	struct scan s = { .bytes = bytes->items, .size = bytes->count, .file = file, .line = 1,
		.depth_before = l->nesting.depth, .nesting = &l->nesting, .text = &l->source->text };
	uint32_t began = l->line, began_file = 1;
	enum scan_result r;
	int result = 0;

	skip_mark(&s);
	begin_piece(l, file, 1);
	while ((r = scan_next(&s)) == SCAN_INCLUDE) {
		l->line = began + (s.line - began_file);
		if (load_file(l, s.path) == -1) {
			l->nesting.levels[l->nesting.depth].state = EXPECT_ANY;
			result = -1;
		}
		/* what follows the directive's line, its newline first */
		began = l->line;
		began_file = s.line;
		begin_piece(l, file, s.line);
	}
	if (r == SCAN_ERROR) {
		report_add(l->report, text_line(l, file, s.error_line), "syntax", "%s", s.error);
		scan_give_up(&s);
		result = -1;
	}
	vec_bytes(&l->source->text, "\n", 1);
	l->line = began + (s.line - began_file) + 1;
	return result;
}

static int load_file(struct loading *l, const char *path)
{
	struct source_file f;
	struct vec bytes = { 0 };
	int r;

	if (l->depth > SOURCE_DEPTH_MAX) {
		report_add(l->report, l->line, include_words(l, path), "more than %d files in each other", SOURCE_DEPTH_MAX);
		return -1;
	}
	if ((r = fetch(l, path, &f, &bytes)) == 0) {
		uint32_t index = (uint32_t)l->source->files.count;

		vec_push(&l->source->files, sizeof(f), &f);
		l->stack[l->depth++] = index;
		r = expand(l, index, &bytes);
		l->depth--;
	}
	vec_free(&bytes);
	return r;
}

int source_load(struct source *s, const char *file, const char *folder, source_open open, void *arg, struct report *r)
{
	struct loading l = { .source = s, .report = r, .folder = folder, .open = open, .arg = arg, .line = 1 };
	int result;

	r->source = s;
	result = load_file(&l, file);
	if (s->files.count == 0) {		/* the report needs a name all the same */
		struct source_file none = { .name = arena_printf(&s->arena, "%s", file) };

		vec_push(&s->files, sizeof(none), &none);
	}
	vec_bytes(&s->text, "", 1);
	return result;
}

void source_free(struct source *s)
{
	vec_free(&s->text);
	vec_free(&s->files);
	vec_free(&s->pieces);
	arena_free(&s->arena);
}

void source_place(const struct source *s, uint32_t line, const char **file_r, uint32_t *file_line_r)
{
	const struct source_piece *p = (const struct source_piece *)(void *)s->pieces.items;
	size_t lo = 0, hi = s->pieces.count;

	*file_r = file_at(s, 0)->name;
	*file_line_r = 0;
	if (line == 0 || hi == 0)
		return;
	while (hi - lo > 1) {				/* the last piece that begins at or before the line */
		size_t mid = lo + (hi - lo) / 2;

		if (p[mid].line <= line)
			lo = mid;
		else
			hi = mid;
	}
	*file_r = file_at(s, p[lo].file)->name;
	*file_line_r = p[lo].file_line + (line - p[lo].line);
}
