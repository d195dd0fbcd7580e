/* Istio's names: see name.h. */
#include "ctl/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool take_direction(const char *from, size_t n, struct cluster_name *c)
{
	static const char *const words[] = { "inbound", "outbound" };

	for (size_t i = 0; i < 2; i++) {
		if (n == strlen(words[i]) && memcmp(from, words[i], n) == 0) {
			strcpy(c->direction, words[i]);
			return true;
		}
	}
	return false;
}

static bool take_port(const char *from, size_t n, struct cluster_name *c)
{
	if (n > 5 || strspn(from, "0123456789") != n)
		return false;
	c->port = n > 0 ? atoi(from) : 0;
	return c->port <= 65535;
}

static bool take_text(const char *from, size_t n, char to[232])
{
	if (n >= 232 || memchr(from, '|', n) != NULL)
		return false;
	memcpy(to, from, n);
	to[n] = '\0';
	return true;
}

static bool split(const char *name, struct cluster_name *c)
{
	const char *begin[4] = { name };

	for (int i = 1; i < 4; i++) {
		const char *bar = strchr(begin[i - 1], '|');

		if (bar == NULL)
			return false;
		begin[i] = bar + 1;
	}
	return take_direction(begin[0], (size_t)(begin[1] - begin[0] - 1), c) &&
	    take_port(begin[1], (size_t)(begin[2] - begin[1] - 1), c) &&
	    take_text(begin[2], (size_t)(begin[3] - begin[2] - 1), c->subset) &&
	    take_text(begin[3], strlen(begin[3]), c->fqdn);
}

bool cluster_name_split(const char *name, struct cluster_name *c)
{
	memset(c, 0, sizeof(*c));
	if (split(name, c))
		return true;
	memset(c, 0, sizeof(*c));
	snprintf(c->fqdn, sizeof(c->fqdn), "%s", name);
	return false;
}

int cluster_name_compare(const struct cluster_name *a, const struct cluster_name *b)
{
	int c;

	if ((c = strcmp(a->fqdn, b->fqdn)) != 0 || (c = strcmp(a->subset, b->subset)) != 0)
		return c;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return strcmp(a->direction, b->direction);
}
