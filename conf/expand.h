/*
 * The plain forms (intercept, inbound, services) become listeners and clusters, by Istio's names; what has no default
 * in its row gets one.  After it, all_listeners, all_clusters and all_routes are whole.
 */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"
#include "conf/report.h"

/* The virtual listeners. */
#define EXPAND_OUTBOUND	"virtualOutbound"
#define EXPAND_INBOUND	"virtualInbound"

void expand(struct config *, struct arena *, struct report *);

/* By name; NULL: there is none.  From expand() on. */
struct cluster *expand_find_cluster(const struct config *, const char *name);
struct listener *expand_find_listener(const struct config *, const char *name);
