/* Running iptables-save and iptables-restore: see intercept.h. */
#include "master/intercept.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_MS     10000		/* iptables waits 5 s for its lock */
#define OUTPUT_MAX   (64 << 20)
#define FILE_MAX     (OUTPUT_MAX + (1 << 16))	/* what one that prints on and on can fill of our memory */

enum job_kind { JOB_APPLY, JOB_RELEASE, JOB_CLEAR };

struct job {
	enum job_kind kind;
	bool undoing;			/* an apply that has failed takes out what it had put in */
	bool retried;			/* somebody changed the table between save and restore */
	struct rules rules;		/* its ranges are this job's */
	struct err error;		/* of the apply, while undoing */
	intercept_done *done;
	void *arg;
	struct job *next;
};

static const struct family {
	int family;
	const char *save, *restore, *there;	/* `there`: exists where the kernel has the family */
} families[] = {
	{ AF_INET, "iptables-save", "iptables-restore", "/proc/net/dev" },
	{ AF_INET6, "ip6tables-save", "ip6tables-restore", "/proc/net/if_inet6" },
};
#define NFAMILIES (sizeof(families) / sizeof(families[0]))

struct intercept {
	struct loop *loop;
	struct job *jobs;		/* the first one runs */
	size_t family;			/* of the first job */
	bool restoring;			/* else: saving */
	pid_t pid;
	int pidfd, in_fd, out_fd, err_fd;
	struct source end;
	struct alarm deadline;
	bool late;
	bool applied, present;
};

static void child_ended(void *arg, short revents);
static void child_is_late(void *arg);
static void next_step(struct intercept *in);

struct intercept *intercept_open(struct loop *l, struct err *e)
{
	struct intercept *in = calloc(1, sizeof(*in));

	if (in == NULL) {
		err_set(e, "interception: out of memory");
		return NULL;
	}
	in->loop = l;
	in->pidfd = in->in_fd = in->out_fd = in->err_fd = -1;
	in->end = (struct source){ .fd = -1, .events = POLLIN, .ready = child_ended, .arg = in };
	in->deadline = (struct alarm){ .ring = child_is_late, .arg = in };
	return in;
}

void intercept_close(struct intercept *in)
{
	free(in);
}

bool intercept_is_applied(const struct intercept *in)
{
	return in->applied;
}

bool intercept_is_present(const struct intercept *in)
{
	return in->present || in->jobs != NULL;
}

/* ---- one child ---- */

static int find_program(const char *name, char *path_r, size_t size)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path_r, size, "%s/%s", folders[i], name);
		if (access(path_r, X_OK) == 0)
			return 0;
	}
	errno = ENOENT;
	return -1;
}

static void close_fds(struct intercept *in)
{
	int *fds[] = { &in->pidfd, &in->in_fd, &in->out_fd, &in->err_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] != -1)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* The child's streams are memfds: no pipe that somebody must keep reading. */
static int open_fds(struct intercept *in, const char *input)
{
	size_t n = strlen(input);

	in->in_fd = memfd_create("rules", MFD_CLOEXEC);
	in->out_fd = memfd_create("rules-out", MFD_CLOEXEC);
	in->err_fd = memfd_create("rules-err", MFD_CLOEXEC);
	if (in->in_fd == -1 || in->out_fd == -1 || in->err_fd == -1)
		return -1;
	if (write(in->in_fd, input, n) != (ssize_t)n || lseek(in->in_fd, 0, SEEK_SET) == -1)
		return -1;
	return 0;
}

static int spawn(struct intercept *in, const char *path, const char *const argv[])
{
	const struct rlimit most = { .rlim_cur = FILE_MAX, .rlim_max = FILE_MAX };
	const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	posix_spawn_file_actions_t fds;
	posix_spawnattr_t attr;
	sigset_t stops, all;
	int r;

	/* A terminal's second ^C, or a kill of the whole group, must not end what takes the rules out. */
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGQUIT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fds);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&fds, in->in_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&fds, in->out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fds, in->err_fd, STDERR_FILENO);
	posix_spawnattr_setsigmask(&attr, &stops);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(&in->pid, path, &fds, &attr, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	posix_spawn_file_actions_destroy(&fds);
	posix_spawnattr_destroy(&attr);
	/* It runs already: what it writes from now on counts all the same.  Refused where the limit is lower yet. */
	if (r == 0)
		prlimit(in->pid, RLIMIT_FSIZE, &most, NULL);
	errno = r;
	return r == 0 ? 0 : -1;
}

static int start_child(struct intercept *in, const char *name, const char *const argv[], const char *input, struct err *e)
{
	char path[64];
	int saved;

	if (find_program(name, path, sizeof(path)) == -1) {
		err_set(e, "%s was not found: install it (apt-get install iptables)", name);
		errno = ENOENT;
		return -1;
	}
	if (open_fds(in, input) == -1 || spawn(in, path, argv) == -1)
		goto fail;
	in->pidfd = (int)syscall(SYS_pidfd_open, in->pid, 0);
	in->end.fd = in->pidfd;
	if (in->pidfd == -1 || !loop_add(in->loop, &in->end)) {
		saved = errno;
		kill(in->pid, SIGKILL);
		waitpid(in->pid, NULL, 0);
		errno = saved;
		goto fail;
	}
	in->late = false;
	alarm_set(in->loop, &in->deadline, CHILD_MS);
	return 0;
fail:
	saved = errno;
	close_fds(in);
	err_set(e, "%s: %s", name, strerror(saved));
	errno = EIO;
	return -1;
}

static char *read_memfd(int fd)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) == -1 || st.st_size > OUTPUT_MAX || (text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n != st.st_size) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* ---- jobs ---- */

static void end_job(struct intercept *in, bool ok, const struct err *e)
{
	struct job *j = in->jobs;
	bool more;

	in->jobs = j->next;
	in->family = 0;
	more = in->jobs != NULL;
	if (ok)
		in->applied = j->kind == JOB_APPLY;
	if (ok && j->kind != JOB_RELEASE)
		in->present = j->kind == JOB_APPLY;
	free((void *)(uintptr_t)j->rules.exclude_inbound);
	j->done(j->arg, ok, e);
	free(j);
	if (more)		/* one that done() has added to an empty list runs already */
		next_step(in);
}

static bool wants_in(const struct job *j)
{
	return j->kind == JOB_APPLY && !j->undoing;
}

/* A first apply that fails takes out all of both families, so that nothing is half captured; its own error is what is
 * told.  Where rules are in, they stay: a transaction that failed has changed nothing. */
static void fail_job(struct intercept *in, const struct err *e)
{
	struct job *j = in->jobs;

	if (!wants_in(j) || in->present) {
		if (j->undoing)
			log_error("rules: taking them out again: %s", e->text);
		end_job(in, false, j->undoing ? &j->error : e);
		return;
	}
	j->error = *e;
	j->undoing = true;
	in->family = 0;
	next_step(in);
}

static void next_family(struct intercept *in)
{
	struct job *j = in->jobs;

	if (++in->family < NFAMILIES)
		next_step(in);
	else if (j->undoing)
		end_job(in, false, &j->error);
	else
		end_job(in, true, NULL);
}

/* IPv6 may be absent, from the kernel or as a program; IPv4 may not, where rules are wanted. */
static bool may_be_missing(const struct intercept *in)
{
	return families[in->family].family == AF_INET6 || !wants_in(in->jobs);
}

static void save(struct intercept *in)
{
	const struct family *f = &families[in->family];
	const char *const argv[] = { f->save, "-t", "nat", NULL };
	struct err e;

	if (access(f->there, F_OK) == -1) {
		if (wants_in(in->jobs))
			log_notice("this kernel has no IPv6: rules for IPv4 only");
		next_family(in);
		return;
	}
	if (start_child(in, f->save, argv, "", &e) == 0)
		return;
	if (errno != ENOENT || !may_be_missing(in)) {
		fail_job(in, &e);
		return;
	}
	if (wants_in(in->jobs))
		log_notice("%s: rules for IPv4 only", e.text);
	next_family(in);
}

static void restore(struct intercept *in, const char *saved)
{
	const struct family *f = &families[in->family];
	const char *const argv[] = { f->restore, "--noflush", "-w", "5", NULL };
	struct job *j = in->jobs;
	char *text = NULL;
	struct err e;

	if (wants_in(j))
		text = rules_apply_text(&j->rules, f->family, saved);
	else if ((j->kind == JOB_RELEASE ? rules_release_text : rules_clear_text)(saved, &text) == 0 && text == NULL) {
		next_family(in);
		return;
	}
	in->restoring = true;
	if (text == NULL)
		err_set(&e, "%s: out of memory", f->restore);
	if (text == NULL || start_child(in, f->restore, argv, text, &e) == -1)
		fail_job(in, &e);
	free(text);
}

static void next_step(struct intercept *in)
{
	in->restoring = false;
	save(in);
}

static void child_is_late(void *arg)
{
	struct intercept *in = arg;

	in->late = true;
	kill(in->pid, SIGKILL);		/* child_ended() goes on */
}

/* The first line that it wrote: what iptables itself says. */
static void describe(const struct intercept *in, int status, struct err *e)
{
	const char *name = in->restoring ? families[in->family].restore : families[in->family].save;
	char *text = read_memfd(in->err_fd), *said = text;

	if (said != NULL && strncmp(said, name, strlen(name)) == 0 && strncmp(said + strlen(name), ": ", 2) == 0)
		said += strlen(name) + 2;
	if (in->late)
		err_set(e, "%s: not done within %d s", name, CHILD_MS / 1000);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
		err_set(e, "%s: printed too much", name);
	else if (said != NULL && *said != '\0')
		err_set(e, "%s: %.*s", name, (int)strcspn(said, "\n"), said);
	else if (WIFSIGNALED(status))
		err_set(e, "%s: was killed by signal %d", name, WTERMSIG(status));
	else
		err_set(e, "%s: ended with status %d", name, WEXITSTATUS(status));
	free(text);
}

static void child_ended(void *arg, short revents)
{
	struct intercept *in = arg;
	bool late = in->late, good = false;
	char *saved = NULL;
	int status = -1;
	struct err e;

	(void)revents;
	if (waitpid(in->pid, &status, WNOHANG) == 0)
		return;
	alarm_unset(in->loop, &in->deadline);
	loop_remove(in->loop, &in->end);
	in->end.fd = -1;
	if (late || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		describe(in, status, &e);
	else if (!in->restoring && (saved = read_memfd(in->out_fd)) == NULL)
		err_set(&e, "%s: printed too much", families[in->family].save);
	else
		good = true;
	close_fds(in);
	if (good && in->restoring) {
		next_family(in);
	} else if (good) {
		restore(in, saved);
	} else if (in->restoring && !late && !in->jobs->retried) {
		in->jobs->retried = true;
		next_step(in);
	} else {
		fail_job(in, &e);
	}
	free(saved);
}

static int add_job(struct intercept *in, const struct job *like)
{
	struct job *j = malloc(sizeof(*j)), **p = &in->jobs;

	if (j == NULL)
		return -1;
	*j = *like;
	while (*p != NULL)
		p = &(*p)->next;
	*p = j;
	if (in->jobs == j) {
		in->family = 0;
		next_step(in);
	}
	return 0;
}

int intercept_apply(struct intercept *in, const struct rules *r, intercept_done *done, void *arg)
{
	uint32_t nin = r->exclude_inbound_count, nout = r->exclude_outbound_count;
	struct image_port_range *ranges = calloc(nin + nout + 1, sizeof(*ranges));
	struct job j = { .kind = JOB_APPLY, .rules = *r, .done = done, .arg = arg };

	if (ranges == NULL)
		return -1;
	if (nin > 0)
		memcpy(ranges, r->exclude_inbound, nin * sizeof(*ranges));
	if (nout > 0)
		memcpy(ranges + nin, r->exclude_outbound, nout * sizeof(*ranges));
	j.rules.exclude_inbound = ranges;
	j.rules.exclude_outbound = ranges + nin;
	if (add_job(in, &j) == 0)
		return 0;
	free(ranges);
	return -1;
}

int intercept_release(struct intercept *in, intercept_done *done, void *arg)
{
	const struct job j = { .kind = JOB_RELEASE, .done = done, .arg = arg };

	return add_job(in, &j);
}

int intercept_clear(struct intercept *in, intercept_done *done, void *arg)
{
	const struct job j = { .kind = JOB_CLEAR, .done = done, .arg = arg };

	return add_job(in, &j);
}
