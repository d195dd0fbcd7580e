/* A master for tests: see fake.h. */
#include "t/unit/ctl/fake.h"

#include "common/program.h"
#include "common/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

char fake_folder[64];
int fake_listener;

static void path_of_socket(struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%s/%s", fake_folder, CONTROL_SOCKET);
}

void fake_begin(void)
{
	struct sockaddr_un un;

	strcpy(fake_folder, "/tmp/meshd-test-XXXXXX");
	cr_assert_not_null(mkdtemp(fake_folder));
	path_of_socket(&un);
	fake_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fake_listener, (struct sockaddr *)&un, sizeof(un)), 0);
	cr_assert_eq(listen(fake_listener, 4), 0);
}

void fake_end(void)
{
	struct sockaddr_un un;

	path_of_socket(&un);
	unlink(un.sun_path);
	rmdir(fake_folder);
}

FILE *fake_start(const char *arguments)
{
	char program[PATH_MAX], line[PATH_MAX + 512];
	struct err e;
	FILE *from;

	cr_assert_eq(program_find("meshctl", program, &e), 0, "%s", e.text);
	snprintf(line, sizeof(line), "%s -r %s %s 2>&1", program, fake_folder, arguments);
	cr_assert_not_null(from = popen(line, "r"));
	return from;
}

static void answer(const struct fake_answer *a, struct control_request *q)
{
	int fd = accept(fake_listener, NULL, NULL), lines = -1;

	cr_assert_eq(record_receive(fd, q, sizeof(*q), NULL), 1);
	if (a->lines != NULL) {
		lines = memfd_create("lines", MFD_CLOEXEC);
		cr_assert_eq(write(lines, a->lines, strlen(a->lines)), (ssize_t)strlen(a->lines));
	}
	if (a->reply != NULL)
		record_send(fd, a->reply, sizeof(*a->reply), lines);
	if (lines != -1)
		close(lines);
	close(fd);
}

int fake_run(const char *arguments, const struct fake_answer *answers, size_t n, struct control_request *requests, char *text,
    size_t room)
{
	FILE *from = fake_start(arguments);
	struct control_request unkept;

	for (size_t i = 0; i < n; i++)
		answer(&answers[i], requests != NULL ? &requests[i] : &unkept);
	memset(text, 0, room);
	cr_assert(fread(text, 1, room - 1, from) < room - 1);
	return WEXITSTATUS(pclose(from));
}
