/* The filter: see cage.h. */
#include "common/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

static const int everybody[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
	SCMP_SYS(getrandom), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(sysinfo), SCMP_SYS(exit), SCMP_SYS(exit_group),	/* sysinfo(2): qsort(3) asks for it */
};

static const struct cage_rule narrow[] = {
	CAGE_ARG(mmap, 2, PROT_EXEC, 0),
	CAGE_ARG(mprotect, 2, PROT_EXEC, 0),
	CAGE_ARG(newfstatat, 3, UINT32_MAX, AT_EMPTY_PATH),		/* how libc asks about a descriptor */
	CAGE_ARG(fcntl, 1, UINT32_MAX, F_GETFL),
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

static int allow_some(scmp_filter_ctx filter, const struct cage_rule *rules, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].next_mask != 0 ? 2 : 1,
		    SCMP_CMP(rules[i].arg, SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].value),
		    SCMP_CMP(rules[i].arg + 1, SCMP_CMP_MASKED_EQ, rules[i].next_mask, rules[i].next_value));
	return r;
}

int cage(const int *plain, size_t nplain, const struct cage_rule *rules, size_t nrules, struct err *e)
{
	const struct cage_rule abort_oneself = CAGE_ARG(tgkill, 0, UINT32_MAX, (uint64_t)getpid());
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = allow(filter, everybody, sizeof(everybody) / sizeof(everybody[0]));
	if (r == 0)
		r = allow_some(filter, narrow, sizeof(narrow) / sizeof(narrow[0]));
	if (r == 0)
		r = allow_some(filter, &abort_oneself, 1);
	if (r == 0)
		r = allow(filter, plain, nplain);
	if (r == 0)
		r = allow_some(filter, rules, nrules);
	if (r == 0)
		r = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (r == 0)
		return 0;
	errno = -r;
	return err_set(e, "seccomp: %m");
}
