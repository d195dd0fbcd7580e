/*
 * meshd: the master.  Starts the others, publishes configurations, sets interception rules; `meshd -n` only checks a
 * configuration, with the caller's own rights.
 */
#include "common/confrun.h"
#include "common/log.h"
#include "common/program.h"
#include "master/direct.h"
#include "master/master.h"
#include "master/poststop.h"

#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS 65536		/* workers inherit it; two for each connection */

static int usage(void)
{
	fprintf(stderr, "usage: meshd -c FILE [-I DIR]...\n       meshd -n [-v] -c FILE\n"
	    "       meshd --post-stop -c FILE [-I DIR]...\n"
	    "       meshd --intercept plan -c FILE [-I DIR]... [-r RUNDIR]\n"
	    "       meshd --intercept status|clear [-c FILE] [-I DIR]... [-r RUNDIR] [--force]\n"
	    "       meshd -V\n");
	return 2;
}

/* fd -1: meshd-conf could not even be run. */
static int print_report(int fd, const struct err *e)
{
	char text[4096];
	ssize_t n;

	if (fd == -1)
		fprintf(stderr, "meshd: %s\n", e->text);
	while (fd != -1 && (n = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)n, stderr);
	return 1;
}

/* Files may lie wherever the caller's rights reach. */
static int check_only(const char *file, bool print)
{
	char program[PATH_MAX];
	struct confrun_options o = { .program = program, .file = file, .print_fd = print ? STDOUT_FILENO : -1 };
	int image, report = -1;
	struct err e;

	if (program_find("meshd-conf", program, &e) == -1 || confrun(&o, &image, &report, &e) == -1)
		return print_report(report, &e);
	close(image);
	close(report);
	if (!print)
		printf("%s: ok\n", file);
	return 0;
}

static void raise_descriptors(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	if (rl.rlim_max < DESCRIPTORS) {
		const struct rlimit more = { DESCRIPTORS, DESCRIPTORS };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

/* What is opened must not be taken for standard error. */
static int open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd != -1 && fd <= STDERR_FILENO);
	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* Files may be opened below the configuration's own folder too; it comes first. */
static int add_folder(struct options *o, const char *folder)
{
	const char **more = realloc(o->folders, ((size_t)o->nfolders + 2) * sizeof(*more));

	if (more == NULL)
		return -1;
	o->folders = more;
	o->folders[o->nfolders++] = folder;
	return 0;
}

/* What is wanted of it, beside running. */
struct wish {
	bool check, print, post_stop, force;
	enum direct_verb intercept;
	const char *rundir;
};

static int run(const struct options *o)
{
	static struct master m;

	if (open_standard() == -1) {
		log_error("/dev/null: %m");
		return 1;
	}
	if (geteuid() != 0) {
		log_error("has to be started by root (meshd -n checks a configuration without)");
		return 1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		log_error("prctl: %m");
		return 1;
	}
	raise_descriptors();
	m.options = *o;
	return master_run(&m);
}

/* What goes with what. */
static bool is_sensible(const struct options *o, const struct wish *w)
{
	bool alone = w->intercept != DIRECT_NONE;

	if ((w->print && !w->check) || w->check + w->post_stop + alone > 1)
		return false;
	if ((w->rundir != NULL && !alone) || (w->force && w->intercept != DIRECT_CLEAR))
		return false;
	return o->file != NULL || w->intercept == DIRECT_STATUS || w->intercept == DIRECT_CLEAR;
}

/* 0 and more: the exit status; -1: there is something to do. */
static int read_options(int argc, char *argv[], struct options *o, struct wish *w)
{
	static const struct option words[] = {
		{ "post-stop", no_argument, NULL, 'p' }, { "intercept", required_argument, NULL, 'i' },
		{ "force", no_argument, NULL, 'f' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:I:r:nvV", words, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'I':
			if (add_folder(o, optarg) == -1)
				return 1;
			break;
		case 'n':
			w->check = true;
			break;
		case 'v':
			w->print = true;
			break;
		case 'p':
			w->post_stop = true;
			break;
		case 'i':
			if ((w->intercept = direct_verb(optarg)) == DIRECT_NONE)
				return usage();
			break;
		case 'f':
			w->force = true;
			break;
		case 'r':
			w->rundir = optarg;
			break;
		case 'V':
			printf("meshd %s\n", MESHD_VERSION);
			return 0;
		default:
			return usage();
		}
	}
	return optind == argc && is_sensible(o, w) ? -1 : usage();
}

int main(int argc, char *argv[])
{
	struct options o = { .file = NULL };
	struct wish w = { .check = false };
	int status = read_options(argc, argv, &o, &w);
	char *copy = NULL;

	signal(SIGCHLD, SIG_DFL);	/* ignored by whoever started us, children could not be waited for */
	if (status == -1 && w.check) {
		status = check_only(o.file, w.print);
	} else if (status == -1) {
		log_open("meshd");
		if (o.file != NULL && ((copy = strdup(o.file)) == NULL || add_folder(&o, dirname(copy)) == -1)) {
			log_error("out of memory");
			status = 1;
		} else if (w.intercept != DIRECT_NONE) {
			status = direct(&o, w.intercept, w.rundir, w.force);
		} else {
			status = w.post_stop ? post_stop(&o) : run(&o);
		}
	}
	free(copy);
	free(o.folders);
	return status;
}
