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

const struct image_chain *match_chain(const struct image *image, const struct image_listener *l,
    const struct addr *destination, const struct addr *source)
{
	const struct image_match *m = image_match(image, l->first_match), *chosen = NULL;
	uint32_t first = 0, end = l->match_count;

	narrow_to_port(m, &first, &end, destination->port);
	for (; first < end; first++) {
		if (chosen == NULL) {
			if (!prefix_any(&m[first].destination) && !prefix_covers(&m[first].destination, destination))
				continue;
			chosen = &m[first];		/* sorted: the most specific; only its equals count now */
		} else if (prefix_compare(&chosen->destination, &m[first].destination) != 0) {
			break;
		}
		if (prefix_any(&m[first].source) || prefix_covers(&m[first].source, source))
			return image_chain(image, m[first].chain);
	}
	return NULL;
}
