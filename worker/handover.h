/* A connection that becomes one of another kind: descriptors, bytes that have come, and its place among all are handed over. */
#pragma once

struct stream;

/* CONNECT and Upgrade: the answer's head is out, and from now on bytes go both ways as they are.  Whatever is still armed is
 * given up first; called again when it has come back. */
void handover_to_tunnel(struct stream *);
