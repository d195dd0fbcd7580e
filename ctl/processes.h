/* Other processes, as /proc shows them. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	char name[32];
	uid_t uid, socket_uid;		/* effective; and the one that its sockets get (fsuid) */
};

/* True: enough. */
typedef bool process_fn(void *arg, const struct process *);
/* Each one that can be read, until one is enough. */
void processes_each(process_fn *, void *arg);

/* meshd, meshd-worker, meshd-agent, meshd-conf: by its name. */
bool process_is_meshd(const struct process *);
/* Is it in our network namespace? */
bool process_shares_network(const struct process *);
/* Inodes of its sockets, of the first `most` that it has.  Only root can see those of others. */
unsigned process_sockets(const struct process *, unsigned long *inodes, unsigned most);
