/* Towards an endpoint: choosing one of a cluster, opening a connection to it. */
#pragma once

#include "common/image.h"

#include <stdbool.h>

struct conn;

/* Chooses and starts.  True: OP_CONNECT is in flight.  False: conn->end says why not. */
bool upstream_dial(struct conn *, const struct image *, const struct image_cluster *);

/* Counts it and tells the operator. */
void upstream_no_port(struct conn *);
