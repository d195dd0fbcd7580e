/* A connection that becomes one of another kind: descriptors, bytes that have come, and its place among all are handed over. */
#pragma once

struct conn;
struct stream;

/* CONNECT and Upgrade: the answer's head is out, and from now on bytes go both ways as they are.  Whatever is still armed is
 * given up first; called again when it has come back. */
void handover_to_tunnel(struct stream *);
/* First bytes: the client goes on as another chain says, which may have a use for the connection that was dialled in vain.
 * Nothing of the tunnel is in flight.  -1: no memory, nothing is taken. */
int handover_to_chain(struct conn *);
