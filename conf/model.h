/*
 * A configuration in memory, whatever reader it came from: what keys.c has rows for, filled by a reader, completed by
 * expand.c, judged by check.c, flattened by compile.c.  Numbers are uint64_t throughout, so that a row says type and
 * place and nothing more.
 */
#pragma once

#include "common/addr.h"
#include "common/image.h"

#include <stdbool.h>
#include <stdint.h>

struct key_group;

/* Where an object stands: enough to name it in an error.  Every object begins with one. */
struct origin {
	const struct origin *parent;		/* NULL: the top level */
	const char *key;			/* under which it stands in its parent */
	uint32_t index;				/* in a list; IMAGE_NONE: it is not in one */
	uint32_t line;				/* of the expanded text (source.h) */
	const struct key_group *group;
	uint32_t *lines;			/* of each key of the group, 0: not given */
	bool flawed;				/* something in it could not be read, and has been reported */
};

struct list {
	void *items;				/* addr_item, prefix_item, port_item, owner_item, interface_item, or objects */
	uint32_t count;
	bool every;				/* "*" in place of a list, which is then empty */
};

struct addr_item {
	struct addr addr;
	uint32_t line;
	uint32_t weight;			/* of an endpoint; 0: not given, which is 1 */
};

static inline uint32_t addr_item_weight(const struct addr_item *i)
{
	return i->weight != 0 ? i->weight : 1;
}

/* A member of `endpoints` in its long form, on its way to an addr_item. */
struct endpoint {
	struct origin origin;
	struct addr_item address;
	uint64_t weight;
};

struct prefix_item {
	struct prefix prefix;
	uint32_t line;
};

struct port_item {
	struct image_port_range range;
	uint32_t line;
};

#define ANY_PORT (struct image_port_range){ 0 }

static inline struct image_port_range one_port(uint64_t port)
{
	return (struct image_port_range){ (uint16_t)port, (uint16_t)port };
}

/* Whose programs: a user or a group. */
struct owner_item {
	const char *name;			/* NULL: a number, or all from one to another */
	uint32_t first, last;
	uint32_t line;
};

struct interface_item {
	const char *name;			/* a "+" at its end: all that begin so */
	uint32_t line;
};

struct node {
	struct origin origin;
	const char *id;
	struct list addresses;
};

struct intercept {
	struct origin origin;
	uint64_t mode, manual, iptables, on_exit;
	uint64_t port;				/* of both directions; 0: outbound_port and inbound_port say it, else they are 0 */
	struct image_port_range outbound_port;
	uint64_t inbound_port, inbound_sources;
	struct list include_inbound, exclude_inbound, include_outbound, exclude_outbound;
	struct list include_ranges, exclude_ranges, exclude_interfaces, guest_interfaces;
	struct list include_users, exclude_users, include_groups, exclude_groups;
	uint64_t exclude_dns, drop_invalid, tproxy_mark, tproxy_table;
};

static inline struct image_port_range intercept_outbound(const struct intercept *i)
{
	return i->port != 0 ? one_port(i->port) : i->outbound_port;
}

static inline struct image_port_range intercept_inbound(const struct intercept *i)
{
	return one_port(i->port != 0 ? i->port : i->inbound_port);
}

struct weighted {
	struct origin origin;
	const char *name;
	uint64_t weight;
};

struct filter {
	struct origin origin;
	uint64_t type;
	const char *cluster, *stat_prefix;	/* cluster NULL: `weighted` has them */
	struct list weighted;
	uint64_t idle_timeout_ms;
	/* of tcp_proxy */
	uint64_t max_duration_ms, max_connect_attempts;
	/* of http: its route configuration, one virtual host with one route, and the connection manager's own */
	const char *route_config_name, *virtual_host, *route_name, *prefix;
	uint64_t timeout_ms;
	const char *server_name;
	uint64_t max_request_line_bytes, max_request_headers_kb, max_response_headers_kb, max_headers_count;
	uint64_t max_requests_per_connection, max_pipelined_requests, max_request_bytes;
	uint64_t request_headers_timeout_ms, request_timeout_ms, stream_idle_timeout_ms, max_connection_duration_ms;
	uint64_t delayed_close_timeout_ms, drain_timeout_ms;
	uint64_t generate_request_id, preserve_external_request_id, use_remote_address, xff_num_trusted_hops;
	uint64_t normalize_path, accept_http_10, upgrades;
};

struct chain_match {
	struct origin origin;
	struct image_port_range port;		/* 0: any */
	uint64_t applications;			/* 1 << enum image_application, or-ed; 0: any */
	struct list destinations, sources;	/* empty: any */
};

struct chain {
	struct origin origin;
	const char *name;			/* NULL: unnamed */
	struct chain_match *match;		/* NULL: everything */
	struct list filters;
};

struct listener {
	struct origin origin;
	const char *name;
	struct list addresses;
	struct image_port_range port;		/* more than one: only a virtual one */
	uint64_t bind_to_port, direction, use_original_dst, buffer_limit_bytes, backlog, max_connections;
	uint64_t filters_timeout_ms;
	struct list chains;
};

struct keepalive {
	struct origin origin;
	uint64_t probes, time_s, interval_s;
};

struct cluster {
	struct origin origin;
	const char *name;
	uint64_t type, direction, balancer, connect_timeout_ms, buffer_limit_bytes, max_connections;
	uint64_t max_pending_requests, max_requests, max_requests_per_connection, idle_timeout_ms, max_connection_duration_ms;
	struct keepalive *keepalive;		/* NULL: off */
	struct list endpoints;
};

enum protocol { PROTOCOL_TCP, PROTOCOL_HTTP, PROTOCOL_AUTO };	/* AUTO: by a connection's first bytes */

struct inbound {
	struct origin origin;
	uint64_t port, protocol, idle_timeout_ms, connect_timeout_ms;
	struct addr_item endpoint;		/* family 0: not given */
};

struct service {
	struct origin origin;
	const char *name;
	uint64_t port, protocol, idle_timeout_ms, connect_timeout_ms, balancer, max_connections, max_connect_attempts;
	uint64_t timeout_ms, max_pending_requests, max_requests, max_requests_per_connection;	/* of http */
	struct list addresses, endpoints;
};

struct config {
	struct origin origin;
	struct node *node;
	uint64_t workers, drain_time_ms, orphan_timeout_ms, max_connections, policy;
	const char *user, *agent_user, *admin_group, *runtime_dir, *access_log;
	struct intercept *intercept;		/* NULL: no virtual listeners, no rules */
	struct list listeners, clusters, inbound, services;

	/* From expand.c on: everything, the generated ones too, sorted by name; those without a name are left out. */
	struct listener **all_listeners;
	struct cluster **all_clusters;
	struct filter **all_routes;		/* an http filter for each route configuration, sorted by its name */
	uint32_t listener_count, cluster_count, route_count;
	bool incomplete;			/* a cluster may be missing only because it could not be read */
};

#define LIST_AT(list, type, i) (&((type *)(list).items)[i])
