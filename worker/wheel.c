/* Deadlines: see wheel.h. */
#include "worker/wheel.h"

#include <stddef.h>
#include <string.h>

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->done = now_ms / WHEEL_TICK_MS;
}

void wheel_clear(struct wheel *w, struct timer *t)
{
	if (t->prev == NULL)
		return;
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
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

int wheel_sleep_ms(const struct wheel *w, uint64_t now_ms)
{
	uint64_t now = now_ms / WHEEL_TICK_MS;

	if (w->set == 0)
		return -1;
	for (uint64_t i = 1; i <= WHEEL_TICKS; i++) {
		if (w->ticks[(w->done + i) % WHEEL_TICKS] != NULL) {
			uint64_t at = (w->done + i) * WHEEL_TICK_MS;

			return w->done + i <= now ? 0 : (int)(at - now_ms);
		}
	}
	return (int)(WHEEL_TICKS * WHEEL_TICK_MS);
}
