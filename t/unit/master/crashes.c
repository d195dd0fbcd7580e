/* Crash reports: what a dead worker left is taken no further than its range (master/crashes.h). */
#include "master/crashes.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct crash died(int signal)
{
	return (struct crash){ .who = "worker 1", .pid = 42, .by_signal = true, .number = signal };
}

static void check_text(const struct crash *r, const char *wanted)
{
	char text[512];

	crash_print(r, text, sizeof(text));
	cr_assert_str_eq(text, wanted);
}

Test(crashes, last_words_are_taken_and_cleared)
{
	struct live_crash w = { .signal = SIGSEGV, .address = 0x10, .operation = 4, .generation = 3, .frames = 2, .frame = { 0x1234, 1u << 30 } };
	struct crash r = died(SIGSEGV);

	crash_take_words(&r, &w, 1 << 20);
	check_text(&r, "worker 1 (pid 42) was killed by signal 11 (Segmentation fault) at address 0x10, last operation: connect, generation 3");
	cr_assert_eq(r.frames, 2u);
	cr_assert_eq(r.frame[0], 0x1234u);
	cr_assert_eq(r.frame[1], CRASH_ELSEWHERE);
	cr_assert_eq(live_get(&w.signal), 0u);
}

Test(crashes, words_of_another_death_are_not_taken)
{
	struct live_crash w = { .signal = SIGSEGV, .frames = 2 };
	struct crash r = died(SIGKILL);

	crash_take_words(&r, &w, 1 << 20);
	check_text(&r, "worker 1 (pid 42) was killed by signal 9 (Killed)");
	cr_assert_eq(live_get(&w.signal), 0u);
	r = (struct crash){ .who = "agent", .pid = 7, .number = 1, .note = "out of memory" };
	check_text(&r, "agent (pid 7) has ended with status 1: out of memory");
}

Test(crashes, no_number_of_a_worker_is_believed)
{
	struct live_crash w;
	struct crash r = died(SIGABRT);
	char text[512];

	memset(&w, 0xff, sizeof(w));
	live_set(&w.signal, SIGABRT);
	crash_take_words(&r, &w, 1 << 20);
	cr_assert_eq(r.frames, LIVE_FRAMES);
	crash_print(&r, text, sizeof(text));
	cr_assert(strstr(text, "last operation: unknown") != NULL, "%s", text);
	for (size_t size = 1; size < 200; size++) {
		memset(text, 'x', sizeof(text));
		crash_print(&r, text, size);
		cr_assert_lt(strnlen(text, sizeof(text)), size);
	}
}

Test(crashes, the_last_thirty_two_are_kept)
{
	static struct crashes c;
	static char text[65536];
	int fd = memfd_create("crashes", 0), lines = 0;

	for (int i = 0; i < 40; i++)
		*crashes_add(&c) = (struct crash){ .who = "worker 0", .pid = i, .by_signal = true, .number = SIGKILL };
	c.ring[39 % CRASHES_KEPT].frames = 1;
	c.ring[39 % CRASHES_KEPT].frame[0] = 0xabc;
	cr_assert_eq(crashes_print(&c, fd), 0);
	cr_assert_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	cr_assert_eq(lines, CRASHES_KEPT + 1);
	cr_assert(strncmp(text, "1970-01-01T00:00:00Z worker 0 (pid 8) was killed by signal 9 (Killed)\n", 70) == 0, "%s", text);
	cr_assert(strstr(text, "\n    meshd-worker+0xabc\n") != NULL, "%s", text);
	close(fd);
}
