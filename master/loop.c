/* Waiting: see loop.h. */
#include "master/loop.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>

uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void loop_init(struct loop *l)
{
	memset(l, 0, sizeof(*l));
	l->now_ms = clock_ms();
}

static void close_holes(struct loop *l)
{
	int n = 0;

	for (int i = 0; i < l->nsources; i++) {
		if (l->sources[i] != NULL)
			l->sources[n++] = l->sources[i];
	}
	l->nsources = n;
}

/* Always at the end: what is added by a handler is not taken for a source that the same poll reported. */
bool loop_add(struct loop *l, struct source *s)
{
	if (s->listed)
		return true;
	if (l->nsources == LOOP_SOURCES)
		return false;
	l->sources[l->nsources++] = s;
	s->listed = true;
	return true;
}

void loop_remove(struct loop *l, struct source *s)
{
	for (int i = 0; s->listed && i < l->nsources; i++) {
		if (l->sources[i] == s) {
			l->sources[i] = NULL;
			s->listed = false;
		}
	}
}

void alarm_unset(struct loop *l, struct alarm *a)
{
	if (a->at_ms == 0)
		return;
	for (struct alarm **p = &l->alarms; *p != NULL; p = &(*p)->next) {
		if (*p == a) {
			*p = a->next;
			break;
		}
	}
	a->at_ms = 0;
}

void alarm_set(struct loop *l, struct alarm *a, uint64_t in_ms)
{
	alarm_unset(l, a);
	a->at_ms = clock_ms() + in_ms;
	a->next = l->alarms;
	l->alarms = a;
}

static int sleep_ms(const struct loop *l)
{
	uint64_t soonest = UINT64_MAX, now = clock_ms();

	for (const struct alarm *a = l->alarms; a != NULL; a = a->next) {
		if (a->at_ms < soonest)
			soonest = a->at_ms;
	}
	if (soonest == UINT64_MAX)
		return -1;
	if (soonest <= now)
		return 0;
	return soonest - now < INT_MAX ? (int)(soonest - now) : INT_MAX;
}

static struct alarm *find_due(struct loop *l)
{
	for (struct alarm *a = l->alarms; a != NULL; a = a->next) {
		if (a->at_ms <= l->now_ms)
			return a;
	}
	return NULL;
}

void loop_turn(struct loop *l)
{
	struct pollfd fds[LOOP_SOURCES];
	struct alarm *a;
	int n;

	if (l->before != NULL)
		l->before(l->before_arg);
	close_holes(l);
	n = l->nsources;
	for (int i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = l->sources[i]->fd, .events = l->sources[i]->events };
	if (poll(fds, (nfds_t)n, sleep_ms(l)) == -1)
		n = 0;
	l->now_ms = clock_ms();
	for (int i = 0; i < n; i++) {
		struct source *s = l->sources[i];

		if (s != NULL && fds[i].revents != 0 && s->fd == fds[i].fd)
			s->ready(s->arg, fds[i].revents);
	}
	while ((a = find_due(l)) != NULL) {
		alarm_unset(l, a);
		a->ring(a->arg);
	}
}
