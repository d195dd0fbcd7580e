/* The rows of keys.h: every key of the configuration. */
#include "conf/keys.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define RANGE(lo, hi) .min = lo, .max = hi
#define LATER(key) { .name = key, .type = KEY_LATER, .about = "not supported yet" }
#define ELSEWHERE(key, ours) { .name = key, .type = KEY_ELSEWHERE, .about = ours }
#define GROUP(type, rows) { #type, sizeof(struct type), rows, sizeof(rows) / sizeof((rows)[0]), NULL }
#define GROUP_OF_KINDS(type, rows, key) { #type, sizeof(struct type), rows, sizeof(rows) / sizeof((rows)[0]), key }
#define OF(kind) .kinds = UINT64_C(1) << (kind)
#define OF_EITHER(kind, other) .kinds = UINT64_C(1) << (kind) | UINT64_C(1) << (other)
#define NAME_RANGE RANGE("1", "231")		/* IMAGE_NAME_MAX and its nought */
#define PORT_RANGE RANGE("1", "65535")
#define LIST_RANGE RANGE("0", "100000")
#define IDLE_RANGE RANGE("0s", "8760h")
#define CONNECT_RANGE RANGE("1ms", "10min")
#define CONNECTIONS_RANGE RANGE("0", "10000000")
#define BUFFER_RANGE RANGE("4k", "64m")

_Static_assert(IMAGE_NAME_MAX == 232, "NAME_RANGE says it too");
_Static_assert(IMAGE_HEADERS_COUNT_MAX == 1000, "max_headers_count says it too");

static const struct key_word directions[] = {
	{ "unspecified", DIRECTION_NONE, false }, { "inbound", DIRECTION_INBOUND, false },
	{ "outbound", DIRECTION_OUTBOUND, false }, { 0 },
};
static const struct key_word protocols[] = {
	{ "tcp", PROTOCOL_TCP, false }, { "http", PROTOCOL_HTTP, false }, { "auto", PROTOCOL_AUTO, false },
	{ "http2", 0, true }, { "https", 0, true }, { "grpc", 0, true },
	{ "grpc-web", 0, true }, { "tls", 0, true }, { "udp", 0, true }, { "mongo", 0, true }, { "mysql", 0, true },
	{ "redis", 0, true }, { "http_proxy", 0, true }, { 0 },
};
static const struct key_word modes[] = {
	{ "redirect", INTERCEPT_REDIRECT, false }, { "tproxy", INTERCEPT_TPROXY, false },
	{ "none", INTERCEPT_NONE, false }, { 0 },
};
static const struct key_word applies[] = { { "automatic", 0, false }, { "manual", 1, false }, { 0 } };
static const struct key_word variants[] = {
	{ "auto", IPTABLES_AUTO, false }, { "nft", IPTABLES_NFT, false }, { "legacy", IPTABLES_LEGACY, false }, { 0 },
};
static const struct key_word policies[] = {
	{ "allow_any", POLICY_ALLOW_ANY, false }, { "registry_only", POLICY_REGISTRY_ONLY, false }, { 0 },
};
static const struct key_word cluster_types[] = {
	{ "static", CLUSTER_STATIC, false }, { "original_dst", CLUSTER_ORIGINAL_DST, false }, { "strict_dns", 0, true },
	{ "logical_dns", 0, true }, { "eds", 0, true }, { 0 },
};
static const struct key_word balancers[] = {
	{ "round_robin", BALANCER_ROUND_ROBIN, false }, { "cluster_provided", BALANCER_CLUSTER_PROVIDED, false },
	{ "least_request", BALANCER_LEAST_REQUEST, false }, { "random", BALANCER_RANDOM, false },
	{ "ring_hash", 0, true }, { "maglev", 0, true }, { 0 },
};
static const struct key_word service_balancers[] = {		/* a service's cluster is always static */
	{ "round_robin", BALANCER_ROUND_ROBIN, false }, { "least_request", BALANCER_LEAST_REQUEST, false },
	{ "random", BALANCER_RANDOM, false }, { "ring_hash", 0, true }, { "maglev", 0, true }, { 0 },
};
static const struct key_word exits[] = {
	{ "bypass", ON_EXIT_BYPASS, false }, { "block", ON_EXIT_BLOCK, false }, { 0 },
};
static const struct key_word filter_types[] = {
	{ "tcp_proxy", FILTER_TCP_PROXY, false }, { "http", FILTER_HTTP, false },
	{ "http_connection_manager", FILTER_HTTP, false },
	{ "rbac", 0, true }, { "local_ratelimit", 0, true }, { "ext_authz", 0, true }, { "mongo_proxy", 0, true },
	{ "mysql_proxy", 0, true }, { "redis_proxy", 0, true }, { 0 },
};

static const struct key_word upgrades[] = {
	{ "websocket", UPGRADE_WEBSOCKET, false }, { "connect", UPGRADE_CONNECT, false }, { 0 },
};
static const struct key_word applications[] = {
	{ "http/1.0", 1u << APPLICATION_HTTP10, false }, { "http/1.1", 1u << APPLICATION_HTTP11, false }, { "h2c", 0, true },
	{ "h2", 0, true }, { 0 },
};

static const struct key node_rows[] = {
	{ .name = "id", .type = KEY_TEXT, AT(node, id), NAME_RANGE, .def = "meshd", .about = "name of this proxy" },
	{ .name = "address", .type = KEY_IPS, AT(node, addresses), RANGE("0", "256"),
	  .about = "further addresses of this host, beside those of its interfaces (NAT)" },
	LATER("namespace"), LATER("labels"), LATER("cluster"), LATER("locality"), LATER("metadata"),
};
static const struct key_group node_group = GROUP(node, node_rows);

static const struct key intercept_rows[] = {
	{ .name = "mode", .type = KEY_WORD, .flags = KEY_START_ONLY, AT(intercept, mode), .words = modes, .def = "redirect",
	  .about = "who sets the rules, and of what kind: meshd, or somebody else" },
	{ .name = "apply", .type = KEY_WORD, .flags = KEY_START_ONLY, AT(intercept, manual), .words = applies, .def = "automatic",
	  .about = "when the rules come in: by themselves, or with meshctl intercept apply" },
	{ .name = "iptables", .type = KEY_WORD, .flags = KEY_START_ONLY, AT(intercept, iptables), .words = variants, .def = "auto",
	  .about = "which of the kernel's two sets of tables: as this host uses them, or always one" },
	{ .name = "port", .type = KEY_INTEGER, .flags = KEY_START_ONLY, AT(intercept, port), PORT_RANGE,
	  .about = "one port for both directions, in place of the next two" },
	{ .name = "outbound_port", .type = KEY_PORT, .flags = KEY_START_ONLY, AT(intercept, outbound_port), PORT_RANGE,
	  .about = "of the virtual outbound listener, or a range of them; 15001 unless given" },
	{ .name = "inbound_port", .type = KEY_INTEGER, .flags = KEY_START_ONLY, AT(intercept, inbound_port), PORT_RANGE,
	  .about = "of the virtual inbound listener; 15006 unless given" },
	{ .name = "inbound_sources", .type = KEY_INTEGER, .flags = KEY_START_ONLY, AT(intercept, inbound_sources), RANGE("1", "16"),
	  .def = "1", .about = "addresses, from 127.0.0.6 and ::6 upwards, that connections to the application beside us come from" },
	{ .name = "include_inbound_ports", .type = KEY_PORTS, .flags = KEY_EVERY, AT(intercept, include_inbound), RANGE("0", "1000"),
	  .def = "*", .about = "ports whose incoming connections are caught" },
	{ .name = "exclude_inbound_ports", .type = KEY_PORTS, AT(intercept, exclude_inbound), RANGE("0", "1000"),
	  .about = "of all, ports that incoming connections reach directly" },
	{ .name = "include_outbound_ports", .type = KEY_PORTS, AT(intercept, include_outbound), RANGE("0", "1000"),
	  .about = "ports to which outgoing connections are caught, whatever include_outbound_ranges says" },
	{ .name = "exclude_outbound_ports", .type = KEY_PORTS, AT(intercept, exclude_outbound), RANGE("0", "1000"),
	  .about = "ports that outgoing connections reach directly" },
	{ .name = "include_outbound_ranges", .type = KEY_PREFIXES, .flags = KEY_EVERY, AT(intercept, include_ranges),
	  RANGE("0", "10000"), .def = "*", .about = "addresses to which outgoing connections are caught" },
	{ .name = "exclude_outbound_ranges", .type = KEY_PREFIXES, AT(intercept, exclude_ranges), RANGE("0", "10000"),
	  .about = "addresses that outgoing connections reach directly" },
	{ .name = "exclude_interfaces", .type = KEY_INTERFACES, AT(intercept, exclude_interfaces), RANGE("0", "64"),
	  .about = "interfaces whose connections, in and out, are left alone" },
	{ .name = "guest_interfaces", .type = KEY_INTERFACES, AT(intercept, guest_interfaces), RANGE("0", "64"),
	  .about = "interfaces with virtual machines behind them: what comes in there is outbound" },
	{ .name = "include_outbound_users", .type = KEY_OWNERS, .flags = KEY_EVERY, AT(intercept, include_users), RANGE("0", "64"),
	  .def = "*", .about = "users whose connections are caught" },
	{ .name = "exclude_outbound_users", .type = KEY_OWNERS, AT(intercept, exclude_users), RANGE("0", "64"),
	  .about = "users whose connections are left alone" },
	{ .name = "include_outbound_groups", .type = KEY_OWNERS, .flags = KEY_EVERY, AT(intercept, include_groups), RANGE("0", "64"),
	  .def = "*", .about = "groups whose connections are caught" },
	{ .name = "exclude_outbound_groups", .type = KEY_OWNERS, AT(intercept, exclude_groups), RANGE("0", "64"),
	  .about = "groups whose connections are left alone" },
	{ .name = "exclude_dns", .type = KEY_BOOL, AT(intercept, exclude_dns), .def = "false",
	  .about = "true: outgoing connections to port 53 are left alone" },
	{ .name = "drop_invalid", .type = KEY_BOOL, AT(intercept, drop_invalid), .def = "false",
	  .about = "true: packets that belong to no connection are dropped" },
	{ .name = "tproxy_mark", .type = KEY_INTEGER, .flags = KEY_START_ONLY, AT(intercept, tproxy_mark), RANGE("1", "2147483647"),
	  .about = "with tproxy, of packets and sockets, this and the next one; 1337 unless given" },
	{ .name = "tproxy_route_table", .type = KEY_INTEGER, .flags = KEY_START_ONLY, AT(intercept, tproxy_table),
	  RANGE("1", "2147483647"), .about = "with tproxy, of routes for what is marked; 133 unless given" },
	{ .name = "on_exit", .type = KEY_WORD, AT(intercept, on_exit), .words = exits, .def = "bypass",
	  .about = "when meshd has died and no worker lives: take the rules out, or let connections fail" },
	LATER("dns_port"),
	ELSEWHERE("kubevirt_interfaces", "guest_interfaces"), ELSEWHERE("kube_virt_interfaces", "guest_interfaces"),
	ELSEWHERE("include_outbound_ip_ranges", "include_outbound_ranges"),
	ELSEWHERE("exclude_outbound_ip_ranges", "exclude_outbound_ranges"), ELSEWHERE("interception_mode", "mode"),
};
static const struct key_group intercept_group = GROUP(intercept, intercept_rows);

static const struct key weighted_rows[] = {
	{ .name = "name", .type = KEY_TEXT, .flags = KEY_REQUIRED, AT(weighted, name), NAME_RANGE, .about = "of a cluster" },
	{ .name = "weight", .type = KEY_INTEGER, .flags = KEY_REQUIRED, AT(weighted, weight), RANGE("0", "1000000"),
	  .about = "its share of the connections, of the sum of all" },
};
static const struct key_group weighted_group = GROUP(weighted, weighted_rows);

static const struct key filter_rows[] = {
	{ .name = "type", .type = KEY_WORD, .flags = KEY_REQUIRED, AT(filter, type), .words = filter_types,
	  .about = "what the filter does" },
	{ .name = "cluster", .type = KEY_TEXT, AT(filter, cluster), NAME_RANGE,
	  .about = "where connections or requests go; this or weighted_clusters is required" },
	{ .name = "weighted_clusters", .type = KEY_GROUPS, AT(filter, weighted), RANGE("1", "1000"), .group = &weighted_group,
	  .about = "in place of cluster: several, each with its share" },
	{ .name = "stat_prefix", .type = KEY_TEXT, AT(filter, stat_prefix), NAME_RANGE,
	  .about = "name in statistics; the cluster's, or the first weighted one's, unless given" },
	{ .name = "idle_timeout", .type = KEY_MILLISECONDS, AT(filter, idle_timeout_ms), IDLE_RANGE, .def = "1h",
	  .about = "without a byte either way, or without a request, for so long a connection is closed; 0s: never" },
	{ .name = "max_downstream_connection_duration", .type = KEY_MILLISECONDS, AT(filter, max_duration_ms), IDLE_RANGE,
	  .def = "0s", OF(FILTER_TCP_PROXY), .about = "a connection is closed at this age; 0s: never" },
	{ .name = "max_connect_attempts", .type = KEY_INTEGER, AT(filter, max_connect_attempts), RANGE("1", "100"), .def = "1",
	  .about = "endpoints tried, one after the other, before a connection or request is given up" },
	{ .name = "route_config_name", .type = KEY_TEXT, AT(filter, route_config_name), NAME_RANGE, OF(FILTER_HTTP),
	  .about = "of the route configuration; the statistics' name unless given" },
	{ .name = "virtual_host", .type = KEY_TEXT, AT(filter, virtual_host), NAME_RANGE, OF(FILTER_HTTP),
	  .about = "name of its only virtual host; the route configuration's unless given" },
	{ .name = "route_name", .type = KEY_TEXT, AT(filter, route_name), NAME_RANGE, .def = "default", OF(FILTER_HTTP),
	  .about = "of its only route, in the access log" },
	{ .name = "prefix", .type = KEY_PATH, AT(filter, prefix), RANGE("1", "1023"), .def = "/", OF(FILTER_HTTP),
	  .about = "what the path of a request begins with; others are answered with 404" },
	{ .name = "timeout", .type = KEY_MILLISECONDS, AT(filter, timeout_ms), IDLE_RANGE, .def = "15s", OF(FILTER_HTTP),
	  .about = "from the end of a request to the end of its answer; 0s: none" },
	{ .name = "server_name", .type = KEY_TEXT, AT(filter, server_name), NAME_RANGE, .def = "istio-envoy", OF(FILTER_HTTP),
	  .about = "the field \"server\" of answers" },
	{ .name = "max_request_line_bytes", .type = KEY_SIZE, AT(filter, max_request_line_bytes), RANGE("256", "64k"),
	  .def = "8k", OF(FILTER_HTTP), .about = "longer ones are answered with 414" },
	{ .name = "max_request_headers_kb", .type = KEY_INTEGER, AT(filter, max_request_headers_kb), RANGE("1", "1024"),
	  .def = "60", OF(FILTER_HTTP), .about = "KiB of a request's head; longer ones are answered with 431" },
	{ .name = "max_response_headers_kb", .type = KEY_INTEGER, AT(filter, max_response_headers_kb), RANGE("1", "1024"),
	  .def = "60", OF(FILTER_HTTP), .about = "KiB of an answer's head; longer ones become 502" },
	{ .name = "max_headers_count", .type = KEY_INTEGER, AT(filter, max_headers_count), RANGE("1", "1000"), .def = "100",
	  OF(FILTER_HTTP), .about = "fields of a head; requests with more are answered with 431, answers with more become 502" },
	{ .name = "max_requests_per_connection", .type = KEY_INTEGER, AT(filter, max_requests_per_connection),
	  RANGE("0", "1000000000"), .def = "0", OF(FILTER_HTTP), .about = "a connection is closed after so many; 0: any number" },
	{ .name = "max_request_bytes", .type = KEY_SIZE, AT(filter, max_request_bytes), RANGE("0", "4095m"), .def = "0",
	  OF(FILTER_HTTP), .about = "of a request's body; longer ones are answered with 413; 0: any number" },
	{ .name = "max_pipelined_requests", .type = KEY_INTEGER, AT(filter, max_pipelined_requests), RANGE("1", "1000"),
	  .def = "16", OF(FILTER_HTTP), .about = "of one connection that wait for their turn; more are not read before" },
	{ .name = "request_headers_timeout", .type = KEY_MILLISECONDS, AT(filter, request_headers_timeout_ms),
	  RANGE("0s", "1h"), .def = "10s", OF(FILTER_HTTP), .about = "from the first byte of a head to its end, else 408; 0s: none" },
	{ .name = "request_timeout", .type = KEY_MILLISECONDS, AT(filter, request_timeout_ms), IDLE_RANGE, .def = "0s",
	  OF(FILTER_HTTP), .about = "from the first byte of a request to its end, else 408; 0s: none" },
	{ .name = "stream_idle_timeout", .type = KEY_MILLISECONDS, AT(filter, stream_idle_timeout_ms), IDLE_RANGE,
	  .def = "5min", OF(FILTER_HTTP), .about = "a request without a byte either way for so long is ended; 0s: never" },
	{ .name = "max_connection_duration", .type = KEY_MILLISECONDS, AT(filter, max_connection_duration_ms), IDLE_RANGE,
	  .def = "0s", OF(FILTER_HTTP), .about = "a connection of this age is closed, after the request that it serves; 0s: never" },
	{ .name = "delayed_close_timeout", .type = KEY_MILLISECONDS, AT(filter, delayed_close_timeout_ms), RANGE("0s", "1min"),
	  .def = "1s", OF(FILTER_HTTP), .about = "for a client to take its last answer and close" },
	{ .name = "drain_timeout", .type = KEY_MILLISECONDS, AT(filter, drain_timeout_ms), RANGE("0s", "1h"), .def = "5s",
	  OF(FILTER_HTTP), .about = "for the request that a connection serves at max_connection_duration" },
	{ .name = "generate_request_id", .type = KEY_BOOL, AT(filter, generate_request_id), .def = "true", OF(FILTER_HTTP),
	  .about = "a request without x-request-id gets one" },
	{ .name = "preserve_external_request_id", .type = KEY_BOOL, AT(filter, preserve_external_request_id), .def = "false",
	  OF(FILTER_HTTP), .about = "with use_remote_address: the x-request-id of a client outside is kept" },
	{ .name = "use_remote_address", .type = KEY_BOOL, AT(filter, use_remote_address), OF(FILTER_HTTP),
	  .about = "clients are not trusted, x-forwarded-for gets their address; true at bound listeners, else false, unless given" },
	{ .name = "xff_num_trusted_hops", .type = KEY_INTEGER, AT(filter, xff_num_trusted_hops), RANGE("0", "100"), .def = "0",
	  OF(FILTER_HTTP), .about = "proxies before this one whose x-forwarded-for is believed" },
	{ .name = "normalize_path", .type = KEY_BOOL, AT(filter, normalize_path), .def = "true", OF(FILTER_HTTP),
	  .about = "\".\", \"..\" and what is escaped for nothing are resolved, before anything looks at a path" },
	{ .name = "accept_http_10", .type = KEY_BOOL, AT(filter, accept_http_10), .def = "true", OF(FILTER_HTTP),
	  .about = "false: HTTP/1.0 is answered with 426" },
	{ .name = "upgrade_configs", .type = KEY_WORDS, AT(filter, upgrades), RANGE("0", "2"), .words = upgrades,
	  .def = "websocket", OF(FILTER_HTTP), .about = "what a connection may become: a websocket, a CONNECT tunnel" },
	LATER("access_log"), LATER("hash_policy"), LATER("route_config"), LATER("rds"), LATER("http_filters"),
	LATER("merge_slashes"), LATER("path_with_escaped_slashes_action"), LATER("forward_client_cert_details"), LATER("via"),
	LATER("tracing"), LATER("codec_type"),
};
static const struct key_group filter_group = GROUP_OF_KINDS(filter, filter_rows, "type");

static const struct key match_rows[] = {
	{ .name = "destination_port", .type = KEY_PORT, AT(chain_match, port), PORT_RANGE,
	  .about = "original destination port, or a range of them; any unless given" },
	{ .name = "prefix_ranges", .type = KEY_PREFIXES, AT(chain_match, destinations), RANGE("0", "10000"),
	  .about = "original destination addresses; any unless given" },
	{ .name = "source_prefix_ranges", .type = KEY_PREFIXES, AT(chain_match, sources), RANGE("0", "10000"),
	  .about = "addresses of the client; any unless given" },
	{ .name = "application_protocols", .type = KEY_WORDS, AT(chain_match, applications), RANGE("1", "2"),
	  .words = applications, .about = "what a connection's first bytes are; any unless given" },
	LATER("server_names"), LATER("transport_protocol"), LATER("source_ports"),
	LATER("source_type"), LATER("direct_source_prefix_ranges"),
};
static const struct key_group match_group = GROUP(chain_match, match_rows);

static const struct key chain_rows[] = {
	{ .name = "name", .type = KEY_TEXT, AT(chain, name), NAME_RANGE, .about = "name within its listener" },
	{ .name = "filter_chain_match", .type = KEY_GROUP, AT(chain, match), .group = &match_group,
	  .about = "which connections; all unless given" },
	{ .name = "filters", .type = KEY_GROUPS, .flags = KEY_REQUIRED, AT(chain, filters), RANGE("1", "1"),
	  .group = &filter_group, .about = "what is done with them: one filter today" },
	LATER("transport_socket"), LATER("tls"),
};
static const struct key_group chain_group = GROUP(chain, chain_rows);

static const struct key listener_rows[] = {
	{ .name = "name", .type = KEY_TEXT, .flags = KEY_REQUIRED, AT(listener, name), NAME_RANGE, .about = "its name" },
	{ .name = "address", .type = KEY_IPS, .flags = KEY_REQUIRED, AT(listener, addresses), RANGE("1", "64"),
	  .about = "where it listens, or which original destinations it takes" },
	{ .name = "port", .type = KEY_PORT, .flags = KEY_REQUIRED, AT(listener, port), PORT_RANGE,
	  .about = "its port; with use_original_dst a range of them, too" },
	{ .name = "bind_to_port", .type = KEY_BOOL, AT(listener, bind_to_port), .def = "true",
	  .about = "false: no socket, a virtual listener hands connections over" },
	{ .name = "traffic_direction", .type = KEY_WORD, AT(listener, direction), .words = directions, .def = "unspecified",
	  .about = "which way its connections go" },
	{ .name = "use_original_dst", .type = KEY_BOOL, AT(listener, use_original_dst), .def = "false",
	  .about = "true: a virtual listener" },
	{ .name = "per_connection_buffer_limit_bytes", .type = KEY_SIZE, AT(listener, buffer_limit_bytes), BUFFER_RANGE,
	  .def = "1m", .about = "held at most for a slow peer, each direction of each connection" },
	{ .name = "tcp_backlog_size", .type = KEY_INTEGER, AT(listener, backlog), RANGE("1", "65535"), .def = "1024",
	  .about = "connections that the kernel queues" },
	{ .name = "max_connections", .type = KEY_INTEGER, AT(listener, max_connections), CONNECTIONS_RANGE, .def = "0",
	  .about = "open at once, over all workers; more are reset; 0: no limit" },
	{ .name = "listener_filters_timeout", .type = KEY_MILLISECONDS, AT(listener, filters_timeout_ms), RANGE("0s", "1h"),
	  .def = "0s", .about = "for the first bytes, where they decide between chains; then it is none of them; 0s: for ever" },
	{ .name = "filter_chains", .type = KEY_GROUPS, .flags = KEY_REQUIRED, AT(listener, chains), RANGE("1", "100000"),
	  .group = &chain_group, .about = "the most specific match takes the connection" },
	LATER("listener_filters"), LATER("protocol"), LATER("access_log"), LATER("transparent"),
	LATER("connection_balance_config"), LATER("tls"),
};
static const struct key_group listener_group = GROUP(listener, listener_rows);

static const struct key keepalive_rows[] = {
	{ .name = "keepalive_probes", .type = KEY_INTEGER, AT(keepalive, probes), RANGE("0", "127"), .def = "0",
	  .about = "unanswered ones that end a connection; 0: the system's value" },
	{ .name = "keepalive_time", .type = KEY_SECONDS, AT(keepalive, time_s), RANGE("0s", "32767s"), .def = "0s",
	  .about = "of silence before the first; 0s: the system's value" },
	{ .name = "keepalive_interval", .type = KEY_SECONDS, AT(keepalive, interval_s), RANGE("0s", "32767s"), .def = "0s",
	  .about = "between two of them; 0s: the system's value" },
};
static const struct key_group keepalive_group = GROUP(keepalive, keepalive_rows);

static const struct key endpoint_rows[] = {
	{ .name = "address", .type = KEY_ENDPOINT, .flags = KEY_REQUIRED, AT(endpoint, address), .about = "where it listens" },
	{ .name = "weight", .type = KEY_INTEGER, AT(endpoint, weight), RANGE("1", "1000"), .def = "1",
	  .about = "its share of the cluster's connections, of the sum of all" },
};
static const struct key_group endpoint_group = GROUP(endpoint, endpoint_rows);

static const struct key cluster_rows[] = {
	{ .name = "name", .type = KEY_TEXT, .flags = KEY_REQUIRED, AT(cluster, name), NAME_RANGE, .about = "its name" },
	{ .name = "type", .type = KEY_WORD, AT(cluster, type), .words = cluster_types, .def = "static",
	  .about = "where endpoints come from: this file, or the connection's original destination" },
	{ .name = "traffic_direction", .type = KEY_WORD, AT(cluster, direction), .words = directions, .def = "unspecified",
	  .about = "which way its connections go" },
	{ .name = "lb_policy", .type = KEY_WORD, AT(cluster, balancer), .words = balancers,
	  .about = "how an endpoint is chosen; round_robin, with original_dst cluster_provided, unless given" },
	{ .name = "connect_timeout", .type = KEY_MILLISECONDS, AT(cluster, connect_timeout_ms), CONNECT_RANGE, .def = "5s",
	  .about = "for opening a connection" },
	{ .name = "tcp_keepalive", .type = KEY_GROUP, AT(cluster, keepalive), .group = &keepalive_group,
	  .about = "its presence switches keepalive on" },
	{ .name = "per_connection_buffer_limit_bytes", .type = KEY_SIZE, AT(cluster, buffer_limit_bytes), BUFFER_RANGE,
	  .def = "1m", .about = "held at most for a slow peer, each direction of each connection" },
	{ .name = "max_connections", .type = KEY_INTEGER, AT(cluster, max_connections), CONNECTIONS_RANGE, .def = "0",
	  .about = "open at once, over all workers; a client of one more is reset; 0: no limit" },
	{ .name = "max_pending_requests", .type = KEY_INTEGER, AT(cluster, max_pending_requests), CONNECTIONS_RANGE,
	  .def = "1024", .about = "of HTTP, that wait for a connection, over all workers; more are answered with 503; 0: no limit" },
	{ .name = "max_requests", .type = KEY_INTEGER, AT(cluster, max_requests), CONNECTIONS_RANGE, .def = "0",
	  .about = "of HTTP, under way at once, over all workers; more are answered with 503; 0: no limit" },
	{ .name = "max_requests_per_connection", .type = KEY_INTEGER, AT(cluster, max_requests_per_connection),
	  RANGE("0", "1000000000"), .def = "0", .about = "an HTTP connection is closed after so many; 0: any number" },
	{ .name = "idle_timeout", .type = KEY_MILLISECONDS, AT(cluster, idle_timeout_ms), IDLE_RANGE, .def = "1h",
	  .about = "an HTTP connection that is kept is closed when it has served no request for so long; 0s: never" },
	{ .name = "max_connection_duration", .type = KEY_MILLISECONDS, AT(cluster, max_connection_duration_ms), IDLE_RANGE,
	  .def = "0s", .about = "an HTTP connection of this age gets no more requests; 0s: any age" },
	{ .name = "endpoints", .type = KEY_ENDPOINTS, AT(cluster, endpoints), LIST_RANGE, .group = &endpoint_group,
	  .about = "where to connect to; with none every connection is closed" },
	LATER("circuit_breakers"), LATER("outlier_detection"), LATER("health_checks"), LATER("load_assignment"),
	LATER("transport_socket"), LATER("tls"), LATER("dns_lookup_family"),
	LATER("common_lb_config"), LATER("upstream_bind_config"),
};
static const struct key_group cluster_group = GROUP(cluster, cluster_rows);

static const struct key inbound_rows[] = {
	{ .name = "port", .type = KEY_INTEGER, .flags = KEY_REQUIRED, AT(inbound, port), PORT_RANGE,
	  .about = "that the application serves" },
	{ .name = "protocol", .type = KEY_WORD, .flags = KEY_REQUIRED, AT(inbound, protocol), .words = protocols,
	  .about = "what it speaks there" },
	{ .name = "endpoint", .type = KEY_ENDPOINT, AT(inbound, endpoint),
	  .about = "where the application listens; 127.0.0.1 and the port, with tproxy where the client went, unless given" },
	{ .name = "idle_timeout", .type = KEY_MILLISECONDS, AT(inbound, idle_timeout_ms), IDLE_RANGE, .def = "1h",
	  .about = "as of a filter" },
	{ .name = "connect_timeout", .type = KEY_MILLISECONDS, AT(inbound, connect_timeout_ms), CONNECT_RANGE, .def = "5s",
	  .about = "as of a cluster" },
	LATER("tls"), LATER("name"),
};
static const struct key_group inbound_group = GROUP_OF_KINDS(inbound, inbound_rows, "protocol");

static const struct key service_rows[] = {
	{ .name = "name", .type = KEY_TEXT, .flags = KEY_REQUIRED, AT(service, name), NAME_RANGE, .about = "its name" },
	{ .name = "port", .type = KEY_INTEGER, .flags = KEY_REQUIRED, AT(service, port), PORT_RANGE,
	  .about = "that clients connect to" },
	{ .name = "protocol", .type = KEY_WORD, .flags = KEY_REQUIRED, AT(service, protocol), .words = protocols,
	  .about = "what it speaks there" },
	{ .name = "addresses", .type = KEY_IPS, AT(service, addresses), RANGE("1", "1000"),
	  .about = "that clients connect to; any unless given" },
	{ .name = "lb_policy", .type = KEY_WORD, AT(service, balancer), .words = service_balancers, .def = "round_robin",
	  .about = "as of a cluster" },
	{ .name = "max_connections", .type = KEY_INTEGER, AT(service, max_connections), CONNECTIONS_RANGE, .def = "0",
	  .about = "as of a cluster" },
	{ .name = "max_connect_attempts", .type = KEY_INTEGER, AT(service, max_connect_attempts), RANGE("1", "100"), .def = "1",
	  .about = "as of a filter" },
	{ .name = "timeout", .type = KEY_MILLISECONDS, AT(service, timeout_ms), IDLE_RANGE, .def = "0s",
	  OF_EITHER(PROTOCOL_HTTP, PROTOCOL_AUTO), .about = "from the end of a request to the end of its answer; 0s: none" },
	{ .name = "max_pending_requests", .type = KEY_INTEGER, AT(service, max_pending_requests), CONNECTIONS_RANGE,
	  .def = "1024", OF_EITHER(PROTOCOL_HTTP, PROTOCOL_AUTO), .about = "as of a cluster" },
	{ .name = "max_requests", .type = KEY_INTEGER, AT(service, max_requests), CONNECTIONS_RANGE, .def = "0",
	  OF_EITHER(PROTOCOL_HTTP, PROTOCOL_AUTO), .about = "as of a cluster" },
	{ .name = "max_requests_per_connection", .type = KEY_INTEGER, AT(service, max_requests_per_connection),
	  RANGE("0", "1000000000"), .def = "0", OF_EITHER(PROTOCOL_HTTP, PROTOCOL_AUTO), .about = "as of a cluster" },
	{ .name = "endpoints", .type = KEY_ENDPOINTS, .flags = KEY_REQUIRED, AT(service, endpoints), LIST_RANGE,
	  .group = &endpoint_group, .about = "where the service runs" },
	{ .name = "idle_timeout", .type = KEY_MILLISECONDS, AT(service, idle_timeout_ms), IDLE_RANGE, .def = "1h",
	  .about = "as of a filter" },
	{ .name = "connect_timeout", .type = KEY_MILLISECONDS, AT(service, connect_timeout_ms), CONNECT_RANGE, .def = "5s",
	  .about = "as of a cluster" },
	LATER("tls"), LATER("hosts"),
};
static const struct key_group service_group = GROUP_OF_KINDS(service, service_rows, "protocol");

static const struct key top_rows[] = {
	{ .name = "node", .type = KEY_GROUP, .flags = KEY_ALWAYS, AT(config, node), .group = &node_group,
	  .about = "who this proxy is" },
	{ .name = "workers", .type = KEY_INTEGER, .flags = KEY_START_ONLY, AT(config, workers), RANGE("0", "64"), .def = "0",
	  .about = "worker processes; 0: one for each usable core" },
	{ .name = "user", .type = KEY_ACCOUNT, .flags = KEY_START_ONLY, AT(config, user), RANGE("1", "32"), .def = "meshd",
	  .about = "that workers run as" },
	{ .name = "agent_user", .type = KEY_ACCOUNT, .flags = KEY_START_ONLY, AT(config, agent_user), RANGE("1", "32"),
	  .def = "meshd-agent", .about = "that the agent runs as" },
	{ .name = "admin_group", .type = KEY_ACCOUNT, .flags = KEY_START_ONLY, AT(config, admin_group), RANGE("1", "32"),
	  .def = "meshd-admin", .about = "whose members may use meshctl" },
	{ .name = "runtime_dir", .type = KEY_PATH, .flags = KEY_START_ONLY, AT(config, runtime_dir), RANGE("1", "90"),
	  .def = "/run/meshd", .about = "folder of the sockets" },
	{ .name = "access_log", .type = KEY_PATH, AT(config, access_log), RANGE("0", "1023"), .def = "",
	  .about = "a line for each connection goes there; \"\": off" },
	{ .name = "drain_time", .type = KEY_MILLISECONDS, AT(config, drain_time_ms), RANGE("0s", "1h"), .def = "5s",
	  .about = "that open connections get when meshd stops" },
	{ .name = "orphan_timeout", .type = KEY_MILLISECONDS, AT(config, orphan_timeout_ms), RANGE("0s", "24h"), .def = "1min",
	  .about = "that workers serve on when the master has died, before they drain" },
	{ .name = "max_connections", .type = KEY_INTEGER, AT(config, max_connections), CONNECTIONS_RANGE, .def = "0",
	  .about = "from clients, open at once, over all listeners and workers; more are reset; 0: no limit" },
	{ .name = "intercept", .type = KEY_GROUP, AT(config, intercept), .group = &intercept_group,
	  .about = "catch the connections of this host's programs" },
	{ .name = "outbound_traffic_policy", .type = KEY_WORD, AT(config, policy), .words = policies, .def = "allow_any",
	  .about = "what becomes of connections to destinations that this file does not name" },
	{ .name = "listeners", .type = KEY_GROUPS, AT(config, listeners), LIST_RANGE, .group = &listener_group,
	  .about = "full form: where connections come from" },
	{ .name = "clusters", .type = KEY_GROUPS, AT(config, clusters), LIST_RANGE, .group = &cluster_group,
	  .about = "full form: where connections go" },
	{ .name = "inbound", .type = KEY_GROUPS, .flags = KEY_PLAIN, AT(config, inbound), LIST_RANGE,
	  .group = &inbound_group, .about = "plain form: ports that this host's application serves" },
	{ .name = "services", .type = KEY_GROUPS, .flags = KEY_PLAIN, AT(config, services), LIST_RANGE,
	  .group = &service_group, .about = "plain form: services that this host's programs use" },
	LATER("route_configs"), LATER("istio"), LATER("secrets"), LATER("tls"), LATER("dns"), LATER("tracing"),
	LATER("metrics"), LATER("xds"),
};
const struct key_group keys_top = GROUP(config, top_rows);
