/* Making an image by hand: see sample.h. */
#include "t/unit/master/sample.h"

#include "common/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct builder {
	char *bytes[SECTION_COUNT];
	uint32_t count[SECTION_COUNT];
};

static uint32_t put(struct builder *b, enum image_section s, const void *record)
{
	size_t size = image_record_size(s);

	b->bytes[s] = realloc(b->bytes[s], (b->count[s] + 1) * size);
	memcpy(b->bytes[s] + b->count[s] * size, record, size);
	return b->count[s]++;
}

static uint32_t put_text(struct builder *b, enum image_section s, const char *text)
{
	uint32_t at = b->count[s];

	if (at > 0 && (text == NULL || *text == '\0'))
		return 0;
	for (const char *c = text; ; c++) {
		put(b, s, c);
		if (*c == '\0')
			return at;
	}
}

static uint32_t put_name(struct builder *b, enum image_name_kind kind, const char *name)
{
	const struct image_name n = { kind, put_text(b, SECTION_TEXT, name) };
	const uint32_t none = 0;

	put(b, SECTION_SLOTS, &none);
	return put(b, SECTION_NAMES, &n);
}

static uint32_t put_where(struct builder *b, uint32_t line)
{
	const struct image_where w = { 1, line };

	return put(b, SECTION_WHERE, &w);
}

static uint32_t put_cluster(struct builder *b, const struct sample_cluster *sc)
{
	struct image_cluster c = {
		.name = put_text(b, SECTION_TEXT, sc->name), .name_index = put_name(b, NAME_CLUSTER, sc->name),
		.first_endpoint = b->count[SECTION_ENDPOINTS], .first_turn = b->count[SECTION_TURNS], .where = put_where(b, 100), .connect_timeout_ms = 5000,
		.buffer_limit_bytes = 1 << 20, .type = (uint8_t)sc->type, .direction = (uint8_t)sc->direction,
		.balancer = sc->type == CLUSTER_ORIGINAL_DST ? BALANCER_CLUSTER_PROVIDED : BALANCER_ROUND_ROBIN,
	};
	char name[IMAGE_NAME_MAX];

	for (unsigned i = 0; i < 4 && sc->endpoints[i] != NULL; i++, c.endpoint_count++) {
		struct image_endpoint e = { .weight = 1 };
		uint32_t turn = b->count[SECTION_ENDPOINTS];

		addr_parse(sc->endpoints[i], &e.addr);
		snprintf(name, sizeof(name), "%s/%s", sc->name, sc->endpoints[i]);
		e.name_index = put_name(b, NAME_ENDPOINT, name);
		put(b, SECTION_ENDPOINTS, &e);
		put(b, SECTION_TURNS, &turn);
		c.turn_count++;
	}
	return put(b, SECTION_CLUSTERS, &c);
}

static uint32_t find_cluster(const struct sample *s, const char *name)
{
	for (uint32_t i = 0; i < s->nclusters; i++) {
		if (strcmp(s->clusters[i].name, name) == 0)
			return i;
	}
	abort();
}

static void put_chain(struct builder *b, const struct sample *s, const struct sample_listener *sl)
{
	struct image_target target = { find_cluster(s, sl->cluster), 1 };
	struct image_tcp_proxy t = { .first_target = put(b, SECTION_TARGETS, &target), .target_count = 1,
		.max_connect_attempts = 1, .idle_timeout_ms = 3600000 };
	struct image_filter f = { FILTER_TCP_PROXY, put(b, SECTION_TCP_PROXIES, &t) };
	struct image_match m = { .chain = b->count[SECTION_CHAINS] };
	struct image_chain c = { .first_filter = put(b, SECTION_FILTERS, &f), .filter_count = 1, .where = put_where(b, 1) };
	char name[IMAGE_NAME_MAX];

	snprintf(name, sizeof(name), "%s/any", sl->name);
	c.name_index = put_name(b, NAME_CHAIN, name);
	put(b, SECTION_MATCHES, &m);
	put(b, SECTION_CHAINS, &c);
}

static void put_listener(struct builder *b, const struct sample *s, uint32_t index)
{
	const struct sample_listener *sl = &s->listeners[index];
	struct image_listener l = {
		.name = put_text(b, SECTION_TEXT, sl->name), .name_index = put_name(b, NAME_LISTENER, sl->name),
		.first_bind = b->count[SECTION_BINDS], .first_match = b->count[SECTION_MATCHES], .match_count = 1,
		.first_chain = b->count[SECTION_CHAINS], .chain_count = 1, .where = put_where(b, 10 + index),
		.buffer_limit_bytes = 1 << 20, .backlog = 128, .kind = (uint8_t)sl->kind, .direction = (uint8_t)sl->direction,
	};

	for (unsigned i = 0; i < 4 && sl->addresses[i] != NULL; i++, l.bind_count++) {
		struct image_bind bind = { .listener = index };

		addr_parse(sl->addresses[i], &bind.addr);
		put(b, SECTION_BINDS, &bind);
	}
	put_chain(b, s, sl);
	put(b, SECTION_LISTENERS, &l);
}

static void make_lookup(struct builder *b)
{
	uint32_t size = match_lookup_size(b->count[SECTION_BINDS]), *table = malloc(size * sizeof(*table));

	memset(table, 0xff, size * sizeof(*table));
	for (uint32_t i = 0; i < b->count[SECTION_BINDS]; i++) {
		struct image_bind bind;
		uint32_t at;

		memcpy(&bind, b->bytes[SECTION_BINDS] + i * sizeof(bind), sizeof(bind));
		for (at = addr_hash(&bind.addr) & (size - 1); table[at] != IMAGE_NONE; at = (at + 1) & (size - 1))
			;
		table[at] = i;
	}
	b->bytes[SECTION_LOOKUP] = (char *)table;
	b->count[SECTION_LOOKUP] = size;
}

static void put_ports(struct builder *b, const struct image_port_range *r, uint32_t n, struct image_range *to)
{
	*to = (struct image_range){ b->count[SECTION_PORTS], n };
	for (uint32_t i = 0; i < n; i++)
		put(b, SECTION_PORTS, &r[i]);
}

static void put_intercept(struct builder *b, const struct sample *s, struct image_intercept *to)
{
	if (s->intercept == INTERCEPT_NONE)
		return;
	*to = (struct image_intercept){
		.configured = 1, .mode = (uint8_t)s->intercept, .outbound_port = s->outbound_port, .outbound_last = s->outbound_port,
		.inbound_port = s->inbound_port, .inbound_listener = IMAGE_NONE, .inbound_sources = 1, .every_inbound_port = 1,
		.every_outbound_range = 1, .every_user = 1, .every_group = 1,
	};
	put_ports(b, s->exclude_inbound, s->exclude_inbound_count, &to->exclude_inbound);
	put_ports(b, s->exclude_outbound, s->exclude_outbound_count, &to->exclude_outbound);
}

static void put_settings(struct builder *b, const struct sample *s, struct image_settings *to)
{
	to->node_id = put_text(b, SECTION_TEXT, "sample");
	to->user = put_text(b, SECTION_TEXT, s->user);
	to->agent_user = put_text(b, SECTION_TEXT, s->agent_user);
	to->admin_group = put_text(b, SECTION_TEXT, s->admin_group);
	to->runtime_dir = put_text(b, SECTION_TEXT, s->runtime_dir);
	to->access_log = put_text(b, SECTION_TEXT, s->access_log);
	to->workers = s->workers;
	to->drain_time_ms = s->drain_time_ms;
	put_intercept(b, s, &to->intercept);
}

static int write_image(struct builder *b, struct image_head *h)
{
	uint64_t at = sizeof(*h);
	int fd = memfd_create("sample", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (int s = 0; s < SECTION_COUNT; s++) {
		size_t size = b->count[s] * image_record_size((enum image_section)s);

		h->sections[s] = (struct image_span){ (uint32_t)(at / 8), b->count[s] };
		if (size > 0 && pwrite(fd, b->bytes[s], size, (off_t)at) != (ssize_t)size)
			abort();
		at = (at + size + 7) & ~(uint64_t)7;
		free(b->bytes[s]);
	}
	h->size_bytes = (uint32_t)at;
	if (pwrite(fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h) || ftruncate(fd, (off_t)at) == -1)
		abort();
	return fd;
}

int sample_image(const struct sample *s)
{
	struct builder b = { .count = { 0 } };
	struct image_head h = { .magic = IMAGE_MAGIC, .layout = IMAGE_LAYOUT };

	put_text(&b, SECTION_TEXT, "");
	put_text(&b, SECTION_WHERE_TEXT, "");
	put_text(&b, SECTION_WHERE_TEXT, "sample.conf");
	memcpy(h.digest, &s->digest, sizeof(s->digest));
	put_settings(&b, s, &h.settings);
	for (uint32_t i = 0; i < s->nclusters; i++)
		put_cluster(&b, &s->clusters[i]);
	for (uint32_t i = 0; i < s->nlisteners; i++)
		put_listener(&b, s, i);
	make_lookup(&b);
	return write_image(&b, &h);
}
