/* Whose turn it is: see turns.h. */
#include "conf/turns.h"

#include "common/confrun.h"

#include <stdlib.h>
#include <unistd.h>

struct turn {
	uint64_t at;		/* its place: (2k + 1) / (2 * weight) of the way, in 2^-32 */
	uint32_t endpoint;
};

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static int by_place(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->endpoint < y->endpoint ? -1 : x->endpoint > y->endpoint;
}

static uint32_t scaled(uint32_t weight, uint32_t common, uint64_t total, uint64_t most)
{
	uint64_t w = weight / common;

	if (total > most)
		w = w * most / total;
	return w > 0 ? (uint32_t)w : 1;
}

void turns_add(const struct list *endpoints, uint32_t first, struct vec *turns)
{
	uint64_t total = 0, most = endpoints->count * 4u > TURNS_MAX ? endpoints->count * 4u : TURNS_MAX;
	uint32_t common = 0, n = 0;
	struct turn *t;

	if (endpoints->count == 0)
		return;
	for (uint32_t i = 0; i < endpoints->count; i++)
		common = gcd(common, addr_item_weight(LIST_AT(*endpoints, struct addr_item, i)));
	for (uint32_t i = 0; i < endpoints->count; i++)
		total += addr_item_weight(LIST_AT(*endpoints, struct addr_item, i)) / common;
	if ((t = reallocarray(NULL, (total < most ? total : most) + endpoints->count, sizeof(*t))) == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	for (uint32_t i = 0; i < endpoints->count; i++) {
		uint32_t w = scaled(addr_item_weight(LIST_AT(*endpoints, struct addr_item, i)), common, total, most);

		for (uint64_t k = 0; k < w; k++)
			t[n++] = (struct turn){ ((2 * k + 1) << 32) / (2 * (uint64_t)w), first + i };
	}
	qsort(t, n, sizeof(*t), by_place);
	for (uint32_t i = 0; i < n; i++)
		vec_push(turns, sizeof(uint32_t), &t[i].endpoint);
	free(t);
}
