/*
 * meshd-worker: one of the master's children, started with an index and named descriptors (common/heritage.h).
 * As root it takes the first image and binds the virtual listeners; then it drops its rights and runs the loop.
 */
#include "common/err.h"
#include "common/heritage.h"
#include "common/rights.h"
#include "common/wire.h"
#include "worker/confine.h"
#include "worker/conn.h"
#include "worker/connections.h"
#include "worker/control.h"
#include "worker/crash.h"
#include "worker/http_conn.h"
#include "worker/kin.h"
#include "worker/listener.h"
#include "worker/pool.h"
#include "worker/stream.h"
#include "worker/transport.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FIRST_IMAGE_MS 10000

void worker_complete(struct worker *w, void *owner, enum op_kind kind, int res, unsigned flags)
{
	switch (kind) {
	case OP_ACCEPT:
		listener_accepted(w, owner, res);
		break;
	case OP_LISTEN_READY:
		listener_ready(w, owner);
		break;
	case OP_CONTROL:
		control_ready(w);
		break;
	case OP_CONNECTED: case OP_READ: case OP_WRITTEN: case OP_READABLE: case OP_WRITABLE: case OP_GONE:
		transport_complete(owner, kind, res, flags);
		break;
	default:
		conn_complete(owner, kind, res, flags);
	}
}

/* ---- start ---- */

/* Listening sockets come before the image; a worker that is started again gets all of them as heritage. */
static int first_image(struct worker *w, struct err *e)
{
	struct pollfd p = { .fd = w->control, .events = POLLIN };
	struct wire m;
	int fd, r;

	for (;;) {
		if (poll(&p, 1, FIRST_IMAGE_MS) <= 0)
			return err_set(e, "no image from the master within %d s", FIRST_IMAGE_MS / 1000);
		if ((r = wire_receive(w->control, &m, &fd)) == 0)
			return err_set(e, "the master is gone");
		if (r == -1)
			continue;
		if (m.type == WIRE_IMAGE && fd != -1)
			return generation_adopt(w, fd, m.number, e);
		if (m.type == WIRE_LISTEN && fd != -1 && listener_add(w, fd, e) == -1)
			return -1;
	}
}

static int raise_descriptors(struct worker *w, struct err *e)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return err_set(e, "getrlimit: %m");
	w->descriptors = rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	return 0;
}

static int take_heritage(struct worker *w, struct err *e)
{
	static struct heritage h;
	int fd;

	if (heritage_receive(&h, e) == -1)
		return -1;
	w->control = heritage_take(&h, HERITAGE_CONTROL);
	w->log.fd = heritage_take(&h, HERITAGE_LOG);
	w->alive = heritage_take(&h, HERITAGE_ALIVE);
	fd = heritage_take(&h, HERITAGE_LIVE);
	if (w->control == -1 || fd == -1)
		return err_set(e, "no \"%s\" was handed over", w->control == -1 ? HERITAGE_CONTROL : HERITAGE_LIVE);
	if (live_map(fd, &w->live, e) == -1)
		return -1;
	close(fd);
	if ((fd = heritage_take(&h, HERITAGE_SPREAD)) != -1) {
		void *loads = mmap(NULL, LIVE_WORKERS_MAX * sizeof(live_word), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		close(fd);
		if (loads == MAP_FAILED)
			return err_set(e, "array of loads: mmap: %m");
		w->loads = loads;
	}
	if (w->log.fd != -1)
		fcntl(w->log.fd, F_SETFL, O_NONBLOCK);
	while ((fd = heritage_take(&h, HERITAGE_LISTEN)) != -1) {
		if (listener_add(w, fd, e) == -1)
			return -1;
	}
	return 0;
}

/* What it takes to have a client's address as one's own (IP_TRANSPARENT, SO_MARK); else nothing. */
static int drop_rights(const struct image *image, struct err *e)
{
	const struct image_settings *s = image_settings(image);

	return rights_drop(image_text(image, s->user), s->intercept.mode == INTERCEPT_TPROXY ? 1u << CAP_NET_RAW : 0, e);
}

static int start(struct worker *w, const char *index, struct err *e)
{
	struct timespec ts;

	if (take_heritage(w, e) == -1)
		return -1;
	w->index = (uint32_t)strtoul(index, NULL, 10);
	if (w->index >= w->live.workers)
		return err_set(e, "worker %s of %u", index, w->live.workers);
	w->block = &w->live.blocks[w->index];
	clock_gettime(CLOCK_REALTIME, &ts);
	live_set(&w->block->started_ns, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
#ifndef MESHD_SANITIZERS		/* they have last words of their own */
	crash_watch(w);
#endif
	if (raise_descriptors(w, e) == -1 || first_image(w, e) == -1 || listeners_bind(w, e) == -1 ||
	    drop_rights(image_in_use(w), e) == -1)
		return -1;
	kin_open(w);
	w->hot = malloc(HOT_BUFFER_BYTES);
	w->round_robin = calloc(LIVE_SLOTS, sizeof(*w->round_robin));
	w->pools = calloc(POOL_BUCKETS, sizeof(struct pool *));
	w->spare_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (w->hot == NULL || w->round_robin == NULL || w->pools == NULL || w->spare_fd == -1)
		return err_set(e, "%m");
	if (loop_open(&w->loop, e) == -1 || buffers_open(&w->buffers, &w->loop.ring, e) == -1 || loop_enable(&w->loop, e) == -1)
		return -1;
	if (getrandom(&w->random, sizeof(w->random), 0) != sizeof(w->random) || w->random == 0)
		w->random = 1 + w->index;
	blocks_init(&w->tunnels, sizeof(struct conn));
	blocks_init(&w->http_conns, sizeof(struct http_conn));
	blocks_init(&w->links, sizeof(struct http_upstream));
	wheel_init(&w->wheel, w->loop.now_ms);
	overload_init(w);
	tzset();			/* gmtime(3) would open a file for it */
#ifndef MESHD_SANITIZERS		/* they open files and trace themselves */
	if (confine(e) == -1)
		return -1;
#endif
	return 0;
}

/* ---- a turn ---- */

static void run_timers(struct worker *w)
{
	struct timer *t;

	while ((t = wheel_due(&w->wheel, w->loop.now_ms)) != NULL)
		t->fire(t);
}

static void feed_starved(struct worker *w)
{
	struct conn *c = w->starved;

	w->starved = NULL;
	while (c != NULL) {
		struct conn *next = c->next_starved;

		for (unsigned d = 0; d < 2; d++) {
			if (c->flow[d].starved)
				flow_retry(c, d);
		}
		c = next;
	}
}

static void close_all(struct worker *w)
{
	for (struct downstream *d = w->conns; d != NULL; d = d->next)
		d->kind->close(d, END_DRAINED, true);
}

/* For the program that chooses a worker for each connection; what it added meanwhile is in our count, or never came. */
static void tell_load(struct worker *w)
{
	if (w->loads != NULL)
		live_set(&w->loads[w->index], live_get(&w->block->gauge[WORKER_G_connections]));
}

static int sleep_ms(const struct worker *w)
{
	int ms = wheel_sleep_ms(&w->wheel, w->loop.now_ms);

	if (w->listing.next != NULL)
		return 0;
	if (w->listing.fd != -1)
		return 10;		/* the master is to be told of its end, and does not read */
	if (overload_waits(w) && (ms < 0 || ms > 1000))
		ms = 1000;
	if ((w->draining || w->control == -1 || w->accept_again_ms != 0) && (ms < 0 || ms > 100))
		return 100;
	return ms;
}

static void run(struct worker *w)
{
	bool closed = false;

	while (!w->draining || w->conns != NULL || w->listeners != NULL) {
		loop_turn(w, sleep_ms(w));
		run_timers(w);
		feed_starved(w);
		transports_feed(w);
		transports_reap(w);
		streams_reap(w);
		accesslog_flush(w);
		tell_load(w);
		overload_turn_ends(w);
		connections_list_on(w);
		listeners_rested(w);
		control_orphan(w);
		listeners_rested(w);
		if (w->draining && !closed && w->loop.now_ms >= w->drain_end_ms) {
			closed = true;
			close_all(w);
		}
		if (closed && w->loop.now_ms >= w->drain_end_ms + 1000)
			break;
	}
	accesslog_flush(w);
}

int main(int argc, char *argv[])
{
	static _Alignas(OP_ALIGN) struct worker worker;		/* owns operations, whose kind lies in the low bits of its address */
	struct worker *w = &worker;
	struct wire failed = { .type = WIRE_FAILED };
	char who[32];
	struct err e;

	snprintf(who, sizeof(who), "worker %s", argc > 1 ? argv[1] : "?");
	log_open(who);
	if (argc != 2) {
		fprintf(stderr, "meshd-worker is started by meshd\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* Stopping is the master's business: a terminal's ^C, or a kill of the whole group, must not cut off what drains. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	w->control = w->alive = w->log.fd = w->listing.fd = w->kin.fd = -1;
	if (start(w, argv[1], &e) == -1) {
		log_error("%s", e.text);
		snprintf(failed.text, sizeof(failed.text), "%.*s", (int)sizeof(failed.text) - 1, e.text);
		if (w->control != -1)
			wire_send(w->control, &failed, -1);
		return 1;
	}
	control_ready(w);
	listeners_adopt(w);
	control_adopted(w);
	run(w);
	return 0;
}
