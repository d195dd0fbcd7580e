/*
 * What interception rules do with a new connection, computed from the configuration alone: pure, the same order of decisions
 * as the rules themselves (meshd(8), INTERCEPTION).  The configuration is the agent's /meshd/settings.
 */
#pragma once

#include "common/addr.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

enum fate { FATE_DIRECT, FATE_OUTBOUND, FATE_INBOUND, FATE_UNKNOWN };

struct caught {
	const json_t *intercept;	/* of the settings; the caller's, as long as this is used */
	uid_t worker_uid, agent_uid;
};

struct packet {
	const char *interface;		/* it leaves by, or arrives from */
	bool arrives;
	uid_t uid;			/* whose socket it is; of one that leaves */
	gid_t gid;
	struct addr from, to;		/* without ports in `from` */
};

enum fate caught_decide(const struct caught *, const struct packet *);

/* "direct", "outbound", "inbound", "?" */
const char *fate_word(enum fate);

/* ---- lists of the settings ---- */

/* Is it the word "*"? */
bool caught_is_all(const json_t *list);
bool caught_has_port(const json_t *ports, unsigned port);
bool caught_has_address(const json_t *ranges, const struct addr *);
/* An interface's name, or its beginning and a '+'. */
bool caught_has_interface(const json_t *names, const char *name);
/* "name", "1000", "1000-1999": the first and the last id.  False: no such user or group here. */
bool caught_owner(const char *text, bool group, id_t *first_r, id_t *last_r);
bool caught_has_owner(const json_t *owners, bool group, id_t id);
/* "80", "8000-8010" */
bool caught_port(const char *text, unsigned *first_r, unsigned *last_r);
