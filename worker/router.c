/*
 * The last filter: takes a request to an endpoint.  It decides nothing itself: match_route() says where to, the balancer
 * which endpoint, the pool which connection.
 */
#include "common/match.h"
#include "worker/http_conn.h"
#include "worker/pool.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <strings.h>

static bool find_route(struct stream *s, const struct http_head *h)
{
	const struct image *image = &s->generation->image;
	struct http_span host = http_authority(h), path = s->path.at != NULL ? s->path : http_path(h);

	if (h->method == METHOD_CONNECT && !(s->http->upgrades & UPGRADE_CONNECT))
		return false;
	s->route = match_route(image, image_route_config(image, s->http->route_config), host.at, host.len, path.at, path.len);
	return s->route != NULL;
}

/* What is not allowed is not passed on, and the request served without it, as RFC 9110 7.8 has it. */
static void find_upgrade(struct stream *s, const struct http_head *h)
{
	static const char websocket[] = "websocket";
	struct http_span to;

	if (!s->asked.upgrade || !(s->http->upgrades & UPGRADE_WEBSOCKET))
		return;
	to = stream_upgrade_of(h);
	if (to.len == sizeof(websocket) - 1 && strncasecmp(to.at, websocket, to.len) == 0)
		s->upgrade = to;
}

static bool enter_cluster(struct stream *s)
{
	struct worker *w = s->worker;
	const struct image *image = &s->generation->image;

	s->cluster = image_cluster(image, upstream_choose_cluster(w, image, s->route->first_target, s->route->target_count));
	s->up.cluster_slot = image_slot(image, s->cluster->name_index);
	s->cluster_row = live_row(&w->live, w->index, s->up.cluster_slot);
	s->in_cluster = live_announce(&w->live, w->index, &s->cluster_row->gauge[CLUSTER_G_rq_active], s->cluster->max_requests);
	if (!s->in_cluster)
		live_add(&s->cluster_row->counter[CLUSTER_C_rq_pending_overflow], 1);
	return s->in_cluster;
}

static bool find_endpoint(struct stream *s)
{
	struct worker *w = s->worker;
	struct dial d = stream_dial(s);

	if (!upstream_choose(&d, &s->up))
		return false;
	s->first_endpoint = d.first_endpoint;
	s->attempts = d.attempts;
	if (s->up.endpoint_slot != IMAGE_NONE) {
		s->endpoint_row = live_row(&w->live, w->index, s->up.endpoint_slot);
		live_add(&s->endpoint_row->gauge[ENDPOINT_G_rq_active], 1);
	}
	return true;
}

static enum verdict request(struct stream *s, struct http_head *h)
{
	if (!find_route(s, h)) {
		live_add(&s->chain_row->counter[HTTP_C_no_route], 1);
		return stream_reply(s, STREAM_NO_ROUTE);
	}
	find_upgrade(s, h);
	if (!enter_cluster(s))
		return stream_reply(s, STREAM_OVERFLOW);
	if (!find_endpoint(s))
		return stream_reply(s, STREAM_NO_ENDPOINT);
	if (!stream_write_request(s))
		return REPLIED;
	return pool_ask(s->worker, s);
}

/* Nothing was sent to the endpoint, so the next one may be asked instead. */
enum verdict router_not_connected(struct stream *s, enum stream_end why, int error)
{
	s->error = error;
	if (s->attempts >= s->http->max_connect_attempts || why == STREAM_NO_MEMORY)
		return stream_reply(s, why);
	stream_leave_endpoint(s, true);
	return find_endpoint(s) ? pool_ask(s->worker, s) : stream_reply(s, STREAM_NO_ENDPOINT);
}

const struct http_filter filter_router = { "router", request, NULL, NULL };
