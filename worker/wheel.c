/* Deadlines: see wheel.h. */
#include "worker/wheel.h"

#include <stddef.h>
#include <string.h>

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->done = now_ms / WHEEL_TICK_MS;
}

static bool is_head(const struct wheel *w, struct timer *const *p)
{
	return p >= w->ticks && p < w->ticks + WHEEL_TICKS;
}

void wheel_clear(struct wheel *w, struct timer *t)
{
	if (t->prev == NULL)
		return;
	*t->prev = t->next;
	if (t->next != NULL) {
		t->next->prev = t->prev;
	} else if (is_head(w, t->prev)) {
		uint32_t i = (uint32_t)(t->prev - w->ticks);

		w->some[i / 64] &= ~((uint64_t)1 << i % 64);
	}
	t->prev = NULL;
	w->set--;
}

void wheel_set(struct wheel *w, struct timer *t, uint64_t at_ms)
{
	uint64_t tick = at_ms / WHEEL_TICK_MS + 1;
	struct timer **list;

	wheel_clear(w, t);
	if (tick <= w->done)
		tick = w->done + 1;
	list = &w->ticks[tick % WHEEL_TICKS];
	t->at_ms = at_ms;
	t->next = *list;
	t->prev = list;
	if (t->next != NULL)
		t->next->prev = &t->next;
	*list = t;
	w->some[tick % WHEEL_TICKS / 64] |= (uint64_t)1 << tick % 64;
	w->set++;
}

struct timer *wheel_due(struct wheel *w, uint64_t now_ms)
{
	uint64_t now = now_ms / WHEEL_TICK_MS;

	if (now > w->done + WHEEL_TICKS)
		w->done = now - WHEEL_TICKS;	/* a long sleep: each tick is looked at once */
	while (w->done < now) {
		struct timer *t = w->ticks[(w->done + 1) % WHEEL_TICKS];

		while (t != NULL && t->at_ms > now_ms)
			t = t->next;
		if (t != NULL) {
			wheel_clear(w, t);
			return t;
		}
		w->done++;
	}
	return NULL;
}

/* From tick `from` on, around, to the first that has timers; there is one. */
static uint32_t ticks_ahead(const struct wheel *w, uint32_t from)
{
	const uint32_t words = WHEEL_TICKS / 64;
	uint64_t word = w->some[from / 64] & ~(uint64_t)0 << from % 64;

	for (uint32_t i = from / 64, n = 0; n <= words; n++, word = w->some[i]) {
		if (word != 0)
			return (i * 64 + (uint32_t)__builtin_ctzll(word) + WHEEL_TICKS - from) % WHEEL_TICKS;
		i = (i + 1) % words;
	}
	return WHEEL_TICKS - 1;
}

int wheel_sleep_ms(const struct wheel *w, uint64_t now_ms)
{
	uint64_t now = now_ms / WHEEL_TICK_MS, next;

	if (w->set == 0)
		return -1;
	next = w->done + 1 + ticks_ahead(w, (w->done + 1) % WHEEL_TICKS);
	return next <= now ? 0 : (int)(next * WHEEL_TICK_MS - now_ms);
}
