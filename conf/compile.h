/* From a checked model to the image of common/image.h. */
#pragma once

#include "conf/model.h"
#include "conf/source.h"

/* Writes the whole image to fd, from its start.  -1: *e says why; it is never the configuration's meaning. */
int compile(const struct config *, const struct source *, int fd, struct err *e);
