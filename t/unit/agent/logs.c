/* agent/logs.h: whole lines only, however the pipes cut them; a disk that takes nothing. */
#include "agent/logs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

static struct logs l;
static int ends[2], file;

static void begin(void)
{
	logs_init(&l);
	for (unsigned i = 0; i < 2; i++) {
		int p[2];

		cr_assert_eq(pipe2(p, O_CLOEXEC), 0);
		fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
		cr_assert_eq(logs_add_pipe(&l, p[0]), 0);
		ends[i] = p[1];
	}
	file = memfd_create("log", 0);
	logs_set_file(&l, dup(file));
}

static void end(void)
{
	logs_close(&l);
}

TestSuite(logs, .init = begin, .fini = end);

static void step(void)
{
	struct pollfd fds[2];

	logs_poll(&l, fds);
	if (poll(fds, 2, 0) > 0)
		logs_step(&l, fds, 1000);
}

static void say(unsigned worker, const char *text, size_t n)
{
	cr_assert_eq(write(ends[worker], text, n), (ssize_t)n);
	step();
}

/* All of the file, which is emptied. */
static const char *taken(void)
{
	static char text[400000];
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	cr_assert_eq(ftruncate(file, 0), 0);
	lseek(file, 0, SEEK_SET);
	return text;
}

Test(logs, lines_cut_at_every_byte_come_whole)
{
	static const char lines[] = "[2026-11-24T10:00:00.000Z] one\ntwo\n\nthree\n";

	for (size_t cut = 0; cut <= sizeof(lines) - 1; cut++) {
		say(0, lines, cut);
		say(1, "other\n", 6);		/* what comes between never lands within a line */
		say(0, lines + cut, sizeof(lines) - 1 - cut);

		char expected[128], *at = expected;
		size_t whole = cut;

		while (whole > 0 && lines[whole - 1] != '\n')
			whole--;
		at += sprintf(at, "%.*sother\n%s", (int)whole, lines, lines + whole);
		cr_expect_str_eq(taken(), expected, "cut at %zu", cut);
	}
	cr_expect_eq(l.written, 5 * sizeof(lines));
	cr_expect_eq(l.dropped, 0);
}

Test(logs, two_pipes_cut_at_once)
{
	say(0, "aa", 2);
	say(1, "bb", 2);
	say(0, "a\nA", 3);
	say(1, "b\nB", 3);
	cr_expect_str_eq(taken(), "aaa\nbbb\n");
	close(ends[0]);
	close(ends[1]);
	cr_expect(!logs_dry(&l));
	step();
	cr_expect(logs_dry(&l), "both are at their end");
	cr_expect_eq(l.dropped, 2, "the lines whose writers died within them");
	cr_expect_str_eq(taken(), "");
}

Test(logs, a_line_that_is_too_long_is_dropped_alone)
{
	char *junk = malloc(LOGS_LINE_MAX * 3);

	memset(junk, 'x', LOGS_LINE_MAX * 3);
	say(0, "before\n", 7);
	say(0, junk, LOGS_LINE_MAX * 3);
	step();
	step();
	step();
	say(0, "rest\nafter\n", 11);
	step();
	cr_expect_str_eq(taken(), "before\nafter\n");
	cr_expect_eq(l.dropped, 1);

	junk[LOGS_LINE_MAX - 2] = '\n';			/* the longest that is taken */
	say(0, junk, LOGS_LINE_MAX - 1);
	cr_expect_eq(strlen(taken()), LOGS_LINE_MAX - 1);
	free(junk);
}

Test(logs, a_full_disk_drops_and_counts_and_recovers)
{
	logs_set_file(&l, open("/dev/full", O_WRONLY | O_CLOEXEC));
	say(0, "one\ntwo\nthr", 11);
	cr_expect_eq(l.dropped, 2);
	cr_expect_eq(l.written, 0);
	logs_set_file(&l, dup(file));
	say(0, "ee\n", 3);
	cr_expect_str_eq(taken(), "three\n");
	cr_expect_eq(l.written, 1);
}

/* A disk that takes half a line: the next one starts on a line of its own. */
Test(logs, a_torn_line_does_not_spoil_the_next)
{
	struct rlimit small = { 6, RLIM_INFINITY }, large = { RLIM_INFINITY, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	say(0, "one\nlonger\nmore\n", 16);
	setrlimit(RLIMIT_FSIZE, &large);
	cr_expect_eq(l.written, 1);
	cr_expect_eq(l.dropped, 2);
	say(0, "next\n", 5);
	cr_expect_str_eq(taken(), "one\nlo\nnext\n");
}

Test(logs, without_a_file_lines_are_forgotten)
{
	logs_set_file(&l, -1);
	say(0, "one\ntw", 6);
	cr_expect_eq(l.dropped + l.written, 0);
	logs_set_file(&l, dup(file));
	say(0, "o\n", 2);
	cr_expect_str_eq(taken(), "two\n");
}
