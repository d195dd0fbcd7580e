/* names KIND: what connections can be listed and drained by, a line each; the completion of a shell asks it too. */
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/words.h"

#include <stdlib.h>
#include <string.h>

static int print_names(struct ctl *c, const json_t *names)
{
	static const struct list list = { NULL, NULL, 0 };
	const json_t *name;
	size_t i;

	output_head(c->out, &list);
	json_array_foreach(names, i, name) {
		char *line = strdup(json_is_string(name) ? json_string_value(name) : "?");

		if (line == NULL) {
			ctl_complain("%m");
			return 1;
		}
		output_line(c->out, words_harmless(line));
		output_item(c->out, name);
		free(line);
	}
	return 0;
}

int command_names(struct ctl *c)
{
	static const char *const kinds[] = { "listeners", "chains", "clusters", "endpoints" };
	const char *kind = NULL;
	json_t *names;
	struct err e;
	int status;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(kinds[i], c->operands[0], strlen(kinds[i]) - 1) == 0 && strlen(c->operands[0]) == strlen(kinds[i]) - 1)
			kind = kinds[i];
	}
	if (kind == NULL) {
		ctl_complain("names %s: listener, chain, cluster or endpoint is needed", c->operands[0]);
		return 2;
	}
	if ((names = client_get(c->rundir, "/meshd/names", &e)) == NULL) {
		ctl_complain("%s", e.text);
		return 1;
	}
	status = print_names(c, json_object_get(names, kind));
	json_decref(names);
	return status;
}
