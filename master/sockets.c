/* Binding, keeping and closing listening sockets: see sockets.h. */
#include "master/sockets.h"

#include "common/listen.h"
#include "common/live.h"
#include "common/log.h"
#include "common/match.h"
#include "master/spread.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FREE_TRIES    10
#define FREE_PAUSE_US 20000

struct bound {
	struct addr addr;
	bool spread;			/* by the program, or it was tried */
	bool fresh;			/* prepared for an image that is not published yet */
	uint64_t gone_since;		/* the generation that first did not name it; 0: the newest one does */
	int fds[LIVE_WORKERS_MAX];	/* -1: none */
	bool sent[LIVE_WORKERS_MAX];
	struct bound *next;
};

struct sockets {
	uint32_t workers;
	const struct spread *spread;
	struct bound *list;
};

struct sockets *sockets_open(uint32_t workers, const struct spread *spread, struct err *e)
{
	struct sockets *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(e, "sockets: out of memory");
		return NULL;
	}
	s->workers = workers;
	s->spread = spread;
	return s;
}

static void drop(struct bound *b, uint32_t workers)
{
	for (uint32_t w = 0; w < workers; w++) {
		if (b->fds[w] != -1)
			close(b->fds[w]);
	}
	free(b);
}

void sockets_let_go(struct sockets *s)
{
	for (struct bound *b = s->list, *next; b != NULL; b = next) {
		next = b->next;
		drop(b, s->workers);
	}
	s->list = NULL;
}

void sockets_close(struct sockets **s)
{
	if (*s == NULL)
		return;
	sockets_let_go(*s);
	free(*s);
	*s = NULL;
}

static struct bound *find(const struct sockets *s, const struct addr *a)
{
	struct bound *b = s->list;

	while (b != NULL && !addr_equal(&b->addr, a))
		b = b->next;
	return b;
}

static struct bound *add(struct sockets *s, const struct addr *a)
{
	struct bound *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->addr = *a;
	for (uint32_t w = 0; w < s->workers; w++)
		b->fds[w] = -1;
	b->next = s->list;
	s->list = b;
	return b;
}

static bool is_virtual(const struct image_listener *l)
{
	return l->kind == LISTENER_VIRTUAL_OUTBOUND || l->kind == LISTENER_VIRTUAL_INBOUND;
}

/* ---- binding ---- */

static int bind_one(const struct addr *a, int backlog, bool transparent)
{
	int saved, fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd == -1 || listen_in_group(fd, a, backlog, transparent) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * Does nobody listen there?  Without SO_REUSEPORT the kernel tells.  What a ring held that was killed a moment ago is
 * still closing: for that it is asked again for a while.
 */
static bool is_free(const struct addr *a)
{
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, &ss);

	for (int i = 0; i < FREE_TRIES; i++) {
		int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), r, saved;

		if (fd == -1)
			return true;		/* binding will say why */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (a->family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		r = bind(fd, (struct sockaddr *)&ss, len);
		saved = errno;
		close(fd);
		if (r == 0 || saved != EADDRINUSE)
			return true;
		usleep(FREE_PAUSE_US);
	}
	errno = EADDRINUSE;
	return false;
}

/* A socket of ours at that port, at another address, would be taken for a stranger's. */
static bool has_port(const struct sockets *s, const struct addr *a)
{
	const struct bound *b = s->list;

	while (b != NULL && (b->addr.port != a->port || b->addr.family != a->family))
		b = b->next;
	return b != NULL;
}

static int bind_all(struct sockets *s, const struct image *i, const struct image_listener *l, const struct addr *a)
{
	struct bound *b = add(s, a);

	if (b == NULL)
		return -1;
	b->fresh = true;
	for (uint32_t w = 0; w < s->workers; w++) {
		if ((b->fds[w] = bind_one(a, (int)l->backlog, image_listener_is_transparent(i, l))) == -1)
			return -1;
	}
	return 0;
}

static void report_failure(struct err *report, const struct image *i, const struct image_listener *l, const struct addr *a)
{
	const struct image_where *w = image_where(i, l->where);
	size_t used = strlen(report->text);
	char text[ADDR_STRLEN];
	int saved = errno;

	snprintf(report->text + used, sizeof(report->text) - used, "%s%s:%u: listener %s: %s: %s", used > 0 ? "\n" : "",
	    image_where_text(i, w->file), w->line, image_text(i, l->name), addr_print(a, text), strerror(saved));
}

/* A virtual listener's wildcard of a family that this kernel has not: nothing can arrive there. */
static bool family_is_missing(const struct image_listener *l, const struct addr *a)
{
	return a->family == AF_INET6 && is_virtual(l) && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

static int prepare_listener(struct sockets *s, const struct image *i, const struct image_listener *l, bool bind_it, bool alone,
    struct err *report)
{
	int r = 0;

	for (uint32_t k = 0; k < l->bind_count; k++) {
		const struct addr *a = &image_bind(i, l->first_bind + k)->addr;

		if (find(s, a) != NULL ||
		    ((!alone || has_port(s, a) || is_free(a)) && (!bind_it || bind_all(s, i, l, a) == 0 || family_is_missing(l, a))))
			continue;
		report_failure(report, i, l, a);
		r = -1;
	}
	return r;
}

int sockets_prepare(struct sockets *s, const struct image *i, bool virtual_too, bool alone, struct err *report)
{
	uint32_t n = image_count(i, SECTION_LISTENERS);
	int r = 0;

	report->text[0] = '\0';
	for (uint32_t k = 0; k < n; k++) {
		const struct image_listener *l = image_listener(i, k);

		if (l->kind == LISTENER_BOUND || is_virtual(l))
			r |= prepare_listener(s, i, l, l->kind == LISTENER_BOUND || virtual_too, alone, report);
	}
	if (r != 0)
		sockets_abandon(s);
	return r;
}

void sockets_abandon(struct sockets *s)
{
	for (struct bound **p = &s->list, *b; (b = *p) != NULL; ) {
		if (!b->fresh) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		drop(b, s->workers);
	}
}

/* ---- a new generation ---- */

/* Named again before it was closed.  A worker that was sent an image without it has let go of its own, or will ahead of
 * the next image: it gets it again. */
static void take_back(struct bound *b, uint32_t workers, const uint64_t *sent)
{
	for (uint32_t w = 0; w < workers; w++) {
		if (sent[w] >= b->gone_since)
			b->sent[w] = false;
	}
	b->gone_since = 0;
}

void sockets_commit(struct sockets *s, const struct image *i, uint64_t number, const uint64_t *sent)
{
	for (struct bound *b = s->list; b != NULL; b = b->next) {
		const struct image_listener *l = match_bound(i, &b->addr);

		b->fresh = false;
		if (l == NULL && b->gone_since == 0)
			b->gone_since = number;
		if (l == NULL)
			continue;
		if (b->gone_since != 0)
			take_back(b, s->workers, sent);
		for (uint32_t w = 0; w < s->workers; w++) {
			if (b->fds[w] != -1)
				listen(b->fds[w], (int)l->backlog);	/* a changed backlog; cannot fail for one that listens */
		}
	}
	sockets_spread(s);
}

void sockets_settle(struct sockets *s, uint64_t number)
{
	for (struct bound **p = &s->list, *b; (b = *p) != NULL; ) {
		if (b->gone_since == 0 || b->gone_since > number) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		drop(b, s->workers);
	}
}

/* ---- duplicates of the virtual ones ---- */

static bool is_listening(int fd)
{
	int type = 0, protocol = 0, listening = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

int sockets_keep(struct sockets *s, uint32_t worker, const struct image *i, int fd, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const struct image_listener *l;
	char text[ADDR_STRLEN];
	struct bound *b;
	struct addr a;

	if (!is_listening(fd) || getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    addr_from_sockaddr((struct sockaddr *)&ss, len, &a) == -1) {
		err_set(e, "not a listening TCP socket");
		goto fail;
	}
	if ((l = match_bound(i, &a)) == NULL || !is_virtual(l)) {
		err_set(e, "%s is no virtual listener", addr_print(&a, text));
		goto fail;
	}
	if ((b = find(s, &a)) == NULL && (b = add(s, &a)) == NULL) {
		err_set(e, "out of memory");
		goto fail;
	}
	if (b->fds[worker] != -1) {
		err_set(e, "%s was handed over before", addr_print(&a, text));
		goto fail;
	}
	b->fds[worker] = fd;
	b->sent[worker] = true;		/* the worker has its own */
	return 0;
fail:
	close(fd);
	return -1;
}

/* ---- spreading ---- */

static bool is_whole(const struct bound *b, uint32_t workers)
{
	for (uint32_t w = 0; w < workers; w++) {
		if (b->fds[w] == -1)
			return false;
	}
	return true;
}

void sockets_spread(struct sockets *s)
{
	char text[ADDR_STRLEN];
	struct err e;

	for (struct bound *b = s->list; b != NULL && s->spread != NULL; b = b->next) {
		if (b->spread || !is_whole(b, s->workers))
			continue;
		b->spread = true;
		if (spread_group(s->spread, b->fds, &e) == -1)
			log_warning("%s: connections are spread by the kernel's hash: %s", addr_print(&b->addr, text), e.text);
	}
}

/* ---- giving them out ---- */

int sockets_gifts(struct sockets *s, uint32_t worker, struct heritage_gift *gifts, int most)
{
	int n = 0;

	for (struct bound *b = s->list; b != NULL && n < most; b = b->next) {
		if (b->fds[worker] == -1 || b->gone_since != 0)
			continue;
		gifts[n++] = (struct heritage_gift){ HERITAGE_LISTEN, b->fds[worker] };
		b->sent[worker] = true;
	}
	return n;
}

int sockets_unsent(struct sockets *s, uint32_t worker)
{
	for (struct bound *b = s->list; b != NULL; b = b->next) {
		if (b->fds[worker] != -1 && b->gone_since == 0 && !b->fresh && !b->sent[worker])
			return b->fds[worker];
	}
	return -1;
}

void sockets_mark_sent(struct sockets *s, uint32_t worker, int fd)
{
	for (struct bound *b = s->list; b != NULL; b = b->next) {
		if (b->fds[worker] == fd)
			b->sent[worker] = true;
	}
}
