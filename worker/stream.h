/*
 * One request and its answer.
 *
 *   new -> waiting -> asked -> answered -> over -> freed
 *
 * It owns an arena with the heads as received and as sent, its two ways (way.h), its share of the rows in `live`, and the
 * generation that it began with, held until its line is in the access log.  It belongs to a downstream connection, and has
 * an upstream one from the pool while it needs it.  Over is over: after that only the kernel may still hold bytes of it.
 */
#pragma once

#include "common/addr.h"
#include "common/image.h"
#include "common/live.h"
#include "worker/arena.h"
#include "worker/http_filter.h"
#include "worker/inbuf.h"
#include "worker/upstream.h"
#include "worker/way.h"

struct http_conn;
struct http_upstream;
struct pool;

enum stream_state {
	STREAM_NEW,		/* in the filters */
	STREAM_WAITING,		/* for an upstream connection */
	STREAM_ASKED,		/* the request is on its way, nothing of a final answer has come */
	STREAM_ANSWERED,	/* the answer's head is on its way */
	STREAM_OVER,
};

/* What became of it: status of our own reply (0: none; its row in http1_bads has it), flag, details, and the reply's text. */
#define UPSTREAM_TEXT "upstream connect error or disconnect/reset before headers. reset reason: "
#define STREAM_ENDS(X)												\
	X(STREAM_FINE, 0, "-", "via_upstream", "")								\
	X(STREAM_BAD, 0, "DPE", "", "")										\
	X(STREAM_OLD, 426, "DPE", "low_version", "")								\
	X(STREAM_BAD_PATH, 400, "-", "path_normalization_failed", "")						\
	X(STREAM_LAST_HOP, 200, "-", "max_forwards", "")							\
	X(STREAM_LAST_TRACE, 501, "-", "max_forwards", "")							\
	X(STREAM_NO_ROUTE, 404, "NR", "route_not_found", "")							\
	X(STREAM_NO_ENDPOINT, 503, "UH", "no_healthy_upstream", "no healthy upstream")				\
	X(STREAM_OVERFLOW, 503, "UO", "upstream_reset_before_response_started{overflow}", UPSTREAM_TEXT "overflow")	\
	X(STREAM_NO_CONNECTION, 503, "UF", "upstream_reset_before_response_started{remote_connection_failure}",	\
	    UPSTREAM_TEXT "remote connection failure")								\
	X(STREAM_NO_LOCAL, 503, "UF", "upstream_reset_before_response_started{local_connection_failure}",	\
	    UPSTREAM_TEXT "local connection failure")								\
	X(STREAM_CONNECT_TIMEOUT, 503, "UF", "upstream_reset_before_response_started{connection_timeout}",	\
	    UPSTREAM_TEXT "connection timeout")									\
	X(STREAM_UPSTREAM_GONE, 503, "UC", "upstream_reset_before_response_started{connection_termination}",	\
	    UPSTREAM_TEXT "connection termination")								\
	X(STREAM_UPSTREAM_BAD, 502, "UPE", "upstream_reset_before_response_started{protocol_error}",		\
	    UPSTREAM_TEXT "protocol error")									\
	X(STREAM_NO_MEMORY, 503, "OM", "overload", "overloaded")						\
	X(STREAM_TIMEOUT, 504, "UT", "response_timeout", "upstream request timeout")				\
	X(STREAM_HEAD_TIMEOUT, 408, "-", "request_header_timeout", "request header timeout")			\
	X(STREAM_REQUEST_TIMEOUT, 408, "-", "request_overall_timeout", "request timeout")			\
	X(STREAM_IDLE, 408, "SI", "stream_idle_timeout", "stream timeout")					\
	X(STREAM_IDLE_ANSWER, 504, "SI", "stream_idle_timeout", "stream timeout")				\
	X(STREAM_CUT, 0, "UC", "upstream_reset_after_response_started{connection_termination}", "")		\
	X(STREAM_CUT_BAD, 0, "UPE", "upstream_reset_after_response_started{protocol_error}", "")		\
	X(STREAM_CLIENT_GONE, 0, "DC", "downstream_remote_disconnect", "")					\
	X(STREAM_DURATION, 0, "DT", "max_connection_duration", "")						\
	X(STREAM_DRAINED, 0, "-", "drain_time", "")								\
	X(STREAM_KILLED, 0, "-", "closed_by_operator", "")

#define STREAM_END_NAME(name, status, flag, details, text) name,
enum stream_end { STREAM_ENDS(STREAM_END_NAME) };
#undef STREAM_END_NAME

struct stream {
	struct arena arena;
	struct worker *worker;
	struct http_conn *conn;			/* may be gone when it is over */
	struct stream *next_over;
	struct generation *generation;		/* held */
	const struct image_http *http;		/* in it, as are the next two */
	const struct image_route *route;	/* NULL: none yet */
	const struct image_cluster *cluster;
	struct live_row *chain_row, *cluster_row, *endpoint_row;
	struct upstream up;			/* the endpoint: for the log, and for another connection to it */
	struct http_upstream *upstream;		/* NULL: none */
	struct pool *pool;			/* waits in it; NULL: does not */
	struct stream *next_waiting, **prev_waiting;
	struct http_head request;
	struct http1_meaning asked;
	struct way way[2];
	/* the answer, as far as it has come */
	struct http1_scan scan;
	struct inbuf in;
	uint64_t began_ms, asked_ms, complete_ms;	/* it began; its head was sent; it was complete (0: is not yet) */
	struct http_span path, upgrade;		/* as they go to the endpoint; at NULL: as they came; none */
	struct http_span sent_head;		/* the request's, as it goes out */
	struct http_span replay;		/* all that was sent, while it can be sent again; len 0: it cannot */
	struct http_span agent, id, forwarded;	/* for the log, as is the next one */
	struct addr local;			/* ours towards the endpoint, once it has left the connection */
	uint32_t first_endpoint;		/* of its cluster, that was tried; each further attempt takes the one after */
	int error;				/* errno of the connection that failed; 0: none */
	uint16_t service_ms;			/* from asked to answered; UINT16_MAX: it was not */
	uint16_t status;			/* of the answer; 0: none */
	uint16_t attempts;			/* to reach an endpoint, so far */
	uint8_t state, end;
	uint8_t bad;				/* enum http1_bad, of STREAM_BAD */
	uint8_t filter;				/* whose turn it is */
	uint8_t interims;			/* heads of 1xx so far */
	bool keep_upstream : 1;			/* the endpoint lets its connection live on */
	bool close_after : 1;			/* this answer is the last of its connection */
	bool replied : 1;			/* the answer is our own */
	bool reply_due : 1;			/* and is yet to be sent */
	bool in_cluster : 1, in_pending : 1;	/* counted in the gauges of requests */
	bool tunnel : 1;			/* it becomes one when its answer's head is out */
	bool handed_over : 1;			/* which will write its line */
	bool again : 1;				/* goes on a new connection, not on a kept one */
	bool lost : 1;				/* the connection has ended while bytes were being sent on it */
};

/* The request whose head has come (or what was refused as one: bad), up to the router, or a reply.  NULL: no memory. */
struct stream *stream_begin(struct http_conn *, const char *head, size_t size, enum http1_bad bad);
/* A reply to what never became a request.  NULL: no memory. */
struct stream *stream_begin_refused(struct http_conn *, enum stream_end);
/* Its body's next bytes: see way_take().  Returns how many were used; 0 while there is no credit. */
size_t stream_request_bytes(struct stream *, char *bytes, size_t len, int *loan);
/* More of it may come than what was just taken, all that a receive buffer holds; and what was taken is sent. */
void stream_request_flush(struct stream *, bool more);
bool stream_wants_request(const struct stream *);
/* The client will send no more. */
void stream_request_cut(struct stream *);

/* A reply of our own instead of an answer; the stream may be over after that. */
enum verdict stream_reply(struct stream *, enum stream_end);
/* Its connection has looked at all that has come: now. */
void stream_send_reply(struct stream *);
/* Goes on with the filter after the one that said WAIT. */
void stream_resume(struct stream *);
/* A field for the head that is being made; its bytes last until that is written. */
void stream_add_line(struct stream *, struct http_span name, struct http_span value);
/* What Upgrade says, which is of one connection and gone for all others; len 0: there is none. */
struct http_span stream_upgrade_of(const struct http_head *);
/* Writes the request's head into the arena, for the router.  False: no memory. */
bool stream_write_request(struct stream *);

/* For a connection to its endpoint. */
struct dial stream_dial(const struct stream *);
/* It is not that endpoint's any more. */
void stream_leave_endpoint(struct stream *, bool failed);
/* No connection to its endpoint: another endpoint's (router.c), as pool_ask() has it, or a reply. */
enum verdict router_not_connected(struct stream *, enum stream_end why, int error);

/* From the upstream connection. */
void stream_response_bytes(struct stream *, char *bytes, uint32_t len, int loan);
void stream_response_readable(struct stream *);
void stream_upstream_ended(struct stream *, int error);
/* The connection that it has waited for; or why there is none. */
void stream_connected(struct stream *, struct http_upstream *);
void stream_not_connected(struct stream *, enum stream_end, int error);

/* From the ways. */
void stream_way_clear(struct way *);
void stream_way_broken(struct way *);
void stream_out_of_memory(struct stream *);

/* RFC 9110 9.2.2 */
static inline bool stream_is_idempotent(const struct stream *s)
{
	return 1u << s->request.method & (1u << METHOD_GET | 1u << METHOD_HEAD | 1u << METHOD_PUT | 1u << METHOD_DELETE |
	    1u << METHOD_OPTIONS | 1u << METHOD_TRACE);
}

/* It has come to its end, and the client has all of it. */
void stream_finish(struct stream *);
/* It ends here and now, without a word to the client. */
void stream_abort(struct stream *, enum stream_end);
/* What it waits for is due at that time; UINT64_MAX: for nothing. */
uint64_t stream_deadline(const struct stream *);
void stream_ran_out(struct stream *);
/* It is over, and an operation that held bytes of it is not in flight any more. */
void stream_free_if_over(struct stream *);
/* Once a turn, so that nobody is left with one that is gone: frees those that are over. */
void streams_reap(struct worker *);
