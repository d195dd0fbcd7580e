/* A mesh made by hand: see fixture.h. */
#include "t/unit/agent/fixture.h"

#include "common/heritage.h"
#include "common/match.h"
#include "common/program.h"
#include "common/wire.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the image: sections one after the other ---- */

struct build {
	char bytes[16384];
	size_t used;
	struct image_head *head;
	char text[1024];
	uint32_t text_used;
};

static uint32_t put_text(struct build *b, const char *text)
{
	uint32_t at = b->text_used;

	memcpy(b->text + at, text, strlen(text) + 1);
	b->text_used += (uint32_t)strlen(text) + 1;
	return at;
}

static void put(struct build *b, enum image_section s, const void *records, uint32_t count)
{
	b->used = (b->used + 7) & ~(size_t)7;
	b->head->sections[s] = (struct image_span){ (uint32_t)(b->used / 8), count };
	memcpy(b->bytes + b->used, records, count * image_record_size(s));
	b->used += count * image_record_size(s);
}

static struct addr address(const char *text)
{
	struct addr a;

	cr_assert_eq(addr_parse(text, &a), 0, "%s", text);
	return a;
}

static void put_listeners(struct build *b)
{
	const struct image_listener listeners[] = {
		{ .name = put_text(b, "198.51.100.9_3306"), .name_index = FIX_L_MYSQL, .bind_count = 1, .match_count = 1,
		  .chain_count = 1, .kind = LISTENER_REAL, .direction = DIRECTION_OUTBOUND, .backlog = 1024,
		  .buffer_limit_bytes = 1048576 },
		{ .name = put_text(b, "virtualOutbound"), .name_index = FIX_L_OUT, .first_bind = 1, .bind_count = 2,
		  .first_match = 1, .match_count = 2, .first_chain = 1, .chain_count = 2, .kind = LISTENER_VIRTUAL_OUTBOUND,
		  .direction = DIRECTION_OUTBOUND, .backlog = 1024, .buffer_limit_bytes = 1048576, .max_connections = 1000 },
	};
	const struct image_bind binds[] = {
		{ .addr = address("198.51.100.9:3306") },
		{ .addr = address("0.0.0.0:15001"), .listener = 1 }, { .addr = address("[::]:15001"), .listener = 1 },
	};
	uint32_t lookup[16], size = match_lookup_size(3);

	cr_assert_leq(size, 16);
	memset(lookup, 0xff, sizeof(lookup));
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t at = addr_hash(&binds[i].addr) & (size - 1);

		while (lookup[at] != IMAGE_NONE)
			at = (at + 1) & (size - 1);
		lookup[at] = i;
	}
	put(b, SECTION_LISTENERS, listeners, 2);
	put(b, SECTION_LOOKUP, lookup, size);
	put(b, SECTION_BINDS, binds, 3);
}

static void put_chains(struct build *b)
{
	struct image_match matches[] = {
		{ .chain = 0 }, { .port = 15001, .chain = 1 }, { .chain = 2 },
	};
	const struct image_chain chains[] = {
		{ .name_index = FIX_H_MYSQL, .filter_count = 1 },
		{ .name = put_text(b, "virtualOutbound-blackhole"), .name_index = FIX_H_HOLE, .first_filter = 1, .filter_count = 1 },
		{ .name = put_text(b, "virtualOutbound-catchall-tcp"), .name_index = FIX_H_PASS, .first_filter = 2, .filter_count = 1 },
	};
	const struct image_filter filters[] = { { 0, 0 }, { 0, 1 }, { 0, 2 } };
	const struct image_target targets[] = { { 2, 1 }, { 0, 1 }, { 1, 80 }, { 2, 100 } };
	const struct image_tcp_proxy proxies[] = {
		{ .first_target = 0, .target_count = 1, .max_connect_attempts = 1, .stat_prefix = put_text(b, "outbound|3306||mysql"),
		  .idle_timeout_ms = 3600000 },
		{ .first_target = 1, .target_count = 1, .max_connect_attempts = 1, .stat_prefix = put_text(b, "both"),
		  .idle_timeout_ms = 1500 },
		{ .first_target = 2, .target_count = 2, .max_connect_attempts = 3, .stat_prefix = put_text(b, "both"),
		  .max_duration_ms = 90000 },
	};

	cr_assert_eq(prefix_parse("198.51.100.0/24", &matches[0].source), 0);
	put(b, SECTION_MATCHES, matches, 3);
	put(b, SECTION_CHAINS, chains, 3);
	put(b, SECTION_FILTERS, filters, 3);
	put(b, SECTION_TCP_PROXIES, proxies, 3);
	put(b, SECTION_HTTP_FILTERS, "", 0);
	put(b, SECTION_ROUTE_CONFIGS, "", 0);
	put(b, SECTION_DOMAINS, "", 0);
	put(b, SECTION_VHOSTS, "", 0);
	put(b, SECTION_ROUTES, "", 0);
	put(b, SECTION_TARGETS, targets, 4);
}

/* What settings.intercept names: ports 0 and 1, prefix 0, words 0 and 1. */
static void put_interception(struct build *b)
{
	const struct image_port_range ports[] = { { 22, 22 }, { 8000, 8010 } };
	const uint32_t words[] = { put_text(b, "eth1"), put_text(b, "1000-1999") };
	struct prefix prefix;

	cr_assert_eq(prefix_parse("192.0.2.0/24", &prefix), 0);
	put(b, SECTION_PORTS, ports, 2);
	put(b, SECTION_PREFIXES, &prefix, 1);
	put(b, SECTION_WORDS, words, 2);
}

static void put_clusters(struct build *b)
{
	const struct image_cluster clusters[] = {
		{ .name = put_text(b, "BlackHoleCluster"), .name_index = FIX_C_HOLE, .connect_timeout_ms = 5000 },
		{ .name = put_text(b, "PassthroughCluster"), .name_index = FIX_C_PASS, .connect_timeout_ms = 5000,
		  .type = CLUSTER_ORIGINAL_DST, .balancer = BALANCER_CLUSTER_PROVIDED, .direction = DIRECTION_OUTBOUND },
		{ .name = put_text(b, "outbound|3306||mysql"), .name_index = FIX_C_MYSQL, .endpoint_count = 2, .turn_count = 4,
		  .balancer = BALANCER_LEAST_REQUEST, .max_connections = 50, .connect_timeout_ms = 250,
		  .direction = DIRECTION_OUTBOUND, .keepalive = 1, .keepalive_time_s = 60 },
	};
	const uint32_t turns[] = { 0, 0, 1, 0 };
	const struct image_endpoint endpoints[] = {
		{ .addr = address("127.0.0.1:3306"), .name_index = FIX_E_V4, .weight = 3 },
		{ .addr = address("[::1]:3306"), .name_index = FIX_E_V6, .weight = 1 },
	};

	put(b, SECTION_CLUSTERS, clusters, 3);
	put(b, SECTION_ENDPOINTS, endpoints, 2);
	put(b, SECTION_TURNS, turns, 4);
	put_interception(b);
	put(b, SECTION_ADDRESSES, "", 0);
}

static void put_names(struct build *b)
{
	const struct image_name names[FIX_NAMES] = {
		[FIX_L_MYSQL] = { NAME_LISTENER, put_text(b, "198.51.100.9_3306") },
		[FIX_L_OUT] = { NAME_LISTENER, put_text(b, "virtualOutbound") },
		[FIX_H_MYSQL] = { NAME_CHAIN, put_text(b, "198.51.100.9_3306/any") },
		[FIX_H_HOLE] = { NAME_CHAIN, put_text(b, "virtualOutbound/virtualOutbound-blackhole") },
		[FIX_H_PASS] = { NAME_CHAIN, put_text(b, "virtualOutbound/virtualOutbound-catchall-tcp") },
		[FIX_C_HOLE] = { NAME_CLUSTER, put_text(b, "BlackHoleCluster") },
		[FIX_C_PASS] = { NAME_CLUSTER, put_text(b, "PassthroughCluster") },
		[FIX_C_MYSQL] = { NAME_CLUSTER, put_text(b, "outbound|3306||mysql") },
		[FIX_E_V4] = { NAME_ENDPOINT, put_text(b, "outbound|3306||mysql/127.0.0.1:3306") },
		[FIX_E_V6] = { NAME_ENDPOINT, put_text(b, "outbound|3306||mysql/[::1]:3306") },
	};
	const struct image_where where = { 0, 1 };
	uint32_t slots[FIX_NAMES];

	for (uint32_t i = 0; i < FIX_NAMES; i++)
		slots[i] = FIXTURE_SLOT(i);
	put(b, SECTION_NAMES, names, FIX_NAMES);
	put(b, SECTION_TEXT, b->text, b->text_used);
	put(b, SECTION_SLOTS, slots, FIX_NAMES);
	put(b, SECTION_WHERE, &where, 1);
	put(b, SECTION_WHERE_TEXT, "test.conf", 10);
}

int fixture_image(unsigned drain_time_ms)
{
	return fixture_image_orphan(drain_time_ms, 0);
}

int fixture_image_orphan(unsigned drain_time_ms, unsigned orphan_timeout_ms)
{
	struct build *b = calloc(1, sizeof(*b));
	int fd = memfd_create("image", MFD_CLOEXEC);

	b->head = (struct image_head *)(void *)b->bytes;
	b->used = sizeof(*b->head);
	put_text(b, "");
	b->head->settings = (struct image_settings){
		.node_id = put_text(b, "node-1"), .user = put_text(b, "nobody"), .agent_user = put_text(b, "nobody"),
		.drain_time_ms = drain_time_ms, .orphan_timeout_ms = orphan_timeout_ms, .max_connections = 5000,
		.intercept = { .configured = 1, .mode = INTERCEPT_REDIRECT, .outbound_port = 15001, .outbound_last = 15001,
		    .inbound_port = 15006, .inbound_listener = IMAGE_NONE, .inbound_sources = 1, .every_inbound_port = 1,
		    .every_outbound_range = 1, .every_user = 1, .every_group = 1, .exclude_outbound = { 0, 2 },
		    .exclude_ranges = { 0, 1 }, .exclude_interfaces = { 0, 1 }, .exclude_users = { 1, 1 } },
	};
	put_listeners(b);
	put_chains(b);
	put_clusters(b);
	put_names(b);
	b->used = (b->used + 7) & ~(size_t)7;
	b->head->magic = IMAGE_MAGIC;
	b->head->layout = IMAGE_LAYOUT;
	b->head->size_bytes = (uint32_t)b->used;
	cr_assert_eq(write(fd, b->bytes, b->used), (ssize_t)b->used);
	free(b);
	return fd;
}

void fixture_live(struct live *l, int *fd_r)
{
	struct live_generation *g;
	struct timespec ts;
	struct err e;
	uint64_t now;

	cr_assert_eq(live_create(2, l, fd_r, &e), 0, "%s", e.text);
	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000u;
	g = &l->head->generations[3];
	live_set(&g->number, 1);
	live_set(&g->born_ns, now - 60 * 1000000000ull);
	live_set(&g->digest[0], 0x0706050403020100u);
	strcpy(g->source, "/etc/meshd/meshd.conf");
	live_set(&l->head->newest, 1);
	live_set(&l->head->born_ns, now - 3661 * 1000000000ull);
	live_set(&l->head->reloads_ok, 1);
	live_set(&l->head->intercepting, 1);
	for (uint32_t w = 0; w < 2; w++) {
		live_set(&l->blocks[w].pid, 1000 + w);
		live_set(&l->blocks[w].adopted, 1);
		live_set(&l->blocks[w].held, 1u << 3);
	}
}

/* ---- the agent ---- */

static int listen_in(const char *folder)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/admin.sock", folder);
	cr_assert_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

static void wait_adopted(struct fixture *f)
{
	struct pollfd p = { .fd = f->control, .events = POLLIN };
	struct wire m;

	cr_assert_eq(poll(&p, 1, 10000), 1, "no answer from the agent");
	cr_assert_eq(wire_receive(f->control, &m, NULL), 1);
	cr_assert_eq(m.type, WIRE_ADOPTED, "%s", m.text);
}

void fixture_send(struct fixture *f, unsigned type, uint64_t number, int fd)
{
	struct wire m = { .type = type, .number = number };

	cr_assert_eq(wire_send(f->control, &m, fd), 0);
	if (fd != -1)
		close(fd);
	if (type == WIRE_IMAGE)
		wait_adopted(f);
}

void fixture_start(struct fixture *f)
{
	char program[PATH_MAX], log[128];
	int pair[2], pipes[2][2], listener, writer;
	struct err e;

	strcpy(f->folder, "/tmp/meshd-test-XXXXXX");
	cr_assert_not_null(mkdtemp(f->folder));
	fixture_live(&f->live, &f->live_fd);
	listener = listen_in(f->folder);
	cr_assert_eq(wire_pair(pair, &e), 0);
	cr_assert_eq(pipe2(pipes[0], O_CLOEXEC), 0);
	cr_assert_eq(pipe2(pipes[1], O_CLOEXEC), 0);
	snprintf(log, sizeof(log), "%s/access.log", f->folder);
	writer = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	f->logfile = open(log, O_RDONLY | O_CLOEXEC);

	const struct heritage_gift gifts[] = {
		{ HERITAGE_CONTROL, pair[1] }, { HERITAGE_LIVE, f->live_fd }, { HERITAGE_LOG, pipes[0][0] },
		{ HERITAGE_LOG, pipes[1][0] }, { HERITAGE_ADMIN, listener }, { HERITAGE_LOGFILE, writer },
	};
	char *argv[] = { strdup("meshd-agent"), NULL };
	const struct heritage_spawn s = { program, argv, gifts, 6, NULL, NULL };

	cr_assert_eq(program_find("meshd-agent", program, &e), 0, "%s", e.text);
	cr_assert_eq(heritage_spawn(&s, &f->agent, &f->pidfd, &e), 0, "%s", e.text);
	free(argv[0]);
	for (unsigned i = 0; i < 6; i++) {
		if (gifts[i].fd != f->live_fd)
			close(gifts[i].fd);
	}
	f->control = pair[0];
	f->pipes[0] = pipes[0][1];
	f->pipes[1] = pipes[1][1];
	fixture_send(f, WIRE_IMAGE, 1, fixture_image(100));
}

int fixture_get(const struct fixture *f, const char *method, const char *target, char **body_r)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
	char request[1024], *answer = NULL, *body;
	size_t size = 0;
	FILE *all = open_memstream(&answer, &size);
	ssize_t n;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/admin.sock", f->folder);
	cr_assert_eq(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	n = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, target);
	cr_assert_eq(write(fd, request, (size_t)n), n);
	while ((n = read(fd, request, sizeof(request))) > 0)
		fwrite(request, 1, (size_t)n, all);
	fclose(all);
	close(fd);
	cr_assert_eq(sscanf(answer, "HTTP/1.1 %d", &status), 1, "%s", answer);
	body = strstr(answer, "\r\n\r\n");
	cr_assert_not_null(body);
	if (body_r != NULL)
		*body_r = strdup(body + 4);
	free(answer);
	return status;
}

int fixture_wait(struct fixture *f)
{
	struct pollfd p = { .fd = f->pidfd, .events = POLLIN };
	int status = -1;

	if (f->agent == 0)
		return -1;
	if (poll(&p, 1, 5000) != 1)
		return -1;
	waitpid(f->agent, &status, 0);
	f->agent = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void fixture_stop(struct fixture *f)
{
	static const char *const files[] = { "admin.sock", "access.log" };
	char path[128];

	if (f->agent != 0) {
		kill(f->agent, SIGKILL);
		waitpid(f->agent, NULL, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, files[i]);
		unlink(path);
	}
	rmdir(f->folder);
	live_unmap(&f->live);
}
