/* conf/samples: each loads, by itself and by meshd-conf; what it becomes compiles to the same image. */
#include "t/unit/conf/try.h"

#include "common/confrun.h"
#include "common/match.h"
#include "common/program.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void run_meshd_conf(const char *path, const struct image *expected)
{
	char program[PATH_MAX], full[PATH_MAX];
	struct confrun_options o = { .program = program, .file = full, .print_fd = -1 };
	struct image image;
	int image_fd, report;
	struct err e;

	cr_assert_eq(program_find("meshd-conf", program, &e), 0, "%s", e.text);
	snprintf(full, sizeof(full), "%s/%s", TEST_SRCDIR, path);
	cr_assert_eq(confrun(&o, &image_fd, &report, &e), 0, "%s", e.text);
	cr_assert_eq(image_map(image_fd, &image, &e), 0, "%s", e.text);
	cr_assert_eq(image_verify(&image, &e), 0, "%s", e.text);
	cr_assert_arr_eq(image.head->digest, expected->head->digest, 32);
	image_unmap(&image);
	close(image_fd);
	close(report);
}

Test(samples, each_loads_and_expands_to_itself)
{
	DIR *dir = opendir(TEST_SRCDIR "/conf/samples");
	struct dirent *d;
	int count = 0;

	cr_assert_not_null(dir);
	while ((d = readdir(dir)) != NULL) {
		char path[512], *text;
		struct tried t;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "conf/samples/%s", d->d_name);
		text = try_read(path);
		t = try_good(text);
		run_meshd_conf(path, &t.image);
		tried_free(&t);
		free(text);
		count++;
	}
	closedir(dir);
	cr_assert_geq(count, 7);
}

static struct addr address(const char *text)
{
	struct addr a;

	cr_assert_eq(addr_parse(text, &a), 0);
	return a;
}

static const char *listener_for(const struct image *i, const char *destination)
{
	struct addr a = address(destination);
	const struct image_listener *l = match_listener(i, &a);

	return l != NULL ? image_text(i, l->name) : "none";
}

static const struct image_listener *bound_at(const struct image *i, const char *local)
{
	struct addr a = address(local);

	return match_bound(i, &a);
}

static const char *cluster_for(const struct image *i, const struct image_listener *l, const char *to, const char *from)
{
	struct addr destination = address(to), source = address(from);
	const struct image_chain *c = match_chain(i, l, &destination, APPLICATION_ANY, &source);
	const struct image_filter *f = c != NULL ? image_filter(i, c->first_filter) : NULL;

	return f != NULL ? image_text(i, image_cluster(i, image_target(i, image_tcp_proxy(i, f->index)->first_target)->cluster)->name) : "none";
}

Test(samples, the_sidecar_routes)
{
	char *text = try_read("conf/samples/sidecar.conf");
	struct tried t = try_good(text);
	const struct image *i = &t.image;
	const struct image_listener *in = bound_at(i, "0.0.0.0:15006"), *out = bound_at(i, "[::]:15001");

	cr_assert_str_eq(listener_for(i, "203.0.113.10:6379"), "203.0.113.10_6379");
	cr_assert_str_eq(listener_for(i, "[2001:db8::10]:6379"), "2001:db8::10_6379");
	cr_assert_str_eq(listener_for(i, "203.0.113.99:5432"), "0.0.0.0_5432");
	cr_assert_str_eq(listener_for(i, "[2001:db8::99]:5432"), "0.0.0.0_5432");
	cr_assert_str_eq(listener_for(i, "203.0.113.11:6379"), "none");
	cr_assert_str_eq(listener_for(i, "203.0.113.11:15001"), "none", "a virtual listener is never the answer");
	cr_assert_not_null(in);
	cr_assert_not_null(out);
	cr_assert_eq(in->kind, LISTENER_VIRTUAL_INBOUND);
	cr_assert_eq(out->kind, LISTENER_VIRTUAL_OUTBOUND);
	cr_assert_str_eq(cluster_for(i, out, "203.0.113.1:80", "192.0.2.1:1000"), "PassthroughCluster");
	cr_assert_str_eq(cluster_for(i, out, "203.0.113.1:15001", "192.0.2.1:1000"), "BlackHoleCluster");
	cr_assert_str_eq(cluster_for(i, in, "192.0.2.1:5432", "192.0.2.2:1000"), "inbound|5432||");
	cr_assert_str_eq(cluster_for(i, in, "192.0.2.1:81", "192.0.2.2:1000"), "InboundPassthroughCluster");
	cr_assert_str_eq(cluster_for(i, in, "192.0.2.1:15006", "192.0.2.2:1000"), "BlackHoleCluster");
	tried_free(&t);
	free(text);
}

Test(samples, the_gateway_tells_clients_apart)
{
	char *text = try_read("conf/samples/gateway.conf");
	struct tried t = try_good(text);
	const struct image *i = &t.image;
	const struct image_listener *l = bound_at(i, "0.0.0.0:5432");

	cr_assert_not_null(l);
	cr_assert_eq(l->kind, LISTENER_BOUND);
	cr_assert_str_eq(cluster_for(i, l, "203.0.113.80:5432", "192.0.2.9:1000"), "replicas");
	cr_assert_str_eq(cluster_for(i, l, "203.0.113.80:5432", "192.0.3.9:1000"), "primary");
	cr_assert_str_eq(cluster_for(i, l, "[2001:db8::1]:5432", "[2001:db8:2::9]:1000"), "replicas");
	tried_free(&t);
	free(text);
}

Test(samples, registry_only_closes_the_rest)
{
	char *text = try_read("conf/samples/registry-only.conf");
	struct tried t = try_good(text);
	const struct image *i = &t.image;
	const struct image_listener *out = bound_at(i, "0.0.0.0:15001");

	cr_assert_eq(image_settings(i)->outbound_traffic_policy, POLICY_REGISTRY_ONLY);
	cr_assert_str_eq(cluster_for(i, out, "203.0.113.1:80", "192.0.2.1:1000"), "BlackHoleCluster");
	cr_assert_str_eq(listener_for(i, "203.0.113.7:3306"), "203.0.113.7_3306");
	tried_free(&t);
	free(text);
}

Test(samples, one_port_serves_both_directions)
{
	char *text = try_read("conf/samples/one-port.conf");
	struct tried t = try_good(text);
	const struct image *i = &t.image;
	const struct image_intercept *n = &image_settings(i)->intercept;
	const struct image_listener *in = image_listener(i, n->inbound_listener), *out = bound_at(i, "0.0.0.0:8090");

	cr_assert_eq(n->mode, INTERCEPT_NONE);
	cr_assert_eq(out->kind, LISTENER_VIRTUAL_OUTBOUND);
	cr_assert_str_eq(cluster_for(i, in, "203.0.113.40:9080", "192.0.2.2:1000"), "inbound|9080||");
	cr_assert_str_eq(listener_for(i, "203.0.113.41:9080"), "203.0.113.41_9080");
	cr_assert_str_eq(cluster_for(i, in, "203.0.113.40:8090", "192.0.2.2:1000"), "BlackHoleCluster");
	cr_assert_str_eq(cluster_for(i, out, "203.0.113.40:8090", "192.0.2.2:1000"), "BlackHoleCluster");
	tried_free(&t);
	free(text);
}
