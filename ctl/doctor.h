/*
 * meshctl doctor: is this host fit for meshd, and is there anything of an earlier one?  Looks, and changes nothing.
 * Each check says what it has found and, where something is to be done, what: one line.
 */
#pragma once

#include "ctl/ctl.h"
#include "ctl/json.h"

#include <sys/types.h>

enum finding { FINDING_OK, FINDING_UNSEEN, FINDING_WARNING, FINDING_BAD, FINDINGS };

struct doctor {
	struct ctl *ctl;
	const json_t *settings, *status;	/* of the meshd that runs; NULL: none answers */
	bool runs;				/* something of meshd does, whether or not it answers us */
	bool root;
	unsigned count[FINDINGS];
};

/* remedy: NULL where there is nothing to be done. */
void doctor_say(struct doctor *, const char *check, enum finding, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* The user of the workers, or as it is where the configuration says nothing; the other names likewise. */
const char *doctor_setting(const struct doctor *, const char *key, const char *otherwise);
/* settings.intercept; NULL: not known, or not configured. */
const json_t *doctor_intercept(const struct doctor *);

/* The first line of a small file, without its end.  False: it cannot be read. */
bool doctor_read(const char *path, char *to, size_t room);
/* A file that begins with a number.  -1: there is none. */
long long doctor_number(const char *path);

/* The checks, by what they look at. */
void doctor_kernel(struct doctor *);	/* kernel, io_uring, bpf, IPv6, clock, memory */
void doctor_limits(struct doctor *);	/* descriptors, queues, local ports, pipes, the unit */
void doctor_users(struct doctor *);	/* users, who shares them, the folder of sockets */
void doctor_ports(struct doctor *);	/* who listens on ports of ours */
void doctor_tables(struct doctor *);	/* iptables, what is left over, conntrack */
void doctor_features(struct doctor *);	/* what the rules need of the kernel */
