/*
 * What interception rules are to do, taken out of an image: a copy that outlives it, with the owners in numbers.
 * Their text is made of it by ruleset.h.
 */
#pragma once

#include "common/err.h"
#include "common/image.h"
#include "master/owners.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ports {
	struct image_port_range *ranges;
	uint32_t count;
};

struct prefixes {
	struct prefix *prefixes;
	uint32_t count;
};

struct names {
	char **names;
	uint32_t count;
};

struct owners {
	struct owner *owners;
	uint32_t count;
};

struct rules {
	enum image_intercept_mode mode;		/* INTERCEPT_NONE: somebody else sets the rules */
	enum image_iptables iptables;
	uid_t worker_uid, agent_uid;
	gid_t worker_gid;
	uint16_t outbound_port, outbound_last, inbound_port;
	unsigned inbound_sources;
	bool every_inbound_port, every_outbound_range, every_user, every_group, exclude_dns, drop_invalid;
	uint32_t mark, table;			/* TPROXY */
	struct ports include_inbound, exclude_inbound, include_outbound, exclude_outbound;
	struct prefixes include_ranges, exclude_ranges;
	struct names exclude_interfaces, guest_interfaces;
	struct owners include_users, exclude_users, include_groups, exclude_groups;
};

/* Who meshd's own connections belong to. */
struct rules_users {
	uid_t worker_uid, agent_uid;
	gid_t worker_gid;
};

/* NULL: a user or group that is named does not exist, or there is no memory; *e says which. */
struct rules *rules_read(const struct image *, const struct rules_users *, struct err *e);
void rules_free(struct rules *);

/* Something that comes to this host is to be caught. */
bool rules_catch_inbound(const struct rules *);
/* The second image wants other rules than the first.  Users and groups are compared by name. */
bool rules_differ(const struct image *, const struct image *);
