/* The system-call filter of meshd-conf: see confine.h. */
#include "conf/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

/* Calls that are harmless whatever their arguments. */
static const int plain[] = {
	/* bytes and descriptors that are there already; dup(2) for the stream that prints */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(dup),
	/* memory, time, ending */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
	SCMP_SYS(getrandom), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

struct narrow {
	int call;
	unsigned arg;
	uint64_t mask, value;
};

static int add_rules(scmp_filter_ctx filter, int ask)
{
	/* Calls with one argument that has to be this, under a mask. */
	const struct narrow narrow[] = {
		{ SCMP_SYS(sendmsg), 0, UINT32_MAX, (uint64_t)ask },
		{ SCMP_SYS(recvmsg), 0, UINT32_MAX, (uint64_t)ask },
		{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
		{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
		{ SCMP_SYS(newfstatat), 3, UINT32_MAX, AT_EMPTY_PATH },		/* how libc asks about a descriptor */
		{ SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL },
		{ SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid() },	/* abort(3) sends itself a signal */
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(plain) / sizeof(plain[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain[i], 0);
	for (size_t i = 0; r == 0 && i < sizeof(narrow) / sizeof(narrow[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, narrow[i].call, 1,
		    SCMP_CMP(narrow[i].arg, SCMP_CMP_MASKED_EQ, narrow[i].mask, narrow[i].value));
	return r;
}

int confine(int ask, struct err *e)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter != NULL ? add_rules(filter, ask) : -ENOMEM;

	if (r == 0)
		r = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (r == 0)
		return 0;
	errno = -r;
	return err_set(e, "seccomp: %m");
}
