/*
 * Loading the configuration, the first time and again: meshd-conf runs beside the loop; what comes out is published or
 * refused.  Requests that come while one runs are answered by the next one, which begins after them.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct master;
struct reload;

#define CONF_USER "nobody"		/* who meshd-conf is: `user` is not known before it has run */

struct reload *reload_open(struct master *, struct err *e);

/* Asks for a load that begins from now on: before the loop waits again if none runs, after the start where that is not
 * over.  The ticket is among those that control_loaded() answers. */
uint64_t reload_request(struct reload *);
/* Ends meshd-conf; nobody is answered. */
void reload_cancel(struct reload *);
