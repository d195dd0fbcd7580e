/* Where the programs of ours lie: beside the executable that runs (a build tree), else where they are installed. */
#pragma once

#include "common/err.h"

#include <limits.h>

/* name: "meshd-conf".  -1: in none of these places; *e says where was looked. */
int program_find(const char *name, char path_r[PATH_MAX], struct err *e);
