/* proxy-config route: istioctl's table of routes, a row for each route (--verbose=false: for each route configuration). */
#include "ctl/json.h"
#include "ctl/proxyconfig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DOMAINS_SHOWN 2

const char *route_match_text(const json_t *route, char *to, size_t room)
{
	const json_t *match = json_object_get(route, "match");
	const char *prefix = json_text(match, "prefix"), *path = json_text(match, "path");

	if (*prefix != '\0')
		snprintf(to, room, "%s*", prefix);
	else
		snprintf(to, room, "%s", path);
	return to;
}

/* ---- domains: those that say more than another one does ---- */

static bool is_listed(const json_t *domains, const char *text, size_t length)
{
	const json_t *one;
	size_t i;

	json_array_foreach(domains, i, one) {
		const char *other = json_string_value(one);

		if (other != NULL && strlen(other) == length && strncmp(other, text, length) == 0)
			return true;
	}
	return false;
}

static bool is_longer_form(const json_t *domains, const char *domain)
{
	static const char *const ends[] = { ".svc.cluster.local", ".svc" };
	size_t n = strlen(domain);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t m = strlen(ends[i]);

		if (n > m && strcmp(domain + n - m, ends[i]) == 0 && is_listed(domains, domain, n - m))
			return true;
	}
	return false;
}

/* "host:80", "[::1]:80" */
static bool has_port(const char *domain)
{
	const char *colon = strrchr(domain, ':');

	return colon != NULL && strchr(colon, ']') == NULL;
}

static void domains_text(const json_t *domains, char *to, size_t room)
{
	bool alone = json_array_size(domains) == 1;
	size_t i, n = 0, used = 0;
	const json_t *one;

	*to = '\0';
	json_array_foreach(domains, i, one) {
		const char *domain = json_string_value(one);

		if (domain == NULL || (!alone && (has_port(domain) || is_longer_form(domains, domain))))
			continue;
		if (n++ < DOMAINS_SHOWN && used < room)
			used += (size_t)snprintf(to + used, room - used, "%s%s", n > 1 ? ", " : "", domain);
	}
	if (n > DOMAINS_SHOWN && used < room)
		snprintf(to + used, room - used, " + %zu more...", n - DOMAINS_SHOWN);
}

/* ---- the table ---- */

/* Numbers first, in their order. */
static int by_route_name(const void *a, const void *b)
{
	const char *x = json_text(*(json_t *const *)a, "name"), *y = json_text(*(json_t *const *)b, "name");
	bool m = *x != '\0' && x[strspn(x, "0123456789")] == '\0', n = *y != '\0' && y[strspn(y, "0123456789")] == '\0';

	if (m != n)
		return m ? -1 : 1;
	if (m && atoi(x) != atoi(y))
		return atoi(x) < atoi(y) ? -1 : 1;
	return strcmp(x, y);
}

static bool is_passthrough(const json_t *route)
{
	return strcmp(json_text(json_object_get(route, "route"), "cluster"), "PassthroughCluster") == 0;
}

/* The last column is a virtual service's, which there is none of yet; where there is no route, what that means. */
static void print_vhost(struct output *o, const char *name, const json_t *vhost)
{
	const json_t *routes = json_object_get(vhost, "routes"), *route;
	char domains[512], match[1100];
	const char *cells[] = { name, json_text(vhost, "name"), domains, match, "" };
	size_t i;

	domains_text(json_object_get(vhost, "domains"), domains, sizeof(domains));
	json_array_foreach(routes, i, route) {
		if (is_passthrough(route))
			continue;
		route_match_text(route, match, sizeof(match));
		output_row(o, cells);
	}
	if (json_array_size(routes) > 0)
		return;
	strcpy(match, "/*");
	cells[4] = "404";
	output_row(o, cells);
}

static void print_route_config(struct output *o, const json_t *config, bool verbose, bool types)
{
	const json_t *vhosts = json_object_get(config, "virtual_hosts"), *vhost;
	char name[256], count[24];
	const char *cells[] = { name, count };
	json_t *item = json_camel(config);
	size_t i;

	snprintf(name, sizeof(name), "%s%.240s", types ? "route/" : "", json_text(config, "name"));
	snprintf(count, sizeof(count), "%zu", json_array_size(vhosts));
	if (verbose) {
		json_array_foreach(vhosts, i, vhost)
			print_vhost(o, name, vhost);
	} else {
		output_row(o, cells);
	}
	json_object_del(item, "@type");
	output_item(o, item);
	json_decref(item);
}

void show_routes(struct output *o, const json_t *config_dump, const struct route_filter *f, const char *key, bool types)
{
	static const char *const verbose[] = { "NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE", NULL };
	static const char *const brief[] = { "NAME", "VIRTUAL HOSTS", NULL };
	const struct list list = { key, f->verbose ? verbose : brief, 5 };
	json_t *configs = dump_objects(config_dump, ".RoutesConfigDump", "static_route_configs", "dynamic_route_configs",
	    "route_config", NULL);
	const json_t *config;
	size_t i;

	output_head(o, &list);
	sort_array(configs, by_route_name);
	json_array_foreach(configs, i, config) {
		if (f->name == NULL || strcmp(json_text(config, "name"), f->name) == 0)
			print_route_config(o, config, f->verbose, types);
	}
	json_decref(configs);
}
