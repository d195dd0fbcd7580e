/* Listening in a group: see listen.h. */
#include "common/listen.h"

#include <netinet/tcp.h>

static int make_transparent(int fd, int family)
{
	const int one = 1;

	return setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
	    family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof(one));
}

int listen_in_group(int fd, const struct addr *a, int backlog, bool transparent)
{
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, &ss);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == -1 ||
	    (a->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == -1) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1 ||
	    (transparent && make_transparent(fd, a->family) == -1))
		return -1;
	return bind(fd, (struct sockaddr *)&ss, len) == -1 ? -1 : listen(fd, backlog);
}
