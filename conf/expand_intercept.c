/* The virtual listeners, what inbound = ( ) puts into them, and the clusters of both: see expansion.h. */
#include "conf/expansion.h"

#include "conf/expand.h"
#include "conf/keys.h"
#include "conf/plain_http.h"

#define BLACK_HOLE	"BlackHoleCluster"
#define PASSTHROUGH	"PassthroughCluster"
#define INBOUND_PASS	"InboundPassthroughCluster"

/* Defaults of one mode only, and of ports where one does not serve both directions. */
static void complete(struct intercept *i)
{
	if (i->port == 0 && i->outbound_port.first == 0)
		i->outbound_port = one_port(15001);
	if (i->port == 0 && i->inbound_port == 0)
		i->inbound_port = 15006;
	if (i->mode == INTERCEPT_TPROXY && i->tproxy_mark == 0)
		i->tproxy_mark = 1337;
	if (i->mode == INTERCEPT_TPROXY && i->tproxy_table == 0)
		i->tproxy_table = 133;
}

/* What the file has under a name of ours is taken, if it can do the work. */
static bool has_listener(struct expansion *x, const char *name, struct image_port_range port, uint64_t direction)
{
	struct listener *l = expand_own(&x->listeners, x->own_listeners, name);
	bool binds = direction == DIRECTION_OUTBOUND || x->config->intercept->port == 0;
	const char *ports = arena_printf(x->arena, port.first == port.last ? "%u" : "\"%u-%u\"", port.first, port.last);

	if (l == NULL)
		return false;
	if (!l->origin.flawed && (!l->use_original_dst || l->direction != direction || l->port.first != port.first ||
	    l->port.last != port.last || l->bind_to_port != binds))
		report_key(x->report, &l->origin, NULL, IMAGE_NONE, l->origin.line, "the listener \"%s\" that intercept needs "
		    "must have use_original_dst = true, traffic_direction = \"%s\", port = %s%s", name,
		    direction == DIRECTION_INBOUND ? "inbound" : "outbound", ports, binds ? "" : ", bind_to_port = false");
	return true;
}

static void want_cluster(struct expansion *x, const char *name, uint64_t type, uint64_t direction)
{
	struct cluster *c = expand_own(&x->clusters, x->own_clusters, name);

	if (c == NULL) {
		expand_cluster(x, &x->config->intercept->origin, name, type, direction);
		return;
	}
	if (!c->origin.flawed && (c->type != type || c->endpoints.count != 0 ||
	    (type == CLUSTER_ORIGINAL_DST && c->direction != direction)))
		report_key(x->report, &c->origin, NULL, IMAGE_NONE, c->origin.line, "the cluster \"%s\" that intercept needs "
		    "must have type = \"%s\"%s", name, type == CLUSTER_STATIC ? "static" : "original_dst",
		    type == CLUSTER_STATIC ? " and no endpoints" : direction == DIRECTION_INBOUND ?
		    " and traffic_direction = \"inbound\"" : " and traffic_direction = \"outbound\"");
}

static void make_outbound(struct expansion *x)
{
	const struct intercept *i = x->config->intercept;
	const char *rest = x->config->policy == POLICY_ALLOW_ANY ? PASSTHROUGH : BLACK_HOLE;
	struct image_port_range port = intercept_outbound(i);
	struct listener *l;

	if (has_listener(x, EXPAND_OUTBOUND, port, DIRECTION_OUTBOUND))
		return;
	l = expand_listener(x, &i->origin, EXPAND_OUTBOUND, port, DIRECTION_OUTBOUND, 2);
	l->use_original_dst = true;
	expand_any_address(x, l);
	expand_chain(x, LIST_AT(l->chains, struct chain, 0), &i->origin, EXPAND_OUTBOUND "-blackhole", port, BLACK_HOLE,
	    IDLE_DEFAULT);
	expand_chain(x, LIST_AT(l->chains, struct chain, 1), &i->origin, EXPAND_OUTBOUND "-catchall-tcp", ANY_PORT, rest,
	    IDLE_DEFAULT);
}

static const char *inbound_cluster(struct expansion *x, const struct inbound *in)
{
	return arena_printf(x->arena, "inbound|%llu||", (unsigned long long)in->port);
}

/*
 * An application that is to see the client's address is reached in the client's family (worker/source.h): one of each, and
 * each is tried.  Not at the address that the client went to: our connection would look like another one of the client's,
 * from a port that it may use itself.
 */
static bool has_two_endpoints(const struct expansion *x, const struct inbound *in)
{
	return x->config->intercept->mode == INTERCEPT_TPROXY && in->endpoint.addr.family == 0;
}

/* One chain, or one for each of what it may speak.  Returns how many. */
static uint32_t fill_inbound(struct expansion *x, struct chain *chains, const struct inbound *in)
{
	const char *cluster = inbound_cluster(x, in);
	struct plain_http http = plain_http_inbound(in, cluster, x->arena);
	uint32_t n = 0;

	if (in->protocol != PROTOCOL_HTTP)
		expand_chain(x, &chains[n++], &in->origin, arena_printf(x->arena, "0.0.0.0_%llu", (unsigned long long)in->port),
		    one_port(in->port), cluster, in->idle_timeout_ms);
	if (in->protocol != PROTOCOL_TCP)
		plain_http_chain(&chains[n++], &http, &in->origin, x->arena);
	if (has_two_endpoints(x, in))
		expand_attempts((struct list){ .items = chains, .count = n }, 2);
	return n;
}

static void make_inbound(struct expansion *x)
{
	const struct intercept *i = x->config->intercept;
	const struct list *inbound = &x->config->inbound;
	struct image_port_range port = intercept_inbound(i);
	struct listener *l;
	struct plain_http rest = plain_http_passthrough(INBOUND_PASS);
	uint32_t n = 3;

	if (has_listener(x, EXPAND_INBOUND, port, DIRECTION_INBOUND)) {
		if (inbound->count > 0)
			report_key(x->report, &x->config->origin, "inbound", IMAGE_NONE, key_line(&x->config->origin, "inbound"),
			    "cannot be with a listener \"" EXPAND_INBOUND "\" in the file: its chains are written there");
		return;
	}
	l = expand_listener(x, &i->origin, EXPAND_INBOUND, port, DIRECTION_INBOUND, inbound->count * 2 + n);
	l->use_original_dst = true;
	l->bind_to_port = i->port == 0;			/* the outbound one does it for both */
	expand_any_address(x, l);
	expand_chain(x, LIST_AT(l->chains, struct chain, 0), &i->origin, EXPAND_INBOUND "-blackhole", port, BLACK_HOLE,
	    IDLE_DEFAULT);
	expand_chain(x, LIST_AT(l->chains, struct chain, 1), &i->origin, EXPAND_INBOUND, ANY_PORT, INBOUND_PASS, IDLE_DEFAULT);
	plain_http_chain(LIST_AT(l->chains, struct chain, 2), &rest, &i->origin, x->arena);
	for (uint32_t k = 0; k < inbound->count; k++) {
		const struct inbound *in = LIST_AT(*inbound, struct inbound, k);

		if (!in->origin.flawed)
			n += fill_inbound(x, LIST_AT(l->chains, struct chain, n), in);
	}
	l->chains.count = n;
}

static void add_loopback(struct expansion *x, struct cluster *c, const struct inbound *in, const char *ip)
{
	struct addr a;

	addr_parse_ip(ip, &a);
	a.port = (uint16_t)in->port;
	expand_address(&c->endpoints, x->arena, &a, key_line(&in->origin, "endpoint"));
}

static void make_inbound_clusters(struct expansion *x)
{
	for (uint32_t k = 0; k < x->config->inbound.count; k++) {
		const struct inbound *in = LIST_AT(x->config->inbound, struct inbound, k);
		struct cluster *c;

		if (in->origin.flawed)
			continue;
		c = expand_cluster(x, &in->origin, inbound_cluster(x, in), CLUSTER_STATIC, DIRECTION_INBOUND);
		c->connect_timeout_ms = in->connect_timeout_ms;
		if (in->endpoint.addr.family != 0) {
			expand_address(&c->endpoints, x->arena, &in->endpoint.addr, key_line(&in->origin, "endpoint"));
			continue;
		}
		add_loopback(x, c, in, "127.0.0.1");
		if (has_two_endpoints(x, in))
			add_loopback(x, c, in, "::1");
	}
}

/* Two of one port would make two of everything; once says it. */
static void check_inbound_ports(struct expansion *x)
{
	const struct origin **of_port = arena_alloc(x->arena, 65536, sizeof(*of_port));
	const struct intercept *i = x->config->intercept;
	const char *own_key = i->port != 0 ? "port" : "inbound_port";

	for (uint32_t k = 0; k < x->config->inbound.count; k++) {
		struct inbound *in = LIST_AT(x->config->inbound, struct inbound, k);

		if (in->origin.flawed)
			continue;
		if (of_port[in->port] == NULL && in->port != intercept_inbound(i).first) {
			of_port[in->port] = &in->origin;
			continue;
		}
		in->origin.flawed = true;
		report_key(x->report, &in->origin, "port", IMAGE_NONE, key_line(&in->origin, "port"),
		    "%llu is already the %s of %s", (unsigned long long)in->port, of_port[in->port] != NULL ? "port" : own_key,
		    report_place(x->report, of_port[in->port] != NULL ? of_port[in->port] : &i->origin));
	}
}

void expand_intercept(struct expansion *x)
{
	complete(x->config->intercept);
	want_cluster(x, BLACK_HOLE, CLUSTER_STATIC, DIRECTION_NONE);
	want_cluster(x, PASSTHROUGH, CLUSTER_ORIGINAL_DST, DIRECTION_OUTBOUND);
	want_cluster(x, INBOUND_PASS, CLUSTER_ORIGINAL_DST, DIRECTION_INBOUND);
	check_inbound_ports(x);
	make_outbound(x);
	make_inbound(x);
	make_inbound_clusters(x);
}
