/* Giving up root: see rights.h. */
#include "common/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int rights_drop(const char *user, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;		/* started without them, by a test */
	errno = 0;
	if ((pw = getpwnam(user)) == NULL)
		return err_set(e, "user \"%s\": %s", user, errno != 0 ? strerror(errno) : "no such user");
	if (setgroups(0, NULL) == -1 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		return err_set(e, "becoming user \"%s\": %m", user);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_set(e, "prctl: %m");
#ifndef MESHD_SANITIZERS
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		return err_set(e, "prctl: %m");
#endif
	return 0;
}
