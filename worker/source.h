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

#include "worker/upstream.h"

#include <stdbool.h>

/* Does an endpoint of the client's family see its address? */
bool source_may_be_the_client(const struct dial *);

/* For a new socket.  -1: errno says why. */
int source_set(const struct dial *, const struct addr *endpoint, int fd);

/*
 * Whose a connection is: another one's requests may go on it if that is equal.  The client's address, port 0, where it is
 * the source; family 0: anybody's of the same direction.
 */
struct source {
	struct addr client;
	bool inbound;
};

struct source source_of(const struct dial *, const struct addr *endpoint);
