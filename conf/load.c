/* A whole load: see load.h. */
#include "conf/load.h"

#include "conf/check.h"
#include "conf/compile.h"
#include "conf/expand.h"
#include "conf/print.h"
#include "conf/read.h"

#include <unistd.h>

static int print_to(const struct config *c, int fd, struct err *e)
{
	int copy = dup(fd);
	FILE *out = copy != -1 ? fdopen(copy, "w") : NULL;
	int failed;

	if (out == NULL) {
		if (copy != -1)
			close(copy);
		return err_set(e, "printing the expanded configuration: %m");
	}
	print_config(c, out);
	failed = ferror(out);
	return fclose(out) == 0 && !failed ? 0 : err_set(e, "printing the expanded configuration: %m");
}

static void run(const struct load *l, struct source *source, struct report *report, struct arena *arena,
    struct reading **reading)
{
	struct config config;
	struct err e;

	if (source_load(source, l->file, l->folder, l->open, l->arg, report) == -1 ||
	    read_libconfig(source, &config, arena, report, reading) == -1)
		return;
	expand(&config, arena, report);
	check(&config, arena, report);
	if (report->count > 0)
		return;
	if (compile(&config, source, l->image_fd, &e) == -1 ||
	    (l->print_fd != -1 && print_to(&config, l->print_fd, &e) == -1))
		report_add(report, 0, "", "%s", e.text);
}

int load(const struct load *l)
{
	struct source source = { 0 };
	struct report report = { 0 };
	struct arena arena = { 0 };
	struct reading *reading = NULL;
	int result;

	run(l, &source, &report, &arena, &reading);
	result = report.count == 0 ? 0 : -1;
	if (report_write(&report, l->report_fd) == -1)
		result = -1;
	read_free(&reading);
	arena_free(&arena);
	report_free(&report);
	source_free(&source);
	return result;
}
