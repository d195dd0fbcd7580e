/*
 * Where the connection to an endpoint comes from: of what came to the virtual inbound listener, towards the application
 * beside us, an address that the rules know and never capture again.
 *
 *   tproxy              the client's own address, of any port, with tproxy_mark; where endpoint and client are of two
 *                       families, or the client's is a link-local one, as with redirect
 *   redirect            127.0.0.6 or ::6; with inbound_sources, each of so many in turn from there on.  With one, what goes
 *                       to 127.0.0.1 or ::1 keeps the source that applications expect there: the rules leave that alone
 *   none, everything else      the kernel's choice
 */
#pragma once

#include "common/image.h"
#include "worker/conn.h"

#include <stdbool.h>

/* Does an endpoint of the client's family see its address? */
bool source_may_be_the_client(const struct conn *);

/* For a new socket towards conn->endpoint.  -1: errno says why. */
int source_set(struct conn *, const struct image_cluster *, int fd);
