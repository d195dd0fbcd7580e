/* Reports of deaths: see crashes.h. */
#include "master/crashes.h"

#include "common/operations.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OP_WORDS(kind, words) words,
static const char *const operations[] = { OPERATIONS(OP_WORDS) };
#undef OP_WORDS

struct crash *crashes_add(struct crashes *c)
{
	struct crash *r = &c->ring[c->count++ % CRASHES_KEPT];

	*r = (struct crash){ .at_s = (uint64_t)time(NULL) };
	return r;
}

void crash_take_words(struct crash *r, struct live_crash *w, uint64_t program_bytes)
{
	uint64_t frames = live_get(&w->frames), signal = atomic_load_explicit(&w->signal, memory_order_acquire);

	live_set(&w->signal, 0);
	if (!r->by_signal || signal != (uint64_t)r->number)
		return;
	r->has_words = true;
	r->address = live_get(&w->address);
	r->operation = live_get(&w->operation);
	r->generation = live_get(&w->generation);
	r->frames = frames < LIVE_FRAMES ? (unsigned)frames : LIVE_FRAMES;
	for (unsigned i = 0; i < r->frames; i++) {
		uint64_t at = live_get(&w->frame[i]);

		r->frame[i] = at < program_bytes ? at : CRASH_ELSEWHERE;
	}
}

static const char *operation_words(uint64_t operation)
{
	return operation < sizeof(operations) / sizeof(operations[0]) ? operations[operation] : "unknown";
}

static size_t print_death(const struct crash *r, char *text, size_t size)
{
	int n;

	if (r->by_signal)
		n = snprintf(text, size, "%s (pid %d) was killed by signal %d (%s)", r->who, r->pid, r->number, strsignal(r->number));
	else
		n = snprintf(text, size, "%s (pid %d) has ended with status %d", r->who, r->pid, r->number);
	return (size_t)n < size ? (size_t)n : size;
}

static size_t print_words(const struct crash *r, char *text, size_t size)
{
	char address[32] = "";
	int n;

	if (!r->has_words)
		return 0;
	if (r->address != 0)
		snprintf(address, sizeof(address), " at address %#llx", (unsigned long long)r->address);
	n = snprintf(text, size, "%s, last operation: %s, generation %llu", address, operation_words(r->operation),
	    (unsigned long long)r->generation);
	return (size_t)n < size ? (size_t)n : size;
}

void crash_print(const struct crash *r, char *text_r, size_t size)
{
	size_t used = print_death(r, text_r, size);

	used += print_words(r, text_r + used, size - used);
	if (r->note[0] != '\0' && used < size)
		snprintf(text_r + used, size - used, ": %s", r->note);
}

static void print_frames(const struct crash *r, int fd)
{
	for (unsigned i = 0; i < r->frames; i++) {
		if (r->frame[i] == CRASH_ELSEWHERE)
			dprintf(fd, "    (in a library)\n");
		else
			dprintf(fd, "    meshd-worker+%#llx\n", (unsigned long long)r->frame[i]);
	}
}

int crashes_print(const struct crashes *c, int fd)
{
	uint64_t first = c->count > CRASHES_KEPT ? c->count - CRASHES_KEPT : 0;

	for (uint64_t i = first; i < c->count; i++) {
		const struct crash *r = &c->ring[i % CRASHES_KEPT];
		time_t at = (time_t)r->at_s;
		char when[32], text[512];
		struct tm tm;

		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
		crash_print(r, text, sizeof(text));
		if (dprintf(fd, "%s %s\n", when, text) < 0)
			return -1;
		print_frames(r, fd);
	}
	return 0;
}
