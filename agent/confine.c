/* The system-call filter of the agent: see confine.h. */
#include "agent/confine.h"

#include "common/cage.h"

#include <fcntl.h>
#include <seccomp.h>

static const int plain[] = {
	SCMP_SYS(writev), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(getppid),
};

static const struct cage_rule narrow[] = {
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_SETFL),
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_GETFD),
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_SETFD),
};

int confine(struct err *e)
{
	return cage(plain, sizeof(plain) / sizeof(plain[0]), narrow, sizeof(narrow) / sizeof(narrow[0]), e);
}
