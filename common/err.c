/* One error, in words: see err.h. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int err_prepend(struct err *e, const char *fmt, ...)
{
	char before[sizeof(e->text)];
	int saved = errno;
	va_list ap;
	size_t n;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(before, sizeof(before), fmt, ap);
	va_end(ap);

	n = strlen(before);
	if (n + 2 < sizeof(before)) {
		snprintf(before + n, sizeof(before) - n, ": %.*s", (int)(sizeof(before) - n - 3), e->text);
	}
	memcpy(e->text, before, sizeof(before));
	errno = saved;
	return -1;
}
