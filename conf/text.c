/* The text section of an image: see text.h. */
#include "conf/text.h"

#include "common/confrun.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t hash(const char *piece)
{
	uint64_t h = 0xcbf29ce484222325u;		/* FNV-1a */

	for (; *piece != '\0'; piece++)
		h = (h ^ (unsigned char)*piece) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

/* Where the piece is in the table, or the free place where it belongs. */
static uint32_t *place(struct text *t, const char *piece)
{
	uint32_t at = hash(piece) & (t->size - 1);

	while (t->table[at] != 0 && strcmp(t->bytes.items + t->table[at] - 1, piece) != 0)
		at = (at + 1) & (t->size - 1);
	return &t->table[at];
}

static void grow(struct text *t)
{
	uint32_t *old = t->table, old_size = t->size;

	t->size = old_size == 0 ? 1024 : old_size * 2;
	if ((t->table = calloc(t->size, sizeof(*t->table))) == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	for (uint32_t i = 0; i < old_size; i++) {
		if (old[i] != 0)
			*place(t, t->bytes.items + old[i] - 1) = old[i];
	}
	free(old);
}

uint32_t text_add(struct text *t, const char *piece)
{
	uint32_t *at, offset;

	if (t->bytes.count == 0)
		vec_bytes(&t->bytes, "", 1);
	if (*piece == '\0')
		return 0;
	if ((t->used + 1) * 2 > t->size)
		grow(t);
	at = place(t, piece);
	if (*at != 0)
		return *at - 1;
	offset = (uint32_t)t->bytes.count;
	vec_bytes(&t->bytes, piece, strlen(piece) + 1);
	*at = offset + 1;
	t->used++;
	return offset;
}

void text_free(struct text *t)
{
	vec_free(&t->bytes);
	free(t->table);
	*t = (struct text){ 0 };
}
