/* Towards an endpoint: choosing one of a cluster, opening a connection to it, another one where that fails. */
#pragma once

#include "common/image.h"
#include "worker/conn.h"

#include <stdbool.h>

/* Chooses and starts the next attempt, of conn->max_attempts.  True: OP_CONNECT is in flight.  False: none is left;
 * conn->end says what became of the last. */
bool upstream_dial(struct conn *, const struct image *, const struct image_cluster *);

/* The attempt has failed: counted, its socket closed.  Nothing of it may be in flight. */
void upstream_give_up(struct conn *, enum conn_end why);

/* The connection ends: conn->end says by whom. */
void upstream_leave_endpoint(struct conn *);
