/* A JSON document as YAML: block style, keys in their order, a text in quotes where it could be read as another thing. */
#pragma once

#include <jansson.h>
#include <stdio.h>

void yaml_print(const json_t *, FILE *);
