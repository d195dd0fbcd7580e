/* The inside of control.h, for the files that are it: clients, and what they ask of interception (control_rules.c). */
#pragma once

#include "common/control.h"
#include "master/control.h"
#include "master/loop.h"

#define CLIENTS 16

enum client_state {
	CLIENT_FREE,
	CLIENT_ASKING,		/* its request is awaited */
	CLIENT_LOADING,		/* for the load with its ticket */
	CLIENT_ADOPTING,	/* for all workers to adopt `generation` */
	CLIENT_RULES,		/* for iptables */
	CLIENT_LISTING,		/* for the listing with its ticket */
};

struct client {
	struct control *k;
	enum client_state state;
	struct source socket;
	struct alarm deadline;
	bool refused;		/* told when its request is here: one that is still to send would not read the answer */
	bool wait;
	uint64_t ticket, generation;
	unsigned life;		/* counts its uses: rules may be done after their client has gone */
};

struct control {
	struct master *m;
	struct source listener;
	struct alarm pause;
	struct client clients[CLIENTS];
};

/* Answers and lets the client go.  report_fd stays the caller's; -1: none. */
void control_answer(struct client *, bool ok, const char *text, int report_fd);

/* CONTROL_INTERCEPT_*: answers, at once or when it is done. */
void control_rules(struct client *, const struct control_request *);
