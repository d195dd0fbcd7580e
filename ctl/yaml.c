/* JSON as YAML: see yaml.h. */
#include "ctl/yaml.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Letters, digits and a few signs that mean nothing in YAML, beginning with a letter or '/'; no word of a boolean. */
static bool is_plain(const char *text)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false", "null" };

	if (!isalpha((unsigned char)text[0]) && text[0] != '/')
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0)
			return false;
	}
	for (; *text != '\0'; text++) {
		if (!isalnum((unsigned char)*text) && strchr("_-./|", *text) == NULL)
			return false;
	}
	return true;
}

static void print_text(const char *text, FILE *to)
{
	json_t *quoted;

	if (is_plain(text)) {
		fputs(text, to);
		return;
	}
	quoted = json_string(text);
	json_dumpf(quoted, to, JSON_ENCODE_ANY);	/* a JSON string is a YAML one */
	json_decref(quoted);
}

static void print_value(const json_t *, FILE *, int depth, bool at_start);

static void indent(FILE *to, int depth)
{
	fprintf(to, "%*s", 2 * depth, "");
}

static bool is_empty(const json_t *j)
{
	return (json_is_object(j) && json_object_size(j) == 0) || (json_is_array(j) && json_array_size(j) == 0);
}

/* at_start: the cursor stands where the first key goes (after "- "). */
static void print_object(const json_t *j, FILE *to, int depth, bool at_start)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)j, key, value) {
		if (!at_start)
			indent(to, depth);
		at_start = false;
		print_text(key, to);
		fputc(':', to);
		if ((json_is_object(value) || json_is_array(value)) && !is_empty(value)) {
			fputc('\n', to);
			print_value(value, to, json_is_array(value) ? depth : depth + 1, false);
		} else {
			fputc(' ', to);
			print_value(value, to, 0, false);
		}
	}
}

static void print_array(const json_t *j, FILE *to, int depth)
{
	const json_t *value;
	size_t i;

	json_array_foreach(j, i, value) {
		indent(to, depth);
		fputs("- ", to);
		if (json_is_array(value) && !is_empty(value))
			fputc('\n', to);
		print_value(value, to, depth + 1, true);
	}
}

static void print_value(const json_t *j, FILE *to, int depth, bool at_start)
{
	if (is_empty(j)) {
		fputs(json_is_object(j) ? "{}\n" : "[]\n", to);
	} else if (json_is_object(j)) {
		print_object(j, to, depth, at_start);
	} else if (json_is_array(j)) {
		print_array(j, to, depth);
	} else {
		if (json_is_string(j))
			print_text(json_string_value(j), to);
		else
			json_dumpf(j, to, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
		fputc('\n', to);
	}
}

void yaml_print(const json_t *j, FILE *to)
{
	print_value(j, to, 0, false);
}
