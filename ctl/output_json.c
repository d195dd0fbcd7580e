/* One document, printed at the end: -o json and -o yaml. */
#include "ctl/output.h"
#include "ctl/yaml.h"

static void doc_head(struct output *o, const struct list *l)
{
	json_t *list = json_array();

	if (l->key == NULL) {
		o->document = list;
	} else {
		if (o->document == NULL)
			o->document = json_object();
		json_object_set_new(o->document, l->key, list);
	}
	o->list = list;			/* the document's */
}

static void doc_row(struct output *o, const char *const *cells)
{
	(void)o;
	(void)cells;
}

static void doc_item(struct output *o, const json_t *item)
{
	json_array_append_new(o->list, json_deep_copy(item));
}

static void doc_line(struct output *o, const char *text)
{
	(void)o;
	(void)text;
}

static void doc_stat(struct output *o, const char *name, json_int_t value)
{
	json_array_append_new(o->list, json_pack("{s:s, s:I}", "name", name, "value", value));
}

static void doc_facts(struct output *o, const json_t *facts, void (*print)(FILE *, const json_t *))
{
	(void)print;
	json_decref(o->document);
	o->document = json_deep_copy(facts);
	o->list = NULL;
}

static int json_tail(struct output *o)
{
	int r = 0;

	if (o->document != NULL) {
		r = json_dumpf(o->document, o->to, JSON_INDENT(4) | JSON_REAL_PRECISION(6));
		fputc('\n', o->to);
	}
	json_decref(o->document);
	return r;
}

static int yaml_tail(struct output *o)
{
	if (o->document != NULL)
		yaml_print(o->document, o->to);
	json_decref(o->document);
	return 0;
}

const struct output_form output_json = {
	"json", NULL, doc_head, doc_row, doc_item, doc_line, doc_stat, doc_facts, json_tail,
};

const struct output_form output_yaml = {
	"yaml", NULL, doc_head, doc_row, doc_item, doc_line, doc_stat, doc_facts, yaml_tail,
};
