/* Running meshd-conf: see confrun.h. */
#include "common/confrun.h"

#include "common/ask.h"
#include "common/heritage.h"
#include "common/image.h"
#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
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
#include <time.h>
#include <unistd.h>

#define CPU_SECONDS	(CONFRUN_DEADLINE_MS / 1000u * 3 / 4)
#define MEMORY_BYTES	(1536ull << 20)		/* of addresses; five times what a file of 100,000 clusters takes */
#define DESCRIPTORS	32u
#define STEP_REQUESTS	16			/* served at a time, so that an event loop gets on */

struct confrun {
	const char *file;
	char **folders;			/* resolved; NULL: anywhere */
	int nfolders;
	pid_t pid;
	int pidfd, ask, image, report;	/* ask -1: the child has closed it */
	uint64_t deadline_ms;
	unsigned opened;
	bool ended, late, unruly;	/* unruly: it does not keep to ask.h */
	int status;			/* once ended; as of waitpid(2) */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- in the child, between fork and exec ---- */

struct rights {
	bool change_user;
	uid_t uid;
	gid_t gid;
};

/* The hard limit is one more: past the soft one of CPU time comes SIGXCPU, which says more than SIGKILL.  A starter's own
 * hard limit that is lower stays: not everybody may raise it. */
static int limit(int what, rlim_t value)
{
	struct rlimit l = { value, value == 0 ? 0 : value + 1 }, own;

	if (getrlimit(what, &own) == -1)
		return -1;
	if (l.rlim_max > own.rlim_max)
		l.rlim_max = own.rlim_max;
	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	return setrlimit(what, &l);
}

static int prepare(void *arg)
{
	const struct rights *r = arg;

	if (limit(RLIMIT_CPU, CPU_SECONDS) == -1 || limit(RLIMIT_FSIZE, IMAGE_SIZE_MAX + (16u << 20)) == -1 ||
	    limit(RLIMIT_CORE, 0) == -1 || limit(RLIMIT_NOFILE, DESCRIPTORS) == -1)
		return -1;
#ifndef MESHD_SANITIZERS		/* their shadow memory is larger than any limit */
	if (limit(RLIMIT_AS, MEMORY_BYTES) == -1)
		return -1;
#endif
	if (r->change_user) {
		unshare(CLONE_NEWNET);		/* where it is not allowed, the child has no rights all the same */
		if (syscall(SYS_setgroups, 0, NULL) == -1 || syscall(SYS_setresgid, r->gid, r->gid, r->gid) == -1 ||
		    syscall(SYS_setresuid, r->uid, r->uid, r->uid) == -1)
			return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* ---- starting ---- */

static int find_user(const char *name, struct rights *r, struct err *e)
{
	const struct passwd *pw;

	if (name == NULL)
		return 0;
	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return errno != 0 ? err_set(e, "user %s: %m", name) :
		    err_set(e, "user %s does not exist: useradd --system %s", name, name);
	*r = (struct rights){ .change_user = true, .uid = pw->pw_uid, .gid = pw->pw_gid };
	return 0;
}

static int resolve_folders(struct confrun *run, const struct confrun_options *o, struct err *e)
{
	if (o->folders == NULL)
		return 0;
	if ((run->folders = calloc((size_t)o->nfolders + 1, sizeof(*run->folders))) == NULL)
		return err_set(e, "%m");
	for (; run->nfolders < o->nfolders; run->nfolders++) {
		if ((run->folders[run->nfolders] = realpath(o->folders[run->nfolders], NULL)) == NULL)
			return err_set(e, "%s: %m", o->folders[run->nfolders]);
	}
	return 0;
}

static int make_memfds(struct confrun *run, struct err *e)
{
	run->image = memfd_create("meshd-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	run->report = memfd_create("meshd-report", MFD_CLOEXEC);
	return run->image != -1 && run->report != -1 ? 0 : err_set(e, "memfd_create: %m");
}

static int spawn(struct confrun *run, const struct confrun_options *o, int theirs, struct rights *rights, struct err *e)
{
	char folder[PATH_MAX];
	char *argv[] = { (char *)(uintptr_t)"meshd-conf", (char *)(uintptr_t)o->file, folder, NULL };
	struct heritage_gift gifts[] = {
		{ HERITAGE_ASK, theirs }, { HERITAGE_IMAGE, run->image }, { HERITAGE_REPORT, run->report },
		{ HERITAGE_PRINT, o->print_fd },
	};
	struct heritage_spawn s = { .path = o->program, .argv = argv, .gifts = gifts, .ngifts = o->print_fd == -1 ? 3 : 4,
		.prepare = prepare, .arg = rights };

	if (getcwd(folder, sizeof(folder)) == NULL && o->file[0] != '/')
		return err_set(e, "working folder: %m");
	return heritage_spawn(&s, &run->pid, &run->pidfd, e);
}

static void release(struct confrun **run_p)
{
	struct confrun *run = *run_p;

	for (int i = 0; i < run->nfolders; i++)
		free(run->folders[i]);
	free(run->folders);
	if (run->ask != -1)
		close(run->ask);
	if (run->pidfd != -1)
		close(run->pidfd);
	if (run->image != -1)
		close(run->image);
	if (run->report != -1)
		close(run->report);
	free((char *)(uintptr_t)run->file);
	free(run);
	*run_p = NULL;
}

int confrun_start(const struct confrun_options *o, struct confrun **run_r, struct err *e)
{
	struct confrun *run = calloc(1, sizeof(*run));
	struct rights rights = { 0 };
	int pair[2] = { -1, -1 }, r;

	if (run == NULL)
		return err_set(e, "%m");
	run->ask = run->pidfd = run->image = run->report = -1;
	if ((run->file = strdup(o->file)) == NULL || find_user(o->user, &rights, e) == -1 ||
	    resolve_folders(run, o, e) == -1 || make_memfds(run, e) == -1 || wire_pair(pair, e) == -1) {
		release(&run);
		return -1;
	}
	run->ask = pair[0];
	r = spawn(run, o, pair[1], &rights, e);
	close(pair[1]);
	if (r == -1) {
		release(&run);
		return -1;
	}
	run->deadline_ms = now_ms() + CONFRUN_DEADLINE_MS;
	*run_r = run;
	return 0;
}

/* ---- serving requests ---- */

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* Where a descriptor really leads, whatever links were on the way. */
static bool is_allowed(const struct confrun *run, const char *self)
{
	char path[PATH_MAX];
	ssize_t n;

	if (run->folders == NULL)
		return true;
	if ((n = readlink(self, path, sizeof(path) - 1)) <= 0 || n >= (ssize_t)sizeof(path) - 1)
		return false;
	path[n] = '\0';
	for (int i = 0; i < run->nfolders; i++) {
		if (is_below(path, run->folders[i]))
			return true;
	}
	return false;
}

/* A place is looked at before it is opened: opening a device or a FIFO does something.  Returns 0 or an errno. */
static int judge(const struct confrun *run, int place, const char *self)
{
	struct stat st;

	if (fstat(place, &st) == -1)
		return errno;
	if (!is_allowed(run, self))
		return EPERM;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	return st.st_size > (off_t)ASK_FILE_MAX ? EFBIG : 0;
}

/* Returns 0 or an errno. */
static int open_file(const struct confrun *run, const char *path, int *fd_r)
{
	char self[64];
	int place, error;

	if (path[0] != '/')
		return EINVAL;
	if ((place = open(path, O_PATH | O_CLOEXEC)) == -1)
		return errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
	if ((error = judge(run, place, self)) == 0 &&
	    (*fd_r = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) == -1)
		error = errno;
	close(place);
	return error;
}

static void answer(struct confrun *run, struct ask *question)
{
	struct ask_answer a = { 0 };
	struct stat st;
	int fd = -1;

	question->path[sizeof(question->path) - 1] = '\0';
	a.error = run->opened < ASK_FILES_MAX ? open_file(run, question->path, &fd) : EMFILE;
	if (a.error == 0) {
		run->opened++;
		a.size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	}
	if (record_send(run->ask, &a, sizeof(a), fd) == -1)
		run->unruly = errno == EAGAIN;		/* it asks and does not listen; gone: pidfd will say so */
	if (fd != -1)
		close(fd);
}

static void serve(struct confrun *run)
{
	struct ask question;

	for (int i = 0; i < STEP_REQUESTS && run->ask != -1 && !run->unruly; i++) {
		int r = record_receive(run->ask, &question, sizeof(question), NULL);

		if (r == 1) {
			answer(run, &question);
		} else if (r == -1 && errno == EAGAIN) {
			return;
		} else if (r == -1 && errno == EBADMSG) {
			run->unruly = true;
		} else {
			close(run->ask);
			run->ask = -1;
		}
	}
}

/* ---- the end ---- */

/* Takes the child's end, if it has one; hang: waits for it. */
static void reap(struct confrun *run, bool hang)
{
	siginfo_t info;
	int r;

	if (run->ended)
		return;
	memset(&info, 0, sizeof(info));
	do
		r = waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED | (hang ? 0 : WNOHANG));
	while (r == -1 && errno == EINTR);
	if (r == 0 && info.si_pid == 0)
		return;
	run->ended = true;
	if (r == -1)
		run->status = 0x7f00;			/* somebody else has taken it: no success that we know of */
	else
		run->status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
}

static void kill_child(struct confrun *run)
{
	syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
}

void confrun_poll(const struct confrun *run, struct pollfd fds[2], int *timeout_ms_r)
{
	uint64_t now = now_ms();
	int left = run->deadline_ms > now ? (int)(run->deadline_ms - now) : 0;

	fds[0] = (struct pollfd){ .fd = run->ask, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = run->pidfd, .events = POLLIN };
	if (run->late)
		left = 1000;				/* killed already; its end wakes */
	if (*timeout_ms_r < 0 || *timeout_ms_r > left)
		*timeout_ms_r = left;
}

bool confrun_step(struct confrun *run)
{
	serve(run);
	if (now_ms() >= run->deadline_ms && !run->late) {
		run->late = true;
		kill_child(run);
	}
	if (run->unruly)
		kill_child(run);
	reap(run, false);
	return run->ended;
}

int confrun_signal(const struct confrun *run, pid_t *pid_r)
{
	*pid_r = run->pid;
	return run->ended && WIFSIGNALED(run->status) ? WTERMSIG(run->status) : 0;
}

static void death_words(const struct confrun *run, char *words, size_t size)
{
	if (run->late)
		snprintf(words, size, "meshd-conf took longer than %d s and was stopped", CONFRUN_DEADLINE_MS / 1000);
	else if (run->unruly)
		snprintf(words, size, "meshd-conf asked for files in a way it must not and was stopped");
	else if (WIFSIGNALED(run->status) && WTERMSIG(run->status) == SIGXCPU)
		snprintf(words, size, "meshd-conf used more than %u s of CPU and was stopped", CPU_SECONDS);
	else if (WIFSIGNALED(run->status))
		snprintf(words, size, "meshd-conf died of signal %d (%s)", WTERMSIG(run->status), strsignal(WTERMSIG(run->status)));
	else if (WEXITSTATUS(run->status) == CONFRUN_EXIT_MEMORY)
		snprintf(words, size, "meshd-conf ran out of memory");
	else
		snprintf(words, size, "meshd-conf ended with status %d", WEXITSTATUS(run->status));
}

/* A report is never empty after a failure, and says so where it may not be whole. */
static void complete_report(struct confrun *run)
{
	bool plain = !run->late && !run->unruly && WIFEXITED(run->status) && WEXITSTATUS(run->status) == 1;
	struct stat st;
	char words[256];

	if (plain && fstat(run->report, &st) == 0 && st.st_size > 0)
		return;
	death_words(run, words, sizeof(words));
	lseek(run->report, 0, SEEK_END);
	dprintf(run->report, "%s: %s\n", run->file, words);
}

int confrun_finish(struct confrun **run_p, int *image_fd_r, int *report_r)
{
	struct confrun *run = *run_p;
	bool good;

	if (!run->ended)
		kill_child(run);
	reap(run, true);
	good = !run->late && !run->unruly && WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0;
	if (!good)
		complete_report(run);
	lseek(run->report, 0, SEEK_SET);
	*report_r = run->report;
	run->report = -1;
	*image_fd_r = -1;
	if (good) {
		*image_fd_r = run->image;
		run->image = -1;
	}
	release(run_p);
	return good ? 0 : -1;
}

int confrun(const struct confrun_options *o, int *image_fd_r, int *report_r, struct err *e)
{
	struct confrun *run;

	*image_fd_r = *report_r = -1;
	if (confrun_start(o, &run, e) == -1)
		return -1;
	do {
		struct pollfd fds[2];
		int timeout_ms = -1;

		confrun_poll(run, fds, &timeout_ms);
		poll(fds, 2, timeout_ms);
	} while (!confrun_step(run));
	if (confrun_finish(&run, image_fd_r, report_r) == 0)
		return 0;
	return err_set(e, "the configuration is refused");
}
