/* The HTTP part of /config_dump: connection managers and route configurations in the shapes of Envoy's v3 API. */
#pragma once

#include "agent/agent.h"

#include <jansson.h>

/* `inline_routes`: its route configuration stands in it, as Istio has it inbound; else its name does. */
json_t *dump_connection_manager(const struct agent *, const struct image_http *, bool inline_routes);
/* What Envoy has no field for: {"filter_metadata": {"meshd": ...}} of its filter chain. */
json_t *dump_http_metadata(const struct image_http *);
json_t *dump_route_config(const struct agent *, const struct image_route_config *);
/* Of a tcp_proxy's or a route's targets: {"clusters": [{"name", "weight"}]} */
json_t *dump_weighted_clusters(const struct agent *, uint32_t first_target, uint32_t count);
/* The cluster's HttpProtocolOptions by their extension's name. */
json_t *dump_protocol_options(const struct image_cluster *);
