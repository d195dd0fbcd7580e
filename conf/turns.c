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

static uint32_t weight_of(const struct list *endpoints, uint32_t i)
{
	return addr_item_weight(LIST_AT(*endpoints, struct addr_item, i));
}

/* How often each is to come: w * most / total, where that is less than w; at least once. */
struct scale {
	uint32_t common;
	uint64_t total, most;
};

static struct scale scale_of(const struct list *endpoints)
{
	struct scale s = { 0, 0, endpoints->count * 4u > TURNS_MAX ? endpoints->count * 4u : TURNS_MAX };

	for (uint32_t i = 0; i < endpoints->count; i++)
		s.common = gcd(s.common, weight_of(endpoints, i));
	for (uint32_t i = 0; i < endpoints->count; i++)
		s.total += weight_of(endpoints, i) / s.common;
	return s;
}

static uint32_t turns_of(const struct scale *s, uint32_t weight)
{
	uint64_t w = weight / s->common;

	if (s->total > s->most)
		w = w * s->most / s->total;
	return w > 0 ? (uint32_t)w : 1;
}

uint32_t turns_count(const struct list *endpoints)
{
	struct scale s = scale_of(endpoints);
	uint32_t n = 0;

	for (uint32_t i = 0; i < endpoints->count; i++)
		n += turns_of(&s, weight_of(endpoints, i));
	return n;
}

void turns_add(const struct list *endpoints, uint32_t first, struct vec *turns)
{
	uint32_t count = turns_count(endpoints), n = 0;
	struct scale s = scale_of(endpoints);
	struct turn *t;

	if (count == 0)
		return;
	if ((t = reallocarray(NULL, count, sizeof(*t))) == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	for (uint32_t i = 0; i < endpoints->count; i++) {
		uint32_t w = turns_of(&s, weight_of(endpoints, i));

		for (uint64_t k = 0; k < w; k++)
			t[n++] = (struct turn){ ((2 * k + 1) << 32) / (2 * (uint64_t)w), first + i };
	}
	qsort(t, n, sizeof(*t), by_place);
	for (uint32_t i = 0; i < n; i++)
		vec_push(turns, sizeof(uint32_t), &t[i].endpoint);
	free(t);
}
