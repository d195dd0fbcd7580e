/* Giving up root: see rights.h. */
#include "common/rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Becoming another user empties all sets but the permitted one, which PR_SET_KEEPCAPS saves until it is cut down here. */
static int keep_only(uint32_t capabilities)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { .effective = capabilities, .permitted = capabilities } };

	return (int)syscall(SYS_capset, &head, sets);
}

int rights_drop(const char *user, uint32_t keep, struct err *e)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;		/* started without them, by a test */
	errno = 0;
	if ((pw = getpwnam(user)) == NULL)
		return err_set(e, "user \"%s\": %s", user, errno != 0 ? strerror(errno) : "no such user");
	if (keep != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1)
		return err_set(e, "prctl: %m");
	if (setgroups(0, NULL) == -1 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		return err_set(e, "becoming user \"%s\": %m", user);
	if (keep != 0 && (keep_only(keep) == -1 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1))
		return err_set(e, "keeping capabilities %#x: %m", keep);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_set(e, "prctl: %m");
#ifndef MESHD_SANITIZERS
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		return err_set(e, "prctl: %m");
#endif
	return 0;
}
