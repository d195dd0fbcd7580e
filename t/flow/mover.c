/*
 * Moves bytes for the flow tests: both ends of many TCP connections at a time, with the habits that a proxy meets.
 *
 *   mover server ADDRESS PORT [options]    prints "listening", serves --parallel connections (or until --for, or
 *                                          SIGTERM), ends
 *   mover client ADDRESS PORT [options]    opens --parallel connections, anew until --for has passed or --count were
 *
 * Each end sends --send bytes of its own pseudo-random stream and compares what it receives with the other's stream;
 * nothing is trusted to a digest.  The last line is a JSON object.  Exit 0: every connection went as expected.
 * Every run is bounded: by bytes and by --time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BYTES 1048573u		/* prime: no write size that a proxy likes divides it */
#define SLOTS_MAX    4096

enum begin { BEGIN_NOW, BEGIN_DATA, BEGIN_EOF };	/* when this end sends: at once, after the first byte, after EOF */

static struct {
	bool server, nodelay, expect_reset, hold;
	uint64_t send, expect, reset_after, rate, count;
	size_t write_size, read_size;
	int rcvbuf, begin, delay_ms, parallel, for_s, time_s;
	struct sockaddr_storage addr;
	socklen_t addrlen;
} opt = { .write_size = 65536, .read_size = 65536, .reset_after = UINT64_MAX, .parallel = 1, .time_s = 60 };

struct conn {
	int fd;				/* -1: free */
	bool connecting, sent_end, got_end, reset;
	uint64_t sent, received, begun_ms;
};

static struct conn conns[SLOTS_MAX];
static char *streams[2];		/* what a client sends, what a server sends; twice, so that no read wraps */
static char *inbox;
static volatile sig_atomic_t stopping;
static struct { uint64_t connections, failed, sent, received, resets; char error[160]; } total;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static char *stream_make(uint64_t seed, size_t slack)
{
	char *s = malloc(STREAM_BYTES + slack);

	if (s == NULL)
		abort();
	for (size_t i = 0; i < STREAM_BYTES; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		s[i] = (char)(seed >> 24);
	}
	for (size_t i = 0; i < slack; i++)
		s[STREAM_BYTES + i] = s[i % STREAM_BYTES];
	return s;
}

/* ---- an end ---- */

static void conn_end(struct conn *c, const char *error, ...) __attribute__((format(printf, 2, 3)));
static void conn_end(struct conn *c, const char *error, ...)
{
	if (error != NULL) {
		if (total.failed++ == 0) {
			va_list ap;

			va_start(ap, error);
			vsnprintf(total.error, sizeof(total.error), error, ap);
			va_end(ap);
		}
	}
	total.sent += c->sent;
	total.received += c->received;
	total.resets += c->reset;
	close(c->fd);
	c->fd = -1;
}

static void conn_was_reset(struct conn *c, const char *call)
{
	c->reset = true;
	if (opt.expect_reset && (errno == ECONNRESET || errno == EPIPE))
		conn_end(c, NULL);
	else
		conn_end(c, "%s: %s after %llu sent, %llu received", call, strerror(errno), (unsigned long long)c->sent,
		    (unsigned long long)c->received);
}

static void conn_reset(struct conn *c)
{
	const struct linger hard = { 1, 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_end(c, NULL);
}

static void conn_maybe_done(struct conn *c)
{
	if (!c->sent_end || !c->got_end)
		return;
	if (opt.expect_reset)
		conn_end(c, "ended in good order, a reset was expected");
	else if (c->received != opt.expect)
		conn_end(c, "received %llu of %llu", (unsigned long long)c->received, (unsigned long long)opt.expect);
	else
		conn_end(c, NULL);
}

static bool may_send(const struct conn *c, uint64_t now)
{
	if (c->sent_end || now < c->begun_ms + (uint64_t)opt.delay_ms)
		return false;
	if (opt.hold && !c->got_end && c->sent == opt.send)
		return false;
	return opt.begin == BEGIN_NOW || c->got_end || (opt.begin == BEGIN_DATA && c->received > 0);
}

static bool may_receive(const struct conn *c, uint64_t now)
{
	if (c->got_end || now < c->begun_ms + (uint64_t)opt.delay_ms)
		return false;
	return opt.rate == 0 || c->received * 1000u <= (now - c->begun_ms) * opt.rate;
}

static void conn_send(struct conn *c)
{
	for (int turns = 0; turns < 64 && c->sent < opt.send; turns++) {
		size_t want = opt.send - c->sent < opt.write_size ? (size_t)(opt.send - c->sent) : opt.write_size;
		ssize_t n = send(c->fd, streams[opt.server] + c->sent % STREAM_BYTES, want, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno == EAGAIN)
			return;
		if (n == -1) {
			conn_was_reset(c, "send");
			return;
		}
		c->sent += (uint64_t)n;
	}
	if (c->sent == opt.send && !(opt.hold && !c->got_end)) {
		c->sent_end = true;
		shutdown(c->fd, SHUT_WR);
		conn_maybe_done(c);
	}
}

static void conn_receive(struct conn *c)
{
	ssize_t n = recv(c->fd, inbox, opt.read_size, MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1) {
		conn_was_reset(c, "recv");
		return;
	}
	if (n == 0) {
		c->got_end = true;
		conn_maybe_done(c);
		return;
	}
	if (memcmp(inbox, streams[!opt.server] + c->received % STREAM_BYTES, (size_t)n) != 0) {
		conn_end(c, "a byte within %zd of %llu differs", n, (unsigned long long)c->received);
		return;
	}
	c->received += (uint64_t)n;
	if (c->received > opt.expect)
		conn_end(c, "received %llu, expected %llu", (unsigned long long)c->received, (unsigned long long)opt.expect);
	else if (c->received >= opt.reset_after)
		conn_reset(c);
}

static void conn_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	c->connecting = false;
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		errno = error;
		conn_was_reset(c, "connect");
	}
}

static struct conn *conn_new(int fd)
{
	const int one = 1;

	for (int i = 0; i < opt.parallel; i++) {
		struct conn *c = &conns[i];

		if (c->fd != -1)
			continue;
		*c = (struct conn){ .fd = fd, .begun_ms = now_ms() };
		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (opt.nodelay)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		total.connections++;
		return c;
	}
	close(fd);
	return NULL;
}

/* ---- both ends ---- */

static int new_socket(void)
{
	const int one = 1;
	int fd = socket(opt.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1) {
		perror("socket");
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (opt.rcvbuf > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &opt.rcvbuf, sizeof(opt.rcvbuf));
	return fd;
}

static int server_listen(void)
{
	int fd = new_socket();

	if (bind(fd, (struct sockaddr *)&opt.addr, opt.addrlen) == -1 || listen(fd, 4096) == -1) {
		perror("listen");
		exit(1);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	puts("listening");
	fflush(stdout);
	return fd;
}

static void client_connect(void)
{
	struct conn *c = conn_new(new_socket());

	if (c == NULL)
		return;
	c->connecting = true;
	if (connect(c->fd, (struct sockaddr *)&opt.addr, opt.addrlen) == -1 && errno != EINPROGRESS)
		conn_was_reset(c, "connect");
}

static int open_count(void)
{
	int n = 0;

	for (int i = 0; i < opt.parallel; i++)
		n += conns[i].fd != -1;
	return n;
}

/* Connections that still have to begin. */
static bool more_to_come(uint64_t start)
{
	if (stopping)
		return false;
	if (opt.count != 0)
		return total.connections < opt.count;
	return opt.for_s != 0 ? now_ms() - start < (uint64_t)opt.for_s * 1000u : total.connections < (uint64_t)opt.parallel;
}

static int fill_polls(struct pollfd *p, struct conn **of)
{
	uint64_t now = now_ms();
	int n = 0;

	for (int i = 0; i < opt.parallel; i++) {
		struct conn *c = &conns[i];

		if (c->fd == -1)
			continue;
		p[n] = (struct pollfd){ .fd = c->fd };
		if (c->connecting || may_send(c, now))
			p[n].events |= POLLOUT;
		if (!c->connecting && may_receive(c, now))
			p[n].events |= POLLIN;
		of[n++] = c;
	}
	return n;
}

static void serve(struct pollfd *p, struct conn **of, int n)
{
	for (int i = 0; i < n; i++) {
		struct conn *c = of[i];

		if (p[i].revents == 0)
			continue;
		if (c->connecting) {
			conn_connected(c);
			continue;
		}
		if ((p[i].revents & POLLIN) || ((p[i].revents & (POLLERR | POLLHUP)) && !c->got_end))
			conn_receive(c);
		if (c->fd != -1 && (p[i].revents & POLLOUT))
			conn_send(c);
	}
}

static void run(void)
{
	static struct pollfd p[SLOTS_MAX + 1];
	static struct conn *of[SLOTS_MAX + 1];
	uint64_t start = now_ms();
	int listener = opt.server ? server_listen() : -1, n;

	while (more_to_come(start) || open_count() > 0) {
		if (now_ms() - start > (uint64_t)opt.time_s * 1000u)
			break;
		while (!opt.server && more_to_come(start) && open_count() < opt.parallel)
			client_connect();
		n = fill_polls(p, of);
		p[n] = (struct pollfd){ .fd = open_count() < opt.parallel ? listener : -1, .events = POLLIN };
		poll(p, (nfds_t)n + 1, 10);
		serve(p, of, n);
		if (p[n].revents & POLLIN) {
			int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

			if (fd != -1)
				conn_new(fd);
		}
	}
	for (int i = 0; i < opt.parallel; i++) {
		if (conns[i].fd != -1)
			conn_end(&conns[i], "time-out: sent %llu, received %llu of %llu", (unsigned long long)conns[i].sent,
			    (unsigned long long)conns[i].received, (unsigned long long)opt.expect);
	}
}

/* ---- start ---- */

static uint64_t bytes_of(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	return n << (*end == 'k' ? 10 : *end == 'm' ? 20 : *end == 'g' ? 30 : 0);
}

static bool set_address(const char *ip, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&opt.addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&opt.addr;

	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		opt.addrlen = sizeof(*v4);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(port));
	opt.addrlen = sizeof(*v6);
	return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1;
}

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

static void set_option(int c)
{
	switch (c) {
	case 's': opt.send = bytes_of(optarg); break;
	case 'x': opt.expect = bytes_of(optarg); break;
	case 'w': opt.write_size = (size_t)bytes_of(optarg); break;
	case 'r': opt.read_size = (size_t)bytes_of(optarg); break;
	case 'R': opt.rate = bytes_of(optarg); break;
	case 'B': opt.rcvbuf = (int)bytes_of(optarg); break;
	case 'b': opt.begin = *optarg == 'e' ? BEGIN_EOF : *optarg == 'd' ? BEGIN_DATA : BEGIN_NOW; break;
	case 'd': opt.delay_ms = atoi(optarg); break;
	case 'k': opt.reset_after = bytes_of(optarg); break;
	case 'K': opt.expect_reset = true; break;
	case 'h': opt.hold = true; break;
	case 'N': opt.nodelay = true; break;
	case 'n': opt.parallel = atoi(optarg); break;
	case 'f': opt.for_s = atoi(optarg); break;
	case 'c': opt.count = bytes_of(optarg); break;
	case 't': opt.time_s = atoi(optarg); break;
	default: exit(2);
	}
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "send", 1, NULL, 's' }, { "expect", 1, NULL, 'x' }, { "write", 1, NULL, 'w' }, { "read", 1, NULL, 'r' },
		{ "rate", 1, NULL, 'R' }, { "rcvbuf", 1, NULL, 'B' }, { "begin", 1, NULL, 'b' }, { "delay", 1, NULL, 'd' },
		{ "reset-after", 1, NULL, 'k' }, { "expect-reset", 0, NULL, 'K' }, { "hold", 0, NULL, 'h' },
		{ "nodelay", 0, NULL, 'N' }, { "parallel", 1, NULL, 'n' }, { "for", 1, NULL, 'f' }, { "count", 1, NULL, 'c' }, { "time", 1, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	struct rlimit rl;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(c);
	if (argc - optind != 3 || opt.parallel < 1 || opt.parallel > SLOTS_MAX || !set_address(argv[optind + 1], argv[optind + 2])) {
		fprintf(stderr, "usage: mover server|client ADDRESS PORT [options]\n");
		return 2;
	}
	opt.server = strcmp(argv[optind], "server") == 0;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	for (int i = 0; i < SLOTS_MAX; i++)
		conns[i].fd = -1;
	streams[0] = stream_make(0x9e3779b97f4a7c15u, opt.write_size > opt.read_size ? opt.write_size : opt.read_size);
	streams[1] = stream_make(0xd1b54a32d192ed03u, opt.write_size > opt.read_size ? opt.write_size : opt.read_size);
	inbox = malloc(opt.read_size);
	run();
	printf("{\"connections\": %llu, \"failed\": %llu, \"sent\": %llu, \"received\": %llu, \"resets\": %llu, \"error\": \"%s\"}\n",
	    (unsigned long long)total.connections, (unsigned long long)total.failed, (unsigned long long)total.sent,
	    (unsigned long long)total.received, (unsigned long long)total.resets, total.error);
	return total.failed != 0;
}
