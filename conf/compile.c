/* From a checked model to an image: see compile.h. */
#include "conf/compile.h"

#include "common/confrun.h"
#include "common/match.h"
#include "conf/compiler.h"
#include "conf/expand.h"
#include "conf/matches.h"
#include "conf/routes.h"
#include "conf/turns.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A name with a row in `live`.  Returns its place in NAMES; SLOTS is as long. */
static uint32_t add_name(struct compiler *c, enum image_name_kind kind, const char *name)
{
	struct image_name n = { kind, text_add(&c->text, name) };
	uint32_t none = 0;

	push(c, SECTION_NAMES, &n);
	push(c, SECTION_SLOTS, &none);
	return count_of(c, SECTION_NAMES) - 1;
}

static uint32_t add_where(struct compiler *c, const struct origin *o)
{
	struct image_where w = { 0 };
	const char *file;

	source_place(c->source, o->line, &file, &w.line);
	w.file = text_add(&c->where_text, file);
	push(c, SECTION_WHERE, &w);
	return count_of(c, SECTION_WHERE) - 1;
}

/* all_clusters is sorted, and clusters lie in the image in that order. */
static uint32_t cluster_index(const struct compiler *c, const char *name)
{
	uint32_t lo = 0, hi = c->config->cluster_count;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->config->all_clusters[mid]->name, name) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Targets that weigh nothing are never drawn, so they are left out. */
static uint32_t add_targets(struct compiler *c, const struct filter *f)
{
	struct image_target t = { 0 };
	uint32_t n = 0;

	if (f->cluster != NULL) {
		t = (struct image_target){ cluster_index(c, f->cluster), 1 };
		push(c, SECTION_TARGETS, &t);
		return 1;
	}
	for (uint32_t i = 0; i < f->weighted.count; i++) {
		const struct weighted *w = LIST_AT(f->weighted, struct weighted, i);

		if (w->weight == 0)
			continue;
		t.cluster = cluster_index(c, w->name);
		t.upto += (uint32_t)w->weight;		/* 1,000 of at most 1,000,000 */
		push(c, SECTION_TARGETS, &t);
		n++;
	}
	return n;
}

static void add_tcp_proxy(struct compiler *c, const struct filter *f)
{
	struct image_tcp_proxy proxy = { .first_target = count_of(c, SECTION_TARGETS),
		.stat_prefix = text_add(&c->text, f->stat_prefix), .idle_timeout_ms = f->idle_timeout_ms,
		.max_duration_ms = f->max_duration_ms, .max_connect_attempts = (uint32_t)f->max_connect_attempts };

	proxy.target_count = add_targets(c, f);
	push(c, SECTION_TCP_PROXIES, &proxy);
}

static void add_http(struct compiler *c, const struct filter *f)
{
	struct image_http http = { .route_config = routes_find(c->config, f->route_config_name),
		.stat_prefix = text_add(&c->text, f->stat_prefix), .server_name = text_add(&c->text, f->server_name),
		.xff_num_trusted_hops = (uint32_t)f->xff_num_trusted_hops,
		.max_request_line_bytes = (uint32_t)f->max_request_line_bytes,
		.max_request_headers_bytes = (uint32_t)f->max_request_headers_kb * 1024,
		.max_response_headers_bytes = (uint32_t)f->max_response_headers_kb * 1024,
		.max_headers_count = (uint32_t)f->max_headers_count,
		.max_connect_attempts = (uint16_t)f->max_connect_attempts,
		.max_requests_per_connection = (uint32_t)f->max_requests_per_connection,
		.max_pipelined_requests = (uint32_t)f->max_pipelined_requests, .max_request_bytes = f->max_request_bytes,
		.request_headers_timeout_ms = (uint32_t)f->request_headers_timeout_ms,
		.delayed_close_timeout_ms = (uint32_t)f->delayed_close_timeout_ms,
		.drain_timeout_ms = (uint32_t)f->drain_timeout_ms, .upgrades = (uint32_t)f->upgrades,
		.idle_timeout_ms = f->idle_timeout_ms, .stream_idle_timeout_ms = f->stream_idle_timeout_ms,
		.request_timeout_ms = f->request_timeout_ms, .max_connection_duration_ms = f->max_connection_duration_ms,
		.generate_request_id = f->generate_request_id != 0,
		.preserve_external_request_id = f->preserve_external_request_id != 0,
		.use_remote_address = f->use_remote_address != 0, .normalize_path = f->normalize_path != 0,
		.accept_http_10 = f->accept_http_10 != 0 };

	push(c, SECTION_HTTP_FILTERS, &http);
}

static void add_filter(struct compiler *c, const struct filter *f)
{
	bool http = f->type == FILTER_HTTP;
	struct image_filter filter = { .type = (uint32_t)f->type,
		.index = count_of(c, http ? SECTION_HTTP_FILTERS : SECTION_TCP_PROXIES) };

	push(c, SECTION_FILTERS, &filter);
	(http ? add_http : add_tcp_proxy)(c, f);
}

/* One virtual host for every domain, with one route. */
static void add_route_config(struct compiler *c, const struct filter *f)
{
	struct image_route_config config = { .name = text_add(&c->text, f->route_config_name),
		.first_domain = count_of(c, SECTION_DOMAINS), .any_vhost = count_of(c, SECTION_VHOSTS),
		.first_vhost = count_of(c, SECTION_VHOSTS), .vhost_count = 1 };
	struct image_vhost vhost = { .name = text_add(&c->text, f->virtual_host),
		.first_route = count_of(c, SECTION_ROUTES), .route_count = 1 };
	struct image_route route = { .name = text_add(&c->text, f->route_name), .kind = ROUTE_PREFIX,
		.text = text_add(&c->text, f->prefix), .length = (uint32_t)strlen(f->prefix),
		.first_target = count_of(c, SECTION_TARGETS), .timeout_ms = f->timeout_ms };

	route.target_count = add_targets(c, f);
	push(c, SECTION_ROUTE_CONFIGS, &config);
	push(c, SECTION_VHOSTS, &vhost);
	push(c, SECTION_ROUTES, &route);
}

static void add_chain(struct compiler *c, const struct listener *l, const struct chain *chain)
{
	struct image_chain r = { .name = text_add(&c->text, chain->name != NULL ? chain->name : ""),
		.first_filter = count_of(c, SECTION_FILTERS), .filter_count = chain->filters.count };

	r.name_index = add_name(c, NAME_CHAIN,
	    arena_printf(&c->arena, "%s/%s", l->name, matches_chain_name(chain, &c->arena)));
	r.where = add_where(c, &chain->origin);
	for (uint32_t i = 0; i < chain->filters.count; i++)
		add_filter(c, LIST_AT(chain->filters, struct filter, i));
	push(c, SECTION_CHAINS, &r);
}

/* Of a virtual listener what it binds, of another what it is found by. */
static void add_binds(struct compiler *c, const struct listener *l, uint32_t index)
{
	if (l->use_original_dst && !l->bind_to_port)
		return;
	for (uint32_t port = l->port.first; port <= l->port.last; port++) {
		for (uint32_t i = 0; i < l->addresses.count; i++) {
			struct image_bind b = { .addr = LIST_AT(l->addresses, struct addr_item, i)->addr, .listener = index };

			b.addr.port = (uint16_t)port;
			push(c, SECTION_BINDS, &b);
		}
	}
}

static void add_matches(struct compiler *c, const struct listener *l, uint32_t first_chain)
{
	struct vec *v = &c->sections[SECTION_MATCHES];
	size_t before = v->count;

	for (uint32_t i = 0; i < l->chains.count; i++)
		matches_add(LIST_AT(l->chains, struct chain, i), first_chain + i, v);
	matches_sort((struct image_match *)(void *)v->items + before, v->count - before);
}

static uint8_t kind_of(const struct listener *l)
{
	if (l->use_original_dst)
		return l->direction == DIRECTION_INBOUND ? LISTENER_VIRTUAL_INBOUND : LISTENER_VIRTUAL_OUTBOUND;
	return l->bind_to_port ? LISTENER_BOUND : LISTENER_REAL;
}

static void add_listener(struct compiler *c, const struct listener *l)
{
	struct image_listener r = { .name = text_add(&c->text, l->name), .first_bind = count_of(c, SECTION_BINDS),
		.first_match = count_of(c, SECTION_MATCHES),
		.first_chain = count_of(c, SECTION_CHAINS), .chain_count = l->chains.count,
		.buffer_limit_bytes = (uint32_t)l->buffer_limit_bytes, .backlog = (uint32_t)l->backlog,
		.max_connections = (uint32_t)l->max_connections, .filters_timeout_ms = (uint32_t)l->filters_timeout_ms, .kind = kind_of(l), .direction = (uint8_t)l->direction };

	r.name_index = add_name(c, NAME_LISTENER, l->name);
	r.where = add_where(c, &l->origin);
	add_binds(c, l, count_of(c, SECTION_LISTENERS));
	r.bind_count = count_of(c, SECTION_BINDS) - r.first_bind;
	add_matches(c, l, r.first_chain);
	r.match_count = count_of(c, SECTION_MATCHES) - r.first_match;
	for (uint32_t i = 0; i < l->chains.count; i++)
		add_chain(c, l, LIST_AT(l->chains, struct chain, i));
	push(c, SECTION_LISTENERS, &r);
}

static void add_endpoint(struct compiler *c, const struct cluster *k, const struct addr_item *i)
{
	struct image_endpoint e = { .addr = i->addr, .weight = addr_item_weight(i) };
	char text[ADDR_STRLEN];

	e.name_index = add_name(c, NAME_ENDPOINT, arena_printf(&c->arena, "%s/%s", k->name, addr_print(&i->addr, text)));
	push(c, SECTION_ENDPOINTS, &e);
}

static void add_cluster(struct compiler *c, const struct cluster *k)
{
	struct image_cluster r = { .name = text_add(&c->text, k->name), .first_endpoint = count_of(c, SECTION_ENDPOINTS),
		.endpoint_count = k->endpoints.count, .first_turn = count_of(c, SECTION_TURNS),
		.max_connections = (uint32_t)k->max_connections, .connect_timeout_ms = (uint32_t)k->connect_timeout_ms,
		.buffer_limit_bytes = (uint32_t)k->buffer_limit_bytes, .max_pending_requests = (uint32_t)k->max_pending_requests,
		.max_requests = (uint32_t)k->max_requests, .max_requests_per_connection = (uint32_t)k->max_requests_per_connection,
		.idle_timeout_ms = k->idle_timeout_ms, .max_connection_duration_ms = k->max_connection_duration_ms, .keepalive = k->keepalive != NULL,
		.type = (uint8_t)k->type, .balancer = (uint8_t)k->balancer, .direction = (uint8_t)k->direction };

	r.name_index = add_name(c, NAME_CLUSTER, k->name);
	r.where = add_where(c, &k->origin);
	if (k->keepalive != NULL) {
		r.keepalive_probes = (uint32_t)k->keepalive->probes;
		r.keepalive_time_s = (uint32_t)k->keepalive->time_s;
		r.keepalive_interval_s = (uint32_t)k->keepalive->interval_s;
	}
	for (uint32_t i = 0; i < k->endpoints.count; i++)
		add_endpoint(c, k, LIST_AT(k->endpoints, struct addr_item, i));
	turns_add(&k->endpoints, r.first_endpoint, &c->sections[SECTION_TURNS]);
	r.turn_count = count_of(c, SECTION_TURNS) - r.first_turn;
	push(c, SECTION_CLUSTERS, &r);
}

static void add_settings(struct compiler *c)
{
	const struct config *f = c->config;
	struct image_settings *s = &c->settings;

	s->node_id = text_add(&c->text, f->node->id);
	s->user = text_add(&c->text, f->user);
	s->agent_user = text_add(&c->text, f->agent_user);
	s->admin_group = text_add(&c->text, f->admin_group);
	s->runtime_dir = text_add(&c->text, f->runtime_dir);
	s->access_log = text_add(&c->text, f->access_log);
	s->workers = (uint32_t)f->workers;
	s->drain_time_ms = (uint32_t)f->drain_time_ms;
	s->orphan_timeout_ms = (uint32_t)f->orphan_timeout_ms;
	s->max_connections = (uint32_t)f->max_connections;
	s->outbound_traffic_policy = (uint8_t)f->policy;
	s->address_count = f->node->addresses.count;
	for (uint32_t i = 0; i < s->address_count; i++)
		push(c, SECTION_ADDRESSES, &LIST_AT(f->node->addresses, struct addr_item, i)->addr);
	if (f->intercept != NULL)
		compile_intercept(c, f->intercept, &s->intercept);
}

static void add_lookup(struct compiler *c)
{
	const struct image_bind *binds = (const struct image_bind *)(void *)c->sections[SECTION_BINDS].items;
	uint32_t n = count_of(c, SECTION_BINDS), size = match_lookup_size(n), none = IMAGE_NONE, *table;

	for (uint32_t i = 0; i < size; i++)
		push(c, SECTION_LOOKUP, &none);
	table = (uint32_t *)(void *)c->sections[SECTION_LOOKUP].items;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = addr_hash(&binds[i].addr) & (size - 1);

		while (table[at] != IMAGE_NONE)
			at = (at + 1) & (size - 1);
		table[at] = i;
	}
}

/* The head's settings and every section before SLOTS, each with its length. */
static int make_digest(const struct compiler *c, uint8_t digest[32], struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx != NULL && OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1 &&	/* it is a file */
	    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, &c->settings, sizeof(c->settings)) == 1;

	for (int s = 0; ok && s < SECTION_SLOTS; s++) {
		uint32_t n = count_of(c, s);

		ok = EVP_DigestUpdate(ctx, &n, sizeof(n)) == 1 &&
		    EVP_DigestUpdate(ctx, c->sections[s].items, n * image_record_size(s)) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : err_set(e, "SHA-256: libcrypto refuses");
}

static size_t round_up(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static int write_all(int fd, const char *bytes, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = pwrite(fd, bytes + done, n - done, (off_t)done);

		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_set(e, "writing the image: %m");
		done += (size_t)r;
	}
	return 0;
}

static int write_image(const struct compiler *c, int fd, struct err *e)
{
	struct image_head head = { .magic = IMAGE_MAGIC, .layout = IMAGE_LAYOUT, .settings = c->settings };
	size_t at = round_up(sizeof(head)), bytes;
	char *image;
	int r;

	for (int s = 0; s < SECTION_COUNT; s++) {
		head.sections[s] = (struct image_span){ (uint32_t)(at / 8), count_of(c, s) };
		at = round_up(at + c->sections[s].count * image_record_size(s));
		if (at > IMAGE_SIZE_MAX)
			return err_set(e, "the image would be larger than %u MiB", IMAGE_SIZE_MAX >> 20);
	}
	head.size_bytes = (uint32_t)at;
	if (make_digest(c, head.digest, e) == -1)
		return -1;
	if ((image = calloc(1, at)) == NULL)
		_exit(CONFRUN_EXIT_MEMORY);
	memcpy(image, &head, sizeof(head));
	for (int s = 0; s < SECTION_COUNT; s++) {
		bytes = c->sections[s].count * image_record_size(s);
		if (bytes > 0)
			memcpy(image + (size_t)head.sections[s].at * 8, c->sections[s].items, bytes);
	}
	r = write_all(fd, image, at, e);
	free(image);
	return r;
}

static void take_text(struct compiler *c, struct text *t, enum image_section s)
{
	text_add(t, "");
	c->sections[s] = t->bytes;
	t->bytes = (struct vec){ 0 };
	text_free(t);
}

int compile(const struct config *config, const struct source *source, int fd, struct err *e)
{
	struct compiler c = { .config = config, .source = source };
	int r;

	add_settings(&c);
	for (uint32_t i = 0; i < config->listener_count; i++)
		add_listener(&c, config->all_listeners[i]);
	for (uint32_t i = 0; i < config->route_count; i++)
		add_route_config(&c, config->all_routes[i]);
	for (uint32_t i = 0; i < config->cluster_count; i++)
		add_cluster(&c, config->all_clusters[i]);
	add_lookup(&c);
	take_text(&c, &c.text, SECTION_TEXT);
	take_text(&c, &c.where_text, SECTION_WHERE_TEXT);
	r = write_image(&c, fd, e);
	for (int s = 0; s < SECTION_COUNT; s++)
		vec_free(&c.sections[s]);
	arena_free(&c.arena);
	return r;
}
