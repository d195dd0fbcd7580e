/*
 * Bytes of one side of a connection, fed to the codec in pieces, and what came of them as text: for unit tests, fuzz targets and
 * the comparison with h11.  A line for each thing; what is not printable, and '\', is written \xNN:
 *
 *	request METHOD target 1.x, or: response status 1.x reason
 *	path, query, authority, form (requests); flags; body none|length N|chunked|close|told N
 *	field name: value, or "gone name: value"
 *	data ..., trailer name: value, end
 *	tunnel and the bytes after the head; more: the bytes ended within a head; refusals: BAD_...
 */
#pragma once

#include "worker/http1_write.h"

struct feed {
	bool request;
	struct http1_asked asked;	/* by all requests, where these are responses */
	struct http1_limits limits;
	size_t first, piece;		/* bytes of the first piece and of each other one; 0: all there are */
	bool rewrite;			/* text is what we would send on, instead */
	bool meaning;			/* only what passes to the other side, as we would send it: the same for what was rewritten */
	bool body;			/* not messages but one chunked body */
};

extern const struct http1_limits feed_limits;
extern const char *const feed_bads[HTTP1_BAD_COUNT];

/* Terminated, the caller's; *size_r (may be NULL): without its nought. */
char *feed_bytes(const struct feed *, const char *bytes, size_t size, size_t *size_r);
