/*
 * common/image.c as a boundary: what image_verify() accepts can be walked by everybody, whatever is in it.  Compiled
 * images get each of their 32-bit words changed; those still accepted are looked at in every way that the master, the
 * workers and the agent look at one.  Each image ends where its memory does.
 */
#include "t/unit/conf/try.h"

#include "common/live.h"
#include "common/match.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Something of each kind, and two of most. */
static const char rich[] =
    "node = { address = [ \"192.0.2.7\", \"2001:db8::7\" ]; };\n"
    "intercept = { exclude_inbound_ports = ( 22, \"80-90\" ); exclude_outbound_ports = [ 53 ]; };\n"
    "inbound = ( { port = 80; protocol = \"tcp\"; } );\n"
    "services = ( { name = \"s\"; port = 90; protocol = \"tcp\"; endpoints = [ \"192.0.2.1:1\", \"[2001:db8::1]:2\" ]; } );\n"
    "clusters = ( { name = \"a\"; endpoints = ( { address = \"192.0.2.1:1\"; weight = 3; }, \"192.0.2.2:1\" ); },\n"
    "{ name = \"b\"; tcp_keepalive = { }; lb_policy = \"random\"; endpoints = [ \"192.0.2.3:1\" ]; }, { name = \"c\"; } );\n"
    "listeners = ( { name = \"l\"; address = [ \"0.0.0.0\", \"::\", \"192.0.2.9\" ]; port = 7; filter_chains = (\n"
    "{ filters = ( { type = \"tcp_proxy\"; cluster = \"a\"; } ); },\n"
    "{ name = \"x\"; filter_chain_match = { destination_port = 8; prefix_ranges = [ \"192.0.2.0/24\", \"2001:db8::/32\" ];\n"
    "source_prefix_ranges = [ \"192.0.2.0/28\", \"192.0.2.1/32\" ]; };\n"
    "filters = ( { type = \"tcp_proxy\"; weighted_clusters = ( { name = \"b\"; weight = 1; }, { name = \"a\"; weight = 2; } ); } ); },\n"
    "{ filter_chain_match = { destination_port = 8; application_protocols = [ \"http/1.1\", \"http/1.0\" ]; };\n"
    "filters = ( { type = \"http\"; cluster = \"b\"; prefix = \"/a\"; upgrade_configs = [ \"websocket\", \"connect\" ]; } ); },\n"
    "{ filter_chain_match = { destination_port = 9; };\n"
    "filters = ( { type = \"http\"; route_config_name = \"r\"; weighted_clusters = ( { name = \"b\"; weight = 1; },\n"
    "{ name = \"a\"; weight = 2; } ); } ); } ); } );\n";

/* Every list of interception, and each way to have virtual ports. */
#define LISTS "include_outbound_ports = ( 8080, \"9000-9001\" ); exclude_outbound_ports = [ 53 ]; " \
    "include_outbound_ranges = [ \"10.0.0.0/8\", \"2001:db8::/32\" ]; exclude_outbound_ranges = [ \"10.9.0.0/16\" ]; " \
    "exclude_interfaces = [ \"eth1\", \"veth+\" ]; guest_interfaces = [ \"tap0\" ]; " \
    "include_outbound_users = ( \"www-data\", 1000 ); exclude_outbound_users = [ \"1005-1009\" ]; " \
    "include_outbound_groups = ( \"staff\" ); exclude_outbound_groups = [ 7 ]; exclude_dns = true; drop_invalid = true; "

static const char wide[] = "intercept = { outbound_port = \"15001-15004\"; inbound_sources = 16; include_inbound_ports = [ 80 ]; " LISTS "};";
static const char single[] = "intercept = { port = 8090; exclude_inbound_ports = [ 22 ]; apply = \"manual\"; iptables = \"nft\"; " LISTS "};\n"
    "inbound = ( { port = 80; protocol = \"tcp\"; } );";
static const char tproxy[] = "intercept = { mode = \"tproxy\"; " LISTS "};\ninbound = ( { port = 80; protocol = \"tcp\"; } );";

/* ---- the walk ---- */

static const void *at(const struct image *i, enum image_section s, uint32_t index)
{
	cr_assert_lt(index, image_count(i, s), "section %d", (int)s);
	return (const char *)image_section(i, s) + (size_t)index * image_record_size(s);
}

static size_t text(const struct image *i, uint32_t offset)
{
	return strlen(at(i, SECTION_TEXT, offset));
}

/* An answer of match.c lies in its section. */
static void within(const struct image *i, enum image_section s, const void *record)
{
	if (record != NULL)
		at(i, s, (uint32_t)((size_t)((const char *)record - (const char *)image_section(i, s)) / image_record_size(s)));
}

static void named(const struct image *i, uint32_t name_index, enum image_name_kind kind)
{
	const struct image_name *n = at(i, SECTION_NAMES, name_index);

	cr_assert_eq(n->kind, kind);
	cr_assert_lt(text(i, n->name), IMAGE_NAME_MAX);
	cr_assert_lt(image_slot(i, name_index), LIVE_SLOTS);
}

static void where(const struct image *i, uint32_t index)
{
	const struct image_where *w = at(i, SECTION_WHERE, index);

	at(i, SECTION_WHERE_TEXT, w->file);
	cr_assert_lt(strlen(image_where_text(i, w->file)), i->size);
}

static uint32_t choose(const struct image *i, const struct image_tcp_proxy *t, uint32_t drawn)
{
	const struct image_target *target = at(i, SECTION_TARGETS, t->first_target);
	const struct image_target *last = at(i, SECTION_TARGETS, t->first_target + t->target_count - 1);

	while (target < last && drawn >= target->upto)
		target++;
	return target->cluster;
}

static void walk_tcp_proxy(const struct image *i, const struct image_tcp_proxy *t)
{
	const struct image_target *last = at(i, SECTION_TARGETS, t->first_target + t->target_count - 1);

	text(i, t->stat_prefix);
	cr_assert_neq(last->upto, 0);
	cr_assert_neq((uint16_t)t->max_connect_attempts, 0);
	at(i, SECTION_CLUSTERS, choose(i, t, 0));
	at(i, SECTION_CLUSTERS, choose(i, t, last->upto / 2));
	at(i, SECTION_CLUSTERS, choose(i, t, last->upto - 1));
}

/* As targets of a route are drawn. */
static void walk_targets(const struct image *i, uint32_t first, uint32_t count)
{
	const struct image_tcp_proxy like = { .first_target = first, .target_count = count, .max_connect_attempts = 1 };

	walk_tcp_proxy(i, &like);
}

static void walk_route(const struct image *i, const struct image_route *r)
{
	cr_assert_leq(r->length, text(i, r->text) + r->length);
	text(i, r->name);
	at(i, SECTION_TEXT, r->text + r->length);
	walk_targets(i, r->first_target, r->target_count);
}

static void route(const struct image *i, const struct image_route_config *r, const char *authority, size_t n)
{
	const struct image_vhost *v = match_vhost(i, r, authority, n);
	const struct image_route *route = match_route(i, r, authority, n, "/a/b?c", 6);

	within(i, SECTION_VHOSTS, v);
	within(i, SECTION_ROUTES, route);
	if (v != NULL)
		text(i, v->name);
	if (route != NULL)
		walk_route(i, route);
}

static void walk_route_config(const struct image *i, const struct image_route_config *r)
{
	text(i, r->name);
	for (uint32_t k = 0; k < r->exact_count + r->suffix_count + r->prefix_count; k++) {
		const struct image_domain *d = at(i, SECTION_DOMAINS, r->first_domain + k);

		at(i, SECTION_TEXT, d->text + d->length);
		route(i, r, image_text(i, d->text), d->length);
	}
	route(i, r, "WWW.example.com:80", 18);
	route(i, r, "", 0);
}

static void walk_http(const struct image *i, const struct image_http *h)
{
	text(i, h->stat_prefix);
	text(i, h->server_name);
	cr_assert_neq(h->max_pipelined_requests, 0);
	cr_assert_leq(h->max_headers_count, IMAGE_HEADERS_COUNT_MAX);
	walk_route_config(i, at(i, SECTION_ROUTE_CONFIGS, h->route_config));
}

static void walk_chain(const struct image *i, const struct image_chain *c)
{
	const struct image_filter *f = at(i, SECTION_FILTERS, c->first_filter + c->filter_count - 1);

	at(i, SECTION_FILTERS, c->first_filter);
	text(i, c->name);
	named(i, c->name_index, NAME_CHAIN);
	where(i, c->where);
	if (f->type == FILTER_HTTP)
		walk_http(i, at(i, SECTION_HTTP_FILTERS, f->index));
	else
		walk_tcp_proxy(i, at(i, SECTION_TCP_PROXIES, f->index));
}

static void walk_cluster(const struct image *i, const struct image_cluster *c)
{
	text(i, c->name);
	named(i, c->name_index, NAME_CLUSTER);
	where(i, c->where);
	cr_assert_eq(c->turn_count == 0, c->endpoint_count == 0);
	for (uint32_t k = 0; k < c->endpoint_count; k++) {
		const struct image_endpoint *p = at(i, SECTION_ENDPOINTS, c->first_endpoint + k);

		named(i, p->name_index, NAME_ENDPOINT);
		cr_assert_neq(p->weight, 0);
	}
	for (uint32_t k = 0; k < c->turn_count; k++) {
		uint32_t turn = *(const uint32_t *)at(i, SECTION_TURNS, c->first_turn + k);

		cr_assert_lt(turn - c->first_endpoint, c->endpoint_count, "a turn of another cluster");
	}
}

static void ask(const struct image *i, const struct addr *destination, const struct addr *source)
{
	const struct image_listener *l = match_listener(i, destination);

	within(i, SECTION_LISTENERS, l);
	within(i, SECTION_LISTENERS, match_bound(i, destination));
	for (uint32_t k = 0; k < image_count(i, SECTION_LISTENERS); k++) {
		match_asks_application(i, image_listener(i, k), destination);
		for (unsigned a = 0; a < APPLICATIONS; a++)
			within(i, SECTION_CHAINS, match_chain(i, image_listener(i, k), destination, a, source));
	}
}

static void walk_listener(const struct image *i, const struct image_listener *l)
{
	struct addr source = { .family = AF_INET, .port = 1, .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 } };

	text(i, l->name);
	named(i, l->name_index, NAME_LISTENER);
	where(i, l->where);
	for (uint32_t k = 0; k < l->bind_count; k++) {
		const struct image_bind *b = at(i, SECTION_BINDS, l->first_bind + k);

		at(i, SECTION_LISTENERS, b->listener);
		ask(i, &b->addr, &source);
	}
	for (uint32_t k = 0; k < l->match_count; k++) {
		const struct image_match *m = at(i, SECTION_MATCHES, l->first_match + k);
		struct addr to = { .family = m->destination.family, .port = m->port };

		at(i, SECTION_CHAINS, m->chain);
		memcpy(to.ip, m->destination.ip, sizeof(to.ip));
		ask(i, &to, &source);
	}
	for (uint32_t k = 0; k < l->chain_count; k++)
		at(i, SECTION_CHAINS, l->first_chain + k);
}

static void ranged(const struct image *i, enum image_section s, const struct image_range *r)
{
	for (uint32_t k = 0; k < r->count; k++)
		at(i, s, r->first + k);
}

static void worded(const struct image *i, const struct image_range *r, bool (*is)(const char *))
{
	for (uint32_t k = 0; k < r->count; k++) {
		uint32_t offset = *(const uint32_t *)at(i, SECTION_WORDS, r->first + k);

		text(i, offset);
		cr_assert(is(image_text(i, offset)), "%s", image_text(i, offset));
	}
}

static void walk_intercept(const struct image *i, const struct image_intercept *n)
{
	const uint8_t flags[] = { n->configured, n->manual, n->exclude_dns, n->drop_invalid, n->every_inbound_port,
		n->every_outbound_range, n->every_user, n->every_group };

	for (const struct image_range *r = &n->include_inbound; r <= &n->exclude_outbound; r++)
		ranged(i, SECTION_PORTS, r);
	for (const struct image_range *r = &n->include_ranges; r <= &n->exclude_ranges; r++)
		ranged(i, SECTION_PREFIXES, r);
	for (const struct image_range *r = &n->exclude_interfaces; r <= &n->guest_interfaces; r++)
		worded(i, r, image_is_interface);
	for (const struct image_range *r = &n->include_users; r <= &n->exclude_groups; r++)
		worded(i, r, image_is_owner);
	for (size_t k = 0; k < sizeof(flags); k++)
		cr_assert_leq(flags[k], 1);
	if (!n->configured)
		return;
	cr_assert(n->outbound_port > 0 && n->inbound_port > 0 && n->inbound_sources > 0 && n->inbound_sources <= INBOUND_SOURCES_MAX);
	cr_assert(n->outbound_last >= n->outbound_port && n->outbound_last - n->outbound_port < INTERCEPT_PORTS_MAX);
	if (intercept_has_one_port(n))
		at(i, SECTION_LISTENERS, n->inbound_listener);
}

static void walk_settings(const struct image *i)
{
	const struct image_settings *s = image_settings(i);
	const uint32_t texts[] = { s->node_id, s->user, s->agent_user, s->admin_group, s->runtime_dir, s->access_log };

	for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
		text(i, texts[k]);
	for (uint32_t k = 0; k < s->address_count; k++)
		at(i, SECTION_ADDRESSES, s->first_address + k);
	walk_intercept(i, &s->intercept);
	cr_assert_leq(s->workers, LIVE_WORKERS_MAX);
	cr_assert_eq(*image_text(i, 0), '\0');
}

static void walk(const struct image *i)
{
	walk_settings(i);
	for (uint32_t k = 0; k < image_count(i, SECTION_LISTENERS); k++)
		walk_listener(i, image_listener(i, k));
	for (uint32_t k = 0; k < image_count(i, SECTION_CHAINS); k++)
		walk_chain(i, image_chain(i, k));
	for (uint32_t k = 0; k < image_count(i, SECTION_ROUTE_CONFIGS); k++)
		walk_route_config(i, image_route_config(i, k));
	for (uint32_t k = 0; k < image_count(i, SECTION_CLUSTERS); k++)
		walk_cluster(i, image_cluster(i, k));
	for (uint32_t k = 0; k < image_count(i, SECTION_NAMES); k++)
		named(i, k, image_name(i, k)->kind);
}

/* ---- the changes ---- */

/* A copy that ends with its memory: past it the sanitizer, or a page that nobody may touch. */
static uint32_t *copy_of(const struct image *i)
{
#ifdef MESHD_SANITIZERS
	return memcpy(malloc(i->size), i->head, i->size);
#else
	size_t pages = (i->size + 4095) / 4096 * 4096;
	char *base = mmap(NULL, pages + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(base, MAP_FAILED);
	cr_assert_eq(mprotect(base + pages, 4096, PROT_NONE), 0);
	return memcpy(base + pages - i->size, i->head, i->size);
#endif
}

static void free_copy(const struct image *i)
{
#ifdef MESHD_SANITIZERS
	free((void *)(uintptr_t)i->head);
#else
	munmap((void *)((uintptr_t)i->head & ~4095ul), (i->size + 4095) / 4096 * 4096 + 4096);
#endif
}

static uint64_t state = 1;

static uint32_t any(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

static bool look(const struct image *i)
{
	struct err e;

	if (image_verify(i, &e) == -1)
		return false;
	walk(i);
	return true;
}

struct tally {
	unsigned accepted, refused;
};

static void change_each(const struct image *image, struct tally *t)
{
	uint32_t *words = copy_of(image);
	struct image i = { (const struct image_head *)(const void *)words, image->size };

	for (size_t w = 0; w < i.size / 4; w++) {
		uint32_t was = words[w];
		const uint32_t values[] = { 0, 1, UINT32_MAX, INT32_MAX, 1u << 31, was + 1, was - 1, was + 2, was ^ 0x100, was ^ 0x10000,
			was ^ 0x1000000, was << 8, was >> 8, (uint32_t)i.size, (uint32_t)i.size / 8, any(), any() % 64, any() & 0xff00ff };

		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			words[w] = values[v];
			*(look(&i) ? &t->accepted : &t->refused) += 1;
		}
		words[w] = was;
	}
	free_copy(&i);
}

/* Two or three at a time, each another's value or a small one, which more often fits. */
static void change_some(const struct image *image, unsigned times, struct tally *t)
{
	uint32_t *words = copy_of(image), count = (uint32_t)image->size / 4;
	struct image i = { (const struct image_head *)(const void *)words, image->size };

	while (times-- > 0) {
		uint32_t w[3], was[3];

		for (int k = 0; k < 3; k++) {
			w[k] = any() % count;
			was[k] = words[w[k]];
			words[w[k]] = any() % 2 ? words[any() % count] : was[k] + any() % 5 - 2;
		}
		*(look(&i) ? &t->accepted : &t->refused) += 1;
		for (int k = 2; k >= 0; k--)
			words[w[k]] = was[k];
	}
	free_copy(&i);
}

static void change(const char *text)
{
	struct tried t = try_good(text);
	struct tally tally = { 0 };

	cr_assert(look(&t.image));
	change_each(&t.image, &tally);
	change_some(&t.image, 20000, &tally);
	cr_assert_gt(tally.accepted, 500, "text, times and addresses may be anything");
	cr_assert_gt(tally.refused, 5000);
	tried_free(&t);
}

Test(image, what_is_accepted_can_be_walked)
{
	static const char *const samples[] = { "conf/samples/sidecar.conf", "conf/samples/gateway.conf", "conf/samples/http.conf",
		"conf/samples/registry-only.conf" };

	change(rich);
	change(wide);
	change(single);
	change(tproxy);
	for (size_t k = 0; k < sizeof(samples) / sizeof(samples[0]); k++) {
		char *text = try_read(samples[k]);

		change(text);
		free(text);
	}
}

#define FIELD(name) offsetof(struct image_intercept, name), sizeof(((struct image_intercept *)0)->name)
#define FIRST(name) offsetof(struct image_intercept, name.first), 4
#define COUNT(name) offsetof(struct image_intercept, name.count), 4

/* Each field of interception, one by one: what is refused, and with which word.  NULL: it is not. */
static const struct {
	const char *text;
	size_t offset, size;
	uint32_t value;
	const char *reason;
} fields[] = {
	{ wide, FIELD(configured), 0, "enum" }, { wide, FIELD(configured), 2, "flags" },
	{ wide, FIELD(mode), INTERCEPT_TPROXY + 1, "enum" }, { wide, FIELD(mode), INTERCEPT_NONE, NULL },
	{ wide, FIELD(mode), INTERCEPT_TPROXY, "mark" }, { single, FIELD(mode), INTERCEPT_TPROXY, "virtual ports" },
	{ wide, FIELD(manual), 2, "flags" }, { wide, FIELD(iptables), IPTABLES_LEGACY + 1, "enum" },
	{ wide, FIELD(on_exit), ON_EXIT_BLOCK + 1, "enum" }, { wide, FIELD(exclude_dns), 2, "flags" },
	{ wide, FIELD(drop_invalid), 255, "flags" }, { wide, FIELD(inbound_sources), 0, "virtual ports" },
	{ wide, FIELD(inbound_sources), INBOUND_SOURCES_MAX + 1, "enum" }, { wide, FIELD(every_inbound_port), 2, "flags" },
	{ wide, FIELD(every_outbound_range), 2, "flags" }, { wide, FIELD(every_user), 2, "flags" },
	{ wide, FIELD(every_group), 2, "flags" }, { wide, FIELD(outbound_port), 0, "virtual ports" },
	{ wide, FIELD(outbound_port), 15005, "virtual ports" }, { wide, FIELD(outbound_last), 15000, "virtual ports" },
	{ wide, FIELD(outbound_last), 15001 + INTERCEPT_PORTS_MAX, "virtual ports" },
	{ wide, FIELD(inbound_port), 0, "virtual ports" }, { wide, FIELD(inbound_port), 15001, "virtual ports" },
	{ wide, FIELD(inbound_port), 15004, "virtual ports" }, { wide, FIELD(inbound_port), 15005, NULL },
	{ single, FIELD(outbound_last), 8091, "virtual ports" }, { single, FIELD(inbound_listener), 1, "inbound listener" },
	{ single, FIELD(inbound_listener), 2, "inbound listener" }, { single, FIELD(inbound_listener), IMAGE_NONE, "inbound listener" },
	{ tproxy, FIELD(tproxy_mark), 0, "mark" }, { tproxy, FIELD(tproxy_mark), 1u << 31, "mark" },
	{ tproxy, FIELD(tproxy_table), 0, "mark" }, { tproxy, FIELD(tproxy_table), 1u << 31, "mark" },
	{ tproxy, FIELD(tproxy_table), 253, "mark" }, { tproxy, FIELD(tproxy_table), 255, "mark" },
	{ tproxy, FIELD(tproxy_table), 252, NULL }, { tproxy, FIELD(tproxy_table), 256, NULL },
	{ wide, COUNT(include_inbound), 9, "ports" }, { single, COUNT(exclude_inbound), 9, "ports" },
	{ wide, COUNT(include_outbound), 9, "ports" }, { wide, FIRST(exclude_outbound), 9, "ports" },
	{ wide, COUNT(include_ranges), 9, "prefixes" }, { wide, FIRST(exclude_ranges), UINT32_MAX, "prefixes" },
	{ wide, COUNT(exclude_interfaces), 99, "words" }, { wide, COUNT(guest_interfaces), 99, "words" },
	{ wide, FIRST(include_users), 99, "words" }, { wide, COUNT(exclude_users), 99, "words" },
	{ wide, COUNT(include_groups), 99, "words" }, { wide, COUNT(exclude_groups), 2, "words" },
	/* a "veth+" is no user */
	{ wide, FIRST(include_users), 1, "words" }, { wide, FIRST(exclude_groups), 1, "words" },
};

Test(image, each_field_of_interception_is_verified)
{
	for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++) {
		struct tried t = try_good(fields[k].text);
		uint32_t *words = copy_of(&t.image);
		struct image i = { (const struct image_head *)(const void *)words, t.image.size };
		struct image_head *head = (struct image_head *)(void *)words;
		struct err e = { "" };
		char want[64];

		memcpy((char *)&head->settings.intercept + fields[k].offset, &fields[k].value, fields[k].size);
		cr_expect_eq(image_verify(&i, &e), fields[k].reason != NULL ? -1 : 0, "%zu: %s", k, e.text);
		snprintf(want, sizeof(want), "image: settings: %s", fields[k].reason);
		if (fields[k].reason != NULL)
			cr_expect_str_eq(e.text, want, "%zu: %s", k, e.text);
		free_copy(&i);
		tried_free(&t);
	}
}

/* What would become more than one word of a rule, or another. */
Test(image, words_of_rules_are_words)
{
	static const char *const no_interface[] = { "", "+", ".", "..", "-i", "a b", "a\nb", "a\tb", "a/b", "a:b", "!a", "a\"b", "a'b", "a\\b",
		"a#b", "a;b", "a`b", "\xc3\xa9", "sixteen-bytes-be" };
	static const char *const interface[] = { "lo", "eth0", "eth0.100", "veth+", "br-0", "fifteen-bytes-b", "0", "a@b" };
	static const char *const no_owner[] = { "", "-1", ".a", "a b", "a\nb", "a+", "a/b", "!a", "a\"b",
		"abcdefghijabcdefghijabcdefghijabc" };
	static const char *const owner[] = { "root", "www-data", "_a.b", "0", "1000-1999", "4294967294-4294967294" };

	for (size_t k = 0; k < sizeof(no_interface) / sizeof(no_interface[0]); k++)
		cr_expect_not(image_is_interface(no_interface[k]), "%s", no_interface[k]);
	for (size_t k = 0; k < sizeof(interface) / sizeof(interface[0]); k++)
		cr_expect(image_is_interface(interface[k]), "%s", interface[k]);
	for (size_t k = 0; k < sizeof(no_owner) / sizeof(no_owner[0]); k++)
		cr_expect_not(image_is_owner(no_owner[k]), "%s", no_owner[k]);
	for (size_t k = 0; k < sizeof(owner) / sizeof(owner[0]); k++)
		cr_expect(image_is_owner(owner[k]), "%s", owner[k]);
}

/* An image that ends early, and one that says that it does. */
Test(image, a_short_one_is_refused)
{
	struct tried t = try_good(rich);
	struct err e;

	for (size_t size = sizeof(struct image_head); size < t.image.size; size += 8) {
		struct image i = { t.image.head, size };
		uint32_t *words = copy_of(&i);
		struct image own = { (const struct image_head *)(const void *)words, size };

		cr_assert_eq(image_verify(&own, &e), -1);
		((struct image_head *)(void *)words)->size_bytes = (uint32_t)size;
		cr_assert_eq(image_verify(&own, &e), -1, "%zu of %zu bytes", size, t.image.size);
		free_copy(&own);
	}
	tried_free(&t);
}
