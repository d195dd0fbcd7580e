/* status, generations, version: what meshd says about itself, in words. */
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/table.h"
#include "ctl/words.h"

#include <stdio.h>
#include <string.h>

/* Of a time in seconds that another program says. */
static const char *age_text(json_int_t seconds, char to[WORDS_MAX])
{
	return words_age(seconds < 0 ? 0 : (uint64_t)seconds * 1000, to);
}

static void number_cell(struct table *t, json_int_t n, bool dash)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	table_cell(t, dash ? "-" : text);
}

static void lag_cell(struct table *t, json_int_t ms, bool dash)
{
	char text[WORDS_MAX];

	table_cell(t, dash ? "-" : words_age(ms < 0 ? 0 : (uint64_t)ms, text));
}

static void print_workers(FILE *to, const json_t *workers)
{
	static const char *const headings[] = { "WORKER", "PID", "GENERATION", "CONNECTIONS", "ACCEPTED", "LAG", "DEATHS" };
	struct table *t = table_new(3);
	const json_t *w;
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < sizeof(headings) / sizeof(headings[0]); i++)
		table_cell(t, headings[i]);
	table_row_end(t);
	json_array_foreach(workers, i, w) {
		bool gone = json_number(w, "pid") == 0;

		number_cell(t, json_number(w, "index"), false);
		number_cell(t, json_number(w, "pid"), gone);
		number_cell(t, json_number(w, "generation"), json_number(w, "generation") == 0);
		number_cell(t, json_number(w, "connections"), gone);
		number_cell(t, json_number(w, "accepted"), false);
		lag_cell(t, json_number(w, "lag_ms"), gone);
		number_cell(t, json_number(w, "deaths"), false);
		table_row_end(t);
	}
	table_print(t, to);
	table_free(&t);
}

static void print_interception(FILE *to, const json_t *i)
{
	if (!json_is_true(json_object_get(i, "configured")) && !json_is_true(json_object_get(i, "in"))) {
		fputs("interception: not configured\n", to);
		return;
	}
	fprintf(to, "interception: rules are %s, outbound port %lld, inbound port %lld\n",
	    json_is_true(json_object_get(i, "in")) ? "in" : "out", (long long)json_number(i, "outbound_port"),
	    (long long)json_number(i, "inbound_port"));
}

/* Of each reason what it says; "nothing" where all are nought. */
static void print_shed(FILE *to, const json_t *shed)
{
	static const struct { const char *key, *words; } reasons[] = {
		{ "descriptors", "for want of descriptors" }, { "memory", "for want of memory" },
		{ "lag", "while the loop lagged" },
		{ "no_local_port", "for want of a local port" }, { "total_limit", "over the limit of all" },
		{ "listener_limit", "over a listener's limit" }, { "cluster_limit", "over a cluster's limit" },
		{ "log_lines", "lines of the log" },
	};
	const char *between = "shed: ";

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (json_number(shed, reasons[i].key) == 0)
			continue;
		fprintf(to, "%s%lld %s", between, (long long)json_number(shed, reasons[i].key), reasons[i].words);
		between = ", ";
	}
	fputs(between[0] == 's' ? "shed: nothing\n" : "\n", to);
}

static void print_connections(FILE *to, const json_t *c)
{
	const json_t *imbalance = json_object_get(c, "imbalance"), *limit = json_object_get(c, "limit");

	fprintf(to, "connections: %lld open", (long long)json_number(c, "open"));
	if (json_is_integer(limit))
		fprintf(to, " of %lld", (long long)json_integer_value(limit));
	fprintf(to, ", spread by %s", json_text(c, "spread"));
	if (json_is_number(imbalance))
		fprintf(to, ", busiest/mean %.2f", json_number_value(imbalance));
	fputc('\n', to);
}

static void print_orphaned(FILE *to, const json_t *o)
{
	char left[WORDS_MAX];

	if (json_is_object(o))
		fprintf(to, "orphaned: the master is gone since %s, workers serve until %s (%s more)\n", json_text(o, "since"),
		    json_text(o, "serves_until"), age_text(json_number(o, "left_s"), left));
}

static void print_status(FILE *to, const json_t *s)
{
	const json_t *g = json_object_get(s, "generation"), *r = json_object_get(s, "reloads"), *problem;
	char age[WORDS_MAX];
	size_t i;

	fprintf(to, "meshd %s, node %s, %s, pid %lld, up %s\n", json_text(s, "version"), json_text(s, "node"),
	    json_text(s, "state"), (long long)json_number(s, "pid"), age_text(json_number(s, "uptime_s"), age));
	print_orphaned(to, json_object_get(s, "orphaned"));
	fprintf(to, "generation %lld (%.12s) of %s, %s old\n", (long long)json_number(g, "number"), json_text(g, "digest"),
	    json_text(g, "source"), age_text(json_number(g, "age_s"), age));
	print_interception(to, json_object_get(s, "interception"));
	fprintf(to, "reloads: %lld ok, %lld failed\n", (long long)json_number(r, "ok"), (long long)json_number(r, "failed"));
	print_shed(to, json_object_get(s, "shed"));
	print_connections(to, json_object_get(s, "connections"));
	print_workers(to, json_object_get(s, "workers"));
	json_array_foreach(json_object_get(s, "problems"), i, problem)
		fprintf(to, "problem: %s\n", json_string_value(problem) != NULL ? json_string_value(problem) : "?");
}

int command_status(struct ctl *c)
{
	struct err e;
	json_t *s = client_get(c->rundir, "/meshd/status", &e);

	if (s == NULL) {
		ctl_complain("%s", e.text);
		return 1;
	}
	output_facts(c->out, s, print_status);
	json_decref(s);
	return 0;
}

/* ---- generations ---- */

static void workers_text(const json_t *workers, char *to, size_t room)
{
	const json_t *w;
	size_t i, n = 0;

	snprintf(to, room, "-");
	json_array_foreach(workers, i, w) {
		if (n < room)
			n += (size_t)snprintf(to + n, room - n, "%s%lld", i > 0 ? "," : "", (long long)json_integer_value(w));
	}
}

static void print_generation(struct output *o, const json_t *g)
{
	char number[32], digest[16], size[24], age[WORDS_MAX], workers[256];
	const char *cells[] = { number, digest, size, age, workers, json_text(g, "source") };

	snprintf(number, sizeof(number), "%lld%s", (long long)json_number(g, "number"),
	    json_is_true(json_object_get(g, "newest")) ? "*" : "");
	snprintf(digest, sizeof(digest), "%.12s", json_text(g, "digest"));
	snprintf(size, sizeof(size), "%lld", (long long)json_number(g, "size_bytes"));
	age_text(json_number(g, "age_s"), age);
	workers_text(json_object_get(g, "workers"), workers, sizeof(workers));
	output_row(o, cells);
	output_item(o, g);
}

int command_generations(struct ctl *c)
{
	static const char *const headings[] = { "GENERATION", "DIGEST", "BYTES", "AGE", "WORKERS", "SOURCE", NULL };
	static const struct list list = { NULL, headings, 3 };
	struct err e;
	json_t *all = client_get(c->rundir, "/meshd/generations", &e);
	const json_t *g;
	size_t i;

	if (all == NULL) {
		ctl_complain("%s", e.text);
		return 1;
	}
	output_head(c->out, &list);
	json_array_foreach(json_object_get(all, "generations"), i, g)
		print_generation(c->out, g);
	json_decref(all);
	return 0;
}

/* ---- version ---- */

static void print_version(FILE *to, const json_t *v)
{
	fprintf(to, "meshctl %s\n", json_text(v, "client"));
	if (json_is_string(json_object_get(v, "server")))
		fprintf(to, "meshd %s\n", json_text(v, "server"));
}

int command_version(struct ctl *c)
{
	struct err e;
	json_t *server = client_get(c->rundir, "/meshd/version", &e);
	json_t *both = json_pack("{s:s, s:o}", "client", MESHD_VERSION, "server",
	    server != NULL ? json_string(json_text(server, "version")) : json_null());

	output_facts(c->out, both, print_version);
	json_decref(both);
	if (server == NULL) {
		ctl_complain("%s", e.text);
		return 1;
	}
	json_decref(server);
	return 0;
}
