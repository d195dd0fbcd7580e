/*
 * Messages between the master and a child: one SOCK_SEQPACKET pair for each child, messages of one fixed size, at most
 * one descriptor with each.  Both ends are non-blocking; the socket's buffer is the bound.  The master takes nothing
 * in such a message as true beyond its type and a number that it checks: a worker may have been taken over.
 */
#pragma once

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

enum wire_type {
	/* master -> worker and agent */
	WIRE_IMAGE = 1,		/* descriptor: the sealed image; number: its generation.  Replaces what came before */
	WIRE_DRAIN,		/* number: milliseconds.  Take what is queued, accept no more, end by then, exit 0 */
	WIRE_PING,		/* number: to be sent back as WIRE_PONG, to show that the loop turns */
	WIRE_LOGFILE,		/* agent.  descriptor: the access log from now on; none: it is off */
	/* master -> worker */
	WIRE_LIST,		/* descriptor: opened with O_APPEND; a line for each connection (control.h); number: sent back */
	WIRE_CLOSE,		/* number: that connection; 0: those of text: "listener NAME", "chain NAME", "cluster NAME",
				 * "endpoint NAME", names as in the directory, or "all".  span_ms: each ends at some moment within
				 * it, with FIN; 0: now, with RST */
	WIRE_LISTEN,		/* descriptor: a listening socket that the next image names */
	/* child -> master */
	WIRE_LISTENING,		/* worker, before its first ADOPTED.  descriptor: duplicate of a socket that it has bound */
	WIRE_ADOPTED,		/* number: this generation is in use (the table in `live` says so too; this wakes) */
	WIRE_PONG,
	WIRE_LISTED,		/* worker.  number: of the WIRE_LIST that is answered now */
	WIRE_FAILED,		/* text: why the first start cannot go on; the child exits after it */
};

struct wire {
	uint32_t type;
	uint32_t span_ms;
	uint64_t number;
	char text[240];		/* terminated */
};

/* A pair, both ends CLOEXEC and non-blocking. */
int wire_pair(int fds[2], struct err *e);

/* fd -1: no descriptor.  The descriptor stays the caller's.  -1/EAGAIN: the peer does not read, nothing was sent. */
int wire_send(int sock, const struct wire *, int fd);

/* 1: *m and *fd_r (CLOEXEC, the caller's; -1 if none) are set.  0: the peer is gone.  -1/EAGAIN: nothing waits;
 * -1/EBADMSG: not a message of ours (dropped). */
int wire_receive(int sock, struct wire *m, int *fd_r);

/* The same two for other fixed-size records (control.h, ask.h). */
int record_send(int sock, const void *record, size_t size, int fd);
int record_receive(int sock, void *record, size_t size, int *fd_r);
