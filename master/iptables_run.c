/* One run of iptables-save or iptables-restore: see iptables.h. */
#include "master/iptables.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

#define CHILD_MS     10000		/* iptables waits 5 s for its lock */
#define OUTPUT_MAX   (64 << 20)
#define FILE_MAX     (OUTPUT_MAX + (1 << 16))	/* what one that prints on and on can fill of our memory */

/* ---- what it says when it fails ---- */

/* Words of iptables, and what to do about them. */
static const struct {
	const char *words, *remedy;
} remedies[] = {
	{ "xtension owner", "the kernel has no owner match: load it (modprobe xt_owner), or take a kernel that has it" },
	{ "match `owner'", "the kernel has no owner match: load it (modprobe xt_owner), or take a kernel that has it" },
	{ "xtension TPROXY", "the kernel has no TPROXY target: load it (modprobe xt_TPROXY), or use mode = \"redirect\"" },
	{ "target `TPROXY'", "the kernel has no TPROXY target: load it (modprobe xt_TPROXY), or use mode = \"redirect\"" },
	{ "xtension REDIRECT", "the kernel has no REDIRECT target: load it (modprobe xt_REDIRECT)" },
	{ "target `REDIRECT'", "the kernel has no REDIRECT target: load it (modprobe xt_REDIRECT)" },
	{ "xtension addrtype", "the kernel has no address type match: load it (modprobe xt_addrtype)" },
	{ "match `addrtype'", "the kernel has no address type match: load it (modprobe xt_addrtype)" },
	{ "xtension conntrack", "the kernel has no connection tracking: load it (modprobe nf_conntrack xt_conntrack)" },
	{ "match `conntrack'", "the kernel has no connection tracking: load it (modprobe nf_conntrack xt_conntrack)" },
	{ "xtension CONNMARK", "the kernel has no connection marks: load them (modprobe xt_connmark)" },
	{ "xtension connmark", "the kernel has no connection marks: load them (modprobe xt_connmark)" },
	{ "target `CONNMARK'", "the kernel has no connection marks: load them (modprobe xt_connmark)" },
	{ "match `connmark'", "the kernel has no connection marks: load them (modprobe xt_connmark)" },
	{ "xtension MARK", "the kernel has no packet marks: load them (modprobe xt_mark)" },
	{ "xtension mark", "the kernel has no packet marks: load them (modprobe xt_mark)" },
	{ "table `nat'", "the kernel has no nat table: load it (modprobe iptable_nat; IPv6: ip6table_nat; nft: nft_chain_nat)" },
	{ "table nat", "the kernel has no nat table: load it (modprobe iptable_nat; IPv6: ip6table_nat; nft: nft_chain_nat)" },
	{ "CHAIN_ADD failed (No such file or directory): chain", "the kernel has no nat table for nft: load it (modprobe nft_chain_nat nf_nat)" },
	{ "table `mangle'", "the kernel has no mangle table: load it (modprobe iptable_mangle; IPv6: ip6table_mangle)" },
	{ "Could not fetch rule set generation id", "the kernel has no nf_tables: load it (modprobe nf_tables), or use iptables = \"legacy\"" },
	{ "Failed to initialize nft", "the kernel has no nf_tables: load it (modprobe nf_tables), or use iptables = \"legacy\"" },
	{ "Permission denied", "meshd needs CAP_NET_ADMIN and CAP_NET_RAW" },
};

static const char *remedy_for(const char *said)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (strstr(said, remedies[i].words) != NULL)
			return remedies[i].remedy;
	}
	return NULL;
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

/* The first line that it wrote: what iptables itself says; and what to do, by all of them. */
static void describe(const struct iptables_run *r, int status, struct err *e)
{
	char *text = read_memfd(r->err_fd), *said = text;
	const char *remedy = text != NULL ? remedy_for(text) : NULL;

	if (said != NULL && strncmp(said, r->name, strlen(r->name)) == 0 && strncmp(said + strlen(r->name), ": ", 2) == 0)
		said += strlen(r->name) + 2;
	if (r->late)
		err_set(e, "%s: not done within %d s", r->name, CHILD_MS / 1000);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
		err_set(e, "%s: printed too much", r->name);
	else if (said != NULL && *said != '\0')
		err_set(e, "%s%s%s: %.*s", remedy != NULL ? remedy : "", remedy != NULL ? ": " : "", r->name,
		    (int)strcspn(said, "\n"), said);
	else if (WIFSIGNALED(status))
		err_set(e, "%s: was killed by signal %d", r->name, WTERMSIG(status));
	else
		err_set(e, "%s: ended with status %d", r->name, WEXITSTATUS(status));
	free(text);
}

/* ---- one run ---- */

static void close_fds(struct iptables_run *r)
{
	int *fds[] = { &r->pidfd, &r->in_fd, &r->out_fd, &r->err_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] != -1)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static void child_ended(void *arg, short revents)
{
	struct iptables_run *r = arg;
	bool unusable = false;
	char *output = NULL;
	int status = -1;
	struct err e;

	(void)revents;
	if (waitpid(r->pid, &status, WNOHANG) == 0)
		return;
	alarm_unset(r->loop, &r->deadline);
	loop_remove(r->loop, &r->end);
	r->end.fd = -1;
	if (r->late || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		describe(r, status, &e);
		unusable = !r->late && WIFEXITED(status);
	} else if ((output = read_memfd(r->out_fd)) == NULL) {
		err_set(&e, "%s: printed too much", r->name);
	}
	close_fds(r);
	r->done(r->arg, output, unusable, &e);
}

static void child_is_late(void *arg)
{
	struct iptables_run *r = arg;

	r->late = true;
	kill(r->pid, SIGKILL);		/* child_ended() goes on */
}

void iptables_init(struct iptables_run *r, struct loop *l)
{
	r->loop = l;
	r->pidfd = r->in_fd = r->out_fd = r->err_fd = -1;
	r->end = (struct source){ .fd = -1, .events = POLLIN, .ready = child_ended, .arg = r };
	r->deadline = (struct alarm){ .ring = child_is_late, .arg = r };
}

/* The child's streams are memfds: no pipe that somebody must keep reading. */
static int open_fds(struct iptables_run *r, const char *input)
{
	size_t n = input != NULL ? strlen(input) : 0;

	r->in_fd = memfd_create("rules", MFD_CLOEXEC);
	r->out_fd = memfd_create("rules-out", MFD_CLOEXEC);
	r->err_fd = memfd_create("rules-err", MFD_CLOEXEC);
	if (r->in_fd == -1 || r->out_fd == -1 || r->err_fd == -1)
		return -1;
	if (n > 0 && (write(r->in_fd, input, n) != (ssize_t)n || lseek(r->in_fd, 0, SEEK_SET) == -1))
		return -1;
	return 0;
}

/*
 * Ends with who has started it: one that waits for iptables' lock would else carry out what nobody wants any more.  A
 * terminal's second ^C, or a kill of the whole group, must not end what takes the rules out.
 */
static void become(const struct iptables_run *r, pid_t parent, const char *path, const char *const argv[])
{
	const struct rlimit most = { .rlim_cur = FILE_MAX, .rlim_max = FILE_MAX };
	const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	const int fds[] = { r->in_fd, r->out_fd, r->err_fd };
	sigset_t stops;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(127);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(fds[fd], fd) == -1)
			_exit(127);
	}
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGQUIT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	sigprocmask(SIG_SETMASK, &stops, NULL);
	setrlimit(RLIMIT_FSIZE, &most);		/* refused where the limit is lower yet */
	execve(path, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

static int spawn(struct iptables_run *r, const char *path, const char *const argv[])
{
	const pid_t parent = getpid();

	if ((r->pid = fork()) == 0)
		become(r, parent, path, argv);
	return r->pid != -1 ? 0 : -1;
}

static int watch(struct iptables_run *r)
{
	int saved;

	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	r->end.fd = r->pidfd;
	if (r->pidfd != -1 && loop_add(r->loop, &r->end)) {
		r->late = false;
		alarm_set(r->loop, &r->deadline, CHILD_MS);
		return 0;
	}
	saved = errno;
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	errno = saved;
	return -1;
}

int iptables_start(struct iptables_run *r, enum variant v, int family, enum iptables_verb verb, const char *input, bool counters,
    struct err *e)
{
	const char *const save[] = { iptables_program(v, family, verb), counters ? "-c" : NULL, NULL };
	const char *const restore[] = { iptables_program(v, family, verb), "--noflush", "-w", "5", NULL };
	char path[64];

	r->name = save[0];
	if (iptables_find(r->name, path, sizeof(path)) == -1)
		return err_set(e, "%s was not found: install it (apt-get install iptables)", r->name);
	if (open_fds(r, input) == 0 && spawn(r, path, verb == IPTABLES_SAVE ? save : restore) == 0 && watch(r) == 0)
		return 0;
	err_set(e, "%s: %m", r->name);
	close_fds(r);
	return -1;
}
