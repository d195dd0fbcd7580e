/* common/match.c: virtual hosts by domain, routes by path, in an image made by hand; and what image_verify() says of such ones. */
#include "common/image.h"
#include "common/match.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT, SUFFIX, PREFIX };
static const struct { int kind; const char *text; uint32_t vhost; } written[] = {
	{ EXACT, "a.example", 0 }, { EXACT, "b.example", 1 }, { EXACT, "www.a.example", 1 }, { EXACT, "192.0.2.1", 1 },
	{ EXACT, "[2001:db8::1]", 1 },
	{ SUFFIX, ".example", 2 }, { SUFFIX, ".a.example", 3 }, { PREFIX, "shop.", 4 }, { PREFIX, "shop.big.", 5 },
};
static const char *const vhosts[] = { "a", "b", "suffix", "longer suffix", "prefix", "longer prefix", "any" };

enum { NDOMAINS = sizeof(written) / sizeof(written[0]), NVHOSTS = sizeof(vhosts) / sizeof(vhosts[0]), NROUTES = NVHOSTS + 2 };

/* In the order of the sections.  One target to one cluster, so that it verifies. */
struct made {
	struct image_head head;
	_Alignas(8) uint32_t lookup[8];
	_Alignas(8) struct image_route_config configs[1];
	_Alignas(8) struct image_domain domains[NDOMAINS];
	_Alignas(8) struct image_vhost vhosts[NVHOSTS];
	_Alignas(8) struct image_route routes[NROUTES];
	_Alignas(8) struct image_target targets[1];
	_Alignas(8) struct image_cluster clusters[1];
	_Alignas(8) struct image_name names[1];
	_Alignas(8) char text[1024];
	_Alignas(8) uint32_t slots[1];
	_Alignas(8) struct image_where where[1];
	_Alignas(8) char where_text[8];
};

static struct made *made;
static struct image image;
static size_t used;

static uint32_t put_text(const char *text)
{
	uint32_t at = (uint32_t)used;

	memcpy(made->text + at, text, strlen(text) + 1);
	used += strlen(text) + 1;
	return at;
}

static bool exact;

static int in_order(const void *a, const void *b)
{
	return match_domain_compare(&image, exact, a, b);
}

static void make_domains(void)
{
	struct image_route_config *r = made->configs;
	uint32_t *counts[] = { &r->exact_count, &r->suffix_count, &r->prefix_count }, n = 0;

	for (int kind = 0; kind < 3; kind++) {
		uint32_t first = n;

		for (size_t i = 0; i < NDOMAINS; i++) {
			uint32_t length = (uint32_t)strlen(written[i].text);

			if (written[i].kind == kind)
				made->domains[n++] = (struct image_domain){ put_text(written[i].text), length,
					match_domain_hash(written[i].text, length), written[i].vhost };
		}
		*counts[kind] = n - first;
		exact = kind == EXACT;
		qsort(made->domains + first, n - first, sizeof(made->domains[0]), in_order);
	}
}

static void make_routes(void)
{
	static const char *const paths[] = { "/static/", "/static", "/" };	/* of "a"; the others have the last only */
	uint32_t n = 0;

	for (uint32_t v = 0; v < NVHOSTS; v++) {
		made->vhosts[v] = (struct image_vhost){ put_text(vhosts[v]), n, v == 0 ? 3 : 1 };
		for (uint32_t k = v == 0 ? 0 : 2; k < 3; k++)
			made->routes[n++] = (struct image_route){ .name = put_text(paths[k]), .text = put_text(paths[k]),
				.length = (uint32_t)strlen(paths[k]), .target_count = 1 };
	}
}

/* Empty sections lie where the one before them ends. */
static void lay(void)
{
	const struct { enum image_section s; const void *at; uint32_t count; } parts[] = {
		{ SECTION_LOOKUP, made->lookup, 8 }, { SECTION_ROUTE_CONFIGS, made->configs, 1 }, { SECTION_DOMAINS, made->domains, NDOMAINS },
		{ SECTION_VHOSTS, made->vhosts, NVHOSTS }, { SECTION_ROUTES, made->routes, NROUTES }, { SECTION_TARGETS, made->targets, 1 },
		{ SECTION_CLUSTERS, made->clusters, 1 }, { SECTION_NAMES, made->names, 1 }, { SECTION_TEXT, made->text, sizeof(made->text) },
		{ SECTION_SLOTS, made->slots, 1 }, { SECTION_WHERE, made->where, 1 }, { SECTION_WHERE_TEXT, made->where_text, 1 },
	};
	size_t end = sizeof(made->head), next = 0;

	for (int s = 0; s < SECTION_COUNT; s++) {
		struct image_span *span = &made->head.sections[s];

		*span = (struct image_span){ (uint32_t)((end + 7) / 8), 0 };
		if (next == sizeof(parts) / sizeof(parts[0]) || parts[next].s != (enum image_section)s)
			continue;
		*span = (struct image_span){ (uint32_t)((size_t)((const char *)parts[next].at - (const char *)made) / 8), parts[next].count };
		end = (size_t)span->at * 8 + span->count * image_record_size(s);
		next++;
	}
}

static void begin(void)
{
	made = calloc(1, sizeof(*made));
	image = (struct image){ &made->head, sizeof(*made) };
	used = 0;
	made->head.magic = IMAGE_MAGIC;
	made->head.layout = IMAGE_LAYOUT;
	made->head.size_bytes = sizeof(*made);
	memset(made->lookup, 0xff, sizeof(made->lookup));
	put_text("");
	lay();
	made->configs[0] = (struct image_route_config){ .name = put_text("9080"), .any_vhost = NVHOSTS - 1, .vhost_count = NVHOSTS };
	make_domains();
	make_routes();
	made->targets[0].upto = 1;
	made->names[0] = (struct image_name){ NAME_CLUSTER, put_text("c") };
}

static void end(void)
{
	free(made);
}

TestSuite(route, .init = begin, .fini = end);

struct host_case {
	char authority[64], vhost[24];
};

ParameterizedTestParameters(route, hosts)
{
	static struct host_case cases[] = {
		{ "a.example", "a" }, { "A.Example", "a" }, { "a.example:80", "a" }, { "a.example:", "a" }, { "b.example", "b" },
		{ "192.0.2.1:8080", "b" }, { "[2001:db8::1]", "b" }, { "[2001:DB8::1]:80", "b" },
		/* exact before suffix before prefix before any */
		{ "www.a.example", "b" }, { "x.a.example", "longer suffix" }, { "x.example", "suffix" }, { "y.x.example", "suffix" },
		{ "shop.example", "suffix" }, { "shop.org", "prefix" }, { "SHOP.BIG.org", "longer prefix" }, { "shop.big:1", "prefix" },
		/* a wildcard is one byte at least */
		{ ".example", "any" }, { "shop.", "any" }, { "example", "any" },
		{ "", "any" }, { ":80", "any" }, { "[::1]", "any" }, { "a.example.", "any" }, { "xa.example", "suffix" },
	};

	return cr_make_param_array(struct host_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct host_case *c, route, hosts)
{
	const struct image_vhost *v;

	v = match_vhost(&image, made->configs, c->authority, strlen(c->authority));
	cr_assert_not_null(v);
	cr_expect_str_eq(image_text(&image, v->name), c->vhost, "%s", c->authority);
}

Test(route, without_any_there_may_be_none)
{
	made->configs[0].any_vhost = IMAGE_NONE;
	cr_expect_null(match_vhost(&image, made->configs, "x.org", 5));
	cr_expect_null(match_route(&image, made->configs, "x.org", 5, "/", 1));
	cr_expect_not_null(match_route(&image, made->configs, "x.example", 9, "/", 1));
}

/* Longer than any domain can be. */
Test(route, an_endless_host_is_nobodys)
{
	char host[1000];

	memset(host, 'a', sizeof(host));
	cr_expect_str_eq(image_text(&image, match_vhost(&image, made->configs, host, sizeof(host))->name), "any");
	memcpy(host + sizeof(host) - 8, ".example", 8);
	cr_expect_str_eq(image_text(&image, match_vhost(&image, made->configs, host, sizeof(host))->name), "suffix");
}

Test(route, the_first_that_matches_the_path)
{
	static const struct { const char *path, *route; } cases[] = {
		{ "/", "/" }, { "/static", "/static" }, { "/static/", "/static/" }, { "/static/x?y", "/static/" }, { "/staticx", "/static" },
		{ "/Static", "/" }, { "/x?/static", "/" }, { "/static?/", "/static" }, { "*", "/" }, { "", "/" }, { "/static#/", "/static" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct image_route *r = match_route(&image, made->configs, "a.example", 9, cases[i].path, strlen(cases[i].path));

		cr_assert_not_null(r, "%s", cases[i].path);
		cr_expect_str_eq(image_text(&image, r->name), cases[i].route, "%s", cases[i].path);
	}
	made->vhosts[0].route_count = 1;
	cr_expect_null(match_route(&image, made->configs, "a.example", 9, "/other", 6));
	cr_expect_null(match_route(&image, made->configs, "a.example", 9, "*", 1));
	cr_expect_null(match_route(&image, made->configs, "a.example", 9, "?/static/", 9));
}

/* ---- verifying ---- */

static void expect_refused(const char *part)
{
	struct err e = { 0 };

	cr_expect_eq(image_verify(&image, &e), -1, "%s", part);
	cr_expect_not_null(strstr(e.text, part), "\"%s\" instead of %s", e.text, part);
}

/* One word wrong at a time. */
#define REFUSED(field, value, part) \
	do { \
		__typeof__(field) was = field; \
		field = value; \
		expect_refused(part); \
		field = was; \
	} while (0)

Test(route, what_is_wrong_is_refused)
{
	struct image_route_config *r = made->configs;
	struct err e;

	cr_assert_eq(image_verify(&image, &e), 0, "%s", e.text);
	REFUSED(r->name, UINT32_MAX, "route_configs[0]: name");
	REFUSED(r->exact_count, r->exact_count + 1, "route_configs[0]: domains");
	REFUSED(r->suffix_count, UINT32_MAX, "route_configs[0]: domains");
	REFUSED(r->prefix_count, UINT32_MAX - 5, "route_configs[0]: domains");
	REFUSED(r->any_vhost, NVHOSTS, "route_configs[0]: virtual hosts");
	REFUSED(r->vhost_count, NVHOSTS + 1, "route_configs[0]: virtual hosts");
	REFUSED(r->first_vhost, 1, "route_configs[0]: virtual hosts");
	REFUSED(made->domains[1], made->domains[0], "not in order");
	REFUSED(made->domains[0].vhost, NVHOSTS, "another route config");
	REFUSED(made->domains[0].length, 0, "domains[0]: text");
	REFUSED(made->domains[0].length, made->domains[0].length - 1, "domains[0]: text");
	REFUSED(made->domains[0].length, IMAGE_DOMAIN_MAX + 1, "domains[0]: text");
	REFUSED(made->domains[0].text, UINT32_MAX, "domains[0]: text");
	REFUSED(made->vhosts[1].first_route, 0, "vhosts[1]: order");
	REFUSED(made->vhosts[1].route_count, NROUTES, "vhosts[1]: routes");
	REFUSED(made->routes[0].length, 2, "routes[0]: text");
	REFUSED(made->routes[0].length, UINT32_MAX, "routes[0]: text");
	REFUSED(made->routes[0].kind, ROUTE_PREFIX + 1, "routes[0]: kind");
	REFUSED(made->routes[0].target_count, 0, "routes[0]: targets");
	REFUSED(made->targets[0].upto, 0, "routes[0]: targets");
	cr_expect_eq(image_verify(&image, &e), 0, "%s", e.text);
}
