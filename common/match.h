/*
 * Pure look-ups over an image: which listener, which chain.  The same functions route traffic and answer meshctl.
 */
#pragma once

#include "common/image.h"

/* The real or bound listener for an original destination: exact ip:port, else the wildcard of its family with that
 * port, else NULL.  The virtual ones are never the answer. */
const struct image_listener *match_listener(const struct image *, const struct addr *destination);

/* The listener that binds this very address (of a socket that getsockname(2) described).  NULL: none any more. */
const struct image_listener *match_bound(const struct image *, const struct addr *local);

/* Envoy's selection: destination port, then destination prefix, then source prefix; the most specific at each step, no
 * way back.  NULL: no chain (response flag NR). */
const struct image_chain *match_chain(const struct image *, const struct image_listener *,
    const struct addr *destination, const struct addr *source);

/* The order of SECTION_MATCHES within a listener, for meshd-conf, which sorts, and the verifier, which checks.
 * 0: the two select the same connections, which conf refuses. */
int match_compare(const struct image_match *, const struct image_match *);

/* SECTION_LOOKUP: a power of two, at least twice the entries, open addressing from addr_hash() & (size - 1) upwards,
 * IMAGE_NONE is free.  Holds every bind of real and bound listeners and every bind of virtual ones. */
uint32_t match_lookup_size(uint32_t entries);
