/* Memory of one load: see memory.h. */
#include "conf/memory.h"

#include "common/confrun.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (256u << 10)

struct arena_block {
	struct arena_block *older;
	size_t used, room;
	_Alignas(max_align_t) char bytes[];
};

static void *must(void *p)
{
	if (p == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	return p;
}

static struct arena_block *block_with(struct arena *a, size_t bytes)
{
	struct arena_block *b = a->newest;
	size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;

	if (b != NULL && b->room - b->used >= bytes)
		return b;
	b = must(calloc(1, sizeof(*b) + room));
	b->room = room;
	b->older = a->newest;
	return a->newest = b;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	struct arena_block *b;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		_exit(CONFRUN_EXIT_MEMORY);
	bytes = (bytes + _Alignof(max_align_t)) & ~(_Alignof(max_align_t) - 1);
	b = block_with(a, bytes);
	p = b->bytes + b->used;
	b->used += bytes;
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		_exit(CONFRUN_EXIT_MEMORY);
	text = arena_alloc(a, (size_t)n + 1, 1);
	va_start(ap, fmt);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return text;
}

void arena_free(struct arena *a)
{
	while (a->newest != NULL) {
		struct arena_block *b = a->newest;

		a->newest = b->older;
		free(b);
	}
}

static void make_room(struct vec *v, size_t more)
{
	size_t room = v->room == 0 ? 64 : v->room;

	while (room - v->count < more)
		room *= 2;
	if (room == v->room)
		return;
	v->items = must(reallocarray(v->items, room, v->size));
	v->room = room;
}

void *vec_push(struct vec *v, size_t size, const void *record)
{
	v->size = size;
	make_room(v, 1);
	return memcpy(v->items + v->count++ * size, record, size);
}

void vec_bytes(struct vec *v, const void *bytes, size_t count)
{
	v->size = 1;
	if (count == 0)
		return;
	make_room(v, count);
	memcpy(v->items + v->count, bytes, count);
	v->count += count;
}

void vec_free(struct vec *v)
{
	free(v->items);
	*v = (struct vec){ 0 };
}
