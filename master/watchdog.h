/*
 * Does everybody's loop turn?  Workers and the agent are pinged each second once they have adopted; one that has answered
 * nothing for ten is ended with SIGABRT, so that it says where it was, and with SIGKILL two seconds later.  The master itself tells
 * systemd, where that asks for it (WatchdogSec), from its own loop.
 */
#pragma once

#include "common/err.h"

struct master;
struct watchdog;

struct watchdog *watchdog_open(struct master *, struct err *e);
