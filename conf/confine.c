/* The system-call filter of meshd-conf: see confine.h. */
#include "conf/confine.h"

#include "common/cage.h"

#include <seccomp.h>

static const int plain[] = {
	SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(dup),		/* dup(2) for the stream that prints */
};

int confine(int ask, struct err *e)
{
	const struct cage_rule narrow[] = {
		CAGE_ARG(sendmsg, 0, UINT32_MAX, (uint64_t)ask),
		CAGE_ARG(recvmsg, 0, UINT32_MAX, (uint64_t)ask),
	};

	return cage(plain, sizeof(plain) / sizeof(plain[0]), narrow, sizeof(narrow) / sizeof(narrow[0]), e);
}
