/* Tables and lines for people and for pipes: -o short. */
#include "ctl/output.h"
#include "ctl/table.h"

#include <string.h>
#include <unistd.h>

static int flush_table(struct output *o)
{
	int r;

	if (o->table == NULL)
		return 0;
	r = table_print(o->table, o->to);
	table_free(&o->table);
	return r;
}

static void text_head(struct output *o, const struct list *l)
{
	flush_table(o);
	if (l->headings == NULL || (o->table = table_new(l->padding)) == NULL)
		return;
	if (o->tables++ > 0)
		fputc('\n', o->to);
	for (o->columns = 0; l->headings[o->columns] != NULL; o->columns++)
		table_cell(o->table, l->headings[o->columns]);
	table_row_end(o->table);
}

static void text_row(struct output *o, const char *const *cells)
{
	if (o->table == NULL)
		return;
	for (unsigned i = 0; i < o->columns; i++)
		table_cell(o->table, cells[i]);
	table_row_end(o->table);
}

static void text_item(struct output *o, const json_t *item)
{
	(void)o;
	(void)item;
}

static void text_line(struct output *o, const char *text)
{
	flush_table(o);
	fprintf(o->to, "%s\n", text);
}

/* Into a pipe it is Envoy's "name: value"; on a terminal the values stand below each other. */
static void text_stat(struct output *o, const char *name, json_int_t value)
{
	char number[24];

	if (!isatty(fileno(o->to))) {
		fprintf(o->to, "%s: %lld\n", name, (long long)value);
		return;
	}
	if (o->table == NULL && (o->table = table_new(1)) == NULL)
		return;
	snprintf(number, sizeof(number), "%lld", (long long)value);
	table_cell(o->table, name);
	table_cell(o->table, number);
	table_row_end(o->table);
}

static void text_facts(struct output *o, const json_t *facts, void (*print)(FILE *, const json_t *))
{
	flush_table(o);
	print(o->to, facts);
}

const struct output_form output_text = {
	"short", "text", text_head, text_row, text_item, text_line, text_stat, text_facts, flush_table,
};
