/*
 * What TPROXY and the inbound side need beside rules: a policy rule and a route that lead what bears the mark to this
 * host, and source addresses on lo.  By rtnetlink, of which ip(8) is a form: nothing is run, each answer comes at once.
 */
#pragma once

#include "common/addr.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define POLICY_TEXT 96

/* What has been added by us, as the state file keeps it: nobody else's is taken away. */
struct policy {
	uint32_t mark, table;			/* 0: no routing is wanted, or added */
	uint32_t routing;			/* a bit for each policy rule and route */
	uint32_t addresses;			/* a bit for each of the IPv6 sources */
};

/* The index-th source of what the inbound side sends to the application beside it: "127.0.0.6/32", "::6/128". */
const char *policy_source(int family, unsigned index, char to[ADDR_STRLEN]);

/* The bits of all policy rules and routes of a family. */
uint32_t policy_routing(int family);

/* What a bit of `routing` is: a command of ip(8) with this verb, "add", for AF_INET or AF_INET6, and why it is needed.
 * False: there is no such bit. */
bool policy_words(const struct policy *, unsigned bit, const char *verb, char text_r[POLICY_TEXT], int *family_r, const char **reason_r);

/* Adds what is not there and notes it in *p (mark and table are given); what is there and not noted is not ours.
 * `sources` IPv6 addresses; `ipv6`: the kernel has it.  -1: something is refused, *e says what; what was added is noted. */
int policy_add(struct policy *p, unsigned sources, bool ipv6, struct err *e);

/* The table to which a rule of ours leads what bears this mark; 0: there is none. */
uint32_t policy_find_table(uint32_t mark);

/* Takes away what is noted in *p, and notes that.  What is gone already is fine. */
int policy_remove(struct policy *p, struct err *e);
