/* Listing and ending open connections: see connections.h. */
#include "worker/connections.h"

#include "common/wire.h"
#include "worker/downstream.h"
#include "worker/pool.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_A_TURN 128

/* ---- listing ---- */

static int write_line(const struct worker *w, const struct downstream *d, const struct downstream_view *v, char *line, size_t size)
{
	char client[ADDR_STRLEN], destination[ADDR_STRLEN], endpoint[ADDR_STRLEN] = "-";
	uint64_t now = w->loop.now_ms;

	if (v->endpoint != NULL)
		addr_print(v->endpoint, endpoint);
	return snprintf(line, size, "%llu\t%u\t%llu\t%llu\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%llu\t%llu\n", (unsigned long long)d->id,
	    w->index, (unsigned long long)(now - d->born_ms), (unsigned long long)(now - d->active_ms), v->state,
	    addr_print(&d->client, client), addr_print(&d->destination, destination), slot_name(w, d->listener_slot),
	    slot_name(w, d->chain_slot), slot_name(w, v->cluster_slot), endpoint, (unsigned long long)v->received,
	    (unsigned long long)v->sent);
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
	struct downstream_view v;
	size_t used = 0;
	int n = 0;

	if (w->listing.fd == -1)
		return;
	for (; w->listing.next != NULL && n < LINES_A_TURN; w->listing.next = w->listing.next->next) {
		w->listing.next->kind->view(w->listing.next, &v);
		if (v.state == NULL)
			continue;
		n = n + 1;
		if (sizeof(lines) - used < 1024)
			break;
		used += (size_t)write_line(w, w->listing.next, &v, lines + used, sizeof(lines) - used);
	}
	if (used > 0 && write(w->listing.fd, lines, used) != (ssize_t)used)
		w->listing.next = NULL;		/* its reader is gone, or there is no memory for it */
	if (w->listing.next == NULL)
		end_list(w, false);
}

void connections_forget(struct worker *w, const struct downstream *d)
{
	if (w->listing.next == d)
		w->listing.next = d->next;
}

/* ---- ending ---- */

/* At a moment of its own within the span, so that not all come back at once. */
static void end_within(struct downstream *d, uint32_t span_ms)
{
	uint64_t at = d->worker->loop.now_ms + worker_random(d->worker, span_ms + 1);

	if (d->draining && d->end_ms <= at)
		return;
	d->draining = true;
	if (at < d->end_ms)
		d->end_ms = at;
	d->kind->end_changed(d);
}

static void end(struct downstream *d, uint32_t span_ms)
{
	if (span_ms == 0)
		d->kind->close(d, END_KILLED, true);
	else
		end_within(d, span_ms);
}

/* What `which` begins with, and where the slot is that it names. */
static uint32_t slot_of(const struct downstream *d, const char *which, const char **name_r)
{
	static const char *const words[] = { "listener ", "chain ", "cluster ", "endpoint " };
	struct downstream_view v;
	uint32_t slots[4];

	d->kind->view(d, &v);
	slots[0] = d->listener_slot;
	slots[1] = d->chain_slot;
	slots[2] = v.cluster_slot;
	slots[3] = v.endpoint_slot;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(which, words[i], strlen(words[i])) == 0) {
			*name_r = which + strlen(words[i]);
			return slots[i];
		}
	}
	return IMAGE_NONE;
}

static bool is_meant(struct worker *w, const struct downstream *d, uint64_t id, const char *which)
{
	const char *name = NULL;
	uint32_t slot;

	if (id != 0)
		return d->id == id;
	if (strcmp(which, "all") == 0)
		return true;
	slot = slot_of(d, which, &name);
	return slot != IMAGE_NONE && strcmp(slot_name(w, slot), name) == 0;
}

void connections_close(struct worker *w, uint64_t id, const char *which, uint32_t span_ms)
{
	for (struct downstream *d = w->conns; d != NULL; d = d->next) {
		if (is_meant(w, d, id, which))
			end(d, span_ms);
	}
}

void connections_adopt(struct worker *w)
{
	const struct image *image = image_in_use(w);
	uint32_t drain_ms = image_settings(image)->drain_time_ms;
	uint32_t *named = calloc(LIVE_SLOTS, sizeof(*named));	/* by slot; of a chain its index, plus 1 */

	for (uint32_t i = 0; named != NULL && i < image_count(image, SECTION_NAMES); i++)
		named[image_slot(image, i)] = 1;
	for (uint32_t i = 0; named != NULL && i < image_count(image, SECTION_CHAINS); i++)
		named[image_slot(image, image_chain(image, i)->name_index)] = i + 1;
	pools_adopt(w, named);
	for (struct downstream *d = w->conns; named != NULL && d != NULL; d = d->next) {
		if (!named[d->listener_slot] || (d->chain_slot != IMAGE_NONE && !named[d->chain_slot]) ||
		    (d->kind->adopt != NULL && !d->kind->adopt(d, named[d->chain_slot] - 1)))
			end_within(d, drain_ms);
	}
	free(named);
}

void connections_drain(struct worker *w, uint64_t within_ms)
{
	for (struct downstream *d = w->conns; d != NULL; d = d->next) {
		if (d->kind->adopt != NULL)
			end_within(d, within_ms < UINT32_MAX ? (uint32_t)within_ms : UINT32_MAX - 1);
	}
}
