/* meshd-agent as a process: what it answers, how it takes generations, how it ends. */
#include "common/wire.h"
#include "t/unit/agent/fixture.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
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

TestSuite(agent, .init = begin, .fini = end, .timeout = 30);

static void expect(const char *target, const char *text)
{
	char *body;

	cr_expect_eq(fixture_get(&f, "GET", target, &body), 200, "%s: %s", target, body);
	cr_expect_not_null(strstr(body, text), "%s: no \"%s\" in\n%s", target, text, body);
	free(body);
}

Test(agent, each_path_answers)
{
	expect("/", "/config_dump\n");
	expect("/stats", "cluster.outbound|3306||mysql.upstream_cx_total: 0\n");
	expect("/stats?format=json", "{\"name\":\"listener.0.0.0.0_15001.downstream_cx_total\",\"value\":0}");
	expect("/clusters", "outbound|3306||mysql::127.0.0.1:3306::cx_active::0\n");
	expect("/clusters?format=json", "cluster_statuses");
	expect("/config_dump", "envoy.admin.v3.ListenersConfigDump");
	expect("/server_info", "\"state\": \"LIVE\"");
	expect("/ready", "LIVE\n");
	expect("/meshd/status", "\"problems\": []");
	expect("/meshd/generations", "\"digest\": \"0001020304050607");
	expect("/meshd/version", "\"version\"");
}

Test(agent, get_is_the_only_method)
{
	cr_expect_eq(fixture_get(&f, "POST", "/stats", NULL), 405);
	cr_expect_eq(fixture_get(&f, "DELETE", "/", NULL), 405);
	cr_expect_eq(fixture_get(&f, "GET", "/quitquitquit", NULL), 404);
}

Test(agent, a_new_generation_replaces_the_old)
{
	for (unsigned i = 2; i < 50; i++)
		fixture_send(&f, WIRE_IMAGE, i, fixture_image(i));
	expect("/config_dump", "\"version_info\": \"49\"");
}

Test(agent, an_image_that_does_not_verify_changes_nothing)
{
	struct image_head head;
	struct wire m = { .type = WIRE_IMAGE, .number = 2 };
	int fd = fixture_image(1);

	cr_assert_eq(pread(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head));
	head.sections[SECTION_CLUSTERS].count = 1u << 30;
	cr_assert_eq(pwrite(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head));
	cr_assert_eq(wire_send(f.control, &m, fd), 0);
	close(fd);
	expect("/config_dump", "\"version_info\": \"1\"");
}

Test(agent, odd_contents_of_live_do_no_harm)
{
	char *bytes = (char *)f.live.head;

	/* Past magic, layout and the number of workers: the head's words, generations, and the workers' blocks. */
	memset(bytes + offsetof(struct live_head, born_ns), 0xff,
	    offsetof(struct live_head, directory) - offsetof(struct live_head, born_ns));
	memset(f.live.blocks, 0xfe, offsetof(struct live_block, rows) + 4096 * sizeof(struct live_row));
	expect("/stats", "worker.1.deaths");
	expect("/clusters?format=json", "cx_total");
	expect("/config_dump", "last_updated");
	cr_expect_eq(fixture_get(&f, "GET", "/meshd/generations", NULL), 200);
	cr_expect_eq(fixture_get(&f, "GET", "/meshd/status", NULL), 200);
	cr_expect_eq(fixture_get(&f, "GET", "/server_info", NULL), 200);
}

Test(agent, lines_go_to_the_file_and_the_drain_writes_the_last)
{
	char got[64] = "";

	cr_assert_eq(write(f.pipes[0], "first\nsec", 9), 9);
	cr_assert_eq(write(f.pipes[1], "other\n", 6), 6);
	fixture_send(&f, WIRE_DRAIN, 5000, -1);
	cr_assert_eq(write(f.pipes[0], "ond\n", 4), 4);
	close(f.pipes[0]);
	close(f.pipes[1]);
	cr_assert_eq(fixture_wait(&f), 0, "it ends when the pipes have ended");
	cr_assert_eq(read(f.logfile, got, sizeof(got) - 1), 19);
	cr_expect_not_null(strstr(got, "first\n"));
	cr_expect_not_null(strstr(got, "other\n"));
	cr_expect_not_null(strstr(got, "second\n"));
}

/* More clients than there is room for, each with half a request: the log does not wait for them. */
Test(agent, slow_clients_hold_up_nobody)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char got[16] = "";
	int clients[64];

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/admin.sock", f.folder);
	for (unsigned i = 0; i < 64; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(clients[i], (struct sockaddr *)&un, sizeof(un)) == 0)
			cr_expect_eq(write(clients[i], "GET /st", 7), 7);
	}
	cr_assert_eq(write(f.pipes[1], "a line\n", 7), 7);
	for (unsigned i = 0; i < 200 && read(f.logfile, got, sizeof(got)) <= 0; i++)
		poll(NULL, 0, 10);
	cr_expect_str_eq(got, "a line\n");
	for (unsigned i = 0; i < 64; i++)
		close(clients[i]);
	expect("/ready", "LIVE\n");
}

/* All of them go at once, seen in one turn of its loop: it takes the next one. */
Test(agent, it_serves_again_after_it_was_full)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int clients[32];

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/admin.sock", f.folder);
	for (unsigned i = 0; i < 32; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_eq(connect(clients[i], (struct sockaddr *)&un, sizeof(un)), 0);
	}
	for (unsigned i = 2; i < 10; i++)
		fixture_send(&f, WIRE_IMAGE, i, fixture_image(i));	/* turns, in which it takes them */
	cr_assert_eq(kill(f.agent, SIGSTOP), 0);
	for (unsigned i = 0; i < 32; i++)
		close(clients[i]);
	cr_assert_eq(kill(f.agent, SIGCONT), 0);
	expect("/ready", "LIVE\n");
}

/* As logrotate has it: the old file is moved, the master sends a new one, later none. */
Test(agent, the_log_goes_to_another_file_and_to_none)
{
	int other = memfd_create("log", MFD_CLOEXEC);
	char got[64] = "";

	fixture_send(&f, WIRE_LOGFILE, 0, dup(other));
	fixture_send(&f, WIRE_IMAGE, 2, fixture_image(1));		/* what was sent before it has been taken by then */
	cr_assert_eq(write(f.pipes[0], "to the other\n", 13), 13);
	for (unsigned i = 0; i < 100 && pread(other, got, sizeof(got) - 1, 0) < 13; i++)
		expect("/ready", "LIVE");				/* a turn of its loop */
	cr_expect_str_eq(got, "to the other\n");
	fixture_send(&f, WIRE_LOGFILE, 0, -1);
	fixture_send(&f, WIRE_IMAGE, 3, fixture_image(1));
	cr_assert_eq(write(f.pipes[0], "to nobody\n", 10), 10);
	expect("/stats?filter=access_log_failed", "server.access_log_failed: 0\n");
	cr_expect_eq(pread(other, got, sizeof(got) - 1, 0), 13);
	cr_expect_eq(read(f.logfile, got, sizeof(got)), 0);
}

/* It is the user of the image, and has no way back. */
Test(agent, it_has_given_up_its_rights)
{
	char path[64], line[256];
	unsigned uids = 0, groups = 1, no_new = 0;
	FILE *status;

	if (geteuid() != 0) {
		end();			/* a test that is skipped has no end of its own */
		cr_skip_test("started without rights");
	}
	snprintf(path, sizeof(path), "/proc/%d/status", (int)f.agent);
	cr_assert_not_null(status = fopen(path, "r"));
	while (fgets(line, sizeof(line), status) != NULL) {
		uids += strncmp(line, "Uid:\t0\t", 7) == 0 || strncmp(line, "Gid:\t0\t", 7) == 0;
		groups += strncmp(line, "Groups:", 7) == 0 && strpbrk(line + 7, "0123456789") != NULL;
		no_new += strcmp(line, "NoNewPrivs:\t1\n") == 0;
		cr_expect(strncmp(line, "CapEff:", 7) != 0 || strtoull(line + 7, NULL, 16) == 0, "%s", line);
	}
	fclose(status);
	cr_expect_eq(uids, 0);
	cr_expect_eq(groups, 1);
	cr_expect_eq(no_new, 1);
}

Test(agent, it_ends_at_the_deadline_of_a_drain)
{
	fixture_send(&f, WIRE_DRAIN, 100, -1);
	cr_assert_eq(fixture_wait(&f), 0);
}

Test(agent, it_ends_after_its_master)
{
	close(f.control);
	expect("/meshd/status", "the master is gone");
	cr_assert_eq(fixture_wait(&f), 0);
}

/* Workers serve for orphan_timeout, and so does the agent: lines are written until the last of them has ended. */
Test(agent, it_outlives_its_master_as_long_as_the_workers)
{
	char got[64] = "";

	fixture_send(&f, WIRE_IMAGE, 2, fixture_image_orphan(100, 600000));
	close(f.control);
	expect("/meshd/status", "\"serves_until\": \"2");
	expect("/meshd/status", "\"state\": \"LIVE\"");
	cr_assert_eq(write(f.pipes[0], "an orphan's\n", 12), 12);
	close(f.pipes[0]);
	close(f.pipes[1]);
	cr_assert_eq(fixture_wait(&f), 0, "it ends when the pipes have ended");
	cr_assert_eq(read(f.logfile, got, sizeof(got) - 1), 12);
	cr_expect_str_eq(got, "an orphan's\n");
}

Test(agent, it_answers_the_watchdog)
{
	const struct wire ping = { .type = WIRE_PING, .number = 0x123456789abcdef };
	struct pollfd p = { .fd = f.control, .events = POLLIN };
	struct wire m;

	cr_assert_eq(wire_send(f.control, &ping, -1), 0);
	cr_assert_eq(poll(&p, 1, 10000), 1);
	cr_assert_eq(wire_receive(f.control, &m, NULL), 1);
	cr_expect_eq(m.type, WIRE_PONG);
	cr_expect_eq(m.number, ping.number);
}
