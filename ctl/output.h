/*
 * Where a command's answer goes.  A command says rows and items and never learns which of them is printed: a table
 * prints rows, JSON and YAML print items.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct ctl;
struct output;

struct list {
	const char *key;		/* its place in a document of several lists; NULL: the document is this list */
	const char *const *headings;	/* ends with NULL; NULL: no table */
	unsigned padding;		/* spaces between columns */
};

struct output_form {
	const char *word, *alias;	/* of -o */
	void (*head)(struct output *, const struct list *);
	/* As many cells as there are headings. */
	void (*row)(struct output *, const char *const *cells);
	/* Borrowed. */
	void (*item)(struct output *, const json_t *);
	/* A line of words, for people only. */
	void (*line)(struct output *, const char *text);
	void (*stat)(struct output *, const char *name, json_int_t value);
	/* A document that is no list: `print` puts it in words. */
	void (*facts)(struct output *, const json_t *, void (*print)(FILE *, const json_t *));
	int (*tail)(struct output *);
};

/* word: of -o; to: stays the caller's.  NULL: no such form, or no memory. */
struct output *output_open(const char *word, FILE *to);
/* Prints what is not printed yet and frees.  -1: it could not all be written. */
int output_close(struct output **);

void output_head(struct output *, const struct list *);
void output_row(struct output *, const char *const *cells);
void output_item(struct output *, const json_t *);
void output_line(struct output *, const char *text);
void output_stat(struct output *, const char *name, json_int_t value);
void output_facts(struct output *, const json_t *, void (*print)(FILE *, const json_t *));

/* ---- for the forms ---- */

struct output {
	const struct output_form *form;
	FILE *to;
	struct table *table;		/* text: the one that is being filled */
	unsigned columns, tables;
	json_t *document, *list;	/* JSON, YAML */
};

extern const struct output_form output_text, output_json, output_yaml;
