/* The system-call filter of a worker: see confine.h. */
#include "worker/confine.h"

#include "common/cage.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/socket.h>

static const int plain[] = {
	/* descriptors that are there already */
	SCMP_SYS(writev), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(splice), SCMP_SYS(pipe2), SCMP_SYS(io_uring_enter),
	/* sockets */
	SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	/* last words */
	SCMP_SYS(rt_sigaction),
};

static const struct cage_rule narrow[] = {
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET },
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6 },
	{ SCMP_SYS(prlimit64), 0, UINT32_MAX, 0 },			/* its own */
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFL },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETPIPE_SZ },
	{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_DUPFD_CLOEXEC },
};

int confine(struct err *e)
{
	return cage(plain, sizeof(plain) / sizeof(plain[0]), narrow, sizeof(narrow) / sizeof(narrow[0]), e);
}
