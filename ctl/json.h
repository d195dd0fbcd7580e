/* Reading documents of others: what is missing or of another type is "" or 0, never a crash. */
#pragma once

#include <jansson.h>

/* The member at the end of the path; the names end with NULL.  NULL: there is none. */
json_t *json_at(const json_t *, ...) __attribute__((sentinel));
const char *json_text(const json_t *object, const char *key);
json_int_t json_number(const json_t *object, const char *key);

/* A copy whose keys are camelCase, as protobuf's JSON has them ("@type" and the like stay). */
json_t *json_camel(const json_t *);
