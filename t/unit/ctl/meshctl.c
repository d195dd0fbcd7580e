/* meshctl against a real meshd-agent: what it prints, what it returns. */
#include "common/program.h"
#include "common/wire.h"
#include "t/unit/agent/fixture.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fixture f;

static void begin(void)
{
	fixture_start(&f);
	live_set(&live_row(&f.live, 0, FIXTURE_SLOT(FIX_C_MYSQL))->counter[CLUSTER_C_cx_total], 3);
	live_set(&live_row(&f.live, 1, FIXTURE_SLOT(FIX_C_MYSQL))->counter[CLUSTER_C_cx_total], 4);
}

static void end(void)
{
	fixture_stop(&f);
}

TestSuite(meshctl, .init = begin, .fini = end, .timeout = 60);

/* Its stdout (and stderr, in `all`), malloc'ed. */
static char *run(const char *rundir, const char *arguments, int *status_r)
{
	char program[PATH_MAX], line[PATH_MAX + 512], *text = NULL;
	size_t size = 0, n;
	struct err e;
	FILE *from, *to = open_memstream(&text, &size);

	cr_assert_eq(program_find("meshctl", program, &e), 0, "%s", e.text);
	snprintf(line, sizeof(line), "%s -r %s %s", program, rundir, arguments);
	cr_assert_not_null(from = popen(line, "r"));
	while ((n = fread(line, 1, sizeof(line), from)) > 0)
		fwrite(line, 1, n, to);
	*status_r = WEXITSTATUS(pclose(from));
	fclose(to);
	return text;
}

static void expect(const char *arguments, const char *all)
{
	int status;
	char *text = run(f.folder, arguments, &status);

	cr_expect_eq(status, 0, "%s: exit status %d", arguments, status);
	cr_expect_str_eq(text, all, "%s:\n%s", arguments, text);
	free(text);
}

static void expect_part(const char *arguments, const char *part)
{
	int status;
	char *text = run(f.folder, arguments, &status);

	cr_expect_eq(status, 0, "%s: exit status %d", arguments, status);
	cr_expect_not_null(strstr(text, part), "%s: no \"%s\" in\n%s", arguments, part, text);
	free(text);
}

static void expect_failure(const char *rundir, const char *arguments, int expected, const char *part)
{
	char line[512], *text;
	int status;

	snprintf(line, sizeof(line), "%s 2>&1", arguments);
	text = run(rundir, line, &status);
	cr_expect_eq(status, expected, "%s: exit status %d", arguments, status);
	cr_expect_not_null(strstr(text, part), "%s: no \"%s\" in\n%s", arguments, part, text);
	free(text);
}

Test(meshctl, stats_are_name_and_value)
{
	expect("stats mysql.upstream_cx_total", "cluster.outbound|3306||mysql.upstream_cx_total: 7\n");
	expect("stats --nonzero '^cluster'", "cluster.outbound|3306||mysql.upstream_cx_total: 7\n");
	expect("stats nothing_has_this_name", "");
	expect("stats -o json mysql.upstream_cx_total", "{\n    \"stats\": [\n        {\n            \"name\": "
	    "\"cluster.outbound|3306||mysql.upstream_cx_total\",\n            \"value\": 7\n        }\n    ]\n}\n");
	expect_failure(f.folder, "stats '('", 1, "meshctl: filter: missing closing parenthesis");
}

Test(meshctl, proxy_config_has_istioctls_tables)
{
	expect("pc l",
	    "ADDRESSES    PORT  MATCH                   DESTINATION\n"
	    "198.51.100.9 3306  Source: 198.51.100.0/24 Cluster: outbound|3306||mysql\n"
	    "0.0.0.0,::   15001 ALL                     Clusters: PassthroughCluster (80), outbound|3306||mysql (20)\n"
	    "0.0.0.0,::   15001 Addr: *:15001           BlackHoleCluster\n");
	expect("proxy-config listener --verbose=false --port 15001",
	    "ADDRESSES  PORT  TYPE\n0.0.0.0,:: 15001 TCP\n");
	expect("pc c",
	    "SERVICE FQDN           PORT     SUBSET     DIRECTION     TYPE             DESTINATION RULE\n"
	    "BlackHoleCluster       -        -          -             STATIC\n"
	    "PassthroughCluster     -        -          -             ORIGINAL_DST\n"
	    "mysql                  3306     -          outbound      STATIC\n");
	expect("pc ep --address 127.0.0.1",
	    "ENDPOINT           STATUS      OUTLIER CHECK     CLUSTER\n"
	    "127.0.0.1:3306     HEALTHY     OK                outbound|3306||mysql\n");
}

Test(meshctl, proxy_config_filters)
{
	expect("pc l --address :: --verbose=false", "ADDRESSES  PORT  TYPE\n0.0.0.0,:: 15001 TCP\n");
	expect("pc l --type http", "ADDRESSES PORT MATCH DESTINATION\n");
	expect("pc l --type tcp --port 1", "ADDRESSES PORT MATCH DESTINATION\n");
	expect_part("pc c --fqdn mysq --port 3306 --direction outbound", "mysql");
	expect("pc c --subset v1", "SERVICE FQDN     PORT     SUBSET     DIRECTION     TYPE     DESTINATION RULE\n");
	expect_part("pc ep --cluster 'outbound|3306||mysql' --status healthy --port 3306", "[::1]:3306");
	expect("pc ep --cluster mysql", "ENDPOINT     STATUS     OUTLIER CHECK     CLUSTER\n");
	expect_part("pc ep --address [0:0::1]", "[::1]:3306");
	expect_failure(f.folder, "pc l --port many", 2, "--port many: not a port");
	expect_failure(f.folder, "pc l --type bogus", 2, "--type bogus: TCP, HTTP, HTTP+TCP or UNKNOWN is needed");
	expect_failure(f.folder, "pc l --address nonsense", 2, "--address nonsense: an IP address is needed");
	expect_failure(f.folder, "pc c --direction sideways", 2, "--direction sideways: inbound or outbound is needed");
	expect_failure(f.folder, "pc ep --address 10.0.0", 2, "--address 10.0.0: an IP address is needed");
	expect_failure(f.folder, "pc ep --status bogus", 2,
	    "--status bogus: healthy, unhealthy, draining, timeout or degraded is needed");
}

Test(meshctl, proxy_config_prints_the_raw_objects)
{
	int status;
	char *text = run(f.folder, "pc listener -o json", &status);
	json_t *all = json_loads(text, 0, NULL), *first = json_array_get(all, 0);
	json_t *filter = json_array_get(json_object_get(json_array_get(json_object_get(first, "filterChains"), 0), "filters"), 0);

	cr_assert_eq(json_array_size(all), 2, "%s", text);
	cr_expect_null(json_object_get(first, "@type"));
	cr_expect_str_eq(json_string_value(json_object_get(first, "trafficDirection")), "OUTBOUND");
	cr_expect_str_eq(json_string_value(json_object_get(json_object_get(filter, "typedConfig"), "@type")),
	    "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy");
	cr_expect_str_eq(json_string_value(json_object_get(json_object_get(filter, "typedConfig"), "idleTimeout")), "3600s");
	cr_expect_eq(strncmp(text, "[\n    {\n        \"name\"", 22), 0, "%s", text);
	json_decref(all);
	free(text);
	expect_part("pc c -o yaml", "  loadAssignment:\n    clusterName: outbound|3306||mysql\n    endpoints:\n    - lbEndpoints:\n");
	expect_part("pc ep -o json", "\"hostStatuses\": [");
	expect_part("pc all -o json", "    \"listeners\": [\n");
	expect_part("pc a", "\nNAME                       ADDRESSES    PORT");
	expect_part("pc a", "listener/198.51.100.9_3306 198.51.100.9 3306");
	expect_part("pc a", "endpoint/127.0.0.1:3306     127.0.0.1:3306");
}

Test(meshctl, status_is_in_words)
{
	expect_part("status", "generation 1 (000102030405) of /etc/meshd/meshd.conf, 1m");
	expect_part("status", "interception: rules are in, outbound port 15001, inbound port 15006\n");
	expect_part("status", "WORKER   PID    GENERATION   CONNECTIONS   ACCEPTED   LAG   DEATHS\n"
	    "0        1000   1            0             0          0s    0\n");
	live_set(&f.live.blocks[1].pid, 0);
	live_set(&f.live.blocks[0].counter[WORKER_C_shed_descriptors], 5);
	expect_part("status", "problem: worker 1 is not running\n");
	expect_part("status", "problem: connections shed for want of descriptors: 5\n");
	expect_part("status -o json", "\"problems\": [\n");
	expect_part("status", "shed: 5 for want of descriptors\n");
	expect_part("generations", "1*           000102030405");
	expect_part("version", "meshd ");
}

Test(meshctl, status_says_how_connections_are_spread)
{
	expect_part("status", "shed: nothing\nconnections: 0 open of 5000, spread by hash\n");
	live_set(&f.live.head->spread, 1);
	live_set(&f.live.blocks[0].gauge[WORKER_G_connections], 3);
	live_set(&f.live.blocks[1].gauge[WORKER_G_connections], 1);
	live_set(&live_row(&f.live, 1, FIXTURE_SLOT(FIX_L_OUT))->counter[LISTENER_C_cx_overflow], 4);
	live_set(&live_row(&f.live, 1, FIXTURE_SLOT(FIX_C_MYSQL))->counter[CLUSTER_C_cx_no_port], 2);
	expect_part("status", "shed: 2 for want of a local port, 4 over a listener's limit\n"
	    "connections: 4 open of 5000, spread by bpf, busiest/mean 1.50\n");
	expect_part("status -o json", "\"imbalance\": 1.5\n");
	expect_part("status -o yaml", "  imbalance: 1.5\n");
}

Test(meshctl, status_of_orphans)
{
	fixture_send(&f, WIRE_IMAGE, 2, fixture_image_orphan(100, 3600000));
	close(f.control);
	expect_part("status", "orphaned: the master is gone since 2");
	expect_part("status", " (1h0m more)\n");
}

Test(meshctl, names_are_a_line_each)
{
	expect("names listener", "198.51.100.9_3306\nvirtualOutbound\n");
	expect("names chain", "198.51.100.9_3306/any\nvirtualOutbound/virtualOutbound-blackhole\n"
	    "virtualOutbound/virtualOutbound-catchall-tcp\n");
	expect("names cluster", "BlackHoleCluster\nPassthroughCluster\noutbound|3306||mysql\n");
	expect("names endpoint -o json", "[\n    \"outbound|3306||mysql/127.0.0.1:3306\",\n    \"outbound|3306||mysql/[::1]:3306\"\n]\n");
	expect_failure("/nonexistent", "names cluster", 1, "no meshd at /nonexistent");
}

Test(meshctl, exit_status_and_words_when_it_cannot)
{
	expect_failure("/nonexistent", "status", 1, "meshctl: no meshd at /nonexistent: admin.sock: No such file or directory");
	expect_failure("/nonexistent", "version", 1, "no meshd at /nonexistent");
	expect_failure("/nonexistent", "reload --wait", 1, "no meshd at /nonexistent: control.sock: No such file");
	expect_failure(f.folder, "", 2, "a command is needed");
	expect_failure(f.folder, "pc", 2, "proxy-config: a command is needed");
	expect_failure(f.folder, "sttus", 2, "no command \"sttus\"");
	expect_failure(f.folder, "status now", 2, "meshctl: status: too many operands");
	expect_failure(f.folder, "pc secret", 2, "meshctl: proxy-config: no command \"secret\"");
	expect_failure(f.folder, "pc all --port 1", 2, "meshctl: proxy-config all: unrecognized option '--port'");
	expect_failure(f.folder, "--port 1", 2, "meshctl: unrecognized option '--port'");
	expect_failure(f.folder, "pc all one", 2, "meshctl: proxy-config all: too many operands");
	expect_failure(f.folder, "status -o xml", 2, "-o xml: short, json or yaml is needed");
	expect_failure(f.folder, "reload --timeout 30", 2, "--timeout 30: a time such as 30s is needed");
	expect_part("pc -h", "listener|l");
	expect_part("pc l -h", "usage: meshctl proxy-config listener [FLAGS]\n");
	expect_part("connections -h", "usage: meshctl connections [COMMAND] [FLAGS]\n");
	expect_part("connections kill -h", "usage: meshctl connections kill ID...\n");
	expect_part("-h", "usage: meshctl");
	expect_part("reload --help", "--wait");
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", f.folder, name);
	cr_assert_not_null(to = fopen(path, "w"));
	fputs(text, to);
	fclose(to);
}

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f.folder, name);
	unlink(path);
}

Test(meshctl, check_says_what_the_daemon_would)
{
	char arguments[256], expected[256];

	write_file("good.conf", "node = { id = \"a\"; };\n");
	write_file("bad.conf", "workers = 2;\nworkrs = 2;\n");
	write_file("far.conf", "@include \"/etc/hostname\"\n");
	snprintf(arguments, sizeof(arguments), "check %s/good.conf", f.folder);
	snprintf(expected, sizeof(expected), "%s/good.conf: ok\n", f.folder);
	expect(arguments, expected);
	snprintf(arguments, sizeof(arguments), "check %s/bad.conf", f.folder);
	snprintf(expected, sizeof(expected), "%s/bad.conf:2: workrs: ", f.folder);
	expect_failure(f.folder, arguments, 1, expected);
	snprintf(arguments, sizeof(arguments), "check %s/far.conf", f.folder);
	expect_failure(f.folder, arguments, 1, "far.conf:1: ");
	snprintf(arguments, sizeof(arguments), "check -I /etc -I /usr %s/good.conf -o json", f.folder);
	expect_part(arguments, "\"ok\": true");
	snprintf(arguments, sizeof(arguments), "check -I /nonexistent %s/good.conf", f.folder);
	expect_failure(f.folder, arguments, 1, "meshctl: /nonexistent: No such file or directory");
	snprintf(arguments, sizeof(arguments), "check %s/none.conf", f.folder);
	expect_failure(f.folder, arguments, 1, "none.conf: ");
	expect_failure(f.folder, "check", 2, "an operand is missing");
	remove_file("good.conf");
	remove_file("bad.conf");
	remove_file("far.conf");
}
