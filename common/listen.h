/* Listening sockets of one SO_REUSEPORT group: whoever makes one, master or worker, makes it the same. */
#pragma once

#include "common/addr.h"

#include <stdbool.h>

/*
 * Binds and listens: one socket for each worker at the same address (SO_REUSEPORT, all by one uid), IPv6 without IPv4,
 * TCP_NODELAY for what is accepted (inherited, tcp(7)).  transparent: takes connections to any address, as a TPROXY rule
 * brings them, which needs CAP_NET_RAW.  fd: a TCP socket of the address's family, the caller's in every case.
 * -1: errno says why.
 */
int listen_in_group(int fd, const struct addr *, int backlog, bool transparent);
