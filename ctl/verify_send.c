/* Sending probes and seeing where they arrive: see verify.h. */
#include "ctl/listing.h"
#include "ctl/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS	 100		/* between two looks at the list of connections */
#define GRACE_MS 1000		/* who is not in the list by then is no worker */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- both ends ---- */

static int bind_to(int fd, const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(a, &ss);

	return bind(fd, (const struct sockaddr *)&ss, n);
}

static int name_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *), struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	return ask(fd, (struct sockaddr *)&ss, &n) == -1 ? -1 : addr_from_sockaddr((const struct sockaddr *)&ss, n, a);
}

static void set_option(int fd, int level, int option)
{
	const int on = 1;

	setsockopt(fd, level, option, &on, sizeof(on));
}

/* Where a program of this host has the port already, the probe will reach that. */
static void open_listener(struct probe *p, const struct net *n)
{
	if ((p->listener = net_socket(n, !p->from_there && !p->over_lo, p->to.family)) != -1) {
		set_option(p->listener, SOL_SOCKET, SO_REUSEADDR);
		if (p->to.family == AF_INET6)
			set_option(p->listener, IPPROTO_IPV6, IPV6_V6ONLY);
		if (bind_to(p->listener, &p->to) == 0 && listen(p->listener, 4) == 0 && name_of(p->listener, getsockname, &p->to) == 0)
			return;
	}
	if (errno != EADDRINUSE)
		snprintf(p->skipped, sizeof(p->skipped), "listening there: %s", strerror(errno));
	if (p->listener != -1)
		close(p->listener);
	p->listener = -1;
}

/* The rules look at who made the socket, not at who uses it. */
static int socket_of(const struct probe *p, const struct net *n)
{
	int fd, code;

	if (p->from_there)
		return net_socket(n, true, p->to.family);
	setfsgid(p->gid);
	setfsuid(p->uid);
	fd = net_socket(n, false, p->to.family);
	code = errno;
	setfsuid(0);
	setfsgid(0);
	errno = code;
	return fd;
}

/* A port of its own: one that the kernel chooses at connect(2) may be that of another connection, to somebody else. */
static int bind_probe(const struct probe *p)
{
	const struct addr any = { .family = p->to.family, .ip = { [10] = p->to.family == AF_INET ? 0xff : 0,
	    [11] = p->to.family == AF_INET ? 0xff : 0 } };

	return bind_to(p->fd, p->from.family != 0 ? &p->from : &any);
}

static void dial(struct probe *p, const struct net *n)
{
	const char *device = n->links[0].name;
	struct sockaddr_storage ss;
	socklen_t size = addr_to_sockaddr(&p->to, &ss);

	if ((p->fd = socket_of(p, n)) == -1 ||
	    (p->to_device && setsockopt(p->fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) == -1) ||
	    bind_probe(p) == -1) {
		snprintf(p->skipped, sizeof(p->skipped), "sending from there: %s", strerror(errno));
		return;
	}
	if (connect(p->fd, (const struct sockaddr *)&ss, size) == -1 && errno != EINPROGRESS)
		p->arrival = errno == ECONNREFUSED ? ARRIVED_REFUSED : ARRIVED_NOWHERE;
	name_of(p->fd, getsockname, &p->local);
}

static void send_one(struct plan *plan, struct probe *p, const struct net *n)
{
	struct packet packet = {
		.interface = p->over_lo ? "lo" : n->links[p->link].name, .arrives = p->from_there, .uid = p->uid, .gid = p->gid,
		.from = p->from,
	};

	if (p->listens)
		open_listener(p, n);
	if (p->skipped[0] != '\0')
		return;
	packet.to = p->to;
	p->expected = caught_decide(&plan->caught, &packet);
	dial(p, n);
}

/* ---- waiting ---- */

static bool is_awaited(const struct probe *p)
{
	return p->skipped[0] == '\0' && p->arrival == ARRIVED_WAITING;
}

/* Nobody has taken it yet. */
static void look_at_connect(struct probe *p)
{
	int code = 0;
	socklen_t n = sizeof(code);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &n) == 0 && code == 0)
		p->open_ms = now_ms();
	else
		p->arrival = code == ECONNREFUSED ? ARRIVED_REFUSED : code == ECONNRESET ? ARRIVED_CLOSED : ARRIVED_NOWHERE;
}

/* A worker that passes it on comes from another address than the probe. */
static void look_at_listener(struct probe *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct addr from;

	if (fd == -1)
		return;
	if (name_of(fd, getpeername, &from) == 0 && addr_equal(&from, &p->local))
		p->ours = true;
	if (p->accepted != -1)
		close(p->accepted);
	p->accepted = fd;
}

static void wait_a_little(struct plan *plan, int ms)
{
	struct pollfd polled[2 * PROBES_MAX];
	struct probe *whose[2 * PROBES_MAX];
	nfds_t n = 0;

	for (unsigned i = 0; i < plan->n; i++) {
		struct probe *p = &plan->probes[i];

		if (!is_awaited(p))
			continue;
		whose[n] = p;
		polled[n++] = (struct pollfd){ .fd = p->ended ? -1 : p->fd, .events = p->open_ms == 0 ? POLLOUT : POLLRDHUP };
		if (p->listener == -1)
			continue;
		whose[n] = p;
		polled[n++] = (struct pollfd){ .fd = p->listener, .events = POLLIN };
	}
	if (poll(polled, n, ms) <= 0)
		return;
	for (nfds_t i = 0; i < n; i++) {
		if (polled[i].revents == 0)
			continue;
		if (polled[i].fd == whose[i]->listener)
			look_at_listener(whose[i]);
		else if (whose[i]->open_ms == 0)
			look_at_connect(whose[i]);
		else
			whose[i]->ended = true;
	}
}

static const struct connection *find(const struct listing *l, const struct addr *client)
{
	char text[ADDR_STRLEN];

	addr_print(client, text);
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->all[i].client, text) == 0 && strcmp(l->all[i].state, "new") != 0)
			return &l->all[i];
	}
	return NULL;
}

static void conclude(struct probe *p, const struct listing *l, uint64_t asked_ms)
{
	const struct connection *c = find(l, &p->local);

	if (c != NULL) {
		snprintf(p->seen_listener, sizeof(p->seen_listener), "%s", c->listener);
		snprintf(p->seen_destination, sizeof(p->seen_destination), "%s", c->destination);
		p->arrival = ARRIVED_LISTED;
	} else if (p->ours) {
		p->arrival = ARRIVED_DIRECT;
	} else if (p->ended) {
		p->arrival = ARRIVED_CLOSED;
	} else if (asked_ms - p->open_ms >= GRACE_MS) {
		p->arrival = ARRIVED_ELSEWHERE;
	}
}

/* Those that were open before the list was asked for. */
static int look_at_list(struct ctl *c, struct plan *plan)
{
	uint64_t asked_ms = now_ms();
	struct listing l;
	bool any = false;

	for (unsigned i = 0; i < plan->n; i++)
		any |= is_awaited(&plan->probes[i]) && plan->probes[i].open_ms != 0;
	if (!any)
		return 0;
	if (listing_get(c, &l) == -1)
		return -1;
	for (unsigned i = 0; i < plan->n; i++) {
		struct probe *p = &plan->probes[i];

		if (is_awaited(p) && p->open_ms != 0 && p->open_ms <= asked_ms)
			conclude(p, &l, asked_ms);
	}
	listing_free(&l);
	return 0;
}

static bool any_awaited(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++) {
		if (is_awaited(&plan->probes[i]))
			return true;
	}
	return false;
}

int send_all(struct ctl *c, struct plan *plan, const struct net *n, uint32_t timeout_ms)
{
	uint64_t begun = now_ms(), looked = begun;

	for (unsigned i = 0; i < plan->n; i++) {
		if (plan->probes[i].skipped[0] == '\0')
			send_one(plan, &plan->probes[i], n);
	}
	while (any_awaited(plan) && now_ms() - begun < timeout_ms) {
		wait_a_little(plan, 20);
		if (now_ms() - looked < LOOK_MS)
			continue;
		if (look_at_list(c, plan) == -1)
			return -1;
		looked = now_ms();
	}
	for (unsigned i = 0; i < plan->n; i++) {
		struct probe *p = &plan->probes[i];

		if (is_awaited(p))
			p->arrival = p->open_ms != 0 ? ARRIVED_ELSEWHERE : ARRIVED_NOWHERE;
	}
	return 0;
}

/* By reset: nothing of it waits for its time in the tables. */
static void end(int *fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (*fd == -1)
		return;
	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(*fd);
	*fd = -1;
}

void send_end(struct plan *plan)
{
	for (unsigned i = 0; i < plan->n; i++) {
		end(&plan->probes[i].fd);
		end(&plan->probes[i].accepted);
		end(&plan->probes[i].listener);
	}
}
