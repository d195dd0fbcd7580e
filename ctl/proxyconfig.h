/*
 * proxy-config: istioctl's tables from the agent's /config_dump and /clusters.  Each of these takes a document, so that
 * a test can give one; `types`: a leading column NAME with the kind, as `proxy-config all` has it.
 */
#pragma once

#include "ctl/ctl.h"

struct listener_filter {
	const char *address, *type;	/* NULL: any */
	int port;			/* 0: any */
	bool verbose;
};

struct route_filter {
	const char *name;		/* NULL: any */
	bool verbose;
};

struct cluster_filter {
	const char *fqdn, *subset, *direction;
	int port;
};

struct endpoint_filter {
	const char *address, *status, *cluster;
	int port;
};

void show_listeners(struct output *, const json_t *config_dump, const struct listener_filter *, const char *key, bool types);
void show_routes(struct output *, const json_t *config_dump, const struct route_filter *, const char *key, bool types);
void show_clusters(struct output *, const json_t *config_dump, const struct cluster_filter *, const char *key, bool types);
void show_endpoints(struct output *, const json_t *clusters, const struct endpoint_filter *, const char *key, bool types);

/* The objects of one kind in a /config_dump, of static and dynamic ones: borrowed, in an array of the caller's. */
json_t *dump_objects(const json_t *config_dump, const char *dump, const char *statics, const char *dynamics, ...)
	__attribute__((sentinel));
/* "/static*" of {"match": {"prefix": "/static"}} */
const char *route_match_text(const json_t *route, char *to, size_t room);
/* Sorts an array in place. */
void sort_array(json_t *, int (*compare)(const void *, const void *));
/* "192.0.2.1:80", "[2001:db8::1]:80" of {"socket_address": ...} */
const char *socket_text(const json_t *address, char *to, size_t room);
