/* What the master wants of interception, and when: at the start, at a reload, when somebody asks. */
#pragma once

#include "common/err.h"

struct intercept;
struct master;

struct intercept *captures_open(struct master *, struct err *e);
