/* The two ends of a benchmark: what asks (small, close, upload, download) and what answers (origin).  Every byte that
 * arrives is compared with what must arrive.
 *
 *	load origin echo|once|sink|source ADDRESS PORT          serves until it is killed, or its parent has died
 *	load small|close ADDRESS PORT CONNECTIONS SECONDS       64-byte messages there and back; `once` answers `close`
 *	load upload|download ADDRESS PORT CONNECTIONS SECONDS   1 MiB blocks one way; `sink` and `source` are their origins
 *
 * An asking end warms up, lets everything come back, prints "ready" and waits for a line on stdin, so that its starter can
 * read CPU clocks while nothing moves.  Then it measures, lets everything come back again and prints one line of key=value.
 * Exit 0: all arrived as it must.  An alarm ends it when something hangs. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	MESSAGE_BYTES = 64,
	BLOCK_BYTES = 1 << 20,
	PATTERN_BYTES = 1048573,	/* a prime: no two blocks near each other are alike */
	MOST_CONNECTIONS = 4096,
	MOST_EVENTS = 128,
	GRACE_S = 20,			/* beyond its seconds: what takes longer hangs */
};
#define WARM_UP_S	0.15

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- sockets --- */

static struct sockaddr_in
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

static int
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

/* With SOCK_NONBLOCK the connection may still be on its way. */
static int
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

static void
watch(int epoll, int op, int fd, uint32_t events, uint32_t id)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)id << 32 | (uint32_t)fd };

	if (epoll_ctl(epoll, op, fd, &ev) == -1)
		err(1, "epoll_ctl");
}

static int
wait_events(int epoll, struct epoll_event *events, int timeout_ms)
{
	int n = epoll_wait(epoll, events, MOST_EVENTS, timeout_ms);

	if (n == -1 && errno != EINTR)
		err(1, "epoll_wait");
	return n > 0 ? n : 0;
}

/* --- messages: small and close --- */

struct asker {
	int fd;			/* -1: not connected */
	uint32_t id;
	uint64_t sequence;
	size_t have;		/* bytes of the answer */
	char sent[MESSAGE_BYTES], got[MESSAGE_BYTES + 1];
};

struct asking {
	struct sockaddr_in to;
	bool close_each;
	int epoll, connections;
	uint64_t requests;
	int busy;		/* askers that wait for an answer */
	struct asker *askers;
};

static void
message_fill(char *message, uint32_t id, uint64_t sequence)
{
	uint64_t word = (uint64_t)id << 40 ^ sequence;

	for (size_t i = 0; i < MESSAGE_BYTES; i += sizeof word) {
		word = word * 6364136223846793005u + 1442695040888963407u;
		memcpy(message + i, &word, sizeof word);
	}
}

static void
ask(struct asker *a)
{
	message_fill(a->sent, a->id, ++a->sequence);
	a->have = 0;
	if (send(a->fd, a->sent, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
		err(1, "connection %u: sending message %ju", a->id, (uintmax_t)a->sequence);
}

static void
asker_start(struct asking *all, struct asker *a)
{
	all->busy++;
	if (a->fd != -1) {
		ask(a);
		return;
	}
	a->fd = dial(&all->to, SOCK_NONBLOCK);
	watch(all->epoll, EPOLL_CTL_ADD, a->fd, EPOLLOUT, a->id);
}

static void
asker_connected(struct asking *all, struct asker *a)
{
	int failed = 0;
	socklen_t length = sizeof failed;

	getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &failed, &length);
	if (failed != 0)
		errx(1, "connection %u: %s", a->id, strerror(failed));
	watch(all->epoll, EPOLL_CTL_MOD, a->fd, EPOLLIN, a->id);
	ask(a);
}

/* True when the answer is whole: all its bytes, and for `close` the end of the stream after them. */
static bool
answer_read(struct asker *a, bool to_the_end)
{
	ssize_t n;

	do {
		n = recv(a->fd, a->got + a->have, sizeof a->got - a->have, MSG_DONTWAIT);
		if (n == -1 && errno == EAGAIN)
			return false;
		if (n == -1)
			err(1, "connection %u: answer %ju", a->id, (uintmax_t)a->sequence);
		a->have += n;
		if (a->have > MESSAGE_BYTES || (n == 0 && (a->have < MESSAGE_BYTES || !to_the_end)))
			errx(1, "connection %u: answer %ju has %zu bytes", a->id, (uintmax_t)a->sequence, a->have);
	} while (to_the_end ? n > 0 : a->have < MESSAGE_BYTES);
	if (memcmp(a->got, a->sent, MESSAGE_BYTES) != 0)
		errx(1, "connection %u: answer %ju is not what was sent", a->id, (uintmax_t)a->sequence);
	return true;
}

static void
asker_event(struct asking *all, struct asker *a, uint32_t events, bool again)
{
	if (events & EPOLLOUT) {
		asker_connected(all, a);
		return;
	}
	if (!answer_read(a, all->close_each))
		return;
	all->requests++;
	all->busy--;
	if (all->close_each) {
		close(a->fd);
		a->fd = -1;
	}
	if (again)
		asker_start(all, a);
}

/* Asks for so long, then waits for the last answers. */
static void
ask_for(struct asking *all, double seconds)
{
	struct epoll_event events[MOST_EVENTS];
	double end_s = now_s() + seconds;

	all->requests = 0;
	for (int i = 0; i < all->connections; i++)
		asker_start(all, &all->askers[i]);
	while (all->busy > 0) {
		int n = wait_events(all->epoll, events, -1);
		bool again = now_s() < end_s;

		for (int i = 0; i < n; i++)
			asker_event(all, &all->askers[events[i].data.u64 >> 32], events[i].events, again);
	}
}

/* --- blocks: upload and download --- */

struct block_head {
	uint64_t sequence, last;
};

/* One phase of one connection; runs in a thread of its own. */
struct transfer {
	int fd;
	bool download;
	double seconds;
	uint64_t bytes;
};

static char pattern[PATTERN_BYTES + BLOCK_BYTES];	/* the second part repeats the first */

static void
pattern_fill(void)
{
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < sizeof pattern; i++) {
		x ^= x << 13, x ^= x >> 17, x ^= x << 5;
		pattern[i] = i < PATTERN_BYTES ? (char)(x >> 11) : pattern[i - PATTERN_BYTES];
	}
}

static const char *
pattern_at(uint64_t sequence)
{
	return pattern + sequence * 7919 % PATTERN_BYTES;
}

static void
block_send(int fd, uint64_t sequence, bool last)
{
	struct block_head head = { sequence, last };
	struct iovec iov[2] = {
		{ &head, sizeof head },
		{ (char *)pattern_at(sequence), BLOCK_BYTES - sizeof head },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	while (iov[0].iov_len + iov[1].iov_len > 0) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n == -1)
			err(1, "sending block %ju", (uintmax_t)sequence);
		for (int i = 0; i < 2; i++) {
			size_t part = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;

			iov[i].iov_base = (char *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			n -= part;
		}
	}
}

/* False at the end of the stream, which is legal only between two blocks. */
static bool
block_read(int fd, char *buffer, uint64_t sequence, bool *last_r)
{
	struct block_head head;
	size_t have = 0;

	while (have < BLOCK_BYTES) {
		ssize_t n = recv(fd, buffer + have, BLOCK_BYTES - have, 0);

		if (n == 0 && have == 0)
			return false;
		if (n <= 0)
			err(1, "block %ju ends after %zu bytes", (uintmax_t)sequence, have);
		have += n;
	}
	memcpy(&head, buffer, sizeof head);
	if (head.sequence != sequence || memcmp(buffer + sizeof head, pattern_at(sequence), BLOCK_BYTES - sizeof head) != 0)
		errx(1, "block %ju is not what was sent", (uintmax_t)sequence);
	*last_r = head.last != 0;
	return true;
}

/* Blocks until the one called last; how many.  0: the peer has closed. */
static uint64_t
blocks_read(int fd)
{
	char *buffer = malloc(BLOCK_BYTES);
	uint64_t blocks = 0;
	bool last = false;

	if (buffer == NULL)
		err(1, "malloc");
	while (!last && block_read(fd, buffer, blocks, &last))
		blocks++;
	if (blocks > 0 && !last)
		errx(1, "the stream ends without a last block");
	free(buffer);
	return blocks;
}

static void
upload(struct transfer *t)
{
	double end_s = now_s() + t->seconds;
	uint64_t blocks = 0, arrived;
	bool last;

	do {
		last = now_s() >= end_s;
		block_send(t->fd, blocks++, last);
	} while (!last);
	if (recv(t->fd, &arrived, sizeof arrived, MSG_WAITALL) != sizeof arrived || arrived != blocks)
		errx(1, "%ju blocks were sent, not so many arrived", (uintmax_t)blocks);
	t->bytes = blocks * BLOCK_BYTES;
}

/* The source is told how long. */
static void
download(struct transfer *t)
{
	uint64_t blocks;

	if (send(t->fd, &t->seconds, sizeof t->seconds, MSG_NOSIGNAL) != sizeof t->seconds)
		err(1, "asking for blocks");
	blocks = blocks_read(t->fd);
	if (blocks == 0)
		errx(1, "no block arrived");
	t->bytes = blocks * BLOCK_BYTES;
}

static void *
transfer_run(void *arg)
{
	struct transfer *t = arg;

	(t->download ? download : upload)(t);
	return NULL;
}

static uint64_t
transfer_all(struct transfer *transfers, int n, double seconds)
{
	pthread_t threads[MOST_CONNECTIONS];
	uint64_t bytes = 0;

	for (int i = 0; i < n; i++) {
		transfers[i].seconds = seconds;
		if (pthread_create(&threads[i], NULL, transfer_run, &transfers[i]) != 0)
			errx(1, "no thread");
	}
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		bytes += transfers[i].bytes;
	}
	return bytes;
}

/* --- the asking end --- */

static void
wait_for_go(void)
{
	char line[8];

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		exit(1);
}

static double
own_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
run_messages(const struct sockaddr_in *to, bool close_each, int connections, double seconds)
{
	struct asking all = { .to = *to, .close_each = close_each, .connections = connections, .epoll = epoll_create1(0) };
	double begin_s, cpu_s;

	all.askers = calloc(connections, sizeof *all.askers);
	if (all.askers == NULL || all.epoll == -1)
		err(1, "start");
	for (int i = 0; i < connections; i++) {
		all.askers[i].fd = -1;
		all.askers[i].id = i;
	}
	ask_for(&all, WARM_UP_S);
	wait_for_go();
	begin_s = now_s(), cpu_s = own_cpu_s();
	ask_for(&all, seconds);
	printf("requests=%ju seconds=%.6f cpu=%.6f\n", (uintmax_t)all.requests, now_s() - begin_s, own_cpu_s() - cpu_s);
}

static void
run_blocks(const struct sockaddr_in *to, bool download, int connections, double seconds)
{
	struct transfer transfers[MOST_CONNECTIONS];
	double begin_s, cpu_s;
	uint64_t bytes;

	for (int i = 0; i < connections; i++)
		transfers[i] = (struct transfer){ .fd = dial(to, 0), .download = download };
	transfer_all(transfers, connections, WARM_UP_S);
	wait_for_go();
	begin_s = now_s(), cpu_s = own_cpu_s();
	bytes = transfer_all(transfers, connections, seconds);
	printf("bytes=%ju seconds=%.6f cpu=%.6f\n", (uintmax_t)bytes, now_s() - begin_s, own_cpu_s() - cpu_s);
}

/* --- the answering end --- */

/* False when the connection has ended. */
static bool
echo(int fd, bool once)
{
	char buffer[16384];
	ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	return send(fd, buffer, n, MSG_NOSIGNAL | MSG_DONTWAIT) == n && !once;
}

static void
serve_messages(int listener, bool once)
{
	struct epoll_event events[MOST_EVENTS];
	int epoll = epoll_create1(0);

	watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, 0);
	for (;;) {
		int n = wait_events(epoll, events, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64, accepted;

			if (fd != listener) {
				if (!echo(fd, once))
					close(fd);
				continue;
			}
			while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1)
				watch(epoll, EPOLL_CTL_ADD, accepted, EPOLLIN, 0);
		}
	}
}

static void *
serve_sink(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t blocks;

	while ((blocks = blocks_read(fd)) > 0)
		if (send(fd, &blocks, sizeof blocks, MSG_NOSIGNAL) != sizeof blocks)
			err(1, "counting to the sender");
	close(fd);
	return NULL;
}

static void *
serve_source(void *arg)
{
	int fd = (int)(intptr_t)arg;
	double seconds;

	while (recv(fd, &seconds, sizeof seconds, MSG_WAITALL) == sizeof seconds) {
		double end_s = now_s() + seconds;
		uint64_t blocks = 0;
		bool last;

		do {
			last = now_s() >= end_s;
			block_send(fd, blocks++, last);
		} while (!last);
	}
	close(fd);
	return NULL;
}

static void
serve_blocks(int listener, void *(*serve)(void *))
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd == -1)
			err(1, "accept");
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
			errx(1, "no thread");
		pthread_detach(thread);
	}
}

static void
run_origin(const char *kind, const struct sockaddr_in *at)
{
	bool messages = strcmp(kind, "echo") == 0 || strcmp(kind, "once") == 0;
	int listener;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	listener = listen_on(at, messages ? SOCK_NONBLOCK : 0);
	if (messages)
		serve_messages(listener, strcmp(kind, "once") == 0);
	else
		serve_blocks(listener, strcmp(kind, "sink") == 0 ? serve_sink : serve_source);
}

/* --- the command line --- */

static bool
one_of(const char *word, const char *const *words)
{
	while (*words != NULL && strcmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

static void
usage(void)
{
	fputs("usage: load origin echo|once|sink|source ADDRESS PORT\n"
	      "       load small|close|upload|download ADDRESS PORT CONNECTIONS SECONDS\n", stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const char *const origins[] = { "echo", "once", "sink", "source", NULL };
	static const char *const asks[] = { "small", "close", "upload", "download", NULL };
	struct sockaddr_in sin;
	int connections;
	double seconds;

	if (argc == 5 && strcmp(argv[1], "origin") == 0 && one_of(argv[2], origins)) {
		sin = address_of(argv[3], argv[4]);
		pattern_fill();
		run_origin(argv[2], &sin);
	}
	if (argc != 6 || !one_of(argv[1], asks))
		usage();
	sin = address_of(argv[2], argv[3]);
	connections = atoi(argv[4]);
	seconds = atof(argv[5]);
	if (connections < 1 || connections > MOST_CONNECTIONS || seconds <= 0 || seconds > 3600)
		usage();
	alarm((unsigned)seconds + GRACE_S);
	pattern_fill();
	if (one_of(argv[1], asks + 2))
		run_blocks(&sin, argv[1][0] == 'd', connections, seconds);
	else
		run_messages(&sin, argv[1][0] == 'c', connections, seconds);
	return 0;
}
