/*
 * Large files and hostile ones, through the real meshd-conf under its own limits of memory, CPU and time (confrun.c):
 * each ends within them, as what it is.  The bounds are those limits; what was used is logged (--verbose).
 */
#include "common/confrun.h"
#include "common/image.h"
#include "common/program.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef MESHD_SANITIZERS
#define MEGABYTES 1		/* the limit of CPU time is the same, everything else is slower */
#else
#define MEGABYTES 10
#endif
#define BYTES (MEGABYTES << 20)

static char folder[64], report[1 << 20];

static void make_folder(void)
{
	strcpy(folder, "/tmp/meshd-unit-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(big, .init = make_folder, .fini = remove_folder);

static FILE *create(const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	cr_assert_not_null(f = fopen(path, "we"));
	return f;
}

static void repeat(FILE *f, const char *before, const char *piece, size_t times, const char *after)
{
	fputs(before, f);
	while (times-- > 0)
		fputs(piece, f);
	fputs(after, f);
	fclose(f);
}

static long cpu_ms(const struct rusage *u)
{
	return u->ru_utime.tv_sec * 1000 + u->ru_utime.tv_usec / 1000 + u->ru_stime.tv_sec * 1000 + u->ru_stime.tv_usec / 1000;
}

/* Loads main.conf, all of whose children are this test's; -1: the start of the report is in `report`. */
static int load(const char *what, struct image *image_r)
{
	char program[PATH_MAX], path[PATH_MAX];
	struct confrun_options o = { .program = program, .file = path, .print_fd = -1 };
	int image, report_fd, r;
	struct rusage u;
	struct err e;
	ssize_t n;

	cr_assert_eq(program_find("meshd-conf", program, &e), 0, "%s", e.text);
	snprintf(path, sizeof(path), "%s/main.conf", folder);
	r = confrun(&o, &image, &report_fd, &e);
	cr_assert_neq(report_fd, -1, "%s", e.text);
	getrusage(RUSAGE_CHILDREN, &u);
	cr_log_info("%s: %ld ms of CPU, %ld MiB", what, cpu_ms(&u), u.ru_maxrss / 1024);
	n = read(report_fd, report, sizeof(report) - 1);
	report[n > 0 ? n : 0] = '\0';
	close(report_fd);
	cr_assert_null(strstr(report, "main.conf: meshd-conf "), "not within its limits: %s", report);
	if (r == 0) {
		cr_assert_eq(image_map(image, image_r, &e), 0, "%s", e.text);
		cr_assert_eq(image_verify(image_r, &e), 0, "%s", e.text);
		close(image);
	}
	return r;
}

static void refused(const char *what, const char *words)
{
	struct image i;

	cr_assert_eq(load(what, &i), -1);
	cr_assert_not_null(strstr(report, words), "%s: %.400s", what, report);
}

#define CLUSTER "\t{\n\t\tname = \"outbound|%d||service-%d.namespace.svc.cluster.local\";\n\t\tconnect_timeout = \"1s\";\n" \
	"\t\tendpoints = (\n\t\t\t{ address = \"192.0.2.1:80\"; weight = %d; },\n\t\t\t\"192.0.2.2:80\"\n\t\t);\n\t}"

Test(big, clusters_in_one_file)
{
	FILE *f = create("main.conf");
	struct image i;
	int n = 0;

	fputs("clusters = (\n", f);
	while (ftell(f) < BYTES && n < 43000) {
		fprintf(f, "%s" CLUSTER, n > 0 ? ",\n" : "", n % 65535 + 1, n, n % 100 + 1);
		n++;
	}
	fprintf(f, "\n);\n#%*s\n", (int)(BYTES > ftell(f) ? BYTES - ftell(f) : 0), "");
	fclose(f);
	cr_assert_eq(load("clusters", &i), 0, "%s", report);
	cr_assert_eq(image_count(&i, SECTION_CLUSTERS), (uint32_t)n);
}

Test(big, services_in_a_thousand_files)
{
	FILE *f = create("main.conf");
	struct image i;
	int n = 0;

	fputs("intercept = { };\nservices = (\n", f);
	for (int k = 0; k < 1000; k++)
		fprintf(f, "%s@include \"%d.conf\"\n", k > 0 ? ",\n" : "", k);
	fputs(");\n", f);
	fclose(f);
	for (int k = 0; k < 1000; k++) {
		char name[32];

		snprintf(name, sizeof(name), "%d.conf", k);
		f = create(name);
		for (int s = 0; s < 2 * MEGABYTES; s++, n++)
			fprintf(f, "%s{ name = \"service-%d\"; port = %d; protocol = \"tcp\"; addresses = [ \"203.0.%d.%d\" ];\n"
			    "  endpoints = [ \"198.51.100.20:80\" ]; }", s > 0 ? ",\n" : "", n, n % 60000 + 1, n / 250 % 250, n % 250);
		fprintf(f, "\n#%*s\n", (int)(BYTES / 1000 - ftell(f)), "");
		fclose(f);
	}
	cr_assert_eq(load("services", &i), 0, "%s", report);
	cr_assert_eq(image_count(&i, SECTION_LISTENERS), (uint32_t)n + 2);
}

Test(big, chains_of_one_listener)
{
	FILE *f = create("main.conf");
	struct image i;

	fputs("clusters = ( { name = \"c\"; } );\nlisteners = ( { name = \"l\"; address = \"0.0.0.0\"; port = 80; filter_chains = (\n", f);
	for (int k = 0; k < 6000 * MEGABYTES; k++)
		fprintf(f, "%s{ filter_chain_match = { destination_port = %d; prefix_ranges = [ \"10.%d.%d.0/24\", \"10.%d.%d.128/25\" ]; };\n"
		    "filters = ( { type = \"tcp_proxy\"; cluster = \"c\"; } ); }", k > 0 ? "," : "", k % 9 + 1, k / 256, k % 256, k / 256, k % 256);
	fputs("); } );\n", f);
	fclose(f);
	cr_assert_eq(load("chains", &i), 0, "%s", report);
	cr_assert_eq(image_count(&i, SECTION_MATCHES), 12000u * MEGABYTES);
}

Test(big, everything_wrong)
{
	FILE *f = create("main.conf");

	fputs("clusters = (\n", f);
	for (int k = 0; k < 9000 * MEGABYTES; k++)
		fprintf(f, "%s{ name = \"c\"; conect_timeout = \"1s\"; endpoints = [ \"192.0.2.1\", \"x\" ]; connect_timeout = 3; }\n", k > 0 ? "," : "");
	fputs(");\n", f);
	fclose(f);
	refused("errors", "main.conf:2: clusters[0].conect_timeout: unknown key (did you mean \"connect_timeout\"?)\n");
}

/* Every cluster that a listener names is missing, each nearly like another one's name. */
Test(big, every_reference_dangles)
{
	FILE *f = create("main.conf");
	char name[200];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	fputs("clusters = (", f);
	for (int k = 0; k < 2000 * MEGABYTES; k++)
		fprintf(f, "%s{ name = \"%s-%d\"; }\n", k > 0 ? "," : "", name, k);
	fputs(");\nlisteners = (", f);
	for (int k = 0; k < 2000 * MEGABYTES; k++)
		fprintf(f, "%s{ name = \"%d\"; address = \"192.0.2.1\"; port = %d; filter_chains = ( { filters = ( { type = \"tcp_proxy\";"
		    "cluster = \"m%s-%d\"; } ); } ); }\n", k > 0 ? "," : "", k, k + 1, name, k);
	fputs(");\n", f);
	fclose(f);
	refused("references", "there is no cluster \"mnnn");
}

Test(big, files_that_include_each_other_twice)
{
	for (int k = 0; k < 17; k++) {
		char name[32];
		FILE *f;

		snprintf(name, sizeof(name), k > 0 ? "%d.conf" : "main.conf", k);
		f = create(name);
		fprintf(f, "@include \"%d.conf\"\n@include \"%d.conf\"\n", k + 1, k + 1);
		fclose(f);
	}
	refused("doubling", "more than 16 files in each other");
	cr_assert_not_null(strstr(report, "main.conf: and "), "1024 files, then all others are one too many");
}

Test(big, one_large_file_again_and_again)
{
	repeat(create("large.conf"), "", "# 0123456789abcde\n", 1 << 20, "x_ = 1;\n");
	repeat(create("spaces.conf"), "", "        \n", 13 << 17, "");
	repeat(create("main.conf"), "", "@include \"spaces.conf\"\n", 1000, "");
	refused("again", "all files together are larger than 32 MiB");
	repeat(create("main.conf"), "", "@include \"large.conf\"\n", 1, "");
	refused("large", "is larger than 16 MiB");
}

Test(big, text_that_costs_most)
{
	static const struct { const char *what, *before, *piece, *after, *words; size_t divide; } cases[] = {
		{ "pieces of a string", "user = ", "\"x\" ", ";", "at most 32 can be", 4 },
		{ "a string", "user = \"", "x", "\";", "at most 32 can be", 1 },
		{ "empty groups", "clusters = ( ", "{ }, ", "{ } );", "members, at most 100000 can be", 5 },
		{ "numbers", "x = [ ", "1, ", "1 ];", "x: unknown key", 4 },
		{ "lists", "x = ( ", "((((((((((((((((((((((((((((((  )))))))))))))))))))))))))))))), ", "1 );", "x: unknown key", 140 },
		{ "brackets", "x = ", "(", "", "more than 32 groups and lists in each other", 1 },
		{ "a name", "", "x", " = 1;", "unknown key", 1 },
		{ "comments", "workers = 65; ", "/**/\n", "", "workers: 65 is out of range", 5 },
		{ "prefixes", "listeners = ( { filter_chains = ( { filter_chain_match = { prefix_ranges = [ ", "\"10.0.0.0/8\", ",
		  "\"10.0.0.0/8\" ]; }; } ); } );", "members, at most 10000 can be", 14 },
	};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		repeat(create("main.conf"), cases[k].before, cases[k].piece, BYTES / cases[k].divide, cases[k].after);
		refused(cases[k].what, cases[k].words);
	}
}

Test(big, prefixes_multiplied)
{
	FILE *f = create("main.conf");

	fputs("clusters = ( { name = \"c\"; } ); listeners = ( { name = \"l\"; address = \"0.0.0.0\"; port = 80; filter_chains = ( { "
	    "filters = ( { type = \"tcp_proxy\"; cluster = \"c\"; } ); filter_chain_match = {\n", f);
	for (int list = 0; list < 2; list++) {
		fputs(list == 0 ? "prefix_ranges = [ " : "source_prefix_ranges = [ ", f);
		for (int k = 0; k < 10000; k++)
			fprintf(f, "%s\"10.%d.%d.0/24\"", k > 0 ? ", " : "", k / 256, k % 256);
		fputs(" ];\n", f);
	}
	fputs("}; } ); } );\n", f);
	fclose(f);
	refused("multiplied", "prefix_ranges times source_prefix_ranges are more than");
}
