/* Addresses that two listeners want: see check.h. */
#include "conf/check.h"

#include "common/confrun.h"
#include "common/heritage.h"
#include "conf/keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * One address of one listener, in two roles: what a socket binds, and what original destinations are looked up by.  A
 * bound listener plays both, a virtual one the first, a real one the second.
 */
struct want {
	struct addr addr;
	const struct listener *listener;
	uint32_t line;
	enum { WANT_SOCKET, WANT_DESTINATION } role;
};

#define SOCKETS_MAX (HERITAGE_MAX - 8)		/* a worker inherits a few descriptors more */

static void add(struct vec *wants, const struct listener *l, const struct addr_item *a, int role)
{
	struct want w;

	memset(&w, 0, sizeof(w));
	w.addr = a->addr;
	w.listener = l;
	w.line = a->line;
	w.role = role;
	for (uint32_t port = l->port.first; port <= l->port.last; port++) {
		w.addr.port = (uint16_t)port;
		vec_push(wants, sizeof(w), &w);
	}
}

static int in_order(const void *a, const void *b)
{
	const struct want *x = a, *y = b;
	int c;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	if ((c = memcmp(&x->addr, &y->addr, sizeof(x->addr))) != 0)
		return c;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* Both made by intercept = { }, whose two ports are then one: check_intercept.c says it. */
static bool of_one_form(const struct origin *a, const struct origin *b)
{
	return a->parent == b->parent && a->key == b->key && a->index == b->index;
}

/* Where both have one name, or one origin, that has been said. */
static void report_conflict(const struct want *first, const struct want *second, struct report *r)
{
	char text[ADDR_STRLEN];

	if (of_one_form(&first->listener->origin, &second->listener->origin) ||
	    strcmp(first->listener->name, second->listener->name) == 0)
		return;
	report_key(r, &second->listener->origin, NULL, IMAGE_NONE, second->line, "%s is already %s %s",
	    addr_print(&second->addr, text), second->role == WANT_SOCKET ? "bound by" : "the destination of",
	    report_place(r, &first->listener->origin));
}

void check_binds(const struct config *c, struct report *r)
{
	struct vec wants = { 0 };
	const struct want *w;
	uint32_t sockets = 0;

	for (uint32_t i = 0; i < c->listener_count; i++) {
		const struct listener *l = c->all_listeners[i];

		for (uint32_t k = 0; k < l->addresses.count && !l->origin.flawed; k++) {
			const struct addr_item *a = LIST_AT(l->addresses, struct addr_item, k);

			if (l->bind_to_port)
				add(&wants, l, a, WANT_SOCKET);
			if (!l->use_original_dst)
				add(&wants, l, a, WANT_DESTINATION);
			sockets += l->bind_to_port ? l->port.last - l->port.first + 1u : 0;
		}
	}
	w = (const struct want *)(void *)wants.items;
	if (wants.count > 0)
		qsort(wants.items, wants.count, sizeof(*w), in_order);
	for (size_t i = 1; i < wants.count; i++) {
		if (w[i - 1].role == w[i].role && memcmp(&w[i - 1].addr, &w[i].addr, sizeof(w->addr)) == 0 &&
		    (w[i].role == WANT_SOCKET || !w[i - 1].listener->bind_to_port || !w[i].listener->bind_to_port))
			report_conflict(&w[i - 1], &w[i], r);
	}
	if (sockets > SOCKETS_MAX)
		report_add(r, 0, "", "listeners bind %u addresses, at most %d can be", sockets, SOCKETS_MAX);
	vec_free(&wants);
}
