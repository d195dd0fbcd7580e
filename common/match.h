/*
 * Pure look-ups over an image: which listener, which chain, which route.  The same functions route traffic and answer meshctl.
 */
#pragma once

#include "common/image.h"

/* The real or bound listener for an original destination: exact ip:port, else the wildcard of its family with that
 * port, else NULL.  The virtual ones are never the answer. */
const struct image_listener *match_listener(const struct image *, const struct addr *destination);

/* The listener that binds this very address (of a socket that getsockname(2) described).  NULL: none any more. */
const struct image_listener *match_bound(const struct image *, const struct addr *local);

/* Envoy's selection: destination port, then destination prefix, then application protocol, then source prefix; the
 * most specific at each step, no way back.  NULL: no chain (response flag NR). */
const struct image_chain *match_chain(const struct image *, const struct image_listener *,
    const struct addr *destination, enum image_application, const struct addr *source);

/* "http/1.1"; "" for APPLICATION_ANY. */
const char *match_application_name(enum image_application);

/* Does the application protocol decide between chains for this destination?  If so its first bytes have to be seen;
 * what match_chain() says for APPLICATION_ANY is the chain of a connection that turns out to be nothing known. */
bool match_asks_application(const struct image *, const struct image_listener *, const struct addr *destination);

/* The virtual host of an authority ("Host", or of the target), whose port is ignored, in whatever case: exact, else the
 * longest *.suffix, else the longest prefix.*, else that of "*", else NULL. */
const struct image_vhost *match_vhost(const struct image *, const struct image_route_config *, const char *authority, size_t length);

/* Its first route that matches the path, whose query is ignored.  "*" and no path at all (CONNECT) are as "/".
 * NULL: none (404, NR), as where there is no virtual host. */
const struct image_route *match_route(const struct image *, const struct image_route_config *,
    const char *authority, size_t authority_length, const char *path, size_t path_length);

/* The order of SECTION_MATCHES within a listener, for meshd-conf, which sorts, and the verifier, which checks.
 * 0: the two select the same connections, which conf refuses. */
int match_compare(const struct image_match *, const struct image_match *);

/* The order of the domains of one kind within a route config: see image.h. */
int match_domain_compare(const struct image *, bool exact, const struct image_domain *, const struct image_domain *);
/* Of a text of at most IMAGE_DOMAIN_MAX bytes, in whatever case. */
uint32_t match_domain_hash(const char *text, size_t length);

/* SECTION_LOOKUP: a power of two, at least twice the entries, open addressing from addr_hash() & (size - 1) upwards,
 * IMAGE_NONE is free.  Holds every bind of real and bound listeners and every bind of virtual ones. */
uint32_t match_lookup_size(uint32_t entries);
