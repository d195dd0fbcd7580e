/* common/confrun.h with the real meshd-conf, and with programs in its place that misbehave. */
#include "common/confrun.h"

#include "common/program.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

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

TestSuite(confrun, .init = make_folder, .fini = remove_folder);

static const char *put(const char *name, const char *text, mode_t mode)
{
	static char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	cr_assert_neq(fd, -1);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static char report_text[65536];

/* Result of confrun(); the report in report_text. */
static int run(const char *program, const char *file, const char *const *folders, int nfolders)
{
	struct confrun_options o = { .program = program, .file = file, .folders = folders, .nfolders = nfolders, .print_fd = -1 };
	int image, report, r;
	struct err e;
	ssize_t n;

	r = confrun(&o, &image, &report, &e);
	cr_assert_neq(report, -1, "%s", e.text);
	cr_assert_eq(image != -1, r == 0);
	n = read(report, report_text, sizeof(report_text) - 1);
	cr_assert_geq(n, 0);
	report_text[n] = '\0';
	close(report);
	if (image != -1)
		close(image);
	return r;
}

static const char *real_program(void)
{
	static char path[PATH_MAX];
	struct err e;

	cr_assert_eq(program_find("meshd-conf", path, &e), 0, "%s", e.text);
	return path;
}

static void fails(const char *script, const char *words)
{
	char want[256], program[PATH_MAX];

	strcpy(program, put("program", script, 0755));
	snprintf(want, sizeof(want), "some.conf: %s\n", words);
	cr_assert_eq(run(program, "some.conf", NULL, 0), -1);
	cr_assert_str_eq(report_text, want);
}

Test(confrun, a_child_that_dies_is_named)
{
	fails("#!/bin/sh\nkill -SEGV $$\n", "meshd-conf died of signal 11 (Segmentation fault)");
	fails("#!/bin/sh\nexit 1\n", "meshd-conf ended with status 1");
	fails("#!/bin/sh\nexit 3\n", "meshd-conf ran out of memory");
	fails("#!/bin/sh\nexit 77\n", "meshd-conf ended with status 77");
	fails("#!/bin/sh\nprintf x >&3; sleep 60\n", "meshd-conf asked for files in a way it must not and was stopped");
}

Test(confrun, what_was_reported_before_a_death_is_kept)
{
	cr_assert_eq(run(put("program", "#!/bin/sh\necho 'a:1: b: c' >&5\nkill -KILL $$\n", 0755), "a", NULL, 0), -1);
	cr_assert_str_eq(report_text, "a:1: b: c\na: meshd-conf died of signal 9 (Killed)\n");
}

Test(confrun, a_program_that_is_not_there_does_not_run)
{
	struct confrun_options o = { .program = "/nowhere/meshd-conf", .file = "a", .print_fd = -1 };
	int image, report;
	struct err e;

	cr_assert_eq(confrun(&o, &image, &report, &e), -1);
	cr_assert_eq(image, -1);
	cr_assert_eq(report, -1);
	cr_assert_str_eq(e.text, "/nowhere/meshd-conf: No such file or directory");
}

Test(confrun, a_user_that_is_not_there_is_named)
{
	struct confrun_options o = { .program = "/nowhere/meshd-conf", .file = "a", .user = "no-such-user", .print_fd = -1 };
	int image, report;
	struct err e;

	cr_assert_eq(confrun(&o, &image, &report, &e), -1);
	cr_assert_str_eq(e.text, "user no-such-user does not exist: useradd --system no-such-user");
}

/* Finishing early kills; nothing of the child is left. */
Test(confrun, finish_does_not_wait_for_a_sleeper)
{
	struct confrun_options o = { .program = put("program", "#!/bin/sh\nexec sleep 60\n", 0755), .file = "a", .print_fd = -1 };
	struct confrun *c;
	struct pollfd fds[2];
	int image, report, timeout_ms = 7;
	struct err e;

	cr_assert_eq(confrun_start(&o, &c, &e), 0, "%s", e.text);
	cr_assert_not(confrun_step(c));
	confrun_poll(c, fds, &timeout_ms);
	cr_assert_eq(timeout_ms, 7);
	timeout_ms = -1;
	confrun_poll(c, fds, &timeout_ms);
	cr_assert(timeout_ms > 0 && timeout_ms <= CONFRUN_DEADLINE_MS);
	cr_assert_eq(confrun_finish(&c, &image, &report), -1);
	cr_assert_null(c);
	cr_assert_eq(image, -1);
	close(report);
}

Test(confrun, only_regular_files_below_the_folders_are_opened)
{
	char main_file[PATH_MAX], inner[128], want[8 * PATH_MAX], path[256];
	const char *folders[] = { inner };

	snprintf(inner, sizeof(inner), "%s/inner", folder);
	cr_assert_eq(mkdir(inner, 0755), 0);
	snprintf(path, sizeof(path), "%s/fifo", inner);
	cr_assert_eq(mkfifo(path, 0644), 0);
	put("outside.conf", "workers = 1;\n", 0644);
	put("inner.conf", "workers = 1;\n", 0644);		/* begins as the folder's name does */
	put("inner/good.conf", "workers = 2;\n", 0644);
	snprintf(path, sizeof(path), "%s/link.conf", inner);
	cr_assert_eq(symlink("../outside.conf", path), 0);
	strcpy(main_file, put("inner/main.conf", "@include \"good.conf\"\n@include \"../outside.conf\"\n@include \"link.conf\"\n"
	    "@include \"fifo\"\n@include \".\"\n@include \"/dev/null\"\n@include \"../inner.conf\"\n@include \"none\"\n", 0644));
	cr_assert_eq(run(real_program(), main_file, folders, 1), -1);
	snprintf(want, sizeof(want),
	    "%1$s:2: @include \"../outside.conf\": lies outside of the folders that may be read (-I adds one)\n"
	    "%1$s:3: @include \"link.conf\": lies outside of the folders that may be read (-I adds one)\n"
	    "%1$s:4: @include \"fifo\": is not a regular file\n"
	    "%1$s:5: @include \".\": lies outside of the folders that may be read (-I adds one)\n"
	    "%1$s:6: @include \"/dev/null\": lies outside of the folders that may be read (-I adds one)\n"
	    "%1$s:7: @include \"../inner.conf\": lies outside of the folders that may be read (-I adds one)\n"
	    "%1$s:8: @include \"none\": No such file or directory\n", main_file);
	cr_assert_str_eq(report_text, want);
	put("inner/main.conf", "@include \"good.conf\"\n", 0644);
	cr_assert_eq(run(real_program(), main_file, folders, 1), 0, "%s", report_text);
}

Test(confrun, at_most_1024_files_are_opened)
{
	static char text[1100 * 16];
	char main_file[PATH_MAX], want[PATH_MAX + 256], *end = text;

	put("e", "", 0644);
	for (int i = 0; i < 1024; i++)
		end = stpcpy(end, "@include \"e\"\n");
	strcpy(main_file, put("main.conf", text, 0644));
	cr_assert_eq(run(real_program(), main_file, NULL, 0), -1);
	snprintf(want, sizeof(want), "%s:1024: @include \"e\": is one file too many: at most 1024 are read\n", main_file);
	cr_assert_str_eq(report_text, want);
}

Test(confrun, a_relative_name_is_shown_as_it_was_given)
{
	cr_assert_eq(chdir(folder), 0);
	put("main.conf", "\nworkers = 65;\n", 0644);
	cr_assert_eq(run(real_program(), "main.conf", NULL, 0), -1);
	cr_assert_str_eq(report_text, "main.conf:2: workers: 65 is out of range (0 to 64)\n");
}

/* ---- confined: t/unit/conf/confined.c in the place of meshd-conf ---- */

static const char *confined(void)
{
	static char path[PATH_MAX];
	struct err e;

	cr_assert_eq(program_find("confined", path, &e), 0, "%s", e.text);
	return path;
}

static void has(const char *line)
{
	cr_expect_not_null(strstr(report_text, line), "\"%s\" is not in\n%s", line, report_text);
}

Test(confrun, a_confined_child_can_do_its_work_and_nothing_else)
{
	cr_assert_eq(run(confined(), "confined", NULL, 0), -1);
	has("asks: yes, reads: yes\n");
	has("writes what it reads: no\n");
	has("writes the image: yes\n");
	has("memory: yes\n");
	has("open: EPERM\n");
	has("fork: EPERM\n");
	has("message elsewhere: EPERM\n");
	cr_assert_null(strstr(report_text, "is wrong"), "%s", report_text);
	has("NoNewPrivs:\t1\n");
	has("descriptors: 0 1 2 3 4 5\n");
}

/* The same program without the filter: nothing of it fails for another reason. */
Test(confrun, without_its_filter_it_could)
{
	cr_assert_eq(run(confined(), "free", NULL, 0), -1);
	has("open: 0\n");
	has("fork: 0\n");
	cr_assert_null(strstr(report_text, "EPERM"), "%s", report_text);
	cr_assert_null(strstr(report_text, "is wrong"), "%s", report_text);
}
