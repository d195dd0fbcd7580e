/* Memory for connections: see blocks.h. */
#include "worker/blocks.h"

#include "worker/loop.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 65536u

struct blocks_page {
	struct blocks_page *next, **prev;	/* partial ones; prev NULL: full */
	void **free;				/* given back: each points to the next */
	uint32_t used;
	uint32_t carved;			/* bytes that were ever used */
};
_Static_assert(sizeof(struct blocks_page) <= OP_ALIGN, "blocks begin at OP_ALIGN");

void blocks_init(struct blocks *b, size_t size)
{
	b->size = (uint32_t)((size + OP_ALIGN - 1) & ~(size_t)(OP_ALIGN - 1));
}

#ifdef MESHD_SANITIZERS		/* which are to see each block's end */

void *block_take(struct blocks *b)
{
	void *block = aligned_alloc(OP_ALIGN, b->size);

	return block == NULL ? NULL : memset(block, 0, b->size);
}

void block_give(struct blocks *b, void *block)
{
	(void)b;
	free(block);
}

#else

static void link_page(struct blocks *b, struct blocks_page *p)
{
	p->next = b->partial;
	p->prev = &b->partial;
	if (p->next != NULL)
		p->next->prev = &p->next;
	b->partial = p;
}

static void unlink_page(struct blocks_page *p)
{
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->prev = NULL;
}

static struct blocks_page *new_page(struct blocks *b)
{
	struct blocks_page *p = aligned_alloc(PAGE_BYTES, PAGE_BYTES);

	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->carved = OP_ALIGN;
	link_page(b, p);
	return p;
}

void *block_take(struct blocks *b)
{
	struct blocks_page *p = b->partial;
	void *block;

	if (p == NULL && (p = new_page(b)) == NULL)
		return NULL;
	if (p->free != NULL) {
		block = p->free;
		p->free = *p->free;
	} else {
		block = (char *)p + p->carved;
		p->carved += b->size;
	}
	p->used++;
	if (p->free == NULL && p->carved + b->size > PAGE_BYTES)
		unlink_page(p);
	return memset(block, 0, b->size);
}

void block_give(struct blocks *b, void *block)
{
	struct blocks_page *p = (struct blocks_page *)((uintptr_t)block & ~(uintptr_t)(PAGE_BYTES - 1));

	*(void **)block = p->free;
	p->free = block;
	if (p->prev == NULL)
		link_page(b, p);
	if (--p->used == 0) {
		unlink_page(p);
		free(p);
	}
}

#endif
