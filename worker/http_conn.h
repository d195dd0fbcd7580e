/*
 * A client's connection that speaks HTTP/1.
 *
 *   idle <-> head -> busy -> idle ...        lingering -> closing -> freed
 *
 * It owns the transport, what was received and not used yet, and at most one stream: requests behind that one wait in `in`.
 * Between requests it holds a generation, the newest that names its chain, and no memory but itself.
 */
#pragma once

#include "worker/downstream.h"
#include "worker/http1.h"
#include "worker/inbuf.h"
#include "worker/transport.h"

struct stream;

enum http_conn_state {
	HTTP_IDLE,		/* between requests */
	HTTP_HEAD,		/* a head has begun to come */
	HTTP_BUSY,		/* it has a stream */
	HTTP_LINGERING,		/* the last answer is out: what still comes is thrown away, so that no reset overtakes it */
	HTTP_CLOSING,
};

struct http_conn {
	struct transport transport;		/* first: owner of operations */
	struct downstream head;
	struct generation *generation;		/* held */
	const struct image_http *http;		/* in it */
	struct stream *stream;			/* NULL: none */
	struct inbuf in;
	struct http1_scan scan;
	uint64_t since_ms;			/* of the state it is in */
	uint64_t received, sent;
	uint32_t requests;
	uint32_t buffer_limit;
	uint16_t waiting;			/* heads in `in`, as far as empty lines tell */
	uint8_t state;
	bool feeding : 1;			/* `in` is being looked at: whoever wants that is heard */
	bool handed_over : 1;			/* its head and its descriptor are a tunnel's now */
	bool uploads : 1;			/* sends bodies: its receives are single ones */
};

/* As conn_begin(). */
int http_conn_begin(const struct arrival *, const struct image_http *);
/* The stream is over: what may follow it on its connection. */
enum http_after {
	HTTP_KEEP,		/* the next request */
	HTTP_END,		/* its end, at once */
	HTTP_LINGER,		/* its end, after what is still on its way was thrown away */
	HTTP_BREAK,		/* a reset: the answer is not whole */
};
void http_conn_stream_over(struct http_conn *, enum http_after);
/* Credit, or a new turn: uses what waits, reads on. */
void http_conn_go_on(struct http_conn *);
/* It ends now, with the stream that it may have. */
void http_conn_close(struct http_conn *, enum conn_end, bool reset);
/* What it was is a tunnel now. */
void http_conn_leave(struct http_conn *);
/* Deadlines may have come nearer. */
void http_conn_hurry(struct http_conn *);
/* No further request will be answered. */
bool http_conn_is_ending(const struct http_conn *);
struct http_conn *http_conn_of(struct downstream *);
