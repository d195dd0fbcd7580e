/*
 * HTTP filters: a table of operations on the events of a stream, run in order on the way in and backwards on the way out.
 * The last one is the router (router.h), which takes the request to an endpoint.
 */
#pragma once

#include "worker/http.h"

struct stream;

enum verdict {
	GO,		/* the next filter's turn */
	WAIT,		/* not now: the filter calls stream_resume() */
	REPLIED,	/* the filter has answered by stream_reply(), or ended the stream */
};

/* NULL: not its business. */
struct http_filter {
	const char *name;
	enum verdict (*request)(struct stream *, struct http_head *);
	/* Final heads, the replies of our own too. */
	void (*response)(struct stream *, struct http_head *);
	/* The stream is over: what it holds for it is given back. */
	void (*over)(struct stream *);
};

extern const struct http_filter filter_headers, filter_router;
