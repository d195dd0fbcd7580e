/* What expand.c, expand_intercept.c and expand_pieces.c share: an expansion under way. */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"
#include "conf/report.h"

#include <stddef.h>

struct expansion {
	struct config *config;
	struct arena *arena;
	struct report *report;
	struct vec listeners, clusters;		/* pointers */
	size_t own_listeners, own_clusters;	/* those of the file, sorted by name, come first */
};

/* What the file has under that name among the first, sorted ones; NULL: nothing. */
void *expand_own(const struct vec *, size_t count, const char *name);

/* Everything made stands, for errors, at the plain form that it comes from. */
struct listener *expand_listener(struct expansion *, const struct origin *at, const char *name,
    struct image_port_range port, uint64_t direction, uint32_t chains);
struct cluster *expand_cluster(struct expansion *, const struct origin *at, const char *name, uint64_t type,
    uint64_t direction);

#define IDLE_DEFAULT UINT64_MAX

/* A chain of TCP to one cluster. */
void expand_chain(struct expansion *, struct chain *, const struct origin *at, const char *name,
    struct image_port_range port, const char *cluster, uint64_t idle_timeout_ms);

/* Of each chain's filter. */
void expand_attempts(struct list chains, uint64_t max_connect_attempts);

void expand_address(struct list *, struct arena *, const struct addr *, uint32_t line);
/* 0.0.0.0 and ::, which together are every address. */
void expand_any_address(struct expansion *, struct listener *);

/* Virtual listeners with their clusters, and those of inbound = ( ). */
void expand_intercept(struct expansion *);
