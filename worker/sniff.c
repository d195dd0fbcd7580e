/* First bytes: see sniff.h. */
#include "worker/sniff.h"

#include "worker/http.h"

#include <string.h>

#define METHOD_BYTES 32u
#define LINE_BYTES   (16u << 10)	/* a longer first line is none */

static bool is(const char *line, size_t len, const char *version, size_t size)
{
	return len > size && memcmp(line + len - size, version, size) == 0;
}

bool sniff(const char *bytes, size_t len, enum image_application *r)
{
	static const char v10[] = " HTTP/1.0", v11[] = " HTTP/1.1";
	size_t n = 0;
	const char *end;

	*r = APPLICATION_ANY;
	while (n < len && n < METHOD_BYTES && http_token[(unsigned char)bytes[n]] != 0)
		n++;
	if (n == len)
		return false;
	if (n == 0 || bytes[n] != ' ')
		return true;
	if ((end = memchr(bytes, '\n', len < LINE_BYTES ? len : LINE_BYTES)) == NULL)
		return len >= LINE_BYTES;
	len = (size_t)(end - bytes);
	if (len > 0 && bytes[len - 1] == '\r')
		len--;
	if (is(bytes, len, v11, sizeof(v11) - 1))
		*r = APPLICATION_HTTP11;
	else if (is(bytes, len, v10, sizeof(v10) - 1))
		*r = APPLICATION_HTTP10;
	return true;
}
