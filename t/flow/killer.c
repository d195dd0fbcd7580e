/*
 * In front of meshd (LD_PRELOAD): ends it by SIGKILL when it has sent that many netlink requests (KILL_AT), the last of
 * which has been carried out.  Its workers have requests of their own, which are none of this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
	static int sent;
	const char *at = getenv("KILL_AT");
	ssize_t r = sendto(fd, bytes, size, flags, NULL, 0);
	int domain = 0;
	socklen_t n = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
	if (domain == AF_NETLINK && strcmp(program_invocation_short_name, "meshd") == 0 && at != NULL && ++sent == atoi(at))
		kill(getpid(), SIGKILL);
	return r;
}
