/* What a client speaks, by its first bytes. */
#pragma once

#include "common/image.h"

#include <stdbool.h>
#include <stddef.h>

/* A first line of HTTP/1, as far as it goes: method, target, version.  True: decided, *r says what; false: more is needed. */
bool sniff(const char *bytes, size_t len, enum image_application *r);
