/* What the codec's fuzz targets have in common. */
#pragma once

#include "t/unit/worker/http1_feed.h"

/*
 * Any bytes, whatever their pieces, come to the same; what is taken and sent on is taken again and means the same.  Aborts
 * where not.  `seed` chooses the pieces.
 */
void fuzz_http1(const struct feed *, uint8_t seed, const char *bytes, size_t size);
