/* Answering meshctl: see control.h. */
#include "master/control_client.h"

#include "common/control.h"
#include "common/log.h"
#include "common/wire.h"
#include "master/listing.h"
#include "master/master.h"
#include "master/publish.h"
#include "master/reload.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MS	   5000		/* from connect to request */
#define WAIT_DEFAULT_MS	   30000u
#define WAIT_MOST_MS	   600000u
#define SPAN_MOST_MS	   86400000u
#define ACCEPTS_PER_TURN   8
#define ACCEPT_PAUSE_MS	   200		/* out of descriptors: the socket stays readable, so it is not looked at */

/* ---- clients ---- */

static void free_client(struct client *c)
{
	struct master *m = c->k->m;

	loop_remove(&m->loop, &c->socket);
	alarm_unset(&m->loop, &c->deadline);
	close(c->socket.fd);
	c->socket.fd = -1;
	c->state = CLIENT_FREE;
	c->life++;
	if (c->k->pause.at_ms == 0)
		c->k->listener.events = POLLIN;
}

void control_answer(struct client *c, bool ok, const char *text, int report_fd)
{
	struct master *m = c->k->m;
	struct control_reply r = { .magic = CONTROL_MAGIC, .status = ok ? 0 : 1 };

	r.generation = generation_number(m->generations);
	snprintf(r.text, sizeof(r.text), "%.*s", (int)strcspn(text, "\n"), text);
	/* One reply on a fresh socket always has room; a client that is gone misses it. */
	record_send(c->socket.fd, &r, sizeof(r), report_fd);
	free_client(c);
}

static bool is_member(const struct ucred *who, gid_t group, int sock)
{
	gid_t groups[256];
	socklen_t len = sizeof(groups);

	if (who->uid == 0 || who->gid == group)
		return true;
	/* The groups it had when it connected, as the kernel knows them. */
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

static bool is_allowed(const struct control *k, int sock)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && is_member(&who, k->m->fixed.admin_gid, sock);
}

/* ---- verbs ---- */

static void wait_for_workers(struct client *c)
{
	c->generation = generation_number(c->k->m->generations);
	c->state = CLIENT_ADOPTING;
}

static enum image_name_kind kind_of(const char *which, const char **name_r)
{
	static const struct {
		const char *word;
		enum image_name_kind kind;
	} words[] = {
		{ "listener ", NAME_LISTENER }, { "chain ", NAME_CHAIN },
		{ "cluster ", NAME_CLUSTER }, { "endpoint ", NAME_ENDPOINT },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(which, words[i].word, strlen(words[i].word)) == 0) {
			*name_r = which + strlen(words[i].word);
			return words[i].kind;
		}
	}
	return NAME_NONE;
}

/* Which connections are meant, in the words of WIRE_CLOSE. */
static int check_close(const struct master *m, const struct control_request *q, struct err *e)
{
	enum image_name_kind kind;
	const char *name;

	if (q->span_ms > SPAN_MOST_MS)
		return err_set(e, "connections can be ended over %u h at most", SPAN_MOST_MS / 3600000u);
	if (q->number != 0 || strcmp(q->name, "all") == 0)
		return 0;
	if ((kind = kind_of(q->name, &name)) == NAME_NONE)
		return err_set(e, "which connections to end is not understood");
	if (!generations_know(m->generations, kind, name))
		return err_set(e, "there is no %.*s \"%s\"", (int)(name - q->name - 1), q->name, name);
	return 0;
}

static void close_connections(struct client *c, const struct control_request *q)
{
	struct master *m = c->k->m;
	struct wire w = { .type = WIRE_CLOSE, .span_ms = q->span_ms, .number = q->number };
	char text[900] = "";
	size_t used = 0;
	unsigned told = 0;
	struct err e;

	if (check_close(m, q, &e) == -1) {
		control_answer(c, false, e.text, -1);
		return;
	}
	if (q->number == 0)
		snprintf(w.text, sizeof(w.text), "%s", q->name);
	for (uint32_t i = 0; i < m->workers; i++) {
		struct child *worker = &m->worker[i];

		if (worker->pid == 0)
			continue;		/* its connections have ended with it */
		if (worker->control != -1 && wire_send(worker->control, &w, -1) == 0)
			told++;
		else if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
			    used > 0 ? ", " : "not told, because it does not read: ", worker->name);
	}
	if (used == 0)
		snprintf(text, sizeof(text), "%u worker%s told", told, told == 1 ? " was" : "s were");
	control_answer(c, used == 0, text, -1);
}

static void tell_crashes(struct client *c)
{
	const struct crashes *all = &c->k->m->crashes;
	int fd = memfd_create("meshd-crashes", MFD_CLOEXEC);
	char text[96];

	snprintf(text, sizeof(text), "%llu since the start", (unsigned long long)all->count);
	if (fd == -1 || crashes_print(all, fd) == -1)
		control_answer(c, false, "no memory for the reports", -1);
	else
		control_answer(c, true, text, fd);
	if (fd != -1)
		close(fd);
}

static void carry_out(struct client *c, const struct control_request *q)
{
	struct master *m = c->k->m;
	uint32_t ms = q->timeout_ms != 0 ? q->timeout_ms : WAIT_DEFAULT_MS;

	if (master_stopping(m)) {
		control_answer(c, false, "meshd is stopping", -1);
		return;
	}
	alarm_set(&m->loop, &c->deadline, ms < WAIT_MOST_MS ? ms : WAIT_MOST_MS);
	switch (q->verb) {
	case CONTROL_RELOAD:
		c->wait = q->flags & CONTROL_WAIT;
		c->state = CLIENT_LOADING;
		c->ticket = reload_request(m->reload);
		return;
	case CONTROL_INTERCEPT_APPLY:
	case CONTROL_INTERCEPT_CLEAR:
	case CONTROL_INTERCEPT_CONFIRM:
	case CONTROL_INTERCEPT_PLAN:
	case CONTROL_INTERCEPT_STATUS:
		control_rules(c, q);
		return;
	case CONTROL_CONNECTIONS:
		c->state = CLIENT_LISTING;
		c->ticket = listing_request(m->listing);
		return;
	case CONTROL_CLOSE:
		close_connections(c, q);
		return;
	case CONTROL_CRASHES:
		tell_crashes(c);
		return;
	default:
		control_answer(c, false, "unknown request", -1);
	}
}

static void client_ready(void *arg, short revents)
{
	struct client *c = arg;
	struct control_request q;
	int r;

	(void)revents;
	r = record_receive(c->socket.fd, &q, sizeof(q), NULL);
	if (r == -1 && errno == EAGAIN)
		return;
	q.name[sizeof(q.name) - 1] = '\0';
	if (r == 0 || c->state != CLIENT_ASKING)
		free_client(c);		/* gone, or says more than was asked: what it began goes on */
	else if (c->refused)
		control_answer(c, false, "only root and members of admin_group may ask this", -1);
	else if (r == -1 || q.magic != CONTROL_MAGIC)
		control_answer(c, false, "not a request of this version of meshctl", -1);
	else
		carry_out(c, &q);
}

static void client_late(void *arg)
{
	struct client *c = arg;
	struct master *m = c->k->m;
	char text[600], who[400];

	switch (c->state) {
	case CLIENT_ADOPTING:
		master_name_slow(m, c->generation, who, sizeof(who));
		snprintf(text, sizeof(text), "generation %llu is published, not adopted in time by %s",
		    (unsigned long long)c->generation, who);
		control_answer(c, false, text, -1);
		break;
	case CLIENT_ASKING:
		free_client(c);
		break;
	default:
		control_answer(c, false, "not done in time; it goes on", -1);
	}
}

/* ---- coming in ---- */

static void take_client(struct control *k, struct client *c, int fd)
{
	c->socket.fd = fd;
	c->state = CLIENT_ASKING;
	if (!loop_add(&k->m->loop, &c->socket)) {
		free_client(c);
		return;
	}
	c->refused = !is_allowed(k, fd);
	alarm_set(&k->m->loop, &c->deadline, REQUEST_MS);
}

static struct client *free_place(struct control *k)
{
	for (int i = 0; i < CLIENTS; i++) {
		if (k->clients[i].state == CLIENT_FREE)
			return &k->clients[i];
	}
	return NULL;
}

static void come_in(void *arg, short revents)
{
	struct control *k = arg;
	struct client *c;

	(void)revents;
	for (int n = 0; n < ACCEPTS_PER_TURN; n++) {
		int fd;

		if ((c = free_place(k)) == NULL) {
			k->listener.events = 0;		/* until one leaves */
			return;
		}
		fd = accept4(k->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd == -1 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			k->listener.events = 0;
			alarm_set(&k->m->loop, &k->pause, ACCEPT_PAUSE_MS);
		}
		if (fd == -1)
			return;
		take_client(k, c, fd);
	}
}

static void look_again(void *arg)
{
	struct control *k = arg;

	k->listener.events = POLLIN;
}

struct control *control_open(struct master *m, int listen_fd, struct err *e)
{
	struct control *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		err_set(e, "control socket: out of memory");
		return NULL;
	}
	k->m = m;
	k->pause = (struct alarm){ .ring = look_again, .arg = k };
	k->listener = (struct source){ .fd = listen_fd, .events = POLLIN, .ready = come_in, .arg = k };
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &k->clients[i];

		c->k = k;
		c->socket = (struct source){ .fd = -1, .events = POLLIN, .ready = client_ready, .arg = c };
		c->deadline = (struct alarm){ .ring = client_late, .arg = c };
	}
	loop_add(&m->loop, &k->listener);
	return k;
}

void control_stop(struct control *k)
{
	for (int i = 0; i < CLIENTS; i++) {
		if (k->clients[i].state > CLIENT_ASKING)
			control_answer(&k->clients[i], false, "meshd is stopping", -1);
	}
}

/* ---- answers that others bring ---- */

void control_loaded(struct control *k, uint64_t ticket, bool ok, const char *text, int report_fd)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &k->clients[i];

		if (c->state != CLIENT_LOADING || c->ticket > ticket)
			continue;
		if (ok && c->wait)
			wait_for_workers(c);
		else
			control_answer(c, ok, text, report_fd);
	}
}

void control_refused(struct control *k, const char *text)
{
	for (int i = 0; i < CLIENTS; i++) {
		if (k->clients[i].state == CLIENT_ADOPTING)
			control_answer(&k->clients[i], false, text, -1);
	}
}

void control_settle(struct control *k)
{
	char text[96];

	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &k->clients[i];

		if (c->state != CLIENT_ADOPTING || c->generation > master_slowest(k->m) || k->m->rules_generation != 0)
			continue;
		snprintf(text, sizeof(text), "generation %llu is adopted by all workers", (unsigned long long)c->generation);
		control_answer(c, true, text, -1);
	}
}

void control_listed(struct control *k, uint64_t ticket, bool ok, const char *text, int list_fd)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &k->clients[i];

		if (c->state == CLIENT_LISTING && c->ticket <= ticket)
			control_answer(c, ok, text, list_fd);
	}
}
