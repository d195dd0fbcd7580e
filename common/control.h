/*
 * RUNDIR/control.sock, between meshctl and the master: SOCK_SEQPACKET, 0660, group `admin_group`; one fixed-size request,
 * one fixed-size reply, then the master closes.  The peer is who SO_PEERCRED says: root or a member of the group.
 * Everything else goes to the agent (RUNDIR/admin.sock, HTTP).
 */
#pragma once

#include <stdint.h>

#define CONTROL_SOCKET "control.sock"
#define ADMIN_SOCKET   "admin.sock"
#define CONTROL_MAGIC  0x6d657368u	/* "mesh" */
#define RUNDIR_DEFAULT "/run/meshd"

enum control_verb {
	CONTROL_RELOAD = 1,		/* flags: CONTROL_WAIT */
	CONTROL_INTERCEPT_APPLY,	/* flags: CONTROL_FORCE; span_ms: 0, or out again after it, unless confirmed */
	CONTROL_INTERCEPT_CLEAR,	/* flags: CONTROL_FORCE */
	CONTROL_CONNECTIONS,		/* the reply's descriptor has a line for each open connection, see below */
	CONTROL_CLOSE,			/* number: that connection; 0: those of `name`, as in WIRE_CLOSE; span_ms: as there */
	CONTROL_CRASHES,		/* the reply's descriptor has the reports of children that died, the oldest first: a line
					 * "time words", then a line for each frame, indented */
	CONTROL_INTERCEPT_CONFIRM,	/* rules that were applied to be confirmed stay */
	CONTROL_INTERCEPT_PLAN,		/* these two: the reply's descriptor has lines, see below */
	CONTROL_INTERCEPT_STATUS,
};

#define CONTROL_WAIT 1u			/* answer when every worker has adopted, or at the time-out */
#define CONTROL_FORCE 2u		/* whatever rules are there */

struct control_request {
	uint32_t magic;
	uint32_t verb;
	uint32_t flags;
	uint32_t timeout_ms;		/* 0: the default, 30 s; at most 10 min */
	uint64_t number;
	uint32_t span_ms;
	uint32_t zero;
	char name[240];			/* terminated */
};

/*
 * A connection's line: its fields in this order, a tab between them, "-" for what is not there:
 *   id  worker  age_ms  idle_ms  state  client  destination  listener  chain  cluster  endpoint  received  sent
 * received and sent are bytes, from and to the client; state is "connecting" or "open"; names hold no control bytes.
 * The reply's text names the workers whose lines are missing, if any.  The lines are the workers' words: one that was
 * taken over may have written anything.
 */
#define CONTROL_CONNECTION_FIELDS 13

/*
 * Lines about interception, from the master or from `meshd --intercept VERB`, a tab between the fields:
 *   text     words
 *   fact     key  value
 *   plan     family  table  rule  reason		"ip": a command of ip(8) in place of a rule
 *   rule     family  kind  table  chain  packets  bytes  rule
 *   finding  words
 */
#define CONTROL_RULE_FIELDS 8

/* A descriptor comes with the reply when there is more to say: a memfd with text for the user, such as the errors of a
 * configuration. */
struct control_reply {
	uint32_t magic;
	int32_t status;			/* 0 done, 1 failed (a program's exit status) */
	uint64_t generation;		/* the newest after this request */
	char text[1008];		/* one line, terminated */
};
