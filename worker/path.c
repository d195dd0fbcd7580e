/* Dot segments: see path.h. */
#include "worker/path.h"

#include <string.h>

/* Bytes of one dot, as it is or encoded; 0: none here. */
static size_t dot(const char *at, size_t len)
{
	if (len > 0 && at[0] == '.')
		return 1;
	return len > 2 && at[0] == '%' && at[1] == '2' && (at[2] | 32) == 'e' ? 3 : 0;
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

/* 1 or 2: the segment is that many dots; 0: it is not made of dots. */
static unsigned dots(const char *at, size_t len)
{
	size_t one = dot(at, len), two = one > 0 ? dot(at + one, len - one) : 0;

	if (one > 0 && one == len)
		return 1;
	return two > 0 && one + two == len ? 2 : 0;
}

bool path_needs_normalizing(struct http_span path)
{
	if (path.len == 0 || !is_slash(path.at[0]))
		return false;		/* "*", an authority */
	if (memchr(path.at, '\\', path.len) != NULL)
		return true;
	for (const char *p = path.at, *end = p + path.len; (p = memchr(p, '/', (size_t)(end - p))) != NULL; p++) {
		if (dot(p + 1, (size_t)(end - p) - 1) > 0)
			return true;
	}
	return false;
}

size_t path_normalize(char *out, struct http_span path)
{
	const char *at = path.at, *end = at + path.len;
	size_t n = 0;

	while (at < end) {			/* at a slash */
		const char *segment = at + 1, *next = segment;
		unsigned up;

		while (next < end && !is_slash(*next))
			next++;
		up = dots(segment, (size_t)(next - segment));
		if (up == 0) {
			out[n++] = '/';
			memcpy(out + n, segment, (size_t)(next - segment));
			n += (size_t)(next - segment);
		} else if (up == 2) {
			while (n > 0 && out[--n] != '/')
				;
		}
		if (up > 0 && next == end)
			out[n++] = '/';		/* what it names is a folder */
		at = next;
	}
	if (n == 0)
		out[n++] = '/';
	return n;
}
