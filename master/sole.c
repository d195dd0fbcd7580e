/* The claim on a network namespace: see sole.h. */
#include "master/sole.h"

#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char name[] = "\0meshd/interception";

static socklen_t address(struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(un->sun_path, name, sizeof(name) - 1);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1);
}

/* Who listens there, by the credentials that the kernel noted at its listen(2). */
static int holder(struct ucred *who)
{
	struct sockaddr_un un;
	socklen_t len = address(&un), size = sizeof(*who);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = -1;

	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&un, len) == 0)
		r = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &size);
	close(fd);
	return r;
}

pid_t sole_holder(void)
{
	struct ucred who;

	return holder(&who) == 0 && who.uid == 0 ? who.pid : 0;
}

int sole_claim(int *fd_r, struct err *e)
{
	struct sockaddr_un un;
	socklen_t len = address(&un);
	struct ucred who;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	*fd_r = -1;
	if (fd == -1)
		return err_set(e, "interception: %m");
	if (bind(fd, (struct sockaddr *)&un, len) == 0 && listen(fd, 8) == 0) {
		*fd_r = fd;
		return 0;
	}
	close(fd);
	if (holder(&who) == 0 && who.uid == 0)
		return err_set(e, "interception: another meshd (pid %d) sets the rules of this network namespace", (int)who.pid);
	log_warning("interception: whether another meshd sets the rules here is not known: somebody else holds its name");
	return 0;
}
