/* The system-call filter of a worker: see confine.h. */
#include "worker/confine.h"

#include "common/cage.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/socket.h>

#define SOCK_TYPE_BITS 0xf	/* the others are flags: socket(2) */

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
	/* TCP: where CAP_NET_RAW stays, raw ones would be more than transparency needs */
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET, SOCK_TYPE_BITS, SOCK_STREAM },
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6, SOCK_TYPE_BITS, SOCK_STREAM },
	CAGE_ARG(prlimit64, 0, UINT32_MAX, 0),			/* its own */
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_SETFL),
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_SETPIPE_SZ),
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_DUPFD_CLOEXEC),
};

int confine(struct err *e)
{
	return cage(plain, sizeof(plain) / sizeof(plain[0]), narrow, sizeof(narrow) / sizeof(narrow[0]), e);
}
