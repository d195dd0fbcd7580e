/* Many connections, each with one message under way: what asks, whatever it speaks, and what answers by echo. */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

struct asking {
	struct sockaddr_in to;
	const struct speech *speech;
	int epoll, connections;
	uint64_t requests;
	int busy;		/* askers that wait for an answer */
	struct asker *askers;
};

/* --- the asking end --- */

static void
ask(const struct asking *all, struct asker *a)
{
	a->word = ((uint64_t)a->id << 40 ^ ++a->sequence) * 6364136223846793005u + 1442695040888963407u;
	a->have = 0;
	a->headed = a->whole = false;
	all->speech->ask(a);
}

static void
asker_start(struct asking *all, struct asker *a)
{
	all->busy++;
	if (a->fd != -1) {
		ask(all, a);
		return;
	}
	a->fd = dial(&all->to, SOCK_NONBLOCK);
	room_for_bodies(a->fd);
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
	ask(all, a);
}

/* True when the answer is whole: all its bytes, and where each has its connection the end of the stream after them. */
static bool
answer_read(const struct speech *speech, struct asker *a)
{
	static char buffer[READ_BYTES];

	while (!a->whole || speech->close_each) {
		ssize_t n = recv(a->fd, buffer, sizeof buffer, MSG_DONTWAIT);

		if (n == -1 && errno == EAGAIN)
			return false;
		if (n == -1)
			err(1, "connection %u: answer %ju", a->id, (uintmax_t)a->sequence);
		if (n == 0 && a->whole)
			return true;
		if (n == 0 || a->whole)
			errx(1, "connection %u: answer %ju is not of its length", a->id, (uintmax_t)a->sequence);
		a->whole = speech->take(a, buffer, n);
	}
	return true;
}

static void
asker_event(struct asking *all, struct asker *a, uint32_t events, bool again)
{
	if (events & EPOLLOUT) {
		asker_connected(all, a);
		return;
	}
	if (!answer_read(all->speech, a))
		return;
	all->requests++;
	all->busy--;
	if (all->speech->close_each) {
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

void
run_messages(const struct sockaddr_in *to, const struct speech *speech, int connections, double seconds)
{
	struct asking all = { .to = *to, .speech = speech, .connections = connections, .epoll = epoll_create1(0) };
	struct mark begin;

	all.askers = calloc(connections, sizeof *all.askers);
	if (all.askers == NULL || all.epoll == -1)
		err(1, "start");
	for (int i = 0; i < connections; i++) {
		all.askers[i].fd = -1;
		all.askers[i].id = i;
	}
	ask_for(&all, WARM_UP_S);
	begin = wait_for_go();
	ask_for(&all, seconds);
	report("requests", all.requests, &begin);
	free(all.askers);
}

/* --- small and close: bytes there and back --- */

static void
small_ask(struct asker *a)
{
	memcpy(a->sent, pattern_at(a->word), MESSAGE_BYTES);
	if (send(a->fd, a->sent, MESSAGE_BYTES, MSG_NOSIGNAL) != MESSAGE_BYTES)
		err(1, "connection %u: sending message %ju", a->id, (uintmax_t)a->sequence);
}

static bool
small_take(struct asker *a, const char *bytes, size_t n)
{
	if (n > MESSAGE_BYTES - a->have || memcmp(bytes, a->sent + a->have, n) != 0)
		errx(1, "connection %u: answer %ju is not what was sent", a->id, (uintmax_t)a->sequence);
	a->have += n;
	return a->have == MESSAGE_BYTES;
}

const struct speech speech_small = { "small", false, small_ask, small_take };
const struct speech speech_close = { "close", true, small_ask, small_take };

/* --- the answering end --- */

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

bool
serve_echo(int fd)
{
	return echo(fd, false);
}

bool
serve_once(int fd)
{
	return echo(fd, true);
}

_Noreturn void
serve_messages(int listener, bool (*serve)(int fd))
{
	struct epoll_event events[MOST_EVENTS];
	int epoll = epoll_create1(0);

	room_for_bodies(listener);
	watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, 0);
	for (;;) {
		int n = wait_events(epoll, events, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64, accepted;

			if (fd != listener) {
				if (!serve(fd))
					close(fd);
				continue;
			}
			while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1)
				watch(epoll, EPOLL_CTL_ADD, accepted, EPOLLIN, 0);
		}
	}
}
