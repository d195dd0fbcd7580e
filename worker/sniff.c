/* First bytes: see sniff.h. */
#include "worker/sniff.h"

#include "common/match.h"

#include <string.h>

#define LINE_BYTES (16u << 10)	/* a longer first line is none */

/* IANA's registry of HTTP methods: what begins with none of them need not be waited for. */
static const char *const methods[] = {
	"ACL ", "BASELINE-CONTROL ", "BIND ", "CHECKIN ", "CHECKOUT ", "CONNECT ", "COPY ", "DELETE ", "GET ", "HEAD ", "LABEL ",
	"LINK ", "LOCK ", "M-SEARCH ", "MERGE ", "MKACTIVITY ", "MKCALENDAR ", "MKCOL ", "MKREDIRECTREF ", "MKWORKSPACE ", "MOVE ",
	"NOTIFY ", "OPTIONS ", "ORDERPATCH ", "PATCH ", "POST ", "PROPFIND ", "PROPPATCH ", "PURGE ", "PUT ", "QUERY ", "REBIND ",
	"REPORT ", "SEARCH ", "SUBSCRIBE ", "TRACE ", "UNBIND ", "UNCHECKOUT ", "UNLINK ", "UNLOCK ", "UNSUBSCRIBE ", "UPDATE ",
	"UPDATEREDIRECTREF ", "VERSION-CONTROL ",
};

static bool may_begin(const char *bytes, size_t len, bool *whole_r)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t size = strlen(methods[i]);

		if (memcmp(bytes, methods[i], len < size ? len : size) == 0) {
			*whole_r = len >= size;
			return true;
		}
	}
	return false;
}

static bool ends(const char *line, size_t len, const char *version, size_t size)
{
	return len > size && memcmp(line + len - size, version, size) == 0;
}

bool sniff(const char *bytes, size_t len, enum image_application *r)
{
	static const char v10[] = " HTTP/1.0", v11[] = " HTTP/1.1";
	bool whole;
	const char *end;

	*r = APPLICATION_ANY;
	if (!may_begin(bytes, len, &whole))
		return true;
	if (!whole)
		return false;
	if ((end = memchr(bytes, '\n', len < LINE_BYTES ? len : LINE_BYTES)) == NULL)
		return len >= LINE_BYTES;
	len = (size_t)(end - bytes);
	if (len > 0 && bytes[len - 1] == '\r')
		len--;
	if (ends(bytes, len, v11, sizeof(v11) - 1))
		*r = APPLICATION_HTTP11;
	else if (ends(bytes, len, v10, sizeof(v10) - 1))
		*r = APPLICATION_HTTP10;
	return true;
}

static bool is_only_target(const struct image *i, uint32_t first, uint32_t count, const struct image_cluster *cluster)
{
	return count == 1 && image_cluster(i, image_target(i, first)->cluster) == cluster;
}

static bool routes_lead_to(const struct image *i, const struct image_route_config *config, const struct image_cluster *cluster)
{
	const struct image_vhost *v;
	const struct image_route *r;

	if (config->vhost_count != 1 || (v = image_vhost(i, config->first_vhost))->route_count != 1)
		return false;
	r = image_route(i, v->first_route);
	return is_only_target(i, r->first_target, r->target_count, cluster);
}

static bool chain_leads_to(const struct image *i, const struct image_chain *chain, const struct image_cluster *cluster)
{
	const struct image_filter *last = image_filter(i, chain->first_filter + chain->filter_count - 1);
	const struct image_tcp_proxy *t;

	if (last->type == FILTER_HTTP)
		return routes_lead_to(i, image_route_config(i, image_http(i, last->index)->route_config), cluster);
	t = image_tcp_proxy(i, last->index);
	return is_only_target(i, t->first_target, t->target_count, cluster);
}

bool sniff_leads_only_to(const struct image *i, const struct image_listener *l, const struct addr *destination,
    const struct addr *client, const struct image_cluster *cluster)
{
	for (unsigned a = 0; a < APPLICATIONS; a++) {
		const struct image_chain *chain = match_chain(i, l, destination, (enum image_application)a, client);

		if (chain == NULL || !chain_leads_to(i, chain, cluster))
			return false;
	}
	return true;
}
