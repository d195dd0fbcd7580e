/* stats [FILTER]: every counter, or those whose name matches. */
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/json.h"

#include <stdio.h>
#include <stdlib.h>

static int target_of(const char *filter, bool nonzero, char *to, size_t room)
{
	char *escaped = client_escape(filter);
	int n = escaped == NULL ? -1 : snprintf(to, room, "/stats?format=json%s%s%s", nonzero ? "&usedonly" : "",
	    *filter != '\0' ? "&filter=" : "", escaped);

	free(escaped);
	return n > 0 && (size_t)n < room ? 0 : -1;
}

int command_stats(struct ctl *c)
{
	static const struct list list = { "stats", NULL, 0 };
	const char *filter = c->noperands > 0 ? c->operands[0] : "";
	const json_t *stat;
	char target[1024];
	struct err e;
	json_t *stats;
	size_t i;

	if (target_of(filter, ctl_switch(c, "nonzero", false), target, sizeof(target)) == -1) {
		ctl_complain("the filter is too long");
		return 2;
	}
	if ((stats = client_get(c->rundir, target, &e)) == NULL) {
		ctl_complain("%s", e.text);
		return 1;
	}
	output_head(c->out, &list);
	json_array_foreach(json_object_get(stats, "stats"), i, stat)
		output_stat(c->out, json_text(stat, "name"), json_number(stat, "value"));
	json_decref(stats);
	return 0;
}
