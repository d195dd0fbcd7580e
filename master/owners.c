/* Names to numbers: see owners.h. */
#include "master/owners.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int read_number(const char *text, char **end_r, uint32_t *number_r)
{
	unsigned long long n;

	if (!isdigit((unsigned char)*text))
		return -1;
	errno = 0;
	n = strtoull(text, end_r, 10);
	if (errno != 0 || n >= UINT32_MAX)		/* (uid_t)-1 is nobody's */
		return -1;
	*number_r = (uint32_t)n;
	return 0;
}

/* "1000" or "1000-1999". */
static bool is_numeric(const char *word, struct owner *o)
{
	char *end;

	if (read_number(word, &end, &o->first) == -1)
		return false;
	o->last = o->first;
	if (*end == '-' && read_number(end + 1, &end, &o->last) == -1)
		return false;
	return *end == '\0' && o->first <= o->last;
}

static bool find_name(enum owner_kind kind, const char *name, uint32_t *number_r)
{
	const struct passwd *pw;
	const struct group *gr;

	if (kind == OWNER_USER && (pw = getpwnam(name)) != NULL)
		*number_r = pw->pw_uid;
	else if (kind == OWNER_GROUP && (gr = getgrnam(name)) != NULL)
		*number_r = gr->gr_gid;
	else
		return false;
	return true;
}

int owner_find(enum owner_kind kind, const char *key, const char *word, struct owner *o, struct err *e)
{
	/* a name first: useradd(8) allows some that are all digits */
	if (find_name(kind, word, &o->first)) {
		o->last = o->first;
		return 0;
	}
	if (is_numeric(word, o))
		return 0;
	return err_set(e, "intercept.%s: there is no %s \"%s\"", key, kind == OWNER_USER ? "user" : "group", word);
}
