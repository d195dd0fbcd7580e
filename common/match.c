/* Look-ups over an image: see match.h. */
#include "common/match.h"

#include <netinet/in.h>
#include <string.h>

uint32_t match_lookup_size(uint32_t entries)
{
	uint32_t size = 8;

	while (size < entries * 2)
		size *= 2;
	return size;
}

static bool is_virtual(const struct image_listener *l)
{
	return l->kind == LISTENER_VIRTUAL_OUTBOUND || l->kind == LISTENER_VIRTUAL_INBOUND;
}

/* The first bind at this address whose listener is virtual or not, as asked. */
static const struct image_listener *look_up(const struct image *image, const struct addr *a, bool want_virtual)
{
	const uint32_t *table = image_section(image, SECTION_LOOKUP);
	uint32_t size = image_count(image, SECTION_LOOKUP);
	uint32_t at = addr_hash(a) & (size - 1);

	for (uint32_t n = 0; n < size && table[at] != IMAGE_NONE; n++, at = (at + 1) & (size - 1)) {
		const struct image_bind *b = image_bind(image, table[at]);
		const struct image_listener *l = image_listener(image, b->listener);

		if (addr_equal(&b->addr, a) && is_virtual(l) == want_virtual)
			return l;
	}
	return NULL;
}

static struct addr wildcard_of(const struct addr *a)
{
	struct addr any = { .port = a->port, .family = a->family };

	if (a->family == AF_INET)
		any.ip[10] = any.ip[11] = 0xff;
	return any;
}

const struct image_listener *match_listener(const struct image *image, const struct addr *destination)
{
	const struct image_listener *l = look_up(image, destination, false);
	struct addr any;

	if (l != NULL)
		return l;
	any = wildcard_of(destination);
	return look_up(image, &any, false);
}

const struct image_listener *match_bound(const struct image *image, const struct addr *local)
{
	const struct image_listener *l = look_up(image, local, true);

	if (l != NULL)
		return l;
	l = look_up(image, local, false);
	return l != NULL && l->kind == LISTENER_BOUND ? l : NULL;
}

static bool prefix_any(const struct prefix *p)
{
	return p->family == 0;
}

static int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	if (a->bits != b->bits)
		return a->bits > b->bits ? -1 : 1;
	if (a->family != b->family)
		return a->family > b->family ? -1 : 1;		/* any (0) after 0.0.0.0/0 and ::/0 */
	return memcmp(a->ip, b->ip, sizeof(a->ip));
}

int match_compare(const struct image_match *a, const struct image_match *b)
{
	int c;

	if (a->port != b->port)
		return a->port > b->port ? -1 : 1;
	if ((c = prefix_compare(&a->destination, &b->destination)) != 0)
		return c;
	if (a->application != b->application)
		return a->application > b->application ? -1 : 1;
	return prefix_compare(&a->source, &b->source);
}

/* [*first, *end) becomes the matches for this port, or for any port where none names it. */
static void narrow_to_port(const struct image_match *m, uint32_t *first, uint32_t *end, uint16_t port)
{
	uint32_t lo = *first, hi = *end, start;

	while (lo < hi) {				/* the first with m.port <= port */
		uint32_t mid = lo + (hi - lo) / 2;

		if (m[mid].port > port)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (start = lo; lo < *end && m[lo].port == port; lo++)
		;
	if (port == 0 || start == lo) {
		for (start = *end; start > *first && m[start - 1].port == 0; start--)
			;
		lo = *end;
	}
	*first = start;
	*end = lo;
}

static bool takes(const struct prefix *p, const struct addr *a)
{
	return prefix_any(p) || prefix_covers(p, a);
}

/* [*first, *end) begins with the matches of the most specific destination prefix. */
static const struct image_match *narrow(const struct image *image, const struct image_listener *l,
    const struct addr *destination, uint32_t *first, uint32_t *end)
{
	const struct image_match *m = image_match(image, l->first_match);

	*first = 0;
	*end = l->match_count;
	narrow_to_port(m, first, end, destination->port);
	while (*first < *end && !takes(&m[*first].destination, destination))
		++*first;
	return m;
}

static bool same_destination(const struct image_match *a, const struct image_match *b)
{
	return prefix_compare(&a->destination, &b->destination) == 0;
}

const struct image_chain *match_chain(const struct image *image, const struct image_listener *l,
    const struct addr *destination, enum image_application application, const struct addr *source)
{
	uint32_t first, end;
	const struct image_match *m = narrow(image, l, destination, &first, &end) + first, *last = m + (end - first), *chosen = m;

	while (m < last && m->application != APPLICATION_ANY && m->application != application)
		m++;
	if (m < last)
		application = m->application;
	for (; m < last && same_destination(chosen, m) && m->application == application; m++) {
		if (takes(&m->source, source))
			return image_chain(image, m->chain);
	}
	return NULL;
}

const char *match_application_name(enum image_application a)
{
	static const char *const names[APPLICATIONS] = {
		[APPLICATION_ANY] = "", [APPLICATION_HTTP10] = "http/1.0", [APPLICATION_HTTP11] = "http/1.1",
	};

	return names[a];
}

bool match_asks_application(const struct image *image, const struct image_listener *l, const struct addr *destination)
{
	uint32_t first, end;
	const struct image_match *m = narrow(image, l, destination, &first, &end);

	return first < end && m[first].application != APPLICATION_ANY;		/* any comes last */
}

/* ---- routes ---- */

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

uint32_t match_domain_hash(const char *text, size_t length)
{
	uint32_t h = 0x811c9dc5u;			/* FNV-1a */

	for (size_t i = 0; i < length; i++)
		h = (h ^ lower(text[i])) * 0x01000193u;
	return h;
}

/* b is any text, a is in lower case. */
static int compare_lower(const char *a, const char *b, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)a[i] != lower(b[i]))
			return (unsigned char)a[i] < lower(b[i]) ? -1 : 1;
	}
	return 0;
}

/* What a domain is to a text of that hash and length: < 0 before it, > 0 behind it. */
static int compare_exact(const struct image *image, const struct image_domain *d, uint32_t hash, const char *text, size_t length)
{
	if (d->hash != hash)
		return d->hash < hash ? -1 : 1;
	if (d->length != length)
		return d->length < length ? -1 : 1;
	return compare_lower(image_text(image, d->text), text, length);
}

int match_domain_compare(const struct image *image, bool exact, const struct image_domain *a, const struct image_domain *b)
{
	const char *text = image_text(image, b->text);

	if (exact)
		return compare_exact(image, a, b->hash, text, b->length);
	if (a->length != b->length)
		return a->length > b->length ? -1 : 1;
	return compare_lower(image_text(image, a->text), text, a->length);
}

static const struct image_domain *find_exact(const struct image *image, const struct image_route_config *r, const char *host,
    size_t length)
{
	const struct image_domain *d = image_domain(image, r->first_domain);
	uint32_t lo = 0, hi = r->exact_count, hash;

	if (hi == 0)
		return NULL;
	hash = match_domain_hash(host, length);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = compare_exact(image, &d[mid], hash, host, length);

		if (c == 0)
			return &d[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Longer ones come first.  A wildcard stands for one byte at least. */
static const struct image_domain *find_wildcard(const struct image *image, const struct image_domain *d, uint32_t count,
    bool suffix, const char *host, size_t length)
{
	for (; count > 0; count--, d++) {
		if (d->length < length &&
		    compare_lower(image_text(image, d->text), suffix ? host + length - d->length : host, d->length) == 0)
			return d;
	}
	return NULL;
}

/* "host:80", "[::1]:80" without the port. */
static size_t without_port(const char *authority, size_t length)
{
	size_t n = length;

	while (n > 0 && authority[n - 1] >= '0' && authority[n - 1] <= '9')
		n--;
	return n > 0 && authority[n - 1] == ':' ? n - 1 : length;
}

const struct image_vhost *match_vhost(const struct image *image, const struct image_route_config *r, const char *authority,
    size_t length)
{
	const struct image_domain *first = image_domain(image, r->first_domain), *d = NULL;

	length = without_port(authority, length);
	if (length <= IMAGE_DOMAIN_MAX)
		d = find_exact(image, r, authority, length);
	if (d == NULL)
		d = find_wildcard(image, first + r->exact_count, r->suffix_count, true, authority, length);
	if (d == NULL)
		d = find_wildcard(image, first + r->exact_count + r->suffix_count, r->prefix_count, false, authority, length);
	if (d != NULL)
		return image_vhost(image, d->vhost);
	return r->any_vhost != IMAGE_NONE ? image_vhost(image, r->any_vhost) : NULL;
}

static size_t without_query(const char *path, size_t length)
{
	size_t n = 0;

	while (n < length && path[n] != '?' && path[n] != '#')
		n++;
	return n;
}

const struct image_route *match_route(const struct image *image, const struct image_route_config *r,
    const char *authority, size_t authority_length, const char *path, size_t path_length)
{
	const struct image_vhost *v = match_vhost(image, r, authority, authority_length);

	if (path_length == 0 || (path_length == 1 && *path == '*')) {
		path = "/";
		path_length = 1;
	}
	path_length = without_query(path, path_length);
	for (uint32_t i = 0; v != NULL && i < v->route_count; i++) {
		const struct image_route *route = image_route(image, v->first_route + i);

		if (route->length <= path_length && memcmp(image_text(image, route->text), path, route->length) == 0)
			return route;
	}
	return NULL;
}
