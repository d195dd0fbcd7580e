/* Starting and watching children: see supervise.h. */
#include "master/supervise.h"

#include "common/heritage.h"
#include "common/log.h"
#include "common/wire.h"
#include "master/listing.h"
#include "master/master.h"
#include "master/publish.h"
#include "master/rollback.h"
#include "master/sockets.h"
#include "master/spread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGES_PER_TURN 32
#define MESSAGES_OF_THE_DEAD 256	/* more than its socket's buffer holds */
#define RING_MOST_MS 50			/* a successor is there within 100 */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MOST_MS  30000

static void ended(void *arg, short revents);
static void take_messages(void *arg, short revents);
static void start_again(void *arg);

void child_init(struct child *c, struct master *m, bool is_agent, uint32_t index)
{
	*c = (struct child){ .m = m, .is_agent = is_agent, .index = index, .pidfd = -1, .control = -1 };
	if (is_agent)
		snprintf(c->name, sizeof(c->name), "agent");
	else
		snprintf(c->name, sizeof(c->name), "worker %u", index);
	c->end = (struct source){ .fd = -1, .events = POLLIN, .ready = ended, .arg = c };
	c->messages = (struct source){ .fd = -1, .events = POLLIN, .ready = take_messages, .arg = c };
	c->again = (struct alarm){ .ring = start_again, .arg = c };
}

/* ---- start ---- */

static int give_worker(struct child *c, struct heritage_gift *gifts, int n)
{
	struct master *m = c->m;

	gifts[n++] = (struct heritage_gift){ HERITAGE_LOG, m->log_pipe[c->index][1] };
	gifts[n++] = (struct heritage_gift){ HERITAGE_ALIVE, m->alive_fd };
	if (m->spread != NULL)
		gifts[n++] = (struct heritage_gift){ HERITAGE_SPREAD, spread_fd(m->spread) };
	return n + sockets_gifts(m->sockets, c->index, gifts + n, HERITAGE_MAX - n);
}

static int give_agent(struct child *c, struct heritage_gift *gifts, int n)
{
	struct master *m = c->m;

	gifts[n++] = (struct heritage_gift){ HERITAGE_ADMIN, m->admin_fd };
	for (uint32_t w = 0; w < m->workers; w++)
		gifts[n++] = (struct heritage_gift){ HERITAGE_LOG, m->log_pipe[w][0] };
	if (m->log_file != -1)
		gifts[n++] = (struct heritage_gift){ HERITAGE_LOGFILE, m->log_file };
	return n;
}

static int spawn(struct child *c, int theirs, struct err *e)
{
	struct heritage_gift gifts[HERITAGE_MAX];
	char index[16];
	char *argv[] = { (char *)(uintptr_t)(c->is_agent ? "meshd-agent" : "meshd-worker"), index, NULL };
	struct heritage_spawn s = {
		.path = c->is_agent ? c->m->agent_program : c->m->worker_program, .argv = argv, .gifts = gifts,
	};
	int n = 0;

	snprintf(index, sizeof(index), "%u", c->index);
	gifts[n++] = (struct heritage_gift){ HERITAGE_CONTROL, theirs };
	gifts[n++] = (struct heritage_gift){ HERITAGE_LIVE, c->m->live_fd };
	s.ngifts = c->is_agent ? give_agent(c, gifts, n) : give_worker(c, gifts, n);
	return heritage_spawn(&s, &c->pid, &c->pidfd, e);
}

int child_start(struct child *c, struct err *e)
{
	int pair[2], r;

	if (wire_pair(pair, e) == -1)
		return -1;
	r = spawn(c, pair[1], e);
	close(pair[1]);
	if (r == -1) {
		close(pair[0]);
		c->pid = 0;
		return -1;
	}
	c->control = c->messages.fd = pair[0];
	c->end.fd = c->pidfd;
	c->sent = 0;
	c->adopted = c->drain_sent = c->killed = c->log_file_wanted = false;
	c->failed[0] = c->why[0] = '\0';
	c->unanswered = 0;
	if (!c->is_agent)
		live_set(&c->m->live.blocks[c->index].pid, (uint64_t)c->pid);
	/* LOOP_SOURCES has room for all children; clients are fewer than the rest */
	loop_add(&c->m->loop, &c->end);
	loop_add(&c->m->loop, &c->messages);
	child_tell(c);
	return 0;
}

/* ---- telling ---- */

static int tell_sockets(struct child *c)
{
	const struct wire m = { .type = WIRE_LISTEN };
	int fd;

	while (!c->is_agent && (fd = sockets_unsent(c->m->sockets, c->index)) != -1) {
		if (wire_send(c->control, &m, fd) == -1)
			return -1;
		sockets_mark_sent(c->m->sockets, c->index, fd);
	}
	return 0;
}

static int tell_image(struct child *c)
{
	const struct wire m = { .type = WIRE_IMAGE, .number = generation_number(c->m->generations) };

	if (c->sent == m.number)
		return 0;
	if (wire_send(c->control, &m, generation_fd(c->m->generations)) == -1)
		return -1;
	c->sent = m.number;
	if (!c->is_agent)
		live_set(&c->m->live.blocks[c->index].want, m.number);
	return 0;
}

static int tell_log_file(struct child *c)
{
	const struct wire m = { .type = WIRE_LOGFILE };

	if (!c->log_file_wanted)
		return 0;
	if (wire_send(c->control, &m, c->m->log_file) == -1)
		return -1;
	c->log_file_wanted = false;
	return 0;
}

static int tell_drain(struct child *c)
{
	const struct wire m = { .type = WIRE_DRAIN, .number = c->drain_ms };

	if (!c->drain_wanted || c->drain_sent)
		return 0;
	if (wire_send(c->control, &m, -1) == -1)
		return -1;
	c->drain_sent = true;
	return 0;
}

static int tell_list(struct child *c)
{
	struct wire m = { .type = WIRE_LIST };
	int fd;

	if (c->is_agent || (fd = listing_unsent(c->m->listing, c->index, &m.number)) == -1)
		return 0;
	if (wire_send(c->control, &m, fd) == -1)
		return -1;
	listing_mark_sent(c->m->listing, c->index);
	return 0;
}

void child_tell(struct child *c)
{
	if (c->control == -1)
		return;
	/* what failed is tried again when the child has read some */
	if (tell_sockets(c) == -1 || tell_image(c) == -1 || tell_log_file(c) == -1 ||
	    tell_drain(c) == -1 || tell_list(c) == -1)
		c->messages.events = POLLIN | POLLOUT;
	else
		c->messages.events = POLLIN;
}

void workers_tell(struct master *m)
{
	for (uint32_t w = 0; w < m->workers; w++)
		child_tell(&m->worker[w]);
}

void child_drain(struct child *c, uint32_t ms)
{
	c->drain_wanted = true;
	c->drain_ms = ms;
	child_tell(c);
}

void child_kill(struct child *c)
{
	if (c->pid == 0)
		return;
	c->killed = true;
	kill(c->pid, SIGKILL);		/* not reaped yet, so still this very process */
}

/* ---- being told ---- */

static void take_listening(struct child *c, int fd)
{
	static struct log_limit limit;
	struct err e;

	/* Before it adopts, a worker is root and our own code; afterwards nothing it sends becomes a listening socket. */
	if (c->is_agent || c->adopted || fd == -1) {
		log_limited(&limit, c->m->loop.now_ms, LOG_LEVEL_WARNING, "%s: a listening socket that nobody expects", c->name);
		if (fd != -1)
			close(fd);
		return;
	}
	if (sockets_keep(c->m->sockets, c->index, generation_image(c->m->generations), fd, &e) == -1)
		log_warning("%s: listening socket: %s", c->name, e.text);
}

static void take_message(struct child *c, const struct wire *w, int fd)
{
	static struct log_limit limit;

	if (w->type == WIRE_LISTENING) {
		take_listening(c, fd);
		return;
	}
	if (fd != -1)
		close(fd);
	if (w->type == WIRE_ADOPTED)
		c->adopted = true;
	else if (w->type == WIRE_PONG)
		c->unanswered = c->pinged && w->number == c->ping ? 0 : c->unanswered;
	else if (w->type == WIRE_LISTED && !c->is_agent)
		listing_answered(c->m->listing, c->index, w->number);
	else if (w->type == WIRE_FAILED)
		snprintf(c->failed, sizeof(c->failed), "%s", w->text);
	else
		log_limited(&limit, c->m->loop.now_ms, LOG_LEVEL_WARNING, "%s: a message of unknown type %u", c->name, w->type);
}

static void hang_up(struct child *c)
{
	loop_remove(&c->m->loop, &c->messages);
	c->messages.fd = -1;
	if (c->control != -1)
		close(c->control);
	c->control = -1;
}

/* At most so many in a turn: a child that floods us keeps nobody else waiting. */
static void read_messages(struct child *c, unsigned most)
{
	static struct log_limit limit;
	struct wire w;
	int fd, r;

	while (most-- > 0 && c->control != -1) {
		r = wire_receive(c->control, &w, &fd);
		if (r == 1) {
			take_message(c, &w, fd);
		} else if (r == -1 && errno == EBADMSG) {
			log_limited(&limit, c->m->loop.now_ms, LOG_LEVEL_WARNING, "%s: not a message of ours", c->name);
		} else if (r == -1 && errno == EAGAIN) {
			return;
		} else {
			hang_up(c);
		}
	}
}

static void take_messages(void *arg, short revents)
{
	struct child *c = arg;

	if (revents & POLLOUT)
		child_tell(c);
	read_messages(c, MESSAGES_PER_TURN);
	/* One that cannot be talked to is of no use; if it is on its way out, this changes nothing. */
	if (c->control == -1 && c->pid != 0)
		kill(c->pid, SIGKILL);
	master_settle(c->m);
}

/* ---- death ---- */

/* Not one that was asked to end, and did. */
static bool is_unexpected(const struct child *c, const siginfo_t *i)
{
	return !c->killed && !(c->drain_sent && i->si_code == CLD_EXITED && i->si_status == 0);
}

static uint64_t program_bytes(const struct child *c)
{
	struct stat st;

	return stat(c->m->worker_program, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void report_death(struct child *c, const siginfo_t *i)
{
	struct crash *r = crashes_add(&c->m->crashes);
	char text[512];

	snprintf(r->who, sizeof(r->who), "%s", c->name);
	r->pid = c->pid;
	r->by_signal = i->si_code != CLD_EXITED;
	r->number = i->si_status;
	snprintf(r->note, sizeof(r->note), "%.*s", (int)sizeof(r->note) - 1, c->why[0] != '\0' ? c->why : c->failed);
	if (!c->is_agent)
		crash_take_words(r, &c->m->live.blocks[c->index].crash, program_bytes(c));
	crash_print(r, text, sizeof(text));
	log_warning("%s", text);
}

/* How long to wait before it is started again: nought, until it has died too often too fast. */
static uint64_t pause_after_death(struct child *c, uint64_t now_ms)
{
	uint64_t span_ms = CHILD_DEATHS_MS + c->pause_ms * CHILD_DEATHS;

	c->deaths_ms[c->ndeaths++ % CHILD_DEATHS] = now_ms;
	/* the next place in the ring is the oldest of the last ten */
	if (c->ndeaths < CHILD_DEATHS || now_ms - c->deaths_ms[c->ndeaths % CHILD_DEATHS] >= span_ms)
		c->pause_ms = 0;
	else if (c->pause_ms == 0)
		c->pause_ms = PAUSE_FIRST_MS;
	else
		c->pause_ms = c->pause_ms * 2 < PAUSE_MOST_MS ? c->pause_ms * 2 : PAUSE_MOST_MS;
	return c->pause_ms;
}

/*
 * The kernel gives a ring back some moments after its process: until then the dead worker's connections are open, and
 * a place in a limit that was given away would be one too many.  Its end of the control socket, which the ring held as
 * it held them, goes with them.
 */
static void wait_for_its_ring(const struct child *c)
{
	struct pollfd hung_up = { .fd = c->control };

	if (!c->is_agent && c->control != -1)
		poll(&hung_up, 1, RING_MOST_MS);
}

static void forget(struct child *c)
{
	struct master *m = c->m;

	wait_for_its_ring(c);
	hang_up(c);
	loop_remove(&m->loop, &c->end);
	close(c->pidfd);
	c->pidfd = c->end.fd = -1;
	c->pid = 0;
	c->sent = 0;
	if (c->is_agent)
		return;
	if (m->spread != NULL)
		spread_forget_worker(m->spread, c->index);
	generations_forget_worker(m->generations, c->index);
	listing_forget_worker(m->listing, c->index);
	live_add(&m->live.blocks[c->index].counter[WORKER_C_deaths], 1);
}

static void start_again(void *arg)
{
	struct child *c = arg;
	struct err e;

	if (master_stopping(c->m) || c->pid != 0)
		return;
	if (child_start(c, &e) == 0)
		return;
	log_error("%s: %s; tried again in %u s", c->name, e.text, PAUSE_FIRST_MS / 1000);
	alarm_set(&c->m->loop, &c->again, PAUSE_FIRST_MS);
}

static void revive(struct child *c)
{
	uint64_t pause = pause_after_death(c, c->m->loop.now_ms);

	/* Workers that go on dying are rollback.c's business; without one nobody is served. */
	if (pause == 0 || !c->is_agent) {
		start_again(c);
		return;
	}
	log_error("%s has died %u times within %u s: started again in %llu s", c->name, CHILD_DEATHS, CHILD_DEATHS_MS / 1000,
	    (unsigned long long)pause / 1000);
	alarm_set(&c->m->loop, &c->again, pause);
}

static void ended(void *arg, short revents)
{
	struct child *c = arg;
	struct master *m = c->m;
	siginfo_t i = { 0 };
	bool unexpected;
	char why[320];

	(void)revents;
	if (waitid(P_PIDFD, (id_t)c->pidfd, &i, WEXITED | WNOHANG) == -1 || i.si_pid == 0)
		return;
	read_messages(c, MESSAGES_OF_THE_DEAD);
	unexpected = is_unexpected(c, &i);
	if (unexpected)
		report_death(c, &i);
	forget(c);
	if (unexpected && !c->is_agent)
		rollback_count(m, i.si_code == CLD_KILLED && i.si_status == SIGKILL);
	if (m->phase < PHASE_RUNNING && !c->is_agent && (c->failed[0] != '\0' || c->ndeaths + 1 >= CHILD_DEATHS)) {
		snprintf(why, sizeof(why), "%s: %s", c->name, c->failed[0] != '\0' ? c->failed : "dies as often as it is started");
		master_fail_start(m, why);
	} else if (!master_stopping(m)) {
		revive(c);
	}
	master_child_ended(m);
}

/* ---- questions ---- */

uint64_t child_adopted(const struct child *c)
{
	uint64_t n;

	if (c->pid == 0)
		return 0;
	n = atomic_load_explicit(&c->m->live.blocks[c->index].adopted, memory_order_acquire);
	return n < c->sent ? n : c->sent;
}

void children_sent(const struct master *m, struct sent *sent_r)
{
	*sent_r = (struct sent){ 0 };
	for (uint32_t w = 0; w < m->workers; w++)
		sent_r->number[w] = m->worker[w].sent;
}

unsigned workers_running(const struct master *m)
{
	unsigned n = 0;

	for (uint32_t w = 0; w < m->workers; w++)
		n += m->worker[w].pid != 0;
	return n;
}
