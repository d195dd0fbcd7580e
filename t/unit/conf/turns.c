/* conf/turns.c and what leads to it: weights of endpoints, and of a tcp_proxy's clusters. */
#include "t/unit/conf/try.h"

#include "conf/turns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t *lay_out(const uint32_t *weights, uint32_t count, uint32_t *n_r)
{
	struct addr_item *items = calloc(count + 1, sizeof(*items));
	struct list list = { .items = items, .count = count };
	struct vec turns = { 0 };

	for (uint32_t i = 0; i < count; i++)
		items[i].weight = weights[i];
	turns_add(&list, 100, &turns);
	cr_assert_eq(turns.count, turns_count(&list));
	*n_r = (uint32_t)turns.count;
	for (uint32_t i = 0; i < *n_r; i++) {
		uint32_t *t = &((uint32_t *)(void *)turns.items)[i];

		cr_assert(*t >= 100 && *t < 100 + count);
		*t -= 100;
	}
	free(items);
	return (uint32_t *)(void *)turns.items;
}

/* The order, as digits. */
static void expect_order(const char *weights, const char *order)
{
	uint32_t w[16], count = 0, n, *t;
	char text[64];

	for (const char *p = weights; *p != '\0'; p++) {
		if (*p != ' ' && (p == weights || p[-1] == ' '))
			w[count++] = (uint32_t)atoi(p);
	}
	t = lay_out(w, count, &n);
	cr_assert_lt(n, sizeof(text));
	for (uint32_t i = 0; i < n; i++)
		text[i] = (char)('0' + t[i]);
	text[n] = '\0';
	cr_expect_str_eq(text, order, "%s: %s, not %s", weights, text, order);
	free(t);
}

Test(turns, the_order)
{
	expect_order("", "");
	expect_order("1", "0");
	expect_order("1000", "0");
	expect_order("1 1 1 1", "0123");
	expect_order("7 7 7", "012");			/* equal weights are plain round robin */
	expect_order("0 0 0", "012");			/* not given: 1 */
	expect_order("0 2", "101");
	expect_order("2 1", "010");
	expect_order("1 3", "1011");
	expect_order("20 40 60", "210212");
	expect_order("1 1 6", "22201222");
}

static uint32_t count_of(const uint32_t *t, uint32_t n, uint32_t endpoint)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		count += t[i] == endpoint;
	return count;
}

static void assert_spread(const uint32_t *weights, uint32_t count)
{
	uint32_t n, *t = lay_out(weights, count, &n);

	for (uint32_t e = 0; e < count; e++) {
		uint32_t own = count_of(t, n, e), seen = 0;

		cr_assert_gt(own, 0);
		for (uint32_t i = 0; i < n; i++) {
			double due = (double)own * (i + 1) / n;

			seen += t[i] == e;
			cr_assert(seen < due + count && seen + count > due, "%u: %u of %u after %u of %u turns", e, seen, own, i + 1, n);
		}
	}
	free(t);
}

/* At every point of a round, each has had its share but for a turn of each of the others. */
Test(turns, shares_are_exact_and_spread_evenly)
{
	static const uint32_t sets[][4] = {
		{ 1, 2, 3, 4 }, { 1000, 1, 1, 1 }, { 999, 1000, 998, 997 }, { 5, 10, 15, 500 }, { 1, 1000, 500, 1 },
	};

	for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++) {
		uint32_t n, *t = lay_out(sets[s], 4, &n);

		for (uint32_t e = 0; e < 4; e++)		/* own / n = weight / sum, without a rest */
			cr_assert_eq((uint64_t)count_of(t, n, e) * (sets[s][0] + sets[s][1] + sets[s][2] + sets[s][3]),
			    (uint64_t)sets[s][e] * n);
		free(t);
		assert_spread(sets[s], 4);
	}
}

/* Past the limit shares are nearly those of the weights, and nobody is left out. */
Test(turns, too_many_are_scaled_down)
{
	uint32_t *weights = calloc(40000, sizeof(*weights)), n, *t;

	for (uint32_t i = 0; i < 100; i++)
		weights[i] = i == 0 ? 1 : i < 50 ? 1000 : 999;
	t = lay_out(weights, 100, &n);
	cr_assert(n > TURNS_MAX - 100 && n <= TURNS_MAX + 100, "%u", n);
	cr_assert_eq(count_of(t, n, 0), 1);
	for (uint32_t i = 1; i < 100; i++)
		cr_assert(abs((int)count_of(t, n, i) - (int)(TURNS_MAX / 99)) <= 2, "%u: %u", i, count_of(t, n, i));
	free(t);
	assert_spread(weights, 100);
	for (uint32_t i = 0; i < 40000; i++)			/* four for each, where that is more */
		weights[i] = i % 1000 + 1;
	t = lay_out(weights, 40000, &n);
	cr_assert(n > TURNS_MAX && n <= 5 * 40000, "%u", n);
	free(t);
	free(weights);
}

/* ---- the whole way ---- */

#define CLUSTERS "clusters = ( { name = \"a\"; }, { name = \"b\"; }, { name = \"c\"; } );\n"
#define LISTENER(filter) CLUSTERS "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ( { filters = ( {\n" \
	"type = \"tcp_proxy\"; " filter " } ); } ); } );"

Test(turns, weighted_clusters_are_targets)
{
	struct tried t = try_good(LISTENER("weighted_clusters = ( { name = \"c\"; weight = 0; }, { name = \"b\"; weight = 1000000; },"
	    "{ name = \"a\"; weight = 1; }, { name = \"b\"; weight = 2; } );"));
	const struct image *i = &t.image;
	const struct image_tcp_proxy *p = image_tcp_proxy(i, 0);
	static const struct { const char *name; uint32_t upto; } want[] = { { "b", 1000000 }, { "a", 1000001 }, { "b", 1000003 } };

	cr_assert_eq(p->target_count, 3, "who weighs nothing is no target");
	for (uint32_t k = 0; k < 3; k++) {
		const struct image_target *target = image_target(i, p->first_target + k);

		cr_assert_eq(target->upto, want[k].upto);
		cr_assert_str_eq(image_text(i, image_cluster(i, target->cluster)->name), want[k].name);
	}
	cr_assert_str_eq(image_text(i, p->stat_prefix), "c", "the first one's name");
	tried_free(&t);
}

static const struct {
	const char *text, *report;
} wrong[] = {
	{ LISTENER("cluster = \"a\";\nweighted_clusters = ( { name = \"b\"; weight = 1; } );"),
	  "m.conf:4: listeners[0].filter_chains[0].filters[0].weighted_clusters: cannot be with cluster: one of the two says where "
	  "connections go\n" },
	{ LISTENER(""), "m.conf:2: listeners[0].filter_chains[0].filters[0].cluster: is missing, and so is weighted_clusters\n" },
	{ LISTENER("\nweighted_clusters = ( { name = \"a\"; weight = 0; }, { name = \"b\"; weight = 0; } );"),
	  "m.conf:4: listeners[0].filter_chains[0].filters[0].weighted_clusters: all weights are 0: connections would have nowhere to "
	  "go\n" },
	{ LISTENER("weighted_clusters = ( { name = \"a\"; weight = 1; },\n{ name = \"d\"; weight = 0; } );"),
	  "m.conf:4: listeners[0].filter_chains[0].filters[0].weighted_clusters[1].name: there is no cluster \"d\" "
	  "(did you mean \"a\"?)\n" },
	/* one mistake, one line */
	{ LISTENER("weighted_clusters = ( { name = \"a\"; weight = 0; },\n{ name = \"b\"; weight = -1; } );"),
	  "m.conf:4: listeners[0].filter_chains[0].filters[0].weighted_clusters[1].weight: -1 is out of range (0 to 1000000)\n" },
	{ LISTENER("\ncluster = 7;"), "m.conf:4: listeners[0].filter_chains[0].filters[0].cluster: must be a string\n" },
	/* endpoints in both forms */
	{ "clusters = ( { name = \"c\"; endpoints = (\n\"192.0.2.1:1\",\n7 ); } );",
	  "m.conf:3: clusters[0].endpoints[1]: must be \"address:port\" or { address = ...; weight = ...; }\n" },
	{ "clusters = ( { name = \"c\"; endpoints = (\n\"192.0.2.1:1\",\n{ weight = 2; } ); } );",
	  "m.conf:3: clusters[0].endpoints[1].address: is missing\n" },
	{ "clusters = ( { name = \"c\"; endpoints = (\n\"192.0.2.1:1\",\n{ address = \"192.0.2.1:1\"; weight = 2; } ); } );",
	  "m.conf:3: clusters[0].endpoints[1]: 192.0.2.1:1 is in this list twice\n" },
	{ "clusters = ( { name = \"c\"; type = \"original_dst\";\nlb_policy = \"random\"; } );",
	  "m.conf:2: clusters[0].lb_policy: must be \"cluster_provided\" with type \"original_dst\"\n" },
	{ "intercept = { }; services = ( { name = \"s\"; port = 1; protocol = \"tcp\"; endpoints = [ ];\nlb_policy = \"cluster_provided\"; } );",
	  "m.conf:2: services[0].lb_policy: \"cluster_provided\" is not one of \"round_robin\", \"least_request\", \"random\"\n" },
};

Test(turns, each_mistake_has_its_words)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *report = try_wrong(wrong[i].text);

		cr_expect_str_eq(report, wrong[i].report, "%s\n got: %s want: %s", wrong[i].text, report, wrong[i].report);
		free(report);
	}
}

/* try_good() feeds what is printed back, and compares digests. */
Test(turns, weights_survive_printing)
{
	struct tried t = try_good("clusters = ( { name = \"c\"; lb_policy = \"least_request\"; max_connections = 3; endpoints = ("
	    "\"192.0.2.1:1\", { address = \"192.0.2.2:1\"; weight = 3; }, { address = \"[2001:db8::1]:1\"; }, \"192.0.2.3:1\","
	    "{ weight = 1000; address = \"192.0.2.4:1\"; } ); } );");
	static const uint32_t want[] = { 1, 3, 1, 1, 1000 };
	const struct image *i = &t.image;

	for (uint32_t k = 0; k < 5; k++)
		cr_assert_eq(image_endpoint(i, k)->weight, want[k]);
	cr_assert_eq(image_cluster(i, 0)->turn_count, 1006);
	cr_assert_eq(image_cluster(i, 0)->max_connections, 3);
	cr_assert_eq(image_cluster(i, 0)->balancer, BALANCER_LEAST_REQUEST);
	cr_assert_not_null(strstr(t.printed, "{ address = \"192.0.2.2:1\"; weight = 3; }"), "%s", t.printed);
	cr_assert_not_null(strstr(t.printed, "\"[2001:db8::1]:1\""), "%s", t.printed);
	tried_free(&t);
}

Test(turns, a_service_passes_on_what_it_has)
{
	struct tried t = try_good("max_connections = 5; orphan_timeout = \"0s\"; intercept = { on_exit = \"Block\"; }; services = ( {"
	    "name = \"s\"; port = 1; protocol = \"tcp\"; lb_policy = \"random\"; max_connections = 7; max_connect_attempts = 4;"
	    "endpoints = ( { address = \"192.0.2.2:1\"; weight = 2; }, \"192.0.2.3:1\" ); } );");
	const struct image *i = &t.image;
	uint32_t found = 0;

	for (uint32_t k = 0; k < image_count(i, SECTION_CLUSTERS); k++) {
		const struct image_cluster *c = image_cluster(i, k);

		if (strcmp(image_text(i, c->name), "outbound|1||s") != 0)
			continue;
		cr_assert(c->balancer == BALANCER_RANDOM && c->max_connections == 7 && c->turn_count == 3);
		found++;
	}
	for (uint32_t k = 0; k < image_count(i, SECTION_TCP_PROXIES); k++)
		found += image_tcp_proxy(i, k)->max_connect_attempts == 4;
	cr_assert_eq(found, 2);
	cr_assert_eq(image_settings(i)->max_connections, 5);
	cr_assert_eq(image_settings(i)->orphan_timeout_ms, 0);
	cr_assert_eq(image_settings(i)->intercept.on_exit, ON_EXIT_BLOCK);
	tried_free(&t);
}

Test(turns, more_than_an_image_has_room_for_are_refused)
{
	char *text = malloc(2 << 20), *end = text, *report;

	end += sprintf(end, "clusters = (\n");
	for (int i = 0; i < 9000; i++)
		end += sprintf(end, "{ name = \"%d\"; endpoints = ( { address = \"192.0.2.1:1\"; weight = 1000; },"
		    "{ address = \"192.0.2.2:1\"; weight = 999; } ); }%s\n", i, i < 8999 ? "," : "");
	sprintf(end, ");\n");
	report = try_wrong(text);
	cr_assert_str_eq(report, "m.conf: the weights of all endpoints need 17991000 turns, at most 16777216 can be: smaller weights, "
	    "or equal ones, need fewer\n");
	free(report);
	free(text);
}

/* The canonical form of a match is what an unnamed chain is called by, not its name. */
Test(turns, an_unnamed_chain_has_no_name)
{
	struct tried t = try_good(CLUSTERS "listeners = ( { name = \"l\"; address = \"192.0.2.1\"; port = 1; filter_chains = ("
	    "{ filter_chain_match = { destination_port = 2; }; filters = ( { type = \"tcp_proxy\"; cluster = \"a\"; } ); },"
	    "{ name = \"any\"; filters = ( { type = \"tcp_proxy\"; cluster = \"a\"; } ); } ); } );");
	const struct image *i = &t.image;

	cr_assert_eq(image_chain(i, 0)->name, 0);
	cr_assert_str_eq(image_text(i, image_name(i, image_chain(i, 0)->name_index)->name), "l/port=2");
	cr_assert_str_eq(image_text(i, image_chain(i, 1)->name), "any");
	cr_assert_str_eq(image_text(i, image_name(i, image_chain(i, 1)->name_index)->name), "l/any");
	tried_free(&t);
}
