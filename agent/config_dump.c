/*
 * /config_dump: the generation in use in the shapes of Envoy's v3 API, field names in snake_case as its admin prints
 * them.  Everything can change with a reload, so everything stands under `dynamic_`.
 */
#include "agent/answers.h"
#include "agent/dump_http.h"
#include "agent/text.h"
#include "common/match.h"

#include <stdlib.h>
#include <string.h>

#define TYPE(name) "@type", "type.googleapis.com/" name

static const char *const directions[] = {
	[DIRECTION_NONE] = "UNSPECIFIED", [DIRECTION_INBOUND] = "INBOUND", [DIRECTION_OUTBOUND] = "OUTBOUND",
};

/* ---- clusters ---- */

static json_t *load_assignment(const struct agent *a, const struct image_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->endpoint_count; i++) {
		const struct image_endpoint *p = image_endpoint(&a->image, c->first_endpoint + i);

		json_array_append_new(list, json_pack("{s:{s:o}, s:I}", "endpoint", "address", text_address(&p->addr),
		    "load_balancing_weight", (json_int_t)p->weight));
	}
	return json_pack("{s:o, s:[{s:o}]}", "cluster_name", text_json(image_text(&a->image, c->name)),
	    "endpoints", "lb_endpoints", list);
}

static json_t *keepalive(const struct image_cluster *c)
{
	json_t *k = json_object();

	if (c->keepalive_probes != 0)
		json_object_set_new(k, "keepalive_probes", json_integer(c->keepalive_probes));
	if (c->keepalive_time_s != 0)
		json_object_set_new(k, "keepalive_time", json_integer(c->keepalive_time_s));
	if (c->keepalive_interval_s != 0)
		json_object_set_new(k, "keepalive_interval", json_integer(c->keepalive_interval_s));
	return json_pack("{s:o}", "tcp_keepalive", k);
}

static json_t *cluster_json(const struct agent *a, const struct image_cluster *c)
{
	json_t *j = json_pack("{s:s, s:o, s:s, s:o, s:s, s:I}", TYPE("envoy.config.cluster.v3.Cluster"),
	    "name", text_json(image_text(&a->image, c->name)),
	    "type", c->type == CLUSTER_ORIGINAL_DST ? "ORIGINAL_DST" : "STATIC",
	    "connect_timeout", text_duration(c->connect_timeout_ms),
	    "lb_policy", text_balancer(c), "per_connection_buffer_limit_bytes", (json_int_t)c->buffer_limit_bytes), *breakers;

	if ((breakers = text_breakers(c)) != NULL)
		json_object_set_new(j, "circuit_breakers", breakers);
	json_object_set_new(j, "typed_extension_protocol_options", dump_protocol_options(c));
	if (c->type == CLUSTER_STATIC)
		json_object_set_new(j, "load_assignment", load_assignment(a, c));
	else if (c->direction == DIRECTION_INBOUND)
		json_object_set_new(j, "upstream_bind_config", json_pack("{s:{s:s, s:i}}",
		    "source_address", "address", "127.0.0.6", "port_value", 0));
	if (c->keepalive)
		json_object_set_new(j, "upstream_connection_options", keepalive(c));
	return j;
}

/* ---- listeners ---- */

static json_t *tcp_proxy_json(const struct agent *a, const struct image_tcp_proxy *t)
{
	const struct image_cluster *c = image_cluster(&a->image, image_target(&a->image, t->first_target)->cluster);
	json_t *j = json_pack("{s:s, s:o, s:o, s:I}", TYPE("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
	    "stat_prefix", text_json(image_text(&a->image, t->stat_prefix)),
	    "idle_timeout", text_duration(t->idle_timeout_ms), "max_connect_attempts", (json_int_t)t->max_connect_attempts);

	if (t->target_count == 1)
		json_object_set_new(j, "cluster", text_json(image_text(&a->image, c->name)));
	else
		json_object_set_new(j, "weighted_clusters", dump_weighted_clusters(a, t->first_target, t->target_count));
	if (t->max_duration_ms != 0)
		json_object_set_new(j, "max_downstream_connection_duration", text_duration(t->max_duration_ms));
	return j;
}

static json_t *filter_json(const struct agent *a, const struct image_filter *f, bool inbound)
{
	if (f->type == FILTER_HTTP)
		return json_pack("{s:s, s:o}", "name", "envoy.filters.network.http_connection_manager",
		    "typed_config", dump_connection_manager(a, image_http(&a->image, f->index), inbound));
	return json_pack("{s:s, s:o}", "name", "envoy.filters.network.tcp_proxy",
	    "typed_config", tcp_proxy_json(a, image_tcp_proxy(&a->image, f->index)));
}

/* An unnamed chain has none here either. */
static json_t *chain_json(const struct agent *a, const struct image_chain *c, bool inbound)
{
	json_t *j = json_object(), *filters = json_array();
	const char *name = image_text(&a->image, c->name);

	for (uint32_t i = 0; i < c->filter_count; i++) {
		const struct image_filter *f = image_filter(&a->image, c->first_filter + i);

		json_array_append_new(filters, filter_json(a, f, inbound));
		if (f->type == FILTER_HTTP)
			json_object_set_new(j, "metadata", dump_http_metadata(image_http(&a->image, f->index)));
	}
	json_object_set_new(j, "filters", filters);
	if (*name != '\0')
		json_object_set_new(j, "name", text_json(name));
	return j;
}

static json_t *member(json_t *object, const char *key, json_t *(*make)(void))
{
	json_t *j = json_object_get(object, key);

	if (j == NULL && json_object_set_new(object, key, make()) == 0)
		j = json_object_get(object, key);
	return j;
}

/* The image has a record for each pair of a destination and a source: each is shown once. */
static void add_prefix(json_t *match, const char *key, const struct prefix *p)
{
	char text[ADDR_STRLEN], *slash;
	json_t *list, *one, *other;
	size_t i;

	if (p->family == 0)
		return;
	prefix_print(p, text);
	if ((slash = strchr(text, '/')) == NULL)
		return;
	*slash = '\0';
	one = json_pack("{s:s, s:i}", "address_prefix", text, "prefix_len", atoi(slash + 1));
	list = member(match, key, json_array);
	json_array_foreach(list, i, other) {
		if (json_equal(one, other)) {
			json_decref(one);
			return;
		}
	}
	json_array_append_new(list, one);
}

/* Sorted down, and those of one chain come again for each source. */
static void add_application(json_t *match, uint8_t application)
{
	const char *name = match_application_name(application);
	json_t *list, *other;
	size_t i;

	if (application == APPLICATION_ANY)
		return;
	list = member(match, "application_protocols", json_array);
	json_array_foreach(list, i, other) {
		if (strcmp(json_string_value(other), name) == 0)
			return;
	}
	json_array_insert_new(list, 0, json_string(name));
}

static json_t *chains_json(const struct agent *a, const struct image_listener *l)
{
	json_t *chains = json_array();

	for (uint32_t i = 0; i < l->chain_count; i++)
		json_array_append_new(chains, chain_json(a, image_chain(&a->image, l->first_chain + i),
		    l->direction == DIRECTION_INBOUND));
	for (uint32_t i = 0; i < l->match_count; i++) {
		const struct image_match *m = image_match(&a->image, l->first_match + i);
		json_t *chain = json_array_get(chains, m->chain - l->first_chain), *match;

		if (m->port == 0 && m->destination.family == 0 && m->source.family == 0 && m->application == APPLICATION_ANY)
			continue;
		match = member(chain, "filter_chain_match", json_object);
		if (m->port != 0)
			json_object_set_new(match, "destination_port", json_integer(m->port));
		add_prefix(match, "prefix_ranges", &m->destination);
		add_application(match, m->application);
		add_prefix(match, "source_prefix_ranges", &m->source);
	}
	return chains;
}

/* Where a chain asks for an application protocol there is somebody who finds out. */
static void add_inspector(const struct agent *a, const struct image_listener *l, json_t *j)
{
	uint32_t i = 0;

	while (i < l->match_count && image_match(&a->image, l->first_match + i)->application == APPLICATION_ANY)
		i++;
	if (i == l->match_count)
		return;
	json_object_set_new(j, "listener_filters", json_pack("[{s:s, s:{s:s}}]", "name", "envoy.filters.listener.http_inspector",
	    "typed_config", TYPE("envoy.extensions.filters.listener.http_inspector.v3.HttpInspector")));
	json_object_set_new(j, "listener_filters_timeout", text_duration(l->filters_timeout_ms));
	json_object_set_new(j, "continue_on_listener_filters_timeout", json_true());
}

/* Its first one; of the inbound listener that binds nothing, the port that both directions share. */
static json_t *listener_address(const struct agent *a, const struct image_listener *l)
{
	const struct addr shared = { .family = AF_INET, .port = image_settings(&a->image)->intercept.inbound_port,
		.ip = { [10] = 0xff, 0xff } };

	return text_address(l->bind_count > 0 ? &image_bind(&a->image, l->first_bind)->addr : &shared);
}

static json_t *listener_json(const struct agent *a, const struct image_listener *l)
{
	bool is_virtual = l->kind == LISTENER_VIRTUAL_OUTBOUND || l->kind == LISTENER_VIRTUAL_INBOUND;
	json_t *more = json_array(), *j = json_pack("{s:s, s:o, s:o, s:o, s:s, s:b, s:I, s:I}",
	    TYPE("envoy.config.listener.v3.Listener"), "name", text_json(image_text(&a->image, l->name)),
	    "address", listener_address(a, l),
	    "filter_chains", chains_json(a, l), "traffic_direction", directions[l->direction],
	    "bind_to_port", l->kind != LISTENER_REAL && l->bind_count > 0,
	    "per_connection_buffer_limit_bytes", (json_int_t)l->buffer_limit_bytes,
	    "tcp_backlog_size", (json_int_t)l->backlog);

	for (uint32_t i = 1; i < l->bind_count; i++)
		json_array_append_new(more, json_pack("{s:o}", "address",
		    text_address(&image_bind(&a->image, l->first_bind + i)->addr)));
	if (json_array_size(more) > 0)
		json_object_set(j, "additional_addresses", more);
	json_decref(more);
	if (is_virtual)
		json_object_set_new(j, "use_original_dst", json_true());
	add_inspector(a, l, j);
	return j;
}

/* ---- the whole ---- */

struct dump {
	const struct agent *agent;
	FILE *out;
	json_t *version, *updated;
	bool failed;
};

static void begin_dump(struct dump *d, const struct agent *a, FILE *out)
{
	uint32_t row = live_generation_row(&a->live, a->generation);

	*d = (struct dump){ a, out, json_sprintf("%llu", (unsigned long long)a->generation),
		text_time(row == IMAGE_NONE ? 0 : live_get(&a->live.head->generations[row].born_ns)), false };
}

static void put_listeners(struct dump *d)
{
	const struct image *image = &d->agent->image;
	struct text_list list = { d->out, 0, false };

	fprintf(d->out, "{\"@type\": \"type.googleapis.com/envoy.admin.v3.ListenersConfigDump\", \"version_info\": \"%s\", "
	    "\"dynamic_listeners\": [\n", json_string_value(d->version));
	for (uint32_t i = 0; i < image_count(image, SECTION_LISTENERS); i++) {
		const struct image_listener *l = image_listener(image, i);

		text_item(&list, json_pack("{s:o, s:{s:O, s:o, s:O}}", "name", text_json(image_text(image, l->name)),
		    "active_state", "version_info", d->version, "listener", listener_json(d->agent, l),
		    "last_updated", d->updated));
	}
	fputs("\n]}", d->out);
	d->failed |= list.failed;
}

static void put_clusters(struct dump *d)
{
	const struct image *image = &d->agent->image;
	struct text_list list = { d->out, 0, false };

	fprintf(d->out, "{\"@type\": \"type.googleapis.com/envoy.admin.v3.ClustersConfigDump\", \"version_info\": \"%s\", "
	    "\"dynamic_active_clusters\": [\n", json_string_value(d->version));
	for (uint32_t i = 0; i < image_count(image, SECTION_CLUSTERS); i++)
		text_item(&list, json_pack("{s:O, s:o, s:O}", "version_info", d->version,
		    "cluster", cluster_json(d->agent, image_cluster(image, i)), "last_updated", d->updated));
	fputs("\n]}", d->out);
	d->failed |= list.failed;
}

/* A byte for each route configuration: 1 where a connection manager has it in itself.  NULL: no memory. */
static uint8_t *find_inline(const struct image *image)
{
	uint8_t *found = calloc(image_count(image, SECTION_ROUTE_CONFIGS) + 1, 1);

	for (uint32_t i = 0; found != NULL && i < image_count(image, SECTION_LISTENERS); i++) {
		const struct image_listener *l = image_listener(image, i);

		for (uint32_t k = 0; k < l->chain_count && l->direction == DIRECTION_INBOUND; k++) {
			const struct image_chain *c = image_chain(image, l->first_chain + k);
			const struct image_filter *f = image_filter(image, c->first_filter + c->filter_count - 1);

			if (f->type == FILTER_HTTP)
				found[image_http(image, f->index)->route_config] = 1;
		}
	}
	return found;
}

static void put_static_routes(struct dump *d, const uint8_t *is_inline)
{
	const struct image *image = &d->agent->image;
	struct text_list list = { d->out, 0, false };

	for (uint32_t i = 0; i < image_count(image, SECTION_ROUTE_CONFIGS); i++) {
		if (is_inline[i])
			text_item(&list, json_pack("{s:o, s:O}", "route_config", dump_route_config(d->agent, image_route_config(image, i)),
			    "last_updated", d->updated));
	}
	d->failed |= list.failed;
}

static void put_dynamic_routes(struct dump *d, const uint8_t *is_inline)
{
	const struct image *image = &d->agent->image;
	struct text_list list = { d->out, 0, false };

	for (uint32_t i = 0; i < image_count(image, SECTION_ROUTE_CONFIGS); i++) {
		if (!is_inline[i])
			text_item(&list, json_pack("{s:O, s:o, s:O}", "version_info", d->version,
			    "route_config", dump_route_config(d->agent, image_route_config(image, i)), "last_updated", d->updated));
	}
	d->failed |= list.failed;
}

/* What a connection manager has in itself is static for Envoy, whatever becomes of its listener. */
static void put_routes(struct dump *d)
{
	uint8_t *is_inline = find_inline(&d->agent->image);

	if (is_inline == NULL) {
		d->failed = true;
		return;
	}
	fputs("{\"@type\": \"type.googleapis.com/envoy.admin.v3.RoutesConfigDump\", \"static_route_configs\": [\n", d->out);
	put_static_routes(d, is_inline);
	fputs("\n], \"dynamic_route_configs\": [\n", d->out);
	put_dynamic_routes(d, is_inline);
	fputs("\n]}", d->out);
	free(is_inline);
}

/* Limits that are no field of an object with Envoy, but a runtime key: of the whole and of a listener. */
static json_t *limits_json(const struct image *image)
{
	json_t *limits = json_object();
	uint32_t all = image_settings(image)->max_connections;

	if (all != 0)
		json_object_set_new(limits, "overload.global_downstream_max_connections", json_integer(all));
	for (uint32_t i = 0; i < image_count(image, SECTION_LISTENERS); i++) {
		const struct image_listener *l = image_listener(image, i);
		json_t *key;

		if (l->max_connections == 0)
			continue;
		key = json_sprintf("envoy.resource_limits.listener.%s.connection_limit", image_text(image, l->name));
		if (key != NULL)
			json_object_set_new(limits, json_string_value(key), json_integer(l->max_connections));
		json_decref(key);
	}
	return limits;
}

static void put_bootstrap(struct dump *d)
{
	const struct image *image = &d->agent->image;
	json_t *limits = limits_json(image), *bootstrap = json_pack("{s:{s:o, s:s, s:s}}",
	    "node", "id", text_json(image_text(image, image_settings(image)->node_id)),
	    "user_agent_name", "meshd", "user_agent_version", MESHD_VERSION);
	struct text_list list = { d->out, 0, false };

	if (json_object_size(limits) > 0)
		json_object_set_new(bootstrap, "layered_runtime", json_pack("{s:[{s:s, s:O}]}", "layers",
		    "name", "limits", "static_layer", limits));
	json_decref(limits);
	text_item(&list, json_pack("{s:s, s:o, s:O}", TYPE("envoy.admin.v3.BootstrapConfigDump"), "bootstrap", bootstrap,
	    "last_updated", d->updated));
	d->failed |= list.failed;
}

unsigned answer_config_dump(const struct agent *a, const struct query *q, FILE *out)
{
	struct dump d;

	(void)q;
	begin_dump(&d, a, out);
	if (d.version == NULL || d.updated == NULL) {
		d.failed = true;
	} else {
		fputs("{\"configs\": [\n", out);
		put_bootstrap(&d);
		fputs(",\n", out);
		put_clusters(&d);
		fputs(",\n", out);
		put_listeners(&d);
		fputs(",\n", out);
		put_routes(&d);
		fputs("\n]}\n", out);
	}
	json_decref(d.version);
	json_decref(d.updated);
	return d.failed ? 500 : 200;
}
