/*
 * Owners of connections, as the configuration names them, in numbers: users and groups by name or number, or numbers
 * from one to another.  iptables gets numbers only, so that no look-up of names happens while rules go in.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define OWNERS_MAX 64		/* of a list: iptables takes no more in one rule */

struct owner {
	uint32_t first, last;
};

enum owner_kind { OWNER_USER, OWNER_GROUP };

/* key: whose word it is, for the error.  -1: there is none of that name. */
int owner_find(enum owner_kind, const char *key, const char *word, struct owner *owner_r, struct err *e);
