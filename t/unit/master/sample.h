/* Small images made by hand, as meshd-conf would: for the tests of what the master does with one. */
#pragma once

#include "common/image.h"

struct sample_listener {
	const char *name;
	enum image_listener_kind kind;
	enum image_direction direction;
	const char *addresses[4];	/* "ip:port", up to the first NULL */
	const char *cluster;
};

struct sample_cluster {
	const char *name;
	enum image_cluster_type type;
	enum image_direction direction;
	const char *endpoints[4];
};

struct sample {
	const struct sample_listener *listeners;	/* sorted by name */
	const struct sample_cluster *clusters;
	uint32_t nlisteners, nclusters;
	const char *user, *agent_user, *admin_group, *runtime_dir, *access_log;	/* NULL: "" */
	uint32_t workers, drain_time_ms;
	uint16_t intercept, outbound_port, inbound_port;
	struct image_port_range exclude_inbound[4], exclude_outbound[4];
	uint32_t exclude_inbound_count, exclude_outbound_count;
	uint64_t digest;
};

/* An unsealed memfd, its slots nought. */
int sample_image(const struct sample *);
