/* ctl/name.h: Istio's names of clusters, and names that are none. */
#include "ctl/name.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

struct name_case {
	char name[80];
	bool parses;
	char direction[16];
	int port;
	char subset[16];
	char fqdn[80];
};

ParameterizedTestParameters(name, split)
{
	static struct name_case cases[] = {
		{ "outbound|9080|v1|host", true, "outbound", 9080, "v1", "host" },
		{ "outbound|9080||reviews.default.svc.cluster.local", true, "outbound", 9080, "", "reviews.default.svc.cluster.local" },
		{ "inbound|9080||", true, "inbound", 9080, "", "" },
		{ "inbound|9080|http|productpage", true, "inbound", 9080, "http", "productpage" },
		{ "outbound|65535||h", true, "outbound", 65535, "", "h" },
		{ "PassthroughCluster", false, "", 0, "", "PassthroughCluster" },
		{ "", false, "", 0, "", "" },
		{ "outbound|9080|v1", false, "", 0, "", "outbound|9080|v1" },
		{ "outbound|9080|v1|host|more", false, "", 0, "", "outbound|9080|v1|host|more" },
		{ "sideways|9080|v1|host", false, "", 0, "", "sideways|9080|v1|host" },
		{ "outbound|65536|v1|host", false, "", 0, "", "outbound|65536|v1|host" },
		{ "outbound|90x|v1|host", false, "", 0, "", "outbound|90x|v1|host" },
		{ "outbound|-1|v1|host", false, "", 0, "", "outbound|-1|v1|host" },
		{ "outbound|123456|v1|host", false, "", 0, "", "outbound|123456|v1|host" },
		{ "|||", false, "", 0, "", "|||" },
		{ "outbound_.9080_.v1_.host", false, "", 0, "", "outbound_.9080_.v1_.host" },
	};

	return cr_make_param_array(struct name_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct name_case *c, name, split)
{
	struct cluster_name n;

	cr_expect_eq(cluster_name_split(c->name, &n), c->parses, "%s", c->name);
	cr_expect_str_eq(n.direction, c->direction);
	cr_expect_eq(n.port, c->port, "%s: %d", c->name, n.port);
	cr_expect_str_eq(n.subset, c->subset);
	cr_expect_str_eq(n.fqdn, c->fqdn);
}

Test(name, the_order_is_istioctls)
{
	static const char *const sorted[] = {
		"inbound|80||", "PassthroughCluster", "outbound|80||a", "inbound|81||a", "outbound|81||a", "outbound|80|v1|a", "outbound|1||b",
	};

	for (size_t i = 1; i < sizeof(sorted) / sizeof(sorted[0]); i++) {
		struct cluster_name a, b;

		cluster_name_split(sorted[i - 1], &a);
		cluster_name_split(sorted[i], &b);
		cr_expect_lt(cluster_name_compare(&a, &b), 0, "%s before %s", sorted[i - 1], sorted[i]);
	}
}
