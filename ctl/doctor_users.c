/* doctor: meshd's users, and the folder of its sockets. */
#include "ctl/doctor.h"
#include "ctl/processes.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct account {
	const char *key;		/* of the configuration, and its default */
	const char *name;
	uid_t uid;
	bool there;
};

/* Is there such a user, and is it no one's but ours? */
static void check_user(struct doctor *d, struct account *a)
{
	const struct passwd *pw;
	char remedy[160];

	a->name = doctor_setting(d, a->key, a->name);
	a->there = (pw = getpwnam(a->name)) != NULL;
	if (!a->there) {
		snprintf(remedy, sizeof(remedy), "useradd --system --no-create-home --shell /usr/sbin/nologin %.32s", a->name);
		doctor_say(d, a->key, FINDING_BAD, remedy, "there is no user \"%s\"", a->name);
	} else if ((a->uid = pw->pw_uid) == 0) {
		snprintf(remedy, sizeof(remedy), "give it one of its own: %s in meshd.conf", a->key);
		doctor_say(d, a->key, FINDING_BAD, remedy, "\"%s\" is root: nothing that root sends would be caught", a->name);
	} else {
		doctor_say(d, a->key, FINDING_OK, NULL, "\"%s\", uid %u", a->name, (unsigned)a->uid);
	}
}

static void check_group(struct doctor *d)
{
	const char *name = doctor_setting(d, "admin_group", "meshd-admin");
	const struct group *g = getgrnam(name);
	char remedy[96];

	snprintf(remedy, sizeof(remedy), "groupadd --system %.32s", name);
	if (g == NULL)
		doctor_say(d, "admin_group", FINDING_BAD, remedy, "there is no group \"%s\"", name);
	else
		doctor_say(d, "admin_group", FINDING_OK, NULL, "\"%s\", gid %u", name, (unsigned)g->gr_gid);
}

/* ---- who shares them ---- */

struct search {
	const struct account *accounts;	/* two */
	struct process found;
	const struct account *whose;	/* NULL: nobody was found */
};

static bool is_stranger(void *arg, const struct process *p)
{
	struct search *s = arg;

	if (process_is_meshd(p) || !process_shares_network(p))
		return false;
	for (unsigned i = 0; i < 2 && s->whose == NULL; i++) {
		const struct account *a = &s->accounts[i];

		if (a->there && a->uid != 0 && (p->uid == a->uid || p->socket_uid == a->uid))
			s->whose = a;
	}
	s->found = *p;
	return s->whose != NULL;
}

static void check_strangers(struct doctor *d, const struct account accounts[2])
{
	struct search s = { .accounts = accounts };

	processes_each(is_stranger, &s);
	if (s.whose != NULL)
		doctor_say(d, "strangers", FINDING_BAD, "let it run as a user of its own, or give meshd another one (user, agent_user)",
		    "process %d (%s) runs as %s \"%s\": its connections are never caught", (int)s.found.pid, s.found.name,
		    s.whose->key, s.whose->name);
	else
		doctor_say(d, "strangers", FINDING_OK, NULL, "nobody else runs as meshd's users");
}

/* ---- the folder ---- */

static void check_folder(struct doctor *d)
{
	const char *folder = d->ctl->rundir;
	char remedy[256];
	struct stat st;

	snprintf(remedy, sizeof(remedy), "chown root:root %.90s; chmod 755 %.90s", folder, folder);
	if (lstat(folder, &st) == -1 && errno == ENOENT)
		doctor_say(d, "runtime_dir", FINDING_OK, NULL, "%s is not there: meshd makes it", folder);
	else if (errno == EACCES)
		doctor_say(d, "runtime_dir", FINDING_UNSEEN, "run it as root", "%s", folder);
	else if (!S_ISDIR(st.st_mode))
		doctor_say(d, "runtime_dir", FINDING_BAD, "remove it, or name another one in meshd.conf", "%s is no folder", folder);
	else if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		doctor_say(d, "runtime_dir", FINDING_BAD, remedy, "%s: owner %u, mode %04o: others than root may write there", folder,
		    (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
	else
		doctor_say(d, "runtime_dir", FINDING_OK, NULL, "%s belongs to root alone", folder);
}

void doctor_users(struct doctor *d)
{
	struct account accounts[2] = { { .key = "user", .name = "meshd" }, { .key = "agent_user", .name = "meshd-agent" } };

	check_user(d, &accounts[0]);
	check_user(d, &accounts[1]);
	check_group(d);
	check_strangers(d, accounts);
	check_folder(d);
}
