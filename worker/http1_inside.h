/* Between the codec's own files. */
#pragma once

#include "worker/http1.h"

#define HTTP1_LENGTH_MAX INT64_MAX	/* of a body or a chunk: fits any off_t and sum of two */

/* Makes it await field lines and the empty line. */
void http1_scan_trailers(struct http1_scan *);

/* Target of the request line (RFC 9112 3.2), with method and target_at/_len set: form, path, query, authority where it has one. */
enum http1_bad http1_read_target(struct http_head *);
/* uri-host [ ":" port ] of RFC 9110 7.2 and RFC 3986 3.2.2, not empty; CONNECT must have the port. */
bool http1_is_authority(const char *at, size_t len, bool with_port);

/* Field lines from `at` to the end, with the empty line: tokenised by llhttp, judged here, numbered. */
enum http1_bad http1_read_fields(struct http_head *, uint32_t at, const struct http1_limits *);
/* Connection: its options, and what they name marked gone; fields of one connection only likewise. */
enum {
	OPTION_CLOSE = 1,
	OPTION_KEEP_ALIVE = 2,
	OPTION_UPGRADE = 4,
};
enum http1_bad http1_read_connection(struct http_head *, unsigned *options_r);
/* Is this word, in lower case, an element of any of these fields' lists (RFC 9110 5.6.1), with or without parameters? */
bool http1_lists(const struct http_head *, enum http_field_id, const char *word);
