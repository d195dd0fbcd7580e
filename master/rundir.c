/* RUNDIR: see rundir.h. */
#include "master/rundir.h"

#include "common/control.h"
#include "common/log.h"
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK  "lock"
#define ALIVE "alive"
#define BACKLOG 64

/* ---- names ---- */

static int find_user(const char *key, const char *name, uid_t *uid_r, gid_t *gid_r, struct err *e)
{
	const struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return err_set(e, "%s: there is no user \"%s\": create it with \"useradd --system %s\"%s%s", key, name, name,
		    errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
	/* its connections are told from the applications' by this number */
	if (pw->pw_uid == 0)
		return err_set(e, "%s: \"%s\" is root: it has to be a user of its own", key, name);
	*uid_r = pw->pw_uid;
	*gid_r = pw->pw_gid;
	return 0;
}

static int find_group(const char *name, gid_t *gid_r, struct err *e)
{
	const struct group *gr;

	if ((gr = getgrnam(name)) == NULL)
		return err_set(e, "admin_group: there is no group \"%s\": create it with \"groupadd --system %s\"", name, name);
	*gid_r = gr->gr_gid;
	return 0;
}

static int keep(char *to, size_t size, const char *key, const char *text, struct err *e)
{
	if (snprintf(to, size, "%s", text) >= (int)size)
		return err_set(e, "%s: longer than %zu bytes", key, size - 1);
	return 0;
}

int fixed_read(struct fixed *f, const struct image *i, struct err *e)
{
	const struct image_settings *s = image_settings(i);
	gid_t agent_gid;

	if (keep(f->user, sizeof(f->user), "user", image_text(i, s->user), e) == -1 ||
	    keep(f->agent_user, sizeof(f->agent_user), "agent_user", image_text(i, s->agent_user), e) == -1 ||
	    keep(f->admin_group, sizeof(f->admin_group), "admin_group", image_text(i, s->admin_group), e) == -1 ||
	    keep(f->runtime_dir, sizeof(f->runtime_dir), "runtime_dir", image_text(i, s->runtime_dir), e) == -1)
		return -1;
	f->workers_wanted = s->workers;
	f->intercept = s->intercept;
	if (find_user("user", f->user, &f->worker_uid, &f->worker_gid, e) == -1 ||
	    find_user("agent_user", f->agent_user, &f->agent_uid, &agent_gid, e) == -1)
		return -1;
	return find_group(f->admin_group, &f->admin_gid, e);
}

/* ---- the folder ---- */

static int path_of(const struct master *m, const char *name, char *path_r, size_t size, struct err *e)
{
	if (snprintf(path_r, size, "%s/%s", m->fixed.runtime_dir, name) >= (int)size)
		return err_set(e, "runtime_dir: %s is too long", m->fixed.runtime_dir);
	return 0;
}

static int refuse_second(const struct master *m, int fd, struct err *e)
{
	char pid[24] = "";

	if (pread(fd, pid, sizeof(pid) - 1, 0) > 0)
		pid[strcspn(pid, "\n")] = '\0';
	return err_set(e, "%s: another meshd (pid %s) runs here", m->fixed.runtime_dir, *pid != '\0' ? pid : "unknown");
}

/* The one that went before removes the file: what we have locked must still be what lies there. */
static bool is_the_file(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static int take_lock(struct master *m, struct err *e)
{
	char path[PATH_MAX], pid[24];
	int fd, n;

	if (path_of(m, LOCK, path, sizeof(path), e) == -1)
		return -1;
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd == -1)
			return err_set(e, "%s: %m", path);
		if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
			refuse_second(m, fd, e);
			close(fd);
			return -1;
		}
		if (is_the_file(fd, path))
			break;
		close(fd);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == -1 || pwrite(fd, pid, (size_t)n, 0) != n) {
		err_set(e, "%s: %m", path);
		close(fd);
		return -1;
	}
	m->lock_fd = fd;
	return 0;
}

/* Waits for a --post-stop that takes rules out just now: ours come later. */
static int take_alive(struct master *m, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (path_of(m, ALIVE, path, sizeof(path), e) == -1)
		return -1;
	/* for reading: workers have it too, and are not to write to it */
	m->alive_fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (m->alive_fd == -1)
		return err_set(e, "%s: %m", path);
	m->beside_orphans = flock(m->alive_fd, LOCK_EX | LOCK_NB) == -1;
	do
		r = flock(m->alive_fd, LOCK_SH);
	while (r == -1 && errno == EINTR);
	if (r == -1 || fstat(m->alive_fd, &st) == -1)
		return err_set(e, "%s: %m", path);
	m->rules_left = st.st_size > 0;
	return 0;
}

/* Whoever owns the folder, or a link to it, can put files and sockets of his own in the place of ours. */
static int check_owner(const char *dir, const struct stat *folder, struct err *e)
{
	struct stat name;
	uid_t owner = folder->st_uid;

	if (geteuid() != 0)
		return 0;
	if (lstat(dir, &name) == -1)
		return err_set(e, "runtime_dir: %s: %m", dir);
	if (owner == 0)
		owner = name.st_uid;
	if (owner == 0)
		return 0;
	return err_set(e, "runtime_dir: %s belongs to uid %u: it has to be root's own, or not to exist yet", dir, (unsigned)owner);
}

static int prepare_folder(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct stat st;

	if (fd == -1)
		return err_set(e, "runtime_dir: %s: %m", dir);
	r = fstat(fd, &st) == -1 ? err_set(e, "runtime_dir: %s: %m", dir) : check_owner(dir, &st, e);
	if (r == 0 && fchmod(fd, 0755) == -1)		/* whatever umask there is */
		r = err_set(e, "runtime_dir: %s: %m", dir);
	close(fd);
	return r;
}

int rundir_open(struct master *m, struct err *e)
{
	const char *dir = m->fixed.runtime_dir;

	m->made_runtime_dir = mkdir(dir, 0755) == 0;
	if (!m->made_runtime_dir && errno != EEXIST)
		return err_set(e, "runtime_dir: %s: %m", dir);
	if (prepare_folder(dir, e) == -1)
		return -1;
	if (take_lock(m, e) == -1)
		return -1;
	return take_alive(m, e);
}

static const char *const exit_words[] = { [ON_EXIT_BYPASS] = "bypass\n", [ON_EXIT_BLOCK] = "block\n" };

void rundir_mark(const struct master *m, enum image_on_exit on_exit)
{
	char path[PATH_MAX];
	struct err e;
	int fd;

	if (path_of(m, ALIVE, path, sizeof(path), &e) == -1)
		return;
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 || write(fd, exit_words[on_exit], strlen(exit_words[on_exit])) == -1)
		log_warning("%s: %m", path);
	if (fd != -1)
		close(fd);
}

bool rundir_is_locked(const char *dir)
{
	char path[PATH_MAX];
	bool locked;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, LOCK);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return false;
	locked = flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	close(fd);
	return locked;
}

int rundir_look(const char *dir, enum image_on_exit *on_exit_r)
{
	char path[PATH_MAX], word[16] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, ALIVE);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return -1;
	if (pread(fd, word, sizeof(word) - 1, 0) > 0) {
		if (strcmp(word, exit_words[ON_EXIT_BLOCK]) == 0)
			*on_exit_r = ON_EXIT_BLOCK;
		else
			*on_exit_r = ON_EXIT_BYPASS;
	}
	return fd;
}

int rundir_listen(const struct master *m, const char *name, int type, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old;

	if (fd == -1)
		return err_set(e, "%s: %m", name);
	if (path_of(m, name, un.sun_path, sizeof(un.sun_path), e) == -1)
		goto fail;
	unlink(un.sun_path);			/* left by one that was killed: we have the lock */
	old = umask(0777);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		umask(old);
		err_set(e, "%s: %m", un.sun_path);
		goto fail;
	}
	umask(old);
	if (chown(un.sun_path, 0, m->fixed.admin_gid) == -1 || chmod(un.sun_path, 0660) == -1 || listen(fd, BACKLOG) == -1) {
		err_set(e, "%s: %m", un.sun_path);
		unlink(un.sun_path);
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return -1;
}

void rundir_close(struct master *m)
{
	static const char *const names[] = { CONTROL_SOCKET, ADMIN_SOCKET, LOCK };
	char path[PATH_MAX];
	struct err e;

	if (m->lock_fd == -1)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (path_of(m, names[i], path, sizeof(path), &e) == 0)
			unlink(path);
	}
	if (!m->rules_left && flock(m->alive_fd, LOCK_EX | LOCK_NB) == 0 && path_of(m, ALIVE, path, sizeof(path), &e) == 0)
		unlink(path);
	if (m->made_runtime_dir)
		rmdir(m->fixed.runtime_dir);
	close(m->lock_fd);
	m->lock_fd = -1;
}
