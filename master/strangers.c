/* Looking through /proc: see strangers.h. */
#include "master/strangers.h"

#include "master/master.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *value_of(const char *status, const char *key)
{
	const char *line = status;

	while (strncmp(line, key, strlen(key)) != 0) {
		if ((line = strchr(line, '\n')) == NULL)
			return NULL;
		line++;		/* a process cannot write lines of its own: in Name the kernel escapes them */
	}
	return line + strlen(key);
}

int process_parse(const char *status, struct process *p)
{
	const char *name = value_of(status, "Name:\t"), *state = value_of(status, "State:\t"), *uid = value_of(status, "Uid:\t");
	unsigned real, effective, saved, fs;

	if (name == NULL || state == NULL || uid == NULL || sscanf(uid, "%u\t%u\t%u\t%u", &real, &effective, &saved, &fs) != 4)
		return -1;
	snprintf(p->name, sizeof(p->name), "%.*s", (int)strcspn(name, "\n"), name);
	p->state = *state;
	p->uid = effective;
	p->socket_uid = fs;
	return 0;
}

/*
 * By its name: to ask for the path of another user's program needs CAP_SYS_PTRACE, which is more than this is worth.
 * The check is for mistakes, not for somebody who wants to get past the rules: whoever is this user is past them.
 */
bool process_is_stranger(const struct process *p, uid_t worker_uid, uid_t agent_uid)
{
	if (p->uid != worker_uid && p->uid != agent_uid && p->socket_uid != worker_uid && p->socket_uid != agent_uid)
		return false;
	return p->state != 'Z' && p->state != 'X' && strcmp(p->name, "meshd-worker") != 0 && strcmp(p->name, "meshd-agent") != 0;
}

static int read_process(const char *pid, struct process *p)
{
	char path[64], text[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return process_parse(text, p);
}

/* The link ns/net is for CAP_SYS_PTRACE only; the files below net are everybody's, and each namespace has its own. */
static bool is_in_our_network(const char *pid)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/net/dev", pid);
	return stat("/proc/self/net/dev", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	    ours.st_ino == theirs.st_ino;
}

int strangers_refuse(const struct fixed *f, struct err *e)
{
	DIR *proc = opendir("/proc");
	const struct dirent *d;
	struct process p;
	bool found = false;

	if (proc == NULL)
		return 0;
	while (!found && (d = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)d->d_name[0]) || read_process(d->d_name, &p) == -1)
			continue;
		if (process_is_stranger(&p, f->worker_uid, f->agent_uid) && is_in_our_network(d->d_name)) {
			bool worker = p.uid == f->worker_uid || p.socket_uid == f->worker_uid;

			found = true;
			err_set(e, "process %.20s (%s) runs as %s \"%s\", whose connections are never intercepted: "
			    "let it run as a user of its own, or give meshd another one (%s)", d->d_name, p.name,
			    worker ? "user" : "agent_user", worker ? f->user : f->agent_user, worker ? "user" : "agent_user");
		}
	}
	closedir(proc);
	return found ? -1 : 0;
}
