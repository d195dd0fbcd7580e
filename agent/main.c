/*
 * meshd-agent: one of the master's children, started with named descriptors (common/heritage.h).  It takes the first
 * image, gives up its rights, then runs one poll loop: messages from the master, lines of the access log, HTTP.
 * Its death costs nobody a request.
 */
#include "agent/admin.h"
#include "agent/agent.h"
#include "agent/confine.h"
#include "agent/text.h"
#include "common/heritage.h"
#include "common/log.h"
#include "common/rights.h"
#include "common/wire.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_IMAGE_MS 10000
#define ORPHAN_EXTRA_MS 2000		/* past the workers' own end: their last lines */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- messages from the master ---- */

static void adopted(struct agent *a)
{
	const struct wire m = { .type = WIRE_ADOPTED, .number = a->generation };

	if (wire_send(a->control, &m, -1) == -1)
		log_warning("generation %llu: the master does not read: %m", (unsigned long long)a->generation);
}

static void pong(const struct agent *a, uint64_t number)
{
	const struct wire m = { .type = WIRE_PONG, .number = number };

	wire_send(a->control, &m, -1);		/* a master that does not read does not miss it */
}

static void end_within(struct agent *a, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	if (!a->ending || end < a->end_ms)
		a->end_ms = end;
	a->ending = true;
}

/* The descriptor stays the caller's, but of WIRE_LOGFILE. */
static void take_message(struct agent *a, const struct wire *m, int fd)
{
	struct err e;

	switch (m->type) {
	case WIRE_IMAGE:
		if (fd == -1 || agent_adopt(a, fd, m->number, &e) == -1)
			log_error("generation %llu: %s", (unsigned long long)m->number, fd == -1 ? "no image" : e.text);
		else
			adopted(a);
		break;
	case WIRE_LOGFILE:
		logs_set_file(&a->logs, fd);
		return;
	case WIRE_DRAIN:
		end_within(a, m->number);
		break;
	case WIRE_PING:
		pong(a, m->number);
		break;
	default:
		log_error("message %u from the master is not known", m->type);
	}
	if (fd != -1)
		close(fd);
}

/* The workers serve on for orphan_timeout and drain then: their lines are written and their counters shown until they
 * have ended. */
static void orphaned(struct agent *a)
{
	const struct image_settings *s = image_settings(&a->image);

	log_warning("the master is gone: ending with the workers, in %u s at the latest",
	    (s->orphan_timeout_ms + s->drain_time_ms + ORPHAN_EXTRA_MS) / 1000);
	a->orphan_ns = text_now_ns();
	end_within(a, (uint64_t)s->orphan_timeout_ms + s->drain_time_ms + ORPHAN_EXTRA_MS);
}

static void control_step(struct agent *a)
{
	struct wire m;
	int fd, r;

	while ((r = wire_receive(a->control, &m, &fd)) == 1)
		take_message(a, &m, fd);
	if (r == -1 && (errno == EAGAIN || errno == EBADMSG))
		return;
	close(a->control);
	a->control = -1;
	if (!a->ending)
		orphaned(a);
}

/* ---- start ---- */

static int first_image(struct agent *a, struct err *e)
{
	struct pollfd p = { .fd = a->control, .events = POLLIN };
	struct wire m;
	int fd, r;

	while (a->image.head == NULL) {
		if (poll(&p, 1, FIRST_IMAGE_MS) <= 0)
			return err_set(e, "no image from the master within %d s", FIRST_IMAGE_MS / 1000);
		if ((r = wire_receive(a->control, &m, &fd)) == 0)
			return err_set(e, "the master is gone");
		if (r == -1)
			continue;
		if (m.type != WIRE_IMAGE) {
			take_message(a, &m, fd);
			continue;
		}
		r = fd == -1 ? err_set(e, "no image") : agent_adopt(a, fd, m.number, e);
		if (fd != -1)
			close(fd);
		if (r == -1)
			return -1;
	}
	return 0;
}

static int take_heritage(struct agent *a, int *admin_r, struct err *e)
{
	static struct heritage h;
	int fd;

	if (heritage_receive(&h, e) == -1)
		return -1;
	a->control = heritage_take(&h, HERITAGE_CONTROL);
	*admin_r = heritage_take(&h, HERITAGE_ADMIN);
	fd = heritage_take(&h, HERITAGE_LIVE);
	if (a->control == -1 || *admin_r == -1 || fd == -1)
		return err_set(e, "\"%s\", \"%s\" and \"%s\" have to be handed over", HERITAGE_CONTROL, HERITAGE_ADMIN,
		    HERITAGE_LIVE);
	if (live_map(fd, &a->live, e) == -1)
		return -1;
	close(fd);
	while ((fd = heritage_take(&h, HERITAGE_LOG)) != -1) {
		if (logs_add_pipe(&a->logs, fd) == -1)
			return err_set(e, "log pipe: %m");
	}
	logs_set_file(&a->logs, heritage_take(&h, HERITAGE_LOGFILE));
	return 0;
}

static int start(struct agent *a, struct admin **admin_r, struct err *e)
{
	int admin;

	a->master = getppid();
	if (take_heritage(a, &admin, e) == -1 || first_image(a, e) == -1 ||
	    rights_drop(image_text(&a->image, image_settings(&a->image)->agent_user), 0, e) == -1 ||
	    admin_open(a, admin, admin_r, e) == -1)
		return -1;
	/* Both would open a file when they are first needed: the zone of gmtime(3), the seed of jansson's tables. */
	tzset();
	json_object_seed(0);
#ifndef MESHD_SANITIZERS			/* they open files and trace themselves */
	if (confine(e) == -1)
		return -1;
#endif
	adopted(a);
	return 0;
}

/* ---- the loop ---- */

static int sleep_ms(const struct agent *a, const struct admin *admin)
{
	int ms = admin_timeout_ms(admin);
	uint64_t now, left;

	if (!a->ending)
		return ms;
	now = now_ms();
	left = a->end_ms > now ? a->end_ms - now : 0;
	return ms == -1 || left < (uint64_t)ms ? (int)(left > 60000 ? 60000 : left) : ms;
}

static bool is_over(const struct agent *a)
{
	return a->ending && (now_ms() >= a->end_ms || logs_dry(&a->logs));
}

static void run(struct agent *a, struct admin *admin)
{
	struct pollfd fds[2 + LIVE_WORKERS_MAX];

	while (!is_over(a)) {
		fds[0] = (struct pollfd){ .fd = a->control, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = admin_fd(admin), .events = POLLIN };
		logs_poll(&a->logs, fds + 2);
		if (poll(fds, 2 + a->logs.npipes, sleep_ms(a, admin)) == -1 && errno != EINTR) {
			log_error("poll: %m");
			return;
		}
		if (fds[0].revents != 0)
			control_step(a);
		logs_step(&a->logs, fds + 2, now_ms());
		admin_step(admin);
	}
}

int main(int argc, char *argv[])
{
	static struct agent a = { .control = -1 };
	struct wire failed = { .type = WIRE_FAILED };
	struct admin *admin = NULL;
	struct err e;

	log_open("agent");
	if (argc > 2) {
		fprintf(stderr, "%s is started by meshd\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a log at the limit of its size is an error of write(2), not the end */
	signal(SIGHUP, SIG_IGN);
	/* Stopping is the master's business: a signal to the whole group must not cost the log its last lines. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	logs_init(&a.logs);
	if (start(&a, &admin, &e) == -1) {
		log_error("%s", e.text);
		snprintf(failed.text, sizeof(failed.text), "%.*s", (int)sizeof(failed.text) - 1, e.text);
		if (a.control != -1)
			wire_send(a.control, &failed, -1);
		return 1;
	}
	run(&a, admin);
	admin_close(&admin);
	logs_close(&a.logs);
	return 0;
}
