/* Sockets, the clock, and what bodies are made of. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "load.h"

double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double
own_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct mark
wait_for_go(void)
{
	char line[8];

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		exit(1);
	return (struct mark){ now_s(), own_cpu_s() };
}

void
report(const char *what, uint64_t n, const struct mark *begin)
{
	printf("%s=%ju seconds=%.6f cpu=%.6f\n", what, (uintmax_t)n, now_s() - begin->at_s, own_cpu_s() - begin->cpu_s);
}

struct sockaddr_in
address_of(const char *address, const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1 || sin.sin_port == 0)
		errx(2, "%s:%s: not an address and a port", address, port);
	return sin;
}

static void
set_nodelay(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == -1)
		err(1, "TCP_NODELAY");
}

int
listen_on(const struct sockaddr_in *sin, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	set_nodelay(fd);	/* what it accepts inherits it */
	if (bind(fd, (const struct sockaddr *)sin, sizeof *sin) == -1 || listen(fd, MOST_CONNECTIONS) == -1)
		err(1, "port %d", ntohs(sin->sin_port));
	return fd;
}

int
dial(const struct sockaddr_in *sin, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (fd == -1)
		err(1, "socket");
	set_nodelay(fd);
	if (connect(fd, (const struct sockaddr *)sin, sizeof *sin) == -1 && errno != EINPROGRESS)
		err(1, "connect to port %d", ntohs(sin->sin_port));
	return fd;
}

void
room_for_bodies(int fd)
{
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4 * BODY_BYTES }, sizeof(int)) == -1)
		err(1, "SO_SNDBUF");
}

void
watch(int epoll, int op, int fd, uint32_t events, uint32_t id)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)id << 32 | (uint32_t)fd };

	if (epoll_ctl(epoll, op, fd, &ev) == -1)
		err(1, "epoll_ctl");
}

int
wait_events(int epoll, struct epoll_event *events, int timeout_ms)
{
	int n = epoll_wait(epoll, events, MOST_EVENTS, timeout_ms);

	if (n == -1 && errno != EINTR)
		err(1, "epoll_wait");
	return n > 0 ? n : 0;
}

void
send_both(int fd, struct iovec iov[2], const char *words)
{
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	while (iov[0].iov_len + iov[1].iov_len > 0) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n == -1)
			err(1, "sending %s", words);
		for (int i = 0; i < 2; i++) {
			size_t part = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;

			iov[i].iov_base = (char *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			n -= part;
		}
	}
}

static char pattern[PATTERN_BYTES + BLOCK_BYTES];	/* the second part repeats the first */

void
pattern_fill(void)
{
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < sizeof pattern; i++) {
		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		pattern[i] = i < PATTERN_BYTES ? (char)(x >> 11) : pattern[i - PATTERN_BYTES];
	}
}

const char *
pattern_at(uint64_t sequence)
{
	return pattern + sequence * 7919 % PATTERN_BYTES;
}
