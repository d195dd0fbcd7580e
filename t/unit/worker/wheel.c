/* worker/wheel.h: a deadline fires once, within a tick after its time, however far away it is. */
#include "worker/wheel.h"

#include <criterion/criterion.h>

static uint64_t fires_at(struct wheel *w, uint64_t from_ms, uint64_t until_ms, uint64_t step_ms)
{
	for (uint64_t now = from_ms; now <= until_ms; now += step_ms) {
		if (wheel_due(w, now) != NULL)
			return now;
	}
	return 0;
}

Test(wheel, fires_within_a_tick_after_its_time)
{
	static const uint64_t after_ms[] = { 0, 1, 15, 16, 17, 1000, 16383, 16384, 16385, 40000, 3600000 };

	for (size_t i = 0; i < sizeof(after_ms) / sizeof(after_ms[0]); i++) {
		const uint64_t start = 1000003;
		struct timer t = { 0 };
		struct wheel w;
		uint64_t at;

		wheel_init(&w, start);
		wheel_set(&w, &t, start + after_ms[i]);
		at = fires_at(&w, start, start + after_ms[i] + 100, 1);
		cr_assert(at >= start + after_ms[i] && at <= start + after_ms[i] + 2 * WHEEL_TICK_MS,
		    "%llu ms fired after %llu", (unsigned long long)after_ms[i], (unsigned long long)(at - start));
		cr_assert_eq(w.set, 0);
	}
}

Test(wheel, a_cleared_deadline_does_not_fire)
{
	struct timer t = { 0 }, u = { 0 };
	struct wheel w;

	wheel_init(&w, 0);
	wheel_set(&w, &t, 100);
	wheel_set(&w, &u, 100);
	wheel_clear(&w, &t);
	wheel_clear(&w, &t);
	cr_assert_eq(wheel_due(&w, 1000), &u);
	cr_assert_null(wheel_due(&w, 1000));
	cr_assert_eq(wheel_sleep_ms(&w, 1000), -1);
}

Test(wheel, sleeps_no_longer_than_to_the_next_deadline)
{
	struct timer t = { 0 };
	struct wheel w;

	wheel_init(&w, 5000);
	wheel_set(&w, &t, 5500);
	cr_assert(wheel_sleep_ms(&w, 5000) >= 500 && wheel_sleep_ms(&w, 5000) <= 500 + 2 * (int)WHEEL_TICK_MS);
	cr_assert_eq(wheel_due(&w, 5400), NULL);
	cr_assert_eq(wheel_due(&w, 90000), &t, "a long sleep loses no deadline");
}

Test(wheel, the_next_of_many_deadlines_is_found_wherever_it_lies)
{
	static struct timer t[400];
	struct wheel w;
	uint64_t now = 987654321;
	uint32_t seed = 1, left = 400;

	wheel_init(&w, now);
	for (int i = 0; i < 400; i++) {
		seed = seed * 1664525u + 1013904223u;
		wheel_set(&w, &t[i], now + seed % 16000);
	}
	while (left > 0) {		/* sleeping as told to, no deadline fires late */
		struct timer *due;
		int ms = wheel_sleep_ms(&w, now);

		cr_assert(ms >= 0 && ms <= 16384 + 16);
		now += (uint64_t)(ms > 0 ? ms : 1);
		while ((due = wheel_due(&w, now)) != NULL) {
			cr_assert(now >= due->at_ms && now - due->at_ms <= 2 * WHEEL_TICK_MS, "%llu ms late",
			    (unsigned long long)(now - due->at_ms));
			left--;
		}
	}
	cr_assert_eq(wheel_sleep_ms(&w, now), -1);
	for (unsigned i = 0; i < WHEEL_TICKS / 64; i++)
		cr_assert_eq(w.some[i], 0);
}
