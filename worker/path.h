/* Paths as RFC 3986 5.2.4 wants them, before anybody compares them: without dot segments, which may be written as %2e, and
 * with slashes instead of backslashes. */
#pragma once

#include "worker/http.h"

#include <stdbool.h>
#include <stddef.h>

bool path_needs_normalizing(struct http_span path);
/* out: as many bytes as the path has; the number written, at least 1 of an absolute path. */
size_t path_normalize(char *out, struct http_span path);
