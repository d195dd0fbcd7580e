/* The expanded configuration: plain forms as the full ones they became, every value, as a file that compiles to the same
 * image. */
#pragma once

#include "conf/model.h"

#include <stdio.h>

void print_config(const struct config *, FILE *);
