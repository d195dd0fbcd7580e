/* Istio's names of clusters: `outbound|9080|v1|reviews.default.svc.cluster.local`. */
#pragma once

#include <stdbool.h>

struct cluster_name {
	char direction[16];		/* "inbound", "outbound" */
	int port;			/* 0: none */
	char subset[232];		/* "": none */
	char fqdn[232];			/* "": none, as in `inbound|9080||` */
};

/* False: it is no such name; then fqdn is the whole of it and the rest is nought. */
bool cluster_name_split(const char *name, struct cluster_name *);
/* By fqdn, subset, port, direction: the order of istioctl's table. */
int cluster_name_compare(const struct cluster_name *, const struct cluster_name *);
