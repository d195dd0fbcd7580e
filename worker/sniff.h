/* What a client speaks, by its first bytes. */
#pragma once

#include "common/addr.h"
#include "common/image.h"

#include <stdbool.h>
#include <stddef.h>

/* A first line of HTTP/1, as far as it goes: method, target, version.  True: decided, *r says what; false: more is needed. */
bool sniff(const char *bytes, size_t len, enum image_application *r);

/* Do all chains that first bytes may choose lead to this cluster, and nowhere else?  Then what they are changes nothing of
 * where the connection goes. */
bool sniff_leads_only_to(const struct image *, const struct image_listener *, const struct addr *destination,
    const struct addr *client, const struct image_cluster *);
