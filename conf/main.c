/*
 * meshd-conf FILE FOLDER: one load of a configuration.  It opens nothing: its starter (common/confrun.c) answers each
 * request for a file with a descriptor.  Exit 0: the image is filled; 1: the report is; 2: not started as it must be.
 */
#include "common/ask.h"
#include "common/err.h"
#include "common/heritage.h"
#include "common/wire.h"
#include "conf/confine.h"
#include "conf/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ask(void *arg, const char *path)
{
	struct ask_answer answer;
	struct ask question;
	int fd = -1, sock = *(int *)arg;

	memset(&question, 0, sizeof(question));
	if (strlen(path) >= sizeof(question.path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(question.path, path);
	if (record_send(sock, &question, sizeof(question), -1) == -1)
		return -1;
	if (record_receive(sock, &answer, sizeof(answer), &fd) != 1 || (answer.error == 0 && fd == -1)) {
		errno = EIO;
		return -1;
	}
	if (answer.error == 0)
		return fd;
	if (fd != -1)
		close(fd);
	errno = answer.error;
	return -1;
}

static int receive(struct heritage *h, struct load *l, int *sock_r, struct err *e)
{
	if (heritage_receive(h, e) == -1)
		return -1;
	*sock_r = heritage_take(h, HERITAGE_ASK);
	l->image_fd = heritage_take(h, HERITAGE_IMAGE);
	l->report_fd = heritage_take(h, HERITAGE_REPORT);
	l->print_fd = heritage_take(h, HERITAGE_PRINT);
	if (*sock_r == -1 || l->image_fd == -1 || l->report_fd == -1)
		return err_set(e, "not all of ask, image and report were handed over");
	if (fcntl(*sock_r, F_SETFL, 0) == -1)		/* the other end does not block, this one waits */
		return err_set(e, "ask: %m");
	return 0;
}

/* Not a byte of a file has been read yet. */
static int give_up_rights(int sock, struct err *e)
{
#ifndef MESHD_SANITIZERS		/* they open files and trace themselves */
	return confine(sock, e);
#else
	(void)sock;
	(void)e;
	return 0;
#endif
}

int main(int argc, char **argv)
{
	static struct heritage heritage;
	struct load l = { .open = ask };
	struct err e;
	int sock;

	if (argc != 3) {
		fprintf(stderr, "meshd-conf: started by meshd and meshctl only\n");
		return 2;
	}
	l.file = argv[1];
	l.folder = argv[2];
	l.arg = &sock;
	if (receive(&heritage, &l, &sock, &e) == -1 || give_up_rights(sock, &e) == -1) {
		fprintf(stderr, "meshd-conf: %s\n", e.text);
		return 2;
	}
	return load(&l) == 0 ? 0 : 1;
}
