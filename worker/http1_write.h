/*
 * HTTP/1.1 messages as we send them, re-framed: nothing of how the other side delimited its message or treats its connection is
 * passed on, only fields for all recipients; then one Content-Length or Transfer-Encoding, and Connection, of ours.
 * The caller brings the memory: http1_*_room() bytes are always enough.  Nothing fails.
 */
#pragma once

#include "worker/http1.h"

struct http1_send {
	struct http_framing framing;	/* of the body as we send it; requests: not CLOSE */
	const struct http_line *lines;	/* fields to add */
	size_t line_count;
	struct http_span path;		/* requests: in place of path and query; at NULL: not */
	struct http_span authority;	/* requests: in place of http_authority(); at NULL: not */
	struct http_span upgrade;	/* Upgrade: this, with Connection: upgrade; at NULL: not */
	bool close;			/* Connection: close */
	bool keep_alive;		/* responses to HTTP/1.0: Connection: keep-alive */
	bool trailers;			/* requests: TE: trailers, with Connection: te */
};

/*
 * A response of our own (a local reply) is a head of zeros but for its status, with its fields in `lines`; it gets
 * http_reason()'s words.
 */

/* At least as many bytes as the head takes. */
size_t http1_head_room(const struct http_head *, const struct http1_send *);
/* Both write fewer than http1_head_room() bytes, and return how many. */
size_t http1_write_request(char *out, const struct http_head *, const struct http1_send *);
size_t http1_write_response(char *out, const struct http_head *, const struct http1_send *);

/*
 * How a response goes on to its client: what has no length of its own is chunked for 1.1 and ends with the connection for 1.0
 * (FRAMING_CLOSE: send.close too).
 */
struct http_framing http1_reframe(struct http_framing, uint8_t client_minor);

/* "size in hex CRLF" before a chunk's data (size > 0); "CRLF" after it is the caller's.  Returns bytes written. */
#define HTTP1_CHUNK_HEAD 18
size_t http1_write_chunk(char out[HTTP1_CHUNK_HEAD], uint64_t size);
/* "0 CRLF", trailers that are not gone (NULL: none), CRLF; the bytes that it takes at most are http1_end_room(). */
size_t http1_end_room(const struct http_head *trailers);
size_t http1_write_end(char *out, const struct http_head *trailers);
