/* Finding the programs of ours: see program.h. */
#include "common/program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int beside(const char *name, char path_r[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return -1;
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) == NULL)
		return -1;
	*slash = '\0';
	if (snprintf(path_r, PATH_MAX, "%s/%s", self, name) >= PATH_MAX)
		return -1;
	return access(path_r, X_OK);
}

int program_find(const char *name, char path_r[PATH_MAX], struct err *e)
{
	static const char *const folders[] = { MESHD_LIBEXECDIR, MESHD_SBINDIR };

	if (beside(name, path_r) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path_r, PATH_MAX, "%s/%s", folders[i], name);
		if (access(path_r, X_OK) == 0)
			return 0;
	}
	return err_set(e, "%s: neither beside this program nor in %s or %s", name, folders[0], folders[1]);
}
