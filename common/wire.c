/* Fixed-size records with at most one descriptor, over SOCK_SEQPACKET: see wire.h. */
#include "common/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union one_fd {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int wire_pair(int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == -1)
		return err_set(e, "socketpair: %m");
	return 0;
}

int record_send(int sock, const void *record, size_t size, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)record, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union one_fd control;
	ssize_t n;

	if (fd != -1) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.space;
		mh.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)size ? 0 : -1;
}

/* There is at most one: record_receive() says so to the kernel, which closes the others. */
static int take_fd(struct msghdr *mh)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	}
	return fd;
}

int record_receive(int sock, void *record, size_t size, int *fd_r)
{
	struct iovec iov = { record, size };
	union one_fd control;
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		/* not sizeof: what pads it would be room for a second one */
		.msg_control = control.space, .msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n;
	int fd;

	do
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == ECONNRESET)
		return 0;
	if (n == -1)
		return -1;
	fd = take_fd(&mh);
	if (n == 0) {			/* the end, or a message of no bytes, which may bring a descriptor */
		if (fd != -1)
			close(fd);
		return 0;
	}
	if ((size_t)n != size || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (fd != -1)
			close(fd);
		errno = EBADMSG;
		return -1;
	}
	if (fd_r != NULL)
		*fd_r = fd;
	else if (fd != -1)
		close(fd);
	return 1;
}

int wire_send(int sock, const struct wire *m, int fd)
{
	return record_send(sock, m, sizeof(*m), fd);
}

int wire_receive(int sock, struct wire *m, int *fd_r)
{
	int r = record_receive(sock, m, sizeof(*m), fd_r);

	if (r == 1)
		m->text[sizeof(m->text) - 1] = '\0';
	return r;
}
