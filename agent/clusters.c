/* /clusters: each endpoint with what was counted for it, in Envoy's text form and its JSON. */
#include "agent/answers.h"
#include "agent/text.h"

#include <stdlib.h>

#define N_EG(f, n, w) [ENDPOINT_G_##f] = n,
#define N_EC(f, n, w) [ENDPOINT_C_##f] = n,
static const char *const gauges[] = { ENDPOINT_GAUGES(N_EG) };
static const char *const counters[] = { ENDPOINT_COUNTERS(N_EC) };

static void endpoint_text(const struct agent *a, const char *cluster, const struct image_endpoint *p, FILE *out)
{
	char address[ADDR_STRLEN];

	addr_print(&p->addr, address);
	for (unsigned i = 1; i < ENDPOINT_NGAUGES; i++)
		fprintf(out, "%s::%s::%s::%llu\n", cluster, address, gauges[i],
		    (unsigned long long)agent_gauge(a, p->name_index, i));
	for (unsigned i = 0; i < ENDPOINT_NCOUNTERS; i++)
		fprintf(out, "%s::%s::%s::%llu\n", cluster, address, counters[i],
		    (unsigned long long)agent_counter(a, p->name_index, i));
	fprintf(out, "%s::%s::health_flags::healthy\n", cluster, address);
	fprintf(out, "%s::%s::weight::%u\n", cluster, address, p->weight);
}

static void limit_text(const char *cluster, const char *limit, uint32_t value, FILE *out)
{
	if (value != 0)
		fprintf(out, "%s::default_priority::%s::%u\n", cluster, limit, value);
}

static void cluster_text(const struct agent *a, const struct image_cluster *c, FILE *out)
{
	const char *name = image_text(&a->image, c->name);

	fprintf(out, "%s::observability_name::%s\n", name, name);
	fprintf(out, "%s::lb_policy::%s\n", name, text_balancer(c));
	limit_text(name, "max_connections", c->max_connections, out);
	limit_text(name, "max_pending_requests", c->max_pending_requests, out);
	limit_text(name, "max_requests", c->max_requests, out);
	fprintf(out, "%s::added_via_api::true\n", name);
	for (uint32_t i = 0; i < c->endpoint_count; i++)
		endpoint_text(a, name, image_endpoint(&a->image, c->first_endpoint + i), out);
}

static json_t *endpoint_json(const struct agent *a, const struct image_endpoint *p)
{
	json_t *stats = json_array();

	for (unsigned i = 1; i < ENDPOINT_NGAUGES; i++)
		json_array_append_new(stats, json_pack("{s:s, s:s, s:I}", "type", "GAUGE", "name", gauges[i],
		    "value", (json_int_t)agent_gauge(a, p->name_index, i)));
	for (unsigned i = 0; i < ENDPOINT_NCOUNTERS; i++)
		json_array_append_new(stats, json_pack("{s:s, s:I}", "name", counters[i],
		    "value", (json_int_t)agent_counter(a, p->name_index, i)));
	return json_pack("{s:o, s:o, s:{s:s}, s:I}", "address", text_address(&p->addr), "stats", stats,
	    "health_status", "eds_health_status", "HEALTHY", "weight", (json_int_t)p->weight);
}

static json_t *cluster_json(const struct agent *a, const struct image_cluster *c)
{
	const char *name = image_text(&a->image, c->name);
	json_t *hosts = json_array(), *j, *breakers = text_breakers(c);

	for (uint32_t i = 0; i < c->endpoint_count; i++)
		json_array_append_new(hosts, endpoint_json(a, image_endpoint(&a->image, c->first_endpoint + i)));
	j = json_pack("{s:o, s:b, s:o, s:o}", "name", text_json(name), "added_via_api", 1,
	    "observability_name", text_json(name), "host_statuses", hosts);
	if (breakers != NULL)
		json_object_set_new(j, "circuit_breakers", breakers);
	return j;
}

unsigned answer_clusters(const struct agent *a, const struct query *q, FILE *out)
{
	uint32_t n = image_count(&a->image, SECTION_CLUSTERS);
	struct text_list list = { out, 0, false };

	if (!q->json) {
		for (uint32_t i = 0; i < n; i++)
			cluster_text(a, image_cluster(&a->image, i), out);
		return 200;
	}
	fputs("{\"cluster_statuses\": [\n", out);
	for (uint32_t i = 0; i < n; i++)
		text_item(&list, cluster_json(a, image_cluster(&a->image, i)));
	fputs("\n]}\n", out);
	return list.failed ? 500 : 200;
}
