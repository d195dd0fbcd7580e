/*
 * Last words: a worker that dies by a signal of its own (a fault, abort(3)) leaves in `live` where it was, for the master
 * to report.  The signal then does what it would have done.
 */
#pragma once

struct worker;

/* Once, before rights are dropped: it loads what backtrace(3) needs.  One worker in a process. */
void crash_watch(struct worker *);
