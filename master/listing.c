/* Asking all workers for their connections: see listing.h. */
#include "master/listing.h"

#include "common/live.h"
#include "master/control.h"
#include "master/master.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum part {
	PART_NONE,		/* the worker does not run, or is gone */
	PART_WANTED,
	PART_ASKED,
	PART_DONE,
};

struct listing {
	struct master *m;
	struct alarm begin, deadline;
	uint64_t asked;			/* the newest ticket */
	uint64_t answering;		/* the newest one that the listing under way answers */
	int fd;				/* what the workers write to; -1: none runs */
	uint64_t number;		/* of the listing */
	enum part part[LIVE_WORKERS_MAX];
	/* What a worker was sent and has not answered; it is sent nothing new until then, or a worker that does not read
	 * would hold a file for each question in its socket. */
	uint64_t owes[LIVE_WORKERS_MAX];
};

static void begin(void *arg);
static void end(void *arg);

struct listing *listing_open(struct master *m, struct err *e)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		err_set(e, "listing: out of memory");
		return NULL;
	}
	l->m = m;
	l->fd = -1;
	l->begin = (struct alarm){ .ring = begin, .arg = l };
	l->deadline = (struct alarm){ .ring = end, .arg = l };
	return l;
}

uint64_t listing_request(struct listing *l)
{
	if (l->fd == -1)
		alarm_set(&l->m->loop, &l->begin, 0);
	return ++l->asked;
}

static void stop(struct listing *l)
{
	alarm_unset(&l->m->loop, &l->deadline);
	if (l->fd != -1)
		close(l->fd);
	l->fd = -1;
}

void listing_cancel(struct listing *l)
{
	alarm_unset(&l->m->loop, &l->begin);
	stop(l);
}

/* ---- the end ---- */

/* A worker may still have the file, mapped even: what is given away is a copy that nobody can change. */
static int copy(int from)
{
	int to = memfd_create("meshd-connections", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t at = 0, size;

	if (to == -1 || fstat(from, &st) == -1)
		goto fail;
	size = st.st_size < (off_t)LISTING_BYTES ? st.st_size : (off_t)LISTING_BYTES;
	while (at < size) {
		if (sendfile(to, from, &at, (size_t)(size - at)) <= 0)
			goto fail;
	}
	if (lseek(to, 0, SEEK_SET) == -1 ||
	    fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1)
		goto fail;
	return to;
fail:
	if (to != -1)
		close(to);
	return -1;
}

/* Empty: nothing is missing. */
static void name_missing(const struct listing *l, char *text_r, size_t size)
{
	size_t used = 0;

	text_r[0] = '\0';
	for (uint32_t w = 0; w < l->m->workers && used < size; w++) {
		const char *why = l->part[w] == PART_NONE ? "it does not run" : "it has not answered";

		if (l->part[w] != PART_DONE)
			used += (size_t)snprintf(text_r + used, size - used, "%sworker %u (%s)", used > 0 ? ", " : "missing: ", w, why);
	}
}

static void end(void *arg)
{
	struct listing *l = arg;
	char text[900];
	int whole;

	name_missing(l, text, sizeof(text));
	whole = copy(l->fd);
	stop(l);
	control_listed(l->m->control, l->answering, whole != -1, whole != -1 ? text : "no memory for the list", whole);
	if (whole != -1)
		close(whole);
	if (l->asked != l->answering)
		alarm_set(&l->m->loop, &l->begin, 0);
}

static void end_if_done(struct listing *l)
{
	for (uint32_t w = 0; w < l->m->workers; w++) {
		if (l->part[w] == PART_WANTED || l->part[w] == PART_ASKED)
			return;
	}
	end(l);
}

/* ---- the beginning ---- */

static void begin(void *arg)
{
	struct listing *l = arg;

	l->answering = l->asked;
	l->fd = memfd_create("meshd-listing", MFD_CLOEXEC);
	if (l->fd == -1 || fcntl(l->fd, F_SETFL, O_APPEND) == -1) {
		stop(l);
		control_listed(l->m->control, l->answering, false, "no memory for the list", -1);
		return;
	}
	l->number++;
	for (uint32_t w = 0; w < l->m->workers; w++)
		l->part[w] = l->m->worker[w].pid != 0 ? PART_WANTED : PART_NONE;
	alarm_set(&l->m->loop, &l->deadline, LISTING_MS);
	workers_tell(l->m);
	end_if_done(l);
}

int listing_unsent(const struct listing *l, uint32_t worker, uint64_t *number_r)
{
	if (l->fd == -1 || l->part[worker] != PART_WANTED || l->owes[worker] != 0)
		return -1;
	*number_r = l->number;
	return l->fd;
}

void listing_mark_sent(struct listing *l, uint32_t worker)
{
	l->part[worker] = PART_ASKED;
	l->owes[worker] = l->number;
}

/* ---- answers ---- */

void listing_answered(struct listing *l, uint32_t worker, uint64_t number)
{
	if (number == 0 || number != l->owes[worker])
		return;
	l->owes[worker] = 0;
	if (l->fd == -1)
		return;
	if (number == l->number)
		l->part[worker] = PART_DONE;
	else
		child_tell(&l->m->worker[worker]);
	end_if_done(l);
}

void listing_forget_worker(struct listing *l, uint32_t worker)
{
	l->owes[worker] = 0;
	l->part[worker] = PART_NONE;
	if (l->fd != -1)
		end_if_done(l);
}
