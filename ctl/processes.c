/* Looking through /proc: see processes.h. */
#include "ctl/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_process(const char *pid, struct process *p)
{
	char path[64], line[256];
	unsigned real, effective, saved, fs;
	bool named = false, owned = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	p->pid = (pid_t)atoi(pid);
	while (!(named && owned) && fgets(line, sizeof(line), f) != NULL) {
		/* a process cannot write lines of its own: in Name the kernel escapes them */
		named |= sscanf(line, "Name:\t%31[^\n]", p->name) == 1;
		if (sscanf(line, "Uid:\t%u\t%u\t%u\t%u", &real, &effective, &saved, &fs) != 4)
			continue;
		p->uid = effective;
		p->socket_uid = fs;
		owned = true;
	}
	fclose(f);
	return named && owned;
}

void processes_each(process_fn *fn, void *arg)
{
	DIR *proc = opendir("/proc");
	const struct dirent *d;
	bool enough = false;
	struct process p;

	if (proc == NULL)
		return;
	while (!enough && (d = readdir(proc)) != NULL) {
		if (isdigit((unsigned char)d->d_name[0]) && read_process(d->d_name, &p))
			enough = fn(arg, &p);
	}
	closedir(proc);
}

bool process_is_meshd(const struct process *p)
{
	static const char *const names[] = { "meshd", "meshd-worker", "meshd-agent", "meshd-conf" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(p->name, names[i]) == 0)
			return true;
	}
	return false;
}

/* The link ns/net is for CAP_SYS_PTRACE only; the files below net are everybody's, and each namespace has its own. */
bool process_shares_network(const struct process *p)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)p->pid);
	return stat("/proc/self/net/dev", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	    ours.st_ino == theirs.st_ino;
}

unsigned process_sockets(const struct process *p, unsigned long *inodes, unsigned most)
{
	char folder[64], path[384], target[64];
	const struct dirent *d;
	unsigned n = 0;
	DIR *fds;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)p->pid);
	if ((fds = opendir(folder)) == NULL)
		return 0;
	while (n < most && (d = readdir(fds)) != NULL) {
		ssize_t length;

		snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
		if ((length = readlink(path, target, sizeof(target) - 1)) <= 0)
			continue;
		target[length] = '\0';
		n += sscanf(target, "socket:[%lu]", &inodes[n]) == 1;
	}
	closedir(fds);
	return n;
}
