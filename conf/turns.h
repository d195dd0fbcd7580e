/*
 * The order in which a cluster's endpoints have their turn: each as often as it weighs, spread evenly, so that
 * round_robin is a walk and random a draw.  Weights are reduced by what they have in common; where they would still
 * need more than TURNS_MAX turns (or four for each endpoint, if that is more) they are scaled down, none to nought.
 */
#pragma once

#include "conf/memory.h"
#include "conf/model.h"

#define TURNS_MAX 16384u
#define TURNS_TOTAL_MAX (1u << 24)	/* of all clusters: 64 MiB of an image */

/* How many turns_add() makes of them. */
uint32_t turns_count(const struct list *endpoints);

/* Appends to `turns` (uint32_t) indices of endpoints, counted from `first`.  Nothing where there are no endpoints. */
void turns_add(const struct list *endpoints, uint32_t first, struct vec *turns);
