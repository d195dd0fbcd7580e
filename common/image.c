/* Mapping and verifying an image: see image.h. */
#include "common/image.h"

#include "common/live.h"
#include "common/match.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const struct {
	const char *name;
	size_t size;
} records[SECTION_COUNT] = {
	[SECTION_LISTENERS] = { "listeners", sizeof(struct image_listener) },
	[SECTION_LOOKUP] = { "lookup", sizeof(uint32_t) },
	[SECTION_BINDS] = { "binds", sizeof(struct image_bind) },
	[SECTION_MATCHES] = { "matches", sizeof(struct image_match) },
	[SECTION_CHAINS] = { "chains", sizeof(struct image_chain) },
	[SECTION_FILTERS] = { "filters", sizeof(struct image_filter) },
	[SECTION_TCP_PROXIES] = { "tcp_proxies", sizeof(struct image_tcp_proxy) },
	[SECTION_HTTP_FILTERS] = { "http_filters", sizeof(struct image_http) },
	[SECTION_ROUTE_CONFIGS] = { "route_configs", sizeof(struct image_route_config) },
	[SECTION_DOMAINS] = { "domains", sizeof(struct image_domain) },
	[SECTION_VHOSTS] = { "vhosts", sizeof(struct image_vhost) },
	[SECTION_ROUTES] = { "routes", sizeof(struct image_route) },
	[SECTION_TARGETS] = { "targets", sizeof(struct image_target) },
	[SECTION_CLUSTERS] = { "clusters", sizeof(struct image_cluster) },
	[SECTION_ENDPOINTS] = { "endpoints", sizeof(struct image_endpoint) },
	[SECTION_TURNS] = { "turns", sizeof(uint32_t) },
	[SECTION_PORTS] = { "ports", sizeof(struct image_port_range) },
	[SECTION_PREFIXES] = { "prefixes", sizeof(struct prefix) },
	[SECTION_WORDS] = { "words", sizeof(uint32_t) },
	[SECTION_ADDRESSES] = { "addresses", sizeof(struct addr) },
	[SECTION_NAMES] = { "names", sizeof(struct image_name) },
	[SECTION_TEXT] = { "text", 1 },
	[SECTION_SLOTS] = { "slots", sizeof(uint32_t) },
	[SECTION_WHERE] = { "where", sizeof(struct image_where) },
	[SECTION_WHERE_TEXT] = { "where_text", 1 },
};

size_t image_record_size(enum image_section s)
{
	return records[s].size;
}

int image_map(int fd, struct image *image, struct err *e)
{
	struct stat st;
	void *base;

	if (fstat(fd, &st) == -1)
		return err_set(e, "image: %m");
	if (st.st_size < (off_t)sizeof(struct image_head) || st.st_size > (off_t)IMAGE_SIZE_MAX) {
		errno = EINVAL;
		return err_set(e, "image: %lld bytes, at most %u can be", (long long)st.st_size, IMAGE_SIZE_MAX);
	}
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (base == MAP_FAILED)
		return err_set(e, "image: mmap: %m");
	image->head = base;
	image->size = (size_t)st.st_size;
	if (image->head->magic == IMAGE_MAGIC && image->head->layout == IMAGE_LAYOUT && image->head->size_bytes == image->size)
		return 0;
	image_unmap(image);
	errno = EINVAL;
	return err_set(e, "image: made by another build of meshd");
}

void image_unmap(struct image *image)
{
	if (image->head != NULL)
		munmap((void *)(uintptr_t)image->head, image->size);
	image->head = NULL;
	image->size = 0;
}

/* ---- verifying: one small function for each section; each returns what is wrong, or NULL ---- */

/* Looks at no more than it allows: many words may be one long text. */
static bool is_within(const char *text, const char *letters, size_t max)
{
	size_t n = 0;

	while (n <= max && text[n] != '\0' && strchr(letters, text[n]) != NULL)
		n++;
	return n > 0 && n <= max && text[n] == '\0';
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

bool image_is_interface(const char *text)
{
	return is_within(text, LETTERS "_.-+@%=", 15) && strchr("-+", text[0]) == NULL &&
	    strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

bool image_is_owner(const char *text)
{
	return is_within(text, LETTERS "_.-", IMAGE_OWNER_MAX) && strchr("-.", text[0]) == NULL;
}

static bool in_range(const struct image *i, enum image_section s, uint32_t first, uint32_t count)
{
	return (uint64_t)first + count <= image_count(i, s);
}

static bool one_of(const struct image *i, enum image_section s, uint32_t index)
{
	return index < image_count(i, s);
}

static bool is_text(const struct image *i, uint32_t offset)
{
	return offset < image_count(i, SECTION_TEXT);		/* the section ends with a nought */
}

/* What has a row in `live` is named there as what it is. */
static bool is_named(const struct image *i, uint32_t name_index, enum image_name_kind kind)
{
	return one_of(i, SECTION_NAMES, name_index) && image_name(i, name_index)->kind == kind;
}

static bool is_addr(const struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return (a->family == AF_INET && memcmp(a->ip, mapped, sizeof(mapped)) == 0) || a->family == AF_INET6;
}

static bool is_prefix(const struct prefix *p)
{
	if (p->family == 0)
		return p->bits == 0;
	return p->bits <= 128 && ((p->family == AF_INET && p->bits >= 96) || p->family == AF_INET6);
}

static const char *verify_matches(const struct image *i, const struct image_listener *l)
{
	for (uint32_t k = 0; k < l->match_count; k++) {
		const struct image_match *m = image_match(i, l->first_match + k);

		if (m->chain < l->first_chain || m->chain - l->first_chain >= l->chain_count)
			return "match names a chain of another listener";
		if (!is_prefix(&m->destination) || !is_prefix(&m->source))
			return "prefix";
		if (m->application >= APPLICATIONS)
			return "application protocol";
		if (k > 0 && match_compare(m - 1, m) >= 0)
			return "matches are not in order";
	}
	return NULL;
}

/* Listeners share nothing, and neither do clusters: each begins where the one before it ended.  This is what keeps
 * verifying O(size). */
static bool listener_follows(const struct image *i, uint32_t index)
{
	const struct image_listener *l = image_listener(i, index), *before = l - 1;

	if (index == 0)
		return l->first_bind == 0 && l->first_match == 0 && l->first_chain == 0;
	return l->first_bind == before->first_bind + before->bind_count &&
	    l->first_match == before->first_match + before->match_count &&
	    l->first_chain == before->first_chain + before->chain_count;
}

static const char *verify_listener(const struct image *i, uint32_t index)
{
	const struct image_listener *l = image_listener(i, index);

	if (!is_text(i, l->name) || !is_named(i, l->name_index, NAME_LISTENER) || !one_of(i, SECTION_WHERE, l->where))
		return "name";
	if (!in_range(i, SECTION_BINDS, l->first_bind, l->bind_count) ||
	    (l->bind_count == 0 && l->kind != LISTENER_VIRTUAL_INBOUND))
		return "binds";
	if (!in_range(i, SECTION_CHAINS, l->first_chain, l->chain_count))
		return "chains";
	if (!in_range(i, SECTION_MATCHES, l->first_match, l->match_count))
		return "matches";
	if (!listener_follows(i, index))
		return "order";
	if (l->kind > LISTENER_VIRTUAL_INBOUND || l->direction > DIRECTION_OUTBOUND || l->protocol != 0)
		return "kind";
	for (uint32_t k = 0; k < l->bind_count; k++) {
		if (image_bind(i, l->first_bind + k)->listener != index)
			return "bind of another listener";
	}
	return verify_matches(i, l);
}

static const char *verify_bind(const struct image *i, uint32_t index)
{
	const struct image_bind *b = image_bind(i, index);

	return is_addr(&b->addr) && b->addr.port != 0 && one_of(i, SECTION_LISTENERS, b->listener) ? NULL : "address";
}

static const char *verify_lookup(const struct image *i, uint32_t index)
{
	uint32_t entry = ((const uint32_t *)image_section(i, SECTION_LOOKUP))[index];

	return entry == IMAGE_NONE || one_of(i, SECTION_BINDS, entry) ? NULL : "entry";
}

static const char *verify_chain(const struct image *i, uint32_t index)
{
	const struct image_chain *c = image_chain(i, index);

	if (!is_text(i, c->name) || !is_named(i, c->name_index, NAME_CHAIN) || !one_of(i, SECTION_WHERE, c->where))
		return "name";
	return in_range(i, SECTION_FILTERS, c->first_filter, c->filter_count) && c->filter_count > 0 ? NULL : "filters";
}

static const char *verify_filter(const struct image *i, uint32_t index)
{
	const struct image_filter *f = image_filter(i, index);

	switch (f->type) {
	case FILTER_TCP_PROXY: return one_of(i, SECTION_TCP_PROXIES, f->index) ? NULL : "index";
	case FILTER_HTTP: return one_of(i, SECTION_HTTP_FILTERS, f->index) ? NULL : "index";
	default: return "type";
	}
}

/* At least one, and one of them can be drawn. */
static bool are_targets(const struct image *i, uint32_t first, uint32_t count)
{
	return in_range(i, SECTION_TARGETS, first, count) && count > 0 && image_target(i, first + count - 1)->upto > 0;
}

static const char *verify_tcp_proxy(const struct image *i, uint32_t index)
{
	const struct image_tcp_proxy *t = image_tcp_proxy(i, index);

	if (!are_targets(i, t->first_target, t->target_count))
		return "targets";
	return is_text(i, t->stat_prefix) && t->max_connect_attempts > 0 && t->max_connect_attempts <= UINT16_MAX ? NULL : "settings";
}

static const char *verify_http(const struct image *i, uint32_t index)
{
	const struct image_http *h = image_http(i, index);

	if (!one_of(i, SECTION_ROUTE_CONFIGS, h->route_config))
		return "route config";
	if (!is_text(i, h->stat_prefix) || !is_text(i, h->server_name))
		return "text";
	if (h->max_request_line_bytes == 0 || h->max_request_headers_bytes == 0 || h->max_response_headers_bytes == 0 ||
	    h->max_headers_count == 0 || h->max_headers_count > IMAGE_HEADERS_COUNT_MAX || h->max_pipelined_requests == 0 ||
	    h->max_connect_attempts == 0)
		return "limits";
	return h->upgrades & ~(uint32_t)UPGRADES ? "upgrades" : NULL;
}

static uint32_t domain_count(const struct image_route_config *r)
{
	return r->exact_count + r->suffix_count + r->prefix_count;
}

/* As of listeners: none shares anything. */
static bool route_config_follows(const struct image *i, uint32_t index)
{
	const struct image_route_config *r = image_route_config(i, index), *before = r - 1;

	if (index == 0)
		return r->first_domain == 0 && r->first_vhost == 0;
	return r->first_domain == before->first_domain + domain_count(before) &&
	    r->first_vhost == before->first_vhost + before->vhost_count;
}

static bool is_vhost_of(const struct image_route_config *r, uint32_t vhost)
{
	return vhost >= r->first_vhost && vhost - r->first_vhost < r->vhost_count;
}

static const char *verify_domains(const struct image *i, const struct image_route_config *r)
{
	const uint32_t ends[] = { r->exact_count, r->exact_count + r->suffix_count, domain_count(r) };
	uint32_t k = 0;

	for (unsigned kind = 0; kind < 3; kind++) {
		for (uint32_t first = k; k < ends[kind]; k++) {
			const struct image_domain *d = image_domain(i, r->first_domain + k);

			if (!is_vhost_of(r, d->vhost))
				return "domain of another route config";
			if (k > first && match_domain_compare(i, kind == 0, d - 1, d) >= 0)
				return "domains are not in order";
		}
	}
	return NULL;
}

static const char *verify_route_config(const struct image *i, uint32_t index)
{
	const struct image_route_config *r = image_route_config(i, index);
	uint32_t room = image_count(i, SECTION_DOMAINS);

	if (!is_text(i, r->name))
		return "name";
	if (r->exact_count > room || r->suffix_count > room || r->prefix_count > room ||
	    (uint64_t)r->first_domain + r->exact_count + r->suffix_count + r->prefix_count > room)
		return "domains";
	if (!in_range(i, SECTION_VHOSTS, r->first_vhost, r->vhost_count) ||
	    (r->any_vhost != IMAGE_NONE && !is_vhost_of(r, r->any_vhost)))
		return "virtual hosts";
	if (!route_config_follows(i, index))
		return "order";
	return verify_domains(i, r);
}

/* So many bytes of text, and a nought. */
static bool is_text_of(const struct image *i, uint32_t offset, uint32_t length)
{
	return (uint64_t)offset + length < image_count(i, SECTION_TEXT) && image_text(i, offset)[length] == '\0';
}

static const char *verify_domain(const struct image *i, uint32_t index)
{
	const struct image_domain *d = image_domain(i, index);

	return d->length > 0 && d->length <= IMAGE_DOMAIN_MAX && is_text_of(i, d->text, d->length) ? NULL : "text";
}

static const char *verify_vhost(const struct image *i, uint32_t index)
{
	const struct image_vhost *v = image_vhost(i, index);

	if (!is_text(i, v->name))
		return "name";
	if (!in_range(i, SECTION_ROUTES, v->first_route, v->route_count))
		return "routes";
	return v->first_route == (index == 0 ? 0 : v[-1].first_route + v[-1].route_count) ? NULL : "order";
}

static const char *verify_route(const struct image *i, uint32_t index)
{
	const struct image_route *r = image_route(i, index);

	if (!is_text(i, r->name) || !is_text_of(i, r->text, r->length))
		return "text";
	if (!are_targets(i, r->first_target, r->target_count))
		return "targets";
	return r->kind == ROUTE_PREFIX ? NULL : "kind";
}

static const char *verify_target(const struct image *i, uint32_t index)
{
	return one_of(i, SECTION_CLUSTERS, image_target(i, index)->cluster) ? NULL : "cluster";
}

static bool cluster_follows(const struct image *i, uint32_t index)
{
	const struct image_cluster *c = image_cluster(i, index), *before = c - 1;

	if (index == 0)
		return c->first_endpoint == 0 && c->first_turn == 0;
	return c->first_endpoint == before->first_endpoint + before->endpoint_count &&
	    c->first_turn == before->first_turn + before->turn_count;
}

static const char *verify_cluster(const struct image *i, uint32_t index)
{
	const struct image_cluster *c = image_cluster(i, index);

	if (!is_text(i, c->name) || !is_named(i, c->name_index, NAME_CLUSTER) || !one_of(i, SECTION_WHERE, c->where))
		return "name";
	if (!in_range(i, SECTION_ENDPOINTS, c->first_endpoint, c->endpoint_count))
		return "endpoints";
	if (!in_range(i, SECTION_TURNS, c->first_turn, c->turn_count) || (c->turn_count == 0) != (c->endpoint_count == 0))
		return "turns";
	if (!cluster_follows(i, index))
		return "order";
	for (uint32_t k = 0; k < c->turn_count; k++) {
		if (*image_turn(i, c->first_turn + k) - c->first_endpoint >= c->endpoint_count)
			return "turn of another cluster";
	}
	if (c->type > CLUSTER_ORIGINAL_DST || c->balancer > BALANCER_RANDOM || c->direction > DIRECTION_OUTBOUND)
		return "type";
	return NULL;
}

static const char *verify_endpoint(const struct image *i, uint32_t index)
{
	const struct image_endpoint *p = image_endpoint(i, index);

	if (p->weight == 0)
		return "weight";
	return is_addr(&p->addr) && p->addr.port != 0 && is_named(i, p->name_index, NAME_ENDPOINT) ? NULL : "address";
}

static const char *verify_address(const struct image *i, uint32_t index)
{
	return is_addr(image_address(i, index)) ? NULL : "address";
}

static const char *verify_port(const struct image *i, uint32_t index)
{
	const struct image_port_range *r = image_port_range(i, index);

	return r->first != 0 && r->first <= r->last ? NULL : "range";
}

static const char *verify_prefix(const struct image *i, uint32_t index)
{
	const struct prefix *p = image_prefix(i, index);

	return is_prefix(p) && p->family != 0 ? NULL : "prefix";
}

static const char *verify_word(const struct image *i, uint32_t index)
{
	return is_text(i, *image_word(i, index)) ? NULL : "text";
}

static const char *verify_name(const struct image *i, uint32_t index)
{
	const struct image_name *n = image_name(i, index);
	const char *text;

	if (n->kind == NAME_NONE || n->kind >= NAME_KINDS || !is_text(i, n->name))
		return "kind";
	text = image_text(i, n->name);
	return *text != '\0' && memchr(text, '\0', IMAGE_NAME_MAX < image_count(i, SECTION_TEXT) - n->name ?
	    IMAGE_NAME_MAX : image_count(i, SECTION_TEXT) - n->name) != NULL ? NULL : "length";
}

static const char *verify_slot(const struct image *i, uint32_t index)
{
	return image_slot(i, index) < LIVE_SLOTS ? NULL : "slot";
}

static const char *verify_where(const struct image *i, uint32_t index)
{
	return image_where(i, index)->file < image_count(i, SECTION_WHERE_TEXT) ? NULL : "file";
}

static const struct {
	enum image_section section;
	const char *(*verify)(const struct image *, uint32_t index);
} verifiers[] = {
	{ SECTION_BINDS, verify_bind }, { SECTION_LISTENERS, verify_listener }, { SECTION_LOOKUP, verify_lookup },
	{ SECTION_CHAINS, verify_chain }, { SECTION_FILTERS, verify_filter }, { SECTION_TCP_PROXIES, verify_tcp_proxy },
	{ SECTION_HTTP_FILTERS, verify_http }, { SECTION_DOMAINS, verify_domain }, { SECTION_ROUTE_CONFIGS, verify_route_config },
	{ SECTION_VHOSTS, verify_vhost }, { SECTION_ROUTES, verify_route }, { SECTION_TARGETS, verify_target },
	{ SECTION_CLUSTERS, verify_cluster }, { SECTION_ENDPOINTS, verify_endpoint }, { SECTION_PORTS, verify_port },
	{ SECTION_PREFIXES, verify_prefix }, { SECTION_WORDS, verify_word }, { SECTION_ADDRESSES, verify_address },
	{ SECTION_NAMES, verify_name }, { SECTION_SLOTS, verify_slot }, { SECTION_WHERE, verify_where },
};

/* The sections lie one after the other, within the image, none over another. */
static int verify_spans(const struct image *i, struct err *e)
{
	uint64_t end = sizeof(struct image_head);

	for (int s = 0; s < SECTION_COUNT; s++) {
		const struct image_span *span = &i->head->sections[s];
		uint64_t at = (uint64_t)span->at * 8;

		if (at < end || at + (uint64_t)span->count * records[s].size > i->size)
			return err_set(e, "image: section %s lies outside", records[s].name);
		end = at + (uint64_t)span->count * records[s].size;
	}
	return 0;
}

static bool has_ranges(const struct image *i, enum image_section s, const struct image_range *first, const struct image_range *last)
{
	for (; first <= last; first++) {
		if (!in_range(i, s, first->first, first->count))
			return false;
	}
	return true;
}

static bool are_words(const struct image *i, const struct image_range *first, const struct image_range *last,
    bool (*is)(const char *))
{
	for (; first <= last; first++) {
		for (uint32_t k = 0; k < first->count; k++) {
			uint32_t word = *image_word(i, first->first + k);

			if (!is_text(i, word) || !is(image_text(i, word)))
				return false;
		}
	}
	return true;
}

static bool are_ports(const struct image_intercept *n)
{
	if (n->outbound_port == 0 || n->inbound_port == 0 || n->outbound_last < n->outbound_port ||
	    n->outbound_last - n->outbound_port >= INTERCEPT_PORTS_MAX)
		return false;
	if (intercept_has_one_port(n))
		return n->outbound_last == n->outbound_port && n->mode != INTERCEPT_TPROXY;
	return n->inbound_port < n->outbound_port || n->inbound_port > n->outbound_last;
}

static bool is_marking(const struct image_intercept *n)
{
	return n->tproxy_mark >= 1 && n->tproxy_mark <= INT32_MAX && n->tproxy_table >= 1 && n->tproxy_table <= INT32_MAX &&
	    (n->tproxy_table < INTERCEPT_TABLES_OWN_FIRST || n->tproxy_table > INTERCEPT_TABLES_OWN_LAST);
}

static const char *verify_intercept(const struct image *i, const struct image_intercept *n)
{
	if (n->mode > INTERCEPT_TPROXY || n->iptables > IPTABLES_LEGACY || n->on_exit > ON_EXIT_BLOCK ||
	    n->inbound_sources > INBOUND_SOURCES_MAX || (n->mode != INTERCEPT_NONE && !n->configured))
		return "enum";
	if ((n->configured | n->manual | n->exclude_dns | n->drop_invalid | n->every_inbound_port | n->every_outbound_range |
	    n->every_user | n->every_group) > 1)
		return "flags";
	if (n->configured && (n->inbound_sources == 0 || !are_ports(n)))
		return "virtual ports";
	if (intercept_has_one_port(n) && (!one_of(i, SECTION_LISTENERS, n->inbound_listener) ||
	    image_listener(i, n->inbound_listener)->kind != LISTENER_VIRTUAL_INBOUND))
		return "inbound listener";
	if (n->mode == INTERCEPT_TPROXY && !is_marking(n))
		return "mark";
	if (!has_ranges(i, SECTION_PORTS, &n->include_inbound, &n->exclude_outbound))
		return "ports";
	if (!has_ranges(i, SECTION_PREFIXES, &n->include_ranges, &n->exclude_ranges))
		return "prefixes";
	if (!has_ranges(i, SECTION_WORDS, &n->exclude_interfaces, &n->exclude_groups) ||
	    !are_words(i, &n->exclude_interfaces, &n->guest_interfaces, image_is_interface) ||
	    !are_words(i, &n->include_users, &n->exclude_groups, image_is_owner))
		return "words";
	return NULL;
}

static const char *verify_settings(const struct image *i)
{
	const struct image_settings *s = image_settings(i);

	if (!is_text(i, s->node_id) || !is_text(i, s->user) || !is_text(i, s->agent_user) || !is_text(i, s->admin_group) ||
	    !is_text(i, s->runtime_dir) || !is_text(i, s->access_log) || *image_text(i, 0) != '\0')
		return "text";
	if (s->workers > LIVE_WORKERS_MAX)
		return "workers";
	if (!in_range(i, SECTION_ADDRESSES, s->first_address, s->address_count))
		return "addresses";
	if (s->outbound_traffic_policy > POLICY_REGISTRY_ONLY)
		return "enum";
	return verify_intercept(i, &s->intercept);
}

/* A full table would make a look-up of what is not there walk all of it; it ends all the same. */
static const char *verify_lookup_size(const struct image *i)
{
	uint32_t size = image_count(i, SECTION_LOOKUP);

	return size != 0 && (size & (size - 1)) == 0 ? NULL : "size is no power of two";
}

static bool ends_with_nought(const struct image *i, enum image_section s)
{
	uint32_t n = image_count(i, s);

	return n > 0 && ((const char *)image_section(i, s))[n - 1] == '\0';
}

int image_verify(const struct image *i, struct err *e)
{
	const char *wrong;

	errno = EINVAL;
	if (i->head->magic != IMAGE_MAGIC || i->head->layout != IMAGE_LAYOUT || i->head->size_bytes != i->size)
		return err_set(e, "image: not of this build");
	if (verify_spans(i, e) == -1)
		return -1;
	if (!ends_with_nought(i, SECTION_TEXT) || !ends_with_nought(i, SECTION_WHERE_TEXT))
		return err_set(e, "image: text without an end");
	if (image_count(i, SECTION_SLOTS) != image_count(i, SECTION_NAMES))
		return err_set(e, "image: %u slots for %u names", image_count(i, SECTION_SLOTS), image_count(i, SECTION_NAMES));
	if ((wrong = verify_settings(i)) != NULL)
		return err_set(e, "image: settings: %s", wrong);
	if ((wrong = verify_lookup_size(i)) != NULL)
		return err_set(e, "image: lookup: %s", wrong);
	for (size_t v = 0; v < sizeof(verifiers) / sizeof(verifiers[0]); v++) {
		enum image_section s = verifiers[v].section;

		for (uint32_t k = 0; k < image_count(i, s); k++) {
			if ((wrong = verifiers[v].verify(i, k)) != NULL)
				return err_set(e, "image: %s[%u]: %s", records[s].name, k, wrong);
		}
	}
	return 0;
}
