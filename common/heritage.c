/* Starting a program of ours with named descriptors: see heritage.h. */
#include "common/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3		/* SD_LISTEN_FDS_START */

static int read_number(const char *name, long *value_r)
{
	const char *text = getenv(name);
	char *end;

	if (text == NULL || *text == '\0')
		return -1;
	errno = 0;
	*value_r = strtol(text, &end, 10);
	return *end == '\0' && errno == 0 ? 0 : -1;
}

static int receive_one(struct heritage *h, int fd, const char *name, size_t len, struct err *e)
{
	struct heritage_fd *f = &h->fds[h->n];

	if (len == 0 || len >= sizeof(f->name))
		return err_set(e, "descriptor %d has no usable name", fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return err_set(e, "descriptor %d (%.*s): %m", fd, (int)len, name);
	memcpy(f->name, name, len);
	f->name[len] = '\0';
	f->fd = fd;
	h->n++;
	return 0;
}

int heritage_receive(struct heritage *h, struct err *e)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long pid, n;

	h->n = 0;
	if (read_number("LISTEN_PID", &pid) == -1 || pid != getpid() || read_number("LISTEN_FDS", &n) == -1 || names == NULL)
		return err_set(e, "no descriptors were handed over: this program is started by meshd");
	if (n < 0 || n > HERITAGE_MAX)
		return err_set(e, "%ld descriptors handed over, at most %d can be", n, HERITAGE_MAX);
	for (long i = 0; i < n; i++) {
		size_t len = strcspn(names, ":");

		if (receive_one(h, FIRST_FD + (int)i, names, len, e) == -1)
			return -1;
		names += len + (names[len] == ':');
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return 0;
}

int heritage_take(struct heritage *h, const char *name)
{
	for (int i = 0; i < h->n; i++) {
		if (h->fds[i].fd != -1 && strcmp(h->fds[i].name, name) == 0) {
			int fd = h->fds[i].fd;

			h->fds[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

/* What the child needs, made before fork: after it only async-signal-safe calls are allowed. */
struct plan {
	char names[HERITAGE_MAX * 16];
	char count[32];
	char pid[32];
	char *env[64];
	int fds[HERITAGE_MAX + 1];	/* and the pipe that tells the parent */
};

static int make_plan(struct plan *p, const struct heritage_spawn *s, struct err *e)
{
	extern char **environ;
	size_t used = 0;
	int nenv = 0;

	if (s->ngifts > HERITAGE_MAX)
		return err_set(e, "%s: %d descriptors to hand over, at most %d can be", s->path, s->ngifts, HERITAGE_MAX);
	used = (size_t)snprintf(p->names, sizeof(p->names), "LISTEN_FDNAMES=");
	for (int i = 0; i < s->ngifts; i++) {
		used += (size_t)snprintf(p->names + used, sizeof(p->names) - used, "%s%s", i > 0 ? ":" : "", s->gifts[i].name);
		if (used >= sizeof(p->names))
			return err_set(e, "%s: names of descriptors are too long", s->path);
		p->fds[i] = s->gifts[i].fd;
	}
	snprintf(p->count, sizeof(p->count), "LISTEN_FDS=%d", s->ngifts);
	snprintf(p->pid, sizeof(p->pid), "LISTEN_PID=");
	p->env[nenv++] = p->names;
	p->env[nenv++] = p->count;
	p->env[nenv++] = p->pid;
	for (char **v = environ; *v != NULL && nenv < (int)(sizeof(p->env) / sizeof(p->env[0])) - 1; v++) {
		if (strncmp(*v, "LISTEN_", 7) != 0 && strncmp(*v, "NOTIFY_SOCKET=", 14) != 0 &&
		    strncmp(*v, "WATCHDOG_", 9) != 0)
			p->env[nenv++] = *v;
	}
	p->env[nenv] = NULL;
	return 0;
}

static void append_pid(char *text, long pid)
{
	char digits[24];
	int n = 0;

	while (*text != '\0')
		text++;
	do
		digits[n++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (n > 0)
		*text++ = digits[--n];
	*text = '\0';
}

/* Moves the descriptors to 3.. in order.  They are first moved above the range, so that none overwrites another. */
static int move_fds(struct plan *p, int n)
{
	int above = FIRST_FD + n;

	for (int i = 0; i < n; i++) {
		if ((p->fds[i] = fcntl(p->fds[i], F_DUPFD, above)) == -1)
			return -1;
	}
	for (int i = 0; i < n; i++) {
		if (dup2(p->fds[i], FIRST_FD + i) == -1)
			return -1;
	}
	return (int)syscall(SYS_close_range, (unsigned)above, UINT_MAX, 0);
}

static void become(const struct heritage_spawn *s, struct plan *p, int failed)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;
	int code;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	append_pid(p->pid, getpid());
	if (null == -1 || dup2(null, STDIN_FILENO) == -1)
		goto fail;

	/* The pipe that tells the parent travels as one gift more, and closes with exec. */
	p->fds[s->ngifts] = failed;
	if (move_fds(p, s->ngifts + 1) == -1)
		goto fail;
	failed = FIRST_FD + s->ngifts;
	if (fcntl(failed, F_SETFD, FD_CLOEXEC) == -1)
		goto fail;
	errno = 0;
	if (s->prepare != NULL && s->prepare(s->arg) != 0)
		goto fail;
	execve(s->path, s->argv, p->env);
fail:
	code = errno;
	if (write(failed, &code, sizeof(code)) == -1)
		_exit(126);
	_exit(127);
}

static int wait_for_exec(int from, int *code_r)
{
	ssize_t n;

	do
		n = read(from, code_r, sizeof(*code_r));
	while (n == -1 && errno == EINTR);
	return n == 0 ? 0 : -1;
}

int heritage_spawn(const struct heritage_spawn *s, pid_t *pid_r, int *pidfd_r, struct err *e)
{
	struct plan *p = calloc(1, sizeof(*p));
	int failed[2] = { -1, -1 }, code = 0, pidfd;
	pid_t pid;

	if (p == NULL || make_plan(p, s, e) == -1 || pipe2(failed, O_CLOEXEC) == -1) {
		if (failed[0] == -1 && p != NULL && s->ngifts < HERITAGE_MAX)
			err_set(e, "%s: %m", s->path);
		free(p);
		return -1;
	}
	pid = fork();
	if (pid == 0)
		become(s, p, failed[1]);
	close(failed[1]);
	free(p);
	if (pid == -1) {
		close(failed[0]);
		return err_set(e, "%s: fork: %m", s->path);
	}
	if (wait_for_exec(failed[0], &code) == -1 || (pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) == -1) {
		close(failed[0]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = code;
		return err_set(e, "%s: %m", s->path);
	}
	close(failed[0]);
	*pid_r = pid;
	*pidfd_r = pidfd;
	return 0;
}
