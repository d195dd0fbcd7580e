/* Last words: see crash.h. */
#include "worker/crash.h"

#include "worker/worker.h"

#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>

#define STACK_BYTES 65536	/* of its own: the other one may be what is broken */

extern const char __executable_start[];		/* ld(1) */

static struct worker *dying;			/* a handler gets no argument */

static void note(int signal, siginfo_t *info, void *context)
{
	struct live_crash *crash = &dying->block->crash;
	void *frame[LIVE_FRAMES];
	int n;

	(void)context;
	/* one that was sent has its sender there */
	live_set(&crash->address, info->si_code > 0 && (signal == SIGSEGV || signal == SIGBUS) ? (uint64_t)(uintptr_t)info->si_addr : 0);
	live_set(&crash->operation, dying->loop.last);
	live_set(&crash->generation, dying->generation != NULL ? dying->generation->number : 0);
	n = backtrace(frame, LIVE_FRAMES);
	for (int i = 0; i < n; i++)
		live_set(&crash->frame[i], (uint64_t)((char *)frame[i] - __executable_start));
	live_set(&crash->frames, (uint64_t)(n > 0 ? n : 0));
	atomic_store_explicit(&crash->signal, (uint64_t)signal, memory_order_release);
	/* SA_RESETHAND: a fault happens again on return and ends the process; a signal that was sent has to be sent again. */
	if (info->si_code <= 0)
		raise(signal);
}

void crash_watch(struct worker *w)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	stack_t stack = { .ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES };
	struct sigaction act = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESETHAND };
	void *first[1];

	dying = w;
	backtrace(first, 1);			/* loads libgcc_s now: later nothing can be opened */
	if (stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0)
		act.sa_flags |= SA_ONSTACK;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &act, NULL);
}
