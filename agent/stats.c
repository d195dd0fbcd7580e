/*
 * /stats: every counter of the generation in use, under Envoy's names.  What the X lists of common/stats.h name is
 * walked as tables; names that come twice (two chains with one stat_prefix) are summed.
 */
#include "agent/answers.h"
#include "agent/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define FILTER_MAX    256u		/* bytes of a filter */
#define FILTER_EFFORT 100000u		/* steps on one name, so that no filter can hold up the agent */
#define NAME_MAX_BYTES 1024

#define N_LG(f, n, w) [LISTENER_G_##f] = n,
#define N_LC(f, n, w) [LISTENER_C_##f] = n,
#define N_HG(f, n, w) [CHAIN_G_##f] = n,
#define N_HC(f, n, w) [CHAIN_C_##f] = n,
#define N_TG(f, n, w) [HTTP_G_##f] = n,
#define N_TC(f, n, w) [HTTP_C_##f] = n,
#define N_CG(f, n, w) [CLUSTER_G_##f] = n,
#define N_CC(f, n, w) [CLUSTER_C_##f] = n,
#define N_WG(f, n, w) [WORKER_G_##f] = n,
#define N_WC(f, n, w) [WORKER_C_##f] = n,

struct row_names {
	unsigned ngauges, ncounters;
	const char *gauges[LIVE_GAUGES];	/* the first, `users`, has no name */
	const char *counters[LIVE_COUNTERS];
};

static const struct row_names listener_names = {
	LISTENER_NGAUGES, LISTENER_NCOUNTERS, { LISTENER_GAUGES(N_LG) }, { LISTENER_COUNTERS(N_LC) }
};
static const struct row_names chain_names = {
	CHAIN_NGAUGES, CHAIN_NCOUNTERS, { CHAIN_GAUGES(N_HG) }, { CHAIN_COUNTERS(N_HC) }
};
static const struct row_names http_names = {
	HTTP_NGAUGES, HTTP_NCOUNTERS, { HTTP_GAUGES(N_TG) }, { HTTP_COUNTERS(N_TC) }
};
static const struct row_names cluster_names = {
	CLUSTER_NGAUGES, CLUSTER_NCOUNTERS, { CLUSTER_GAUGES(N_CG) }, { CLUSTER_COUNTERS(N_CC) }
};
static const char *const worker_gauges[] = { WORKER_GAUGES(N_WG) };
static const char *const worker_counters[] = { WORKER_COUNTERS(N_WC) };

/* ---- the list ---- */

struct stat_list {
	struct stat_value {
		char *name;
		uint64_t value;
	} *values;
	size_t n, room;
	bool used_only;
	pcre2_code *filter;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	bool no_memory, too_hard;
};

static bool wanted(struct stat_list *s, const char *name, uint64_t value)
{
	int r;

	if (s->used_only && value == 0)
		return false;
	if (s->filter == NULL)
		return true;
	r = pcre2_match(s->filter, (PCRE2_SPTR)name, PCRE2_ZERO_TERMINATED, 0, 0, s->match, s->limits);
	if (r < 0 && r != PCRE2_ERROR_NOMATCH)
		s->too_hard = true;
	return r >= 0;
}

static struct stat_value *more(struct stat_list *s)
{
	struct stat_value *v;

	if (s->n == s->room) {
		s->room = s->room == 0 ? 256 : s->room * 2;
		if ((v = realloc(s->values, s->room * sizeof(*v))) == NULL)
			return NULL;
		s->values = v;
	}
	return &s->values[s->n];
}

/* As Envoy does: a colon in a name (of an IPv6 address) would look like the end of it. */
static void sanitize(char *name)
{
	for (; (name = strchr(name, ':')) != NULL; name++)
		*name = '_';
}

static void add(struct stat_list *s, const char *scope, const char *of, const char *name, uint64_t value)
{
	struct stat_value *v;
	char full[NAME_MAX_BYTES];

	if (s->no_memory || s->too_hard)
		return;
	snprintf(full, sizeof(full), "%s.%s%s%s", scope, of, *of != '\0' ? "." : "", name);
	sanitize(full);
	if (!wanted(s, full, value))
		return;
	if ((v = more(s)) == NULL || (v->name = strdup(full)) == NULL) {
		s->no_memory = true;
		return;
	}
	v->value = value;
	s->n++;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct stat_value *)a)->name, ((const struct stat_value *)b)->name);
}

static void sort_and_merge(struct stat_list *s)
{
	size_t kept = 0;

	if (s->n == 0)
		return;
	qsort(s->values, s->n, sizeof(s->values[0]), by_name);
	for (size_t i = 1; i < s->n; i++) {
		if (strcmp(s->values[kept].name, s->values[i].name) == 0) {
			s->values[kept].value += s->values[i].value;
			free(s->values[i].name);
		} else {
			s->values[++kept] = s->values[i];
		}
	}
	s->n = kept + 1;
}

static void list_free(struct stat_list *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->values[i].name);
	free(s->values);
	pcre2_code_free(s->filter);
	pcre2_match_data_free(s->match);
	pcre2_match_context_free(s->limits);
}

/* ---- filling it ---- */

static void add_row(struct stat_list *s, const struct agent *a, const struct row_names *names, uint32_t name_index,
    const char *scope, const char *of)
{
	for (unsigned i = 1; i < names->ngauges; i++)
		add(s, scope, of, names->gauges[i], agent_gauge(a, name_index, i));
	for (unsigned i = 0; i < names->ncounters; i++)
		add(s, scope, of, names->counters[i], agent_counter(a, name_index, i));
}

static void add_listeners(struct stat_list *s, const struct agent *a)
{
	for (uint32_t i = 0; i < image_count(&a->image, SECTION_LISTENERS); i++) {
		const struct image_listener *l = image_listener(&a->image, i);
		char address[ADDR_STRLEN];

		/* the inbound one that has no port of its own: by its name, or it would be one with the outbound one */
		add_row(s, a, &listener_names, l->name_index, "listener", l->bind_count == 0 ? image_text(&a->image, l->name) :
		    addr_print(&image_bind(&a->image, l->first_bind)->addr, address));
	}
}

static void add_chains(struct stat_list *s, const struct agent *a)
{
	for (uint32_t i = 0; i < image_count(&a->image, SECTION_CHAINS); i++) {
		const struct image_chain *c = image_chain(&a->image, i);
		const struct image_filter *f = image_filter(&a->image, c->first_filter + c->filter_count - 1);

		if (f->type == FILTER_HTTP)
			add_row(s, a, &http_names, c->name_index, "http",
			    image_text(&a->image, image_http(&a->image, f->index)->stat_prefix));
		else
			add_row(s, a, &chain_names, c->name_index, "tcp",
			    image_text(&a->image, image_tcp_proxy(&a->image, f->index)->stat_prefix));
	}
}

static void add_clusters(struct stat_list *s, const struct agent *a)
{
	for (uint32_t i = 0; i < image_count(&a->image, SECTION_CLUSTERS); i++) {
		const struct image_cluster *c = image_cluster(&a->image, i);

		add_row(s, a, &cluster_names, c->name_index, "cluster", image_text(&a->image, c->name));
	}
}

static void add_workers(struct stat_list *s, const struct agent *a)
{
	for (uint32_t w = 0; w < a->live.workers; w++) {
		const struct live_block *b = &a->live.blocks[w];
		char index[16];

		snprintf(index, sizeof(index), "%u", w);
		for (unsigned i = 0; i < WORKER_NGAUGES; i++)
			add(s, "worker", index, worker_gauges[i], live_get(&b->gauge[i]));
		for (unsigned i = 0; i < WORKER_NCOUNTERS; i++)
			add(s, "worker", index, worker_counters[i], live_get(&b->counter[i]));
	}
	for (unsigned i = 0; i < WORKER_NGAUGES; i++)
		add(s, "server", "", worker_gauges[i],
		    i == WORKER_G_lag_ms ? agent_workers_greatest(a, i) : agent_workers_gauge(a, i));
	for (unsigned i = 0; i < WORKER_NCOUNTERS; i++)
		add(s, "server", "", worker_counters[i], agent_workers_counter(a, i));
}

static void add_server(struct stat_list *s, const struct agent *a)
{
	const struct live_head *h = a->live.head;
	uint64_t born = live_get(&h->born_ns), now = text_now_ns();
	struct {
#define FIELD(f, n, w) uint64_t f;
		SERVER_VALUES(FIELD)
	} v = {
		.uptime = now > born ? (now - born) / 1000000000u : 0,
		.concurrency = a->live.workers,
		.generation = live_get(&h->newest),
		.reloads_ok = live_get(&h->reloads_ok),
		.reloads_failed = live_get(&h->reloads_failed),
		.intercepting = live_get(&h->intercepting) != 0,
		.log_written = a->logs.written,
		.log_failed = a->logs.dropped,
	};

#define ADD(f, n, w) add(s, "server", "", n, v.f);
	SERVER_VALUES(ADD)
}

/* ---- the answer ---- */

/* 200: there is a filter or none is wanted; else the words are written. */
static unsigned take_filter(struct stat_list *s, const char *text, FILE *out)
{
	PCRE2_UCHAR why[160];
	PCRE2_SIZE at;
	int code;

	if (text == NULL || *text == '\0')
		return 200;
	if (strlen(text) > FILTER_MAX) {
		fprintf(out, "filter: longer than %u bytes\n", FILTER_MAX);
		return 400;
	}
	s->filter = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_NO_AUTO_CAPTURE, &code, &at, NULL);
	if (s->filter == NULL) {
		pcre2_get_error_message(code, why, sizeof(why));
		fprintf(out, "filter: %s at byte %zu\n", (const char *)why, (size_t)at + 1);
		return 400;
	}
	s->match = pcre2_match_data_create_from_pattern(s->filter, NULL);
	s->limits = pcre2_match_context_create(NULL);
	if (s->match == NULL || s->limits == NULL) {
		s->no_memory = true;
		return 500;
	}
	pcre2_set_match_limit(s->limits, FILTER_EFFORT);
	pcre2_set_heap_limit(s->limits, 1024);		/* KiB */
	return 200;
}

static void print_text(const struct stat_list *s, FILE *out)
{
	for (size_t i = 0; i < s->n; i++)
		fprintf(out, "%s: %llu\n", s->values[i].name, (unsigned long long)s->values[i].value);
}

/* Written as it goes: as one tree it would be many times larger. */
static void print_json(const struct stat_list *s, FILE *out)
{
	fputs("{\"stats\":[", out);
	for (size_t i = 0; i < s->n; i++) {
		json_t *name = text_json(s->values[i].name);

		fputs(i > 0 ? ",\n{\"name\":" : "\n{\"name\":", out);
		json_dumpf(name, out, JSON_ENCODE_ANY);
		fprintf(out, ",\"value\":%llu}", (unsigned long long)s->values[i].value);
		json_decref(name);
	}
	fputs("\n]}\n", out);
}

unsigned answer_stats(const struct agent *a, const struct query *q, FILE *out)
{
	struct stat_list s = { .used_only = q->used_only };
	unsigned status = take_filter(&s, q->filter, out);

	if (status == 200) {
		add_listeners(&s, a);
		add_chains(&s, a);
		add_clusters(&s, a);
		add_workers(&s, a);
		add_server(&s, a);
	}
	if (s.no_memory) {
		status = 500;
	} else if (s.too_hard) {
		fputs("filter: takes too long\n", out);
		status = 400;
	} else if (status == 200) {
		sort_and_merge(&s);
		(q->json ? print_json : print_text)(&s, out);
	}
	list_free(&s);
	return status;
}
