/* Listening sockets and accept: see listener.h. */
#include "worker/listener.h"

#include "common/listen.h"
#include "common/match.h"
#include "common/wire.h"
#include "worker/connections.h"
#include "worker/downstream.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TELL_MS 5000	/* for the master to read */

int listener_add(struct worker *w, int fd, struct err *e)
{
	struct listener *l = aligned_alloc(OP_ALIGN, OP_ALIGN * ((sizeof(*l) + OP_ALIGN - 1) / OP_ALIGN));
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (l == NULL)
		return err_set(e, "listener: out of memory");
	*l = (struct listener){ .fd = fd, .index = IMAGE_NONE };
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1 || addr_from_sockaddr((struct sockaddr *)&ss, len, &l->addr) == -1) {
		free(l);
		return err_set(e, "listening socket: %m");
	}
	l->next = w->listeners;
	w->listeners = l;
	w->nlisteners++;
	return 0;
}

static struct listener *find(struct worker *w, const struct addr *a)
{
	struct listener *l = w->listeners;

	while (l != NULL && !addr_equal(&l->addr, a))
		l = l->next;
	return l;
}

static int bind_one(const struct addr *a, int backlog, bool transparent, struct err *e)
{
	char text[ADDR_STRLEN];
	int saved, fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd == -1)
		return err_set(e, "listener %s: socket: %m", addr_print(a, text));
	if (listen_in_group(fd, a, backlog, transparent) == 0)
		return fd;
	saved = errno;
	err_set(e, "listener %s: %m", addr_print(a, text));
	close(fd);
	errno = saved;
	return -1;
}

/* At the start nothing else is under way: where many are told of faster than the master reads, there is time. */
static int tell_master(struct worker *w, int fd)
{
	const struct wire m = { .type = WIRE_LISTENING };
	struct pollfd room = { .fd = w->control, .events = POLLOUT };

	while (wire_send(w->control, &m, fd) == -1) {
		if (errno != EAGAIN || poll(&room, 1, TELL_MS) != 1)
			return -1;
	}
	return 0;
}

static int bind_virtual(struct worker *w, const struct image_listener *l, const struct addr *a, struct err *e)
{
	int fd;

	if (find(w, a) != NULL)
		return 0;
	fd = bind_one(a, (int)l->backlog, image_listener_is_transparent(image_in_use(w), l), e);
	if (fd == -1 && a->family == AF_INET6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return 0;		/* a kernel without IPv6: nothing can arrive there */
	if (fd == -1)
		return -1;
	if (listener_add(w, fd, e) == -1 || tell_master(w, fd) == -1) {
		close(fd);
		return err_set(e, "the master does not take the listening socket: %m");
	}
	return 0;
}

int listeners_bind(struct worker *w, struct err *e)
{
	for (uint32_t i = 0; i < image_count(image_in_use(w), SECTION_LISTENERS); i++) {
		const struct image_listener *l = image_listener(image_in_use(w), i);

		if (l->kind != LISTENER_VIRTUAL_OUTBOUND && l->kind != LISTENER_VIRTUAL_INBOUND)
			continue;
		for (uint32_t k = 0; k < l->bind_count; k++) {
			if (bind_virtual(w, l, &image_bind(image_in_use(w), l->first_bind + k)->addr, e) == -1)
				return -1;
		}
	}
	return 0;
}

static void arm(struct worker *w, struct listener *l)
{
	if (l->armed || l->leaving)
		return;
	l->armed = true;
	l->peer_len = sizeof(l->peer);
	io_uring_prep_accept(loop_sqe(&w->loop, l, OP_ACCEPT), l->fd, (struct sockaddr *)&l->peer, &l->peer_len, SOCK_CLOEXEC);
}

/* ---- taking connections ---- */

static void take(struct worker *w, struct listener *l, int fd, const struct sockaddr_storage *peer, socklen_t len)
{
	struct addr client;

	if (addr_from_sockaddr((const struct sockaddr *)peer, len, &client) == -1)
		close(fd);		/* gone before it was looked at */
	else
		downstream_accept(w, l, fd, &client);
}

/* Takes up to `most` of those that wait, without waiting for more. */
static void take_queued(struct worker *w, struct listener *l, unsigned most)
{
	struct pollfd waiting = { .fd = l->fd, .events = POLLIN };

	if (l->index == IMAGE_NONE)
		return;			/* never adopted: no image says where to */
	for (; most > 0 && poll(&waiting, 1, 0) == 1; most--) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);

		if (fd == -1)
			return;
		take(w, l, fd, &ss, len);
	}
}

/* Out of descriptors: what is queued is taken with the spare one and reset, so that nobody waits for nothing and the
 * ring does not spin on a socket that stays readable.  False: not even that (ENFILE, ENOMEM). */
static bool shed(struct worker *w, struct listener *l)
{
	static struct log_limit limit;
	const struct linger hard = { 1, 0 };
	struct pollfd waiting = { .fd = l->fd, .events = POLLIN };
	int fd;

	/* The ring wants a descriptor before it looks whether anybody is there: without this the accept would wait. */
	if (poll(&waiting, 1, 0) != 1)
		return true;
	close(w->spare_fd);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd != -1) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
		count(w, WORKER_C_shed_descriptors);
		live_add(&live_row(&w->live, w->index, image_slot(image_in_use(w), image_listener(image_in_use(w), l->index)->name_index))
		    ->counter[LISTENER_C_cx_overload_reject], 1);
	}
	w->spare_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	log_limited(&limit, w->loop.now_ms, LOG_LEVEL_WARNING, "out of descriptors: connections are shed (raise LimitNOFILE)");
	return fd != -1;
}

/* ---- leaving ---- */

static void forget(struct worker *w, struct listener *l)
{
	struct listener **p = &w->listeners;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	w->nlisteners--;
	generation_release(w, &l->held);
	close(l->fd);
	free(l);
}

#define QUEUE_MAX 65535		/* of tcp_backlog_size: what keeps coming while it is taken must not keep us here */

static void leave(struct worker *w, struct listener *l)
{
	if (l->leaving)
		return;
	take_queued(w, l, QUEUE_MAX);
	l->leaving = true;
	if (l->armed) {
		l->held = generation_hold(w->generation);
		loop_cancel_fd(&w->loop, l->fd);
	} else {
		forget(w, l);
	}
}

void listeners_leave(struct worker *w, const struct image *next_image)
{
	for (struct listener *l = w->listeners, *next; l != NULL; l = next) {
		next = l->next;
		if (match_bound(next_image, &l->addr) == NULL)
			leave(w, l);
	}
}

void listeners_adopt(struct worker *w)
{
	for (struct listener *l = w->listeners; l != NULL; l = l->next) {
		const struct image_listener *named = match_bound(image_in_use(w), &l->addr);

		if (named == NULL || l->leaving)
			continue;	/* one handed over for an image that is still on its way */
		l->index = (uint32_t)(named - image_listener(image_in_use(w), 0));
		if (!w->draining)
			arm(w, l);
	}
}

void listeners_stop(struct worker *w)
{
	for (struct listener *l = w->listeners, *next; l != NULL; l = next) {
		next = l->next;
		leave(w, l);
	}
}

/* ---- completions ---- */

#define REST_MS 50	/* no accept at all */
#define ACCEPTS_A_TURN 16	/* few are in the completion queue when a worker dies, and others have their turn */

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

static void rest(struct worker *w)
{
	w->accept_again_ms = w->loop.now_ms + REST_MS;
}

void listener_accepted(struct worker *w, struct listener *l, int res)
{
	l->armed = false;
	if (res >= 0)
		take(w, l, res, &l->peer, l->peer_len);
	if (l->leaving) {
		forget(w, l);
		if (res >= 0 && !w->draining)
			connections_adopt(w);	/* it has no listener any more: it drains with the others */
	} else if (res >= 0 || res == -ECANCELED || res == -ECONNABORTED) {
		take_queued(w, l, ACCEPTS_A_TURN - 1);
		arm(w, l);
	} else if (is_shortage(-res) && shed(w, l)) {
		l->armed = true;
		io_uring_prep_poll_add(loop_sqe(&w->loop, l, OP_LISTEN_READY), l->fd, POLLIN);
	} else {
		rest(w);	/* a signal, a firewall, a network that is down: no reason to send anybody away */
	}
}

void listeners_rested(struct worker *w)
{
	if (w->accept_again_ms == 0 || w->loop.now_ms < w->accept_again_ms)
		return;
	w->accept_again_ms = 0;
	for (struct listener *l = w->listeners; l != NULL; l = l->next) {
		if (l->index != IMAGE_NONE && !w->draining)
			arm(w, l);
	}
}

void listener_ready(struct worker *w, struct listener *l)
{
	l->armed = false;
	if (l->leaving)
		forget(w, l);
	else
		arm(w, l);
}
