/* What meshd says about itself: /meshd/..., /server_info, /ready. */
#include "agent/answers.h"
#include "agent/text.h"

#include <string.h>

static uint64_t newest(const struct agent *a)
{
	return live_get(&a->live.head->newest);
}

static bool all_adopted(const struct agent *a)
{
	for (uint32_t w = 0; w < a->live.workers; w++) {
		if (live_get(&a->live.blocks[w].adopted) == 0 || live_get(&a->live.blocks[w].pid) == 0)
			return false;
	}
	return true;
}

/* Without a master workers serve on; Envoy has no word for that. */
static const char *state_word(const struct agent *a)
{
	if (a->orphan_ns != 0 ? text_now_ns() >= agent_orphan_end_ns(a) : a->ending)
		return "DRAINING";
	return all_adopted(a) ? "LIVE" : "INITIALIZING";
}

static uint64_t uptime_s(const struct agent *a)
{
	uint64_t born = live_get(&a->live.head->born_ns), now = text_now_ns();

	return now > born ? (now - born) / 1000000000u : 0;
}

static json_t *digest_json(const live_word words[4])
{
	char hex[65];

	for (unsigned i = 0; i < 32; i++) {
		uint64_t word = live_get(&words[i / 8]);

		snprintf(hex + 2 * i, 3, "%02x", ((const unsigned char *)&word)[i % 8]);
	}
	return json_string(hex);
}

/* The text may have lost its end. */
static json_t *source_json(const struct live_generation *g)
{
	char source[LIVE_SOURCE_MAX + 1];
	size_t n = strnlen(g->source, LIVE_SOURCE_MAX);

	memcpy(source, g->source, n);
	source[n] = '\0';
	return text_json(source);
}

static json_t *generation_json(const struct live_generation *g)
{
	uint64_t born = live_get(&g->born_ns), now = text_now_ns();

	return json_pack("{s:I, s:o, s:o, s:o, s:I, s:I}", "number", (json_int_t)live_get(&g->number),
	    "digest", digest_json(g->digest), "source", source_json(g), "born", text_time(born),
	    "age_s", (json_int_t)(now > born ? (now - born) / 1000000000u : 0),
	    "size_bytes", (json_int_t)live_get(&g->size_bytes));
}

static json_t *current_generation(const struct agent *a)
{
	uint32_t row = live_generation_row(&a->live, newest(a));

	return row != IMAGE_NONE ? generation_json(&a->live.head->generations[row]) :
	    json_pack("{s:I}", "number", (json_int_t)newest(a));
}

/* What it has open; one that is being replaced may have given back more than it had. */
static uint64_t open_of(const struct agent *a, uint32_t worker)
{
	uint64_t n = live_get(&a->live.blocks[worker].gauge[WORKER_G_connections]);

	return (int64_t)n < 0 ? 0 : n;
}

static json_t *worker_json(const struct agent *a, uint32_t index)
{
	const struct live_block *b = &a->live.blocks[index];
	uint64_t pid = live_get(&b->pid);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "index", (json_int_t)index, "pid", (json_int_t)pid,
	    "generation", (json_int_t)live_get(&b->adopted), "sent", (json_int_t)live_get(&b->want),
	    "connections", (json_int_t)open_of(a, index), "lag_ms", (json_int_t)live_get(&b->gauge[WORKER_G_lag_ms]),
	    "accepted", (json_int_t)live_get(&b->counter[WORKER_C_accepted]),
	    "deaths", (json_int_t)live_get(&b->counter[WORKER_C_deaths]),
	    "started", pid != 0 ? text_time(live_get(&b->started_ns)) : json_null());
}

/* The busiest worker's connections by the mean of all; null: there are none. */
static json_t *imbalance_json(const struct agent *a)
{
	double sum = 0, most = 0;

	for (uint32_t w = 0; w < a->live.workers; w++) {
		double n = (double)open_of(a, w);

		sum += n;
		most = n > most ? n : most;
	}
	return sum > 0 ? json_real(most * a->live.workers / sum) : json_null();
}

static json_t *connections_json(const struct agent *a)
{
	uint32_t limit = image_settings(&a->image)->max_connections;

	return json_pack("{s:I, s:o, s:s, s:o}", "open", (json_int_t)agent_workers_gauge(a, WORKER_G_connections),
	    "limit", limit != 0 ? json_integer(limit) : json_null(),
	    "spread", live_get(&a->live.head->spread) != 0 ? "bpf" : "hash", "imbalance", imbalance_json(a));
}

static json_t *workers_json(const struct agent *a)
{
	json_t *list = json_array();

	for (uint32_t w = 0; w < a->live.workers; w++)
		json_array_append_new(list, worker_json(a, w));
	return list;
}

/* ---- what an operator should look at, a line each ---- */

static void say(json_t *list, json_t *line)
{
	json_array_append_new(list, line);
}

static void worker_problems(const struct agent *a, json_t *list)
{
	for (uint32_t w = 0; w < a->live.workers; w++) {
		const struct live_block *b = &a->live.blocks[w];
		uint64_t adopted = live_get(&b->adopted), deaths = live_get(&b->counter[WORKER_C_deaths]);

		if (live_get(&b->pid) == 0)
			say(list, json_sprintf("worker %u is not running", w));
		else if (adopted != newest(a))
			say(list, json_sprintf("worker %u uses generation %llu, the newest is %llu", w,
			    (unsigned long long)adopted, (unsigned long long)newest(a)));
		if (deaths > 0)
			say(list, json_sprintf("worker %u died %llu time%s", w, (unsigned long long)deaths, deaths == 1 ? "" : "s"));
	}
}

/* What was shed, with the key in `shed` and the words of a problem. */
static const struct shed {
	const char *key;
	uint64_t (*sum)(const struct agent *, unsigned counter);
	unsigned counter;
	const char *words;
} sheds[] = {
	{ "descriptors", agent_workers_counter, WORKER_C_shed_descriptors, "connections shed for want of descriptors" },
	{ "memory", agent_workers_counter, WORKER_C_shed_memory, "connections shed for want of memory" },
	{ "lag", agent_workers_counter, WORKER_C_shed_lag, "connections shed while the event loop lagged behind" },
	{ "total_limit", agent_listeners_counter, LISTENER_C_cx_global_overflow, "connections refused over max_connections" },
	{ "listener_limit", agent_listeners_counter, LISTENER_C_cx_overflow,
	  "connections refused over max_connections of a listener" },
	{ "cluster_limit", agent_clusters_counter, CLUSTER_C_cx_overflow,
	  "connections refused over max_connections of a cluster" },
	{ "no_local_port", agent_clusters_counter, CLUSTER_C_cx_no_port, "connects that found no local port" },
};

static void shed_problems(const struct agent *a, json_t *list)
{
	for (size_t i = 0; i < sizeof(sheds) / sizeof(sheds[0]); i++) {
		uint64_t n = sheds[i].sum(a, sheds[i].counter);

		if (n > 0)
			say(list, json_sprintf("%s: %llu", sheds[i].words, (unsigned long long)n));
	}
}

/* Seconds, rounded up: it is never past while it says more than nought. */
static unsigned long long orphan_left_s(const struct agent *a)
{
	uint64_t end = agent_orphan_end_ns(a), now = text_now_ns();

	return end > now ? (end - now + 999999999u) / 1000000000u : 0;
}

static json_t *problems_json(const struct agent *a)
{
	uint64_t lines = agent_workers_counter(a, WORKER_C_log_dropped) + a->logs.dropped;
	json_t *list = json_array();

	if (live_get(&a->live.head->rolled_back) != 0)
		say(list, json_sprintf("generation %llu was given up, because workers died of it: the one before it is in use again",
		    (unsigned long long)live_get(&a->live.head->rolled_back)));
	if (a->orphan_ns != 0)
		say(list, json_sprintf("the master is gone: workers serve for %llu s more, then drain", orphan_left_s(a)));
	worker_problems(a, list);
	if (image_settings(&a->image)->intercept.mode != INTERCEPT_NONE && !image_settings(&a->image)->intercept.manual &&
	    live_get(&a->live.head->intercepting) == 0)
		say(list, json_string("interception is configured, but its rules are not in"));
	shed_problems(a, list);
	if (lines > 0)
		say(list, json_sprintf("lines of the access log lost: %llu", (unsigned long long)lines));
	return list;
}

/* ---- the answers ---- */

static json_t *interception_json(const struct agent *a)
{
	const struct image_intercept *s = &image_settings(&a->image)->intercept;

	return json_pack("{s:b, s:b, s:i, s:i}", "configured", s->mode != INTERCEPT_NONE,
	    "in", live_get(&a->live.head->intercepting) != 0, "outbound_port", (int)s->outbound_port,
	    "inbound_port", (int)s->inbound_port);
}

static json_t *shed_json(const struct agent *a)
{
	json_t *j = json_object();

	for (size_t i = 0; i < sizeof(sheds) / sizeof(sheds[0]); i++)
		json_object_set_new(j, sheds[i].key, json_integer((json_int_t)sheds[i].sum(a, sheds[i].counter)));
	json_object_set_new(j, "log_lines",
	    json_integer((json_int_t)(agent_workers_counter(a, WORKER_C_log_dropped) + a->logs.dropped)));
	return j;
}

/* null: the master lives. */
static json_t *orphaned_json(const struct agent *a)
{
	if (a->orphan_ns == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:I}", "since", text_time(a->orphan_ns), "serves_until", text_time(agent_orphan_end_ns(a)),
	    "left_s", (json_int_t)orphan_left_s(a));
}

unsigned answer_status(const struct agent *a, const struct query *q, FILE *out)
{
	const struct live_head *h = a->live.head;
	json_t *j = json_pack("{s:s, s:o, s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I}, s:o, s:o}",
	    "version", MESHD_VERSION, "node", text_json(image_text(&a->image, image_settings(&a->image)->node_id)),
	    "state", state_word(a), "pid", (json_int_t)a->master, "started", text_time(live_get(&h->born_ns)),
	    "uptime_s", (json_int_t)uptime_s(a), "orphaned", orphaned_json(a), "generation", current_generation(a),
	    "connections", connections_json(a), "workers", workers_json(a),
	    "interception", interception_json(a), "reloads", "ok", (json_int_t)live_get(&h->reloads_ok),
	    "failed", (json_int_t)live_get(&h->reloads_failed), "shed", shed_json(a), "problems", problems_json(a));

	(void)q;
	return text_dump(j, out) == 0 ? 200 : 500;
}

static json_t *holders_json(const struct agent *a, unsigned row, uint64_t number)
{
	json_t *list = json_array();

	for (uint32_t w = 0; w < a->live.workers; w++) {
		const struct live_block *b = &a->live.blocks[w];

		if ((live_get(&b->held) >> row & 1) != 0 || live_get(&b->adopted) == number)
			say(list, json_integer(w));
	}
	return list;
}

unsigned answer_generations(const struct agent *a, const struct query *q, FILE *out)
{
	json_t *list = json_array();

	(void)q;
	for (unsigned row = 0; row < LIVE_GENERATIONS; row++) {
		const struct live_generation *g = &a->live.head->generations[row];
		uint64_t number = live_get(&g->number);
		json_t *one;

		if (number == 0)
			continue;
		one = generation_json(g);
		json_object_set_new(one, "newest", json_boolean(number == newest(a)));
		json_object_set_new(one, "workers", holders_json(a, row, number));
		json_array_append_new(list, one);
	}
	return text_dump(json_pack("{s:o}", "generations", list), out) == 0 ? 200 : 500;
}

/* What connections can be listed and ended by: the names of rows in `live`, in the order of the image. */
static void put_names(const struct agent *a, enum image_name_kind kind, FILE *out, bool *failed)
{
	static const char *const keys[NAME_KINDS] = {
		[NAME_LISTENER] = "listeners", [NAME_CHAIN] = "chains", [NAME_CLUSTER] = "clusters", [NAME_ENDPOINT] = "endpoints",
	};
	struct text_list list = { out, 0, false };

	fprintf(out, "%s\"%s\": [\n", kind == NAME_LISTENER ? "{" : ",\n", keys[kind]);
	for (uint32_t i = 0; i < image_count(&a->image, SECTION_NAMES); i++) {
		const struct image_name *n = image_name(&a->image, i);

		if (n->kind == kind)
			text_item(&list, text_json(image_text(&a->image, n->name)));
	}
	fputs("]", out);
	*failed |= list.failed;
}

unsigned answer_names(const struct agent *a, const struct query *q, FILE *out)
{
	bool failed = false;

	(void)q;
	for (enum image_name_kind kind = NAME_LISTENER; kind < NAME_KINDS; kind++)
		put_names(a, kind, out, &failed);
	fputs("}\n", out);
	return failed ? 500 : 200;
}

unsigned answer_version(const struct agent *a, const struct query *q, FILE *out)
{
	(void)a;
	(void)q;
	return text_dump(json_pack("{s:s}", "version", MESHD_VERSION), out) == 0 ? 200 : 500;
}

unsigned answer_server_info(const struct agent *a, const struct query *q, FILE *out)
{
	json_t *up = text_duration(uptime_s(a) * 1000);
	json_t *j = json_pack("{s:s, s:s, s:O, s:O, s:{s:I}, s:{s:o}}", "version", "meshd/" MESHD_VERSION,
	    "state", state_word(a), "uptime_current_epoch", up, "uptime_all_epochs", up,
	    "command_line_options", "concurrency", (json_int_t)a->live.workers,
	    "node", "id", text_json(image_text(&a->image, image_settings(&a->image)->node_id)));

	(void)q;
	json_decref(up);
	return text_dump(j, out) == 0 ? 200 : 500;
}

unsigned answer_ready(const struct agent *a, const struct query *q, FILE *out)
{
	const char *state = state_word(a);

	(void)q;
	fprintf(out, "%s\n", state);
	return strcmp(state, "LIVE") == 0 ? 200 : 503;
}
