/* Which connections a filter chain selects: the records that match_chain() walks, and the names of chains without one. */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"

#define MATCHES_MAX 100000u		/* records of one chain */

/* Destinations, application protocols and sources multiply. */
uint64_t matches_count(const struct chain *);

/* Adds struct image_match records; `chain` of each becomes `number`. */
void matches_add(const struct chain *, uint32_t number, struct vec *);

/* Sorts count records in the order of match_compare(); equals by number. */
void matches_sort(struct image_match *, size_t count);

/* "any", "port=80,dst=10.0.0.0/8,app=http/1.1,src=192.0.2.0/24"; its own name where it has one. */
const char *matches_chain_name(const struct chain *, struct arena *);
