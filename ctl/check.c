/*
 * check FILE: is it a good configuration?  meshd-conf reads it as it would for the master, with the caller's own rights:
 * files from the folder of FILE and each -I only.
 */
#include "common/confrun.h"
#include "common/program.h"
#include "ctl/ctl.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_good(FILE *to, const json_t *facts)
{
	fprintf(to, "%s: ok\n", json_string_value(json_object_get(facts, "file")));
}

static void say_good(struct ctl *c, const char *file)
{
	json_t *facts = json_pack("{s:s, s:b}", "file", file, "ok", 1);

	output_facts(c->out, facts, print_good);
	json_decref(facts);
}

/* True: the file is good; else all is said. */
static bool is_good(const struct confrun_options *o)
{
	int image, report;
	struct err e;

	if (confrun(o, &image, &report, &e) == -1 && report == -1) {
		ctl_complain("%s", e.text);
		return false;
	}
	ctl_copy_report(report);
	close(report);
	if (image == -1)
		return false;
	close(image);
	return true;
}

int command_check(struct ctl *c)
{
	const char *folders[1 + sizeof(c->folders) / sizeof(c->folders[0])];
	char program[PATH_MAX], copy[PATH_MAX];
	const char *file = c->operands[0];
	struct confrun_options o = { .program = program, .file = file, .folders = folders, .print_fd = -1 };
	struct err e;

	if (snprintf(copy, sizeof(copy), "%s", file) >= (int)sizeof(copy)) {
		ctl_complain("%.60s...: the name is too long", file);
		return 1;
	}
	if (program_find("meshd-conf", program, &e) == -1) {
		ctl_complain("%s", e.text);
		return 1;
	}
	folders[o.nfolders++] = dirname(copy);
	for (int i = 0; i < c->nfolders; i++)
		folders[o.nfolders++] = c->folders[i];
	if (!is_good(&o))
		return 1;
	say_good(c, file);
	return 0;
}
