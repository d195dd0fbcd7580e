/* proxy-config: finding the objects in a dump; the commands. */
#include "ctl/proxyconfig.h"

#include "ctl/client.h"
#include "ctl/json.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void add_objects(json_t *to, const json_t *entries, const char *const *path)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry) {
		const json_t *object = entry;

		for (const char *const *p = path; *p != NULL; p++)
			object = json_object_get(object, *p);
		if (json_is_object(object))
			json_array_append(to, (json_t *)(uintptr_t)object);
	}
}

json_t *dump_objects(const json_t *config_dump, const char *dump, const char *statics, const char *dynamics, ...)
{
	const char *path[4] = { NULL };		/* within an entry of `dynamics`; the last name also in one of `statics` */
	json_t *found = json_array();
	const json_t *config;
	va_list ap;
	size_t i, n = 0;

	va_start(ap, dynamics);
	while (n < 3 && (path[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	json_array_foreach(json_object_get(config_dump, "configs"), i, config) {
		if (!ends_with(json_text(config, "@type"), dump))
			continue;
		add_objects(found, json_object_get(config, statics), path + n - 1);
		add_objects(found, json_object_get(config, dynamics), path);
	}
	return found;
}

void sort_array(json_t *array, int (*compare)(const void *, const void *))
{
	size_t n = json_array_size(array);
	json_t **all = calloc(n + 1, sizeof(*all));

	for (size_t i = 0; all != NULL && i < n; i++)
		all[i] = json_incref(json_array_get(array, i));
	if (all != NULL && n > 1)
		qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; all != NULL && i < n; i++)
		json_array_set_new(array, i, all[i]);
	free(all);
}

const char *socket_text(const json_t *address, char *to, size_t room)
{
	const json_t *s = json_object_get(address, "socket_address");
	const char *ip = json_text(s, "address");

	snprintf(to, room, strchr(ip, ':') != NULL ? "[%s]:%d" : "%s:%d", ip, (int)json_number(s, "port_value"));
	return to;
}

/* ---- the commands ---- */

static json_t *get(struct ctl *c, const char *target)
{
	struct err e;
	json_t *j = client_get(c->rundir, target, &e);

	if (j == NULL)
		ctl_complain("%s", e.text);
	return j;
}

int command_listener(struct ctl *c)
{
	static const char *const types[] = { "TCP", "HTTP", "HTTP+TCP", "UNKNOWN", NULL };
	struct listener_filter f = {
		NULL, ctl_flag(c, "type"), ctl_port(c, "port"), ctl_switch(c, "verbose", true)
	};
	char address[ADDR_STRLEN];
	json_t *dump;

	if (f.port == -1 || ctl_address(c, "address", address, &f.address) == -1 || ctl_word(c, "type", types) == -1)
		return 2;
	if ((dump = get(c, "/config_dump")) == NULL)
		return 1;
	show_listeners(c->out, dump, &f, NULL, false);
	json_decref(dump);
	return 0;
}

int command_route(struct ctl *c)
{
	const struct route_filter f = { ctl_flag(c, "name"), ctl_switch(c, "verbose", true) };
	json_t *dump = get(c, "/config_dump");

	if (dump == NULL)
		return 1;
	show_routes(c->out, dump, &f, NULL, false);
	json_decref(dump);
	return 0;
}

int command_cluster(struct ctl *c)
{
	static const char *const directions[] = { "inbound", "outbound", NULL };
	const struct cluster_filter f = {
		ctl_flag(c, "fqdn"), ctl_flag(c, "subset"), ctl_flag(c, "direction"), ctl_port(c, "port")
	};
	json_t *dump;

	if (f.port == -1 || ctl_word(c, "direction", directions) == -1)
		return 2;
	if ((dump = get(c, "/config_dump")) == NULL)
		return 1;
	show_clusters(c->out, dump, &f, NULL, false);
	json_decref(dump);
	return 0;
}

int command_endpoint(struct ctl *c)
{
	static const char *const states[] = { "healthy", "unhealthy", "draining", "timeout", "degraded", NULL };	/* Envoy's */
	struct endpoint_filter f = {
		NULL, ctl_flag(c, "status"), ctl_flag(c, "cluster"), ctl_port(c, "port")
	};
	char address[ADDR_STRLEN];
	json_t *clusters;

	if (f.port == -1 || ctl_address(c, "address", address, &f.address) == -1 || ctl_word(c, "status", states) == -1)
		return 2;
	if ((clusters = get(c, "/clusters?format=json")) == NULL)
		return 1;
	show_endpoints(c->out, clusters, &f, NULL, false);
	json_decref(clusters);
	return 0;
}

int command_all(struct ctl *c)
{
	const struct listener_filter lf = { .verbose = ctl_switch(c, "verbose", true) };
	const struct cluster_filter cf = { NULL, NULL, NULL, 0 };
	const struct route_filter rf = { .verbose = lf.verbose };
	const struct endpoint_filter ef = { NULL, NULL, NULL, 0 };
	json_t *dump = get(c, "/config_dump"), *clusters;

	if (dump == NULL || (clusters = get(c, "/clusters?format=json")) == NULL) {
		json_decref(dump);
		return 1;
	}
	show_clusters(c->out, dump, &cf, "clusters", true);
	show_listeners(c->out, dump, &lf, "listeners", true);
	show_routes(c->out, dump, &rf, "routes", true);
	show_endpoints(c->out, clusters, &ef, "endpoints", true);
	json_decref(dump);
	json_decref(clusters);
	return 0;
}
