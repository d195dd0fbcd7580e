/* From the first configuration to running: see master.h. */
#include "master/master.h"

#include "common/control.h"
#include "common/log.h"
#include "common/program.h"
#include "master/addresses.h"
#include "master/captures.h"
#include "master/control.h"
#include "master/cpus.h"
#include "master/intercept.h"
#include "master/listing.h"
#include "master/notify.h"
#include "master/publish.h"
#include "master/reload.h"
#include "master/rundir.h"
#include "master/sockets.h"
#include "master/sole.h"
#include "master/spread.h"
#include "master/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES    (1 << 20)
#define START_MS      15000		/* for all workers to adopt generation 1 */
#define TICK_MS	      500

/* ---- the access log ---- */

int log_file_open(const char *path, struct err *e)
{
	/* O_NONBLOCK: a pipe without a reader is an error, not a wait */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd == -1)
		err_set(e, "%s: %m", path);
	return fd;
}

void master_set_log_file(struct master *m, int fd, const char *path)
{
	if (m->log_file != -1)
		close(m->log_file);
	m->log_file = fd;
	snprintf(m->log_path, sizeof(m->log_path), "%s", path);
	m->agent.log_file_wanted = true;
	child_tell(&m->agent);
}

void master_reopen_log(struct master *m)
{
	char path[PATH_MAX];
	struct err e;
	int fd;

	if (m->log_path[0] == '\0')
		return;
	snprintf(path, sizeof(path), "%s", m->log_path);
	if ((fd = log_file_open(path, &e)) == -1)
		log_error("access_log: %s: the old file stays", e.text);
	else
		master_set_log_file(m, fd, path);
}

/* ---- making what hangs on the first configuration ---- */

static int make_pipe(int fds[2], struct err *e)
{
	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_set(e, "log pipe: %m");
	/* refused where pipe-max-size is smaller; then the log drops a little earlier */
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

static int make_children(struct master *m, struct err *e)
{
	if (program_find("meshd-worker", m->worker_program, e) == -1 ||
	    program_find("meshd-agent", m->agent_program, e) == -1)
		return -1;
	for (uint32_t w = 0; w < m->workers; w++) {
		if (make_pipe(m->log_pipe[w], e) == -1)
			return -1;
		child_init(&m->worker[w], m, false, w);
	}
	return 0;
}

/* Done without where it is not allowed. */
static void make_spread(struct master *m)
{
	struct err e;

	if (m->workers > 1 && spread_open(m->workers, &m->spread, &e) == -1)
		log_notice("connections are spread over the workers by the kernel's hash: %s", e.text);
	live_set(&m->live.head->spread, m->spread != NULL);
}

static int make_live(struct master *m, struct err *e)
{
	struct timespec ts;

	if (live_create(m->workers, &m->live, &m->live_fd, e) == -1)
		return -1;
	clock_gettime(CLOCK_REALTIME, &ts);
	live_set(&m->live.head->born_ns, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	m->generations = generations_open(&m->live, e);
	make_spread(m);
	m->sockets = sockets_open(m->workers, m->spread, e);
	return m->generations != NULL && m->sockets != NULL ? 0 : -1;
}

static int make_sockets(struct master *m, struct err *e)
{
	int fd;

	if ((m->admin_fd = rundir_listen(m, ADMIN_SOCKET, SOCK_STREAM, e)) == -1 ||
	    (fd = rundir_listen(m, CONTROL_SOCKET, SOCK_SEQPACKET, e)) == -1)
		return -1;
	return (m->control = control_open(m, fd, e)) != NULL ? 0 : -1;
}

int master_set_up(struct master *m, const struct image *i, struct err *e)
{
	uint32_t wanted = image_settings(i)->workers;
	struct err why;

	if (fixed_read(&m->fixed, i, &why) == -1)
		return err_set(e, "%s: %s", m->options.file, why.text);
	if (rundir_open(m, e) == -1 || (m->fixed.intercept.mode != INTERCEPT_NONE && sole_claim(&m->sole_fd, e) == -1))
		return -1;
	m->workers = wanted != 0 && wanted <= LIVE_WORKERS_MAX ? wanted : cpus_usable(LIVE_WORKERS_MAX);
	if (make_live(m, e) == -1 || make_children(m, e) == -1 || make_sockets(m, e) == -1 ||
	    (m->listing = listing_open(m, e)) == NULL || (m->watchdog = watchdog_open(m, e)) == NULL ||
	    (m->addresses = addresses_open(m, e)) == NULL || (m->intercept = captures_open(m, e)) == NULL)
		return -1;
	return 0;
}

int master_begin(struct master *m, struct err *e)
{
	for (uint32_t w = 0; w < m->workers; w++) {
		if (child_start(&m->worker[w], e) == -1)
			return -1;
	}
	m->phase = PHASE_ADOPTING;
	alarm_set(&m->loop, &m->limit, START_MS);
	return 0;
}

/* ---- start ---- */

void master_run_now(struct master *m)
{
	m->phase = PHASE_RUNNING;
	m->rules_left = false;
	alarm_unset(&m->loop, &m->limit);
	rundir_mark(m, image_settings(generation_image(m->generations))->intercept.on_exit);
	log_notice("ready: %u worker%s%s", m->workers, m->workers == 1 ? "" : "s",
	    intercept_is_applied(m->intercept) ? ", interception rules are in" : "");
	notify_ready("running, generation %llu", (unsigned long long)generation_number(m->generations));
}

static void workers_are_ready(struct master *m)
{
	struct err e;

	m->phase = PHASE_RULES;
	sockets_spread(m->sockets);
	alarm_unset(&m->loop, &m->limit);	/* iptables has a deadline of its own */
	if (child_start(&m->agent, &e) == -1) {
		master_fail_start(m, e.text);
		return;
	}
	master_first_rules(m);
}

uint64_t master_slowest(const struct master *m)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t w = 0; w < m->workers; w++) {
		uint64_t n = child_adopted(&m->worker[w]);

		if (n < least)
			least = n;
	}
	return least;
}

void master_name_slow(const struct master *m, uint64_t number, char *text_r, size_t size)
{
	size_t used = 0;

	text_r[0] = '\0';
	for (uint32_t w = 0; w < m->workers && used < size; w++) {
		const struct child *c = &m->worker[w];

		if (child_adopted(c) < number)
			used += (size_t)snprintf(text_r + used, size - used, "%s%s%s", used > 0 ? ", " : "", c->name,
			    c->pid == 0 ? " (it does not run)" : "");
	}
}

void master_settle(struct master *m)
{
	uint64_t slowest = master_slowest(m);
	struct sent sent;
	bool waits;

	if (master_stopping(m))
		return;
	sockets_settle(m->sockets, slowest);
	if (m->rules_generation != 0 && slowest >= m->rules_generation && !m->rules_running)
		master_change_rules(m);
	if (m->phase == PHASE_ADOPTING && slowest > 0)
		workers_are_ready(m);
	control_settle(m->control);
	children_sent(m, &sent);
	waits = generations_sweep(m->generations, &sent);
	if (waits || slowest < generation_number(m->generations))
		alarm_set(&m->loop, &m->tick, TICK_MS);
}

static void tick(void *arg)
{
	master_settle(arg);
}

/* The time of this phase is up. */
static void limit_reached(void *arg)
{
	struct master *m = arg;
	char who[512];

	if (m->phase != PHASE_ADOPTING) {
		master_stop_late(m);
		return;
	}
	master_name_slow(m, 1, who, sizeof(who));
	snprintf(who + strlen(who), sizeof(who) - strlen(who), ": not ready within %d s", START_MS / 1000);
	master_fail_start(m, who);
}

/* ---- signals ---- */

static void take_signal(struct master *m, uint32_t number)
{
	switch (number) {
	case SIGHUP:
		if (master_stopping(m))
			log_notice("stopping: the configuration is not loaded again");
		else
			reload_request(m->reload);
		break;
	case SIGUSR1:
		master_reopen_log(m);
		break;
	default:
		if (master_stopping(m))
			master_stop_at_once(m);
		else
			master_stop(m);
	}
}

static void signals_ready(void *arg, short revents)
{
	struct master *m = arg;
	struct signalfd_siginfo i;

	(void)revents;
	while (read(m->signals.fd, &i, sizeof(i)) == sizeof(i))
		take_signal(m, i.ssi_signo);
}

static int open_signals(struct master *m, struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd == -1)
		return err_set(e, "signalfd: %m");
	m->signals = (struct source){ .fd = fd, .events = POLLIN, .ready = signals_ready, .arg = m };
	loop_add(&m->loop, &m->signals);
	return 0;
}

int master_run(struct master *m)
{
	struct err e;

	loop_init(&m->loop);
	m->sole_fd = m->lock_fd = m->alive_fd = m->live_fd = m->admin_fd = m->log_file = -1;
	m->tick = (struct alarm){ .ring = tick, .arg = m };
	m->limit = (struct alarm){ .ring = limit_reached, .arg = m };
	child_init(&m->agent, m, true, 0);
	if (open_signals(m, &e) == -1 || (m->reload = reload_open(m, &e)) == NULL) {
		log_error("%s", e.text);
		return 1;
	}
	reload_request(m->reload);
	while (m->phase != PHASE_OVER)
		loop_turn(&m->loop);
	rundir_close(m);
	if (m->exit_status == 0)
		log_notice("stopped");
	return m->exit_status;
}
