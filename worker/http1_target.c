/* Request targets and authorities: RFC 9112 3.2, RFC 3986 3.2. */
#include "worker/http1_inside.h"

#include <string.h>
#include <strings.h>

/* Of path and query: all that is visible but '#' (a fragment is never sent).  What RFC 3986 has browsers encode, and they do not, passes. */
static const bool in_target[256] = { ['!' ... '"'] = true, ['$' ... '~'] = true };
/* Of a registered name: unreserved and sub-delims; '%' is looked at apart. */
static const bool in_name[256] = {
	['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['-'] = true, ['.'] = true, ['_'] = true, ['~'] = true,
	['!'] = true, ['$'] = true, ['&'] = true, ['\''] = true, ['('] = true, [')'] = true, ['*'] = true, ['+'] = true, [','] = true,
	[';'] = true, ['='] = true,
};
static const bool in_address[256] = {
	['0' ... '9'] = true, ['a' ... 'f'] = true, ['A' ... 'F'] = true, [':'] = true, ['.'] = true,
};
static const bool in_hex[256] = { ['0' ... '9'] = true, ['a' ... 'f'] = true, ['A' ... 'F'] = true };

static bool all_of(const bool *table, const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!table[(unsigned char)at[i]])
			return false;
	}
	return true;
}

/* Length of the host at the beginning; 0: malformed, or empty. */
static size_t host_len(const char *at, size_t len)
{
	size_t n = 0;

	if (len > 0 && at[0] == '[') {
		const char *end = memchr(at, ']', len);

		n = end != NULL ? (size_t)(end - at) : 0;
		return n > 2 && all_of(in_address, at + 1, n - 1) && memchr(at, ':', n) != NULL ? n + 1 : 0;
	}
	for (; n < len && at[n] != ':'; n++) {
		if (in_name[(unsigned char)at[n]])
			continue;
		if (at[n] != '%' || len - n < 3 || !all_of(in_hex, at + n + 1, 2))
			return 0;
	}
	return n;
}

bool http1_is_authority(const char *at, size_t len, bool with_port)
{
	size_t n = host_len(at, len);
	uint32_t port = 0;

	if (n == 0)
		return false;
	if (n == len)
		return !with_port;
	if (at[n] != ':' || (with_port && n + 1 == len))
		return false;
	for (n++; n < len; n++) {
		if (at[n] < '0' || at[n] > '9' || (port = port * 10 + (uint32_t)(at[n] - '0')) > 65535)
			return false;
	}
	return true;
}

/* Path and query, from here to the target's end. */
static void split(struct http_head *h, uint32_t at)
{
	uint32_t len = h->target_at + h->target_len - at;
	const char *mark = memchr(h->bytes + at, '?', len);

	h->path_at = at;
	h->path_len = mark != NULL ? (uint32_t)(mark - h->bytes) - at : len;
	h->query_len = len - h->path_len;
}

static enum http1_bad read_absolute(struct http_head *h)
{
	const char *target = h->bytes + h->target_at;
	uint32_t scheme, end;

	if (h->target_len >= 7 && strncasecmp(target, "http://", 7) == 0)
		scheme = 7;
	else if (h->target_len >= 8 && strncasecmp(target, "https://", 8) == 0)
		scheme = 8;
	else
		return memchr(target, ':', h->target_len) != NULL ? BAD_SCHEME : BAD_TARGET;
	for (end = scheme; end < h->target_len && target[end] != '/' && target[end] != '?';)
		end++;
	if (!http1_is_authority(target + scheme, end - scheme, false))	/* '@' is not of it: RFC 9110 4.2.4 */
		return BAD_HOST;
	h->form = FORM_ABSOLUTE;
	h->https = scheme == 8;
	h->authority_at = h->target_at + scheme;
	h->authority_len = end - scheme;
	split(h, h->target_at + end);
	return HTTP1_OK;
}

enum http1_bad http1_read_target(struct http_head *h)
{
	const char *target = h->bytes + h->target_at;

	h->path_at = h->authority_at = h->target_at;
	h->path_len = h->query_len = h->authority_len = 0;
	h->https = false;
	if (h->target_len == 0 || !all_of(in_target, target, h->target_len))
		return BAD_TARGET;
	if (h->method == METHOD_CONNECT) {
		h->form = FORM_AUTHORITY;
		h->authority_len = h->target_len;
		return http1_is_authority(target, h->target_len, true) ? HTTP1_OK : BAD_TARGET;
	}
	if (target[0] == '/') {
		h->form = FORM_ORIGIN;
		split(h, h->target_at);
		return HTTP1_OK;
	}
	if (h->target_len == 1 && target[0] == '*') {
		h->form = FORM_ASTERISK;
		h->path_len = 1;
		return h->method == METHOD_OPTIONS ? HTTP1_OK : BAD_TARGET;
	}
	return read_absolute(h);
}
