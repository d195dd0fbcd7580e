/* What compile.c and compile_intercept.c share: an image in the making. */
#pragma once

#include "common/image.h"
#include "conf/memory.h"
#include "conf/model.h"
#include "conf/source.h"
#include "conf/text.h"

struct compiler {
	const struct config *config;
	const struct source *source;
	struct vec sections[SECTION_COUNT];
	struct text text, where_text;
	struct image_settings settings;
	struct arena arena;		/* names put together */
};

static inline uint32_t count_of(const struct compiler *c, enum image_section s)
{
	return (uint32_t)c->sections[s].count;
}

static inline void push(struct compiler *c, enum image_section s, const void *record)
{
	vec_push(&c->sections[s], image_record_size(s), record);
}

void compile_intercept(struct compiler *, const struct intercept *, struct image_intercept *);
