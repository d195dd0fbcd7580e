/* connections: what is open now; ending some of it. */
#include "common/addr.h"
#include "common/live.h"
#include "ctl/listing.h"
#include "ctl/master.h"
#include "ctl/words.h"

#include <stdlib.h>
#include <string.h>

#define OLDER_MOST_MS 3600000000u	/* 1000h */

/* ---- choosing ---- */

struct choice {
	const char *listener, *chain, *cluster, *endpoint;	/* NULL: any */
	const char *client;
	struct prefix from;			/* of the client; family 0: it is `client` */
	bool has_worker;
	uint64_t worker;
	uint32_t older_ms;
	bool any;				/* is something chosen at all? */
};

/* An address, a prefix, or one address with its port. */
static int choose_client(struct choice *f)
{
	struct addr a;

	if (f->client == NULL || prefix_parse(f->client, &f->from) == 0 || addr_parse(f->client, &a) == 0)
		return 0;
	ctl_complain("--client %s: an address, address:port or prefix is needed", f->client);
	return -1;
}

static int choose(const struct ctl *c, struct choice *f)
{
	const char *worker = ctl_flag(c, "worker");

	*f = (struct choice){
		.listener = ctl_flag(c, "listener"), .chain = ctl_flag(c, "chain"), .cluster = ctl_flag(c, "cluster"),
		.endpoint = ctl_flag(c, "endpoint"), .client = ctl_flag(c, "client"), .has_worker = worker != NULL,
	};
	f->any = f->listener != NULL || f->chain != NULL || f->cluster != NULL || f->endpoint != NULL || f->client != NULL ||
	    worker != NULL || ctl_flag(c, "older") != NULL;
	if (worker != NULL && !ctl_number(worker, LIVE_WORKERS_MAX - 1, &f->worker)) {
		ctl_complain("--worker %s: a number up to %u is needed", worker, LIVE_WORKERS_MAX - 1);
		return -1;
	}
	if (choose_client(f) == -1)
		return -1;
	return ctl_duration(c, "older", OLDER_MOST_MS, &f->older_ms);
}

static bool same(const char *wanted, const char *name)
{
	return wanted == NULL || strcmp(wanted, name) == 0;
}

static bool is_client(const struct choice *f, const char *client)
{
	struct addr a;

	if (f->client == NULL || f->from.family == 0)
		return same(f->client, client);
	return addr_parse(client, &a) == 0 && prefix_covers(&f->from, &a);
}

/* By its address, or as `names` and drain have it: cluster/address. */
static bool is_endpoint(const struct choice *f, const struct connection *c)
{
	size_t n = strlen(c->cluster);

	return same(f->endpoint, c->endpoint) || (strncmp(f->endpoint, c->cluster, n) == 0 && f->endpoint[n] == '/' &&
	    strcmp(f->endpoint + n + 1, c->endpoint) == 0);
}

static bool is_chosen(const struct choice *f, const struct connection *c)
{
	return same(f->listener, c->listener) && same(f->chain, c->chain) && same(f->cluster, c->cluster) &&
	    is_endpoint(f, c) && is_client(f, c->client) && (!f->has_worker || f->worker == c->worker) &&
	    c->age_ms >= f->older_ms;
}

/* ---- showing ---- */

static void show_item(struct output *o, const struct connection *c)
{
	json_t *item = json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}",
	    "id", (json_int_t)c->id, "worker", (json_int_t)c->worker, "ageMs", (json_int_t)c->age_ms,
	    "idleMs", (json_int_t)c->idle_ms, "state", c->state, "client", c->client, "destination", c->destination,
	    "listener", c->listener, "chain", c->chain, "cluster", c->cluster, "endpoint", c->endpoint,
	    "received", (json_int_t)c->received, "sent", (json_int_t)c->sent);

	output_item(o, item);
	json_decref(item);
}

static void show(struct output *o, const struct connection *c)
{
	char id[24], worker[24], age[WORDS_MAX], idle[WORDS_MAX], received[WORDS_MAX], sent[WORDS_MAX];
	const char *cells[] = {
		id, worker, words_age(c->age_ms, age), words_age(c->idle_ms, idle), c->state, c->client, c->destination,
		c->listener, c->cluster, c->endpoint, words_bytes(c->received, received), words_bytes(c->sent, sent),
	};

	snprintf(id, sizeof(id), "%llu", (unsigned long long)c->id);
	snprintf(worker, sizeof(worker), "%llu", (unsigned long long)c->worker);
	output_row(o, cells);
	show_item(o, c);
}

static void show_head(struct output *o)
{
	static const char *const headings[] = {
		"ID", "WORKER", "AGE", "IDLE", "STATE", "CLIENT", "DESTINATION", "LISTENER", "CLUSTER", "ENDPOINT", "RX", "TX", NULL
	};
	static const struct list list = { NULL, headings, 2 };

	output_head(o, &list);
}

/* ---- ending ---- */

static int kill_one(struct ctl *c, uint64_t id)
{
	struct control_request q = master_request(CONTROL_CLOSE);
	struct control_reply r;

	q.number = id;
	return master_ask(c, &q, &r, NULL);
}

int command_connections(struct ctl *c)
{
	bool kill = ctl_switch(c, "kill", false);
	struct listing l;
	struct choice f;
	int status = 0;

	if (choose(c, &f) == -1)
		return 2;
	if (kill && !f.any && !ctl_switch(c, "all", false)) {
		ctl_complain("connections --kill: which? (--all: all of them)");
		return 2;
	}
	if (listing_get(c, &l) == -1)
		return 1;
	show_head(c->out);
	for (size_t i = 0; i < l.n && status == 0; i++) {
		if (!is_chosen(&f, &l.all[i]))
			continue;
		status = kill ? kill_one(c, l.all[i].id) : 0;
		if (status == 0)
			show(c->out, &l.all[i]);
	}
	if (l.partial)
		status = 1;
	listing_free(&l);
	return status;
}

static const struct connection *find(const struct listing *l, uint64_t id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->all[i].id == id)
			return &l->all[i];
	}
	return NULL;
}

/* All that are there are ended, whichever of the others are not. */
static int kill_named(struct ctl *c, const struct listing *l, char *const *ids, int n)
{
	int status = 0;

	for (int i = 0; i < n; i++) {
		const struct connection *one;
		uint64_t id = strtoull(ids[i], NULL, 10);

		if ((one = find(l, id)) == NULL) {
			ctl_complain("no connection %s", ids[i]);
			status = 1;
		} else if (kill_one(c, id) != 0) {
			status = 1;
		} else {
			show(c->out, one);
		}
	}
	return status;
}

int command_connections_kill(struct ctl *c)
{
	struct listing l;
	uint64_t id;
	int status;

	for (int i = 0; i < c->noperands; i++) {
		if (!ctl_number(c->operands[i], INT64_MAX, &id) || id == 0) {
			ctl_complain("%s: not the ID of a connection", c->operands[i]);
			return 2;
		}
	}
	if (listing_get(c, &l) == -1)
		return 1;
	show_head(c->out);
	status = kill_named(c, &l, c->operands, c->noperands);
	listing_free(&l);
	return status;
}
