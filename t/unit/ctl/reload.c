/* reload and intercept: what meshctl asks on control.sock and what it makes of the answer.  The test is the master. */
#include "common/control.h"
#include "common/program.h"
#include "common/wire.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static int listener;

static void path_of_socket(struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%s/%s", folder, CONTROL_SOCKET);
}

static void begin(void)
{
	struct sockaddr_un un;

	strcpy(folder, "/tmp/meshd-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	path_of_socket(&un);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
	cr_assert_eq(listen(listener, 4), 0);
}

static void end(void)
{
	struct sockaddr_un un;

	path_of_socket(&un);
	unlink(un.sun_path);
	rmdir(folder);
}

TestSuite(control, .init = begin, .fini = end, .timeout = 30);

/* Runs meshctl; answers its request, which is returned.  reply NULL: hangs up.  Its stdout and stderr are in text. */
static struct control_request converse(const char *arguments, const struct control_reply *reply, int report,
    char *text, size_t room, int *status_r)
{
	char program[PATH_MAX], line[PATH_MAX + 256];
	struct control_request q = { 0 };
	struct err e;
	FILE *from;
	int fd;

	cr_assert_eq(program_find("meshctl", program, &e), 0, "%s", e.text);
	snprintf(line, sizeof(line), "%s -r %s %s 2>&1", program, folder, arguments);
	cr_assert_not_null(from = popen(line, "r"));
	fd = accept(listener, NULL, NULL);
	cr_assert_eq(record_receive(fd, &q, sizeof(q), NULL), 1);
	if (reply != NULL)
		record_send(fd, reply, sizeof(*reply), report);
	close(fd);
	memset(text, 0, room);
	cr_assert(fread(text, 1, room - 1, from) < room - 1);
	*status_r = WEXITSTATUS(pclose(from));
	return q;
}

Test(control, reload_waits_and_says_the_generation)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .generation = 7, .text = "generation 7 is adopted" };
	struct control_request q;
	char text[512];
	int status;

	q = converse("reload --wait --timeout 90s", &r, -1, text, sizeof(text), &status);
	cr_expect_eq(q.magic, CONTROL_MAGIC);
	cr_expect_eq(q.verb, CONTROL_RELOAD);
	cr_expect_eq(q.flags, CONTROL_WAIT);
	cr_expect_eq(q.timeout_ms, 90000);
	cr_expect_eq(status, 0);
	cr_expect_str_eq(text, "generation 7 is adopted\n");

	q = converse("-o json reload", &r, -1, text, sizeof(text), &status);
	cr_expect_eq(q.flags, 0);
	cr_expect_eq(q.timeout_ms, 30000);
	cr_expect_str_eq(text, "{\n    \"generation\": 7,\n    \"text\": \"generation 7 is adopted\"\n}\n");
}

Test(control, a_refused_reload_prints_the_lines_of_the_report)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .status = 1, .generation = 6, .text = "2 errors" };
	int report = memfd_create("report", MFD_CLOEXEC), status;
	static const char lines[] = "a.conf:1: workers: x\na.conf:2: node: y\n";
	char text[512];

	cr_assert_eq(write(report, lines, strlen(lines)), (ssize_t)strlen(lines));
	converse("reload", &r, report, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "a.conf:1: workers: x\na.conf:2: node: y\nmeshctl: 2 errors\n");
}

Test(control, intercept_asks_for_its_verb)
{
	const struct control_reply r = { .magic = CONTROL_MAGIC, .text = "rules are in" };
	char text[512];
	int status;

	cr_expect_eq(converse("intercept apply", &r, -1, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_APPLY);
	cr_expect_str_eq(text, "rules are in\n");
	cr_expect_eq(converse("intercept clear", &r, -1, text, sizeof(text), &status).verb, CONTROL_INTERCEPT_CLEAR);
}

Test(control, answers_that_are_none)
{
	const struct control_reply wrong = { .magic = 5 };
	char text[512];
	int status;

	converse("reload", NULL, -1, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "meshctl: meshd ended without an answer\n");
	converse("reload", &wrong, -1, text, sizeof(text), &status);
	cr_expect_eq(status, 1);
	cr_expect_str_eq(text, "meshctl: control.sock: not an answer of meshd\n");
}

/* The master says no and hangs up, before the request has come or with the request unread. */
static void refuse(bool let_it_come)
{
	const struct control_reply no = { .magic = CONTROL_MAGIC, .status = 1, .text = "only root and members of admin_group may ask this" };
	char program[PATH_MAX], line[PATH_MAX + 256], text[512] = "";
	struct pollfd p = { .events = POLLIN };
	struct err e;
	FILE *from;

	cr_assert_eq(program_find("meshctl", program, &e), 0, "%s", e.text);
	snprintf(line, sizeof(line), "%s -r %s reload 2>&1", program, folder);
	cr_assert_not_null(from = popen(line, "r"));
	p.fd = accept(listener, NULL, NULL);
	if (let_it_come)
		cr_assert_eq(poll(&p, 1, 10000), 1);
	record_send(p.fd, &no, sizeof(no), -1);
	close(p.fd);
	cr_assert_not_null(fgets(text, sizeof(text), from));
	cr_expect_str_eq(text, "meshctl: only root and members of admin_group may ask this\n");
	cr_expect_eq(WEXITSTATUS(pclose(from)), 1);
}

Test(control, who_is_not_allowed_reads_why)
{
	refuse(false);
	refuse(true);
}
