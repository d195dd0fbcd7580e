/*
 * Elastic tab stops, as istioctl's tables have them: a column is as wide as its widest cell in the rows directly above
 * and below that have this column too, and the last cell of a row has no width.
 */
#pragma once

#include <stdio.h>

struct table;

struct table *table_new(unsigned padding);
/* Copied. */
void table_cell(struct table *, const char *text);
void table_row_end(struct table *);
/* No row ends with spaces.  -1: there was no memory for all of it, nothing is printed. */
int table_print(const struct table *, FILE *);
void table_free(struct table **);
