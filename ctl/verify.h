/*
 * meshctl intercept verify: sends connections through the rules as they are, and sees where each arrives.
 *
 * The other end is a network namespace of its own without a name, joined to this host by pairs of veth.  It lives as long as
 * meshctl holds it: whatever ends meshctl, the namespace goes, with it its end of each pair, with that the end on this host,
 * and with that its addresses and routes.
 */
#pragma once

#include "common/err.h"
#include "ctl/caught.h"
#include "ctl/ctl.h"

#include <net/if.h>

/* ---- the other end (verify_net.c) ---- */

#define NET_LINKS_MAX 3

struct net_link {
	char name[IF_NAMESIZE];		/* on this host */
	struct addr here[2], there[2];	/* IPv4, IPv6; family 0: not possible here */
	struct addr nobody[2];		/* on the link, nobody has it */
};

struct net {
	int here, there;		/* the namespaces */
	struct net_link links[NET_LINKS_MAX];
	unsigned nlinks;
};

/* The namespace alone. */
int net_open(struct net *, struct err *e);
/* A pair of veth, up, with addresses; `name` is that of the end here.  -1: it is not there. */
int net_add_link(struct net *, const char *name, struct err *e);
/* Gives an address of elsewhere to the other end of link 0.  to_all: everybody on this host goes there for it; else only who
 * binds to the device (IPv4) or to our address (IPv6). */
int net_add_address(struct net *, const struct addr *, bool to_all, struct err *e);
/* A stream socket, in the other end (there) or on this host.  -1: errno. */
int net_socket(const struct net *, bool there, int family);
void net_close(struct net *);

/* ---- what is sent (verify_rows.c) ---- */

#define PROBES_MAX 64		/* more than plan_rows() makes of any configuration */

enum arrival {
	ARRIVED_WAITING,
	ARRIVED_NOWHERE,		/* nobody has answered */
	ARRIVED_REFUSED,		/* nobody listens */
	ARRIVED_CLOSED,			/* somebody took it, not we, and ended it at once */
	ARRIVED_ELSEWHERE,		/* somebody took it who is neither we nor a worker */
	ARRIVED_DIRECT,			/* at our own listener, unchanged */
	ARRIVED_LISTED,			/* a worker has it */
};

struct probe {
	char what[96];
	char skipped[112];		/* why it is not sent; "": it is */
	bool from_there;
	bool to_device;			/* bound to link 0, whatever the routes say */
	bool configured;		/* the port is one that the configuration names: who serves it is not ours to say */
	unsigned link;			/* that it takes, where it is not over lo */
	bool over_lo;
	bool listens;			/* we do, at `to` (port 0: any) */
	uid_t uid;
	gid_t gid;
	struct addr from, to;		/* from: family 0: left to the kernel */
	/* what came of it */
	enum fate expected;
	enum arrival arrival;
	int fd, listener, accepted;	/* -1: none */
	struct addr local;		/* the probe's own address and port */
	uint64_t open_ms;		/* when somebody took it; 0: nobody has */
	bool ours, ended;		/* our own listener has it, unchanged; it was ended */
	char seen_listener[256], seen_destination[ADDR_STRLEN];
};

struct plan {
	struct caught caught;
	const json_t *settings;
	gid_t worker_gid, agent_gid;
	uid_t app_uid, other_uid;	/* whose connections are caught; whose are not, where only some users' are */
	gid_t app_gid, other_gid;
	struct probe probes[PROBES_MAX];
	unsigned n;
};

/* Whose connections are caught, whose are not, by the lists of users and groups. */
void plan_identity(struct plan *);
/* All probes that the configuration asks for; makes the links and addresses that they need. */
void plan_rows(struct plan *, struct net *);
/* An address of the range, to be given to the other end.  to_all: where nobody is likely to be, for all of this host will
 * see it there.  False: there is none. */
bool plan_address(const char *range, bool to_all, struct addr *);

/* ---- sending (verify_send.c) ---- */

/* Sends all and waits, until each has arrived or the time is over.  -1: it cannot be told where, it is said. */
int send_all(struct ctl *, struct plan *, const struct net *, uint32_t timeout_ms);
void send_end(struct plan *);

/* ---- judging (verify.c) ---- */

enum verdict { VERDICT_NONE, VERDICT_GOOD, VERDICT_BAD };
enum verdict verify_judge(const struct probe *, const json_t *settings);
