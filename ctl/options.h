/* A command line: meshctl [GLOBAL FLAGS] COMMAND [SUBCOMMAND] [FLAGS and OPERANDS in any order]. */
#pragma once

#include "ctl/ctl.h"

/* Fills c (all but `out`).  0; 1: help is wanted, c->command is the one it is wanted of (NULL: all);
 * -1: it is not used as it should be, which is said. */
int options_parse(struct ctl *c, const struct command *commands, const char **form_r, int argc, char *argv[]);

void options_usage(FILE *, const struct command *commands);
/* Of c->command. */
void options_usage_of(FILE *, const struct ctl *c);
