/* First bytes: see sniff.h. */
#include "worker/sniff.h"

#include <string.h>

#define LINE_BYTES (16u << 10)	/* a longer first line is none */

/* IANA's registry of HTTP methods: what begins with none of them need not be waited for. */
static const char *const methods[] = {
	"ACL ", "BASELINE-CONTROL ", "BIND ", "CHECKIN ", "CHECKOUT ", "CONNECT ", "COPY ", "DELETE ", "GET ", "HEAD ", "LABEL ",
	"LINK ", "LOCK ", "M-SEARCH ", "MERGE ", "MKACTIVITY ", "MKCALENDAR ", "MKCOL ", "MKREDIRECTREF ", "MKWORKSPACE ", "MOVE ",
	"NOTIFY ", "OPTIONS ", "ORDERPATCH ", "PATCH ", "POST ", "PROPFIND ", "PROPPATCH ", "PURGE ", "PUT ", "QUERY ", "REBIND ",
	"REPORT ", "SEARCH ", "SUBSCRIBE ", "TRACE ", "UNBIND ", "UNCHECKOUT ", "UNLINK ", "UNLOCK ", "UNSUBSCRIBE ", "UPDATE ",
	"UPDATEREDIRECTREF ", "VERSION-CONTROL ",
};

static bool may_begin(const char *bytes, size_t len, bool *whole_r)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t size = strlen(methods[i]);

		if (memcmp(bytes, methods[i], len < size ? len : size) == 0) {
			*whole_r = len >= size;
			return true;
		}
	}
	return false;
}

static bool ends(const char *line, size_t len, const char *version, size_t size)
{
	return len > size && memcmp(line + len - size, version, size) == 0;
}

bool sniff(const char *bytes, size_t len, enum image_application *r)
{
	static const char v10[] = " HTTP/1.0", v11[] = " HTTP/1.1";
	bool whole;
	const char *end;

	*r = APPLICATION_ANY;
	if (!may_begin(bytes, len, &whole))
		return true;
	if (!whole)
		return false;
	if ((end = memchr(bytes, '\n', len < LINE_BYTES ? len : LINE_BYTES)) == NULL)
		return len >= LINE_BYTES;
	len = (size_t)(end - bytes);
	if (len > 0 && bytes[len - 1] == '\r')
		len--;
	if (ends(bytes, len, v11, sizeof(v11) - 1))
		*r = APPLICATION_HTTP11;
	else if (ends(bytes, len, v10, sizeof(v10) - 1))
		*r = APPLICATION_HTTP10;
	return true;
}
