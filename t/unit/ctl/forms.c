/* ctl/yaml.h, ctl/json.h: documents in other forms; documents that lack what is looked for. */
#include "ctl/json.h"
#include "ctl/proxyconfig.h"
#include "ctl/yaml.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct form_case {
	char json[160];
	char expected[200];
};

ParameterizedTestParameters(yaml, documents)
{
	static struct form_case cases[] = {
		{ "{}", "{}\n" },
		{ "[]", "[]\n" },
		{ "{\"a\":1,\"b\":true,\"c\":null}", "a: 1\nb: true\nc: null\n" },
		{ "{\"a\":{\"b\":{\"c\":\"x\"}},\"d\":2}", "a:\n  b:\n    c: x\nd: 2\n" },
		{ "[{\"a\":1,\"b\":[1,2]},{\"c\":{}}]", "- a: 1\n  b:\n  - 1\n  - 2\n- c: {}\n" },
		{ "{\"a\":[{\"b\":{\"c\":1}}]}", "a:\n- b:\n    c: 1\n" },
		{ "[[1,2],[]]", "- \n  - 1\n  - 2\n- []\n" },
		{ "{\"@type\":\"x/y.Z\"}", "\"@type\": x/y.Z\n" },
		/* texts that would be read as another thing */
		{ "[\"yes\",\"No\",\"null\",\"5s\",\"1.5\",\"\",\"a b\",\"::\",\"a: b\",\"-\"]",
		  "- \"yes\"\n- \"No\"\n- \"null\"\n- \"5s\"\n- \"1.5\"\n- \"\"\n- \"a b\"\n- \"::\"\n- \"a: b\"\n- \"-\"\n" },
		{ "[\"line\\nbreak\",\"\\u00e9\",\"#x\"]", "- \"line\\nbreak\"\n- \"\303\251\"\n- \"#x\"\n" },
		{ "[\"outbound|80||h\",\"/etc/x\"]", "- outbound|80||h\n- /etc/x\n" },
	};

	return cr_make_param_array(struct form_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct form_case *c, yaml, documents)
{
	json_t *j = json_loads(c->json, 0, NULL);
	char *printed = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&printed, &size);

	cr_assert_not_null(j, "%s", c->json);
	yaml_print(j, to);
	fclose(to);
	cr_expect_str_eq(printed, c->expected, "%s", printed);
	free(printed);
	json_decref(j);
}

Test(json, keys_become_camel_case)
{
	json_t *j = json_loads("{\"@type\":\"a_b\",\"socket_address\":[{\"port_value\":1}],\"x\":{\"ip_v4_\":2},\"_a\":3}", 0, NULL);
	json_t *expected = json_loads("{\"@type\":\"a_b\",\"socketAddress\":[{\"portValue\":1}],\"x\":{\"ipV4_\":2},\"_a\":3}", 0, NULL);
	json_t *camel = json_camel(j);
	char *text = json_dumps(camel, 0);

	cr_expect(json_equal(camel, expected), "%s", text);
	free(text);
	json_decref(j);
	json_decref(expected);
	json_decref(camel);
}

/* What is not as it should be is shown as far as it goes. */
ParameterizedTestParameters(json, odd)
{
	static struct form_case cases[] = {
		{ "null", "" }, { "[]", "" }, { "{\"configs\":5}", "" }, { "{\"configs\":[1,\"x\",{\"@type\":7}]}", "" },
		{ "{\"configs\":[{\"@type\":\".ListenersConfigDump\",\"dynamic_listeners\":[5,{\"active_state\":{\"listener\":7}}]}]}", "" },
		{ "{\"configs\":[{\"@type\":\".ListenersConfigDump\",\"dynamic_listeners\":[{\"active_state\":{\"listener\":{}}}]}]}", "" },
		{ "{\"configs\":[{\"@type\":\".ClustersConfigDump\",\"static_clusters\":[{\"cluster\":{\"name\":7}},{}]}]}", "" },
		{ "{\"configs\":[{\"@type\":\".RoutesConfigDump\",\"static_route_configs\":[5,{\"route_config\":{\"virtual_hosts\":[7,{}]}}]}]}", "" },
		{ "{\"cluster_statuses\":[5,{\"host_statuses\":[5,{\"address\":[]}]}]}", "" },
	};

	return cr_make_param_array(struct form_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct form_case *c, json, odd)
{
	static const char *const forms[] = { "short", "json", "yaml" };
	const struct listener_filter lf = { .verbose = true };
	const struct cluster_filter cf = { 0 };
	const struct route_filter rf = { .verbose = true };
	const struct endpoint_filter ef = { 0 };
	json_t *j = json_loads(c->json, JSON_DECODE_ANY, NULL);

	cr_assert_not_null(j, "%s", c->json);
	for (unsigned i = 0; i < 3; i++) {
		char *printed = NULL;
		size_t size = 0;
		FILE *to = open_memstream(&printed, &size);
		struct output *o = output_open(forms[i], to);

		show_listeners(o, j, &lf, "listeners", true);
		show_clusters(o, j, &cf, "clusters", true);
		show_routes(o, j, &rf, "routes", true);
		show_endpoints(o, j, &ef, "endpoints", true);
		cr_expect_eq(output_close(&o), 0);
		fclose(to);
		cr_expect_not_null(strstr(printed, i == 0 ? "NAME" : "listeners"), "%s: %s", c->json, printed);
		free(printed);
	}
	json_decref(j);
}
