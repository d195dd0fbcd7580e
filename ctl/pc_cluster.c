/* proxy-config cluster and endpoint: istioctl's tables of clusters and of their endpoints. */
#include "ctl/json.h"
#include "ctl/name.h"
#include "ctl/proxyconfig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- clusters ---- */

static int by_cluster_name(const void *a, const void *b)
{
	struct cluster_name x, y;

	cluster_name_split(json_text(*(json_t *const *)a, "name"), &x);
	cluster_name_split(json_text(*(json_t *const *)b, "name"), &y);
	return cluster_name_compare(&x, &y);
}

static bool cluster_passes(const char *name, const struct cluster_name *n, const struct cluster_filter *f)
{
	return (f->fqdn == NULL || strstr(name, f->fqdn) != NULL) && (f->port == 0 || n->port == f->port) &&
	    (f->subset == NULL || strcmp(n->subset, f->subset) == 0) &&
	    (f->direction == NULL || strcasecmp(n->direction, f->direction) == 0);
}

static const char *or_dash(const char *text)
{
	return *text != '\0' ? text : "-";
}

static void print_cluster(struct output *o, const json_t *cluster, const struct cluster_name *n, bool types)
{
	char name[256], port[16] = "-";
	const char *cells[] = {
		name, n->fqdn, port, or_dash(n->subset), or_dash(n->direction), json_text(cluster, "type"), ""
	};
	json_t *item = json_camel(cluster);

	snprintf(name, sizeof(name), "cluster/%.240s", json_text(cluster, "name"));
	if (n->port != 0)
		snprintf(port, sizeof(port), "%d", n->port);
	output_row(o, types ? cells : cells + 1);
	json_object_del(item, "@type");
	output_item(o, item);
	json_decref(item);
}

void show_clusters(struct output *o, const json_t *config_dump, const struct cluster_filter *f, const char *key, bool types)
{
	static const char *const headings[] = {
		"NAME", "SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE", NULL
	};
	const struct list list = { key, headings + !types, 5 };
	json_t *clusters = dump_objects(config_dump, ".ClustersConfigDump", "static_clusters", "dynamic_active_clusters",
	    "cluster", NULL);
	const json_t *cluster;
	size_t i;

	output_head(o, &list);
	sort_array(clusters, by_cluster_name);
	json_array_foreach(clusters, i, cluster) {
		const char *name = json_text(cluster, "name");
		struct cluster_name n;

		cluster_name_split(name, &n);
		if (cluster_passes(name, &n, f))
			print_cluster(o, cluster, &n, types);
	}
	json_decref(clusters);
}

/* ---- endpoints: host_statuses of /clusters ---- */

static const char *status_of(const json_t *host)
{
	const char *status = json_text(json_object_get(host, "health_status"), "eds_health_status");

	return *status == '\0' || strcmp(status, "UNKNOWN") == 0 ? "HEALTHY" : status;
}

static const char *outlier_of(const json_t *host)
{
	return json_is_true(json_at(host, "health_status", "failed_outlier_check", NULL)) ? "FAILED" : "OK";
}

static bool host_passes(const json_t *host, const struct endpoint_filter *f)
{
	const json_t *s = json_at(host, "address", "socket_address", NULL);

	return (f->address == NULL || strcasecmp(json_text(s, "address"), f->address) == 0) &&
	    (f->port == 0 || json_number(s, "port_value") == f->port) &&
	    (f->status == NULL || strcasecmp(status_of(host), f->status) == 0);
}

/* The cluster with those of its hosts that pass; NULL: none does. */
static json_t *select_hosts(const json_t *cluster, const struct endpoint_filter *f)
{
	json_t *hosts = json_array(), *copy;
	const json_t *host;
	size_t i;

	if (f->cluster == NULL || strcmp(json_text(cluster, "name"), f->cluster) == 0) {
		json_array_foreach(json_object_get(cluster, "host_statuses"), i, host) {
			if (host_passes(host, f))
				json_array_append(hosts, (json_t *)(uintptr_t)host);
		}
	}
	if (json_array_size(hosts) == 0) {
		json_decref(hosts);
		return NULL;
	}
	copy = json_copy((json_t *)(uintptr_t)cluster);
	json_object_set_new(copy, "host_statuses", hosts);
	return copy;
}

/* {"host", "cluster"}: a row of the table, before it is sorted. */
static int by_endpoint(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const json_t *p = json_at(x, "host", "address", "socket_address", NULL);
	const json_t *q = json_at(y, "host", "address", "socket_address", NULL);
	json_int_t m = json_number(p, "port_value"), n = json_number(q, "port_value");
	int c = strcmp(json_text(p, "address"), json_text(q, "address"));

	if (c != 0)
		return c;
	if (m != n)
		return m < n ? -1 : 1;
	return strcmp(json_text(x, "cluster"), json_text(y, "cluster"));
}

static void add_hosts(json_t *rows, const json_t *cluster)
{
	json_t *host;
	size_t i;

	json_array_foreach(json_object_get(cluster, "host_statuses"), i, host)
		json_array_append_new(rows, json_pack("{s:O, s:s}", "host", host, "cluster", json_text(cluster, "name")));
}

static void print_hosts(struct output *o, json_t *rows, bool types)
{
	const json_t *row;
	size_t i;

	sort_array(rows, by_endpoint);
	json_array_foreach(rows, i, row) {
		const json_t *host = json_object_get(row, "host");
		char name[96], address[80];
		const char *cells[] = { name, address, status_of(host), outlier_of(host), json_text(row, "cluster") };

		socket_text(json_object_get(host, "address"), address, sizeof(address));
		snprintf(name, sizeof(name), "endpoint/%s", address);
		output_row(o, types ? cells : cells + 1);
	}
}

void show_endpoints(struct output *o, const json_t *clusters, const struct endpoint_filter *f, const char *key, bool types)
{
	static const char *const headings[] = { "NAME", "ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", NULL };
	const struct list list = { key, headings + !types, 5 };
	json_t *rows = json_array();
	const json_t *cluster;
	size_t i;

	output_head(o, &list);
	json_array_foreach(json_object_get(clusters, "cluster_statuses"), i, cluster) {
		json_t *chosen = select_hosts(cluster, f), *item;

		if (chosen == NULL)
			continue;
		add_hosts(rows, chosen);
		item = json_camel(chosen);
		output_item(o, item);
		json_decref(item);
		json_decref(chosen);
	}
	print_hosts(o, rows, types);
	json_decref(rows);
}
