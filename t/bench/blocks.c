/* Bulk: blocks of 1 MiB one way, by a thread for each connection; over HTTP in bodies of OBJECT_BLOCKS. */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { OBJECT_BLOCKS = 64 };
#define OBJECT_LENGTH	"Content-Length: 67108864\r\n"

struct block_head {
	uint64_t sequence, last;
};

static void
block_send(int fd, uint64_t sequence, bool last)
{
	struct block_head head = { sequence, last };
	struct iovec iov[2] = {
		{ &head, sizeof head },
		{ (char *)pattern_at(sequence), BLOCK_BYTES - sizeof head },
	};

	send_both(fd, iov, "a block");
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
object_send(int fd)
{
	for (uint64_t i = 0; i < OBJECT_BLOCKS; i++)
		block_send(fd, i, i == OBJECT_BLOCKS - 1);
}

static void
object_read(int fd)
{
	if (blocks_read(fd) != OBJECT_BLOCKS)
		errx(1, "not as many blocks as the length says");
}

/* Nothing behind it is taken.  False: the peer has closed. */
static bool
head_read(int fd, struct gather *g, size_t *head_n_r)
{
	const char *rest;
	size_t n;

	do {
		ssize_t peeked = recv(fd, g->bytes, HEAD_MOST, MSG_PEEK);

		if (peeked == 0)
			return false;
		if (peeked == -1)
			err(1, "a head");
		g->n = 0, n = peeked, rest = g->bytes;
	} while (memmem(g->bytes, n, "\r\n\r\n", 4) == NULL && n < HEAD_MOST);
	gather(g, &rest, &n, head_n_r);
	return recv(fd, g->bytes, *head_n_r, MSG_WAITALL) == (ssize_t)*head_n_r;
}

static void
say(int fd, const char *words)
{
	if (send(fd, words, strlen(words), MSG_NOSIGNAL) != (ssize_t)strlen(words))
		err(1, "sending a head");
}

/* --- the asking end --- */

void
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
void
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

static void
answer_expect(int fd, uint64_t length)
{
	struct gather g;
	size_t n;

	if (!head_read(fd, &g, &n))
		errx(1, "no answer");
	if (memcmp(g.bytes, "HTTP/1.1 200 OK\r\n", 17) != 0 || length_of(g.bytes, n) != length)
		errx(1, "not the answer:\n%.*s", (int)n, g.bytes);
}

void
http_upload(struct transfer *t)
{
	double end_s = now_s() + t->seconds;
	char ok[2];

	for (t->bytes = 0; t->bytes == 0 || now_s() < end_s; t->bytes += (uint64_t)OBJECT_BLOCKS * BLOCK_BYTES) {
		say(t->fd, "PUT /object HTTP/1.1\r\nHost: bench.example\r\n" OBJECT_LENGTH "\r\n");
		object_send(t->fd);
		answer_expect(t->fd, sizeof ok);
		if (recv(t->fd, ok, sizeof ok, MSG_WAITALL) != sizeof ok || memcmp(ok, "ok", sizeof ok) != 0)
			errx(1, "not the answer's body");
	}
}

void
http_download(struct transfer *t)
{
	double end_s = now_s() + t->seconds;

	for (t->bytes = 0; t->bytes == 0 || now_s() < end_s; t->bytes += (uint64_t)OBJECT_BLOCKS * BLOCK_BYTES) {
		say(t->fd, "GET /object HTTP/1.1\r\nHost: bench.example\r\n\r\n");
		answer_expect(t->fd, (uint64_t)OBJECT_BLOCKS * BLOCK_BYTES);
		object_read(t->fd);
	}
}

static void *
transfer_run(void *arg)
{
	struct transfer *t = arg;

	t->move(t);
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

void
run_blocks(const struct sockaddr_in *to, void (*move)(struct transfer *), int connections, double seconds)
{
	struct transfer transfers[MOST_CONNECTIONS];
	struct mark begin;

	for (int i = 0; i < connections; i++)
		transfers[i] = (struct transfer){ .fd = dial(to, 0), .move = move };
	transfer_all(transfers, connections, WARM_UP_S);
	begin = wait_for_go();
	report("bytes", transfer_all(transfers, connections, seconds), &begin);
}

/* --- the answering end --- */

void *
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

void *
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

void *
serve_http_blocks(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct gather g;
	size_t n;

	while (head_read(fd, &g, &n)) {
		if (memcmp(g.bytes, "GET /object HTTP/1.1\r\n", 22) == 0) {
			say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" OBJECT_LENGTH "\r\n");
			object_send(fd);
			continue;
		}
		if (memcmp(g.bytes, "PUT /object HTTP/1.1\r\n", 22) != 0 || length_of(g.bytes, n) != (uint64_t)OBJECT_BLOCKS * BLOCK_BYTES)
			errx(1, "not the request:\n%.*s", (int)n, g.bytes);
		object_read(fd);
		say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
	}
	close(fd);
	return NULL;
}

_Noreturn void
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
