/* meshd-agent as a process: what it answers, how it takes generations, how it ends. */
#include "common/wire.h"
#include "t/unit/agent/fixture.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
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
