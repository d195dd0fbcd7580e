/* Loading and publishing: see reload.h. */
#include "master/reload.h"

#include "common/confrun.h"
#include "common/log.h"
#include "common/program.h"
#include "master/addresses.h"
#include "master/control.h"
#include "master/intercept.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/publish.h"
#include "master/rundir.h"
#include "master/sockets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_LOGGED (256u << 10)	/* bytes of a report that go to the log */

struct reload {
	struct master *m;
	char program[PATH_MAX];
	struct confrun *run;
	struct source fds[2];		/* what confrun waits for, refreshed ahead of each poll */
	struct alarm deadline;
	uint64_t asked;			/* the newest ticket */
	uint64_t answering;		/* the newest one that the load under way answers */
};

/* ---- reports ---- */

static void log_report(int fd, enum log_level level)
{
	char *text = calloc(1, REPORT_LOGGED + 1);
	ssize_t n = text != NULL ? pread(fd, text, REPORT_LOGGED, 0) : 0;
	char *rest = text, *line;

	while (n > 0 && (line = strsep(&rest, "\n")) != NULL) {
		if (*line != '\0')
			log_line(level, "%s", line);
	}
	if (n == (ssize_t)REPORT_LOGGED)
		log_line(level, "(the rest of the report is left out)");
	free(text);
}

/* Our own refusal in the form of meshd-conf's.  -1: no memory for it, the log has it all the same. */
static int make_report(const char *text)
{
	int fd = memfd_create("meshd-report", MFD_CLOEXEC);

	if (fd != -1 && (write(fd, text, strlen(text)) == -1 || write(fd, "\n", 1) == -1 || lseek(fd, 0, SEEK_SET) == -1)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ---- what a reload may not change ---- */

static void refuse_key(struct err *e, const char *file, const char *key)
{
	size_t used = strlen(e->text);

	snprintf(e->text + used, sizeof(e->text) - used, "%s%s: %s: only a restart can change it", used > 0 ? "\n" : "", file,
	    key);
}

static int check_fixed(const struct master *m, const struct image *i, struct err *e)
{
	const struct image_settings *s = image_settings(i);
	const struct fixed *f = &m->fixed;
	const struct image_intercept *new = &s->intercept, *old = &f->intercept;
	const struct {
		const char *key;
		bool same;
	} keys[] = {
		{ "workers", s->workers == f->workers_wanted },
		{ "user", strcmp(image_text(i, s->user), f->user) == 0 },
		{ "agent_user", strcmp(image_text(i, s->agent_user), f->agent_user) == 0 },
		{ "admin_group", strcmp(image_text(i, s->admin_group), f->admin_group) == 0 },
		{ "runtime_dir", strcmp(image_text(i, s->runtime_dir), f->runtime_dir) == 0 },
		{ "intercept", new->configured == old->configured },
		{ "intercept.mode", new->mode == old->mode },
		{ "intercept.apply", new->manual == old->manual },
		{ "intercept.iptables", new->iptables == old->iptables },
		{ "intercept.outbound_port", new->outbound_port == old->outbound_port && new->outbound_last == old->outbound_last },
		{ "intercept.inbound_port", new->inbound_port == old->inbound_port },
		{ "intercept.inbound_sources", new->inbound_sources == old->inbound_sources },
		{ "intercept.tproxy_mark", new->tproxy_mark == old->tproxy_mark },
		{ "intercept.tproxy_route_table", new->tproxy_table == old->tproxy_table },
	};

	e->text[0] = '\0';
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		if (!keys[k].same)
			refuse_key(e, m->options.file, keys[k].key);
	}
	return e->text[0] == '\0' ? 0 : -1;
}

/* ---- publishing ---- */

/* The first image says how many workers there are, and with that how large `live` is: it is looked at before it is
 * filled.  meshd-conf has ended, nobody else has it. */
static int set_up(struct master *m, int image_fd, struct err *e)
{
	struct image i;
	int r;

	if (image_map(image_fd, &i, e) == -1)
		return -1;
	r = image_verify(&i, e);
	if (r == 0)
		r = master_set_up(m, &i, e);
	image_unmap(&i);
	return r;
}

/* The users and groups that it names have to exist. */
static int check_rules(const struct master *m, const struct image *i, struct err *e)
{
	struct rules *r = image_settings(i)->intercept.configured ? master_read_rules(m, i, e) : NULL;

	if (r == NULL)
		return image_settings(i)->intercept.configured ? -1 : 0;
	rules_free(r);
	return 0;
}

/* Everything that can fail, in an order in which each step can be taken back. */
static int publish_draft(struct master *m, struct draft *d, const char *source, uint64_t *number_r, struct err *e)
{
	const struct image *old = generation_image(m->generations);
	const char *path = image_text(&d->image, image_settings(&d->image)->access_log);
	bool rules = old != NULL && rules_differ(old, &d->image), other_log = strcmp(path, m->log_path) != 0;
	struct sent sent;
	int log_file = -1;

	if (old != NULL && check_fixed(m, &d->image, e) == -1)
		return -1;
	if (check_rules(m, &d->image, e) == -1)
		return err_prepend(e, "%s", m->options.file);
	if (other_log && *path != '\0' && (log_file = log_file_open(path, e)) == -1)
		return err_prepend(e, "%s: access_log", m->options.file);
	if (sockets_prepare(m->sockets, &d->image, old != NULL, !m->beside_orphans, e) == -1)
		goto fail;
	children_sent(m, &sent);
	generations_sweep(m->generations, &sent);
	if (generation_publish(m->generations, d, source, &sent, number_r, e) == -1) {
		sockets_abandon(m->sockets);
		goto fail;
	}
	sockets_commit(m->sockets, generation_image(m->generations), *number_r, sent.number);
	if (other_log)
		master_set_log_file(m, log_file, image_text(generation_image(m->generations),
		    image_settings(generation_image(m->generations))->access_log));
	if (rules)
		m->rules_generation = *number_r;
	return 0;
fail:
	if (log_file != -1)
		close(log_file);
	return -1;
}

static void tell_all(struct master *m)
{
	rundir_mark(m, image_settings(generation_image(m->generations))->intercept.on_exit);
	workers_tell(m);
	child_tell(&m->agent);
}

/* Takes image_fd. */
static int publish(struct master *m, int image_fd, bool *unchanged_r, struct err *e)
{
	bool first = m->phase == PHASE_LOADING;
	uint64_t number;
	struct draft d;

	if (first && set_up(m, image_fd, e) == -1) {
		close(image_fd);
		return -1;
	}
	if (generation_fill(m->generations, image_fd, &d, e) == -1)
		return err_prepend(e, "%s", m->options.file);
	*unchanged_r = generation_is(m->generations, &d.image);
	if (*unchanged_r) {
		generation_drop(m->generations, &d);
		return 0;
	}
	if (publish_draft(m, &d, m->options.file, &number, e) == -1) {
		generation_drop(m->generations, &d);
		return -1;
	}
	addresses_refresh(m->addresses);
	log_notice("%s: generation %llu is published", m->options.file, (unsigned long long)number);
	if (first)
		return master_begin(m, e);
	tell_all(m);
	return 0;
}

/* ---- going back ---- */

/* Its slots are given anew, as if it had been compiled again: those that nobody else has held meanwhile are gone. */
static int copy_image(int from, struct err *e)
{
	int to = memfd_create("meshd-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t at = 0;

	if (to == -1 || fstat(from, &st) == -1)
		goto fail;
	while (at < st.st_size) {
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			goto fail;
	}
	return to;
fail:
	err_set(e, "image: %m");
	if (to != -1)
		close(to);
	return -1;
}

int reload_back(struct reload *r, struct err *e)
{
	struct master *m = r->m;
	uint64_t before, bad = generation_number(m->generations), number;
	int fd = generation_previous(m->generations, &before);
	char source[LIVE_SOURCE_MAX];
	struct draft d;

	if (fd == -1)
		return err_set(e, "there is none to go back to");
	snprintf(source, sizeof(source), "%.400s (gone back to generation %llu)", m->options.file, (unsigned long long)before);
	if ((fd = copy_image(fd, e)) == -1 || generation_fill(m->generations, fd, &d, e) == -1)
		return -1;
	if (publish_draft(m, &d, source, &number, e) == -1) {
		generation_drop(m->generations, &d);
		return -1;
	}
	generation_forget_previous(m->generations);		/* it is the bad one now */
	addresses_refresh(m->addresses);
	log_error("workers have died %d times within %d s: generation %llu is given up, generation %llu is generation %llu again",
	    DEATHS_MOST, DEATHS_MS / 1000, (unsigned long long)bad, (unsigned long long)number, (unsigned long long)before);
	notify_ready("running, generation %llu", (unsigned long long)number);
	tell_all(m);
	return 0;
}

/* ---- one load ---- */

static void refused(struct reload *r, int report)
{
	struct master *m = r->m;
	char text[PATH_MAX + 64];

	snprintf(text, sizeof(text), "%s is refused%s", m->options.file,
	    m->phase == PHASE_LOADING ? "" : ": nothing has changed");
	if (m->phase == PHASE_LOADING) {
		master_fail_start(m, text);
		return;
	}
	log_error("%s", text);
	live_add(&m->live.head->reloads_failed, 1);
	control_loaded(m->control, r->answering, false, text, report);
}

static void accepted(struct reload *r, bool unchanged)
{
	struct master *m = r->m;
	char text[PATH_MAX + 64];

	snprintf(text, sizeof(text), unchanged ? "%s is unchanged: generation %llu stays" : "%s is generation %llu now",
	    m->options.file, (unsigned long long)generation_number(m->generations));
	if (unchanged)
		log_notice("%s", text);
	if (m->phase != PHASE_RUNNING)
		return;
	live_add(&m->live.head->reloads_ok, 1);
	rollback_forget(m);
	control_loaded(m->control, r->answering, true, text, -1);
	master_settle(m);
}

/* The log has it with the report. */
static void report_death(struct reload *r)
{
	pid_t pid;
	int signal = confrun_signal(r->run, &pid);
	struct crash *c;

	if (signal == 0)
		return;
	c = crashes_add(&r->m->crashes);
	snprintf(c->who, sizeof(c->who), "meshd-conf");
	c->pid = pid;
	c->by_signal = true;
	c->number = signal;
}

static void finish(struct reload *r)
{
	bool unchanged = false;
	int image, report, status;
	struct err e;

	report_death(r);
	status = confrun_finish(&r->run, &image, &report);

	for (int k = 0; k < 2; k++)
		r->fds[k].fd = -1;
	alarm_unset(&r->m->loop, &r->deadline);
	log_report(report, status == 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR);
	if (status == 0 && publish(r->m, image, &unchanged, &e) == -1) {
		status = -1;
		close(report);
		report = make_report(e.text);
		for (char *rest = e.text, *line; (line = strsep(&rest, "\n")) != NULL; )
			log_error("%s", line);
	}
	if (status == 0)
		accepted(r, unchanged);
	else
		refused(r, report);
	if (report != -1)
		close(report);
	if (r->m->phase == PHASE_RUNNING)
		notify_ready("running, generation %llu", (unsigned long long)generation_number(r->m->generations));
}

static void step(struct reload *r)
{
	if (r->run != NULL && confrun_step(r->run))
		finish(r);
}

static void ready(void *arg, short revents)
{
	(void)revents;
	step(arg);
}

static void late(void *arg)
{
	step(arg);
}

/* False: a load was due, and meshd-conf did not start. */
static bool begin(struct reload *r)
{
	const struct master *m = r->m;
	struct confrun_options o = {
		.program = r->program, .file = m->options.file, .folders = m->options.folders, .nfolders = m->options.nfolders,
		.user = geteuid() == 0 ? CONF_USER : NULL, .print_fd = -1,
	};
	struct err e;
	int report;

	if (r->run != NULL || r->asked == r->answering || (m->phase != PHASE_LOADING && m->phase != PHASE_RUNNING))
		return true;
	r->answering = r->asked;
	if (m->phase == PHASE_RUNNING) {
		notify_reloading();
		master_reopen_log(r->m);	/* whatever becomes of the load: this is how logrotate(8) asks */
	}
	if (confrun_start(&o, &r->run, &e) == 0)
		return true;
	r->run = NULL;
	log_error("%s", e.text);
	report = make_report(e.text);
	refused(r, report);
	if (report != -1)
		close(report);
	if (m->phase == PHASE_RUNNING)
		notify_ready("running, generation %llu", (unsigned long long)generation_number(m->generations));
	return false;
}

/* confrun's descriptors come and go while it runs. */
static void refresh(void *arg)
{
	struct reload *r = arg;
	struct pollfd fds[2] = { { .fd = -1 }, { .fd = -1 } };
	int timeout_ms = CONFRUN_DEADLINE_MS;

	if (!begin(r))
		alarm_set(&r->m->loop, &r->deadline, 0);	/* what that has changed does not wait for an event */
	if (r->run == NULL)
		return;
	confrun_poll(r->run, fds, &timeout_ms);
	for (int k = 0; k < 2; k++) {
		r->fds[k].fd = fds[k].fd;
		r->fds[k].events = fds[k].events;
	}
	alarm_set(&r->m->loop, &r->deadline, timeout_ms < 0 ? CONFRUN_DEADLINE_MS : (uint64_t)timeout_ms);
}

struct reload *reload_open(struct master *m, struct err *e)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	if (program_find("meshd-conf", r->program, e) == -1) {
		free(r);
		return NULL;
	}
	r->m = m;
	r->deadline = (struct alarm){ .ring = late, .arg = r };
	for (int k = 0; k < 2; k++) {
		r->fds[k] = (struct source){ .fd = -1, .ready = ready, .arg = r };
		loop_add(&m->loop, &r->fds[k]);
	}
	m->loop.before = refresh;
	m->loop.before_arg = r;
	return r;
}

uint64_t reload_request(struct reload *r)
{
	return ++r->asked;
}

void reload_cancel(struct reload *r)
{
	int image, report;

	if (r->run == NULL)
		return;
	confrun_finish(&r->run, &image, &report);
	if (image != -1)
		close(image);
	close(report);
	for (int k = 0; k < 2; k++)
		r->fds[k].fd = -1;
	alarm_unset(&r->m->loop, &r->deadline);
}
