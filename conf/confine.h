/*
 * What meshd-conf may still do before it reads the first byte of a file: a system-call filter (seccomp(2)).  It opens
 * nothing, starts nothing, signals and traces nobody, makes no socket and maps nothing executable; messages go over
 * `ask` only, so that every descriptor it has is one that its starter gave.  What is forbidden fails with EPERM.
 */
#pragma once

#include "common/err.h"

/* With no_new_privs set (common/confrun.c does).  -1: the kernel refuses the filter. */
int confine(int ask, struct err *e);
