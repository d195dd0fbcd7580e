/* ctl/meshctl.bash: what bash is offered for a line, of a real meshctl and with names of a real meshd-agent. */
#include "common/program.h"
#include "t/unit/agent/fixture.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fixture f;

static void begin(void)
{
	fixture_start(&f);
}

static void end(void)
{
	fixture_stop(&f);
}

/* As readline does it: the line up to the cursor, the function's answers a line each. */
static const char script[] =
    "cd \"$4\"; source \"$1\"; COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'; _meshctl \"$3\"; "
    "for reply in \"${COMPREPLY[@]}\"; do printf '%s\\n' \"$reply\"; done";

/* malloc'ed. */
static char *complete(const char *line)
{
	char program[PATH_MAX], buffer[4096], *text = NULL;
	int ends[2], status;
	size_t size = 0;
	struct err e;
	ssize_t n;
	FILE *to = open_memstream(&text, &size);
	pid_t pid;

	cr_assert_eq(program_find("meshctl", program, &e), 0, "%s", e.text);
	cr_assert_eq(pipe(ends), 0);
	if ((pid = fork()) == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		execlp("bash", "bash", "--norc", "--noprofile", "-c", script, "-", TEST_SRCDIR "/ctl/meshctl.bash", line, program,
		    f.folder, NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((n = read(ends[0], buffer, sizeof(buffer))) > 0)
		fwrite(buffer, 1, (size_t)n, to);
	close(ends[0]);
	waitpid(pid, &status, 0);
	fclose(to);
	cr_expect_eq(status, 0, "%s: %s", line, text);
	return text;
}

struct completion_case {
	char line[96];			/* %s: the folder of the sockets */
	char expected[200];		/* a line each */
};

ParameterizedTestParameters(completion, lines)
{
	static struct completion_case cases[] = {
		/* commands, their aliases and subcommands */
		{ "meshctl sta", "status\nstats\n" },
		{ "meshctl -o json sta", "status\nstats\n" },
		{ "meshctl pr", "proxy-config\n" },
		{ "meshctl pc ", "listener\nl\nroute\nr\ncluster\nc\nendpoint\nep\nall\na\n" },
		{ "meshctl intercept c", "confirm\nclear\n" },
		{ "meshctl intercept apply --", "--confirm\n--force\n--rundir\n--output\n--help\n" },
		{ "meshctl intercept v", "verify\n" },
		{ "meshctl intercept verify --t", "--timeout\n" },
		{ "meshctl do", "doctor\n" },
		{ "meshctl connections ", "kill\n" },
		{ "meshctl status ", "" },
		{ "meshctl nosuch st", "status\nstats\n" },
		/* flags */
		{ "meshctl drain --cl", "--cluster\n" },
		{ "meshctl pc ep --", "--address\n--port\n--status\n--cluster\n--rundir\n--output\n--help\n" },
		{ "meshctl reload --wait --t", "--timeout\n" },
		{ "meshctl check -", "-I\n--rundir\n--output\n--help\n" },
		{ "meshctl --ou", "--output\n" },
		/* values */
		{ "meshctl status -o ", "short\njson\nyaml\n" },
		{ "meshctl status --output=j", "json\n" },
		{ "meshctl pc c --direction o", "outbound\n" },
		{ "meshctl drain --over ", "" },
		{ "meshctl names c", "chain\ncluster\n" },
		/* names: the shell's own signs are escaped, but not within quotes; ':' is where readline begins anew */
		{ "meshctl -r %s drain --listener v", "virtualOutbound\n" },
		{ "meshctl -r %s drain --cluster=Pass", "PassthroughCluster\n" },
		{ "meshctl -r %s drain --cluster out", "outbound\\|3306\\|\\|mysql\n" },
		{ "meshctl -r %s drain --cluster outbound\\|33", "outbound\\|3306\\|\\|mysql\n" },
		{ "meshctl -r %s drain --cluster 'outbound|33", "outbound|3306||mysql\n" },
		{ "meshctl -r %s drain --cluster \"outbound|33", "outbound|3306||mysql\n" },
		{ "meshctl -r %s drain --chain virtualOutbound/virtualOutbound-b", "virtualOutbound/virtualOutbound-blackhole\n" },
		{ "meshctl -r %s connections --endpoint outbound\\|3306\\|\\|mysql/127.0.0.1:", "3306\n" },
		{ "meshctl -r %s connections --endpoint 'outbound|3306||mysql/127.0.0.1:", "outbound|3306||mysql/127.0.0.1:3306\n" },
		{ "meshctl -r /nonexistent drain --cluster ", "" },
		/* files */
		{ "meshctl check one", "one file.conf\n" },
		{ "meshctl check -I fol", "folder\n" },
		{ "meshctl check -I fol one", "one file.conf\n" },
	};

	return cr_make_param_array(struct completion_case, cases, sizeof(cases) / sizeof(cases[0]));
}

static void make_files(bool make)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/one file.conf", f.folder);
	if (make && (file = fopen(path, "w")) != NULL)
		fclose(file);
	else
		unlink(path);
	snprintf(path, sizeof(path), "%s/folder", f.folder);
	if (make)
		cr_assert_eq(mkdir(path, 0700), 0);
	else
		rmdir(path);
}

ParameterizedTest(struct completion_case *c, completion, lines, .init = begin, .fini = end, .timeout = 60)
{
	const char *mark = strstr(c->line, "%s");
	char line[256], *got;

	snprintf(line, sizeof(line), "%.*s%s%s", (int)(mark != NULL ? mark - c->line : (long)strlen(c->line)), c->line,
	    mark != NULL ? f.folder : "", mark != NULL ? mark + 2 : "");
	make_files(true);
	got = complete(line);
	make_files(false);
	cr_expect_str_eq(got, c->expected, "%s:\n%s", line, got);
	free(got);
}
