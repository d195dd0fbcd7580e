/*
 * Takes the place of meshd-conf and tries what it may not: first what the starter gave it away (user, network, limits),
 * then each forbidden call, then what it must still be able to do.  A line for each goes to the report.
 *   FILE "free": without the filter, to show that the calls fail for no other reason
 *   FILE "slow": does nothing for a minute
 */
#include "conf/confine.h"

#include "common/ask.h"
#include "common/heritage.h"
#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int ask_fd, image_fd, report_fd;
static void *page;

/* ---- what is forbidden: each returns -1 and errno, or something to close ---- */

static long try_open(void) { return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }
static long try_open_own_executable(void) { return syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY); }
static long try_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long try_unix_socket(void) { return socket(AF_UNIX, SOCK_DGRAM, 0); }
static long try_pipe(void) { int p[2]; return pipe(p); }
static long try_memfd(void) { return memfd_create("x", 0); }
static long try_kill(void) { return kill(getpid(), 0); }
static long try_kill_all(void) { return kill(-1, 0); }
static long try_pidfd(void) { return syscall(SYS_pidfd_open, getpid(), 0); }
static long try_limits(void) { struct rlimit l; return getrlimit(RLIMIT_AS, &l); }
static long try_ring(void) { struct io_uring_params p = { 0 }; return syscall(SYS_io_uring_setup, 1, &p); }
static long try_seals(void) { return fcntl(image_fd, F_ADD_SEALS, 0); }
static long try_unlink(void) { return unlink(""); }
static long try_exec(void) { char *none[] = { NULL }; return execve("/nowhere", none, none); }
static long try_trace(void) { return ptrace(PTRACE_ATTACH, 0, NULL, NULL); }
static long try_executable_memory(void) { return mprotect(page, 4096, PROT_READ | PROT_EXEC); }

static long try_executable_map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long try_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long try_reading_memory(void)
{
	char to[8];
	struct iovec mine = { to, sizeof(to) }, theirs = { page, sizeof(to) };

	return process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0);
}

static long try_message_elsewhere(void)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(report_fd, &mh, MSG_NOSIGNAL);
}

static const struct {
	const char *name;
	long (*run)(void);
	int otherwise;			/* without the filter: 0, or its errno */
} forbidden[] = {
	{ "open", try_open, 0 }, { "open its executable", try_open_own_executable, 0 }, { "socket", try_socket, 0 },
	{ "unix socket", try_unix_socket, 0 }, { "pipe", try_pipe, 0 }, { "memfd", try_memfd, 0 }, { "kill", try_kill, 0 },
	{ "kill all", try_kill_all, 0 }, { "pidfd", try_pidfd, 0 }, { "limits", try_limits, 0 }, { "ring", try_ring, 0 },
	{ "seals", try_seals, 0 }, { "unlink", try_unlink, ENOENT }, { "exec", try_exec, ENOENT }, { "trace", try_trace, ESRCH },
	{ "executable memory", try_executable_memory, 0 }, { "executable map", try_executable_map, 0 }, { "fork", try_fork, 0 },
	{ "reading memory", try_reading_memory, 0 }, { "message elsewhere", try_message_elsewhere, ENOTSOCK },
};

static void try_forbidden(bool confined)
{
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		int error = forbidden[i].run() == -1 ? errno : 0, due = confined ? EPERM : forbidden[i].otherwise;

		dprintf(report_fd, "%s: %s%s\n", forbidden[i].name, strerrorname_np(error), error == due ? "" : " is wrong");
	}
}

/* ---- what it is ---- */

static void tell_status(void)
{
	static const char *const rows[] = { "Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:", "CapBnd:", "NoNewPrivs:" };
	FILE *f = fopen("/proc/self/status", "re");
	char line[512];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			if (strncmp(line, rows[i], strlen(rows[i])) == 0)
				dprintf(report_fd, "%s", line);
		}
	}
	if (f != NULL)
		fclose(f);
}

static void tell_network(void)
{
	struct ifaddrs *all = NULL;

	dprintf(report_fd, "addresses:");
	if (getifaddrs(&all) == 0) {
		for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next)
			dprintf(report_fd, " %s", a->ifa_name);
		freeifaddrs(all);
	}
	dprintf(report_fd, "\n");
}

static void tell_descriptors(void)
{
	dprintf(report_fd, "descriptors:");
	for (int fd = 0; fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) != -1)
			dprintf(report_fd, " %d", fd);
	}
	dprintf(report_fd, "\n");
}

/* ---- what it must be able to do ---- */

static void use_rights(void)
{
	struct ask question = { .path = "/etc/passwd" };
	struct ask_answer answer = { .error = -1 };
	char *memory = malloc(8 << 20);
	int fd = -1, r = record_send(ask_fd, &question, sizeof(question), -1);
	char c;

	if (r == 0)
		r = record_receive(ask_fd, &answer, sizeof(answer), &fd) == 1 ? 0 : -1;
	dprintf(report_fd, "asks: %s, reads: %s\n", r == 0 && answer.error == 0 ? "yes" : "no", read(fd, &c, 1) == 1 ? "yes" : "no");
	dprintf(report_fd, "writes what it reads: %s\n", write(fd, &c, 1) == 1 ? "yes" : "no");
	dprintf(report_fd, "writes the image: %s\n", pwrite(image_fd, "x", 1, 4096) == 1 ? "yes" : "no");
	dprintf(report_fd, "memory: %s\n", memory != NULL ? "yes" : "no");
	free(memory);
}

int main(int argc, char **argv)
{
	static struct heritage heritage;
	bool confined = argc == 3 && strcmp(argv[1], "free") != 0;
	struct err e;

	if (argc != 3 || heritage_receive(&heritage, &e) == -1)
		return 2;
	if (strcmp(argv[1], "slow") == 0)
		return sleep(60) != 0;
	ask_fd = heritage_take(&heritage, HERITAGE_ASK);
	image_fd = heritage_take(&heritage, HERITAGE_IMAGE);
	report_fd = heritage_take(&heritage, HERITAGE_REPORT);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fcntl(ask_fd, F_SETFL, 0);
	tell_status();
	tell_network();
	tell_descriptors();
	if (confined && confine(ask_fd, &e) == -1) {
		dprintf(report_fd, "%s\n", e.text);
		return 1;
	}
	use_rights();
	try_forbidden(confined);
	syscall(SYS_exit_group, 1);	/* 1: the report is shown as it is; at an ordinary end sanitizers would look around */
}
