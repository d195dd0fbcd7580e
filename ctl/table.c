/* Elastic tab stops: see table.h. */
#include "ctl/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cell {
	char *text;
	size_t chars;		/* as a terminal counts them */
	size_t width;		/* of its column, here */
};

struct row {
	struct cell *cells;
	size_t n;
};

struct table {
	unsigned padding;
	struct row *rows;	/* the last is being filled */
	size_t n;
	bool no_memory;
};

struct table *table_new(unsigned padding)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->padding = padding;
	t->rows = calloc(1, sizeof(*t->rows));
	t->no_memory = t->rows == NULL;
	return t;
}

static size_t count_chars(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;	/* UTF-8: not a continuation */
	return n;
}

void table_cell(struct table *t, const char *text)
{
	struct row *r;
	struct cell *c;

	if (t->no_memory)
		return;
	r = &t->rows[t->n];
	if ((c = realloc(r->cells, (r->n + 1) * sizeof(*c))) == NULL) {
		t->no_memory = true;
		return;
	}
	r->cells = c;
	c += r->n;
	*c = (struct cell){ strdup(text), count_chars(text), 0 };
	if (c->text == NULL)
		t->no_memory = true;
	else
		r->n++;
}

void table_row_end(struct table *t)
{
	struct row *r = t->no_memory ? NULL : realloc(t->rows, (t->n + 2) * sizeof(*r));

	if (r == NULL) {
		t->no_memory = true;
		return;
	}
	t->rows = r;
	t->rows[++t->n] = (struct row){ NULL, 0 };
}

/* Rows in a row that have a cell after this one share its width. */
static void fit_column(const struct table *t, size_t column)
{
	for (size_t begin = 0, end; begin < t->n; begin = end + 1) {
		size_t widest = 0;

		for (end = begin; end < t->n && t->rows[end].n > column + 1; end++) {
			if (t->rows[end].cells[column].chars > widest)
				widest = t->rows[end].cells[column].chars;
		}
		for (size_t i = begin; i < end; i++)
			t->rows[i].cells[column].width = widest + t->padding;
	}
}

static void print_row(const struct row *r, FILE *to)
{
	size_t owed = 0;		/* spaces that only count when something follows */

	for (size_t i = 0; i < r->n; i++) {
		const struct cell *c = &r->cells[i];

		if (c->chars > 0) {
			fprintf(to, "%*s%s", (int)owed, "", c->text);
			owed = 0;
		}
		owed += c->width > c->chars ? c->width - c->chars : 0;
	}
	fputc('\n', to);
}

int table_print(const struct table *t, FILE *to)
{
	size_t columns = 0;

	if (t->no_memory)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		columns = t->rows[i].n > columns ? t->rows[i].n : columns;
	for (size_t c = 0; c + 1 < columns; c++)
		fit_column(t, c);
	for (size_t i = 0; i < t->n; i++)
		print_row(&t->rows[i], to);
	return 0;
}

void table_free(struct table **table)
{
	struct table *t = *table;

	*table = NULL;
	if (t == NULL)
		return;
	for (size_t i = 0; t->rows != NULL && i <= t->n; i++) {
		for (size_t c = 0; c < t->rows[i].n; c++)
			free(t->rows[i].cells[c].text);
		free(t->rows[i].cells);
	}
	free(t->rows);
	free(t);
}
