/*
 * The text of interception rules, for iptables-restore --noflush: pure functions from what is wanted and what
 * iptables-save says is there.  Own chains (MESHD_*) in table nat, with one jump each from PREROUTING and OUTPUT.
 * Every rule of the table that is not one of these is left alone.
 */
#pragma once

#include "common/image.h"

#include <stdint.h>
#include <sys/types.h>

struct rules {
	uid_t worker_uid, agent_uid;
	uint16_t outbound_port, inbound_port;
	const struct image_port_range *exclude_inbound, *exclude_outbound;
	uint32_t exclude_inbound_count, exclude_outbound_count;
};

/* family: AF_INET or AF_INET6; saved: what `iptables-save -t nat` printed.  The answer is malloc'ed; NULL: no memory. */
char *rules_apply_text(const struct rules *, int family, const char *saved);

/*
 * Takes the jumps out: nothing is captured any more.  The chains stay, because their rules may be the last thing on this
 * host that uses connection tracking: without it, connections that came through them would be translated no more.
 * *text_r is NULL when there is nothing to do.  -1: no memory.
 */
int rules_release_text(const char *saved, char **text_r);

/* Takes all of it out again.  *text_r is NULL when there is nothing of ours.  -1: no memory. */
int rules_clear_text(const char *saved, char **text_r);
