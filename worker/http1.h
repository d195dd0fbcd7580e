/*
 * HTTP/1.1 and 1.0 (RFC 9112): bytes <-> head, data, trailers, end.  Pure: no socket, no clock, no memory but the caller's.
 * What a stream means is for its callers.
 *
 * Reading: http1_scan() finds the end of a head in pieces as they come; the whole head, contiguous, goes to
 * http1_parse_request() or _response(); the body's bytes to http1_body_next(); a trailer section, contiguous, to
 * http1_parse_trailers().  Anything that the RFCs do not allow is refused: an enum http1_bad, whose row says the status to
 * answer with (of a bad response always 502) and the words for the log.  After a refusal the connection is to be closed:
 * where the next message would begin is not known.
 *
 * Writing: see http1_write.h.
 */
#pragma once

#include "worker/http.h"

/* Refusals.  Columns: number, status of the answer, Envoy's response code details, words for people. */
#define HTTP1_BADS(X) \
	X(BAD_LINE_END,		400, "http1.codec_error",		"a CR or LF that is not CRLF, or a NUL") \
	X(BAD_EMPTY_LINES,	400, "http1.codec_error",		"more than one empty line before a message") \
	X(BAD_LINE_LONG,	414, "http1.line_too_long",		"the request line is too long") \
	X(BAD_HEAD_LONG,	431, "http1.headers_too_large",		"the head is too long") \
	X(BAD_FIELD_COUNT,	431, "http1.too_many_headers",		"too many fields") \
	X(BAD_START_LINE,	400, "http1.codec_error",		"not a request line or status line") \
	X(BAD_VERSION,		505, "http1.unsupported_version",	"a version that is not HTTP/1.x") \
	X(BAD_METHOD,		400, "http1.codec_error",		"a method that is not a token") \
	X(BAD_TARGET,		400, "http1.invalid_url",		"a malformed request target") \
	X(BAD_SCHEME,		400, "http1.invalid_scheme",		"a target whose scheme is neither http nor https") \
	X(BAD_FIELD_NAME,	400, "http1.codec_error",		"a field name that is not a token, or white space before its colon") \
	X(BAD_FIELD_VALUE,	400, "http1.invalid_characters",	"a control byte in a field value") \
	X(BAD_FOLD,		400, "http1.codec_error",		"a field that is folded over lines") \
	X(BAD_HOST_MISSING,	400, "missing_host_header",		"no Host") \
	X(BAD_HOST_REPEATED,	400, "http1.codec_error",		"more than one Host") \
	X(BAD_HOST,		400, "http1.invalid_host",		"a malformed Host or authority") \
	X(BAD_LENGTH,		400, "http1.invalid_content_length",	"a malformed Content-Length, or one too large") \
	X(BAD_LENGTH_REPEATED,	400, "http1.invalid_content_length",	"more than one Content-Length") \
	X(BAD_LENGTH_AND_CODING, 400, "http1.content_length_and_chunked_not_allowed", "Content-Length with Transfer-Encoding") \
	X(BAD_LENGTH_FORBIDDEN,	400, "http1.content_length_not_allowed", "Content-Length where there is no body") \
	X(BAD_CODING,		501, "http1.invalid_transfer_encoding",	"a transfer coding other than chunked") \
	X(BAD_CODING_ORDER,	400, "http1.invalid_transfer_encoding",	"a Transfer-Encoding that is not chunked once") \
	X(BAD_CODING_FORBIDDEN,	400, "http1.transfer_encoding_not_allowed", "Transfer-Encoding where it is not allowed") \
	X(BAD_CONNECTION,	400, "http1.connection_header_rejected", "Connection names a field that is for all recipients") \
	X(BAD_OPTIONS,		400, "http1.connection_header_rejected", "a malformed Connection, or too many options in it") \
	X(BAD_UPGRADE,		400, "http1.codec_error",		"101 without an upgrade that was asked for") \
	X(BAD_CHUNK_SIZE,	400, "http1.codec_error",		"a malformed chunk size, or one too large") \
	X(BAD_CHUNK_EXT,	400, "http1.codec_error",		"a malformed chunk extension, or too many bytes of them") \
	X(BAD_CHUNK_END,	400, "http1.codec_error",		"a chunk that does not end where it should") \
	X(BAD_BODY_LONG,	413, "http1.body_too_long",		"the body is longer than is allowed") \
	X(BAD_TRAILER_LONG,	431, "http1.headers_too_large",		"the trailer section is too long") \
	X(BAD_TRAILER_FIELD,	400, "http1.invalid_trailer",		"a field that is not allowed in trailers") \
	X(BAD_CUT,		400, "http1.body_cut",			"the connection ended within the message")

enum http1_bad {
	HTTP1_OK,
#define X(id, status, details, words) id,
	HTTP1_BADS(X)
#undef X
	HTTP1_BAD_COUNT
};
struct http1_bad_row {
	uint16_t status;
	const char *details, *words;
};
extern const struct http1_bad_row http1_bads[HTTP1_BAD_COUNT];

struct http1_limits {
	uint32_t line_bytes;		/* of the start line */
	uint32_t head_bytes;		/* of the head with its start line; and of a trailer section */
	uint16_t fields;		/* http_head.room where that is less */
	uint16_t ext_chunk;		/* bytes of extensions of one chunk, */
	uint32_t ext_body;		/* and of a whole body */
	uint64_t body_bytes;		/* of a whole body, its framing aside; 0: any number */
};

/*
 * Where does the head end?  Zero it (scan.request set for requests) before a message.  Each call takes the next piece.
 * SCAN_MORE: the whole piece is of the head.  SCAN_HEAD: its first *used_r bytes are, and end it; scan.lead bytes (0, or 2 for
 * the one empty line that RFC 9112 2.2 tolerates before a request) are to be left out of its beginning.  SCAN_BAD: *bad_r.
 */
enum http1_scanned { SCAN_MORE, SCAN_HEAD, SCAN_BAD };
struct http1_scan {
	uint32_t bytes;			/* so far, with those of lead */
	uint8_t state;
	uint8_t lead;
	bool request;
	bool lined;			/* the start line is over */
};
enum http1_scanned http1_scan(struct http1_scan *, const char *piece, size_t size, const struct http1_limits *, size_t *used_r,
    enum http1_bad *bad_r);

/* What the head says about its own message and connection. */
struct http1_meaning {
	struct http_framing framing;
	bool keep_alive;		/* the sender lets the connection live on after this message (framing CLOSE: no) */
	bool upgrade;			/* request: asks for it (FIELD_UPGRADE names the protocols, Connection upgrade); response: 101 */
	bool expect_continue;		/* 1.1 only, and only where a body follows */
	bool trailers;			/* TE: trailers */
	bool interim;			/* response 1xx but not 101: another head follows */
	bool tunnel;			/* after this head there is no HTTP: 101, or 2xx to CONNECT */
};

/* What a response answers. */
struct http1_asked {
	uint8_t method;
	bool upgrade;			/* it went out with Upgrade */
};

/*
 * Whole heads: bytes[0, size) from the start line to the empty line, as scanned.  head->fields and room are the caller's, set
 * before; all else of *head and *meaning is set here.  Fields of one connection only, and those that Connection names, are
 * marked gone.
 */
enum http1_bad http1_parse_request(const char *bytes, size_t size, const struct http1_limits *, struct http_head *, struct http1_meaning *);
enum http1_bad http1_parse_response(const char *bytes, size_t size, const struct http1_limits *, struct http1_asked, struct http_head *,
    struct http1_meaning *);
/* Field lines and the empty line (or only that).  The head has no start line. */
enum http1_bad http1_parse_trailers(const char *bytes, size_t size, const struct http1_limits *, struct http_head *);

/*
 * A body as it comes.  http1_body_next() takes from bytes what it says in *used_r and tells of one thing:
 *   BODY_MORE	all was taken, nothing more in it (used == size)
 *   BODY_DATA	*data_r lies in bytes
 *   BODY_TRAILER	*data_r is the next piece of the trailer section, with the empty line that ends it; to be gathered for
 *		http1_parse_trailers() at BODY_END, which need not be called if none came.
 *   BODY_END	the message is over; what was not used is the next one's.  At once where there is no body.
 *   BODY_BAD	*bad_r
 * It is called until used == size and the answer is BODY_MORE; or until BODY_END or BODY_BAD, and never after that.
 */
enum http1_body_event { BODY_MORE, BODY_DATA, BODY_TRAILER, BODY_END, BODY_BAD };
struct http1_body {
	uint64_t left;			/* of LENGTH, or of this chunk */
	uint64_t chunks;		/* bytes of all chunks so far, this one included */
	uint32_t ext_chunk, ext_body;	/* bytes of extensions so far */
	uint8_t digits;			/* of this chunk's size */
	struct http1_scan scan;		/* of the trailer section */
	uint8_t kind;			/* enum http_framing_kind */
	uint8_t state;
};
void http1_body_begin(struct http1_body *, struct http_framing);
/* The next answer is BODY_END, whatever comes: true after the BODY_DATA that completes a LENGTH, or the last BODY_TRAILER. */
bool http1_body_over(const struct http1_body *);
enum http1_body_event http1_body_next(struct http1_body *, const char *bytes, size_t size, const struct http1_limits *, size_t *used_r,
    struct http_span *data_r, enum http1_bad *bad_r);
/* The sender's side has ended: HTTP1_OK where that ends the body (CLOSE, or it was over), else BAD_CUT. */
enum http1_bad http1_body_eof(const struct http1_body *);
/* Bytes that are certainly data, so that they may be moved unseen; UINT64_MAX for CLOSE; 0: ask http1_body_next(). */
uint64_t http1_body_run(const struct http1_body *);
/* So many of them were moved; no more than http1_body_run().  Then http1_body_next(), with 0 bytes too, says whether it is over. */
void http1_body_moved(struct http1_body *, uint64_t bytes);
