/* Bytes that wait: see inbuf.h. */
#include "worker/inbuf.h"

#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_BYTES 256u

int inbuf_add(struct worker *w, struct inbuf *b, const char *bytes, size_t len)
{
	size_t need = b->len + len, size = b->size < LEAST_BYTES ? LEAST_BYTES : b->size;
	char *bigger;

	while (size < need)
		size *= 2;
	if (size != b->size) {
		if ((bigger = realloc(b->at, size)) == NULL) {
			count(w, WORKER_C_shed_memory);
			return -1;
		}
		b->at = bigger;
		b->size = (uint32_t)size;
	}
	memcpy(b->at + b->len, bytes, len);
	b->len += (uint32_t)len;
	gauge(w, WORKER_G_buffer_bytes, (int64_t)len);
	return 0;
}

void inbuf_drop(struct worker *w, struct inbuf *b, size_t len)
{
	if (b->at == NULL)
		return;
	gauge(w, WORKER_G_buffer_bytes, -(int64_t)len);
	b->len -= (uint32_t)len;
	if (b->len > 0) {
		memmove(b->at, b->at + len, b->len);
		return;
	}
	free(b->at);
	*b = (struct inbuf){ 0 };
}
