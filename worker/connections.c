/* Listing and ending open connections: see connections.h. */
#include "worker/connections.h"

#include "common/wire.h"
#include "worker/conn.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_A_TURN 128

/* ---- listing ---- */

static int write_line(const struct worker *w, const struct conn *c, char *line, size_t size)
{
	static const char *const states[] = { [CONN_NEW] = "new", [CONN_CONNECTING] = "connecting", [CONN_OPEN] = "open" };
	char client[ADDR_STRLEN], destination[ADDR_STRLEN], endpoint[ADDR_STRLEN] = "-";
	uint64_t now = w->loop.now_ms;

	if (c->endpoint.family != 0)
		addr_print(&c->endpoint, endpoint);
	return snprintf(line, size, "%llu\t%u\t%llu\t%llu\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%llu\t%llu\n", (unsigned long long)c->id,
	    w->index, (unsigned long long)(now - c->born_ms), (unsigned long long)(now - c->active_ms), states[c->state],
	    addr_print(&c->client, client), addr_print(&c->destination, destination), slot_name(w, c->listener_slot),
	    slot_name(w, c->chain_slot), slot_name(w, c->cluster_slot), endpoint, (unsigned long long)c->flow[DOWNSTREAM].bytes,
	    (unsigned long long)c->flow[UPSTREAM].sent);
}

static void end_list(struct worker *w, bool new_one)
{
	const struct wire m = { .type = WIRE_LISTED, .number = w->listing.number };

	w->listing.next = NULL;
	if (w->control != -1 && wire_send(w->control, &m, -1) == -1 && errno == EAGAIN && !new_one)
		return;			/* said at the end of a later turn */
	close(w->listing.fd);
	w->listing.fd = -1;
}

void connections_list(struct worker *w, int fd, uint64_t number)
{
	if (w->listing.fd != -1)
		end_list(w, true);
	w->listing.fd = fd;
	w->listing.number = number;
	w->listing.next = w->conns;
}

void connections_list_on(struct worker *w)
{
	static char lines[65536];
	size_t used = 0;
	int n = 0;

	if (w->listing.fd == -1)
		return;
	for (; w->listing.next != NULL && n < LINES_A_TURN; w->listing.next = w->listing.next->next) {
		if (w->listing.next->state == CONN_CLOSING)
			continue;
		n = n + 1;
		if (sizeof(lines) - used < 1024)
			break;
		used += (size_t)write_line(w, w->listing.next, lines + used, sizeof(lines) - used);
	}
	if (used > 0 && write(w->listing.fd, lines, used) != (ssize_t)used)
		w->listing.next = NULL;		/* its reader is gone, or there is no memory for it */
	if (w->listing.next == NULL)
		end_list(w, false);
}

void connections_forget(struct worker *w, const struct conn *c)
{
	if (w->listing.next == c)
		w->listing.next = c->next;
}

/* ---- ending ---- */

/* At a moment of its own within the span, so that not all come back at once. */
static void end_within(struct conn *c, uint32_t span_ms)
{
	uint64_t at = c->worker->loop.now_ms + worker_random(c->worker, span_ms + 1);

	if (c->draining && c->end_ms <= at)
		return;
	c->draining = true;
	if (at < c->end_ms)
		c->end_ms = at;
	conn_set_deadline(c);
}

static void end(struct conn *c, uint32_t span_ms)
{
	if (c->state == CONN_CLOSING)
		return;
	if (span_ms == 0)
		conn_close(c, END_KILLED, true);
	else
		end_within(c, span_ms);
}

static const uint32_t *slot_of(const struct conn *c, const char *which, const char **name_r)
{
	static const char *const words[] = { "listener ", "chain ", "cluster ", "endpoint " };
	const uint32_t *slots[] = { &c->listener_slot, &c->chain_slot, &c->cluster_slot, &c->endpoint_slot };

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(which, words[i], strlen(words[i])) == 0) {
			*name_r = which + strlen(words[i]);
			return slots[i];
		}
	}
	return NULL;
}

static bool is_meant(struct worker *w, const struct conn *c, uint64_t id, const char *which)
{
	const char *name = NULL;
	const uint32_t *slot;

	if (id != 0)
		return c->id == id;
	if (strcmp(which, "all") == 0)
		return true;
	slot = slot_of(c, which, &name);
	return slot != NULL && *slot != IMAGE_NONE && strcmp(slot_name(w, *slot), name) == 0;
}

void connections_close(struct worker *w, uint64_t id, const char *which, uint32_t span_ms)
{
	for (struct conn *c = w->conns; c != NULL; c = c->next) {
		if (is_meant(w, c, id, which))
			end(c, span_ms);
	}
}

void connections_adopt(struct worker *w)
{
	const struct image *image = image_in_use(w);
	uint32_t drain_ms = image_settings(image)->drain_time_ms;
	uint8_t *named;

	if (w->conns == NULL || (named = calloc(1, LIVE_SLOTS)) == NULL)
		return;
	for (uint32_t i = 0; i < image_count(image, SECTION_NAMES); i++)
		named[image_slot(image, i)] = 1;
	for (struct conn *c = w->conns; c != NULL; c = c->next) {
		if (!named[c->listener_slot] || (c->chain_slot != IMAGE_NONE && !named[c->chain_slot]))
			end_within(c, drain_ms);
	}
	free(named);
}
