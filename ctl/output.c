/* Choosing a form: see output.h. */
#include "ctl/output.h"

#include <stdlib.h>
#include <string.h>

static const struct output_form *const forms[] = { &output_text, &output_json, &output_yaml };

struct output *output_open(const char *word, FILE *to)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct output *o;

		if (strcmp(word, forms[i]->word) != 0 && (forms[i]->alias == NULL || strcmp(word, forms[i]->alias) != 0))
			continue;
		if ((o = calloc(1, sizeof(*o))) != NULL) {
			o->form = forms[i];
			o->to = to;
		}
		return o;
	}
	return NULL;
}

int output_close(struct output **o)
{
	int r = (*o)->form->tail(*o);

	if (fflush((*o)->to) == EOF || ferror((*o)->to))
		r = -1;
	free(*o);
	*o = NULL;
	return r;
}

void output_head(struct output *o, const struct list *l)
{
	o->form->head(o, l);
}

void output_row(struct output *o, const char *const *cells)
{
	o->form->row(o, cells);
}

void output_item(struct output *o, const json_t *item)
{
	o->form->item(o, item);
}

void output_line(struct output *o, const char *text)
{
	o->form->line(o, text);
}

void output_stat(struct output *o, const char *name, json_int_t value)
{
	o->form->stat(o, name, value);
}

void output_facts(struct output *o, const json_t *facts, void (*print)(FILE *, const json_t *))
{
	o->form->facts(o, facts, print);
}
