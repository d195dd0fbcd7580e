/*
 * A connection of our own that came back to a virtual listener: refused, for it would go round for ever.
 *
 * Whose it is, the kernel is asked for (sock_diag(7), one look-up by its addresses, 2.4 us): a connection from an address
 * of this host has its other end here, and that socket's user is ours, or not.  What the outbound side sends may come to the
 * inbound one (an application calls a service that lives beside it), and ends there.  All else that is ours is a loop:
 * anything at the outbound side, and at the inbound one what the inbound side sent itself.
 *
 * Sockets of the inbound side are known by IP_BIND_ADDRESS_NO_PORT, which others of ours have not: it costs nothing where
 * no port is bound, and the kernel shows it to whoever asks.
 */
#pragma once

#include "worker/downstream.h"

struct worker;

/* Once, as the user that this worker stays, with the listening sockets there.  Where the kernel does not answer, the log
 * says so and nobody is asked. */
void kin_open(struct worker *);

/* A new socket of the inbound side. */
void kin_mark_inbound(int fd);

/* Of what came to a virtual listener, when it is known whether it is inbound, and its listener.  END_NONE: it may go on. */
enum conn_end kin_refuses(const struct arrival *);
