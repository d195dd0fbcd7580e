/*
 * What was received and cannot be used yet: a head that is not whole, a request behind the one that is being answered, a
 * body that its sink has no room for.  Whoever fills it bounds it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct worker;

struct inbuf {
	char *at;
	uint32_t len, size;
};

/* -1: out of memory. */
int inbuf_add(struct worker *, struct inbuf *, const char *bytes, size_t len);
/* The first so many were used; without any left it holds no memory. */
void inbuf_drop(struct worker *, struct inbuf *, size_t len);
