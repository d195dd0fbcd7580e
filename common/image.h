/*
 * One generation of the configuration, as it lies in memory: flat, position-independent, immutable once sealed.
 * Filled by meshd-conf, verified by the master before anybody else sees it, read in place by workers and the agent.
 *
 * An image is a head and typed sections, each an array of one kind of record.  Records name each other by index into
 * a section, and only ever into a section that comes later in enum image_section: no look-up can circle, and verifying
 * is one pass over each array.  (Offsets to anywhere would need a walk.)  A range is `first, count`.
 * Text lies in one section, each piece with its nought, and is named by its offset there; offset 0 is "".
 *
 * The digest (SHA-256, by meshd-conf) covers the head's settings and every section before SECTION_SLOTS: two files
 * that mean the same have the same digest, wherever their lines are and whatever slots the master gave.
 */
#pragma once

#include "common/addr.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAGIC	0x0001676d69687365u		/* "eshimg" and the byte order */
#define IMAGE_LAYOUT	7u				/* raised with every change to a record */
#define IMAGE_SIZE_MAX	(256u << 20)			/* bytes */
#define IMAGE_NONE	UINT32_MAX			/* no such index */

enum image_section {
	SECTION_LISTENERS,	/* struct image_listener, sorted by name */
	SECTION_LOOKUP,		/* uint32_t: hash table over the addresses of listeners, index of a SECTION_BINDS record */
	SECTION_BINDS,		/* struct image_bind */
	SECTION_MATCHES,	/* struct image_match, for each listener in the order of match_chain() */
	SECTION_CHAINS,		/* struct image_chain */
	SECTION_FILTERS,	/* struct image_filter */
	SECTION_TCP_PROXIES,	/* struct image_tcp_proxy */
	SECTION_HTTP_FILTERS,		/* struct image_http */
	SECTION_ROUTE_CONFIGS,	/* struct image_route_config, sorted by name */
	SECTION_DOMAINS,	/* struct image_domain, for each route config in the order of match_domain_compare() */
	SECTION_VHOSTS,		/* struct image_vhost, for each route config together */
	SECTION_ROUTES,		/* struct image_route, for each virtual host together, in the order in which they are tried */
	SECTION_TARGETS,	/* struct image_target, for each tcp_proxy and route together */
	SECTION_CLUSTERS,	/* struct image_cluster, sorted by name */
	SECTION_ENDPOINTS,	/* struct image_endpoint, for each cluster together */
	SECTION_TURNS,		/* uint32_t: index of an endpoint, for each cluster in the order of image_cluster */
	SECTION_PORTS,		/* struct image_port_range: of interception, as the next two */
	SECTION_PREFIXES,	/* struct prefix */
	SECTION_WORDS,		/* uint32_t: offsets of texts: names of interfaces, users, groups */
	SECTION_ADDRESSES,	/* struct addr: node.addresses */
	SECTION_NAMES,		/* struct image_name: what has a row in `live` */
	SECTION_TEXT,		/* bytes */
	SECTION_SLOTS,		/* uint32_t, as many as NAMES; nought from conf, filled by the master from the directory */
	SECTION_WHERE,		/* struct image_where: where each listener, chain, cluster was written */
	SECTION_WHERE_TEXT,	/* bytes: names of files */
	SECTION_COUNT
};

struct image_span {
	uint32_t at;		/* in units of 8 bytes from the start of the image */
	uint32_t count;		/* records (TEXT, WHERE_TEXT: bytes) */
};

struct image_range {
	uint32_t first, count;
};

enum image_intercept_mode { INTERCEPT_NONE, INTERCEPT_REDIRECT, INTERCEPT_TPROXY };
enum image_iptables { IPTABLES_AUTO, IPTABLES_NFT, IPTABLES_LEGACY };

/* What becomes of the rules when the master is gone and no worker lives (meshd --post-stop). */
enum image_on_exit { ON_EXIT_BYPASS, ON_EXIT_BLOCK };

#define INBOUND_SOURCES_MAX 16
#define INTERCEPT_PORTS_MAX 64			/* of the virtual outbound listener */
#define INTERCEPT_TABLES_OWN_FIRST 253u		/* routing tables that the system has for itself */
#define INTERCEPT_TABLES_OWN_LAST 255u
#define IMAGE_OWNER_MAX 32			/* bytes of an owner, without its nought */

/*
 * intercept = { }: the virtual listeners and the rules that lead to them.  All nought where there is none.
 * An owner is a name, a number, or "first-last" of numbers.
 */
struct image_intercept {
	uint8_t configured;		/* bool: there are virtual listeners */
	uint8_t mode;			/* enum image_intercept_mode; NONE: somebody else sets the rules */
	uint8_t manual;			/* bool: rules come in when they are asked for, not by themselves */
	uint8_t iptables;		/* enum image_iptables */
	uint8_t on_exit;		/* enum image_on_exit */
	uint8_t exclude_dns;		/* bool: port 53 is left alone */
	uint8_t drop_invalid;		/* bool: packets that connection tracking calls INVALID are dropped */
	uint8_t inbound_sources;	/* from 127.0.0.6 and ::6 upwards, of connections to the application beside us */
	uint8_t every_inbound_port, every_outbound_range;	/* bool: "*"; else the lists below */
	uint8_t every_user, every_group;
	uint16_t outbound_port, outbound_last;	/* of the virtual outbound listener, which binds all from one to the other */
	uint16_t inbound_port;			/* of the virtual inbound one; the outbound one's: one for both directions */
	uint16_t zero;
	uint32_t inbound_listener;	/* where one port serves both: what goes to an address of ours goes to this listener */
	uint32_t tproxy_mark, tproxy_table;
	struct image_range include_inbound, exclude_inbound, include_outbound, exclude_outbound;	/* SECTION_PORTS */
	struct image_range include_ranges, exclude_ranges;						/* SECTION_PREFIXES */
	struct image_range exclude_interfaces, guest_interfaces;					/* SECTION_WORDS */
	struct image_range include_users, exclude_users, include_groups, exclude_groups;
};

static inline bool intercept_has_one_port(const struct image_intercept *i)
{
	return i->configured && i->inbound_port == i->outbound_port;
}

/* What belongs to the process as a whole.  Times are milliseconds, texts offsets in SECTION_TEXT. */
struct image_settings {
	uint32_t node_id;
	uint32_t user, agent_user, admin_group;
	uint32_t runtime_dir;
	uint32_t access_log;			/* "": off */
	uint32_t workers;			/* 0: one for each usable core */
	uint32_t drain_time_ms;
	uint32_t orphan_timeout_ms;		/* workers whose master is gone serve this long, then drain */
	uint32_t max_connections;		/* from clients, over all workers; 0: none */
	uint32_t first_address, address_count;	/* SECTION_ADDRESSES */
	uint32_t outbound_traffic_policy;	/* enum image_policy */
	struct image_intercept intercept;
};

enum image_policy { POLICY_ALLOW_ANY, POLICY_REGISTRY_ONLY };

struct image_head {
	uint64_t magic;
	uint32_t layout;
	uint32_t size_bytes;			/* of the whole image, a multiple of 8 */
	uint8_t digest[32];
	struct image_span sections[SECTION_COUNT];
	struct image_settings settings;
};

enum image_direction { DIRECTION_NONE, DIRECTION_INBOUND, DIRECTION_OUTBOUND };

/* How the listener takes part in the hand-off (ARCHITECTURE.md, the way of a byte). */
enum image_listener_kind {
	LISTENER_BOUND,			/* binds its addresses, connections stay with it */
	LISTENER_REAL,			/* binds nothing: found by the original destination */
	LISTENER_VIRTUAL_OUTBOUND,	/* binds; hands connections over to a real listener where one matches */
	LISTENER_VIRTUAL_INBOUND,	/* binds; its own chains match the original destination */
};

/* Binds, matches and chains of a listener begin where those of the listener before it end.  A virtual inbound one may
 * bind nothing, where the outbound one binds its port. */
struct image_listener {
	uint32_t name;
	uint32_t name_index;		/* SECTION_NAMES, and so SLOTS */
	uint32_t first_bind, bind_count;
	uint32_t first_match, match_count;
	uint32_t first_chain, chain_count;
	uint32_t where;			/* SECTION_WHERE */
	uint32_t max_connections;	/* over all workers; 0: none */
	uint32_t buffer_limit_bytes;	/* per_connection_buffer_limit_bytes, of each direction of a connection */
	uint32_t backlog;
	uint32_t filters_timeout_ms;	/* listener_filters_timeout: for the bytes that decide a chain; 0: for ever */
	uint8_t kind;			/* enum image_listener_kind */
	uint8_t direction;		/* enum image_direction */
	uint8_t protocol;		/* 0: TCP; later others */
	uint8_t zero[1];
};

struct image_bind {
	struct addr addr;
	uint32_t listener;
	uint32_t zero;
};

/* What the first bytes of a connection are. */
enum image_application {
	APPLICATION_ANY,	/* of a match: whatever they are; of a connection: nothing that is known here, or not known yet */
	APPLICATION_HTTP10,	/* "http/1.0" */
	APPLICATION_HTTP11,	/* "http/1.1" */
	APPLICATIONS
};

/*
 * One (port, destination, application protocol, source) that selects a chain.  Sorted within a listener: port
 * descending, so that "any" (0) comes last; then destination prefix: longer first, then by address; then application
 * protocol, any last; then source prefix: longer first, then by address.  bits = 0 with family 0: any.
 */
struct image_match {
	struct prefix destination;
	struct prefix source;
	uint16_t port;
	uint8_t application;		/* enum image_application */
	uint8_t zero;
	uint32_t chain;
};

struct image_chain {
	uint32_t name;			/* as it was written; "": unnamed, SECTION_NAMES has what it is called by */
	uint32_t name_index;
	uint32_t first_filter, filter_count;
	uint32_t where;
	uint32_t zero;
};

enum image_filter_type { FILTER_TCP_PROXY, FILTER_HTTP };

struct image_filter {
	uint32_t type;			/* enum image_filter_type */
	uint32_t index;			/* in the section of that type */
};

struct image_tcp_proxy {
	uint32_t first_target, target_count;	/* SECTION_TARGETS, at least one */
	uint32_t stat_prefix;
	uint32_t max_connect_attempts;		/* 1 to 65535 */
	uint64_t idle_timeout_ms;		/* 0: none */
	uint64_t max_duration_ms;		/* max_downstream_connection_duration; 0: none */
};

#define IMAGE_HEADERS_COUNT_MAX 1000u		/* what max_headers_count may be */

/* Bits of image_http.upgrades. */
enum image_upgrade { UPGRADE_WEBSOCKET = 1, UPGRADE_CONNECT = 2, UPGRADES = 3 };

/* Envoy's http_connection_manager.  Times are milliseconds, 0: none unless it says otherwise; texts offsets. */
struct image_http {
	uint32_t route_config;			/* SECTION_ROUTE_CONFIGS */
	uint32_t stat_prefix;
	uint32_t server_name;			/* of the field "server" in answers */
	uint32_t xff_num_trusted_hops;
	uint32_t max_request_line_bytes;	/* past it: 414 */
	uint32_t max_request_headers_bytes;	/* past it: 431 */
	uint32_t max_response_headers_bytes;	/* past it: 502 */
	uint32_t max_headers_count;		/* of either head, trailers counted by themselves */
	uint32_t max_requests_per_connection;	/* 0: any number */
	uint32_t max_pipelined_requests;	/* at least 1: that wait; further ones are not read */
	uint32_t request_headers_timeout_ms;
	uint32_t delayed_close_timeout_ms;	/* for the peer to take the last answer and end; 0: closed at once */
	uint32_t drain_timeout_ms;		/* for the request under way at max_connection_duration */
	uint32_t upgrades;			/* enum image_upgrade, or-ed */
	uint64_t idle_timeout_ms;		/* of a connection without a request */
	uint64_t stream_idle_timeout_ms;	/* of a request without a byte either way */
	uint64_t request_timeout_ms;		/* for the whole of a request to come in */
	uint64_t max_connection_duration_ms;
	uint64_t max_request_bytes;		/* of a body; past it: 413; 0: any number */
	uint8_t generate_request_id, preserve_external_request_id, use_remote_address, normalize_path, accept_http_10;	/* bool */
	uint8_t zero;
	uint16_t max_connect_attempts;		/* at least 1: endpoints that a request tries to reach */
};

/*
 * Virtual hosts and the domains that lead to them.  Domains, virtual hosts (and routes of those) of a route config
 * begin where those of the one before it end.  Domains: `exact_count` exact ones, then `suffix_count` "*.suffix",
 * then `prefix_count` "prefix.*".
 */
struct image_route_config {
	uint32_t name;
	uint32_t first_domain, exact_count, suffix_count, prefix_count;
	uint32_t any_vhost;			/* the one of the domain "*"; IMAGE_NONE: none */
	uint32_t first_vhost, vhost_count;
};

#define IMAGE_DOMAIN_MAX 255u		/* bytes */

/* Exact ones are sorted by (hash, text), the others by length, longer first. */
struct image_domain {
	uint32_t text;			/* in lower case, without the asterisk: ".suffix", "prefix." */
	uint32_t length;
	uint32_t hash;			/* match_domain_hash() */
	uint32_t vhost;			/* SECTION_VHOSTS, one of this route config */
};

struct image_vhost {
	uint32_t name;
	uint32_t first_route, route_count;
};

enum image_route_kind { ROUTE_PREFIX };

struct image_route {
	uint32_t name;			/* "": unnamed */
	uint32_t kind;			/* enum image_route_kind */
	uint32_t text, length;		/* what the path is compared with */
	uint32_t first_target, target_count;	/* SECTION_TARGETS, at least one */
	uint64_t timeout_ms;		/* from the end of the request to the end of the answer; 0: none */
};

/* One cluster of a tcp_proxy or a route.  `upto` is the sum of the weights to here: a number drawn below the last one's `upto`
 * chooses the first target that it is below of. */
struct image_target {
	uint32_t cluster;
	uint32_t upto;
};

enum image_cluster_type { CLUSTER_STATIC, CLUSTER_ORIGINAL_DST };
enum image_balancer { BALANCER_ROUND_ROBIN, BALANCER_CLUSTER_PROVIDED, BALANCER_LEAST_REQUEST, BALANCER_RANDOM };

/* Endpoints and turns of a cluster begin where those of the cluster before it end. */
struct image_cluster {
	uint32_t name;
	uint32_t name_index;
	uint32_t first_endpoint, endpoint_count;
	uint32_t first_turn, turn_count;	/* SECTION_TURNS: the endpoints, each as often as it weighs, spread evenly */
	uint32_t where;
	uint32_t max_connections;		/* over all workers; 0: none */
	uint32_t connect_timeout_ms;
	uint32_t buffer_limit_bytes;
	/* of HTTP */
	uint32_t max_pending_requests;		/* that wait for a connection, over all workers; 0: none */
	uint32_t max_requests;			/* under way, over all workers; 0: none */
	uint32_t max_requests_per_connection;	/* 0: none */
	/* tcp(7): TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL; 0 leaves the system's value */
	uint32_t keepalive_probes, keepalive_time_s, keepalive_interval_s;
	uint64_t idle_timeout_ms;		/* of a kept HTTP connection without a request; 0: none */
	uint64_t max_connection_duration_ms;	/* of an HTTP connection; 0: none */
	uint8_t keepalive;		/* bool */
	uint8_t type;			/* enum image_cluster_type */
	uint8_t balancer;		/* enum image_balancer */
	uint8_t direction;		/* enum image_direction */
	uint8_t zero[4];
};

struct image_endpoint {
	struct addr addr;
	uint32_t name_index;
	uint32_t weight;		/* at least 1 */
};

struct image_port_range {
	uint16_t first, last;
};

enum image_name_kind {
	NAME_NONE,
	NAME_LISTENER,		/* its name */
	NAME_CHAIN,		/* listener + "/" + chain (unnamed: its match in canonical form) */
	NAME_CLUSTER,		/* its name */
	NAME_ENDPOINT,		/* cluster + "/" + address:port */
	NAME_KINDS
};

#define IMAGE_NAME_MAX 232	/* bytes of such a name, its nought included */

struct image_name {
	uint32_t kind;
	uint32_t name;		/* SECTION_TEXT */
};

struct image_where {
	uint32_t file;		/* SECTION_WHERE_TEXT */
	uint32_t line;
};

/* A mapped image.  `size` is what was mapped. */
struct image {
	const struct image_head *head;
	size_t size;
};

/* Words as the rules may have them: nothing that iptables-restore(8) would take for something else. */
bool image_is_interface(const char *);		/* 1 to 15 bytes; a "+" at the end: all that begin so */
bool image_is_owner(const char *);		/* a name, a number, "first-last" */

/* Maps read-only (MAP_PRIVATE: Linux 6.1 refuses MAP_SHARED of a write-sealed memfd).  The descriptor stays the
 * caller's.  Checks magic, layout and size, no more: image_verify() is the master's. */
int image_map(int fd, struct image *, struct err *e);
void image_unmap(struct image *);

/* Every offset, range, index and enum of it, O(size), without trust in anything.  -1: *e says which. */
int image_verify(const struct image *, struct err *e);

/* The bytes of one record of a section; for those who walk all sections. */
size_t image_record_size(enum image_section);

static inline const void *image_section(const struct image *i, enum image_section s)
{
	return (const char *)i->head + (size_t)i->head->sections[s].at * 8;
}

static inline uint32_t image_count(const struct image *i, enum image_section s)
{
	return i->head->sections[s].count;
}

static inline const char *image_text(const struct image *i, uint32_t offset)
{
	return (const char *)image_section(i, SECTION_TEXT) + offset;
}

static inline const char *image_where_text(const struct image *i, uint32_t offset)
{
	return (const char *)image_section(i, SECTION_WHERE_TEXT) + offset;
}

#define IMAGE_ACCESSOR(NAME, TYPE, SECTION)						\
static inline const TYPE *image_##NAME(const struct image *i, uint32_t index)		\
{											\
	return (const TYPE *)image_section(i, SECTION) + index;				\
}

IMAGE_ACCESSOR(listener, struct image_listener, SECTION_LISTENERS)
IMAGE_ACCESSOR(bind, struct image_bind, SECTION_BINDS)
IMAGE_ACCESSOR(match, struct image_match, SECTION_MATCHES)
IMAGE_ACCESSOR(chain, struct image_chain, SECTION_CHAINS)
IMAGE_ACCESSOR(filter, struct image_filter, SECTION_FILTERS)
IMAGE_ACCESSOR(tcp_proxy, struct image_tcp_proxy, SECTION_TCP_PROXIES)
IMAGE_ACCESSOR(http, struct image_http, SECTION_HTTP_FILTERS)
IMAGE_ACCESSOR(route_config, struct image_route_config, SECTION_ROUTE_CONFIGS)
IMAGE_ACCESSOR(domain, struct image_domain, SECTION_DOMAINS)
IMAGE_ACCESSOR(vhost, struct image_vhost, SECTION_VHOSTS)
IMAGE_ACCESSOR(route, struct image_route, SECTION_ROUTES)
IMAGE_ACCESSOR(target, struct image_target, SECTION_TARGETS)
IMAGE_ACCESSOR(turn, uint32_t, SECTION_TURNS)
IMAGE_ACCESSOR(cluster, struct image_cluster, SECTION_CLUSTERS)
IMAGE_ACCESSOR(endpoint, struct image_endpoint, SECTION_ENDPOINTS)
IMAGE_ACCESSOR(port_range, struct image_port_range, SECTION_PORTS)
IMAGE_ACCESSOR(prefix, struct prefix, SECTION_PREFIXES)
IMAGE_ACCESSOR(word, uint32_t, SECTION_WORDS)
IMAGE_ACCESSOR(address, struct addr, SECTION_ADDRESSES)
IMAGE_ACCESSOR(name, struct image_name, SECTION_NAMES)
IMAGE_ACCESSOR(where, struct image_where, SECTION_WHERE)

/* Its connections come by TPROXY: their local address is where their clients went. */
static inline bool image_listener_is_transparent(const struct image *i, const struct image_listener *l)
{
	return l->kind == LISTENER_VIRTUAL_INBOUND && i->head->settings.intercept.mode == INTERCEPT_TPROXY;
}

/* The row in `live` of a listener, chain, cluster or endpoint, by its name_index. */
static inline uint32_t image_slot(const struct image *i, uint32_t name_index)
{
	return ((const uint32_t *)image_section(i, SECTION_SLOTS))[name_index];
}

static inline const struct image_settings *image_settings(const struct image *i)
{
	return &i->head->settings;
}
