/* The HTTP part of /config_dump: see dump_http.h. */
#include "agent/dump_http.h"

#include "agent/text.h"

#define TYPE(name) "@type", "type.googleapis.com/" name

/* ---- routes ---- */

/* `upto` of the one before and its own: see struct image_target. */
json_t *dump_weighted_clusters(const struct agent *a, uint32_t first_target, uint32_t count)
{
	json_t *list = json_array();
	uint32_t before = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct image_target *target = image_target(&a->image, first_target + i);
		const struct image_cluster *c = image_cluster(&a->image, target->cluster);

		json_array_append_new(list, json_pack("{s:o, s:I}", "name", text_json(image_text(&a->image, c->name)),
		    "weight", (json_int_t)target->upto - before));
		before = target->upto;
	}
	return json_pack("{s:o}", "clusters", list);
}

static json_t *route_action(const struct agent *a, const struct image_route *r)
{
	const struct image_cluster *c = image_cluster(&a->image, image_target(&a->image, r->first_target)->cluster);
	json_t *j = json_pack("{s:o}", "timeout", text_duration(r->timeout_ms));

	if (r->target_count == 1)
		json_object_set_new(j, "cluster", text_json(image_text(&a->image, c->name)));
	else
		json_object_set_new(j, "weighted_clusters", dump_weighted_clusters(a, r->first_target, r->target_count));
	return j;
}

static json_t *routes_json(const struct agent *a, const struct image_vhost *v)
{
	json_t *routes = json_array();

	for (uint32_t i = 0; i < v->route_count; i++) {
		const struct image_route *r = image_route(&a->image, v->first_route + i);

		json_array_append_new(routes, json_pack("{s:o, s:{s:o}, s:o}", "name", text_json(image_text(&a->image, r->name)),
		    "match", "prefix", text_json(image_text(&a->image, r->text)), "route", route_action(a, r)));
	}
	return routes;
}

static json_t *domains_json(const struct agent *a, const struct image_route_config *r, uint32_t vhost)
{
	uint32_t suffixes = r->exact_count + r->suffix_count;
	json_t *domains = json_array();

	for (uint32_t i = 0; i < suffixes + r->prefix_count; i++) {
		const struct image_domain *d = image_domain(&a->image, r->first_domain + i);
		const char *text = image_text(&a->image, d->text);

		if (d->vhost == vhost)
			json_array_append_new(domains, json_sprintf(i < r->exact_count ? "%s" : i < suffixes ? "*%s" : "%s*", text));
	}
	if (r->any_vhost == vhost)
		json_array_append_new(domains, json_string("*"));
	return domains;
}

json_t *dump_route_config(const struct agent *a, const struct image_route_config *r)
{
	json_t *vhosts = json_array();

	for (uint32_t i = 0; i < r->vhost_count; i++) {
		const struct image_vhost *v = image_vhost(&a->image, r->first_vhost + i);

		json_array_append_new(vhosts, json_pack("{s:o, s:o, s:o}", "name", text_json(image_text(&a->image, v->name)),
		    "domains", domains_json(a, r, r->first_vhost + i), "routes", routes_json(a, v)));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", TYPE("envoy.config.route.v3.RouteConfiguration"),
	    "name", text_json(image_text(&a->image, r->name)), "virtual_hosts", vhosts, "ignore_port_in_host_matching", 1);
}

/* ---- connection managers ---- */

static json_t *upgrades(const struct image_http *h)
{
	json_t *list = json_array();

	if (h->upgrades & UPGRADE_WEBSOCKET)
		json_array_append_new(list, json_pack("{s:s}", "upgrade_type", "websocket"));
	if (h->upgrades & UPGRADE_CONNECT)
		json_array_append_new(list, json_pack("{s:s}", "upgrade_type", "CONNECT"));
	return list;
}

static json_t *protocol_options(const struct image_http *h)
{
	json_t *j = json_pack("{s:o, s:I, s:I}", "idle_timeout", text_duration(h->idle_timeout_ms),
	    "max_headers_count", (json_int_t)h->max_headers_count,
	    "max_response_headers_kb", (json_int_t)h->max_response_headers_bytes / 1024);

	if (h->max_connection_duration_ms != 0)
		json_object_set_new(j, "max_connection_duration", text_duration(h->max_connection_duration_ms));
	if (h->max_requests_per_connection != 0)
		json_object_set_new(j, "max_requests_per_connection", json_integer(h->max_requests_per_connection));
	return j;
}

static void set_times(json_t *j, const struct image_http *h)
{
	json_object_set_new(j, "stream_idle_timeout", text_duration(h->stream_idle_timeout_ms));
	json_object_set_new(j, "request_timeout", text_duration(h->request_timeout_ms));
	json_object_set_new(j, "request_headers_timeout", text_duration(h->request_headers_timeout_ms));
	json_object_set_new(j, "drain_timeout", text_duration(h->drain_timeout_ms));
	json_object_set_new(j, "delayed_close_timeout", text_duration(h->delayed_close_timeout_ms));
}

json_t *dump_connection_manager(const struct agent *a, const struct image_http *h, bool inline_routes)
{
	const struct image_route_config *r = image_route_config(&a->image, h->route_config);
	json_t *j = json_pack("{s:s, s:s, s:o, s:[{s:s, s:{s:s}}], s:o, s:b, s:I, s:b, s:b, s:b, s:o, s:I, s:o, s:{s:b}}",
	    TYPE("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"), "codec_type", "HTTP1",
	    "stat_prefix", text_json(image_text(&a->image, h->stat_prefix)),
	    "http_filters", "name", "envoy.filters.http.router",
	    "typed_config", TYPE("envoy.extensions.filters.http.router.v3.Router"),
	    "server_name", text_json(image_text(&a->image, h->server_name)),
	    "use_remote_address", h->use_remote_address, "xff_num_trusted_hops", (json_int_t)h->xff_num_trusted_hops,
	    "generate_request_id", h->generate_request_id,
	    "preserve_external_request_id", h->preserve_external_request_id, "normalize_path", h->normalize_path,
	    "upgrade_configs", upgrades(h), "max_request_headers_kb", (json_int_t)h->max_request_headers_bytes / 1024,
	    "common_http_protocol_options", protocol_options(h),
	    "http_protocol_options", "accept_http_10", h->accept_http_10);

	set_times(j, h);
	if (inline_routes)
		json_object_set_new(j, "route_config", dump_route_config(a, r));
	else
		json_object_set_new(j, "rds", json_pack("{s:o}", "route_config_name", text_json(image_text(&a->image, r->name))));
	return j;
}

json_t *dump_http_metadata(const struct image_http *h)
{
	return json_pack("{s:{s:{s:I, s:I, s:I, s:I}}}", "filter_metadata", "meshd",
	    "max_request_line_bytes", (json_int_t)h->max_request_line_bytes,
	    "max_request_bytes", (json_int_t)h->max_request_bytes,
	    "max_pipelined_requests", (json_int_t)h->max_pipelined_requests,
	    "max_connect_attempts", (json_int_t)h->max_connect_attempts);
}

/* ---- clusters ---- */

json_t *dump_protocol_options(const struct image_cluster *c)
{
	json_t *common = json_pack("{s:o}", "idle_timeout", text_duration(c->idle_timeout_ms));

	if (c->max_connection_duration_ms != 0)
		json_object_set_new(common, "max_connection_duration", text_duration(c->max_connection_duration_ms));
	if (c->max_requests_per_connection != 0)
		json_object_set_new(common, "max_requests_per_connection", json_integer(c->max_requests_per_connection));
	return json_pack("{s:{s:s, s:o, s:{s:{}}}}", "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
	    TYPE("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"), "common_http_protocol_options", common,
	    "explicit_http_config", "http_protocol_options");
}
