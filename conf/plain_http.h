/* What the plain forms make of ports that speak HTTP, or may: filter chains with an http filter, by Istio's names. */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"

struct plain_http {
	const char *chain;			/* its name; NULL: unnamed */
	struct image_port_range port;		/* original destination; 0: any */
	bool sniffed;				/* only what begins as HTTP/1 does */
	const char *cluster, *stat_prefix, *route_config, *virtual_host;
	uint64_t timeout_ms, idle_timeout_ms;
};

/* at: where the plain form stands, for errors. */
void plain_http_chain(struct chain *, const struct plain_http *, const struct origin *at, struct arena *);

/* Of inbound, and of one address of a service (NULL: any). */
struct plain_http plain_http_inbound(const struct inbound *, const char *cluster, struct arena *);
struct plain_http plain_http_service(const struct service *, const char *cluster, const struct addr *at, struct arena *);
/* What no inbound names: it goes on to where it went. */
struct plain_http plain_http_passthrough(const char *cluster);
