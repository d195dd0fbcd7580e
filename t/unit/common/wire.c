/* Messages with descriptors: what a hostile sender can do to who receives (common/wire.h). */
#include "common/wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 8

static void send_raw(int sock, const void *bytes, size_t n, int nfds)
{
	union {
		char space[CMSG_SPACE(MOST * sizeof(int))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space };
	struct cmsghdr *c = &control.align;

	mh.msg_controllen = CMSG_SPACE((unsigned)nfds * sizeof(int));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((unsigned)nfds * sizeof(int));
	for (int i = 0; i < nfds; i++)
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
	cr_assert_eq(sendmsg(sock, &mh, MSG_NOSIGNAL), (ssize_t)n);
}

/* The number that the next descriptor gets: the same as before when none has leaked. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

Test(wire, one_descriptor_arrives)
{
	const struct wire sent = { .type = WIRE_LISTED, .number = 7 };
	struct wire got;
	int pair[2], fd;
	struct err e;

	cr_assert_eq(wire_pair(pair, &e), 0);
	cr_assert_eq(wire_send(pair[0], &sent, STDERR_FILENO), 0);
	cr_assert_eq(wire_receive(pair[1], &got, &fd), 1);
	cr_assert_eq(got.number, 7u);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	close(pair[0]);
	cr_assert_eq(wire_receive(pair[1], &got, &fd), 0);
	close(pair[1]);
}

Test(wire, more_descriptors_than_one_are_not_a_message_and_none_leaks)
{
	const struct wire m = { .type = WIRE_LISTED };
	struct wire got;
	int pair[2], fd, next;
	struct err e;

	cr_assert_eq(wire_pair(pair, &e), 0);
	next = next_fd();
	for (int n = 2; n <= MOST; n++) {
		send_raw(pair[0], &m, sizeof(m), n);
		cr_assert_eq(wire_receive(pair[1], &got, &fd), -1);
		cr_assert_eq(errno, EBADMSG);
		cr_assert_eq(next_fd(), next, "%d descriptors", n);
	}
	close(pair[0]);
	close(pair[1]);
}

Test(wire, a_message_of_another_size_leaks_nothing)
{
	static const char bytes[sizeof(struct wire) + 8];
	static const size_t sizes[] = { 0, 1, sizeof(struct wire) - 1, sizeof(struct wire) + 8 };
	struct wire got;
	int pair[2], fd, next;
	struct err e;

	cr_assert_eq(wire_pair(pair, &e), 0);
	next = next_fd();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		send_raw(pair[0], bytes, sizes[i], 1);
		cr_assert_eq(wire_receive(pair[1], &got, &fd), sizes[i] == 0 ? 0 : -1);
		cr_assert_eq(next_fd(), next, "%zu bytes", sizes[i]);
	}
	close(pair[0]);
	close(pair[1]);
}
