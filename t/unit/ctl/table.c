/* ctl/table.h: elastic tab stops. */
#include "ctl/table.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table_case {
	unsigned padding;
	char cells[128];		/* '\t' between cells, '\n' ends a row */
	char expected[160];
};

ParameterizedTestParameters(table, stops)
{
	static struct table_case cases[] = {
		{ 5, "", "" },
		{ 5, "a\n", "a\n" },
		{ 5, "SERVICE FQDN\tPORT\tTYPE\ndetails\t9080\tEDS\n", "SERVICE FQDN     PORT     TYPE\ndetails          9080     EDS\n" },
		{ 1, "A\tB\nlonger\tx\n", "A      B\nlonger x\n" },
		{ 1, "a\tb\tc\naa\tbb\n", "a  b c\naa bb\n" },			/* the last cell widens no column */
		{ 1, "a\tlast is very long\nb\tc\td\n", "a last is very long\nb c d\n" },
		{ 2, "long cell\tb\nno columns here\nx\ty\n", "long cell  b\nno columns here\nx  y\n" },	/* a line between ends it */
		{ 3, "a\t\tc\nb\t\td\n", "a      c\nb      d\n" },		/* empty columns have their padding */
		{ 5, "a\tb\t\nc\td\t\n", "a     b\nc     d\n" },			/* nothing ends with spaces */
		{ 1, "\303\251\303\251\tx\nabc\ty\n", "\303\251\303\251  x\nabc y\n" },	/* UTF-8 counts as it looks */
	};

	return cr_make_param_array(struct table_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct table_case *c, table, stops)
{
	struct table *t = table_new(c->padding);
	char *printed = NULL, *rows = c->cells, *row, *cell;
	size_t size = 0;
	FILE *to = open_memstream(&printed, &size);

	while ((row = strsep(&rows, "\n")) != NULL && rows != NULL) {
		while ((cell = strsep(&row, "\t")) != NULL)
			table_cell(t, cell);
		table_row_end(t);
	}
	cr_assert_eq(table_print(t, to), 0);
	fclose(to);
	cr_expect_str_eq(printed, c->expected, "%s", printed);
	free(printed);
	table_free(&t);
}
