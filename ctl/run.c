/* Running a program: see run.h. */
#include "ctl/run.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 5000
#define OUTPUT_MAX  (64u << 20)

int run_find(const char *name, char path_r[PATH_MAX])
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path_r, PATH_MAX, "%s/%s", folders[i], name);
		if (access(path_r, X_OK) == 0)
			return 0;
	}
	errno = ENOENT;
	return -1;
}

/* The child's streams are memfds: no pipe that somebody must keep reading. */
struct streams {
	int in, out, err;
};

static void close_streams(const struct streams *s)
{
	const int fds[] = { s->in, s->out, s->err };

	for (size_t i = 0; i < 3; i++) {
		if (fds[i] != -1)
			close(fds[i]);
	}
}

static int open_streams(struct streams *s, const char *input)
{
	size_t n = input != NULL ? strlen(input) : 0;

	s->in = memfd_create("in", MFD_CLOEXEC);
	s->out = memfd_create("out", MFD_CLOEXEC);
	s->err = memfd_create("err", MFD_CLOEXEC);
	if (s->in != -1 && s->out != -1 && s->err != -1 && (n == 0 || write(s->in, input, n) == (ssize_t)n) &&
	    lseek(s->in, 0, SEEK_SET) == 0)
		return 0;
	close_streams(s);
	return -1;
}

static _Noreturn void be_child(const struct run *r, const char *path, const struct streams *s, pid_t parent)
{
	static const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	const struct rlimit most = { OUTPUT_MAX, OUTPUT_MAX };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_FSIZE, &most);
	if (getppid() == parent && (r->netns == -1 || setns(r->netns, CLONE_NEWNET) == 0) &&
	    (!r->empty_netns || unshare(CLONE_NEWNET) == 0) && dup2(s->in, STDIN_FILENO) != -1 &&
	    dup2(s->out, STDOUT_FILENO) != -1 && dup2(s->err, STDERR_FILENO) != -1)
		execve(path, (char *const *)(uintptr_t)r->argv, (char *const *)(uintptr_t)env);
	dprintf(s->err, "%s\n", strerror(errno));
	_exit(127);
}

/* Its status as waitpid(2) has it; -1: it had to be killed. */
static int await(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status, n = 1;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd != -1) {
		do
			n = poll(&p, 1, DEADLINE_MS);
		while (n == -1 && errno == EINTR);
		close(pidfd);
	}
	if (n != 1)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return n == 1 ? status : -1;
}

static char *read_stream(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) == -1 || (text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
		free(text);
		return NULL;
	}
	text[st.st_size] = '\0';
	return text;
}

static int describe(const struct run *r, const struct streams *s, int status, struct err *e)
{
	char *said = read_stream(s->err);

	if (status == -1)
		err_set(e, "%s: not done within %d s", r->argv[0], DEADLINE_MS / 1000);
	else if (said != NULL && *said != '\0')
		err_set(e, "%s: %.*s", r->argv[0], (int)strcspn(said, "\n"), said);
	else
		err_set(e, "%s: ended with status %d", r->argv[0], WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	free(said);
	errno = EIO;
	return -1;
}

static int run_path(const struct run *r, const char *path, const struct streams *s, char **out_r, struct err *e)
{
	pid_t parent = getpid(), pid = fork();
	int status;

	if (pid == -1)
		return err_set(e, "fork: %m");
	if (pid == 0)
		be_child(r, path, s, parent);
	status = await(pid);
	if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return describe(r, s, status, e);
	if (out_r != NULL && (*out_r = read_stream(s->out)) == NULL)
		return err_set(e, "%s: its output cannot be read", r->argv[0]);
	return 0;
}

int run_program(const struct run *r, char **out_r, struct err *e)
{
	char path[PATH_MAX];
	struct streams s;
	int result, code;

	if (run_find(r->argv[0], path) == -1) {
		err_set(e, "%s is not installed", r->argv[0]);
		errno = ENOENT;
		return -1;
	}
	if (open_streams(&s, r->input) == -1)
		return err_set(e, "memfd_create: %m");
	result = run_path(r, path, &s, out_r, e);
	code = errno;
	close_streams(&s);
	errno = code;
	return result;
}
